"""Runs a program slowly and plainly: the meaning of curserve/kernel/program.h, for tests.

In: the packed program and a haystack. Out: the leftmost-first match with its captures, or all successive matches as
rg's printers walk over them. A thread list in order of priority, each state at most once per position (Rust's PikeVM).
"""
from __future__ import annotations

import struct
from collections.abc import Callable

from . import unicode
from .charset import to_index

_WORD_ASCII = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")


def _scalar(text: bytes) -> str | None:
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        return None
    return decoded if len(decoded) == 1 else None


def next_scalar(text: bytes, at: int) -> str | None:
    """The scalar value that starts at `at`; None at the end or where no valid UTF-8 starts."""
    for size in range(1, 5):
        if at + size <= len(text):
            found = _scalar(text[at:at + size])
            if found is not None:
                return found
    return None


def last_scalar(text: bytes, at: int) -> str | None:
    """The scalar value that ends at `at`; None at the start or where no valid UTF-8 ends.

    As regex-automata's decode_last: it steps back over up to three continuation bytes and decodes from there, and does
    not mind when that ends before `at`: the last scalar of b"K" + continuation is K.
    """
    start = at - 1
    while start > 0 and start > at - 4 and text[start] & 0xC0 == 0x80:
        start -= 1
    return next_scalar(text[start:at], 0) if start >= 0 else None


def _is_word(scalar: str | None) -> bool:
    word = unicode.named("perl_word")
    assert word is not None
    return scalar is not None and to_index(ord(scalar)) in word


class Program:
    """A program to run. `terminator` is the byte that the LF look-arounds know."""

    def __init__(self, packed: bytes, capture_slots: int, terminator: int = 0x0A) -> None:
        self.code = list(struct.iter_unpack("<BBBBII", packed))
        self.slots = capture_slots
        self.terminator = terminator

    def look(self, look: int, text: bytes, at: int) -> bool:
        """True if the look-around holds at `at`."""
        end = len(text)
        if look == 0:
            return at == 0
        if look == 1:
            return at == end
        if look == 2:
            return at == 0 or text[at - 1] == self.terminator
        if look == 3:
            return at == end or text[at] == self.terminator
        if look == 4:
            return at == 0 or text[at - 1] == 10 or (text[at - 1] == 13 and (at == end or text[at] != 10))
        if look == 5:
            return at == end or text[at] == 13 or (text[at] == 10 and (at == 0 or text[at - 1] != 13))
        is_unicode = look in (8, 9, 12, 13, 16, 17)
        if not is_unicode:
            before = at > 0 and text[at - 1] in _WORD_ASCII
            after = at < end and text[at] in _WORD_ASCII
        else:
            previous, following = last_scalar(text, at), next_scalar(text, at)
            # Half of an invalid sequence is neither a word character nor the absence of one, where the absence counts.
            if look == 9 and ((at > 0 and previous is None) or (at < end and following is None)):
                return False
            if look == 16 and at > 0 and previous is None:
                return False
            if look == 17 and at < end and following is None:
                return False
            before, after = _is_word(previous), _is_word(following)
        return {6: before != after, 7: before == after, 8: before != after, 9: before == after,
                10: not before and after, 11: before and not after, 12: not before and after, 13: before and not after,
                14: not before, 15: not after, 16: not before, 17: not after}[look]

    def find(self, text: bytes, at: int = 0) -> list[int | None] | None:
        """Capture positions of the leftmost-first match that starts at or after `at`; None if there is none."""
        threads: list[tuple[int, list[int | None]]] = []
        best: list[int | None] | None = None
        for position in range(at, len(text) + 1):
            seen: set[int] = set()
            ready: list[tuple[int, list[int | None]]] = []
            for pc, slots in threads:
                self._follow(pc, slots, text, position, seen, ready)
            if best is None:
                self._follow(0, [None] * self.slots, text, position, seen, ready)
            threads = []
            for pc, slots in ready:
                op, low, high, _, x, _ = self.code[pc]
                if op == 6:
                    best = slots
                    break
                if position < len(text) and low <= text[position] <= high:
                    threads.append((x, slots))
            if not threads and best is not None:
                break
        return best

    def _follow(self, pc: int, slots: list[int | None], text: bytes, at: int, seen: set[int],
                out: list[tuple[int, list[int | None]]]) -> None:
        stack = [(pc, slots)]
        while stack:
            pc, slots = stack.pop()
            if pc in seen:
                continue
            seen.add(pc)
            op, low, _, _, x, y = self.code[pc]
            if op == 2:
                stack.append((y, slots))
                stack.append((x, slots))
            elif op == 3:
                copy = list(slots)
                copy[y] = at
                stack.append((x, copy))
            elif op == 4:
                if self.look(low, text, at):
                    stack.append((x, slots))
            elif op == 5:
                stack.append((x, slots))
            elif op in (1, 6):
                out.append((pc, slots))

    def spans(self, text: bytes, start: int = 0) -> list[tuple[int, int]]:
        """All matches at or after `start`, in order, an empty one never where the last one ended (Rust's find_iter)."""
        return all_spans(lambda at: self._span(text, at), len(text), start)

    def _span(self, text: bytes, at: int) -> tuple[int, int] | None:
        slots = self.find(text, at)
        return None if slots is None else (slots[0], slots[1])  # type: ignore[return-value]


def all_spans(find: Callable[[int], tuple[int, int] | None], size: int,
              start: int = 0) -> list[tuple[int, int]]:
    """Successive matches by a finder of the first match at or after a position."""
    out: list[tuple[int, int]] = []
    at, last = start, -1
    while at <= size:
        span = find(at)
        if span is None:
            break
        if span[0] == span[1] == last:  # empty, right after the last match: try again one further
            at = span[1] + 1
            span = find(at) if at <= size else None
            if span is None:
                break
        out.append(span)
        at = last = span[1]
    return out
