"""What a matching line must contain, as a small tree of literals: what the index is asked.

Conservative: matches everything the regexp would match. A line that matches satisfies the tree; a line that satisfies
it need not match. Literals are folded (`fold`), and so must be the text they are looked up in: ASCII letters in lower
case, U+212A as k, U+017F as s, everything else as it is. Nodes print as queries, so that tests can be tables.
"""
from __future__ import annotations

from dataclasses import dataclass

MIN_GRAM_BYTES = 3  # shorter literals say nothing to a trigram index


_PACKED_VERSION = b"\x01"


def pack(query: Grams) -> bytes:
    """The tree as the kernel takes it; empty where nothing is known."""
    return b"" if query is ANY else _PACKED_VERSION + query.packed()


def _number(value: int) -> bytes:
    return value.to_bytes(4, "little")


def fold(text: bytes) -> bytes:
    """The text in which the literals of a tree are to be found."""
    return text.lower().replace(b"\xe2\x84\xaa", b"k").replace(b"\xc5\xbf", b"s")


class Grams:
    """A node."""

    __slots__ = ()

    def evaluate(self, text: bytes) -> bool:
        """True if `text` (as it is in the file) satisfies the tree."""
        return self.holds(fold(text))

    def holds(self, folded: bytes) -> bool:
        """The same for text that is folded already."""
        raise NotImplementedError

    def packed(self) -> bytes:
        """As curserve/kernel/gram_query.cpp reads it, but for the version that `pack` puts before the root."""
        raise NotImplementedError


@dataclass(frozen=True)
class Any(Grams):
    """Nothing is known: every line may match."""

    def holds(self, folded: bytes) -> bool:
        return True

    def packed(self) -> bytes:
        return b"*"

    def __str__(self) -> str:
        return "*"


@dataclass(frozen=True)
class Nothing(Grams):
    """No line can match."""

    def holds(self, folded: bytes) -> bool:
        return False

    def packed(self) -> bytes:
        return b"-"

    def __str__(self) -> str:
        return "-"


@dataclass(frozen=True)
class Literal(Grams):
    """These bytes, folded, at least MIN_GRAM_BYTES of them."""

    text: bytes

    def holds(self, folded: bytes) -> bool:
        return self.text in folded

    def packed(self) -> bytes:
        return b"L" + _number(len(self.text)) + self.text

    def __str__(self) -> str:
        return repr(self.text)[1:]


@dataclass(frozen=True)
class And(Grams):
    """All of them; two or more."""

    subs: tuple[Grams, ...]

    def holds(self, folded: bytes) -> bool:
        return all(sub.holds(folded) for sub in self.subs)

    def packed(self) -> bytes:
        return b"&" + _number(len(self.subs)) + b"".join([sub.packed() for sub in self.subs])

    def __str__(self) -> str:
        return "(" + " ".join(map(str, self.subs)) + ")"


@dataclass(frozen=True)
class Or(Grams):
    """One of them; two or more."""

    subs: tuple[Grams, ...]

    def holds(self, folded: bytes) -> bool:
        return any(sub.holds(folded) for sub in self.subs)

    def packed(self) -> bytes:
        return b"|" + _number(len(self.subs)) + b"".join([sub.packed() for sub in self.subs])

    def __str__(self) -> str:
        return "(" + "|".join(map(str, self.subs)) + ")"


ANY = Any()
NOTHING = Nothing()


def all_of(subs: list[Grams]) -> Grams:
    """The conjunction, simplified."""
    kept = [sub for sub in dict.fromkeys(subs) if sub is not ANY]
    if NOTHING in kept:
        return NOTHING
    if not kept:
        return ANY
    return kept[0] if len(kept) == 1 else And(tuple(kept))


def one_of(subs: list[Grams]) -> Grams:
    """The disjunction, simplified."""
    kept = [sub for sub in dict.fromkeys(subs) if sub is not NOTHING]
    if not kept:
        return NOTHING
    if any(sub is ANY for sub in kept):
        return ANY
    return kept[0] if len(kept) == 1 else Or(tuple(kept))


def literal(text: bytes) -> Grams:
    """What a line must contain if it contains these bytes (as they are in the file)."""
    if text.isascii():
        return Literal(text.lower()) if len(text) >= MIN_GRAM_BYTES else ANY
    try:
        pieces = text.decode().replace("\u212a", "\0\0").replace("\u017f", "\0\0").split("\0\0")
        parts = [piece.encode() for piece in pieces]
    except UnicodeDecodeError:
        # Raw bytes may be half of a character that folding rewrites: only the ASCII runs are safe.
        parts = bytes(byte if byte < 0x80 else 0xFF for byte in text).split(b"\xff")
    return all_of([Literal(part.lower()) for part in parts if len(part) >= MIN_GRAM_BYTES])
