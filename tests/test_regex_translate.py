"""Translations: the program, RE2's texts, literals and gram queries all say what the real rg says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from regex_patterns import make_lines, options, patterns, rg_spans

from curserve.errors import Decline
from curserve.regex import RegexOptions, Translation, translate
from curserve.regex.reference_vm import Program, all_spans

LINES = make_lines(5, 120)
NEVER = r"(?-u:\xFE\xFD\xFC\xFB)"
"""In no line. As one more pattern it changes nothing but what rg can tell of a common suffix: with a suffix, rg 15.2.0
may begin its search there and miss where a match begins (`.abb|b` in "xabb")."""
Spans = list[tuple[int, int]]


@pytest.fixture(scope="module")
def haystack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of all lines."""
    file = tmp_path_factory.mktemp("regex") / "lines"
    file.write_bytes(b"".join(line + b"\n" for line in LINES))
    return file


def rg_like(vm: Program, before: bytes, line: bytes) -> Spans | None:
    """The spans in a line as rg finds them: the line by the text with its terminators, spans up to the terminator."""
    text = before + line
    hit = vm.find(text + b"\nx", len(before))  # the x: another line follows, which no match of this one reaches
    if hit is None or hit[0] is None or hit[0] > len(text):
        return None
    return [(start - len(before), end - len(before)) for start, end in vm.spans(text, len(before))]


def finder(text: bytes, line: bytes) -> Callable[[int], tuple[int, int] | None]:
    """A finder for `all_spans` by RE2."""
    compiled: Any = re2.compile(b"(?:" + text + b")")

    def find(at: int) -> tuple[int, int] | None:
        found = compiled.search(line, at)
        return None if found is None else found.span()

    return find


def literal_finder(found: Translation, line: bytes) -> Callable[[int], tuple[int, int] | None]:
    """A finder for `all_spans` by the literals."""
    text = line.lower() if found.literals_fold_ascii else line

    def find(at: int) -> tuple[int, int] | None:
        for start in range(at, len(text) + 1):
            for literal in found.literals:
                if text.startswith(literal, start):
                    return start, start + len(literal)
        return None

    return find


def check_accelerators(found: Translation, line: bytes, spans: Spans) -> None:
    """What is there to be fast must agree with the program's spans in the line alone."""
    for text in {found.re2_ascii if line.isascii() else b"", found.re2_bytes} - {b""}:
        ours = all_spans(finder(text, line), len(line)) if found.re2_spans else bool(finder(text, line)(0))
        assert ours == (spans if found.re2_spans else bool(spans)), (text, line)
    if found.literals and (line.isascii() or not found.literals_fold_ascii):
        assert all_spans(literal_finder(found, line), len(line)) == spans, (found.literals, line)
    if spans:
        assert found.grams.evaluate(line), (str(found.grams), line)
        if found.required and (line.isascii() or not found.required_fold_ascii):
            text = line.lower() if found.required_fold_ascii else line
            assert any(literal in text for literal in found.required), (found.required, line)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(patterns, min_size=1, max_size=2), options)
def test_lines_and_spans_are_those_of_rg(haystack: Path, sources: list[str], regex: RegexOptions) -> None:
    expected = rg_spans(haystack, sources, regex)
    try:
        found = translate([source.encode() for source in sources], regex)
    except Decline as decline:
        assert expected is None or decline.reason not in ("regex_error", "regex_literal_newline")
        return
    assert expected is not None
    vm = Program(found.program, found.capture_slots)
    previous = b""
    for number, line in enumerate(LINES):
        before = previous + b"\n" if number else b""
        ours = rg_like(vm, before, line)
        if ours != expected.get(number) and not regex.fixed_strings:
            expected = rg_spans(haystack, [*sources, NEVER], regex) or {}
        assert ours == expected.get(number), line
        check_accelerators(found, line, vm.spans(line))
        previous = line


def test_a_fault_of_rg_that_is_no_oracle(tmp_path: Path) -> None:
    """When this fails, rg has been mended and NEVER can go."""
    file = tmp_path / "lines"
    file.write_bytes(b"xabb\n")
    assert rg_spans(file, [".abb|b"], RegexOptions()) == {0: [(2, 3), (3, 4)]}
    assert rg_spans(file, [".abb|b", NEVER], RegexOptions()) == {0: [(0, 4)]}
    found = text_of(".abb|b")
    assert Program(found.program, found.capture_slots).spans(b"xabb") == [(0, 4)]


def text_of(source: str, **kwargs: Any) -> Translation:
    """The translation of one pattern."""
    return translate([source.encode()], RegexOptions(**kwargs))


@pytest.mark.parametrize(
    ("source", "kwargs", "literals", "required", "grams"),
    [
        ("foo", {}, (b"foo",), (), "'foo'"),
        ("foo|ba[rz]", {}, (b"foo", b"bar", b"baz"), (), "('foo'|'bar'|'baz')"),
        ("Foo", {"case": "insensitive"}, (b"foo",), (), "'foo'"),
        ("a.c", {"fixed_strings": True}, (b"a.c",), (), "'a.c'"),
        ("(?i:foo)Bar", {}, (), (b"foobar",), "'foobar'"),
        (r"\w+_probe\(", {}, (), (b"_probe(",), "'_probe('"),
        ("foo", {"word": True}, (), (b"foo",), "'foo'"),
        ("foo.*barbaz", {}, (), (b"barbaz",), "('foo' 'barbaz')"),
        ("(foo.*x|bar).", {}, (), (b"foo", b"bar"), "('foo'|'bar')"),
        ("(ab)+c", {}, (), (b"abc",), "'abc'"),
        ("a{3}b?", {}, (b"aaab", b"aaa"), (), "('aaab'|'aaa')"),
        (r"\S+", {}, (), (), "*"),
        ("é", {"case": "insensitive"}, ("É".encode(), "é".encode()), (), "*"),
        ("\u017fo", {"case": "insensitive"}, (b"so",), (), "*"),
        ("x\u212ayz", {}, ("x\u212ayz".encode(),), (), "*"),
        ("", {}, (), (), "*"),
    ],
)
def test_literals(source: str, kwargs: dict[str, Any], literals: tuple[bytes, ...], required: tuple[bytes, ...],
                  grams: str) -> None:  # fmt: skip
    found = text_of(source, **kwargs)
    assert (found.literals, found.required, str(found.grams)) == (literals, required, grams)


@pytest.mark.parametrize(
    ("source", "kwargs", "ascii_text", "bytes_text"),
    [
        ("foo.bar", {}, rb"foo[\x00-\x09\x0b-\x7f]bar", None),
        ("foo", {"word": True}, rb"\bfoo\b", b""),
        ("foo", {"word": True, "unicode": False}, rb"\bfoo\b", rb"\bfoo\b"),
        ("-x", {"word": True}, rb"\B\x2dx\b", b""),
        ("foo|-x", {"word": True}, rb"(?:\bfoo|\B\x2dx)\b", b""),
        ("foo", {"line": True}, rb"(?m:^)foo(?m:$)", rb"(?m:^)foo(?m:$)"),
        ("foo$", {"crlf": True}, b"", b""),
        ("a{1001}", {}, b"", b""),
        ("(a{40}){40}", {}, b"", b""),
        ("é", {}, rb"\xc3\xa9", rb"\xc3\xa9"),
    ],
)
def test_re2_texts(source: str, kwargs: dict[str, Any], ascii_text: bytes, bytes_text: bytes | None) -> None:
    found = text_of(source, **kwargs)
    assert found.re2_ascii == ascii_text
    if bytes_text is not None:
        assert found.re2_bytes == bytes_text


def test_re2_spans_are_distrusted_where_nothing_is_repeated() -> None:
    assert not text_of("(a|b?)*c").re2_spans
    assert not text_of("(a*)+").re2_spans
    assert text_of("(ab)*c").re2_spans


@pytest.mark.parametrize(
    ("source", "kwargs", "expected"),
    [("foo", {}, False), (r"a\nb", {}, True), (r"a\sb", {}, True), ("a.b", {}, False), ("a.b", {"dotall": True}, True),
     ("^a", {}, True), ("a", {"line": True}, True), ("a", {"word": True}, False)],
)  # fmt: skip
def test_multi_line_only_where_rg_searches_so(source: str, kwargs: dict[str, Any], expected: bool) -> None:
    assert text_of(source, multi_line=True, **kwargs).multi_line is expected


def test_no_patterns_match_nothing() -> None:
    found = translate([], RegexOptions())
    assert Program(found.program, found.capture_slots).find(b"abc") is None
    assert str(found.grams) == "-"


def test_rusts_common_head_is_lifted() -> None:
    """`.*b|.*c` prefers the longer span, as in Rust, where it becomes `.*[bc]`."""
    found = text_of(".*b|.*c")
    assert Program(found.program, found.capture_slots).spans(b"abc") == [(0, 3)]


def test_captures() -> None:
    found = text_of("(a)|(?P<n>b)(c)?")
    vm = Program(found.program, found.capture_slots)
    assert vm.find(b"xbc") == [1, 3, None, None, 1, 2, 2, 3]
    assert vm.find(b"xb") == [1, 2, None, None, 1, 2, None, None]
