"""In which order programs take turns, so that none always follows the same one.

What ran before leaves caches and processors in its own state: after ripgrep they are cold, and a program of 100 us
takes 150. In a fixed cycle one side would always pay that, and another never. A Williams design (E. J. Williams, 1949)
puts each program in each place, and each behind each other, equally often.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def turns(programs: Sequence[T], count: int) -> list[T]:
    """The programs in the order of round `count` (from 0). Balanced after as many rounds as there are programs, or
    twice as many if their number is odd."""
    size = len(programs)
    first = [0]
    for step in range(1, size):
        first.append((first[-1] + (step if step % 2 else -step)) % size)
    row = [(place + count) % size for place in first]
    if size % 2 and (count // size) % 2:
        row.reverse()
    return [programs[place] for place in row]

