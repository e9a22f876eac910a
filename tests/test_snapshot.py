"""What outlives the daemon: an unchanged tree is not read again, a changed one is, and damage costs only time.

Every answer of the second daemon is compared with ripgrep's. How many files were not read is `known_files` in the
status of a workspace, how many were is `reads`.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from daemon_place import wait_for
from oracle import Box, compare

_FILES = 40
_CONFIG = "[snapshot]\nsettled_s = 0\n"
_SEARCHES = (
    ["-n", "needle|changed"],
    ["--files"],
    ["--files", "-uu", "-g", "!.git"],
    ["-c", "line", "-uu", "-g", "!.git"],
    ["-l", "needle 7"],
    ["-n", "-i", "NEEDLE 1"],
    ["--files-without-match", "line"],
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of _FILES texts, half of them in `sub`, besides a binary file, a link and an ignored folder."""
    root = tmp_path / "tree"
    for name in ("sub/deep", ".git", "ignored", "away"):
        (root / name).mkdir(parents=True)
    for index in range(_FILES):
        (root / ("sub" if index % 2 else ".") / f"f{index:02}.txt").write_text(f"needle {index}\nline {index}\n" * 9)
    (root / "sub" / "deep" / "binary").write_bytes(b"needle\n\0line\n")
    (root / "sub" / "link").symlink_to("f01.txt")
    (root / "ignored" / "f").write_text("needle that nobody sees\n")
    (root / ".gitignore").write_text("/ignored\n")
    return _aged(root)


def _aged(root: Path) -> Path:
    """The folder, when its youngest file is older than a tick of the clock: then a stat vouches for what is read."""
    newest_ns = max(path.lstat().st_ctime_ns for path in root.rglob("*"))
    wait_for(lambda: time.time_ns() > newest_ns + 50_000_000, "a tick of the clock")
    return root


def _held(root: Path) -> int:
    """The files that a daemon keeps of `tree`: all but the ignored one."""
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(path.parent.name != "ignored" for path in files)


def _workspace(box: Box, root: Path) -> dict[str, Any]:
    return next(w for w in box.control("workspaces")["workspaces"] if w["root"] == str(root.resolve()))


def _same(box: Box, root: Path, searches: tuple[list[str], ...] = _SEARCHES) -> None:
    for argv in searches:
        assert compare(box, argv, root).served, argv


def _log(box: Box) -> str:
    return Path(f"{box.socket}.log").read_text()


def _folder(box: Box) -> Path:
    return box.home / ".local" / "state" / "curserve" / "snapshot"


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", _CONFIG) as running:
        yield running


def _restarted(box: Box, root: Path, between: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """The workspace of the next daemon, which finds what `between` has done meanwhile."""
    box.stop()
    between()
    box.start()
    box.attach(root)
    return _workspace(box, root)


def test_an_unchanged_tree_is_not_read_again(box: Box, tree: Path) -> None:
    box.attach(tree)
    for _ in range(3):
        found = _restarted(box, tree)
        assert (found["known_files"], found["reads"]) == (_held(tree), 0)
        wait_for(lambda: _indexed(box), "all of it is indexed")
        _same(box, tree)
    assert (tree / "f00.txt").write_text("changed after all\n")
    _same(box, tree)


def _indexed(box: Box) -> bool:
    store = box.control("status")["store"]
    return bool(store["indexed_text_bytes"] == store["text_bytes"])


def test_the_index_comes_from_the_disk(box: Box, tree: Path) -> None:
    box.attach(tree)
    wait_for(lambda: _indexed(box), "an index")
    _restarted(box, tree)
    assert _indexed(box), "as soon as it is attached"
    assert list(_folder(box).glob("texts-*")), "nothing was kept"
    _same(box, tree)


def test_what_was_attached_is_attached_again_and_what_was_detached_is_not(box: Box, tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / ".git").mkdir(parents=True)
    box.attach(tree)
    box.attach(other)
    box.control("detach", root=str(other))
    box.stop()
    box.start()
    wait_for(lambda: [w["state"] for w in box.control("workspaces")["workspaces"]] == ["served"], "it is served again")
    _workspace(box, tree)
    _same(box, tree)


def _rewrite(path: Path) -> None:
    """Another text of the same size at the same mtime: only the ctime tells."""
    before = path.stat()
    path.write_text(path.read_text().replace("needle", "change"))
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _swap(one: Path, other: Path) -> None:
    third = one.with_name("third")
    one.rename(third)
    other.rename(one)
    third.rename(other)


def _replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("needle inside\n")


def _replaced_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("needle was a folder\n")


_CHANGES: dict[str, Callable[[Path], object]] = {
    "grown": lambda root: (root / "f00.txt").write_text("needle 0\n" * 99),
    "same size and mtime": lambda root: _rewrite(root / "f02.txt"),
    "made": lambda root: (root / "sub" / "new.txt").write_text("needle new\n"),
    "deleted": lambda root: (root / "sub" / "f05.txt").unlink(),
    "renamed": lambda root: (root / "f06.txt").rename(root / "sub" / "f06.txt"),
    "renamed over": lambda root: (root / "f08.txt").rename(root / "f10.txt"),
    "two swapped": lambda root: _swap(root / "f12.txt", root / "f14.txt"),
    "mode": lambda root: (root / "f16.txt").chmod(0),
    "folder closed": lambda root: (root / "sub").chmod(0),
    "touched": lambda root: os.utime(root / "f18.txt"),
    "hard link": lambda root: os.link(root / "f20.txt", root / "sub" / "linked.txt"),
    "link swapped": lambda root: ((root / "sub" / "link").unlink(), (root / "sub" / "link").symlink_to("f03.txt")),
    "link made of a file": lambda root: ((root / "f22.txt").unlink(), (root / "f22.txt").symlink_to("f24.txt")),
    "file to folder": lambda root: _replaced_by_folder(root / "f26.txt"),
    "folder to file": lambda root: _replaced_by_file(root / "sub" / "deep"),
    "folder moved": lambda root: (root / "sub").rename(root / "away" / "sub"),
    "folders swapped": lambda root: _swap(root / "sub", root / "away"),
    "rules": lambda root: (root / ".gitignore").write_text("/sub\n"),
    "rules below": lambda root: (root / "sub" / ".ignore").write_text("f0*\n"),
    "copied back": lambda root: shutil.copy2(shutil.copy2(root / "f28.txt", root / "f30.txt"), root / "f32.txt"),
    "all gone": lambda root: [shutil.rmtree(path) if path.is_dir() else path.unlink() for path in root.iterdir()],
}


@pytest.mark.parametrize("change", _CHANGES)
def test_what_changes_between_two_daemons_is_seen(box: Box, tree: Path, change: str) -> None:
    box.attach(tree)
    found = _restarted(box, tree, lambda: _CHANGES[change](tree))
    assert found["known_files"] < _held(tree) + 1
    _same(box, tree)
    (tree / "last.txt").write_text("needle last\n")
    _same(box, tree)


def test_another_folder_under_the_same_name(box: Box, tree: Path) -> None:
    box.attach(tree)

    def exchange() -> None:
        tree.rename(tree.with_name("old"))
        shutil.copytree(tree.with_name("old"), tree, symlinks=True)

    assert _restarted(box, tree, exchange)["known_files"] == 0
    _same(box, tree)


def test_a_moved_root(box: Box, tree: Path) -> None:
    box.attach(tree)
    moved = tree.with_name("moved")
    assert _restarted(box, moved, lambda: tree.rename(moved))["known_files"] == 0
    _same(box, moved)


def test_a_killed_daemon_loses_what_came_after_the_last_save(box: Box, tree: Path) -> None:
    box.attach(tree)
    wait_for(lambda: box.control("status")["snapshot"]["trees"] == 1, "a snapshot")
    (tree / "f00.txt").write_text("changed before the end\n")
    _same(box, tree)
    box.stop(signal.SIGKILL)
    box.start()
    box.attach(tree)
    assert _workspace(box, tree)["known_files"] == _held(tree) - 1
    _same(box, tree)


def test_a_file_that_changed_shortly_before_it_was_read_is_read_again(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", "[snapshot]\nsettled_s = 3600\n") as box:
        box.attach(tree)
        assert _restarted(box, tree)["known_files"] == 0
        _same(box, tree)


# ---- damage


def _flip(chance: random.Random, path: Path) -> None:
    """A few bits of a file, anywhere in it or in its first page."""
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 8, 200))):
        data[chance.randrange(min(len(data), chance.choice((4096, len(data)))))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def _cut(chance: random.Random, path: Path) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def _foreign(chance: random.Random, path: Path) -> None:
    path.write_bytes(chance.randbytes(chance.choice((0, 1, 32, 5000))))


def _other(chance: random.Random, path: Path) -> None:
    others = sorted(set(path.parent.iterdir()) - {path})
    path.unlink()
    if chance.random() < 0.8:
        shutil.copy(chance.choice(others), path)


@pytest.mark.timeout(300)
def test_damage_costs_only_time(box: Box, tree: Path) -> None:
    """Bits flipped, files cut short, overwritten, removed, exchanged: ripgrep's answers all the same."""
    chance = random.Random(4)
    box.attach(tree)
    wait_for(lambda: _indexed(box), "an index")
    box.stop()
    kept = _folder(box).with_name("kept")
    shutil.copytree(_folder(box), kept)
    spoilers = (_flip, _flip, _flip, _cut, _foreign, _other)
    for turn in range(24):
        shutil.rmtree(_folder(box))
        shutil.copytree(kept, _folder(box))
        files = [path for path in sorted(_folder(box).iterdir()) if path.name != "lock"]
        for path in chance.sample(files, chance.choice((1, 1, 2, len(files)))):
            chance.choice(spoilers)(chance, path)
        box.start()
        box.attach(tree)
        _same(box, tree, _SEARCHES[:4])
        box.stop()
        assert "Traceback" not in _log(box), turn


def test_each_byte_of_a_text_is_vouched_for(box: Box, tree: Path) -> None:
    box.attach(tree)
    box.stop()
    spoilt = 0
    for path in _folder(box).glob("texts-*"):
        data = path.read_bytes()
        spoilt += data.count(b"needle 6\nline")
        path.write_bytes(data.replace(b"needle 6\nline", b"needle 5\nline"))
    assert spoilt
    box.start()
    box.attach(tree)
    assert _workspace(box, tree)["known_files"] == _held(tree) - 1
    _same(box, tree)
    assert "damaged" in _log(box) or _restarted(box, tree), "the log tells of it"


# ---- the folder


def test_of_two_daemons_one_writes(box: Box, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    box.attach(tree)
    _restarted(box, tree)
    with Box(tmp_path / "second", _CONFIG + f'dir = "{_folder(box)}"\n') as second:
        second.attach(tree)
        assert "used by another daemon" in _log(second)
        assert _workspace(second, tree)["known_files"] == _held(tree), "it may read"
        _same(second, tree)
        before = {path.name: path.stat().st_mtime_ns for path in _folder(box).glob("t*")}
        second.stop()
        assert {path.name: path.stat().st_mtime_ns for path in _folder(box).glob("t*")}.keys() == before.keys()
    assert _restarted(box, tree)["known_files"] == _held(tree)
    _same(box, tree)


def test_a_folder_that_others_may_read_is_not_used(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", _CONFIG + f'dir = "{tmp_path / "open"}"\n') as box:
        box.attach(tree)
        _same(box, tree)
        assert "not this user's alone" in _log(box)
    assert not list((tmp_path / "open").iterdir())


def test_it_can_be_switched_off(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", "[snapshot]\nenabled = false\n") as box:
        box.attach(tree)
        assert _restarted(box, tree)["known_files"] == 0
        assert box.control("status")["snapshot"]["folder"] == ""
        assert not _folder(box).exists()


def test_what_is_too_much_is_not_kept(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", _CONFIG + 'size = "16K"\n') as box:
        box.attach(tree)
        assert _restarted(box, tree)["known_files"] == 0
        assert "no snapshot of" in _log(box)
        _same(box, tree)
        assert sum(path.stat().st_size for path in _folder(box).iterdir()) <= 16384


def test_the_snapshot_used_least_recently_makes_room(tmp_path: Path) -> None:
    roots = [tmp_path / name for name in ("a", "b", "c")]
    for root in roots:
        (root / ".git").mkdir(parents=True)
        (root / "text").write_text(f"{root.name} needle\n" * 5000)
        _aged(root)
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", _CONFIG + 'size = "256K"\n') as box:
        for root in roots:
            box.attach(root)
            box.control("detach", root=str(root))
            box.stop()
            box.start()
        assert box.control("status")["snapshot"]["bytes"] <= 256 << 10
        box.attach(roots[2])
        box.attach(roots[0])
        _same(box, roots[2])
        _same(box, roots[0])


def test_a_full_disk_harms_nothing(tmp_path: Path, tree: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(disk)]
    mounted = subprocess.run(words, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("no right to mount")
    with ExitStack() as cleanup:
        cleanup.callback(subprocess.run, ["umount", "-l", disk], check=True)
        (tmp_path / "box").mkdir()
        with Box(tmp_path / "box", _CONFIG + f'dir = "{disk}"\n') as box:
            box.attach(tree)
            _same(box, tree)
            assert _restarted(box, tree)["known_files"] == 0
            _same(box, tree)
            assert "No space left" in _log(box)


def test_what_nobody_needs_any_more_goes(box: Box, tree: Path) -> None:
    """Each edit adds a text; those of yesterday do not stay for ever."""
    box.attach(tree)
    for turn in range(12):
        (tree / "f00.txt").write_text(f"turn {turn}\n" * 20000)
        _aged(tree)
        _restarted(box, tree)
        compare(box, ["-c", "turn"], tree)
    _restarted(box, tree)
    wait_for(lambda: len(list(_folder(box).glob("texts-*"))) <= 10, "few files")
    wait_for(lambda: box.control("status")["snapshot"]["bytes"] < 2_500_000, "yesterday's texts go")
    _same(box, tree)
