"""The Unicode tables against the binary they were learned from, and what is derived from sets."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from regex_patterns import REAL_RG

from curserve.regex import unicode
from curserve.regex.charset import UNICODE_TOP, CharSet, from_index, to_index
from curserve.regex.utf8 import automaton, re2_class

ranges = st.lists(
    st.tuples(st.integers(0, UNICODE_TOP), st.integers(0, 0x3000)).map(lambda p: (p[0], min(UNICODE_TOP, p[0] + p[1]))),
    max_size=6,
)  # fmt: skip


def spelled(chars: CharSet, text: bytes) -> bool:
    """True if the automaton of the set accepts the whole text."""
    states, state = automaton(chars), 0
    for byte in text:
        if state < 0:
            return False
        state = next((to for low, high, to in states[state] if low <= byte <= high), -2)
    return state == -1


@given(ranges, ranges)
def test_set_algebra(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    one, two = CharSet.of(left), CharSet.of(right)
    probes = [n for pair in left + right for n in (pair[0] - 1, pair[0], pair[1], pair[1] + 1) if 0 <= n <= UNICODE_TOP]
    for n in [0, UNICODE_TOP, *probes]:
        assert (n in one.union(two)) == (n in one or n in two)
        assert (n in one.intersect(two)) == (n in one and n in two)
        assert (n in one.difference(two)) == (n in one and n not in two)
        assert (n in one.symmetric_difference(two)) == ((n in one) != (n in two))
        assert (n in one.negate()) == (n not in one)
        assert (n in one.without(n)) is False


@given(ranges)
def test_utf8_spells_members_and_nothing_else(members: list[tuple[int, int]]) -> None:
    chars = CharSet.of(members)
    if not chars.ranges:
        return
    pattern = re2.compile(b"^(?:" + re2_class(chars, False).encode() + b")$")
    probes = {n for pair in chars.ranges for n in (pair[0] - 1, pair[0], pair[1], pair[1] + 1) if 0 <= n <= UNICODE_TOP}
    for n in probes | {0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xD800, UNICODE_TOP}:
        text = chr(from_index(n)).encode()
        assert spelled(chars, text) == (n in chars)
        if n != 10:
            assert bool(pattern.search(text)) == (n in chars)
    for text in (b"\xed\xa0\x80", b"\xc0\x80", b"\xe0\x80\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xff"):
        assert not spelled(chars, text)


@pytest.mark.parametrize("chunk", range(4))
def test_tables_are_those_of_rg(chunk: int, tmp_path: Path) -> None:
    """A sample of the named sets, counted by rg."""
    from curserve.regex.unicode_tables import NAMES

    file = tmp_path / "scalars"
    file.write_bytes(b"".join(chr(from_index(n)).encode() + b"\n" for n in range(UNICODE_TOP + 1) if n != 10))
    names = [name for name in sorted(NAMES) if not name.startswith("perl_")]
    for name in random.Random(chunk).sample(names, 12):
        members = unicode.named(name)
        assert members is not None
        argv = [str(REAL_RG), "--no-config", "-a", "-c", "--include-zero", rf"\p{{{name}}}", str(file)]
        counted = subprocess.run(argv, stdout=subprocess.PIPE, check=False, timeout=60).stdout
        assert int(counted) == members.without(10).size(), name


@pytest.mark.parametrize(
    ("name", "key"),
    [("Greek", "greek"), ("is_Greek", "greek"), ("IS-greek", "greek"), ("General_Category", "generalcategory"),
     ("isc", "isc"), ("is c", "isc"), ("L", "l")],
)  # fmt: skip
def test_loose_names(name: str, key: str) -> None:
    assert unicode.loose(name) == key


def test_folding() -> None:
    assert unicode.orbit(ord("k")) == (0x4B, 0x6B, 0x212A)
    assert unicode.orbit(ord("s")) == (0x53, 0x73, 0x17F)
    assert unicode.orbit(0x212A) == unicode.orbit(ord("k"))
    assert unicode.orbit(0x17F) == unicode.orbit(ord("s"))
    assert unicode.orbit(ord("1")) is None
    word = unicode.named("perl_word")
    assert word is not None and unicode.fold(word) == word
    assert unicode.fold(CharSet(((0x3C3, 0x3C3),))).size() == 3  # Σ σ ς
    for index, members in unicode._folds()[0].items():
        if index < 0x80:
            assert unicode.orbit(index) == members  # the short way and the tables agree


def test_to_index() -> None:
    assert to_index(0xE000) == to_index(0xD7FF) + 1
    assert from_index(UNICODE_TOP) == 0x10FFFF


def test_a_plain_literal_needs_no_tables() -> None:
    code = (
        "import sys; from curserve.regex import translate, RegexOptions;"
        "translate([b'kmalloc'], RegexOptions(case='insensitive')); translate([b'a-b|c'], RegexOptions(word=True));"
        "sys.exit('curserve.regex.unicode_tables' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
