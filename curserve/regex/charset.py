"""CharSet: an immutable set of scalar values (or of bytes), as sorted disjoint ranges.

In: pairs of numbers. Out: the algebra of Rust's classes (union, intersection, difference, negation). Scalar values are
numbered without the surrogates (see `to_index`), so that "everything" is one range and a complement never holds a
surrogate. What it does not know: case folding and names (unicode.py), UTF-8 (utf8.py).
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Range = tuple[int, int]  # inclusive

UNICODE_TOP = 0x10FFFF - 0x800  # the index of U+10FFFF
BYTE_TOP = 0xFF


def to_index(scalar: int) -> int:
    """The index of a scalar value: the surrogates U+D800..U+DFFF are not counted."""
    return scalar if scalar < 0xD800 else scalar - 0x800


def from_index(index: int) -> int:
    """The scalar value of an index."""
    return index if index < 0xD800 else index + 0x800


def normal(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Sorted, disjoint and not adjacent ranges with the same members."""
    ordered = sorted(ranges)
    if len(ordered) < 2:
        return tuple(ordered)
    out: list[Range] = []
    low, high = ordered[0]
    for next_low, next_high in ordered:
        if next_low > high + 1:
            out.append((low, high))
            low, high = next_low, next_high
        elif next_high > high:
            high = next_high
    out.append((low, high))
    return tuple(out)


class CharSet:
    """A set of indexes in [0, top]; top tells a set of scalar values from a set of bytes. Compared by value."""

    __slots__ = ("ranges", "top", "memo", "_hash")

    def __init__(self, ranges: tuple[Range, ...], top: int = UNICODE_TOP) -> None:
        self.ranges = ranges
        self.top = top
        self.memo: dict[Any, Any] = {}  # what others derive from this set: automata, texts, stripped sets
        self._hash: int | None = None

    @classmethod
    def of(cls, ranges: Iterable[Range], top: int = UNICODE_TOP) -> CharSet:
        """The set of these ranges, in any order."""
        return cls(normal(ranges), top)

    @property
    def is_bytes(self) -> bool:
        return self.top == BYTE_TOP

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, CharSet) and self.top == other.top and self.ranges == other.ranges

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((self.top, self.ranges))
        return self._hash

    def __repr__(self) -> str:
        body = "".join(f"{low:x}" if low == high else f"{low:x}-{high:x}," for low, high in self.ranges[:8])
        return f"CharSet({'b' if self.is_bytes else 'u'}:{body}{'…' if len(self.ranges) > 8 else ''})"

    def __contains__(self, index: int) -> bool:
        ranges = self.ranges
        low, high = 0, len(ranges)
        while low < high:
            middle = (low + high) // 2
            if ranges[middle][1] < index:
                low = middle + 1
            else:
                high = middle
        return low < len(ranges) and ranges[low][0] <= index

    def size(self) -> int:
        """How many members there are."""
        return sum(high - low + 1 for low, high in self.ranges)

    def is_ascii(self) -> bool:
        """True if every member is below 0x80 (also for the empty set)."""
        return not self.ranges or self.ranges[-1][1] < 0x80

    def union(self, other: CharSet) -> CharSet:
        return CharSet(normal(self.ranges + other.ranges), self.top)

    def negate(self) -> CharSet:
        out: list[Range] = []
        start = 0
        for low, high in self.ranges:
            if low > start:
                out.append((start, low - 1))
            start = high + 1
        if start <= self.top:
            out.append((start, self.top))
        return CharSet(tuple(out), self.top)

    def intersect(self, other: CharSet) -> CharSet:
        out: list[Range] = []
        left, right = self.ranges, other.ranges
        i = j = 0
        while i < len(left) and j < len(right):
            low = max(left[i][0], right[j][0])
            high = min(left[i][1], right[j][1])
            if low <= high:
                out.append((low, high))
            if left[i][1] < right[j][1]:
                i += 1
            else:
                j += 1
        return CharSet(tuple(out), self.top)

    def difference(self, other: CharSet) -> CharSet:
        return self.intersect(other.negate())

    def symmetric_difference(self, other: CharSet) -> CharSet:
        return self.union(other).difference(self.intersect(other))

    def without(self, member: int) -> CharSet:
        """This set less one member; the same object if it is not in it. Remembered."""
        if member not in self:
            return self
        key = ("without", member)
        found: CharSet | None = self.memo.get(key)
        if found is None:
            found = self.memo[key] = self.difference(CharSet(((member, member),), self.top))
        return found
