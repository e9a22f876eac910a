"""A restart refuses nobody: the new daemon takes the old one's sockets over, and what was attached with them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from daemon_place import CURSERVE, Place, is_alive, wait_for

from curserve import paths

SHIM = str(paths.shim_dir() / "rg")
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    for index in range(200):
        (root / f"{index}.txt").write_text(f"needle {index}\nhay\n" * 200)
    return root


class Hammer:
    """Clients that search without a pause, and what came of each search."""

    def __init__(self, place: Place, tree: Path, shim: str = SHIM, clients: int = 6) -> None:
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._place, self._tree, self._shim = place, tree, shim
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._search, args=(index,)) for index in range(clients)]

    def __enter__(self) -> Hammer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _search(self, index: int) -> None:
        trace = self._place.folder / f"trace{index}-{id(self)}"
        turn = 0
        while not self._ending.is_set():
            turn = (turn + 1) % 200
            argv = [self._shim, "--no-config", "-c", f"needle {turn}$"]
            env = self._place.env | {"CURSERVE_TRACE": str(trace), "CURSERVE_TIMEOUT_MS": "0"}
            done = subprocess.run(argv, cwd=self._tree, env=env, stdin=subprocess.DEVNULL, capture_output=True)
            if (done.returncode, done.stdout, done.stderr) != (0, f"{turn}.txt:200\n".encode(), b""):
                self.wrong.append(f"{turn}: {done}")
            record = json.loads(trace.read_text())
            self.outcomes["served" if record["served"] else record["reason"]] += 1
            trace.unlink()


def _until_served(place: Place, hammer: Hammer, more: int = 20) -> None:
    seen = hammer.outcomes["served"]
    wait_for(lambda: hammer.outcomes["served"] >= seen + more, "served searches", timeout_s=60)


def test_a_restart_refuses_nobody(place: Place, tree: Path) -> None:
    """Every search is served from memory, before, in between and after; the attached folder goes along."""
    first = place.start()
    assert place.run("attach", str(tree)).returncode == 0
    with Hammer(place, tree) as hammer:
        _until_served(place, hammer)
        for _ in range(3):
            assert place.run("restart", timeout_s=90).returncode == 0
            wait_for(lambda first=first: not is_alive(first), "the end of the one before")
            assert place.status()["pid"] != first
            first = place.status()["pid"]
            _until_served(place, hammer)
    assert hammer.wrong == []
    assert set(hammer.outcomes) == {"served"}, hammer.outcomes
    assert place.run("stop").stdout == "curserve: stopped\n"
    assert not place.socket.exists() and not place.beside("control").exists()


def test_an_answer_that_is_being_read_is_finished(place: Place, tmp_path: Path) -> None:
    """By the daemon that began it, however slowly it is read; the next one serves meanwhile. More than fits a file."""
    root = tmp_path / "large"
    root.mkdir()
    (root / "large.txt").write_text("a line with the needle\n" * 600_000)
    first = place.start()
    assert place.run("attach", str(root)).returncode == 0
    argv = [SHIM, "--no-config", "needle", "large.txt"]
    with subprocess.Popen(argv, cwd=root, env=place.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as search:
        wait_for(lambda: place.status()["queue"]["stalled"] == 1, "a search under way: nobody reads its answer")
        assert place.run("restart", timeout_s=90).returncode == 0
        assert place.status()["pid"] != first and is_alive(first)
        out, _ = search.communicate()
    assert search.returncode == 0 and out == b"a line with the needle\n" * 600_000
    wait_for(lambda: not is_alive(first), "the end of the one before")


def test_a_successor_that_fails_changes_nothing(place: Place, tree: Path) -> None:
    pid = place.start()
    assert place.run("attach", str(tree)).returncode == 0
    broken = place.folder / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import curserve.handover as h, os, signal\n"
        "h.Inheritance.accept = lambda self: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with Hammer(place, tree) as hammer:
        _until_served(place, hammer)
        assert place.run("restart", env={"PYTHONPATH": str(broken)}, timeout_s=90).returncode == 1
        _until_served(place, hammer)
    assert hammer.wrong == []
    assert is_alive(pid)


def test_a_daemon_that_does_not_hand_over_is_stopped_first(place: Place, tree: Path) -> None:
    """As an older version does. Searches in between are answered by the real rg."""
    old = (
        "import curserve.control as c; c.ControlPlane.estate = property(lambda s: None, lambda s, v: None)\n"
        "from curserve.daemon_main import main; main(['--detach'])"
    )
    assert place.shell_out([sys.executable, "-P", "-c", old]).returncode == 0
    wait_for(lambda: place.status()["running"], "the daemon")
    pid = place.status()["pid"]
    with Hammer(place, tree) as hammer:
        assert place.run("restart", timeout_s=90).returncode == 0
    assert hammer.wrong == []
    assert not is_alive(pid) and place.status()["pid"] != pid


@pytest.fixture(scope="module")
def other_shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shim of a version with another protocol, built by the line at the head of its source."""
    folder = tmp_path_factory.mktemp("other")
    shutil.copytree(ROOT / "shims", folder / "shims")
    wire = folder / "shims" / "wire.h"
    text = wire.read_text()
    assert text.count("#define CS_WIRE_VERSION 1\n") == 1
    wire.write_text(text.replace("#define CS_WIRE_VERSION 1\n", "#define CS_WIRE_VERSION 2\n"))
    head = (ROOT / "shims" / "rg.c").read_text().partition("*/")[0]
    line = head[head.index(" * cc ") :].replace(" *", " ").replace("\\\n", " ")
    subprocess.run(line.split(), cwd=folder, check=True)
    return str(folder / "rg")


def test_shims_of_both_versions_get_right_answers_throughout_an_upgrade(
    place: Place, tree: Path, other_shim: str
) -> None:
    older = "import curserve; curserve.__version__ = '0.0.1'; from curserve.daemon_main import main; main(['--detach'])"
    assert place.shell_out([sys.executable, "-P", "-c", older]).returncode == 0
    wait_for(lambda: place.status()["running"], "the older daemon")
    assert place.run("attach", str(tree)).returncode == 0  # this start is the upgrade's
    assert place.status()["version"] != "0.0.1"
    with Hammer(place, tree) as hammer, Hammer(place, tree, other_shim, clients=2) as other:
        _until_served(place, hammer)
        assert place.run("restart", timeout_s=90).returncode == 0
        _until_served(place, hammer)
        wait_for(lambda: other.outcomes["version"] >= 10, "declines of the other version")
    assert hammer.wrong == [] and other.wrong == []
    assert set(hammer.outcomes) == {"served"} and set(other.outcomes) == {"version"}


def test_the_successor_keeps_the_snapshot_from_then_on(place: Place, tree: Path) -> None:
    """The folder is the old daemon's until that has ended; what the new one saves is there for a third."""
    config = place.home / ".config" / "curserve" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[limits]\nsweep_s = 0.2\n[snapshot]\nsettled_s = 0\nevery_s = 1\n")
    first = place.start()
    assert place.run("attach", str(tree)).returncode == 0
    assert place.run("restart").returncode == 0
    wait_for(lambda: not is_alive(first), "the end of the one before")
    (tree / "new.txt").write_text("written under the second daemon\n")
    wait_for(lambda: _saved_since(place, tree), "a snapshot by the second daemon", timeout_s=60)
    assert place.run("stop").returncode == 0
    place.start()
    assert place.run("attach", str(tree)).returncode == 0
    assert place.status()["workspaces"][0]["known_files"] >= 200


def _saved_since(place: Place, tree: Path) -> bool:
    pid = place.status()["pid"]
    asked = [SHIM, "--no-config", "-c", "written under"]
    done = subprocess.run(asked, cwd=tree, env=place.env, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.stdout == b"new.txt:1\n"
    lines = [line for line in place.beside("log").read_text().splitlines() if f" {pid} " in line]
    return any(f"{tree}: snapshot of generation" in line for line in lines)


def test_the_lock_names_the_successor(place: Place) -> None:
    first = place.start()
    assert place.run("restart").returncode == 0
    second = place.status()["pid"]
    assert json.loads(place.beside("lock").read_text())["pid"] == second != first
    os.kill(second, signal.SIGKILL)
    wait_for(lambda: not is_alive(second), "its end")
    assert subprocess.run([CURSERVE, "start"], env=place.env, stdout=subprocess.DEVNULL).returncode == 0
