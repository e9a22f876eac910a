"""The memory ceiling: never exceeded by more than a tenth, and whatever goes comes back when it is asked for."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from daemon_place import wait_for
from oracle import Box, compare

from curserve.workspaces import Workspace, Workspaces

_CEILING = 256 << 20
_STAGES = ("caches", "index", "workspace")


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
        assert box.control("status")["memory"]["caches_given_up"] >= 1
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


@pytest.fixture
def workspaces() -> Workspaces:
    """As a daemon has them."""
    from curserve.config import Config

    config = Config()
    return Workspaces(config.roots.policy(), config, 2, lambda: None)


def _attached(workspaces: Workspaces, root: Path) -> Workspace:
    workspace = workspaces.attach(os.fsencode(root))
    wait_for(lambda: workspace.done.is_set() and not workspace.busy, f"{root} loaded and indexed", timeout_s=60)
    return workspace


def test_caches_go_before_the_index_and_the_index_before_the_text(tmp_path: Path, workspaces: Workspaces) -> None:
    old, new = (_attached(workspaces, _tree(tmp_path, name, 3)) for name in ("old", "new"))
    both = workspaces.store_numbers()
    assert workspaces.give_up(1) == ("caches", old.root)
    assert workspaces.store_numbers() == both
    assert workspaces.give_up(1) == ("index", old.root)
    scanned = workspaces.store_numbers()
    assert scanned["text_bytes"] == both["text_bytes"]
    assert 0 < scanned["index_bytes"] < both["index_bytes"]
    assert scanned["indexed_text_bytes"] == both["indexed_text_bytes"] // 2
    assert workspaces.give_up(1) == ("workspace", old.root)
    assert [workspace.root for workspace in workspaces.all()] == [new.root]
    assert [workspaces.give_up(1) for _ in range(4)] == [(what, new.root) for what in _STAGES] + [None]


def test_an_index_comes_back_when_its_workspace_is_used(tmp_path: Path, workspaces: Workspaces) -> None:
    workspace = _attached(workspaces, _tree(tmp_path, "tree", 3))
    before = workspaces.store_numbers()
    assert [workspaces.give_up(1) for _ in range(2)] == [("caches", workspace.root), ("index", workspace.root)]
    workspaces.sweep()
    assert workspaces.store_numbers()["index_bytes"] == 0, "nobody has used it since"
    workspace.used_s = time.monotonic()
    workspaces.sweep()
    assert workspaces.store_numbers() == before


def test_what_is_shared_is_counted_once(tmp_path: Path, workspaces: Workspaces) -> None:
    first = _tree(tmp_path, "first", 2)
    second = tmp_path / "second"
    shutil.copytree(first, second)
    (second / "more.txt").write_text("".join(f"only here {number}\n" for number in range(100_000)))
    third = _tree(tmp_path, "third", 1)
    for root in (first, second, third):
        _attached(workspaces, root)
    of = dict(zip(("first", "second", "third"), workspaces.holdings(workspaces.all()), strict=True))
    numbers = workspaces.store_numbers()
    everything = numbers["text_bytes"] + numbers["index_bytes"]
    assert sum(holding["share_bytes"] for holding in of.values()) == pytest.approx(everything, rel=0.001)
    assert of["first"]["own_bytes"] == 0
    text = {root.name: sum(file.stat().st_size for file in root.glob("*.txt")) for root in (first, second, third)}
    more = (second / "more.txt").stat().st_size
    assert more < of["second"]["own_bytes"] < more * 1.5
    assert of["third"]["own_bytes"] == of["third"]["share_bytes"] == text["third"] + of["third"]["index_bytes"]
    assert of["first"]["share_bytes"] == pytest.approx((text["first"] + of["first"]["index_bytes"]) / 2, rel=0.001)


@pytest.mark.parametrize("bad", ['memory = "much"', "memory = 0"])
def test_a_ceiling_that_is_none_is_told(bad: str) -> None:
    from curserve.config import ConfigError, parse

    with pytest.raises(ConfigError, match="memory"):
        parse(f"[limits]\n{bad}\n".encode())
