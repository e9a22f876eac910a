"""Differences from ripgrep that the fuzzer found, each as small as it would go, so that they stay found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from oracle import Box, compare


@pytest.fixture(scope="module", params=["indexed", "brute"])
def box(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with Box(tmp_path_factory.mktemp("box"), engine=request.param) as running:
        yield running


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "a.py").write_text("alpha\nbeta\n\nalpha beta\n")
    (root / "sub" / "b.txt").write_text("beta\nalpha\n")
    (root / "sub" / "deep" / "c.md").write_bytes(b"alpha\n\0beta\n")
    return root


def _served(box: Box, root: Path, *argv: str | bytes, cwd: Path | None = None) -> None:
    box.attach(root)
    answer = compare(box, argv, cwd or root)
    assert answer.served, answer.reason


def test_statistics_count_files_with_a_match_where_files_without_are_listed(box: Box, tree: Path) -> None:
    _served(box, tree, "--files-without-match", "--stats", "alpha")


def test_statistics_are_separated_like_a_file_after_contexts(box: Box, tree: Path) -> None:
    _served(box, tree, "--stats", "-B1", ".", ".")


def test_statistics_after_headings_and_several_starts(box: Box, tree: Path) -> None:
    _served(box, tree, "--stats", "--pretty", "alpha", str(tree / "sub"), "./sub", "a.py")


def test_a_quiet_search_may_end_before_a_path_that_is_missing(box: Box, tree: Path) -> None:
    box.attach(tree)
    for more in (["--sort-files"], ["-j1"], ["--files"]):
        assert not compare(box, [*more, "-q", *([] if "--files" in more else ["alpha"]), "sub", "nowhere"], tree).served
    _served(box, tree, "-q", "alpha", "nowhere")
    _served(box, tree, "-q", "--stats", "alpha", "sub", "nowhere")


def test_names_that_are_no_utf8_in_messages(box: Box, tree: Path) -> None:
    _served(box, tree, "alpha", b"odd\xff\x80", "a.py")


def test_names_that_are_no_utf8_in_messages_of_one_thread(box: Box, tree: Path) -> None:
    _served(box, tree, "alpha", b"odd\xff\x80")


@pytest.mark.parametrize("pattern", [r"\Aalpha", r"beta\z", "(?-m)^", "(?-m:a$)", r"\A\z"])
def test_anchors_of_the_text(box: Box, tree: Path, pattern: str) -> None:
    for more in ([], ["-o"], ["-U"], ["--column", "-v"], ["--json"], ["--count-matches"]):
        _served(box, tree, *more, pattern)


@pytest.mark.parametrize("pattern", ["^beta", "alpha$", "^$", "(?m)^a"])
def test_line_anchors_where_nul_ends_lines(box: Box, tree: Path, pattern: str) -> None:
    for more in ([], ["-o"], ["-c"]):
        _served(box, tree, "--null-data", *more, pattern)


def test_newlines_within_lines_that_end_with_nul(box: Box, tree: Path) -> None:
    (tree / "z").write_bytes(b"x\nbeta\0beta y\nq\0zz\n")
    for pattern in ("^beta", "x$", "^beta$", "^q", "y$", r"^\w$", r"(?:x|y|\w{3,})$", "^(?:q|[a-z]+?)$"):
        for more in ([], ["-c"], ["-ob"]):
            _served(box, tree, "--null-data", *more, pattern)


_NUL_PATTERNS = r"\Afoo ^foo ^ foo$ foo.* (?s:foo.*) foo\z o\x00f a\nf [^x] $ () \w".split()
_NUL_FLAGS = ([], ["-c"], ["-ob"], ["-nA1"], ["-v"], ["--json"], ["--passthru"], ["-rX$0"], ["--count-matches"])


@pytest.mark.parametrize("pattern", _NUL_PATTERNS)
def test_nul_ends_lines_and_matches_may_hold_it(box: Box, tree: Path, pattern: str) -> None:
    (tree / "z").write_bytes(b"x\0foo\0foo y\0a\nfoo\0\0\nfoo\n\0foo")
    (tree / "y").write_bytes(b"foo\n\0x\0x\0foo\n" * 9000)
    for more in _NUL_FLAGS:
        _served(box, tree, "--null-data", "-U", *more, pattern, "z")
        _served(box, tree, "--null-data", "-U", "--no-mmap", *more, pattern, "-gz", "-gy")


def test_ends_of_the_text_where_nul_ends_lines(box: Box, tree: Path) -> None:
    """ripgrep looks for the pattern in lines or in its buffer, as its engine takes to it: left to it."""
    (tree / "z").write_bytes(b"x\0foo\0foo y\0a\nfoo\0")
    box.attach(tree)
    for pattern in (r"\Afoo", r"foo\z", "(?-m)^foo", "(?-m:foo$)"):
        assert not compare(box, ["--null-data", pattern], tree).served


def test_listings_in_colour(box: Box, tree: Path) -> None:
    _served(box, tree, "--files", "--color=always", "--colors=path:fg:blue")
    _served(box, tree, "--files", "--color=always", "-0", "./")


@pytest.mark.parametrize("target", ["sub", "a.py", "sub/deep", "nowhere"])
def test_named_symbolic_links(box: Box, tree: Path, target: str) -> None:
    (tree / "link").symlink_to(target)
    _served(box, tree, "alpha", "link")
    _served(box, tree, "alpha", "./link", "a.py")
    _served(box, tree, "--files", "link")
    if (tree / "link").is_dir():
        _served(box, tree, "alpha", "link/")
        _served(box, tree, "alpha", "link/..")
        _served(box, tree, "-n", "alpha", cwd=tree / "link")


def test_links_in_the_middle_of_a_name(box: Box, tree: Path) -> None:
    (tree / "link").symlink_to("sub")
    (tree / "sub" / ".gitignore").write_text("/deep/c.md\n*.txt\n")
    for path in ("link/deep", "link/b.txt", os.fspath(tree / "link" / "deep" / "c.md")):
        _served(box, tree, "-a", "alpha", path)


def test_the_case_of_explicit_ignore_files_counts(box: Box, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("*.TXT\nA.py\n")
    _served(box, tree, "--ignore-file-case-insensitive", "--ignore-file", str(tmp_path / "rules"), "alpha")


def test_an_ignored_folder_is_listed_once_for_several_paths_into_it(box: Box, tree: Path) -> None:
    (tree / ".gitignore").write_text("/sub/\n")
    _served(box, tree, "alpha", "./sub/b.txt", "sub/deep", "sub/b.txt", "sub/../sub/b.txt")
    (tree / "sub" / "c.txt").write_text("alpha\n")
    _served(box, tree, "--files", "sub")


def test_a_binary_message_is_not_separated_where_our_threads_share_the_work(box: Box, tree: Path) -> None:
    """ripgrep of one thread separates files that printed lines only; ours came first in a thread's share."""
    (tree / "g.txt").write_text("alpha\n" * 40_000)
    (tree / "h.txt").write_bytes(b"\0alpha\n")
    (tree / "i.txt").write_text("alpha\n")
    for name in ("-A1", "--heading"):
        _served(box, tree, "--sort", "path", "--binary", "--stats", name, "alpha")
        _served(box, tree, "-j1", "--sort", "path", "--binary", name, "alpha", "g.txt", "h.txt", "i.txt")


def test_one_threads_enlarged_buffer_meets_a_file_with_a_late_nul(box: Box, tree: Path) -> None:
    """The second time the file is read its NUL is in the first window, and nothing of it is printed."""
    late = b"alpha\n" * 100 + b"x" * 70_000 + b"\n" + b"alpha\n" * 5_000 + b"\0\n"
    (tree / "z.txt").write_bytes(late)
    os.utime(tree / "z.txt", (1, 1))
    for order in ("--sort", "--sortr"):
        for by in ("path", "modified"):
            _served(box, tree, order, by, "alpha", ".", str(tree))
            _served(box, tree, order, by, "--stats", "-c", "alpha", ".", str(tree))


@pytest.mark.parametrize("more", [[], ["-C2"], ["--json"], ["-l"], ["--binary"], ["-m2", "-A1"], ["-v"]])
def test_the_buffer_that_earlier_files_left(box: Box, tree: Path, more: list[str]) -> None:
    """One thread in an order that we know: so do we. Several: chance, and left to ripgrep."""
    (tree / "b.txt").write_bytes(b"x" * 70_000 + b"\n")
    (tree / "c.txt").write_bytes(b"alpha\n" * 12_000 + b"\0\n")
    (tree / "d.txt").write_bytes(b"\n" * 100 + b"alpha\n" * 24_000 + b"\0\n")
    (tree / "e.txt").write_bytes(b"y" * 200_000 + b"\nalpha\n")
    for order in (["--sort", "path"], ["--sortr", "path"], ["--sort", "path", "-gc.txt", "-ge.txt"]):
        _served(box, tree, *order, *more, "alpha")
    _served(box, tree, "-j1", "--no-mmap", *more, "alpha", "c.txt", "e.txt", "d.txt", "b.txt", "c.txt")
    answer = compare(box, ["-j1", *more, "alpha"], tree)
    assert more in (["-l"], ["-m2", "-A1"]) or not answer.served
    assert compare(box, [*more, "alpha", "-gd.txt"], tree).served


@pytest.mark.parametrize("sort", ["--sort", "--sortr"])
def test_files_of_the_same_time_come_as_the_walk_meets_them(box: Box, tmp_path: Path, sort: str) -> None:
    root = tmp_path / "tied"
    (root / ".git").mkdir(parents=True)
    for number, name in enumerate(("q", "a", "sub/m", "sub/deep/k", "sub/b", "z/y", "z/a", "c", "z/caf\udce9")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("alpha\n")
        os.utime(root / name, (1000 + number // 5, 1000 + number // 5))
    box.attach(root)
    for argv in (["--files"], ["--files", "z", "sub", "z"], ["-n", "alpha"], ["--json", "alpha", "sub", "."]):
        answer = compare(box, [sort, "modified", *argv], root)
        assert answer.served, answer.reason


def test_a_long_line_with_a_match_in_each_byte(box: Box, tmp_path: Path) -> None:
    """Each match looked for the line's end again: 4 MB took minutes, and ripgrep answered after a timeout."""
    root = tmp_path / "long"
    (root / ".git").mkdir(parents=True)
    (root / "high.txt").write_text("\u00e9 b" * 1_000_000 + "\nb\n")
    (root / "ascii.txt").write_text("ab c" * 1_000_000)
    (root / "tail.txt").write_text("ab \u00e9" + "ab c" * 50_000 + "\r\nlast")
    box.attach(root)
    shown = (["-r", "<$0>", "[ab ]", "tail.txt"], ["-ob", "c|last$", "tail.txt"])
    for argv in (["-oc", "."], ["-oc", r"\w+"], ["--count-matches", r"\b\w"], *shown):
        answer = compare(box, argv, root, {"CURSERVE_TIMEOUT_MS": "60000"})
        assert answer.served, answer.reason


@pytest.mark.parametrize("text", ["kelvin\nclass\nak\n", "kelvin é\nclass é\nak é\n"], ids=["ascii", "beyond"])
@pytest.mark.parametrize(
    "argv",
    [
        ("--no-unicode", "-i", "cla\u017fs"),
        ("--no-unicode", "-S", "\u212aelvin"),
        ("-F", "--no-unicode", "-i", "\u017fs"),
        ("[aA]\u212a",),
        ("[cC]la[\u017ft]s",),
        ("(?i-u:\u212a)elvin",),
        ("(?i)\u212aelvin",),
        ("(?i)cla[s\u017f]s",),
    ],
    ids=" ".join,
)
def test_letters_that_fold_into_ascii_stand_for_themselves_where_nothing_folds_them(
    box: Box, tmp_path: Path, text: str, argv: tuple[str, ...]
) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a.txt").write_text(text)
    (root / "b.txt").write_text(text + "\u212aELVIN cla\u017fs a\u212a\n")
    _served(box, root, *argv)
