"""Two answers to one search, ours and ripgrep's, and how they differ.

In: Answers. Out: a line of text, or None where they are the same. Two liberties only: elapsed times are ours, and files
may come in another order than in the answer of a ripgrep of several threads. Starts nothing; used by the tests, by
`curserve verify` and by the daemon's shadow.
"""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from curserve.args import parse
from curserve.errors import Decline

NEVER = rb"(?-u:\xFE\xFD\xFC\xFB)"
"""A pattern that matches no file of ours. As one more alternative it changes no answer, but the way that ripgrep's
engine takes to it: 15.2.0 gives wrong spans for `.abb|b` and its kin, whose last bytes it looks for first."""

_ELAPSED = re.compile(
    rb'"elapsed(?:_total)?":\{[^{}]*\}|^[0-9.]+ seconds(?= spent searching$| total$)',
    re.MULTILINE,
)


@dataclass(frozen=True)
class Answer:
    """What a search gave. reason: why it was declined, if it was; served is False for ripgrep's own answers."""

    stdout: bytes
    stderr: bytes
    code: int
    served: bool = False
    reason: str | None = None


def settled(output: bytes) -> bytes:
    """The output with its elapsed times made equal: they are ours to have."""
    return _ELAPSED.sub(b"<elapsed>", output)


def difference(ours: Answer, real: Answer) -> str | None:
    """How our answer differs from ripgrep's, in whatever order either met the files; None when it does not."""
    if ours.code != real.code:
        return f"exit code {ours.code}, ripgrep's {real.code}"
    if sorted(ours.stderr.splitlines()) != sorted(real.stderr.splitlines()):
        return f"stderr {ours.stderr[:500]!r}, ripgrep's {real.stderr[:500]!r}"
    mine, theirs = settled(ours.stdout), settled(real.stdout)
    if mine == theirs or same_lines(mine, theirs):
        return None
    return first_difference(mine, theirs)


def unexplained(ours: Answer, argv: Sequence[bytes], ask: Callable[[Sequence[bytes]], Answer]) -> str | None:
    """As `difference` from what ripgrep, asked by `ask`, says to argv; None also where ripgrep has two answers itself.

    It has with a pattern more that never matches (see NEVER); and with several threads, whose buffers grow with the
    longest line that each has met, which shows in how far a binary file is searched: then one thread's answer counts.
    """
    found = difference(ours, ask(argv))
    if found is None:
        return None
    never = with_never(argv)
    for other in ([b"-j1", *argv], *(() if never is None else (never, [b"-j1", *never]))):
        if difference(ours, ask(other)) is None:
            return None
    return found


def judged(ours: Answer, argv: Sequence[bytes], ask: Callable[[Sequence[bytes]], Answer]) -> str | None:
    """As `unexplained`; and files must come in the order that is ours to keep, that of `--sort path`.

    A declined search is ripgrep's on both sides: a difference counts only where ripgrep stays with it.
    """
    given: list[Answer] = []

    def noted(words: Sequence[bytes]) -> Answer:
        given.append(ask(words))
        return given[-1]

    found = unexplained(ours, argv, noted)
    if found is not None:
        if not ours.served:
            # Two runs of the real one, which may differ: with --follow and loops, or where chance is why we declined.
            again = (difference(ours, ask(argv)) for _ in range(10))
            return None if ours.reason == "buffers" or any(other is None for other in again) else found
        return found
    if not ours.served or ours.stdout == given[0].stdout:
        return None
    sorted_ = is_sorted(argv)
    if sorted_ is None:
        return None
    return order_difference(ours, given[0] if sorted_ else ask([b"--sort", b"path", *argv]))


def order_difference(ours: Answer, ordered: Answer) -> str | None:
    """Our files must come in the order of `ordered`, an answer of ripgrep with --sort.

    That may have other lines: it is one thread's, and chance has a part in what several threads print (see
    `unexplained`). Then the lines that both have must come in the same order.
    """
    # One thread also ends some separators with NUL where several end them with a newline.
    mine, theirs = (_pieces(settled(answer.stdout)) for answer in (ours, ordered))
    shared = Counter(mine) & Counter(theirs)
    left, right = ([piece for piece in pieces if shared[piece]] for pieces in (mine, theirs))
    if left == right or _longest_common(left, right) == shared.total():
        return None
    at = next(index for index, (a, b) in enumerate(zip(left, right, strict=False)) if a != b)
    return f"order: ours {_cut(left[at:])}, sorted {_cut(right[at:])}"


def same_lines(mine: bytes, theirs: bytes) -> bool:
    """True when both hold the same lines, equally often."""
    return Counter(_pieces(mine)) == Counter(_pieces(theirs))


def first_difference(mine: bytes, theirs: bytes) -> str:
    """Words for what differs in two outputs that do."""
    ours_only = list((Counter(_pieces(mine)) - Counter(_pieces(theirs))).elements())
    theirs_only = list((Counter(_pieces(theirs)) - Counter(_pieces(mine))).elements())
    if ours_only or theirs_only:
        return f"only ours {_cut(ours_only)}, only ripgrep's {_cut(theirs_only)}"
    for index, (a, b) in enumerate(zip(_pieces(mine), _pieces(theirs), strict=False)):
        if a != b:
            return f"line {index + 1}: ours {a[:200]!r}, ripgrep's {b[:200]!r}"
    return "lengths differ"


def with_never(argv: Sequence[bytes]) -> list[bytes] | None:
    """The same search with NEVER as one more pattern; None where that cannot be said."""
    words: list[bytes] = [_Word(word) for word in argv]
    try:
        low = parse(words)
    except Decline:
        return None
    if not low.patterns:
        if not low.positional:
            return None
        at = next((index for index, word in enumerate(words) if word is low.positional[0]), None)
        if at is None:
            return None
        pattern = words.pop(at)
        words[:0] = [b"-e", pattern]
    return [b"-e", NEVER, *words]


def is_sorted(argv: Sequence[bytes]) -> bool | None:
    """True where an order was asked for, so that ripgrep's answer has one; None where one was asked for and taken back:
    another one before it has no say."""
    if not any(b"sort" in word for word in argv):
        return False
    try:
        return True if parse(argv).sort is not None else None
    except Decline:
        return None


def _longest_common(left: Sequence[bytes], right: Sequence[bytes]) -> int:
    """The length of the longest common subsequence (Hunt and Szymanski 1977)."""
    places: dict[bytes, list[int]] = {}
    for index in range(len(right) - 1, -1, -1):
        places.setdefault(right[index], []).append(index)
    ends: list[int] = []  # ends[k]: where the earliest common subsequence of k + 1 pieces ends in `right`
    for piece in left:
        for index in places.get(piece, ()):
            at = bisect.bisect_left(ends, index)
            ends[at : at + 1] = [index]
    return len(ends)


class _Word(bytes):
    """One argument, told from others that are equal by being itself."""


def _pieces(output: bytes) -> list[bytes]:
    return re.split(rb"[\n\0]", output)


def _cut(pieces: Sequence[bytes]) -> str:
    return repr([piece[:400] for piece in pieces[:3]])
