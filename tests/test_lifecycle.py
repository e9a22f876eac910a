"""The daemon's life as people and machines make it: started twice, killed, orphaned, stopped; real processes only."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_place import CURSERVE, Place, is_alive, wait_for

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("curserve.daemon") is None or importlib.util.find_spec("curserve._kernel") is None,
    reason="there is no daemon in this installation",
)


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


def test_start_status_stop(place: Place) -> None:
    pid = place.start()
    assert place.status()["pid"] == pid
    assert place.run("start").stdout == f"curserve: already running, pid {pid}\n"
    assert place.run("stop").stdout == "curserve: stopped\n"
    assert not is_alive(pid)
    assert not place.socket.exists() and not place.beside("control").exists()
    assert place.run("stop").stdout == "curserve: was not running\n"
    down = place.run("status")
    assert (down.returncode, down.stderr) == (1, "") and "curserve start" in down.stdout
    assert place.status()["running"] is False


def test_starts_at_once_give_one_daemon(place: Place) -> None:
    starts = [subprocess.Popen([CURSERVE, "start"], env=place.env, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    said = [process.communicate(timeout=60)[0] for process in starts]
    assert [process.returncode for process in starts] == [0] * 6
    assert len({line.split()[-1] for line in said}) == 1, said
    assert sum("started" in line for line in said) == 1, said


def test_start_while_one_is_stopping(place: Place) -> None:
    first = place.start()
    os.kill(first, signal.SIGTERM)
    wait_for(lambda: not is_alive(first), "the first daemon's end")
    assert place.start() != first


def test_a_killed_daemon_leaves_nothing_in_the_way(place: Place) -> None:
    first = place.start()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not is_alive(first), "the killed daemon's end")
    assert place.socket.exists()
    assert place.run("status").returncode == 1
    assert place.run("stop").stdout == "curserve: was not running\n"
    second = place.start()
    assert second != first and place.status()["pid"] == second


@pytest.mark.parametrize("kind", ["socket", "file", "dangling link"])
def test_what_lies_in_the_sockets_place_is_replaced(place: Place, kind: str) -> None:
    for path in (place.socket, place.beside("control")):
        if kind == "socket":
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(path))
        elif kind == "file":
            path.write_text("")
        else:
            path.symlink_to("/nonexistent/socket")
    place.start()
    assert place.socket.is_socket() and not place.socket.is_symlink()
    assert place.socket.stat().st_mode & 0o777 == 0o600


def test_a_lock_file_without_a_lock_stops_nobody(place: Place) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        place.beside("lock").write_text(f'{{"pid": {bystander.pid}, "start_ticks": 1, "version": "0"}}')
        assert place.run("stop").stdout == "curserve: was not running\n"
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_two_signals_end_it_at_once(place: Place) -> None:
    pid = place.start()
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not is_alive(pid), "the end after two signals")


def test_a_hangup_changes_nothing(place: Place) -> None:
    pid = place.start()
    os.kill(pid, signal.SIGHUP)
    assert place.status()["pid"] == pid


def test_it_is_detached_from_its_starter(place: Place) -> None:
    done = place.shell_out(["sh", "-c", f"'{CURSERVE}' start; kill -KILL 0"], start_new_session=True)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout.split()[-1])
    assert place.status()["pid"] == pid
    process = Path(f"/proc/{pid}")
    assert (process / "cwd").readlink() == Path("/")
    assert [(process / "fd" / str(fd)).readlink() for fd in range(3)] == [Path("/dev/null")] * 3
    assert os.getsid(pid) not in (os.getsid(0), pid), "neither the starter's session nor its leader"


def test_a_pipe_from_start_ends(place: Place) -> None:
    done = place.shell_out(["sh", "-c", f"'{CURSERVE}' start 2>&1 | cat"], timeout_s=40)
    assert "started" in done.stdout
    done = place.shell_out(["sh", "-c", f"'{CURSERVE}' restart 2>&1 | cat"], timeout_s=60)
    assert "started" in done.stdout


def test_no_descriptor_of_the_caller_is_kept(place: Place) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    subprocess.run([CURSERVE, "start"], env=place.env, close_fds=False, check=True, stdout=subprocess.DEVNULL)
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_restart_is_another_process(place: Place) -> None:
    first = place.start()
    assert place.run("restart").returncode == 0
    assert place.status()["pid"] != first
    wait_for(lambda: not is_alive(first), "the end of the one before")


def _start_as(place: Place, version: str) -> int:
    """The pid of a daemon that says it is of another version."""
    other = f"import curserve; curserve.__version__ = {version!r}\n"
    other += "from curserve.daemon_main import main; main(['--detach'])"
    assert place.shell_out([sys.executable, "-P", "-c", other]).returncode == 0
    wait_for(lambda: place.status()["running"], "the other version's daemon")
    assert place.status()["version"] == version
    return int(place.status()["pid"])


def test_a_newer_version_is_told_and_left_alone(place: Place) -> None:
    pid = _start_as(place, "999.0")
    started = place.run("start")
    assert started.returncode == 0 and started.stdout == f"curserve: already running, pid {pid}\n"
    assert "version 999.0" in started.stderr and "curserve restart" in started.stderr
    assert place.run("restart").returncode == 0
    assert place.run("start").stderr == ""


def test_an_older_version_is_replaced(place: Place) -> None:
    pid = _start_as(place, "0.0.1")
    started = place.run("start")
    assert started.returncode == 0 and started.stdout.startswith("curserve: started, pid ") and started.stderr == ""
    assert place.status()["pid"] != pid
    wait_for(lambda: not is_alive(pid), "the end of the older one")


def test_it_ends_when_its_socket_is_removed(place: Place) -> None:
    pid = place.start()
    place.socket.unlink()
    wait_for(lambda: not is_alive(pid), "the end of a daemon nobody can reach", timeout_s=30)
    place.start()


def test_a_place_that_cannot_be_written_is_told_in_one_line(place: Place) -> None:
    done = place.run("start", env={"CURSERVE_SOCKET": "/sys/curserve-test"})
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "/sys/curserve-test" in done.stderr
    assert place.run("start", env={"CURSERVE_SOCKET": "/nonexistent/s"}).stderr.startswith("curserve: /nonexistent: ")
    long = place.run("start", env={"CURSERVE_SOCKET": str(place.folder / ("x" * 120))})
    assert long.returncode == 1 and "too long" in long.stderr


def test_a_full_disk_is_told(place: Place) -> None:
    done = place.shell_out(["sh", "-c", f"ulimit -f 0; '{CURSERVE}' start"])
    assert done.returncode == 1 and "File too large" in done.stderr and done.stderr.count("\n") == 1


def test_a_bad_configuration_is_told(place: Place) -> None:
    config = place.home / ".config" / "curserve" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[roots]\nautos = true\n")
    done = place.run("start")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and str(config) in done.stderr and "autos" in done.stderr
    config.write_text('[log]\nlevel = "debug"\n')
    place.start()


def test_a_daemon_that_cannot_load_shows_why(place: Place) -> None:
    broken = place.folder / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text("import sys; sys.modules['curserve.daemon'] = None\n")
    done = place.run("start", env={"PYTHONPATH": str(broken)})
    assert done.returncode == 1 and "curserve.daemon" in done.stderr
    assert not place.socket.exists() and place.run("stop").stdout == "curserve: was not running\n"
