"""The gram index: what it leaves out never matches, on random texts and queries, while it is built, merged and changed.

The subject is tests/kernel/index_test.cpp, which links the kernel's index alone; that a pattern's gram query is true of
every line that matches is tested in test_regex_translate.py, both together by test_fuzz.py. CURSERVE_INDEX_CASES sets
how many cases the long run has (default 1,000,000).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from built_c import run_sanitized, sanitized

from curserve.regex import grams

SOURCES = (
    "answers content decode multi_byte glob glob_parse glob_set global_rules gram_query ignore index index_build json"
    " literal mapped_file outside relative_git room rule_stack select symlink view walk cores"
).split()


@pytest.fixture(scope="session")
def index_test(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled subject, with sanitizers."""
    return sanitized("index_test", SOURCES, tmp_path_factory.mktemp("index"), ["re2"])


def run(index_test: Path, cases: int, seed: int) -> tuple[int, int, int]:
    """Cases, those that match, those that the index lets through."""
    words = run_sanitized(index_test, str(cases), str(seed)).split()
    return int(words[0]), int(words[2]), int(words[4])


@pytest.mark.timeout(300)
def test_nothing_that_matches_is_left_out(index_test: Path) -> None:
    cases, match, through = run(index_test, 60_000, 1)
    assert match > cases // 50, "hardly a case matches"
    assert match <= through < cases // 2, "an index that never says no"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_that_matches_is_left_out_at_length(index_test: Path) -> None:
    run(index_test, int(os.environ.get("CURSERVE_INDEX_CASES", "1000000")), 2)


def test_packed_queries() -> None:
    foo, bar = grams.literal(b"Foo1"), grams.literal(b"bar")
    assert grams.pack(grams.ANY) == b""
    assert grams.pack(grams.NOTHING) == b"\x01-"
    assert grams.pack(foo) == b"\x01L\x04\0\0\0foo1"
    both = grams.all_of([foo, grams.one_of([bar, foo])])
    assert grams.pack(both) == b"\x01&\x02\0\0\0L\x04\0\0\0foo1|\x02\0\0\0L\x03\0\0\0barL\x04\0\0\0foo1"
