"""Which files git's own files keep out of a search: configuration from the environment, `.git` files with a relative
directory. ripgrep 15.2.0 is the oracle, and each of these searches is to be served."""

from __future__ import annotations

from pathlib import Path

import pytest
from oracle import Box, compare


def excludes(folder: Path, name: str, glob: str) -> Path:
    """A configuration file that names an excludes file of one glob."""
    (folder / f"{name}.rules").write_text(glob + "\n")
    config = folder / name
    config.write_text(f"[core]\n\texcludesFile = {folder / name}.rules\n")
    return config


@pytest.fixture
def tree(box: Box, tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / ".git").mkdir(parents=True)
    for name in "abcd":
        (root / name).write_text("needle\n")
    box.attach(root)
    return root


def listed(box: Box, tree: Path, env: dict[str, str]) -> bytes:
    answer = compare(box, ["--files", "--sort", "path"], tree, env)
    assert answer.served, answer.reason
    return answer.stdout


@pytest.mark.parametrize("name", ["/dev/null", "/nowhere", "", "empty"])
def test_global_configuration_without_excludes(box: Box, tree: Path, tmp_path: Path, name: str) -> None:
    """The next one in order is asked then."""
    (tmp_path / "empty").touch()
    home = tmp_path / "home"
    home.mkdir()
    excludes(home, ".gitconfig", "b")
    named = str(tmp_path / name) if name == "empty" else name
    assert listed(box, tree, {"HOME": str(home), "GIT_CONFIG_GLOBAL": named}) == b"a\nc\nd\n"


def test_order_of_configurations(box: Box, tree: Path, tmp_path: Path) -> None:
    """Named global, the home folder's, the system's; the first that says something is all that counts."""
    home = tmp_path / "home"
    home.mkdir()
    system = {"HOME": str(home), "GIT_CONFIG_SYSTEM": str(excludes(tmp_path, "system", "c"))}
    assert listed(box, tree, system) == b"a\nb\nd\n"
    excludes(home, ".gitconfig", "b")
    assert listed(box, tree, system) == b"a\nc\nd\n"
    named = {**system, "GIT_CONFIG_GLOBAL": str(excludes(tmp_path, "global", "a"))}
    assert listed(box, tree, named) == b"b\nc\nd\n"
    excludes(tmp_path, "global", "d")
    assert listed(box, tree, named) == b"a\nb\nc\n"
    (home / ".gitconfig").unlink()
    assert listed(box, tree, {**system, "GIT_CONFIG_GLOBAL": "/dev/null"}) == b"a\nb\nd\n"


def test_submodule(box: Box, tree: Path) -> None:
    """Its `.git` names a relative folder without a commondir: its exclude file is not asked, wherever one stands."""
    (tree / "module").mkdir()
    (tree / "module" / "x").write_text("needle\n")
    (tree / ".git" / "modules" / "module" / "info").mkdir(parents=True)
    (tree / ".git" / "modules" / "module" / "info" / "exclude").write_text("x\n")
    (tree / "module" / ".git").write_text("gitdir: ../.git/modules/module\n")
    for cwd in (tree, tree / "module"):
        assert b"x" in listed(box, cwd, {})


def test_worktree_with_a_relative_folder(box: Box, tree: Path) -> None:
    """Found from the cwd of the search only, and as it is now."""
    work = tree / "work"
    work.mkdir()
    for name in "xy":
        (work / name).write_text("needle\n")
    store = tree / ".git" / "worktrees" / "work"
    store.mkdir(parents=True)
    (store / "commondir").write_text("../..\n")
    exclude = tree / ".git" / "info" / "exclude"
    exclude.parent.mkdir()
    exclude.write_text("x\n")
    (work / ".git").write_text("gitdir: ../.git/worktrees/work\n")
    assert listed(box, work, {}) == b"y\n"
    exclude.write_text("y\n")
    assert listed(box, work, {}) == b"x\n"
    both = compare(box, ["--files", "--no-ignore-exclude", "--sort", "path", ".."], work)
    assert b"../work/x\n../work/y\n" in both.stdout
    listed(box, tree, {})
    (store / "commondir").write_text("\n")  # the cwd itself
    (work / "info").mkdir()
    (work / "info" / "exclude").write_text("info\n")
    assert listed(box, work, {}) == b"x\ny\n"
    (store / "commondir").unlink()
    assert b"info/exclude" in listed(box, work, {})
    (work / ".git").write_text("gitdir: .git-elsewhere\n")
    listed(box, work, {})
