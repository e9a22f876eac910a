"""The shim: it asks, copies, exits; and on any trouble before the first output byte it is the real ripgrep."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import pty
import random
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from built_c import build, real_rg
from wire_server import (
    ASKS_FILE,
    DECLINE,
    EXIT,
    FILE,
    MAGIC,
    PIPE,
    REQUEST,
    STDERR,
    STDOUT,
    Request,
    exit_frame,
    frame,
    send_file,
    sent_names,
    serving,
)

NOT_FOUND = b"no real ripgrep was found; install ripgrep or set CURSERVE_REAL_RG\n"
RG = real_rg()


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("shims/rg.c", tmp_path_factory.mktemp("shim"))


class Place:
    """A directory with two files, a socket path, a trace, and the environment that names them."""

    def __init__(self, where: Path, shim: Path) -> None:
        self.cwd = where / "tree"
        self.cwd.mkdir()
        (self.cwd / "a.txt").write_bytes(b"one\ntwo\n")
        (self.cwd / "b.txt").write_bytes(b"two\nthree\n")
        self.socket = where / "socket"
        self.trace = where / "trace"
        self.shim = shim
        self.env = {
            "PATH": f"{shim.parent}:{RG.parent}:/usr/bin:/bin",
            "HOME": str(where),
            "CURSERVE_SOCKET": str(self.socket),
            "CURSERVE_TRACE": str(self.trace),
        }

    def run(self, *argv: str | bytes, **more: object) -> subprocess.CompletedProcess[bytes]:
        options: dict[str, object] = {"cwd": self.cwd, "env": self.env, "stdin": subprocess.DEVNULL, "timeout": 30}
        if "stdout" not in more and "stderr" not in more:
            options["capture_output"] = True
        return subprocess.run([b"rg", *argv], executable=self.shim, **{**options, **more})  # type: ignore[call-overload]

    def traced(self) -> dict[str, object]:
        return json.loads(self.trace.read_text().splitlines()[-1])

    def is_real(self, reason: str, **more: object) -> None:
        """Runs a search and holds that the real rg answered it, for `reason`."""
        got = self.run("--sort=path", "-n", "two", **more)
        assert (got.returncode, got.stdout, got.stderr) == (0, b"a.txt:2:two\nb.txt:1:two\n", b"")
        assert (self.traced()["served"], self.traced()["reason"]) == (False, reason)


@pytest.fixture
def place(tmp_path: Path, shim: Path) -> Place:
    return Place(tmp_path, shim)


def reply(data: bytes) -> Callable[[socket.socket, Request], bytes]:
    return lambda peer, request: data


# ---- served ----


def test_copies_stdout_stderr_and_code(place: Place) -> None:
    data = frame(STDOUT, b"out1\n") + frame(STDERR, b"err1\n") + frame(STDOUT, b"out2\n") + exit_frame(2)
    with serving(place.socket, reply(data)) as server:
        got = place.run("-n", "x")
    assert (got.returncode, got.stdout, got.stderr) == (2, b"out1\nout2\n", b"err1\n")
    assert server.requests[0].argv == [b"-n", b"x"]
    assert place.traced() == {
        "served": True,
        "reason": None,
        "argv": ["-n", "x"],
        "us": {"total": place.traced()["us"]["total"], "plan": 1, "barrier": 2, "search": 3, "daemon": 9},  # type: ignore[index]
    }


def test_order_across_descriptors_is_kept(place: Place) -> None:
    data = b"".join(frame(STDOUT if i % 3 else STDERR, b"%d\n" % i) for i in range(500)) + exit_frame(0)
    with serving(place.socket, reply(data)):
        got = place.run("x", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert got.stdout == b"".join(b"%d\n" % i for i in range(500))


@pytest.mark.parametrize("size", [0, 1, 131060, 131072, 131073, 1048576])
def test_frame_sizes(place: Place, size: int) -> None:
    body = os.urandom(size)
    with serving(place.socket, reply(frame(STDOUT, body) + frame(STDOUT) + frame(STDOUT, b"end") + exit_frame(0))):
        got = place.run("x")
    assert (got.returncode, got.stdout) == (0, body + b"end")


def test_bytes_one_by_one(place: Place) -> None:
    def script(peer: socket.socket, request: Request) -> None:
        for byte in frame(STDOUT, b"hello") + frame(PIPE, b"\0\0\0\0") + frame(STDERR, b"world") + exit_frame(1):
            peer.sendall(bytes([byte]))

    with serving(place.socket, script):
        got = place.run("x")
    assert (got.returncode, got.stdout, got.stderr) == (1, b"hello", b"world")


def test_megabytes_arrive_whole(place: Place) -> None:
    piece = b"".join(b"%09d\n" % i for i in range(3000))
    with serving(place.socket, reply(frame(STDOUT, piece) * 300 + exit_frame(0))):
        got = place.run("x")
    assert got.stdout == piece * 300


@pytest.mark.parametrize("seed", range(25))
def test_random_answers_in_random_pieces(place: Place, seed: int) -> None:
    """Whatever the frames and wherever the stream is cut, each descriptor gets its bytes in order."""
    chance = random.Random(seed)
    data, want = b"", {STDOUT: b"", STDERR: b""}
    for _ in range(chance.randrange(1, 60)):
        kind = chance.choice([STDOUT, STDOUT, STDERR, PIPE])
        body = chance.randbytes(chance.choice([0, 1, 12, 100, 5000, 131072 - 12, chance.randrange(200000)]))
        data += frame(kind, b"\0\0\0\0" if kind == PIPE else body)
        if kind != PIPE:
            want[kind] += body
    code = chance.randrange(256)
    data += exit_frame(code)

    def script(peer: socket.socket, request: Request) -> None:
        at = 0
        while at < len(data):
            size = chance.choice([1, 7, 12, 13, 4096, 65536, 300000]) if at > 100 else 1
            peer.sendall(data[at : at + size])
            at += size

    with serving(place.socket, script):
        got = place.run("x")
    assert (got.returncode, got.stdout, got.stderr) == (code, want[STDOUT], want[STDERR])


def test_request_says_where_and_what(place: Place, tmp_path: Path) -> None:
    env = {**place.env, **{name: f"value of {name}" for name in sent_names()}, "OTHER": "no"}
    out = tmp_path / "out"
    with serving(place.socket, reply(exit_frame(0))) as server, out.open("wb") as to:
        place.run(b"\xff\xfe", b"", "é", env=env, stdout=to, stderr=subprocess.PIPE)
    request = server.requests[0]
    assert request.argv == [b"\xff\xfe", b"", "é".encode()]
    assert request.env == {name.encode(): f"value of {name}".encode() for name in sent_names()}
    assert request.cwd == os.fsencode(place.cwd)
    here, top = place.cwd.stat(), Path("/").stat()
    assert request.cwd_id[:2] == (here.st_dev, here.st_ino)
    assert request.root_id == (top.st_dev, top.st_ino)
    mounts = [line.split()[0] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    assert str(request.cwd_id[2]) in mounts
    assert request.fds == [(5, 0, 0), (2, out.stat().st_dev, out.stat().st_ino), (3, 0, 0)]
    assert request.flags == ASKS_FILE
    assert place.traced()["argv"] == ["\xff\xfe", "", "é"]


def test_first_of_a_doubled_variable_counts(place: Place) -> None:
    """As with getenv. A doubled name needs an environment that only execve can make."""
    libc = ctypes.CDLL(None)
    env = [f"{name}={value}".encode() for name, value in place.env.items()] + [b"HOME=/second"]
    with serving(place.socket, reply(exit_frame(0))) as server:
        child = os.fork()
        if child == 0:
            argv = (ctypes.c_char_p * 3)(b"rg", b"x", None)
            libc.execve(os.fsencode(place.shim), argv, (ctypes.c_char_p * (len(env) + 1))(*env, None))
            os._exit(99)
        os.waitpid(child, 0)
    assert server.requests[0].env[b"HOME"] == place.env["HOME"].encode()


def test_descriptor_kinds(place: Place) -> None:
    left, right = socket.socketpair()
    master, slave = pty.openpty()
    with serving(place.socket, reply(exit_frame(0))) as server, left, right:
        place.run("x", stdin=left, stdout=slave, stderr=subprocess.DEVNULL)
    os.close(master)
    os.close(slave)
    assert [kind for kind, _, _ in server.requests[0].fds] == [4, 1, 5]


def test_no_arguments_and_ten_thousand(place: Place) -> None:
    many = [b"%d" % i for i in range(10000)]
    with serving(place.socket, reply(exit_frame(0))) as server:
        assert place.run().returncode == 0
        assert place.run(*many).returncode == 0
    assert [request.argv for request in server.requests] == [[], many]


def test_slow_reader_gets_everything(place: Place) -> None:
    body = os.urandom(1 << 20)
    with serving(place.socket, reply(frame(STDOUT, body) + exit_frame(0))):
        child = subprocess.Popen([place.shim, "x"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=place.env)
        assert child.stdout
        got = b""
        while piece := os.read(child.stdout.fileno(), 3001):
            got += piece
        assert (got, child.wait(10)) == (body, 0)


def test_non_blocking_stdout_is_waited_for(place: Place) -> None:
    body = os.urandom(1 << 20)
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETFL, os.O_NONBLOCK)
    with serving(place.socket, reply(frame(STDOUT, body) + exit_frame(0))):
        child = subprocess.Popen([place.shim, "x"], stdin=subprocess.DEVNULL, stdout=write, env=place.env)
        os.close(write)
        with os.fdopen(read, "rb") as from_child:
            assert from_child.read() == body
        assert child.wait() == 0


def flood(peer: socket.socket, request: Request) -> None:
    """Sends until the client goes away; a client that does not would hang the test."""
    while True:
        peer.sendall(frame(STDOUT, b"y\n" * 30000))


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (b"", 0),
        (frame(STDERR, b"e"), 2),
        (frame(PIPE, b"\1\0\0\0"), 1),
        (frame(STDERR, b"e") + frame(PIPE, b"\0\0\0\0"), 0),
    ],
)
def test_reader_goes_away(place: Place, first: bytes, code: int) -> None:
    def script(peer: socket.socket, request: Request) -> None:
        peer.sendall(first)
        flood(peer, request)

    with serving(place.socket, script):
        child = subprocess.Popen(
            [place.shim, "x"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=place.env
        )
        assert child.stdout
        assert child.stderr
        child.stdout.read(10)
        child.stdout.close()
        assert child.stderr.read() == (b"e" if b"e" in first else b"")
        assert child.wait(10) == code


def test_head_as_with_the_real_rg(place: Place) -> None:
    """Several files: rg 15.2.0 leaves with 0 when its reader went away. Here beside ours, through bash."""
    (place.cwd / "big.txt").write_bytes(b"two\n" * 500000)
    (place.cwd / "big2.txt").write_bytes(b"two\n" * 500000)
    with serving(place.socket, lambda peer, request: flood(peer, request)):
        for program in (place.shim, RG):
            line = f'"{program}" two ./ | head -1 >/dev/null; echo ${{PIPESTATUS[0]}}'
            got = subprocess.run(["bash", "-c", line], cwd=place.cwd, env=place.env, capture_output=True, timeout=30)
            assert (got.stdout, got.stderr) == (b"0\n", b""), program


def test_stderr_reader_gone_is_exit_zero_as_rg_does(place: Place) -> None:
    read, write = os.pipe()
    os.close(read)
    with serving(place.socket, reply(frame(STDERR, b"rg: x\n") + exit_frame(2))):
        ours = place.run("two", "/nonexistent", stdout=subprocess.PIPE, stderr=write).returncode
    theirs = subprocess.run([RG, "two", "/nonexistent"], stdout=subprocess.PIPE, stderr=write, check=False).returncode
    os.close(write)
    assert (ours, theirs) == (0, 0)


# ---- the real rg before the first byte ----


def test_no_daemon(place: Place) -> None:
    place.is_real("no_daemon")


def test_stale_socket(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(place.socket))
    place.is_real("no_daemon")


def test_disabled(place: Place) -> None:
    with serving(place.socket, reply(exit_frame(7))) as server:
        place.is_real("disabled", env={**place.env, "CURSERVE_DISABLE": "1"})
        assert not server.requests
        for off in ("", "0"):
            assert place.run("x", env={**place.env, "CURSERVE_DISABLE": off}).returncode == 7


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(DECLINE, b"flag_unknown"), "flag_unknown"),
        (frame(DECLINE), "declined"),
        (frame(DECLINE, b"r" * 255), "r" * 255),
        (frame(DECLINE, b'"\n\xff'), '"\n\xff'),
        (frame(DECLINE, b"version", version=2), "version"),
        (frame(PIPE, b"\1\0\0\0") + frame(DECLINE, b"late"), "late"),
        (b"", "lost"),
        (b"CRSV", "lost"),
        (frame(STDOUT, b"", size=5), "lost"),
        (exit_frame()[:-1], "lost"),
        (frame(STDOUT, b"x", magic=MAGIC + 1), "protocol"),
        (frame(STDOUT, b"x", version=2), "version"),
        (frame(STDOUT, b"x", size=1048577), "protocol"),
        (frame(STDOUT, b"x", size=0xFFFFFFFF), "protocol"),
        (frame(DECLINE, b"r" * 256), "protocol"),
        (frame(EXIT, b"\0\0\0\0"), "protocol"),
        (frame(EXIT, b"\0" * 25), "protocol"),
        (frame(REQUEST, b""), "protocol"),
        (frame(99, b""), "protocol"),
        (frame(STDOUT) + frame(STDERR) + b"garbagegarbage", "protocol"),
    ],
)
def test_bad_answers(place: Place, data: bytes, reason: str) -> None:
    with serving(place.socket, reply(data)):
        place.is_real(reason)


def test_silent_daemon_times_out(place: Place) -> None:
    done = threading.Event()
    with serving(place.socket, lambda peer, request: done.wait(20) and None):
        start = time.monotonic()
        place.is_real("timeout", env={**place.env, "CURSERVE_TIMEOUT_MS": "150"})
        assert 0.15 <= time.monotonic() - start < 5
        done.set()


def test_trickle_without_output_times_out(place: Place) -> None:
    """The limit holds for the whole wait, not for each byte."""
    stop = threading.Event()

    def script(peer: socket.socket, request: Request) -> None:
        while not stop.wait(0.02):
            peer.sendall(frame(PIPE, b"\0\0\0\0"))

    with serving(place.socket, script):
        place.is_real("timeout", env={**place.env, "CURSERVE_TIMEOUT_MS": "200"})
        stop.set()


def test_stopped_daemon_times_out(place: Place) -> None:
    """A process under SIGSTOP still has a listening socket, and the kernel accepts for it."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place.socket))
    listener.listen(8)
    child = os.fork()
    if child == 0:
        listener.accept()
        os._exit(0)
    listener.close()
    os.kill(child, signal.SIGSTOP)
    try:
        place.is_real("timeout", env={**place.env, "CURSERVE_TIMEOUT_MS": "150"})
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_full_backlog(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.socket))
        listener.listen(0)
        waiting = []
        while True:
            peer = socket.socket(socket.AF_UNIX)
            peer.setblocking(False)
            waiting.append(peer)
            if peer.connect_ex(str(place.socket)):
                break
        place.is_real("busy")
        for peer in waiting:
            peer.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_somebody_elses_daemon(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.socket))
        child_ready, ready = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setuid(12345)
                listener.listen(8)  # whose the socket is, is settled here
                os.write(ready, b"x")
                signal.pause()
            finally:
                os._exit(1)
        os.close(ready)
        try:
            assert os.read(child_ready, 1) == b"x"
            place.is_real("peer")
        finally:
            os.close(child_ready)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may connect anywhere")
def test_forbidden_socket(place: Place) -> None:
    with serving(place.socket, reply(exit_frame(7))):
        place.socket.chmod(0)
        place.is_real("sandbox")


def answers_from_default_place(where: Path, shim: Path) -> None:
    """Needs a real rg that prints `real`. Raises AssertionError; leaves `where` as it was: absent."""
    env = {"CURSERVE_REAL_RG": str(shim.parent / "real"), "PATH": "/usr/bin:/bin"}

    def says() -> bytes:
        return subprocess.run([shim, "x"], env=env, capture_output=True, timeout=30, cwd="/", check=False).stdout

    where.mkdir(mode=0o700)
    try:
        with serving(where / "socket", reply(frame(STDOUT, b"served\n") + exit_frame(0))):
            assert says() == b"served\n"
            where.chmod(0o755)
            assert says() == b"real\n"
            where.chmod(0o700)
            moved = where.rename(f"{where}.moved")
            where.symlink_to(moved)
            assert says() == b"real\n"
            where.unlink()
            moved.rename(where)
            assert says() == b"served\n"
    finally:
        shutil.rmtree(where)


def test_default_places(shim: Path) -> None:
    """Without CURSERVE_SOCKET: /tmp/curserve-UID, if it is a directory, ours, and nobody else's.

    Root tries it as another user, whose place is nobody's, since a daemon of root's may be at work.
    """
    uid = os.getuid() or 1054321
    where = Path(f"/tmp/curserve-{uid}")
    if where.exists() or Path(f"/run/user/{uid}/curserve").exists():
        pytest.skip("a daemon may live there")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        copy = Path(shutil.copy(shim, name))
        script_at(Path(name) / "real", "#!/bin/sh\necho real\n")
        if os.getuid() != 0:
            answers_from_default_place(where, copy)
            return
        child = os.fork()
        if child == 0:
            try:
                os.setgid(uid)
                os.setuid(uid)
                answers_from_default_place(where, copy)
                os._exit(0)
            except BaseException as error:
                os.write(2, f"{error!r}\n".encode())
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0


def test_request_too_large(place: Place) -> None:
    with serving(place.socket, reply(exit_frame(7))) as server:
        part = b"a" * 100000
        assert place.run(*[part] * 10).returncode == 7
        got = place.run("--version", *[part] * 11)
        assert got.stdout.startswith(b"ripgrep ")
        assert place.traced()["reason"] == "too_large"
        assert place.traced()["argv_cut"] == 10
        assert len(server.requests) == 1


def test_long_socket_path_is_no_daemon(place: Place) -> None:
    place.is_real("no_daemon", env={**place.env, "CURSERVE_SOCKET": "/" + "s" * 200})


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_closed_descriptors(place: Place, closed: int) -> None:
    with serving(place.socket, reply(exit_frame(7))) as server:
        line = f'exec "{place.shim}" -n three b.txt {closed}>&-'
        got = subprocess.run(["bash", "-c", line], cwd=place.cwd, env=place.env, capture_output=True, timeout=30)
        assert (got.returncode, got.stdout) == (0, b"" if closed == 1 else b"2:three\n")
        assert not server.requests
    assert place.traced()["reason"] == "closed_fd"


def test_cwd_that_is_gone(place: Place) -> None:
    line = f'mkdir gone && cd gone && rmdir ../gone && exec "{place.shim}" --version'
    with serving(place.socket, reply(exit_frame(7))) as server:
        got = subprocess.run(["bash", "-c", line], cwd=place.cwd, env=place.env, capture_output=True, timeout=30)
        assert got.stdout.startswith(b"ripgrep") and not server.requests
    assert place.traced()["reason"] == "cwd"


def test_full_output_device_is_the_real_rg(place: Place) -> None:
    """Nothing was written yet, so ripgrep may fail in its own words (a short output it does not even notice)."""
    (place.cwd / "long.txt").write_bytes(b"two\n" * 50000)
    with serving(place.socket, reply(frame(STDOUT, b"two\n") + exit_frame(0))), Path("/dev/full").open("wb") as full:
        for name, code in (("a.txt", 0), ("long.txt", 2)):
            ours = place.run("two", name, stdout=full, stderr=subprocess.PIPE)
            theirs = subprocess.run([RG, "two", name], cwd=place.cwd, stdout=full, stderr=subprocess.PIPE, check=False)
            assert (ours.returncode, ours.stderr) == (theirs.returncode, theirs.stderr)
            assert ours.returncode == code
    assert place.traced()["reason"] == "output"


def test_signals_are_as_we_found_them(place: Place, tmp_path: Path) -> None:
    probe = script_at(tmp_path / "probe", "#!/bin/sh\ngrep -E 'Sig(Ign|Blk)' /proc/self/status\n")
    env = {**place.env, "CURSERVE_REAL_RG": str(probe)}
    with serving(place.socket, reply(frame(DECLINE, b"no"))):
        got = place.run("x", env=env)
    assert got.stdout == subprocess.run([probe], capture_output=True, check=True).stdout


# ---- after the first byte ----


@pytest.mark.parametrize(
    "rest", [b"", frame(DECLINE, b"late"), b"garbage garbage", frame(STDOUT, b"", size=99), exit_frame()[:-3]]
)
def test_breaks_off_after_output(place: Place, rest: bytes) -> None:
    shown = threading.Event()

    def script(peer: socket.socket, request: Request) -> bytes:
        peer.sendall(frame(STDOUT, b"first\n"))
        shown.wait(10)
        return rest

    with serving(place.socket, script):
        child = subprocess.Popen(
            [place.shim, "two"],
            cwd=place.cwd,
            env=place.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert child.stdout
        assert child.stderr
        assert os.read(child.stdout.fileno(), 100) == b"first\n"
        shown.set()
        assert child.stdout.read() == b""
        assert child.stderr.read() == b"rg: curserve: the daemon's answer broke off in the middle\n"
        assert child.wait(10) == 2


# ---- answers in a file ----


def test_an_answer_in_a_file(place: Place) -> None:
    """Frames of it before, in and behind the file, cut as a daemon may cut them."""
    lines = b"".join(b"%07d\n" % number for number in range(200_000))
    inside = b"".join(frame(STDOUT, lines[at : at + 60_000]) for at in range(0, len(lines), 60_000))

    def script(peer: socket.socket, request: Request) -> bytes:
        assert request.flags == ASKS_FILE
        send_file(peer, frame(STDERR, b"rg: a\n") + inside + frame(STDERR, b"rg: b\n"), frame(STDOUT, b"more\n"))
        return frame(STDERR, b"rg: c\n") + exit_frame(2)

    with serving(place.socket, script):
        got = place.run("x")
    assert (got.returncode, got.stdout, got.stderr) == (2, lines + b"more\n", b"rg: a\nrg: b\nrg: c\n")
    assert place.traced()["served"] is True


def test_an_exit_in_the_file_and_one_at_once_behind_it(place: Place) -> None:
    for content, behind in ((frame(STDOUT, b"a\n") + exit_frame(7), b""), (frame(STDOUT, b"a\n"), exit_frame(7))):
        with serving(place.socket, lambda peer, _, content=content, behind=behind: send_file(peer, content, behind)):
            got = place.run("x")
        assert (got.returncode, got.stdout) == (7, b"a\n")


@pytest.mark.parametrize(
    ("content", "more", "reason"),
    [
        (frame(STDOUT, b"a\n"), {"seal": False}, "file"),
        (frame(STDOUT, b"a\n"), {"size": 1 << 20}, "file"),
        (frame(STDOUT, b"a\n"), {"size": 0}, "file"),
        (frame(STDOUT, b"a\n"), {"size": (1 << 64) - 1}, "file"),
        (b"", {"size": 5}, "file"),
        (b"garbage and more garbage", {}, "protocol"),
        (frame(STDOUT, b"a\n", size=99), {}, "protocol"),
        (frame(STDOUT, b"a\n")[:-1], {}, "protocol"),
        (frame(DECLINE, b"late"), {}, "late"),
        (frame(FILE, struct.pack("=Q", 20)), {}, "file"),
    ],
)
def test_a_file_that_is_not_to_be_believed(place: Place, content: bytes, more: dict[str, Any], reason: str) -> None:
    with serving(place.socket, lambda peer, request: send_file(peer, content, exit_frame(), **more)):
        place.is_real(reason)


def test_a_file_frame_without_a_file(place: Place) -> None:
    with serving(place.socket, reply(frame(FILE, struct.pack("=Q", 20)) + exit_frame())):
        place.is_real("file")
    with serving(place.socket, reply(frame(FILE, b"\0" * 7) + exit_frame())):
        place.is_real("protocol")


def test_what_is_no_memory_file_is_not_read(place: Place) -> None:
    def script(peer: socket.socket, request: Request) -> None:
        with (place.cwd / "a.txt").open("rb") as file:
            socket.send_fds(peer, [frame(FILE, struct.pack("=Q", 4)) + exit_frame()], [file.fileno()])

    with serving(place.socket, script):
        place.is_real("file")


def test_a_terminal_is_shown_what_there_is(place: Place) -> None:
    """Nobody sits there and waits for the last line: no file is asked for."""
    done = threading.Event()

    def script(peer: socket.socket, request: Request) -> bytes:
        assert request.flags == 0
        peer.sendall(frame(STDOUT, b"first\n"))
        done.wait(30)
        return frame(STDOUT, b"second\n") + exit_frame(0)

    ours, theirs = pty.openpty()
    with serving(place.socket, script):
        child = subprocess.Popen([place.shim, "x"], env=place.env, stdin=subprocess.DEVNULL, stdout=theirs)
        os.close(theirs)
        assert os.read(ours, 100) == b"first\r\n"
        done.set()
        assert os.read(ours, 100) == b"second\r\n"
        assert child.wait(10) == 0
    os.close(ours)


# ---- finding the real rg, never ourselves ----


def script_at(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_copies_links_and_scripts_of_ourselves(place: Place, tmp_path: Path) -> None:
    """PATH full of us in every form, then a wrapper that comes back by exec, then the real one."""
    dirs = [tmp_path / name for name in ("copy", "hard", "soft", "stripped", "wrapper")]
    for each in dirs:
        each.mkdir()
    shutil.copy(place.shim, dirs[0] / "rg")
    os.link(place.shim, dirs[1] / "rg")
    (dirs[2] / "rg").symlink_to(place.shim)
    subprocess.run(["strip", "-o", dirs[3] / "rg", place.shim], check=True)
    script_at(dirs[4] / "rg", f'#!/bin/sh\nexec "{place.shim}" "$@"\n')
    path = ":".join(str(each) for each in [*dirs, RG.parent])
    place.is_real("recursion", env={**place.env, "PATH": path})
    assert len(place.trace.read_text().splitlines()) == 2
    got = place.run("x", env={**place.env, "PATH": ":".join(map(str, dirs)) + ":/usr/bin:/bin"})
    if not Path("/usr/bin/rg").exists():
        assert (got.returncode, got.stderr[-len(NOT_FOUND) :]) == (2, NOT_FOUND)


def test_wrapper_that_forks_comes_to_an_end(place: Place, tmp_path: Path) -> None:
    script_at(tmp_path / "w1" / "rg", f'#!/bin/sh\n"{place.shim}" "$@"\n')
    path = f"{tmp_path / 'w1'}:{RG.parent}"
    got = place.run("-n", "three", env={**place.env, "PATH": path})
    assert (got.returncode, got.stdout) == (0, b"b.txt:2:three\n")
    env = {**place.env, "PATH": f"{tmp_path / 'w1'}:/nowhere", "CURSERVE_REAL_RG": str(tmp_path / "w1" / "rg")}
    got = place.run("x", env=env)
    assert (got.returncode, got.stderr[-len(NOT_FOUND) :]) == (2, NOT_FOUND)
    assert len(place.trace.read_text().splitlines()) < 60


def test_two_wrappers_that_call_each_other(place: Place, tmp_path: Path) -> None:
    for name in ("w1", "w2"):
        script_at(tmp_path / name / "rg", f'#!/bin/sh\nexec "{place.shim}" "$@"\n')
    path = f"{tmp_path / 'w1'}:{tmp_path / 'w2'}:{RG.parent}"
    place.is_real("recursion", env={**place.env, "PATH": path})


def test_order_of_candidates(place: Place, tmp_path: Path) -> None:
    show = '#!/bin/sh\necho {} "${{CURSERVE_ASKED-unset}}"\n'
    for name in ("set", "asked", "onpath"):
        script_at(tmp_path / name / "rg", show.format(name))
    beside = tmp_path / "beside"
    beside.mkdir()
    shim = shutil.copy(place.shim, beside / "rg")
    script_at(beside / "written", show.format("written"))
    env = {**place.env, "PATH": f"{beside}:{tmp_path / 'onpath'}:/usr/bin"}
    env |= {"CURSERVE_REAL_RG": str(tmp_path / "set" / "rg"), "CURSERVE_ASKED": str(tmp_path / "asked" / "rg")}

    def says() -> bytes:
        return subprocess.run([shim, "x"], env=env, capture_output=True, timeout=30, check=False).stdout

    assert says() == b"set unset\n"
    del env["CURSERVE_REAL_RG"]
    assert says() == b"asked unset\n"
    del env["CURSERVE_ASKED"]
    assert says() == b"onpath unset\n"
    env["PATH"] = "/nowhere"
    (beside / "real-rg.path").write_text("written\n")
    assert says() == b"written unset\n"
    script_at(beside / "real-rg", show.format("beside"))
    assert says() == b"beside unset\n"
    # What is set but cannot be run is stepped over.
    env["CURSERVE_REAL_RG"] = "/nowhere/rg"
    env["CURSERVE_ASKED"] = str(shim)
    assert says() == b"beside unset\n"


@pytest.mark.parametrize(("entry", "where"), [("", "."), ("bin", "bin"), ("./bin/", "bin"), ("..", "..")])
def test_relative_path_entries(place: Place, entry: str, where: str) -> None:
    script_at(place.cwd / where / "rg", "#!/bin/sh\necho relative\n")
    got = place.run("x", env={**place.env, "PATH": f"{place.shim.parent}:{entry}:/nowhere"})
    assert got.stdout == b"relative\n"


def test_what_is_no_program_is_stepped_over(place: Place, tmp_path: Path) -> None:
    for name, mode in (("dir", 0), ("plain", 0o644), ("broken", 0o755)):
        (tmp_path / name).mkdir()
        if mode:
            (tmp_path / name / "rg").write_bytes(b"\x7fELF nonsense")
            (tmp_path / name / "rg").chmod(mode)
        else:
            (tmp_path / name / "rg").mkdir()
    path = ":".join(str(tmp_path / name) for name in ("dir", "plain", "broken"))
    place.is_real("no_daemon", env={**place.env, "PATH": f"{path}:{'d' * 5000}:{RG.parent}"})


def test_none_found(place: Place) -> None:
    got = place.run("x", env={"PATH": "/nowhere", "CURSERVE_SOCKET": "/nowhere"})
    assert (got.returncode, got.stdout) == (2, b"")
    assert got.stderr == b"rg: curserve is not answering and " + NOT_FOUND


def test_real_rg_gets_argv_environment_and_descriptors(place: Place, tmp_path: Path) -> None:
    probe = script_at(
        tmp_path / "probe",
        "#!/usr/bin/python3\nimport os, sys, json\n"
        "print(json.dumps([sys.orig_argv[2:], sorted(os.environ.items()), sorted(os.listdir('/proc/self/fd'))]))\n"
        "print(sys.stdin.read())\n",
    )
    env = {**place.env, "CURSERVE_REAL_RG": str(probe), "CURSERVE_ASKED": "/x", "ODD": "a=b", "CURSERVE_TRACE": ""}
    got = place.run("-a", "", "b c", env=env, stdin=None, input=b"fed")
    first, fed = got.stdout.decode().splitlines()
    argv, environ, fds = json.loads(first)
    assert argv == ["-a", "", "b c"]
    assert fed == "fed"
    assert len(fds) == 4  # 0, 1, 2 and the listing's own
    environ = dict(environ)
    assert environ.pop("CURSERVE_HOP").endswith(".1.0")
    environ.pop("LC_CTYPE", None)  # Python's own
    assert environ == {name: value for name, value in env.items() if name != "CURSERVE_ASKED"}


@pytest.mark.parametrize("name", [b"rg", b"/usr/bin/rg", b"./rg", b"-rg", b"", b"something else"])
def test_argv0_is_kept(place: Place, tmp_path: Path, name: bytes) -> None:
    source = tmp_path / "show.c"
    source.write_text('#include <stdio.h>\nint main(int c, char **v) { printf("%d[%s]", c, v[0]); }\n')
    subprocess.run(["cc", "-o", tmp_path / "show", source], check=True)
    env = {**place.env, "CURSERVE_REAL_RG": str(tmp_path / "show")}
    got = subprocess.run([name, b"x"], executable=place.shim, env=env, capture_output=True, timeout=30, check=False)
    assert got.stdout == b"2[" + name + b"]"


def test_huge_environment(place: Place) -> None:
    env = {**place.env, **{f"BIG{i}": "x" * 100000 for i in range(12)}}
    place.is_real("no_daemon", env=env)
    with serving(place.socket, reply(exit_frame(7))) as server:
        assert place.run("x", env=env).returncode == 7
        assert set(server.requests[0].env) <= {name.encode() for name in sent_names()}


def test_empty_environment(place: Place) -> None:
    assert place.run("--version", env={}).returncode in (0, 2)


def test_raised_privileges_ask_nobody(place: Place, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a set-uid program")
    raised = tmp_path / "rg"
    shutil.copy(place.shim, raised)
    os.chown(raised, 12345, 12345)
    raised.chmod(0o4755)
    if os.statvfs(raised).f_flag & os.ST_NOSUID:
        pytest.skip("nosuid here")
    with serving(place.socket, reply(exit_frame(7))) as server, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        # The other user need not be able to reach this checkout.
        Path(folder).chmod(0o755)
        shutil.copy(RG, folder)
        env = {**place.env, "PATH": f"{folder}:{place.env['PATH']}"}
        got = subprocess.run([raised, "--version"], env=env, capture_output=True, timeout=30, check=False)
        assert got.stdout.startswith(b"ripgrep")
        assert not server.requests


# ---- the trace ----


def test_trace_is_one_line_of_json_whatever_comes(place: Place) -> None:
    odd = [
        b"\xff",
        b"a\x00b"[:1],
        b'"\\\n\t\x7f',
        "日本é".encode(),
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\x80",
        b"\xe2\x82",
    ]
    with serving(place.socket, reply(exit_frame(1))):
        place.run(*odd)
    lines = place.trace.read_bytes().splitlines()
    assert len(lines) == 1
    want = [
        "\xff", "a", '"\\\n\t\x7f', "日本é", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80", "\xe2\x82",
    ]  # fmt: skip
    assert json.loads(lines[0])["argv"] == want


def test_trace_appends_and_hurts_nobody(place: Place) -> None:
    with serving(place.socket, reply(exit_frame(1))):
        for _ in range(3):
            place.run("x")
        assert place.run("x", env={**place.env, "CURSERVE_TRACE": "/nowhere/at/all"}).returncode == 1
    assert len(place.trace.read_text().splitlines()) == 3
    assert stat.S_IMODE(place.trace.stat().st_mode) == 0o600


# ---- what it is ----


def test_shape(shim: Path) -> None:
    """Static, at a fixed address, two segments, no relocations, no writable code, small; the note in the first page."""
    data = shim.read_bytes()
    assert len(data) < 16384
    assert 0 < data.index(b"\x8fcurserve-shim\x91\n") < 4096
    headers = subprocess.run(["readelf", "-lW", shim], capture_output=True, check=True, text=True).stdout
    assert "EXEC" in headers
    assert headers.count("LOAD ") == 2
    assert "INTERP" not in headers
    assert "RWE" not in headers
    assert (
        "no relocations" in subprocess.run(["readelf", "-rW", shim], capture_output=True, text=True, check=True).stdout
    )


def test_interrupted_system_calls(place: Place) -> None:
    """Stop and continue interrupt ppoll; the answer must not suffer."""
    started, go = threading.Event(), threading.Event()

    def script(peer: socket.socket, request: Request) -> bytes:
        started.set()
        go.wait(10)
        return frame(STDOUT, b"x" * 500000) + exit_frame(3)

    with serving(place.socket, script):
        child = subprocess.Popen([place.shim, "x"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=place.env)
        started.wait(10)
        for _ in range(5):
            child.send_signal(signal.SIGSTOP)
            child.send_signal(signal.SIGCONT)
        go.set()
        assert child.stdout
        assert child.stdout.read() == b"x" * 500000
        assert child.wait(10) == 3


def test_wire_constants_agree() -> None:
    """This file's idea of the contract is the header's."""
    assert struct.calcsize("=IHHI") == 12
    text = (Path(__file__).resolve().parent.parent / "shims" / "wire.h").read_text()
    names = {"REQUEST": REQUEST, "STDOUT": STDOUT, "STDERR": STDERR, "EXIT": EXIT, "DECLINE": DECLINE, "PIPE": PIPE}
    names["FILE"] = FILE
    for name, value in names.items():
        assert f"#define CS_WIRE_{name} {value}" in text


def test_system_calls_of_a_served_request(place: Place, tmp_path: Path) -> None:
    """As listed at the head of rg.c: a call more is a cost that somebody must want."""
    if not shutil.which("strace"):
        pytest.skip("no strace here")
    log = tmp_path / "log"
    env = {name: value for name, value in place.env.items() if name != "CURSERVE_TRACE"}
    with serving(place.socket, reply(frame(STDOUT, b"x") + exit_frame(0))):
        argv = ["strace", "-qq", "-o", log, place.shim, "x"]
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    if done.returncode != 0:
        pytest.skip("no ptrace here")
    calls = [line.split("(", 1)[0] for line in log.read_text().splitlines() if line[0].isalpha()]
    assert calls[0] == "execve"
    before = "clock_gettime socket connect getsockopt statx statx statx getcwd statx statx sendmsg clock_gettime"
    # Two recvmsg with bytes when the server's came in two pieces cannot be: they are one sendall.
    after = "recvmsg rt_sigaction write exit_group"
    between = len(before.split()) + 1
    assert calls[1:between] == before.split() and calls[-4:] == after.split()
    # As many turns as the answer took; when it takes long, it sleeps.
    waiting = [call for call in calls[between:-4] if call != "ppoll"]
    assert calls.count("ppoll") <= 1 and set(waiting) <= {"recvmsg", "clock_gettime", "sched_yield"}


def test_spawn_driver(place: Place, tmp_path: Path) -> None:
    """bench/spawn.c measures what it says: the shim is served, the floor does nothing."""
    spawn, floor = build("bench/spawn.c", tmp_path), build("bench/floor.c", tmp_path)
    argv = [spawn, "-n", "20", "-w", "2", "-r", "x", floor, "---", place.shim, "x"]
    done = subprocess.run(argv, env=place.env, capture_output=True, timeout=60, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["argv"][0] for row in rows] == [str(floor), str(place.shim)]
    assert all(row["bad"] == 0 and row["rounds"] == 20 and 0 < row["min_us"] <= row["median_us"] for row in rows)
    traced = [json.loads(line)["served"] for line in place.trace.read_text().splitlines()]
    assert traced == [True] * 22
