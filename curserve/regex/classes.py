"""ClassReader: reads classes in brackets, [a-z&&[^aeiou]], to sets.

In: a cursor at "[". Out: the set, folded and negated as the flags say, and the depth it would have in Rust's Ast.
"""

from __future__ import annotations

import re

from ..errors import Decline
from . import unicode
from .charset import BYTE_TOP, UNICODE_TOP, CharSet, Range, to_index
from .cursor import INSENSITIVE, POSIX, UNICODE, Cursor, fail

_SIMPLE_CLASS = re.compile(r"\[\^?\]?(?:[^\\\[\]]|\\.)*\]", re.DOTALL)  # one without brackets inside
_CLASSES: dict[tuple[str, int], tuple[CharSet, int, bool, bool, frozenset[str]]] = {}

_POSIX_NAME = re.compile(r"\[:(\^?)([^:]*):\]")


class _Union:
    """What has been read of a class since its opening or its last operator, and the depth it would have in an Ast."""

    __slots__ = ("ranges", "count", "depth")

    def __init__(self) -> None:
        self.ranges: list[Range] = []
        self.count = 0
        self.depth = 0

    def height(self) -> int:
        return self.depth if self.count < 2 else self.depth + 1


class ClassReader(Cursor):
    """A cursor that can read classes."""

    def _remembered_class(self) -> tuple[CharSet, int]:
        """`_class`, but the same text under the same flags gives the same set, with all that was derived from it."""
        start = self.pos
        found = _SIMPLE_CLASS.match(self.text, start)
        if found is None:
            return self._class()
        key = (found[0], self.flags)
        known = _CLASSES.get(key)
        if known is None:
            reader = ClassReader(found[0], self.flags)
            try:
                chars, depth = reader._class()
            except Decline:
                return self._class()  # the "]" was not the end, or it is an error
            if reader.pos != reader.end:
                return self._class()
            if len(_CLASSES) > 1000:
                _CLASSES.clear()
            known = (chars, depth, reader.any_literal, reader.any_uppercase, frozenset(reader.constructs))
            _CLASSES[key] = known
        chars, depth, any_literal, any_uppercase, constructs = known
        self.pos = found.end()
        self.any_literal |= any_literal
        self.any_uppercase |= any_uppercase
        self.constructs |= constructs
        return chars, depth

    def _class(self) -> tuple[CharSet, int]:
        """Reads from "[" to its "]": the set and the depth it would have in an Ast."""
        text = self.text
        flags = self.flags
        top = UNICODE_TOP if flags & UNICODE else BYTE_TOP
        insensitive = flags & INSENSITIVE
        # For each open bracket: the union around it, is it negated, the pending operator and its left side.
        stack: list[tuple[_Union, bool, str, CharSet | None, int]] = []
        union = _Union()
        negated, operator, left, left_depth = False, "", None, 0

        def operand() -> tuple[CharSet, int]:
            """What stands before an operator or a closing bracket, the pending operator applied."""
            right, depth = CharSet.of(union.ranges, top), union.height()
            if left is None:
                return right, depth
            first = left
            if insensitive:
                first, right = unicode.fold(left), unicode.fold(right)
            depth = max(left_depth, depth) + 1
            if operator == "&&":
                return first.intersect(right), depth
            if operator == "--":
                return first.difference(right), depth
            return first.symmetric_difference(right), depth

        while True:
            self._space()
            if self.pos >= self.end:
                fail()
            char = text[self.pos]
            if char == "[":
                posix = self._posix() if stack else None
                if posix is not None:
                    name, posix_negated = posix
                    chars = CharSet(POSIX[name], top)
                    if insensitive:
                        chars = unicode.fold(chars)
                    union.ranges += (chars.negate() if posix_negated else chars).ranges
                    union.count += 1
                    self.constructs.add("posix_class")
                    continue
                stack.append((union, negated, operator, left, left_depth))
                if len(stack) > 1:
                    self.constructs.add("nested_class")
                union = _Union()
                negated, operator, left, left_depth = self._open_class(union), "", None, 0
            elif char == "]":
                chars, depth = operand()
                depth += 1
                if insensitive:
                    chars = unicode.fold(chars)
                if negated:
                    chars = chars.negate()
                    self.constructs.add("negated_class")
                self.pos += 1
                union, negated, operator, left, left_depth = stack.pop()
                if not stack:
                    return chars, depth
                union.ranges += chars.ranges
                union.count += 1
                union.depth = max(union.depth, depth)
            elif char in "&-~" and self._peek() == char:
                left, left_depth = operand()
                operator = char + char
                union = _Union()
                self.pos += 2
                self.constructs.add("class_operator")
            else:
                union.ranges += self._class_range(top)
                union.count += 1

    def _open_class(self, union: _Union) -> bool:
        """Reads "[", "^", leading "-" and a leading "]"; returns whether the class is negated."""
        if not self._bump_space():
            fail()
        negated = self.text[self.pos] == "^"
        if negated and not self._bump_space():
            fail()
        while self.text[self.pos] == "-":
            union.ranges.append((0x2D, 0x2D))
            union.count += 1
            self.any_literal = True
            if not self._bump_space():
                fail()
        if not union.count and self.text[self.pos] == "]":
            union.ranges.append((0x5D, 0x5D))
            union.count += 1
            self.any_literal = True
            if not self._bump_space():
                fail()
        return negated

    def _posix(self) -> tuple[str, bool] | None:
        """[:name:] or [:^name:] if that is what stands here; else nothing is read."""
        found = _POSIX_NAME.match(self.text, self.pos)
        if found is None or found[2] not in POSIX:
            return None
        self.pos = found.end()
        return found[2], bool(found[1])

    def _class_range(self, top: int) -> tuple[Range, ...]:
        """One item of a class: a character, a range of characters, or a set named by an escape."""
        kind, value = self._class_item()
        self._space()
        if self.pos >= self.end:
            fail()
        if self.text[self.pos] != "-" or self._peek_space() in ("]", "-"):
            if isinstance(value, CharSet):
                return value.ranges
            number = self._class_member(kind, value, top)
            return ((number, number),)
        if not self._bump_space():
            fail()
        last_kind, last_value = self._class_item()
        low = self._class_member(kind, value, top)
        high = self._class_member(last_kind, last_value, top)
        if low > high:
            fail()
        return ((low, high),)

    def _class_item(self) -> tuple[str, int | CharSet]:
        char = self.text[self.pos]
        if char == "\\":
            return self._escape()
        self.pos += 1
        return "char", ord(char)

    def _class_member(self, kind: str, value: int | CharSet, top: int) -> int:
        if kind == "look" or not isinstance(value, int):
            fail()
        self.any_literal = True
        if not self.any_uppercase:
            self.any_uppercase = unicode.is_uppercase(chr(value))
        if top == UNICODE_TOP:
            return to_index(value)
        if kind == "char" and value > 0x7F:
            fail()
        return value
