"""Sets of scalar values as automata over UTF-8 bytes: no surrogates, no overlong forms, shared tails.

In: a CharSet. Out: `automaton` (states with disjoint byte ranges), `fragment` (the same as instructions that can be
moved anywhere by one multiplication and one addition), `re2_class` (the same as RE2 text in Latin-1 mode). All three
are remembered in the set itself. Invariant: every path spells one member, every member is spelled by one path.
"""
from __future__ import annotations

import struct
from collections.abc import Iterator

from .charset import CharSet, from_index

FAIL_OP, BYTE_OP, SPLIT_OP, SAVE_OP, LOOK_OP, JUMP_OP, MATCH_OP = range(7)
pack = struct.Struct("<BBBBII").pack
INST_BYTES = 12

State = tuple[tuple[int, int, int], ...]  # (low byte, high byte, next state); next state -1: done

_PLAIN_BYTES = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_TOPS = (0x7F, 0x7FF, 0xFFFF, 0x10FFFF)


def _sequences(low: int, high: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """The scalar values low..high (no surrogates inside) as sequences of byte ranges, in order."""
    pending = [(low, high)]
    while pending:
        low, high = pending.pop()
        cut = _cut(low, high)
        if cut is not None:
            pending.append((cut + 1, high))
            pending.append((low, cut))
        else:
            yield tuple(zip(chr(low).encode(), chr(high).encode(), strict=True))


def _cut(low: int, high: int) -> int | None:
    """Where low..high must be cut so that either part is nearer to one product of byte ranges; None if it is one."""
    for top in _TOPS:
        if low <= top < high:
            return top
    if high > 0x7F:
        for shift in (6, 12, 18):
            mask = (1 << shift) - 1
            if low & ~mask != high & ~mask:
                if low & mask:
                    return low | mask
                if high & mask != mask:
                    return (high & ~mask) - 1
    return None


def automaton(chars: CharSet) -> list[State]:
    """States in an order where the first is the start. Never called for an empty set."""
    found: list[State] | None = chars.memo.get("automaton")
    if found is not None:
        return found
    if chars.is_bytes:
        found = [tuple((low, high, -1) for low, high in chars.ranges)]
    else:
        sequences = [s for low, high in _scalar_ranges(chars) for s in _sequences(low, high)]
        numbers: dict[State, int] = {}
        states: list[State] = []

        def build(rows: list[tuple[tuple[int, int], ...]], depth: int) -> int:
            moves: list[tuple[int, int, int]] = []
            at = 0
            while at < len(rows):
                head = rows[at][depth]
                stop = at + 1
                while stop < len(rows) and rows[stop][depth] == head:
                    stop += 1
                target = -1 if len(rows[at]) == depth + 1 else build(rows[at:stop], depth + 1)
                if moves and moves[-1][2] == target and moves[-1][1] + 1 == head[0]:
                    moves[-1] = (moves[-1][0], head[1], target)
                else:
                    moves.append((head[0], head[1], target))
                at = stop
            state = tuple(moves)
            number = numbers.get(state)
            if number is None:
                number = numbers[state] = len(states)
                states.append(state)
            return number

        build(sequences, 0)
        last = len(states) - 1  # built children first; turn round so that the start is first
        states.reverse()
        found = [tuple((low, high, -1 if to < 0 else last - to) for low, high, to in state) for state in states]
    chars.memo["automaton"] = found
    return found


def _scalar_ranges(chars: CharSet) -> Iterator[tuple[int, int]]:
    for low, high in chars.ranges:
        if low < 0xD800 <= high:
            yield low, 0xD7FF
            yield 0xE000, from_index(high)
        else:
            yield from_index(low), from_index(high)


def fragment(chars: CharSet) -> tuple[int, int, int]:
    """(instructions at address 0, what to add per address to move them, how many): they fall through to the next one.

    The first two are numbers that hold the packed instructions little-endian, so moving is `first + address * second`.
    """
    found: tuple[int, int, int] | None = chars.memo.get("fragment")
    if found is not None:
        return found
    states = automaton(chars)
    starts, size = [], 0
    for state in states:
        starts.append(size)
        size += 2 * len(state) - 1
    code, moves = [], []
    at = 0
    for state in states:
        for number, (low, high, to) in enumerate(state):
            if number + 1 < len(state):
                code.append(pack(SPLIT_OP, 0, 0, 0, at + 1, at + 2))
                moves.append(pack(0, 0, 0, 0, 1, 1))
                at += 1
            code.append(pack(BYTE_OP, low, high, 0, size if to < 0 else starts[to], 0))
            moves.append(pack(0, 0, 0, 0, 1, 0))
            at += 1
    found = (int.from_bytes(b"".join(code), "little"), int.from_bytes(b"".join(moves), "little"), size)
    chars.memo["fragment"] = found
    return found


def byte_text(byte: int) -> str:
    """One byte as RE2 text, inside or outside of brackets."""
    return chr(byte) if byte in _PLAIN_BYTES else f"\\x{byte:02x}"


def bracket(ranges: list[tuple[int, int]] | tuple[tuple[int, int], ...]) -> str:
    """Byte ranges as an RE2 class (or one character)."""
    if not ranges:
        return r"[^\x00-\xff]"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return byte_text(ranges[0][0])
    out = []
    for low, high in ranges:
        out.append(byte_text(low))
        if high > low:
            out.append(("" if high == low + 1 else "-") + byte_text(high))
    return "[" + "".join(out) + "]"


def re2_class(chars: CharSet, ascii_only: bool) -> str:
    """The set as one RE2 atom in Latin-1 mode; `ascii_only`: exact only where every byte is below 0x80."""
    key = ("re2", ascii_only)
    found: str | None = chars.memo.get(key)
    if found is not None:
        return found
    if ascii_only:
        found = bracket([(low, min(high, 0x7F)) for low, high in chars.ranges if low < 0x80])
    elif chars.is_bytes or chars.is_ascii():
        found = bracket(chars.ranges)
    else:
        states = automaton(chars)
        texts: dict[int, str] = {-1: ""}

        def text(number: int) -> str:
            known = texts.get(number)
            if known is None:
                by_target: dict[int, list[tuple[int, int]]] = {}
                for low, high, to in states[number]:
                    by_target.setdefault(to, []).append((low, high))
                branches = [bracket(ranges) + text(to) for to, ranges in by_target.items()]
                known = branches[0] if len(branches) == 1 else "(?:" + "|".join(branches) + ")"
                texts[number] = known
            return known

        found = text(0)
        if not found.startswith("(?:"):
            found = f"(?:{found})"
    chars.memo[key] = found
    return found
