"""What no event tells: each exception that README's Freshness section names, and when it is seen after all.

The numbers are README's. A search may answer with what was there before such a change or with what is there now, never
with anything else; after the next comparison of everything (or the named event) it answers with what is there now.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemon_place import wait_for
from oracle import Box, compare

NEVER, SOON = 3600.0, 0.3
"""Seconds between two comparisons of everything: not in this test's life, or soon."""
YOUNG_S = 2.1
"""A file that has not changed for so long when its folder is read is believed to have no unknown writer."""


@contextmanager
def running(folder: Path, sweep_s: float) -> Iterator[Box]:
    folder.mkdir()
    with Box(folder, f"[limits]\nsweep_s = {sweep_s}\n") as box:
        yield box


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with files, beside an `outside` on the same file system. All have come of age."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside").mkdir()
    for name in ("a", "b"):
        (root / f"{name}.txt").write_text("old word\n")
    settle(root)
    return root


def settle(root: Path) -> None:
    """Returns when nothing in the folder is young any more."""
    wait_for(lambda: all(time.time() - p.stat().st_ctime > YOUNG_S for p in root.iterdir()), "the files to age")


def check(box: Box, root: Path, change: Callable[[], object], before: bytes, after: bytes) -> None:
    """Attach, change: the answer is the one or the other, from memory."""
    box.attach(root)
    assert compare(box, ["word"], root).served
    change()
    answer = box.rg(["word", "--sort", "path"], root)
    assert answer.served
    assert answer.stdout in (before, after)


def is_seen(box: Box, root: Path) -> Callable[[], bool]:
    """Whether a search answers as ripgrep does."""

    def seen() -> bool:
        try:
            return compare(box, ["word"], root).served
        except AssertionError:
            return False

    return seen


BEFORE = b"a.txt:old word\nb.txt:old word\n"
AFTER = b"a.txt:new word\nb.txt:old word\n"


def test_1_store_into_a_shared_mapping_is_seen_when_it_is_unmapped(tmp_path: Path, tree: Path) -> None:
    with running(tmp_path / "box", NEVER) as box, (tree / "a.txt").open("r+b") as file:
        with mmap.mmap(file.fileno(), 0) as mapping:

            def store() -> None:
                mapping[0:3] = b"new"

            check(box, tree, store, BEFORE, AFTER)
        file.close()
        assert compare(box, ["word"], tree).served


def test_1_store_into_a_shared_mapping_is_seen_when_all_is_compared(tmp_path: Path, tree: Path) -> None:
    """On file systems where a store moves the file's times, that is: all but those in memory."""
    with running(tmp_path / "box", SOON) as box, (tree / "a.txt").open("r+b") as file:
        with mmap.mmap(file.fileno(), 0) as mapping:

            def store() -> None:
                mapping[0:3] = b"new"

            before = (tree / "a.txt").stat().st_mtime_ns
            check(box, tree, store, BEFORE, AFTER)
            if (tree / "a.txt").stat().st_mtime_ns != before:
                wait_for(is_seen(box, tree), "the store to be seen")
        file.close()
        assert compare(box, ["word"], tree).served


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a file system in memory")
def test_1_store_that_moves_no_times_is_seen_when_it_is_unmapped(tmp_path: Path) -> None:
    root = Path("/dev/shm") / f"curserve-{os.getpid()}"
    root.mkdir()
    try:
        (root / "a.txt").write_text("old word\n")
        settle(root)
        with running(tmp_path / "box", NEVER) as box:
            box.attach(root)
            assert compare(box, ["word"], root).served
            with (root / "a.txt").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
                mapping[0:3] = b"new"
            answer = compare(box, ["word"], root)
            assert answer.served
            assert answer.stdout == b"a.txt:new word\n"
    finally:
        subprocess.run(["rm", "-r", str(root)], check=True)


@pytest.mark.parametrize("sweep_s", [NEVER, SOON])
def test_2_write_through_a_hard_link_made_outside(tmp_path: Path, tree: Path, sweep_s: float) -> None:
    def change() -> None:
        os.link(tree / "a.txt", tmp_path / "outside" / "link")
        with (tmp_path / "outside" / "link").open("r+b") as file:
            file.write(b"new")

    with running(tmp_path / "box", sweep_s) as box:
        check(box, tree, change, BEFORE, AFTER)
        if sweep_s == SOON:
            wait_for(is_seen(box, tree), "the write to be seen")
        else:  # anything that happens to its own name tells of the link
            (tree / "a.txt").chmod(0o600)
            assert compare(box, ["word"], tree).served
        (tmp_path / "outside" / "link").write_text("newer word\n")  # known now, and compared each time
        assert compare(box, ["word"], tree).served


@pytest.mark.parametrize("sweep_s", [NEVER, SOON])
def test_3_write_through_another_name_gone_before_the_folder_was_read(
    tmp_path: Path, tree: Path, sweep_s: float
) -> None:
    other = tmp_path / "outside" / "other"
    fd = os.open(other, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.write(fd, b"old word\n")
        (tree / "a.txt").unlink()
        os.link(other, tree / "a.txt")
        other.unlink()
        settle(tree)
        with running(tmp_path / "box", sweep_s) as box:
            check(box, tree, lambda: os.pwrite(fd, b"new", 0), BEFORE, AFTER)
            if sweep_s == SOON:
                wait_for(is_seen(box, tree), "the write to be seen")
            else:
                (tree / "a.txt").chmod(0o600)
                assert compare(box, ["word"], tree).served
    finally:
        os.close(fd)


@pytest.mark.parametrize("sweep_s", [NEVER, SOON])
def test_3_write_through_another_name_after_another_writer_closed_the_new_one(
    tmp_path: Path, tree: Path, sweep_s: float
) -> None:
    other = tmp_path / "outside" / "other"
    fd = os.open(other, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        with running(tmp_path / "box", sweep_s) as box:
            box.attach(tree)
            os.write(fd, b"old ")
            os.link(other, tree / "c.txt")  # all between two searches
            other.unlink()
            with (tree / "c.txt").open("a") as file:
                file.write("word\n")
            assert compare(box, ["word"], tree).served
            before = BEFORE + b"c.txt:old word\n"
            check(box, tree, lambda: os.pwrite(fd, b"new", 0), before, BEFORE + b"c.txt:new word\n")
            if sweep_s == SOON:
                wait_for(is_seen(box, tree), "the write to be seen")
            else:
                (tree / "c.txt").chmod(0o600)
                assert compare(box, ["word"], tree).served
    finally:
        os.close(fd)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_4_change_of_the_lower_layer_below_an_overlay(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(overlay)], check=True)
    merged = tmp_path / "merged"
    merged.mkdir()
    try:
        for name in ("lower", "upper", "work"):
            (overlay / name).mkdir()
        for name in ("a", "b"):
            (overlay / "lower" / f"{name}.txt").write_text("old word\n")
        options = f"lowerdir={overlay}/lower,upperdir={overlay}/upper,workdir={overlay}/work"
        if subprocess.run(["mount", "-t", "overlay", "none", "-o", options, str(merged)], check=False).returncode != 0:
            pytest.skip("no overlay to be had here")
        try:
            settle(merged)
            with running(tmp_path / "box", SOON) as box:
                check(box, merged, lambda: (overlay / "lower" / "a.txt").write_text("new word\n"), BEFORE, AFTER)
                wait_for(is_seen(box, merged), "the change below to be seen")
                (merged / "b.txt").write_text("upper word\n")  # what is written above is told at once
                assert compare(box, ["word"], merged).served
        finally:
            subprocess.run(["umount", str(merged)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(overlay)], check=True)
