"""A daemon that nobody needs ends; the next search that misses it starts another, and is answered by rg meanwhile."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from daemon_place import CURSERVE, Place, is_alive, wait_for

from curserve import paths

SHIM = str(paths.shim_dir() / "rg")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / ".git").mkdir(parents=True)
    (root / "a.txt").write_text("needle\n")
    return root


def _configure(place: Place, text: str) -> None:
    config = place.home / ".config" / "curserve" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text)


def _search(place: Place, tree: Path, **env: str) -> dict[str, Any]:
    """The trace of a search whose answer is right."""
    trace = place.folder / "trace"
    changed = place.env | {"CURSERVE_TRACE": str(trace)} | env
    done = subprocess.run([SHIM, "-n", "needle"], cwd=tree, env=changed, stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a.txt:1:needle\n", b"")
    record: dict[str, Any] = json.loads(trace.read_text())
    trace.unlink()
    return record


def _served(place: Place, tree: Path) -> bool:
    return bool(_search(place, tree)["served"])


def _listens(place: Place) -> bool:
    """Whether a client can connect; so it may for a moment after the main thread has become a zombie."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(place.socket)) == 0


def _age(place: Place, seconds: float = 60) -> None:
    """As if the last start had been so long ago."""
    then = time.time() - seconds
    os.utime(place.beside("start"), (then, then))


def test_an_idle_daemon_ends_and_comes_back_on_demand(place: Place, tree: Path) -> None:
    _configure(place, "[daemon]\nidle_exit = 4\n")
    first = place.start()
    wait_for(lambda: not is_alive(first), "the end of an idle daemon")
    assert not place.socket.exists()
    assert place.beside("start").stat().st_mode & 0o777 == 0o700
    _age(place)
    _configure(place, "")
    assert _search(place, tree)["reason"] == "no_daemon"
    wait_for(lambda: _served(place, tree), "a search served by a new daemon")
    status = place.status()
    assert status["pid"] != first and status["workspaces"][0]["root"] == str(tree)


def test_a_crashed_daemon_comes_back_after_the_cooldown_only(place: Place, tree: Path) -> None:
    first = place.start()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not _listens(place), "its end")
    _age(place, 0)
    before = place.beside("start").stat().st_mtime_ns
    assert _search(place, tree)["reason"] == "no_daemon"
    assert place.beside("start").stat().st_mtime_ns == before, "no start within 30 s of the last one"
    _age(place)
    assert _search(place, tree)["reason"] == "no_daemon"
    assert place.beside("start").stat().st_mtime_ns > before, "a start, and from now on a cooldown"
    wait_for(lambda: _served(place, tree), "a search served by a new daemon")


def test_a_burst_starts_one_daemon(place: Place, tree: Path) -> None:
    os.kill(place.start(), signal.SIGKILL)
    wait_for(lambda: not _listens(place), "its end")
    _age(place)
    argv = [SHIM, "-n", "needle"]
    burst = [
        subprocess.Popen(argv, cwd=tree, env=place.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for _ in range(16)
    ]
    assert {search.communicate()[0] for search in burst} == {b"a.txt:1:needle\n"}
    wait_for(lambda: _served(place, tree), "a search served by a new daemon")
    pid = place.status()["pid"]
    log = place.beside("log")
    wait_for(lambda: _served(place, tree) and place.status()["pid"] == pid, "one daemon")
    assert f" {pid} " in log.read_text()


def test_nothing_is_started_after_a_stop(place: Place, tree: Path) -> None:
    place.start()
    assert place.run("stop").returncode == 0
    assert not place.beside("start").exists()
    assert _search(place, tree)["reason"] == "no_daemon"


@pytest.mark.parametrize("spoiled", ["open to others", "link", "folder"])
def test_a_start_file_that_is_not_ours_is_not_run(place: Place, tree: Path, spoiled: str) -> None:
    mark = place.folder / "was-run"
    script, start = place.folder / "script", place.beside("start")
    script.write_text(f"#!/bin/sh\n: > '{mark}'\n")
    script.chmod(0o700)
    if spoiled == "open to others":
        script.rename(start)
        start.chmod(0o755)
    elif spoiled == "link":
        start.symlink_to(script)
    else:
        start.mkdir(mode=0o700)
    then = time.time() - 60
    os.utime(start, (then, then), follow_symlinks=False)
    before = start.lstat().st_mtime_ns
    assert _search(place, tree)["reason"] == "no_daemon"
    assert start.lstat().st_mtime_ns == before and not mark.exists()


def test_what_is_started_keeps_nothing_of_the_search(place: Place, tree: Path) -> None:
    """Neither a pipe, nor the session, nor the environment; nobody is left to be waited for."""
    report, done = place.folder / "report", place.folder / "done"
    start = place.beside("start")
    start.write_text(
        f"exec 9>'{report}'\nls -l /proc/$$/fd >&9\nenv >&9\ncut -d' ' -f4,6 /proc/$$/stat >&9\n: > '{done}'\n"
    )
    start.chmod(0o700)
    _age(place)
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    env = place.env | {"SECRET": "of-the-agent"}
    search = subprocess.Popen([SHIM, "-n", "needle"], cwd=tree, env=env, close_fds=False, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE)  # fmt: skip
    os.close(writing)
    assert search.communicate()[0] == b"a.txt:1:needle\n"
    wait_for(done.exists, "the script's end")
    assert os.read(reading, 1) == b""
    os.close(reading)
    text = report.read_text()
    assert "of-the-agent" not in text and "pipe:" not in text
    parent, session = text.splitlines()[-1].split()
    assert int(session) != os.getsid(0) and int(parent) != search.pid


def test_a_daemon_is_not_started_by_who_sees_less(place: Place, tree: Path) -> None:
    """A shim in a sandbox runs the script like any other; the program it starts ends at once."""
    place.start()
    script = place.beside("start").read_text()
    assert place.run("stop").returncode == 0
    # no_new_privs is one of the marks of a sandbox; setpriv is of util-linux, as mount is.
    path = place.folder / "script"
    path.write_text(script)
    assert subprocess.run(["setpriv", "--no-new-privs", "sh", str(path)], env=place.env).returncode == 0
    wait_for(lambda: not _runs(str(place.socket)), "the end of what was started")
    assert place.status()["running"] is False
    assert subprocess.run(["sh", str(path)], env=place.env).returncode == 0
    wait_for(lambda: place.status()["running"], "the daemon, started by its equal")


def _roots(place: Place) -> dict[str, str]:
    return {workspace["root"]: workspace["state"] for workspace in place.status()["workspaces"]}


def _runs(socket: str) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"CURSERVE_SOCKET={socket}".encode() in (process / "environ").read_bytes() and b"daemon_main" in (
                process / "cmdline"
            ).read_bytes():
                return True
        except OSError:
            continue
    return False


def test_who_is_served_keeps_the_daemon(place: Place, tree: Path) -> None:
    """`curserve run` says that it needs it; the command that it becomes does so as long as it lives."""
    _configure(place, "[daemon]\nidle_exit = 4\n")
    agent = subprocess.Popen([CURSERVE, "run", "-C", str(tree), "--", "cat"], env=place.env, stdin=subprocess.PIPE)
    try:
        wait_for(lambda: place.status()["running"], "the daemon")
        pid = place.status()["pid"]
        wait_for(lambda: _roots(place) == {str(tree): "served"}, "its folder loaded before it has searched")
        begun = time.monotonic()
        wait_for(lambda: time.monotonic() - begun > 6, "more than its patience")
        assert is_alive(pid)
    finally:
        agent.communicate()
    wait_for(lambda: not is_alive(pid), "the end, once the agent has ended")


@pytest.mark.parametrize("bad", ["0", "true", '"never"'])
def test_an_idle_exit_that_is_none_is_told(bad: str) -> None:
    from curserve.config import ConfigError, parse

    assert parse(b'[daemon]\nidle_exit = "off"\n').daemon.idle_exit_s is None
    with pytest.raises(ConfigError, match="idle_exit"):
        parse(f"[daemon]\nidle_exit = {bad}\n".encode())


def test_idleness_is_the_time_without_requests() -> None:
    from curserve.idleness import Idleness

    requests = [0]
    never = Idleness(None, lambda: requests[0])
    assert never.left_s() is None
    idle = Idleness(100, lambda: requests[0])
    first = idle.left_s()
    assert first is not None and first <= 100
    requests[0] += 1
    again = idle.left_s()
    assert again is not None and again > first
    idle.hold(os.getpid())
    held = idle.left_s()
    assert held is not None and held >= again
