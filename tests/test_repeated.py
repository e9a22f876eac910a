"""Questions asked again: answered without a search while nothing has changed, and never with what is no longer so."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from oracle import Box, compare

QUESTIONS: list[list[str]] = [
    ["--json", "--no-messages", "--path-separator", "/", "--ignore-case", "--regexp", "needle", "--threads", "4", "."],
    ["-n", "needle"],
    ["--stats", "-c", "needle"],
    ["-l", "needle"],
    ["--heading", "-C", "1", "needle"],
    ["-q", "needle"],
    ["--files-without-match", "needle"],
    ["nowhere_at_all"],
]


@pytest.fixture
def tree(own_box: Box, tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / ".git").mkdir(parents=True)
    (root / "sub").mkdir()
    (root / "a.txt").write_text("a needle here\nand no more\n")
    (root / "sub" / "b.txt").write_text("needle one\nneedle two\n")
    (root / "other.txt").write_text("hay\n")
    own_box.attach(root)
    return root


def repeated(box: Box) -> int:
    """How many answers were given without a search so far."""
    return int(box.control("status")["requests"]["repeated"])


def ask_until_kept(box: Box, question: list[str], root: Path) -> None:
    """The same question once more is then no search. (The daemon keeps an answer after it was sent.)"""
    for _ in range(200):
        before = repeated(box)
        compare(box, question, root)
        if repeated(box) > before:
            return
    raise AssertionError("never answered as before")


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_nothing_has_changed(own_box: Box, tree: Path, question: list[str]) -> None:
    ask_until_kept(own_box, question, tree)
    before = repeated(own_box)
    for _ in range(3):
        compare(own_box, question, tree)
    assert repeated(own_box) == before + 3
    assert own_box.control("status")["requests"]["answers_bytes"] > 0


def _write(root: Path) -> None:
    (root / "a.txt").write_text("no more of it\n")


def _same_size(root: Path) -> None:
    (root / "sub" / "b.txt").write_text("needle 1ne\nneedle 2wo\n")


def _create(root: Path) -> None:
    (root / "new.txt").write_text("a new needle\n")


def _delete(root: Path) -> None:
    (root / "a.txt").unlink()


def _rename(root: Path) -> None:
    (root / "a.txt").rename(root / "z.txt")


def _move_folder(root: Path) -> None:
    (root / "sub").rename(root / "bus")


def _ignore(root: Path) -> None:
    (root / ".gitignore").write_text("a.txt\n")


def _exclude(root: Path) -> None:
    (root / ".git" / "info").mkdir()
    (root / ".git" / "info" / "exclude").write_text("sub/\n")


def _ignore_above(root: Path) -> None:
    (root.parent / ".ignore").write_text("a.txt\n")


CHANGES = (_write, _same_size, _create, _delete, _rename, _move_folder, _ignore, _exclude, _ignore_above)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__[1:])
def test_a_change_is_seen(own_box: Box, tree: Path, change: Callable[[Path], None]) -> None:
    for question in QUESTIONS[:4]:
        ask_until_kept(own_box, question, tree)
    change(tree)
    before = repeated(own_box)
    for question in QUESTIONS[:4]:
        compare(own_box, question, tree)
    assert repeated(own_box) == before
    for question in QUESTIONS[:4]:
        ask_until_kept(own_box, question, tree)


def test_the_global_excludes_are_seen(own_box: Box, tree: Path) -> None:
    question = ["-n", "needle"]
    ask_until_kept(own_box, question, tree)
    excludes = own_box.home / ".config" / "git" / "ignore"
    excludes.parent.mkdir(parents=True)
    excludes.write_text("sub\n")
    compare(own_box, question, tree)
    excludes.write_text("a.txt\n")
    compare(own_box, question, tree)
    excludes.unlink()
    compare(own_box, question, tree)


def test_rights_are_seen(own_box: Box, tree: Path) -> None:
    question = ["-n", "needle"]
    ask_until_kept(own_box, question, tree)
    os.chmod(tree / "a.txt", 0)
    compare(own_box, question, tree)
    os.chmod(tree / "a.txt", 0o644)
    compare(own_box, question, tree)


def test_other_questions_have_other_answers(own_box: Box, tree: Path) -> None:
    """Options, paths, folder and environment tell them apart."""
    question = ["needle"]
    ask_until_kept(own_box, question, tree)
    before = repeated(own_box)
    for other in (["needle", "sub"], ["-n", "needle"], ["-v", "needle"], ["-H", "needle"], ["-i", "NEEDLE"]):
        compare(own_box, other, tree)
    compare(own_box, question, tree / "sub")
    compare(own_box, question, tree, {"NO_COLOR": "1"})
    assert repeated(own_box) == before
    ask_until_kept(own_box, question, tree)


def test_a_search_into_a_file_is_not_repeated(own_box: Box, tree: Path) -> None:
    """Which files it leaves out depends on which file that is."""
    ask_until_kept(own_box, ["needle"], tree)
    before = repeated(own_box)
    for _ in range(3):
        answer = own_box.rg(["needle"], tree, stdout=os.fsencode(own_box.folder / "out"))
        assert answer.served
    assert repeated(own_box) == before


@pytest.mark.parametrize("question", [["--sort", "path", "needle"], ["--sort", "modified", "needle"], ["--files"]])
def test_what_depends_on_more_is_searched_each_time(own_box: Box, tree: Path, question: list[str]) -> None:
    before = repeated(own_box)
    for _ in range(4):
        compare(own_box, question, tree)
    assert repeated(own_box) == before


def test_long_answers_are_not_kept(own_box: Box, tree: Path) -> None:
    (tree / "long.txt").write_text("needle and much more behind it\n" * 2000)
    before = repeated(own_box)
    for _ in range(4):
        compare(own_box, ["needle"], tree)
    assert repeated(own_box) == before


def test_what_is_kept_is_bounded(own_box: Box, tree: Path) -> None:
    (tree / "many.txt").write_text("".join(f"w{i} {'x' * 4000}\n" for i in range(100)))
    for count in range(100):
        compare(own_box, ["-n", f"w{count} "], tree)
        assert own_box.control("status")["requests"]["answers_bytes"] <= 128 << 10
    own_box.control("detach", root=str(tree))
