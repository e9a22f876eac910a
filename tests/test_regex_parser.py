"""The parser: what it accepts is what rg accepts; the tree is Rust's Hir, seen through literals and programs."""

from __future__ import annotations

import random

import pytest
from regex_patterns import rg_accepts

from curserve.errors import Decline
from curserve.regex import RegexOptions, Translation, translate


def plain(source: str, **options: object) -> Translation:
    """The translation of one pattern."""
    return translate([source.encode()], RegexOptions(**options))  # type: ignore[arg-type]


def reason(source: str, **options: object) -> str | None:
    """Why the pattern is declined; None if it is not."""
    try:
        plain(source, **options)
    except Decline as decline:
        return decline.reason
    return None


@pytest.mark.parametrize(
    ("source", "options", "expected"),
    [
        ("a(", {}, "regex_error"),
        ("a)(b", {}, None),  # rg wraps it in (?:…)
        ("*", {}, "regex_error"),
        ("a**", {}, None),
        ("(?i)*", {}, "regex_error"),
        ("a{,2}", {}, "regex_error"),
        ("a{ 1 , 2 }", {}, None),
        ("a{2,1}", {}, "regex_error"),
        ("a{4294967296}", {}, "regex_error"),
        ("[z-a]", {}, "regex_error"),
        ("[a", {}, "regex_error"),
        ("[]a]", {}, None),
        (r"[\b]", {}, "regex_error"),
        (r"[a-\d]", {}, "regex_error"),
        (r"\q", {}, "regex_error"),
        (r"\1", {}, "regex_error"),
        (r"\é", {}, "regex_error"),
        (r"\-\_\ ", {}, None),
        (r"\b{start}\b{start-half}\b{2}(?x)\b{ end }", {}, None),
        (r"\b{ end }", {}, "regex_error"),
        (r"\b{foo}", {}, "regex_error"),
        ("(?P<n>a)(?<n>b)", {}, "regex_error"),
        ("(?<a.b[0]>x)", {}, None),
        ("(?=a)", {}, "regex_error"),
        ("(?<!a)", {}, "regex_error"),
        ("(?ii)", {}, "regex_error"),
        ("(?i-)", {}, "regex_error"),
        ("(?)", {}, "regex_error"),
        (r"\x{110000}", {}, "regex_error"),
        (r"\u{D800}", {}, "regex_error"),
        (r"\p{NoSuch}", {}, "regex_property"),
        (r"(?-u:\pL)", {}, "regex_error"),
        ("(?-u:[é])", {}, "regex_error"),
        ("(?-u:é)", {}, None),
        (r"(?-u:\xff)", {}, None),
        (r"\n", {}, "regex_literal_newline"),
        (r"[\n]", {}, "regex_literal_newline"),
        (r"\n|a", {}, None),  # becomes a class, from which it is taken
        (r"\n|ab", {}, "regex_literal_newline"),
        (r"[ab]\n|[ab]c", {}, None),  # [ab][\nc]
        (r"\n{0}a", {}, None),
        (r"\n", {"multi_line": True}, None),
        (r"\r", {"crlf": True}, "regex_literal_newline"),
        (r"\x00", {}, "regex_error"),
        (r"\x00", {"ban_nul": False}, None),
        (r"[\x00a]", {}, None),
        (r"\x00", {"null_data": True, "ban_nul": False}, "regex_literal_newline"),
        ("(a{1000}){1000}", {}, "regex_size"),
        ("(){4294967295}", {}, None),  # of nothing, once is enough
        ("(" * 249 + ")" * 249, {}, None),
        ("(" * 250 + ")" * 250, {}, "regex_error"),  # with rg's own group one too deep
        ("a", {"size_limit": 100}, "regex_size_limit"),
    ],
)
def test_accepts_what_rg_accepts(source: str, options: dict[str, object], expected: str | None) -> None:
    assert reason(source, **options) == expected


def test_invalid_utf8_is_refused() -> None:
    with pytest.raises(Decline):
        translate([b"a\xff"], RegexOptions())


TOKENS = [
    *"a b k é ( ) (?: (?P<n> (?<m> (?i) (?x) (?-u) (?s-m: (?R) [ [^ ] - -- && ~~ & ~ | * + ? { } {2} {1,3}".split(),
    *r"{2,} {,3} {3,1} \d \W \b \b{start} \b{foo} \b{2} \x \x41 \x{41} \u0041 \U00000041 \u{D800} \pL".split(),
    *r"\p{Greek} \p{^L} \P{gc=Lu} \p{gc!=L} \p \ \\ \q \é \- \< \> \_ \a \0 \1 \8 \n \r # [:alpha:]".split(),
    *r"[[:alpha:]] [:^digit:] [[:foo:]] . ^ $ 0 9 , ! ?= < > P = : []a] [^]] [a-z] [z-a] [\d-z] [a-\d]".split(),
    *r"[\b] \pN \p{age=3.0} \B{start} (? (?- (?ii) (?i-i) (?) (?:) () \z".split(),
    *(" ", "\n", "\t", "\u00a0", "{ 1 , 2 }", r"\b{ end }", r"\x{ 4 1 }", r"\p{is L}", r"\p{sc = Greek}"),
]


@pytest.mark.parametrize("seed", range(8))
def test_accepts_what_rg_accepts_of_anything(seed: int) -> None:
    """Strings of tokens: an error here is an error there, and the other way round."""
    rng = random.Random(seed)
    for _ in range(60):
        source = "".join(rng.choice(TOKENS) for _ in range(rng.randint(1, 7)))
        if rng.random() < 0.25:
            source = "(?x)" + source
        if rng.random() < 0.3:
            source = f"[{source}]"
        why = reason(source, multi_line=True, ban_nul=False)
        if why in (None, "regex_error"):
            assert (why is None) == rg_accepts(source), source


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([], [False, False]),
        (["foo"], [True, True]),
        (["Foo"], [True, False]),
        ([r"\w"], [True, False]),
        ([r"foo\W\pL"], [True, True]),
        ([r"\x41b"], [True, False]),
        (["foo", "B"], [True, False]),
        ([r"[a-Z]"], None),
        ([r"[A-z]"], [True, False]),
    ],
)
def test_smart_case(sources: list[str], expected: list[bool] | None) -> None:
    """Case is ignored if there is a literal and none of them is upper case."""
    patterns = [source.encode() for source in sources]
    if expected is None:
        with pytest.raises(Decline):
            translate(patterns, RegexOptions(case="smart"))
        return
    found = translate(patterns, RegexOptions(case="smart"))
    assert ("insensitive" in found.constructs) == expected[1]


@pytest.mark.parametrize("source", ["a" + "*" * 240, "(" * 80 + "a" + "*|b)" * 80, "(?:x" * 80 + ")*" * 80])
def test_deep_nesting_is_translated_or_declined(source: str) -> None:
    assert reason(source) in (None, "regex_size", "regex_error")


def test_groups_are_numbered_over_all_patterns() -> None:
    found = translate([b"(a)(?P<x>b)", b"(?<y>c)"], RegexOptions())
    assert found.capture_names == (None, None, b"x", b"y")
    assert found.capture_slots == 8
