"""The tree of a pattern: what Rust's Hir is, with the same simplifications.

Nodes are plain tuples (cheap to make, compared by value): (EMPTY,) · (LIT, bytes) · (CLASS, CharSet) · (LOOK, look) ·
(REP, min, max or None, greedy, sub) · (CAP, index, name, sub) · (CAT, (sub, …)) · (ALT, (sub, …)).
The constructors below must simplify exactly as regex-syntax 0.8 does, because it shows: `.*b|.*c` becomes `.*[bc]`,
which prefers other spans, and `\\n|a` becomes a class, from which \\n may be stripped where a literal is an error.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import Decline
from .charset import BYTE_TOP, CharSet, from_index, to_index

Node = tuple[Any, ...]

EMPTY_KIND, LIT, CLASS, LOOK, REP, CAP, CAT, ALT = range(8)

# Look-arounds: the numbers of enum Look in curserve/kernel/program.h.
START, END, START_LF, END_LF, START_CRLF, END_CRLF = range(6)
WORD_ASCII, NOT_WORD_ASCII, WORD_UNICODE, NOT_WORD_UNICODE = range(6, 10)
WORD_START_ASCII, WORD_END_ASCII, WORD_START_UNICODE, WORD_END_UNICODE = range(10, 14)
HALF_START_ASCII, HALF_END_ASCII, HALF_START_UNICODE, HALF_END_UNICODE = range(14, 18)

EMPTY: Node = (EMPTY_KIND,)
FAIL: Node = (CLASS, CharSet((), BYTE_TOP))


def literal(text: bytes) -> Node:
    return (LIT, text) if text else EMPTY


def char_class(chars: CharSet) -> Node:
    """A class; a set of one member becomes a literal, an empty one matches nothing."""
    ranges = chars.ranges
    if not ranges:
        return FAIL
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        member = ranges[0][0]
        return (LIT, bytes((member,)) if chars.is_bytes else chr(from_index(member)).encode())
    return (CLASS, chars)


def max_len_is_zero(node: Node) -> bool:
    """True if no match of the node consumes a byte (what Rust's maximum_len() == Some(0) says)."""
    kind = node[0]
    if kind in (LIT, CLASS):
        return False
    if kind == REP:
        return max_len_is_zero(node[4])
    if kind == CAP:
        return max_len_is_zero(node[3])
    if kind in (CAT, ALT):
        return all(max_len_is_zero(sub) for sub in node[1])
    return True


def can_be_empty(node: Node) -> bool:
    """True unless every match of the node consumes at least one byte (Rust's minimum_len() of Some(n > 0))."""
    kind = node[0]
    if kind == LIT:
        return False
    if kind == CLASS:
        return not node[1].ranges  # an empty class has no minimum
    if kind == REP:
        return node[1] == 0 or can_be_empty(node[4])
    if kind == CAP:
        return can_be_empty(node[3])
    if kind == CAT:
        return all(can_be_empty(sub) for sub in node[1])
    if kind == ALT:
        return any(can_be_empty(sub) for sub in node[1])
    return True


def repetition(low: int, high: int | None, greedy: bool, sub: Node) -> Node:
    if sub[0] not in (LIT, CLASS) and max_len_is_zero(sub):
        low = min(low, 1)
        high = 1 if high is None else min(high, 1)
    if high == 0:
        return EMPTY
    if low == 1 and high == 1:
        return sub
    return (REP, low, high, greedy, sub)


def concat(subs: Iterable[Node]) -> Node:
    """The subs one after the other: nested concatenations are flattened, neighbouring literals joined."""
    out: list[Node] = []
    pending: list[bytes] = []
    for sub in subs:
        kind = sub[0]
        for item in (sub[1] if kind == CAT else (sub,)):
            if item[0] == LIT:
                pending.append(item[1])
                continue
            if item[0] == EMPTY_KIND:
                continue
            if pending:
                out.append((LIT, b"".join(pending)))
                pending = []
            out.append(item)
    if pending:
        out.append((LIT, b"".join(pending)))
    if not out:
        return EMPTY
    return out[0] if len(out) == 1 else (CAT, tuple(out))


def alternation(subs: Iterable[Node]) -> Node:
    """The first sub that matches: flattened; single characters or classes become one class; a common head is lifted."""
    flat: list[Node] = []
    for sub in subs:
        if sub[0] == ALT:
            flat.extend(sub[1])
        else:
            flat.append(sub)
    if not flat:
        return FAIL
    if len(flat) == 1:
        return flat[0]
    kind = flat[0][0]
    if kind == LIT:
        merged = _class_of_literals(flat)
        if merged is not None:
            return merged
    elif kind == CLASS:
        merged = _class_of_classes(flat)
        if merged is not None:
            return merged
    elif kind == CAT:
        lifted = _lift_common_head(flat)
        if lifted is not None:
            return lifted
    return (ALT, tuple(flat))


def _class_of_literals(flat: list[Node]) -> Node | None:
    members = []
    for node in flat:
        if node[0] != LIT or len(node[1]) > 4:
            return None
    for node in flat:
        try:
            text = node[1].decode()
        except UnicodeDecodeError:
            text = ""
        if len(text) != 1:
            break
        members.append(to_index(ord(text)))
    else:
        return char_class(CharSet.of((m, m) for m in members))
    if all(len(node[1]) == 1 for node in flat):
        return char_class(CharSet.of(((node[1][0], node[1][0]) for node in flat), BYTE_TOP))
    return None


def _class_of_classes(flat: list[Node]) -> Node | None:
    if any(node[0] != CLASS for node in flat):
        return None
    ranges = [r for node in flat for r in node[1].ranges]
    # As scalar values if every set of bytes among them is ASCII; else as bytes if all sets of scalar values are.
    if all(not node[1].is_bytes or node[1].is_ascii() for node in flat):
        return char_class(CharSet.of(ranges))
    if all(node[1].is_bytes or node[1].is_ascii() for node in flat):
        return char_class(CharSet.of(ranges, BYTE_TOP))
    return None


def _lift_common_head(flat: list[Node]) -> Node | None:
    first = flat[0][1]
    length = len(first)
    for node in flat[1:]:
        if node[0] != CAT:
            return None
        common = 0
        for left, right in zip(first[:length], node[1], strict=False):
            if left != right:
                break
            common += 1
        length = common
        if not length:
            return None
    return concat((*first[:length], alternation([concat(node[1][length:]) for node in flat])))


def strip(node: Node, byte: int) -> Node:
    """The tree that never matches the terminator `byte`. Declines where rg says the literal is not allowed."""
    kind = node[0]
    if kind == LIT:
        if byte in node[1]:
            raise Decline("regex_literal_newline")
        return node
    if kind == CLASS:
        chars = node[1].without(byte)
        if chars is node[1]:
            return node
        if not chars.ranges:
            raise Decline("regex_literal_newline")
        return char_class(chars)
    if kind == REP:
        sub = strip(node[4], byte)
        return node if sub is node[4] else repetition(node[1], node[2], node[3], sub)
    if kind == CAP:
        sub = strip(node[3], byte)
        return node if sub is node[3] else (CAP, node[1], node[2], sub)
    if kind in (CAT, ALT):
        subs = [strip(sub, byte) for sub in node[1]]
        if all(new is old for new, old in zip(subs, node[1], strict=True)):
            return node
        return concat(subs) if kind == CAT else alternation(subs)
    return node


def check_ban(node: Node, byte: int) -> None:
    """Declines if some part of the tree can match nothing but `byte` (rg: "impossible to match" NUL)."""
    kind = node[0]
    if kind == LIT:
        if byte in node[1]:
            raise Decline("regex_error")
    elif kind == REP:
        check_ban(node[4], byte)
    elif kind == CAP:
        check_ban(node[3], byte)
    elif kind in (CAT, ALT):
        for sub in node[1]:
            check_ban(sub, byte)
