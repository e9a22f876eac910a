"""Parser: the text of a pattern in Rust's syntax (regex-syntax 0.8 as ripgrep 15.2.0 sets it up) to a tree (hir.py).

In: the whole pattern (rg's alternation of all patterns) and the initial flags. Out: the tree, the capture names, what
smart case asks about the literals. Anything that regex-syntax rejects is declined as "regex_error": the real rg prints
the error. There is no syntax tree in between: flags are known where a construct is read, so classes are folded and
negated on the spot. Only the nest limit needs the depth that regex-syntax's Ast would have; it is carried along.
"""

from __future__ import annotations

import re

from . import unicode
from .charset import BYTE_TOP, UNICODE_TOP, CharSet, to_index
from .classes import ClassReader
from .cursor import CRLF, DOT_ALL, INSENSITIVE, META, MULTI_LINE, SWAP_GREED, UNICODE, VERBOSE, fail
from .hir import (
    CAP,
    CLASS,
    EMPTY,
    END,
    END_CRLF,
    END_LF,
    LIT,
    LOOK,
    START,
    START_CRLF,
    START_LF,
    Node,
    alternation,
    char_class,
    concat,
    repetition,
)

NEST_LIMIT = 250

_FLAGS = {"i": INSENSITIVE, "m": MULTI_LINE, "s": DOT_ALL, "U": SWAP_GREED, "u": UNICODE, "R": CRLF, "x": VERBOSE}
_ORDINARY = re.compile(r"[^\\.+*?()|\[{^$]+")  # a run of characters that stand for themselves at top level

# . by (dot_all, unicode, crlf)
_DOTS: dict[tuple[bool, bool, bool], CharSet] = {}
for _unicode, _top in ((True, UNICODE_TOP), (False, BYTE_TOP)):
    for _crlf in (True, False):
        _DOTS[True, _unicode, _crlf] = CharSet(((0, _top),), _top)
    _DOTS[False, _unicode, False] = CharSet(((0, 9), (11, _top)), _top)
    _DOTS[False, _unicode, True] = CharSet(((0, 9), (11, 12), (14, _top)), _top)


class Parser(ClassReader):
    """One parse of one text. `parse` may be called once."""

    # -- the top level -----------------------------------------------------------------------------------------------

    def parse(self) -> Node:
        """The tree of the text."""
        text, end = self.text, self.end
        # The concatenation being read: nodes, their Ast depths, how many Ast nodes that makes (a run of text is many).
        nodes: list[Node] = []
        depths: list[int] = []
        count = 0
        branches: list[Node] = []
        branch_depth = 0
        stack: list[tuple[list[Node], list[int], int, list[Node], int, int, int | None]] = []
        verbose = self.flags & VERBOSE
        while True:
            if verbose:
                self._space()
            if self.pos >= end:
                break
            char = text[self.pos]
            if char == "(":
                opened = self._open_group()
                if opened is None:  # only flags
                    nodes.append(EMPTY)
                    depths.append(-1)  # marks a node that cannot be repeated
                    count += 1
                else:
                    stack.append((nodes, depths, count, branches, branch_depth, *opened))
                    nodes, depths, count, branches, branch_depth = [], [], 0, [], 0
                verbose = self.flags & VERBOSE
            elif char == ")":
                if not stack:
                    fail()
                node, depth = self._close(nodes, depths, count, branches, branch_depth)
                nodes, depths, count, branches, branch_depth, old_flags, index = stack.pop()
                self.flags = old_flags
                verbose = old_flags & VERBOSE
                self.pos += 1
                nodes.append(node if index is None else (CAP, index, self.names[index], node))
                depths.append(depth + 1)
                count += 1
            elif char == "|":
                node, depth = self._concat(nodes, depths, count)
                branches.append(node)
                branch_depth = max(branch_depth, depth)
                nodes, depths, count = [], [], 0
                self.pos += 1
            elif char == "[":
                chars, depth = self._remembered_class()
                nodes.append(char_class(chars))
                depths.append(depth)
                count += 1
                self.constructs.add("class")
            elif char in "?*+{":
                if not nodes or depths[-1] < 0:
                    fail()
                low, high, greedy = self._counted() if char == "{" else self._uncounted(char)
                nodes[-1] = repetition(low, high, greedy, nodes[-1])
                depths[-1] += 1
            elif char == "\\":
                nodes.append(self._escape_node())
                depths.append(0)
                count += 1
            elif char == ".":
                flags = self.flags
                nodes.append((CLASS, _DOTS[bool(flags & DOT_ALL), bool(flags & UNICODE), bool(flags & CRLF)]))
                depths.append(0)
                count += 1
                self.pos += 1
                self.constructs.add("dot")
            elif char == "^" or char == "$":
                flags = self.flags
                if flags & MULTI_LINE:
                    look = (START_CRLF if flags & CRLF else START_LF) if char == "^" else (
                        END_CRLF if flags & CRLF else END_LF)
                else:
                    look = START if char == "^" else END
                nodes.append((LOOK, look))
                depths.append(0)
                count += 1
                self.pos += 1
                self.constructs.add("anchor")
            elif verbose:
                self.pos += 1
                nodes.append(self._literal(char))
                depths.append(0)
                count += 1
            else:
                found = _ORDINARY.match(text, self.pos)
                stop = found.end() if found else self.pos + 1
                run = text[self.pos:stop]
                self.pos = stop
                if len(run) > 1 and stop < end and text[stop] in "?*+{":
                    nodes.append(self._literal(run[:-1]))
                    depths.append(0)
                    count += len(run)
                    run = run[-1]
                else:
                    count += len(run)
                nodes.append(self._literal(run))
                depths.append(0)
        if stack:
            fail()
        node, depth = self._close(nodes, depths, count, branches, branch_depth)
        if depth > NEST_LIMIT:
            fail()
        return node

    @staticmethod
    def _concat(nodes: list[Node], depths: list[int], count: int) -> tuple[Node, int]:
        if count == 0:
            return EMPTY, 0
        if count == 1:
            return nodes[0], max(depths[0], 0)
        return concat(nodes), max(0, *depths) + 1

    def _close(self, nodes: list[Node], depths: list[int], count: int, branches: list[Node],
               branch_depth: int) -> tuple[Node, int]:
        node, depth = self._concat(nodes, depths, count)
        if not branches:
            return node, depth
        branches.append(node)
        self.constructs.add("alternation")
        return alternation(branches), max(branch_depth, depth) + 1

    # -- literals ----------------------------------------------------------------------------------------------------

    def _literal(self, run: str) -> Node:
        """The characters of `run`, as the flags in force take them."""
        self.any_literal = True
        flags = self.flags
        if run.isascii():
            if not self.any_uppercase and run.lower() != run:
                self.any_uppercase = True
        elif not self.any_uppercase:
            self.any_uppercase = any(map(unicode.is_uppercase, run))
        if not flags & INSENSITIVE:
            return (LIT, run.encode())
        if not flags & UNICODE:
            return concat([_fold_byte(char) for char in run])
        return concat([_fold_char(char) for char in run])

    def plain(self, text: str) -> Node:
        """A pattern without syntax: its characters under the initial flags."""
        return self._literal(text) if text else EMPTY

    def _escape_node(self) -> Node:
        kind, value = self._escape()
        if isinstance(value, CharSet):
            return char_class(value)
        if kind == "char":
            return self._literal(chr(value))
        if kind == "byte":
            self.any_literal = True
            if not self.any_uppercase:
                self.any_uppercase = unicode.is_uppercase(chr(value))
            return (LIT, bytes((value,)))
        return (LOOK, value)

    # -- groups and flags --------------------------------------------------------------------------------------------

    def _open_group(self) -> tuple[int, int | None] | None:
        """Reads from "(" on. None: flags only, now in force. Else (flags to restore, group number or None)."""
        text, old = self.text, self.flags
        self.pos += 1
        self._space()
        if text.startswith(("?=", "?!", "?<=", "?<!"), self.pos):
            fail()
        for prefix in ("?P<", "?<"):
            if text.startswith(prefix, self.pos):
                self.pos += len(prefix)
                self._name()
                self.constructs.add("named_group")
                return old, len(self.names) - 1
        if not text.startswith("?", self.pos):
            self.names.append(None)
            self.constructs.add("group")
            return old, len(self.names) - 1
        self.pos += 1
        start = self.pos
        on, off = self._flags()
        closing = text[self.pos]
        if closing == ")" and self.pos == start:
            fail()  # (?) is a repetition of nothing
        self.pos += 1
        if on or off:
            self.constructs.add("flags")
        self.flags = (old | on) & ~off
        return None if closing == ")" else (old, None)

    def _name(self) -> None:
        start, text = self.pos, self.text
        while True:
            if self.pos >= self.end:
                fail()
            char = text[self.pos]
            if char == ">":
                break
            if not (char == "_" or (unicode.is_alphabetic(char) if self.pos == start else
                                    char in ".[]" or unicode.is_alphanumeric(char))):
                fail()
            self.pos += 1
        name = text[start:self.pos]
        self.pos += 1
        if not name or name in self.names:
            fail()
        self.names.append(name)

    def _flags(self) -> tuple[int, int]:
        """The flags switched on and off, up to the ":" or ")" that ends them."""
        on = off = 0
        negated = dangling = False
        while True:
            if self.pos >= self.end:
                fail()
            char = self.text[self.pos]
            if char in ":)":
                break
            if char == "-":
                if negated:
                    fail()
                negated = dangling = True
            else:
                bit = _FLAGS.get(char)
                if bit is None or (on | off) & bit:
                    fail()
                dangling = False
                if negated:
                    off |= bit
                else:
                    on |= bit
            self.pos += 1
        if dangling:
            fail()
        return on, off

    # -- repetitions -------------------------------------------------------------------------------------------------

    def _uncounted(self, char: str) -> tuple[int, int | None, bool]:
        greedy = True
        if self._bump() and self.text[self.pos] == "?":
            greedy = False
            self.pos += 1
            self.constructs.add("lazy")
        self.constructs.add("repeat")
        return (1 if char == "+" else 0), (1 if char == "?" else None), greedy != bool(self.flags & SWAP_GREED)

    def _counted(self) -> tuple[int, int | None, bool]:
        text = self.text
        if not self._bump_space():
            fail()
        low = self._decimal()
        high: int | None = low
        if self.pos >= self.end:
            fail()
        if text[self.pos] == ",":
            if not self._bump_space():
                fail()
            high = None if text[self.pos] == "}" else self._decimal()
        if self.pos >= self.end or text[self.pos] != "}":
            fail()
        greedy = True
        if self._bump_space() and text[self.pos] == "?":
            greedy = False
            self.pos += 1
            self.constructs.add("lazy")
        if high is not None and low > high:
            fail()
        self.constructs.add("counted")
        return low, high, greedy != bool(self.flags & SWAP_GREED)


def _fold_char(char: str) -> Node:
    index = to_index(ord(char))
    chars = unicode.orbit_set(index)
    return (LIT, char.encode()) if chars is None else (CLASS, chars)


_FOLDED_BYTES = {chr(c): CharSet.of(((c, c), (c ^ 0x20, c ^ 0x20)), BYTE_TOP)
                 for c in (*range(0x41, 0x5B), *range(0x61, 0x7B))}


def _fold_byte(char: str) -> Node:
    chars = _FOLDED_BYTES.get(char)
    return (LIT, char.encode()) if chars is None else (CLASS, chars)


__all__ = ["CRLF", "DOT_ALL", "INSENSITIVE", "META", "MULTI_LINE", "UNICODE", "Parser"]
