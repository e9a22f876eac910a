"""Spells a tree as RE2 text in Latin-1 mode, where RE2 can say it exactly; else as nothing.

In: a tree. Out: `ascii_text` (exact where every byte is below 0x80), `bytes_text` (exact on any bytes: UTF-8 sequences
are spelled out), `spans_agree`. The text sets (?m) itself and expects never_nl, posix_syntax, one_line and
longest_match off. Groups are not captured: RE2 finds spans, captures are the VM's. RE2 has \\b and \\B but no half
boundaries; these are said by \\b or \\B where what stands beside them always begins (or ends) with a word character,
or never does.
"""
from __future__ import annotations

from .hir import (
    ALT,
    CAP,
    CAT,
    CLASS,
    EMPTY_KIND,
    END_LF,
    HALF_END_ASCII,
    HALF_END_UNICODE,
    HALF_START_ASCII,
    HALF_START_UNICODE,
    LIT,
    LOOK,
    NOT_WORD_ASCII,
    NOT_WORD_UNICODE,
    REP,
    START_LF,
    WORD_ASCII,
    WORD_END_ASCII,
    WORD_END_UNICODE,
    WORD_START_ASCII,
    WORD_START_UNICODE,
    WORD_UNICODE,
    Node,
    can_be_empty,
    concat,
)
from .utf8 import byte_text, re2_class

MAX_TEXT = 100_000  # characters; RE2 compiles some 15 MB/s of such text (\w is 11,000 as UTF-8: 0.7 ms)
MAX_REPEAT = 1000  # RE2's own limit, for nested repetitions together

_PLAIN_LOOKS = {START_LF: "(?m:^)", END_LF: "(?m:$)", WORD_ASCII: r"\b", NOT_WORD_ASCII: r"\B"}
_UNICODE_LOOKS = {WORD_UNICODE: WORD_ASCII, NOT_WORD_UNICODE: NOT_WORD_ASCII, WORD_START_UNICODE: WORD_START_ASCII,
                  WORD_END_UNICODE: WORD_END_ASCII, HALF_START_UNICODE: HALF_START_ASCII,
                  HALF_END_UNICODE: HALF_END_ASCII}
_AT_START = (WORD_START_ASCII, HALF_START_ASCII)  # decided by what follows
_BESIDE = (*_AT_START, WORD_END_ASCII, HALF_END_ASCII)

_WORD, _OTHER, _NOTHING = 1, 2, 4
_WORD_BYTES = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_WORD_RANGES = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))


class _Unsayable(Exception):
    """RE2 cannot say it."""


def _edge(node: Node, first: bool, ascii_only: bool) -> int:
    """What the first (or last) byte of a match can be: a word byte, another, or nothing at all."""
    kind = node[0]
    if kind == LIT:
        return _WORD if node[1][0 if first else -1] in _WORD_BYTES else _OTHER
    if kind == CLASS:
        edge = members = 0
        for low, high in node[1].ranges:
            if high >= 0x80 and not ascii_only:
                edge |= _OTHER
            if low < 0x80:
                members += min(high, 0x7F) - low + 1
        words = sum(max(0, min(high, top) - max(low, bottom) + 1)
                    for low, high in node[1].ranges for bottom, top in _WORD_RANGES)
        return edge | (_WORD if words else 0) | (_OTHER if members > words else 0)
    if kind == REP:
        return _edge(node[4], first, ascii_only) | (_NOTHING if node[1] == 0 else 0)
    if kind == CAP:
        return _edge(node[3], first, ascii_only)
    if kind == CAT:
        return _edge_of(node[1], first, ascii_only)
    if kind == ALT:
        edge = 0
        for sub in node[1]:
            edge |= _edge(sub, first, ascii_only)
        return edge
    return _NOTHING


def _edge_of(nodes: tuple[Node, ...], first: bool, ascii_only: bool) -> int:
    edge = _NOTHING
    for sub in nodes if first else reversed(nodes):
        edge = edge & ~_NOTHING | _edge(sub, first, ascii_only)
        if not edge & _NOTHING:
            break
    return edge


class _Writer:
    def __init__(self, ascii_only: bool) -> None:
        self.ascii_only = ascii_only

    def atom(self, node: Node, repeats: int) -> str:
        """The node as something a repetition operator can follow."""
        kind = node[0]
        if kind == CLASS or (kind == LIT and len(node[1]) == 1):
            return self.text(node, repeats)
        return f"(?:{self.text(node, repeats)})"

    def text(self, node: Node, repeats: int) -> str:
        """The node as text; `repeats`: how often enclosing repetitions repeat it."""
        kind = node[0]
        if kind == LIT:
            return "".join(map(byte_text, node[1]))
        if kind == CLASS:
            return re2_class(node[1], self.ascii_only)
        if kind == CAT:
            return self.sequence(node[1], repeats)
        if kind == CAP:
            return f"(?:{self.text(node[3], repeats)})"
        if kind == ALT:
            return "|".join(self.text(sub, repeats) or "(?:)" for sub in node[1])
        if kind == REP:
            return self.repetition(node, repeats)
        if kind == LOOK:
            return self.sequence((node,), repeats)
        return "" if kind == EMPTY_KIND else "(?:)"

    def repetition(self, node: Node, repeats: int) -> str:
        low, high, greedy, sub = node[1:]
        bound = max(low, high or 0)
        if bound > 1:
            repeats *= bound
            if repeats > MAX_REPEAT:
                raise _Unsayable
        if high is None:
            operator = "*" if low == 0 else "+" if low == 1 else f"{{{low},}}"
        elif low == high:
            operator = f"{{{low}}}"
        else:
            operator = "?" if (low, high) == (0, 1) else f"{{{low},{high}}}"
        return self.atom(sub, repeats) + operator + ("" if greedy else "?")

    def sequence(self, nodes: tuple[Node, ...], repeats: int) -> str:
        out = []
        for at, sub in enumerate(nodes):
            if sub[0] == LOOK:
                look = sub[1]
                if self.ascii_only:
                    look = _UNICODE_LOOKS.get(look, look)
                if look in _BESIDE:
                    pushed = self.beside(look, nodes, at, repeats)
                    if isinstance(pushed, tuple):
                        return self.sequence(pushed, repeats)
                    out.append(pushed)
                    continue
                plain = _PLAIN_LOOKS.get(look)
                if plain is None:
                    raise _Unsayable
                out.append(plain)
            elif sub[0] == ALT:
                out.append(f"(?:{self.text(sub, repeats)})")
            else:
                out.append(self.text(sub, repeats))
        return "".join(out)

    def beside(self, look: int, nodes: tuple[Node, ...], at: int, repeats: int) -> str | tuple[Node, ...]:
        """The text of a one-sided boundary; or the same sequence with the boundary moved into an alternation."""
        start = look in _AT_START
        neighbours = nodes[at + 1:] if start else nodes[:at]
        edge = _edge_of(neighbours, start, self.ascii_only)
        if edge == _WORD:
            return r"\b"
        if edge == _OTHER:
            if look in (HALF_START_ASCII, HALF_END_ASCII):
                return r"\B"
            return r"[^\x00-\xff]"  # \< before what is no word character
        place = at + 1 if start else at - 1
        if not 0 <= place < len(nodes):
            raise _Unsayable
        beside = nodes[place]
        inner = beside[3] if beside[0] == CAP else beside
        if inner[0] != ALT or any(sub[0] == EMPTY_KIND for sub in inner[1]):
            raise _Unsayable
        here = nodes[at]
        moved = (ALT, tuple(concat((here, sub) if start else (sub, here)) for sub in inner[1]))
        replaced = (*nodes[:at], moved, *nodes[at + 2:]) if start else (*nodes[:at - 1], moved, *nodes[at + 1:])
        return replaced


def _spell(node: Node, ascii_only: bool) -> bytes:
    try:
        text = _Writer(ascii_only).text(node, 1)
    except _Unsayable:
        return b""
    return (text or "(?:)").encode("ascii") if len(text) <= MAX_TEXT else b""


def ascii_text(node: Node) -> bytes:
    """RE2 text that is exact on haystacks of ASCII; empty if there is none."""
    return _spell(node, True)


def bytes_text(node: Node) -> bytes:
    """RE2 text that is exact on any haystack; empty if there is none."""
    return _spell(node, False)


def spans_agree(node: Node) -> bool:
    """False if RE2's spans may differ: where something that can be empty is repeated."""
    kind = node[0]
    if kind == REP:
        if (node[2] is None or node[2] > 1) and can_be_empty(node[4]):
            return False
        return spans_agree(node[4])
    if kind == CAP:
        return spans_agree(node[3])
    if kind in (CAT, ALT):
        return all(map(spans_agree, node[1]))
    return True
