"""What Unicode says: named sets, simple case folding, upper case. The only importer of unicode_tables.py.

In: names as typed in \\p{…}, scalar values. Out: CharSets. The tables (some 100 KB of text) are imported at the first
question that needs them, and each set is unpacked at its first use; ASCII letters never need them.
"""
from __future__ import annotations

import bisect
import functools
from types import ModuleType

from .charset import CharSet, Range, from_index, to_index

PROPERTIES = {"gc": "gc", "generalcategory": "gc", "sc": "sc", "script": "sc", "scx": "scx", "scriptextensions": "scx",
              "age": "age", "gcb": "gcb", "graphemeclusterbreak": "gcb", "wb": "wb", "wordbreak": "wb", "sb": "sb",
              "sentencebreak": "sb"}

# k and s are the only ASCII letters that fold beyond ASCII: U+212A KELVIN SIGN and U+017F LONG S.
_ASCII_ORBITS = {c: tuple(sorted((c, c ^ 0x20))) for c in (*range(0x41, 0x5B), *range(0x61, 0x7B))}
_ASCII_ORBITS[0x4B] = _ASCII_ORBITS[0x6B] = (0x4B, 0x6B, 0x212A)
_ASCII_ORBITS[0x53] = _ASCII_ORBITS[0x73] = (0x53, 0x73, 0x17F)


@functools.cache
def _tables() -> ModuleType:
    from . import unicode_tables
    return unicode_tables


@functools.cache
def _unpack(number: int) -> CharSet:
    ranges: list[Range] = []
    last = 0
    packed = iter(_tables().SETS[number].split())
    for gap, length in zip(packed, packed, strict=True):
        low = last + int(gap, 36)
        last = low + int(length, 36)
        ranges.append((to_index(low), to_index(last)))
    return CharSet(tuple(ranges))


def loose(name: str) -> str:
    """The name without case, spaces, hyphens, underscores and a leading "is" (UAX44-LM3 as regex-syntax has it)."""
    prefixed = name[:2].lower() == "is" and name[:2].isascii()
    out = "".join(c for c in (name[2:] if prefixed else name).lower() if c not in " _-" and c.isascii())
    return "isc" if prefixed and out == "c" else out


def named(name: str) -> CharSet | None:
    """The set of a table key (a loose name, or property=value); None if the real rg refused that name."""
    number = _tables().NAMES.get(name)
    return None if number is None else _unpack(number)


def property_set(name: str, value: str | None) -> CharSet | None:
    """The set of \\p{name} or \\p{name=value}; None if it is unknown to us (and probably to rg)."""
    if value is None:
        return named(loose(name))
    kind = PROPERTIES.get(loose(name))
    return None if kind is None else named(f"{kind}={loose(value)}")


@functools.cache
def _folds() -> tuple[dict[int, tuple[int, ...]], list[int]]:
    orbits: dict[int, tuple[int, ...]] = {}
    for group in "".join(_tables().FOLDS).split(","):
        members = tuple(to_index(int(text, 16)) for text in group.split())
        for member in members:
            orbits[member] = members
    return orbits, sorted(orbits)


def orbit(index: int) -> tuple[int, ...] | None:
    """All indexes equal to this one under simple case folding (itself included); None if there is only itself."""
    if index < 0x80:
        return _ASCII_ORBITS.get(index)
    return _folds()[0].get(index)


@functools.lru_cache(maxsize=1024)
def orbit_set(index: int) -> CharSet | None:
    """`orbit` as a set; the same object every time, so that what is derived from it is derived once."""
    members = orbit(index)
    return None if members is None else CharSet.of((m, m) for m in members)


def fold(chars: CharSet) -> CharSet:
    """The set closed under simple case folding; for bytes, under that of ASCII."""
    ranges = chars.ranges
    if not ranges:
        return chars
    found: CharSet | None = chars.memo.get("fold")
    if found is not None:
        return found
    added: set[int] = set()
    if chars.is_bytes or (ranges[-1][1] < 0x80):
        for low, high in ranges:
            for first, last in ((0x41, 0x5A), (0x61, 0x7A)):
                for member in range(max(low, first), min(high, last) + 1):
                    added.update(_ASCII_ORBITS[member] if not chars.is_bytes else (member ^ 0x20,))
    else:
        orbits, ordered = _folds()
        for low, high in ranges:
            start = bisect.bisect_left(ordered, low)
            for member in ordered[start:bisect.bisect_right(ordered, high, start)]:
                added.update(orbits[member])
    extra = [(m, m) for m in added if m not in chars]
    found = CharSet.of((*ranges, *extra), chars.top) if extra else chars
    chars.memo["fold"] = found
    return found


def is_uppercase(char: str) -> bool:
    """True if the scalar value has the property Uppercase."""
    if char.isascii():
        return "A" <= char <= "Z"
    found = named("uppercase")
    return found is not None and to_index(ord(char)) in found


def is_alphabetic(char: str) -> bool:
    """True if the scalar value has the property Alphabetic."""
    if char.isascii():
        return char.isalpha()
    found = named("alphabetic")
    return found is not None and to_index(ord(char)) in found


def is_alphanumeric(char: str) -> bool:
    """True if the scalar value is alphabetic or of a category N*."""
    if char.isascii():
        return char.isalnum()
    found = named("gc=n")
    return is_alphabetic(char) or (found is not None and to_index(ord(char)) in found)


__all__ = ["fold", "from_index", "is_alphabetic", "is_alphanumeric", "is_uppercase", "named", "orbit", "orbit_set",
           "property_set"]
