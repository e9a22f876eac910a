"""Cursor: a place in the text of a pattern, the flags in force there, and what is read alike everywhere: escapes.

In: text and flags. Out: escapes as characters, looks or sets. What it does not know: classes in brackets, groups.
"""

from __future__ import annotations

from typing import NoReturn

from ..errors import Decline
from . import unicode
from .charset import BYTE_TOP, CharSet, Range
from .hir import (
    END,
    HALF_END_ASCII,
    HALF_START_ASCII,
    NOT_WORD_ASCII,
    START,
    WORD_ASCII,
    WORD_END_ASCII,
    WORD_START_ASCII,
)

INSENSITIVE, MULTI_LINE, DOT_ALL, SWAP_GREED, UNICODE, CRLF, VERBOSE = (1 << bit for bit in range(7))

META = frozenset("\\.+*?()|[]{}^$#&-~")
_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
WHITESPACE = frozenset(_SPACES)  # the property White_Space
_HEX = frozenset("0123456789abcdefABCDEF")
_CONTROL = {"a": 0x07, "f": 0x0C, "t": 0x09, "n": 0x0A, "r": 0x0D, "v": 0x0B}


POSIX: dict[str, tuple[Range, ...]] = {
    "alnum": ((48, 57), (65, 90), (97, 122)), "alpha": ((65, 90), (97, 122)), "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)), "cntrl": ((0, 31), (127, 127)), "digit": ((48, 57),), "graph": ((33, 126),),
    "lower": ((97, 122),), "print": ((32, 126),), "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)), "upper": ((65, 90),), "word": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "xdigit": ((48, 57), (65, 70), (97, 102))}

_PERL_BYTES = {"d": CharSet(POSIX["digit"], BYTE_TOP), "s": CharSet(POSIX["space"], BYTE_TOP),
               "w": CharSet(POSIX["word"], BYTE_TOP)}
_PERL_NAMES = {"d": "perl_digit", "s": "perl_space", "w": "perl_word"}
_PERL: dict[tuple[str, bool], CharSet] = {}


def fail() -> NoReturn:
    """rg would print a syntax error."""
    raise Decline("regex_error")


def perl_class(letter: str, is_unicode: bool) -> CharSet:
    """\\d \\D \\s \\S \\w \\W; the same object every time."""
    key = (letter, is_unicode)
    found = _PERL.get(key)
    if found is None:
        lower = letter.lower()
        base = unicode.named(_PERL_NAMES[lower]) if is_unicode else _PERL_BYTES[lower]
        if base is None:
            fail()
        found = _PERL[key] = base if letter == lower else base.negate()
    return found


class Cursor:
    """Where a reader stands in one text, and what it has met so far."""

    def __init__(self, text: str, flags: int) -> None:
        self.text = text
        self.end = len(text)
        self.pos = 0
        self.flags = flags
        self.names: list[str | None] = [None]  # by group number
        self.any_literal = False
        self.any_uppercase = False
        self.constructs: set[str] = set()

    def _bump(self) -> bool:
        if self.pos < self.end:
            self.pos += 1
        return self.pos < self.end

    def _space(self) -> None:
        """In verbose mode, skips white space and comments."""
        if not self.flags & VERBOSE:
            return
        text, end, pos = self.text, self.end, self.pos
        while pos < end:
            if text[pos] in WHITESPACE:
                pos += 1
            elif text[pos] == "#":
                newline = text.find("\n", pos)
                pos = end if newline < 0 else newline + 1
            else:
                break
        self.pos = pos

    def _bump_space(self) -> bool:
        if not self._bump():
            return False
        self._space()
        return self.pos < self.end

    def _peek(self) -> str:
        return self.text[self.pos + 1] if self.pos + 1 < self.end else ""

    def _peek_space(self) -> str:
        """The next character but white space, with regex-syntax's way of looking into a comment."""
        if not self.flags & VERBOSE:
            return self._peek()
        start, in_comment = self.pos + 1, False
        for at in range(start, self.end):
            char = self.text[at]
            if char in WHITESPACE:
                continue
            if not in_comment and char == "#":
                in_comment = True
                continue
            start = at
            break
        return self.text[start] if start < self.end else ""

    def _decimal(self) -> int:
        digits = ""
        while self.pos < self.end and self.text[self.pos] in WHITESPACE:
            self.pos += 1
        while self.pos < self.end and "0" <= self.text[self.pos] <= "9":
            digits += self.text[self.pos]
            self._bump_space()
        while self.pos < self.end and self.text[self.pos] in WHITESPACE:
            self._bump_space()
        if not digits or int(digits) > 0xFFFFFFFF:
            fail()
        return int(digits)

    def _escape(self) -> tuple[str, int | CharSet]:
        """Reads from "\\" on: ("char", scalar), ("byte", byte ≥ 0x80), ("look", look) or ("class", set)."""
        if not self._bump():
            fail()
        char = self.text[self.pos]
        is_unicode = bool(self.flags & UNICODE)
        if char in "xuU":
            return self._hex(char)
        if char in "pP":
            return "class", self._property(char == "P")
        self.pos += 1
        if char in "dswDSW":
            self.constructs.add("perl_class")
            return "class", perl_class(char, is_unicode)
        if char in META:
            return "char", ord(char)
        if char in _CONTROL:
            return "char", _CONTROL[char]
        if char == "A" or char == "z":
            self.constructs.add("text_anchor")
            return "look", START if char == "A" else END
        if char in "bB<>":
            self.constructs.add("word_boundary")
            if char == "b" and self.pos < self.end and self.text[self.pos] == "{":
                special = self._special_boundary()
                if special is not None:
                    return "look", special
            if char == "<" or char == ">":
                ascii_look = WORD_START_ASCII if char == "<" else WORD_END_ASCII
                return "look", ascii_look + (2 if is_unicode else 0)
            return "look", (WORD_ASCII if char == "b" else NOT_WORD_ASCII) + (2 if is_unicode else 0)
        if char.isascii() and not char.isalnum():
            return "char", ord(char)
        fail()

    def _special_boundary(self) -> int | None:
        start = self.pos
        if not self._bump_space():
            fail()
        if not (self.text[self.pos].isascii() and (self.text[self.pos].isalpha() or self.text[self.pos] == "-")):
            self.pos = start
            return None  # \b{2}: a repetition
        word = ""
        while self.pos < self.end:
            char = self.text[self.pos]
            if not (char.isascii() and (char.isalpha() or char == "-")):
                break
            word += char
            self._bump_space()
        if self.pos >= self.end or self.text[self.pos] != "}":
            fail()
        self.pos += 1
        look = {"start": WORD_START_ASCII, "end": WORD_END_ASCII, "start-half": HALF_START_ASCII,
                "end-half": HALF_END_ASCII}.get(word)
        if look is None:
            fail()
        self.constructs.add("special_boundary")
        return look + (2 if self.flags & UNICODE else 0)

    def _hex(self, kind: str) -> tuple[str, int]:
        text, digits = self.text, ""
        if not self._bump_space():
            fail()
        braced = text[self.pos] == "{"
        if braced:
            while self._bump_space() and text[self.pos] != "}":
                if text[self.pos] not in _HEX:
                    fail()
                digits += text[self.pos]
            if self.pos >= self.end or not digits:
                fail()
            self._bump_space()
        else:
            for number in range({"x": 2, "u": 4, "U": 8}[kind]):
                if number and not self._bump_space():
                    fail()
                if text[self.pos] not in _HEX:
                    fail()
                digits += text[self.pos]
            self._bump_space()
        scalar = int(digits, 16)
        if scalar > 0x10FFFF or 0xD800 <= scalar <= 0xDFFF:
            fail()
        self.constructs.add("hex")
        if not braced and kind == "x" and scalar > 0x7F and not self.flags & UNICODE:
            return "byte", scalar
        return "char", scalar

    def _property(self, negated: bool) -> CharSet:
        text = self.text
        if not self._bump_space():
            fail()
        value: str | None = None
        if text[self.pos] == "{":
            name = ""
            while self._bump_space() and text[self.pos] != "}":
                name += text[self.pos]
            if self.pos >= self.end:
                fail()
            self.pos += 1
            for operator in ("!=", ":", "="):
                if operator in name:
                    name, value = name.split(operator, 1)
                    negated ^= operator == "!="
                    break
        else:
            name = text[self.pos]
            if name == "\\":
                fail()
            self._bump_space()
        if not self.flags & UNICODE:
            fail()
        self.constructs.add("unicode_class")
        chars = unicode.property_set(name, value)
        if chars is None:
            raise Decline("regex_property")  # unknown here; rg knows it or prints the error
        if self.flags & INSENSITIVE:
            chars = unicode.fold(chars)
        return chars.negate() if negated else chars
