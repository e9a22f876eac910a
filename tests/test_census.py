"""Who asks what, as `look` tells it: gathered only while somebody looks, bounded, true."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from daemon_place import wait_for
from oracle import Box

from curserve import paths

_AGENT = """
import subprocess, sys
for line in sys.stdin:
    subprocess.run([sys.argv[1], *line.split()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    print("asked", flush=True)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / ".git").mkdir(parents=True)
    for name in "abc":
        (root / f"{name}.txt").write_text(f"alpha {name}\nbeta\n")
    for number in range(40):
        (root / f"many{number}").write_text("common\n")
    return root


@contextmanager
def _agent(box: Box, name: str) -> Iterator[Callable[[str], None]]:
    """A process that people would call by that name, old enough not to be taken for a command's own; asks rg."""
    program = box.folder / name
    program.write_text(_AGENT)
    with subprocess.Popen(
        [sys.executable, str(program), str(paths.shim_dir() / "rg")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=box.env, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        born_s = time.monotonic()
        wait_for(lambda: time.monotonic() > born_s + 1.2, "the agent is a second old")

        def ask(words: str) -> None:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(words + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "asked\n"

        yield ask
        process.stdin.close()


def _look(box: Box, seconds: int = 60) -> dict[str, Any]:
    return box.control("look", seconds=seconds, measure=False)


def _settled(box: Box, requests: int) -> dict[str, Any]:
    """The census once all of these requests are in it: each is counted after its client has the answer."""
    found: dict[str, Any] = {}

    def all_there() -> bool:
        found.update(_look(box)["census"])
        return sum(row["served"] + row["declined"] for row in found["queries"]) >= requests

    wait_for(all_there, f"{requests} requests in the census")
    return found


def test_queries_files_and_clients(own_box: Box, tree: Path) -> None:
    own_box.attach(tree)
    with _agent(own_box, "qwen") as ask:
        _look(own_box)
        for _ in range(3):
            ask(f"alpha {tree}")
        ask(f"-l common {tree}")
        ask(f"--pre cat alpha {tree}")
        census = _settled(own_box, 5)
    first = census["queries"][0]
    assert (first["argv"], first["root"], first["served"]) == (["alpha", str(tree)], str(tree), 3)
    assert first["us_max"] <= first["us_sum"] and first["bytes_out"] > 0
    declined = next(row for row in census["queries"] if row["argv"][0] == "--pre")
    assert (declined["served"], declined["declined"]) == (0, 1)
    # An answer about 40 files says little of any of them.
    assert {(row["path"], row["answers"]) for row in census["files"]} == {(f"{name}.txt", 3) for name in "abc"}
    (client,) = census["clients"]
    assert (client["agent"], client["served"], client["declined"], client["root"]) == ("qwen", 4, 1, str(tree))
    import pwd

    assert client["user"] == pwd.getpwuid(os.getuid()).pw_name


def test_nothing_is_gathered_while_nobody_looks(own_box: Box, tree: Path) -> None:
    own_box.attach(tree)
    assert own_box.rg(["alpha"], tree).served
    assert _look(own_box, seconds=1)["census"]["queries"] == []
    assert own_box.rg(["beta"], tree).served
    looked_s = time.monotonic()
    wait_for(lambda: time.monotonic() > looked_s + 1.1, "the look is over")
    assert own_box.rg(["gamma"], tree).code == 1
    census = _look(own_box)["census"]
    assert (census["queries"], census["files"], census["clients"]) == ([], [], [])


def test_lists_are_bounded_and_keep_the_hottest(own_box: Box, tree: Path) -> None:
    own_box.attach(tree)
    _look(own_box)
    with _agent(own_box, "script") as ask:
        for number in range(200):
            ask(f"never{number} {tree}")
            if number % 4 == 0:
                ask(f"beta {tree}")
        wait_for(lambda: own_box.control("status")["requests"]["served"] >= 250, "250 served")
        wait_for(lambda: _look(own_box)["census"]["queries"][0]["served"] == 50, "the hottest query's fifty")
        census = _look(own_box)["census"]
    assert census["queries"][0]["argv"] == ["beta", str(tree)]
    assert len(census["queries"]) == 128
    assert census["clients"][0]["agent"].startswith("python")


def test_long_and_odd_arguments(own_box: Box, tree: Path) -> None:
    own_box.attach(tree)
    _look(own_box)
    own_box.rg(["-e", "a\nb", "-e", b"\xff", "-U", "-e", "x" * 5000, "."], tree)
    own_box.rg([], tree)
    census = _settled(own_box, 2)
    argvs = sorted(row["argv"] for row in census["queries"])
    assert argvs == [[], ["-e", "a\nb", "-e", "\udcff", "-U", "-e"]]


def test_savings_are_measured_while_somebody_looks(own_box: Box, tree: Path) -> None:
    own_box.attach(tree)
    before = own_box.control("look", seconds=60, measure=True)
    assert before["measured"] == [] and before["savings"]["samples"] == 0
    asked = [["-n", "alpha"], ["beta"]]

    def measured() -> bool:
        for argv in asked:
            assert own_box.rg(argv, tree).served
        return own_box.control("look", seconds=60, measure=True)["savings"]["samples"] >= 2

    wait_for(measured, "two measurements")
    found = own_box.control("look", seconds=60, measure=False)
    (row,) = found["measured"]
    assert row["root"] == str(tree) and row["samples"] >= 2 and row["rg_s"] > 0 and row["curserve_s"] > 0
    # Our own questions are nobody's.
    assert sorted(query["argv"] for query in found["census"]["queries"]) == sorted(asked)


def test_what_no_seconds_are(box: Box) -> None:
    for seconds in (0, -1, True, "5", None, 1.5):
        answer = box.control("look", seconds=seconds)
        assert answer["ok"] is False and "seconds" in answer["error"]
