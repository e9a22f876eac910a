"""What costs too much to understand is ripgrep's to answer, and harms nobody: huge globs, many groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from oracle import Box, compare

_HUGE = {
    "nested": b"{" * 240 + b"b.txt" + b"}" * 240,
    "nested too deep": b"{" * 249 + b"b.txt" + b"}" * 249,
    "long": b"b*" + b"x" * 5_000 + b"**/y",
    "longer than ripgrep takes": b"x" * 400_000 + b"**/y",
    "many classes": b"[ab]" * 70_000,
    "many": b"\n".join(b"**/%04d/%s/**/{a,b}{c,d}/*" % (at, b"x" * 900) for at in range(300)),
}


@pytest.fixture
def tree(box: Box, tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / ".git" / "info").mkdir(parents=True)
    for name in ("a.txt", "b.txt"):
        (root / name).write_text("needle\n")
    box.attach(root)
    return root


@pytest.mark.parametrize("file", [".gitignore", ".ignore", ".git/info/exclude"])
@pytest.mark.parametrize("kind", _HUGE)
def test_ignore_files(box: Box, tree: Path, file: str, kind: str) -> None:
    (tree / file).write_bytes(b"a.txt\n" + _HUGE[kind] + b"\n")
    answer = compare(box, ["--files", "."], tree)
    assert (answer.served, answer.reason) == (False, "ignore_file_size")
    assert compare(box, ["-uu", "needle", "a.txt"], tree).served
    (tree / file).write_bytes(b"a.txt\n")
    assert compare(box, ["--files", "."], tree).served


def test_nested_beyond_any_stack(box: Box, tree: Path) -> None:
    """ripgrep's stack ends there; ours must not."""
    (tree / ".gitignore").write_bytes(b"{" * 400_000 + b"b.txt" + b"}" * 400_000 + b"\n")
    assert box.rg(["--files", "."], tree).reason == "ignore_file_size"
    (tree / ".gitignore").unlink()
    assert compare(box, ["--files", "."], tree).served


def test_a_file_named_and_one_for_all_repositories(box: Box, tree: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_bytes(_HUGE["long"] + b"\n")
    answer = compare(box, ["--files", "--ignore-file", os.fspath(rules), "."], tree)
    assert (answer.served, answer.reason) == (False, "ignore_file_size")
    config = tmp_path / "config" / "git"
    config.mkdir(parents=True)
    rules.rename(config / "ignore")
    answer = compare(box, ["--files", "."], tree, {"XDG_CONFIG_HOME": os.fspath(config.parent)})
    assert (answer.served, answer.reason) == (False, "ignore_file_size")


@pytest.mark.parametrize("kind", ["nested", "nested too deep", "long"])
def test_globs_as_arguments(box: Box, tree: Path, kind: str) -> None:
    answer = compare(box, ["--files", b"-g" + _HUGE[kind], "."], tree)
    assert (answer.served, answer.reason) == (False, "bad_glob")


def test_a_glob_within_the_limits_is_served(box: Box, tree: Path) -> None:
    for glob in (
        b"{" * 100 + b"b.txt" + b"}" * 100,
        b"**/" + b"x" * 4000 + b"/**/y",
        b"!{a,b}{.,x}{t,y}{x,z}{t,u}{" + b"v" * 3000 + b",}",
    ):
        answer = compare(box, ["--files", b"-g" + glob, "."], tree)
        assert answer.served, (glob[:30], answer.reason)


def test_captures_of_many_groups(box: Box, tree: Path) -> None:
    groups = "(n)?" * 3000 + "eedle"
    answer = compare(box, ["-r", "$7", groups, "."], tree)
    assert (answer.served, answer.reason) == (False, "regex_captures")
    assert compare(box, ["-r", "$7", "(n)?" * 200 + "eedle", "."], tree).served
    assert compare(box, [groups, "."], tree).served


def test_long_requests_are_not_remembered(box: Box, tree: Path) -> None:
    def remembered() -> int:
        return int(box.control("status")["requests"]["remembered"])

    for size, more in ((10, 1), (40_000, 0)):
        argv = ["-e", "needle", "-e", "x" * size, "."]
        before = remembered()
        assert all(compare(box, argv, tree).served for _ in range(2))
        assert remembered() - before == more


def test_configuration_of_blanks(box: Box, tree: Path, tmp_path: Path) -> None:
    """Each took time by the square of its size: hours for some megabytes."""
    config = tmp_path / "ripgreprc"
    config.write_bytes(b"--hidden\n#" + b" " * 60_000 + b"x\n")
    env = {"RIPGREP_CONFIG_PATH": os.fspath(config)}
    assert compare(box, ["--files", "."], tree, env).served
    home = tmp_path / "home"
    home.mkdir()
    (home / "excludes").write_text("b.txt\n")
    blanks = b" \n\t\r\n" * 400_000
    (home / ".gitconfig").write_bytes(b"[core]" + blanks + b"excludesfile = ~/excludes" + blanks)
    answer = compare(box, ["--files", "."], tree, {"HOME": os.fspath(home)})
    assert answer.served and answer.stdout == b"./a.txt\n"
    (home / ".gitconfig").write_bytes(b"[core]\nexcludesfile = " + b"~" * 1_000_000 + b"\n")
    answer = compare(box, ["--files", "."], tree, {"HOME": os.fspath(home)})
    assert (answer.served, answer.reason) == (False, "global_excludes")


@pytest.mark.parametrize("text", ["{\n", "\n# x\n{a\n", "{" * 201 + "\n"])
def test_an_ignore_file_of_nothing_but_faults(box: Box, tree: Path, text: str) -> None:
    """It has no rules, and yet ripgrep has something to say of it."""
    for name in (".gitignore", "below/.ignore"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text(text)
        assert not compare(box, ["--files", "."], tree).served
        (tree / name).unlink()


_PATTERNS = {
    "alternatives": "|".join(f"w{at}d" for at in range(15_000)) + "|needle",
    "folded alternatives": "(?i)" + "|".join(f"w{at}d" for at in range(3_000)) + "|needle",
    "may be there": "n?" * 2_000 + "needle",
    "in each other": "((n{0,20}){0,20}){0,9}eedle",
    "groups": "(?:" * 80 + "needle" + ")?" * 80,
    "classes": "[a-z]?" * 3_000 + "needle",
    "long": "needle" + "x" * 100_000 + "|needle",
}


@pytest.mark.parametrize("kind", _PATTERNS)
def test_large_patterns(box: Box, tree: Path, kind: str) -> None:
    for more in ([], ["-o"], ["-v"], ["-c"]):
        compare(box, [*more, "-e", _PATTERNS[kind], "."], tree)
