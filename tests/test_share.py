"""A second working tree of known content: what git's index proves is not read again, and nothing else is left unread.

How many files were not read is `known_files` in the status of a workspace; what is answered is compared with ripgrep.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_place import CURSERVE, Place, wait_for
from oracle import REAL_RG

_FILES = 24
_SHIM_DIR = subprocess.run([CURSERVE, "shim-dir"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    place.start()
    yield place
    place.close()


def _git(folder: Path, *words: str) -> None:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@localhost", *words], env=env,
                   check=True, capture_output=True)  # fmt: skip


def _repository(folder: Path, *init: str) -> Path:
    """A repository of _FILES files, half of them in `sub`."""
    (folder / "sub").mkdir(parents=True)
    _git(folder, "init", "-q", *init)
    for index in range(_FILES):
        (folder / ("sub" if index % 2 else ".") / f"f{index:02}.txt").write_text(f"needle {index}\nline\n")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "all")
    return folder


def _index(folder: Path) -> Path:
    """Where the index of a repository or a worktree is."""
    git = folder / ".git"
    return (git if git.is_dir() else Path(git.read_text().removeprefix("gitdir: ").strip())) / "index"


def _aged(folder: Path) -> Path:
    """The folder, with an index that was written long after its files changed, and files that changed before now."""
    late_ns = time.time_ns() + 10**9
    os.utime(_index(folder), ns=(late_ns, late_ns))
    newest_ns = max(path.lstat().st_ctime_ns for path in folder.rglob("*.txt"))
    wait_for(lambda: time.time_ns() > newest_ns + 50_000_000, "a tick of the clock")
    return folder


def _attached(place: Place, folder: Path) -> dict[str, Any]:
    done = place.run("attach", str(folder))
    assert done.returncode == 0, done.stderr
    return next(w for w in place.status()["workspaces"] if w["root"] == str(folder.resolve()))


def _same(place: Place, folder: Path) -> None:
    """The daemon's answer, from memory, is ripgrep's."""
    trace = place.folder / "trace"
    trace.unlink(missing_ok=True)
    words = ["-n", "needle|changed", "--sort", "path", "."]
    env = {"CURSERVE_TRACE": str(trace)}
    ours = place.shell_out([f"{_SHIM_DIR}/rg", *words], env=env, cwd=folder)
    real = subprocess.run([REAL_RG, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert (ours.stdout, ours.stderr, ours.returncode) == (real.stdout, real.stderr, real.returncode)
    assert '"served":true' in trace.read_text().replace(" ", "")


def _worktree(folder: Path, other: Path) -> Path:
    _git(folder, "worktree", "add", "-q", "--detach", str(other))
    return other


@pytest.mark.parametrize("init", [[], ["--object-format=sha256"]])
@pytest.mark.parametrize("version", ["2", "4"])
def test_a_worktree_is_not_read(place: Place, tmp_path: Path, version: str, init: list[str]) -> None:
    first = _repository(tmp_path / "a", *init)
    second = _worktree(first, tmp_path / "b")
    for folder in (first, second):
        _git(folder, "update-index", "--index-version", version)
        assert _attached(place, _aged(folder))["known_files"] == (0 if folder == first else _FILES)
        _same(place, folder)
    (second / "f00.txt").write_text("changed\n")
    _same(place, second)
    _same(place, first)


def test_index_entries_that_prove_nothing(place: Place, tmp_path: Path) -> None:
    """assume-unchanged and skip-worktree (an index of version 3), content of the same size and mtime, another mode."""
    first = _repository(tmp_path / "a")
    _attached(place, _aged(first))
    second = _worktree(first, tmp_path / "b")
    _git(second, "update-index", "--assume-unchanged", "f00.txt")
    _git(second, "update-index", "--skip-worktree", "f02.txt")
    before = (second / "f04.txt").stat()
    (second / "f04.txt").write_text((second / "f04.txt").read_text().replace("needle", "change"))
    os.utime(second / "f04.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (second / "f04.txt").stat().st_size == before.st_size
    (second / "f06.txt").chmod(0o755)
    assert _attached(place, _aged(second))["known_files"] == _FILES - 4
    _same(place, second)


def test_an_entry_as_young_as_its_index_is_read(place: Place, tmp_path: Path) -> None:
    first = _repository(tmp_path / "a")
    _attached(place, _aged(first))
    second = _aged(_worktree(first, tmp_path / "b"))
    oldest_ns = min(path.lstat().st_mtime_ns for path in second.rglob("*.txt"))
    os.utime(_index(second), ns=(oldest_ns, oldest_ns))
    assert _attached(place, second)["known_files"] == 0
    _same(place, second)


def test_folders_that_git_may_convert_are_read(place: Place, tmp_path: Path) -> None:
    """An attributes file nobody told git of counts: it is in force all the same."""
    first = _repository(tmp_path / "a")
    _attached(place, _aged(first))
    second = _worktree(first, tmp_path / "b")
    (second / "sub" / ".gitattributes").write_text("*.txt eol=crlf\n")
    assert _attached(place, _aged(second))["known_files"] == _FILES // 2
    _same(place, second)
    third = _worktree(first, tmp_path / "c")
    _git(first, "config", "core.autocrlf", "input")
    assert _attached(place, _aged(third))["known_files"] == 0
    _same(place, third)


def test_another_hash_another_repository_and_a_damaged_index(place: Place, tmp_path: Path) -> None:
    first = _repository(tmp_path / "a")
    _attached(place, _aged(first))
    clone = tmp_path / "b"
    _git(tmp_path, "clone", "-q", str(first), str(clone))
    assert _attached(place, _aged(clone))["known_files"] == _FILES
    sha256 = _repository(tmp_path / "c", "--object-format=sha256")
    assert _attached(place, _aged(sha256))["known_files"] == 0
    damaged = _aged(_worktree(first, tmp_path / "d"))
    index = _index(damaged)
    index.write_bytes(index.read_bytes()[:-200])
    assert _attached(place, _aged(damaged))["known_files"] == 0
    for folder in (clone, sha256, damaged):
        _same(place, folder)
