"""RegexOptions: how rg sets up its regex engine; Translation: all that the kernel and the index need of a pattern."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .grams import Grams


@dataclass(frozen=True)
class RegexOptions:
    """What changes the meaning of the patterns. Defaults are rg's.

    `word` (-w) and `line` (-x): `line` wins. `dotall` counts only with `multi_line` (-U). `ban_nul`: rg refuses
    patterns that must match a NUL, unless binary detection is off for all files (-a, --null-data). `size_limit`: of
    --regex-size-limit; any value declines, as rg measures its own automata.
    """

    fixed_strings: bool = False
    case: Literal["sensitive", "insensitive", "smart"] = "sensitive"
    word: bool = False
    line: bool = False
    unicode: bool = True
    multi_line: bool = False
    dotall: bool = False
    crlf: bool = False
    null_data: bool = False
    ban_nul: bool = True
    size_limit: int | None = None


@dataclass(frozen=True)
class Translation:
    """The fields of MatcherSpec (curserve/kernel/matcher.h) with their meaning there, and more.

    `multi_line` is whether rg would search across lines: False also with -U if no match can hold the terminator and no
    anchor looks at a newline. `capture_names[g]` is the name of group g, or None. `grams`: what a matching line has.
    """

    program: bytes
    capture_slots: int
    capture_names: tuple[bytes | None, ...]
    line_terminator: int
    multi_line: bool
    told_terminator: bool
    re2_ascii: bytes
    re2_bytes: bytes
    re2_spans: bool
    literals: tuple[bytes, ...]
    literals_fold_ascii: bool
    required: tuple[bytes, ...]
    required_fold_ascii: bool
    grams: Grams
    constructs: frozenset[str]
