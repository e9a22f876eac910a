"""What literals say about a tree: the whole of it, a set every match contains one of, and the gram query.

A filter may over-match, never under-match. In: a tree. Out: `Findings`. For each node: the exact list of strings it
matches in order of priority (if short), else sets that every match begins with, ends with and contains. Where letters
come in both cases, the strings are folded to lower case and the findings say so; U+212A then counts as k, U+017F as s.
"""
from __future__ import annotations

from dataclasses import dataclass

from . import grams
from .charset import BYTE_TOP, CharSet, from_index
from .hir import ALT, CAP, CAT, CLASS, EMPTY_KIND, LIT, LOOK, REP, Node

MAX_PRODUCT = 32  # strings in a product; arbitrary
MAX_CLASS = 16  # members of a class that are worth spelling out; arbitrary
MAX_REQUIRED = 48  # a larger set of required literals is slower to find than the pattern
MIN_REQUIRED_BYTES = 2
MAX_QUERY = 256  # alternatives in a gram query; with more, scanning is cheaper than asking; arbitrary

Strings = tuple[bytes, ...]


@dataclass(frozen=True)
class Findings:
    """See curserve/kernel/matcher.h for the first four."""

    literals: Strings
    literals_fold_ascii: bool
    required: Strings
    required_fold_ascii: bool
    grams: grams.Grams


class _Part:
    """What is known of a node. exact: all its strings, by priority; else head and tail sets (("",): unknown)."""

    __slots__ = ("exact", "head", "tail", "needs")

    def __init__(self, exact: Strings | None, head: Strings = (b"",), tail: Strings = (b"",),
                 needs: list[_Need] | None = None) -> None:
        self.exact = exact
        self.head = head
        self.tail = tail
        self.needs = needs or []  # all of them hold


class _Need:
    """Every match contains one of `strings`; or (strings empty) every need of one of the branches holds."""

    __slots__ = ("strings", "branches")

    def __init__(self, strings: Strings, branches: tuple[list[_Need], ...] = ()) -> None:
        self.strings = strings
        self.branches = branches


_UNKNOWN: Strings = (b"",)


def _product(left: Strings, right: Strings) -> Strings:
    if len(right) == 1:
        tail = right[0]
        return tuple([text + tail for text in left]) if tail else left
    return tuple([a + b for a in left for b in right])


def _needs_of(strings: Strings) -> list[_Need]:
    return [] if b"" in strings else [_Need(strings)]


class _Analysis:
    def __init__(self, folded: bool) -> None:
        self.folded = folded
        self.saw_pair = False
        self.closed = True  # no letter stands for itself only
        self.looks = False

    def part(self, node: Node) -> _Part:
        kind = node[0]
        if kind == LIT:
            text: bytes = node[1]
            if self.folded:
                lower = text.lower()
                if self.closed and (lower != text or lower.upper() != lower):
                    self.closed = False
                text = lower
                if not text.isascii():
                    text = _fold_beyond(text)
                    self.closed &= text == lower  # U+212A stands for itself here, and k does not match it
            return _Part((text,))
        if kind == CLASS:
            return _Part(self.members(node[1]))
        if kind == CAT:
            return self.concat(node[1])
        if kind == CAP:
            return self.part(node[3])
        if kind == ALT:
            return self.alternation(node[1])
        if kind == REP:
            return self.repetition(*node[1:])
        if kind == LOOK:
            self.looks = True
        return _Part((b"",))

    def members(self, chars: CharSet) -> Strings | None:
        """The members of a small class; None if it is too large."""
        memo = chars.memo.get(("members", self.folded))
        if memo is None:
            memo = chars.memo["members", self.folded] = _members(chars, self.folded)
        strings, pair, closed = memo
        self.saw_pair |= pair
        self.closed &= closed
        return strings

    def concat(self, subs: tuple[Node, ...]) -> _Part:
        run: Strings = (b"",)
        head: Strings | None = None
        needs: list[_Need] = []
        for sub in subs:
            part = self.part(sub)
            exact = part.exact
            if exact is not None:
                if len(run) * len(exact) <= MAX_PRODUCT or len(run) == 1:
                    run = _product(run, exact)
                    continue
                needs += _needs_of(run)
                if head is None:
                    head = run
                run = exact
                continue
            if len(run) * len(part.head) <= MAX_PRODUCT:
                run = _product(run, part.head)
            needs += _needs_of(run)
            if head is None:
                head = run
            needs += part.needs
            run = part.tail
        if head is None:
            return _Part(run)
        return _Part(None, head, run, needs + _needs_of(run))

    def alternation(self, subs: tuple[Node, ...]) -> _Part:
        parts = [self.part(sub) for sub in subs]
        if all(part.exact is not None for part in parts):
            return _Part(tuple(dict.fromkeys(text for part in parts for text in part.exact or ())))
        heads = tuple(dict.fromkeys(text for part in parts for text in (part.exact or part.head)))
        tails = tuple(dict.fromkeys(text for part in parts for text in (part.exact or part.tail)))
        branches = tuple(part.needs if part.exact is None else _needs_of(part.exact) for part in parts)
        needs = [_Need((), branches)] if all(branches) else []
        return _Part(None, heads if len(heads) <= MAX_PRODUCT else _UNKNOWN,
                     tails if len(tails) <= MAX_PRODUCT else _UNKNOWN, needs)

    def repetition(self, low: int, high: int | None, greedy: bool, sub: Node) -> _Part:
        part = self.part(sub)
        exact = part.exact
        if low == 0:
            if high == 1 and exact is not None and len(exact) < MAX_PRODUCT:
                return _Part(tuple(dict.fromkeys((*exact, b"") if greedy else (b"", *exact))))
            return _Part(None)
        if exact is None:
            return _Part(None, part.head, part.tail, part.needs)
        strings, copies = exact, 1
        while copies < low and len(strings) * len(exact) <= MAX_PRODUCT and len(strings[0]) < 64:
            strings = _product(strings, exact)
            copies += 1
        if low == high == copies:
            return _Part(strings)
        return _Part(None, strings, strings, _needs_of(strings))


def _fold_beyond(text: bytes) -> bytes:
    """The text with U+212A as k and U+017F as s, if it is text."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return text
    return text.replace(b"\xe2\x84\xaa", b"k").replace(b"\xc5\xbf", b"s")


def _members(chars: CharSet, folded: bool) -> tuple[Strings | None, bool, bool]:
    """(members or None, is there a letter in both cases, is every letter in both cases)."""
    if not chars.ranges:
        return (), False, True
    if chars.size() > MAX_CLASS:
        return None, False, True
    numbers = [n for low, high in chars.ranges for n in range(low, high + 1)]
    letters = {n for n in numbers if 0x41 <= n <= 0x5A or 0x61 <= n <= 0x7A}
    paired = [n for n in letters if n ^ 0x20 in letters]
    alone = False  # U+212A without k and K, or U+017F without s and S: it is taken for a letter that does not match
    out = []
    for number in numbers:
        if folded and 0x41 <= number <= 0x5A:
            number |= 0x20
        text = bytes((number,)) if chars.top == BYTE_TOP else chr(from_index(number)).encode()
        if folded and number > 0x7F:
            taken_for = _fold_beyond(text)
            alone |= taken_for != text and not {taken_for[0], taken_for[0] ^ 0x20} <= letters
            text = taken_for
        out.append(text)
    return tuple(dict.fromkeys(out)), bool(paired), len(paired) == len(letters) and not alone


_COMMON = dict.fromkeys(b' etaoinsrl_\t()=,.;"', 0.6) | dict.fromkeys(b"dcumpfhgby0123456789-/", 0.8)


def _score(strings: Strings) -> float:
    """Higher for long, rare and few."""
    least = min(sum([_COMMON.get(byte, 1.0) for byte in text[:24]]) for text in strings)
    return least - 0.12 * len(strings)


def _best(needs: list[_Need]) -> tuple[float, Strings] | None:
    best: tuple[float, Strings] | None = None
    for need in needs:
        strings: Strings = need.strings
        if need.branches:
            found = [_best(branch) for branch in need.branches]
            if any(one is None for one in found):
                continue
            strings = tuple(dict.fromkeys(text for one in found if one for text in one[1]))
        if not strings or len(strings) > MAX_REQUIRED or min(map(len, strings)) < MIN_REQUIRED_BYTES:
            continue
        score = _score(strings)
        if best is None or score > best[0]:
            best = score, strings
    return best


def _query(needs: list[_Need]) -> grams.Grams:
    out = []
    for need in needs:
        if need.branches:
            out.append(grams.one_of([_query(branch) for branch in need.branches]))
        elif len(need.strings) <= MAX_QUERY:
            out.append(grams.one_of([grams.literal(text) for text in need.strings]))
    return grams.all_of(out)


def _has_letter(strings: Strings) -> bool:
    return any(text.lower() != text.upper() for text in strings)


def find_literals(node: Node, insensitive: bool) -> Findings:
    """What the literals of the tree say. `insensitive`: most letters come in both cases (only a hint, for speed)."""
    analysis = _Analysis(insensitive)
    part = analysis.part(node)
    if analysis.saw_pair and not insensitive:
        analysis = _Analysis(True)
        part = analysis.part(node)
    needs = part.needs
    literals: Strings = ()
    if part.exact is not None:
        needs = [_Need(part.exact)] if part.exact and b"" not in part.exact else []
        if not analysis.looks and needs and (analysis.closed or not analysis.folded):
            literals = part.exact
    best = None if literals else _best(needs)
    required = best[1] if best else ()
    query = grams.NOTHING if part.exact == () else _query(needs)
    return Findings(literals, analysis.folded and _has_letter(literals), required,
                    analysis.folded and _has_letter(required), query)


__all__ = ["EMPTY_KIND", "Findings", "find_literals"]
