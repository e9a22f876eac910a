"""Translates patterns to what the kernel runs, as ripgrep 15.2.0 (grep-regex) would set up its engine for them.

In: the patterns as typed and RegexOptions. Out: a Translation. Whatever rg would refuse, and whatever we cannot say
exactly, is declined. The steps are rg's: join the patterns as alternatives, decide smart case by the letters in them,
refuse what must match NUL, take the line terminator out of every class, wrap for -w or -x.
"""
from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from ..errors import Decline
from . import parser, re2text, unicode
from .hir import (
    ALT,
    CAP,
    CAT,
    CLASS,
    END,
    END_CRLF,
    END_LF,
    HALF_END_ASCII,
    HALF_END_UNICODE,
    HALF_START_ASCII,
    HALF_START_UNICODE,
    LIT,
    LOOK,
    REP,
    START,
    START_CRLF,
    START_LF,
    Node,
    alternation,
    check_ban,
    concat,
    literal,
    strip,
)
from .literals import find_literals
from .options import RegexOptions, Translation
from .program import compile_program

_LINE_LOOKS = frozenset((START, END, START_LF, END_LF, START_CRLF, END_CRLF))
"""A pattern with one of these is asked of the whole text with -U, whatever it can match."""


def translate(patterns: Sequence[bytes], options: RegexOptions) -> Translation:
    """The translation of an alternation of patterns; of none: what matches nothing. Raises errors.Decline.

    Remembers the last few answers: an agent asks the same thing of many folders.
    """
    try:
        return _translate(tuple(patterns), options)
    except RecursionError:
        raise Decline("regex_size") from None  # nested within rg's limit, but too deep for this stack


@functools.lru_cache(maxsize=256)
def _translate(patterns: tuple[bytes, ...], options: RegexOptions) -> Translation:
    if options.size_limit is not None:
        raise Decline("regex_size_limit")
    try:
        texts = [pattern.decode() for pattern in patterns]
    except UnicodeDecodeError:
        raise Decline("regex_error") from None
    node, insensitive, names, constructs = _tree(texts, options)
    if options.line:
        node = concat(((LOOK, START_CRLF if options.crlf else START_LF), node,
                       (LOOK, END_CRLF if options.crlf else END_LF)))
        constructs.add("line")
    elif options.word:
        node = concat(((LOOK, HALF_START_UNICODE if options.unicode else HALF_START_ASCII), node,
                       (LOOK, HALF_END_UNICODE if options.unicode else HALF_END_ASCII)))
        constructs.add("word")
    looks = set(_looks(node))
    terminator = 0 if options.null_data else 0x0A
    if options.null_data and not options.multi_line and looks & {START, END}:
        # rg asks whole lines, or all of its buffer, of the end of which \z speaks: as its engine takes to the pattern.
        raise Decline("regex_null_data")
    multi_line = options.multi_line and (
        _can_match(node, terminator) or (terminator == 0x0A and not looks.isdisjoint(_LINE_LOOKS))
    )
    findings = find_literals(node, insensitive)
    return Translation(
        program=compile_program(node),
        capture_slots=2 * len(names),
        capture_names=tuple(None if name is None else name.encode() for name in names),
        line_terminator=terminator,
        multi_line=multi_line,
        told_terminator=not options.multi_line,
        re2_ascii=re2text.ascii_text(node),
        re2_bytes=re2text.bytes_text(node),
        re2_spans=re2text.spans_agree(node),
        literals=findings.literals,
        literals_fold_ascii=findings.literals_fold_ascii,
        required=findings.required,
        required_fold_ascii=findings.required_fold_ascii,
        grams=findings.grams,
        constructs=frozenset(constructs))


def warm() -> None:
    """Builds what the first \\w, \\s, \\d, . and -i beyond ASCII need (some 30 ms), so that no request waits for it."""
    for pattern in (rb"\w\W\s\S\d\D.", rb"[\w.-][\w-][^\s]"):
        for multi_line in (False, True):
            _translate((pattern,), RegexOptions(multi_line=multi_line))
            _translate((pattern,), RegexOptions(multi_line=multi_line, case="insensitive"))


def _tree(texts: list[str], options: RegexOptions) -> tuple[Node, bool, list[str | None], set[str]]:
    """(tree, was case ignored for all of it, names of the groups, constructs) before -w and -x are applied."""
    terminators = () if options.multi_line else (0,) if options.null_data else (0x0D, 0x0A) if options.crlf else (0x0A,)
    names: list[str | None] = [None]
    insensitive = options.case == "insensitive"
    if options.fixed_strings or not any(not parser.META.isdisjoint(text) for text in texts):
        constructs = {"literal"}
        if options.case == "smart":
            whole = "".join(texts)
            insensitive = bool(whole) and not any(map(unicode.is_uppercase, whole))
        if options.case == "sensitive" and not any(chr(byte) in text for text in texts for byte in terminators):
            # rg makes these without its parser, so that neither a NUL nor --no-unicode is an obstacle.
            return alternation([literal(text.encode()) for text in texts]), False, names, constructs
        reader = parser.Parser("", _flags(options, insensitive))
        node = alternation([reader.plain(text) for text in texts])
    else:
        whole = "|".join([f"(?:{text})" for text in texts])
        reader = parser.Parser(whole, _flags(options, insensitive))
        node = reader.parse()
        if options.case == "smart" and reader.any_literal and not reader.any_uppercase:
            insensitive = True
            reader = parser.Parser(whole, _flags(options, True))
            node = reader.parse()
        names, constructs = reader.names, reader.constructs
    if options.ban_nul:
        check_ban(node, 0)
    for terminator in terminators:
        node = strip(node, terminator)
    if insensitive:
        constructs.add("insensitive")
    return node, insensitive, names, constructs


def _flags(options: RegexOptions, insensitive: bool) -> int:
    flags = parser.MULTI_LINE
    if insensitive:
        flags |= parser.INSENSITIVE
    if options.multi_line and options.dotall:
        flags |= parser.DOT_ALL
    if options.unicode:
        flags |= parser.UNICODE
    if options.crlf:
        flags |= parser.CRLF
    return flags


def _looks(node: Node) -> Iterator[int]:
    kind = node[0]
    if kind == LOOK:
        yield node[1]
    elif kind == REP:
        yield from _looks(node[4])
    elif kind == CAP:
        yield from _looks(node[3])
    elif kind in (CAT, ALT):
        for sub in node[1]:
            if sub[0] != LIT and sub[0] != CLASS:
                yield from _looks(sub)


def _can_match(node: Node, byte: int) -> bool:
    """True if `byte` (ASCII) can occur in a match."""
    kind = node[0]
    if kind == LIT:
        return byte in node[1]
    if kind == CLASS:
        return byte in node[1]
    if kind == REP:
        return _can_match(node[4], byte)
    if kind == CAP:
        return _can_match(node[3], byte)
    return kind in (CAT, ALT) and any(_can_match(sub, byte) for sub in node[1])


__all__ = ["RegexOptions", "Translation", "translate", "warm"]
