"""The memory ceiling: never exceeded by more than a tenth, and whatever goes comes back when it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from daemon_place import wait_for
from oracle import Box, compare

_CEILING = 256 << 20


@contextmanager
def _boxed(folder: Path, more: str = "") -> Iterator[tuple[Box, list[int]]]:
    """A box with a ceiling, and its resident memory as seen every few milliseconds."""
    (folder / "box").mkdir()
    with Box(folder / "box", f'[limits]\nmemory = "{_CEILING}"\n{more}') as box:
        assert box.process is not None
        process = psutil.Process(box.process.pid)
        seen: list[int] = []
        ending = threading.Event()

        def look() -> None:
            while not ending.wait(0.005):
                seen.append(process.memory_info().rss)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield box, seen
        finally:
            ending.set()
            thread.join()


def _tree(folder: Path, name: str, mib: int) -> Path:
    """A repository of so much text, none of it anywhere else."""
    root = folder / name
    (root / ".git").mkdir(parents=True)
    line = f"{name} some words of a line that is quite like the others but for its number "
    for index in range(mib):
        (root / f"{index:03}.txt").write_text("".join(f"{line}{index}.{at}\n" for at in range((1 << 20) // 84)))
    return root


def test_the_least_recently_used_goes_and_comes_back(tmp_path: Path) -> None:
    roots = [_tree(tmp_path, f"tree{index}", 70) for index in range(4)]
    with _boxed(tmp_path) as (box, seen):
        for root in roots:
            box.attach(root)
            compare(box, ["-c", "words", "001.txt"], root)
        wait_for(lambda: box.control("status")["memory"]["evicted"] >= 1, "something to go")
        for root in roots:
            wait_for(lambda root=root: compare(box, ["-c", "words", "001.txt"], root).served, f"{root} again", 30)
        assert max(seen) < _CEILING * 1.1


def test_a_workspace_larger_than_the_ceiling_is_declined_and_says_why(tmp_path: Path) -> None:
    small, large = _tree(tmp_path, "small", 5), _tree(tmp_path, "large", 320)
    with _boxed(tmp_path, f'[roots]\npinned = ["{small}"]\n') as (box, seen):
        box.attach(small)
        answer = box.control("attach", root=str(large), wait=True)
        assert answer["state"] == "failed" and "memory ceiling" in answer["reason"]
        assert compare(box, ["-c", "words", "001.txt"], large).reason == "memory_ceiling"
        assert compare(box, ["-c", "words", "001.txt"], small).served
        assert max(seen) < _CEILING * 1.1


@pytest.mark.parametrize("bad", ['memory = "much"', "memory = 0"])
def test_a_ceiling_that_is_none_is_told(bad: str) -> None:
    from curserve.config import ConfigError, parse

    with pytest.raises(ConfigError, match="memory"):
        parse(f"[limits]\n{bad}\n".encode())
