"""A crash leaves a report: when, how, and what was being served; the log beside it rotates."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from daemon_place import Place, is_alive, wait_for

from curserve import crashes, log, paths


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_says_what_was_served(place: Place, tmp_path: Path, number: signal.Signals) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "large.txt").write_text("a line with the needle\n" * 200_000)
    pid = place.start()
    assert place.run("attach", str(root)).returncode == 0
    argv = [str(paths.shim_dir() / "rg"), "--no-config", "--json", "needle\x1b", "-e", "needle", "large.txt"]
    with subprocess.Popen(argv, cwd=root, env=place.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as search:  # fmt: skip
        wait_for(lambda: place.status()["queue"]["stalled"] == 1, "a search under way: nobody reads its answer")
        os.kill(pid, number)
        wait_for(lambda: not is_alive(pid), "the crash")
        _, errors = search.communicate()
        assert search.returncode == 2 and b"broke off in the middle" in errors
    report = crashes.file_of(place.beside("log"))
    assert report.stat().st_mode & 0o777 == 0o600
    text = report.read_text()
    assert "most recent call first" in text, "the stacks of all threads"
    found = crashes.last(place.beside("log"))
    assert found is not None and (found.pid, found.signal) == (pid, number.name)
    assert found.serving == (f"pid {search.pid}, in {root} | --no-config | --json | needle? | -e | needle | large.txt",)
    down = place.run("status")
    assert "the last crash was at" in down.stdout and number.name in down.stdout and str(report) in down.stdout
    place.start()
    told = place.status()["crash"]
    assert told == {"signal": number.name, "version": found.version, "time_s": found.time_s, "searches": 1}
    assert f"{number.name}, 1 searches under way" in place.run("status").stdout


def test_no_crash_is_told_of_a_daemon_that_had_none(place: Place) -> None:
    place.start()
    assert place.status()["crash"]["time_s"] is None
    place.run("stop")
    assert "crash" not in place.run("status").stdout


def test_the_log_rotates(tmp_path: Path) -> None:
    path = tmp_path / "state" / "daemon.log"
    logger = log.open_file(path, "info")
    try:
        for number in range(30_000):
            logger.info("%06d %s", number, "a line of the log" * 30)
    finally:
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["daemon.log", "daemon.log.1", "daemon.log.2", "daemon.log.3"]
    assert all(file.stat().st_size <= 4 << 20 for file in files)
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    assert "029999 a line" in log.last_lines(path)[-1]
