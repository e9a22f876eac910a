"""Plain words: what the kernel makes of them by itself is what Python's translation says, and the answers are rg's."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Box, compare

from curserve.kernel_door import Handle, Keep, lib
from curserve.plan import _matcher_spec
from curserve.regex import RegexOptions, translate

WORD = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", min_size=3, max_size=64)
CASES = ("sensitive", "insensitive", "smart")


def agrees(options: RegexOptions, translated: str, word: str) -> bool:
    """Whether the kernel's own question for `word` is Python's for `translated`."""
    keep = Keep()
    spec = _matcher_spec(translate((translated.encode(),), options), keep)
    matcher = Handle(lib.cs_matcher_new(spec), lib.cs_matcher_free)
    rules = keep.new("cs_word_rules *")
    rules.letters = CASES.index(options.case)
    rules.bounded, rules.unicode = options.word, options.unicode
    rules.null_data, rules.multi_line = options.null_data, options.multi_line
    text = keep.new("cs_bytes *")
    keep.bytes_into(text, word.encode())
    return bool(lib.cs_word_agrees(matcher.pointer, text[0], rules))


@settings(max_examples=1500, deadline=None)
@given(
    word=WORD,
    options=st.builds(
        RegexOptions,
        fixed_strings=st.booleans(),
        case=st.sampled_from(CASES),
        word=st.booleans(),
        unicode=st.booleans(),
        multi_line=st.booleans(),
        dotall=st.booleans(),
        ban_nul=st.booleans(),
    ),
)
def test_a_word_means_what_the_translation_says(word: str, options: RegexOptions) -> None:
    assert agrees(options, word, word)


@settings(max_examples=200, deadline=None)
@given(word=WORD, case=st.sampled_from(CASES), bounded=st.booleans(), crlf=st.booleans())
def test_with_other_line_ends_too(word: str, case: str, bounded: bool, crlf: bool) -> None:
    assert agrees(RegexOptions(case=case, word=bounded, crlf=crlf, null_data=not crlf), word, word)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("translated", "word"),
    [("other", "another"), ("o.her", "o.her"), ("word", "Word"), ("wor", "word"), ("ab", "ab"), ("a-b", "a-b"),
     ("x" * 65, "x" * 65)],
)  # fmt: skip
def test_other_words_and_other_patterns_do_not_agree(translated: str, word: str) -> None:
    assert not agrees(RegexOptions(), translated, word)


def test_a_line_is_not_a_word() -> None:
    assert not agrees(RegexOptions(line=True), "word", "word")


SHAPES: list[list[str]] = [
    ["--json", "--no-messages", "--path-separator", "/", "--ignore-case", "--regexp", "WORD", "--threads", "4"],
    ["-n", "WORD"],
    ["-w", "WORD", "sub", "a.txt"],
    ["-S", "-c", "-e", "WORD"],
    ["-i", "-o", "--no-unicode", "--column", "WORD"],
    ["-wi", "--crlf", "-C", "1", "WORD"],
    ["-F", "-U", "-l", "WORD"],
    ["--null-data", "-i", "WORD"],
    ["--stats", "-q", "-s", "WORD"],
    ["-r", "other", "WORD"],
]
WORDS = ["mask", "Mask", "task", "kiss", "KISS", "oneword", "word_two", "absent_word", "x12"]


@pytest.fixture(scope="module")
def tree(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("words")
    (root / ".git").mkdir()
    (root / "sub").mkdir()
    (root / "a.txt").write_bytes(b"mask Mask MASK\noneword word_two\nmas\xe2\x84\xaa ta\xc5\xbfk x12\r\nmasks unmask\n")
    (root / "sub" / "b.txt").write_bytes(b"kiss\r\nkis\xc5\xbf\r\nKi\xc5\xbfs\r\nta\xff sk task\n\nword_two x12x\n")
    (root / "sub" / "c.bin").write_bytes(b"mask\0task\nkiss\n" + b"word_two\n" * 20)
    box.attach(root)
    return root


def remembered(box: Box) -> int:
    """How many requests were answered without Python so far."""
    return int(box.control("status")["requests"]["remembered"])


@pytest.mark.parametrize("shape", SHAPES, ids=" ".join)
def test_a_shape_is_learned_and_its_answers_are_ripgreps(box: Box, tree: Path, shape: list[str]) -> None:
    def ask(word: str) -> None:
        compare(box, [word if part == "WORD" else part for part in shape], tree)

    # Python learns a shape after it has answered, so the very next request may come too early.
    deadline_s = time.monotonic() + 30
    before = remembered(box)
    for count in itertools.count():
        ask(f"learn_{count}")
        if remembered(box) > before:
            break
        assert time.monotonic() < deadline_s, "the shape is not learned"
    before = remembered(box)
    for word in WORDS:
        ask(word)
    assert remembered(box) - before == len(WORDS)


def test_a_word_that_stands_twice_is_no_shape(box: Box, tree: Path) -> None:
    """`rg sub sub`: the pattern and a path."""
    compare(box, ["sub", "sub"], tree)
    compare(box, ["task", "task"], tree)
    compare(box, ["task", "sub"], tree)


def test_arguments_are_not_taken_for_the_environment(box: Box, tree: Path) -> None:
    """The same strings in the same order, cut elsewhere, are another question."""
    compare(box, ["mask", "--", "TERM=dumb"], tree, env={"TERM": "dumb"})
    compare(box, ["mask", "--"], tree, env={"TERM": "dumb"})
