"""The Node hook: a spawn of rg inside Node behaves as a real child does, whatever the daemon answers."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from built_c import real_rg
from daemon_place import wait_for
from npm_packages import node
from oracle import Box
from wire_server import (
    ASKS_FILE,
    DECLINE,
    PIPE,
    STDERR,
    STDOUT,
    Request,
    WireServer,
    exit_frame,
    frame,
    sent_names,
    serving,
)

from curserve import paths

NODE = Path(__file__).resolve().parent / "node"
VERSIONS = ["20", "22", "24"]
NEVER_SERVED = {"stdin", "regex_error", "no_such_path", "killed", "max_buffer"}


@pytest.fixture(scope="module", params=VERSIONS)
def program(request: pytest.FixtureRequest) -> str:
    """A node of each version."""
    return node(request.param)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("forms") / "tree"
    root.mkdir()
    for name in "abcdef":
        text = "hay one\na needle here\n" * 3 + "filler eee\n" * (3000 if name != "c" else 1000)
        (root / f"{name}.txt").write_text(text)
    return root


@pytest.fixture(scope="module")
def served(box: Box, tree: Path) -> Box:
    box.attach(tree)
    return box


def environment(**more: str) -> dict[str, str]:
    return {"PATH": f"{real_rg().parent}:/usr/bin:/bin", "HOME": "/nonexistent", **more}


def hooked(**more: str) -> dict[str, str]:
    hook = paths.node_hook()
    assert hook is not None, "the hook is not installed"
    return environment(NODE_OPTIONS=f"--require={hook}", **more)


def run(program: str, script: str, *words: str, env: dict[str, str]) -> Any:
    """What a script wrote; nothing may stand on stderr."""
    command = [program, NODE / script, *words]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=100, check=False)
    assert done.stderr == b"" and done.returncode == 0, done
    return json.loads(done.stdout)


def test_an_agent_that_starts_has_its_repository_loaded(own_box: Box, program: str, tmp_path: Path) -> None:
    """Before it searches, and wherever in the repository it stands; another program's is left alone."""
    for name in ("qwen", "build.js"):
        (tmp_path / name).write_text("")
        (tmp_path / f"of-{name}" / ".git").mkdir(parents=True)
        (tmp_path / f"of-{name}" / "sub").mkdir()
    for name in ("build.js", "qwen"):
        done = subprocess.run(
            [program, tmp_path / name], env=hooked(CURSERVE_SOCKET=str(own_box.socket)), capture_output=True,
            cwd=tmp_path / f"of-{name}" / "sub", stdin=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        assert done.stdout == done.stderr == b""

    def served() -> list[str]:
        known = own_box.control("workspaces")["workspaces"]
        return [workspace["root"] for workspace in known if workspace["state"] == "served"]

    wait_for(lambda: served() == [str(tmp_path / "of-qwen")], "the agent's repository, and no other")
    assert own_box.control("prefetch", root=str(tmp_path / "of-qwen"))["state"] == "attached"
    assert own_box.control("prefetch", root="/")["state"] == "unknown_root"


def results(forms: dict[str, Any]) -> dict[str, Any]:
    return {name: seen["result"] for name, seen in forms.items()}


def test_every_form_is_as_with_a_real_child(program: str, served: Box, tree: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    real = run(program, "forms.mjs", str(tree), str(trace), env=environment())
    ours = run(
        program, "forms.mjs", str(tree), str(trace),
        env=hooked(CURSERVE_SOCKET=str(served.socket), CURSERVE_TRACE=str(trace)),
    )  # fmt: skip
    assert results(ours) == results(real)
    assert sum(seen["served"] > 0 for seen in ours.values()) >= 65
    assert {reason for seen in ours.values() for reason in seen["declined"]} <= NEVER_SERVED


def test_every_form_without_a_daemon(program: str, tree: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    real = run(program, "forms.mjs", str(tree), str(trace), env=environment())
    ours = run(program, "forms.mjs", str(tree), str(trace), env=hooked(CURSERVE_SOCKET=str(tmp_path / "none")))
    assert results(ours) == results(real)


@pytest.fixture
def program_20() -> str:
    return node("20")


class Scripted:
    """A daemon that sends the bytes it is given, and a Node process that asks it."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self.folder, self.tree = folder, tree
        self.requests: list[Request] = []
        self.sent = 0

    def seen(self, what: str, *pieces: bytes, hold: bool = False, env: dict[str, str] | None = None) -> Any:
        """What wire.mjs saw. hold: the daemon keeps the connection open after the pieces."""
        sent = self.folder / "sent"
        sent.unlink(missing_ok=True)

        def script(peer: socket.socket, request: Request) -> None:
            for piece in pieces:
                peer.sendall(piece)
                self.sent += len(piece)
            sent.touch()
            if hold:
                peer.recv(1)

        with serving(self.folder / "socket", script) as server:
            more = {"CURSERVE_SOCKET": str(server.path), **(env or {})}
            got = run(node("20"), "wire.mjs", what, str(self.tree), str(sent), env=hooked(**more))
            self.requests = server.requests
            return got


@pytest.fixture
def scripted(tmp_path: Path, tree: Path) -> Scripted:
    return Scripted(tmp_path, tree)


def test_the_request_is_the_shims(scripted: Scripted, tree: Path, tmp_path: Path) -> None:
    """What the hook sends is what the shim would send from a real child; the mount's id is left unknown, and no file
    is asked for: it could not be received."""
    variables = {name: f"{name} ü" for name in sent_names()}
    scripted.seen("plain", exit_frame(), env=variables)
    ours = scripted.requests[0]
    with serving(tmp_path / "shim-socket", lambda peer, request: exit_frame()) as server:
        left, right = socket.socketpair()
        with left, right:
            subprocess.run(
                [paths.shim_dir() / "rg", "hay", str(tree)], stdin=right, stdout=right, stderr=right, check=True,
                env={**environment(**variables), "CURSERVE_SOCKET": str(server.path)},
            )  # fmt: skip
    shim = server.requests[0]
    assert (ours.cwd, ours.argv, ours.env, ours.root_id, ours.fds) == (
        shim.cwd, shim.argv, shim.env, shim.root_id, shim.fds,
    )  # fmt: skip
    assert (ours.flags, shim.flags) == (0, ASKS_FILE)
    assert ours.cwd_id == (*shim.cwd_id[:2], 0)


def test_an_answer(scripted: Scripted) -> None:
    pieces = [frame(STDOUT, b"one\n"), frame(STDERR, b"bad\n"), frame(STDOUT, b"two\n"), exit_frame(2)]
    got = scripted.seen("plain", *pieces)
    assert got["events"][0] == ["spawn"] and got["events"][-1] == ["close", "2", "null"]
    assert (got["out"], got["err"], got["pids"]) == (8, "bad\n", [True, True])


def test_an_answer_that_is_here_comes_at_the_end_of_the_turn(scripted: Scripted) -> None:
    """After everything the caller's turn has left to do, before anything of the next one."""
    got = scripted.seen("turn", frame(STDOUT, b"one\n"), exit_frame(1))
    assert got["events"] == [["spawn"], ["tick"], ["exit", "1", "null"], ["close", "1", "null"], ["next turn"]]
    assert got["out"] == 4


def test_who_listens_a_turn_later_hears_the_end(scripted: Scripted) -> None:
    got = scripted.seen("late", frame(STDOUT, b"one\n"), exit_frame(1))
    assert (got["out"], got["events"]) == (4, [["exit", "1", "null"], ["close", "1", "null"]])


def test_an_answer_byte_by_byte(scripted: Scripted) -> None:
    whole = frame(STDOUT, b"one\n" * 5) + frame(PIPE, struct.pack("=I", 1)) + exit_frame(1)
    got = scripted.seen("plain", *(whole[at : at + 1] for at in range(len(whole))))
    assert (got["out"], got["events"][-1]) == (20, ["close", "1", "null"])


@pytest.mark.parametrize(
    "reply",
    [
        frame(DECLINE, b"because"),
        b"",
        b"nonsense, and no frame at all",
        frame(STDOUT, b"x", version=9),
        frame(DECLINE, b"version", version=9),
        frame(77),
        frame(STDOUT, size=1 << 30),
        frame(STDERR, b"bad\n") + frame(STDOUT, b"x" * 1_000_000) * 8,
        exit_frame()[:-1],
    ],
)
def test_trouble_before_the_first_byte_is_the_real_rg(scripted: Scripted, reply: bytes) -> None:
    got = scripted.seen("plain", reply)
    assert got["pids"] == [True, False] and got["out"] > 0
    assert got["events"] == [["spawn"], got["events"][1], ["close", "0", "null"]]


def test_a_daemon_that_does_not_answer_in_time(scripted: Scripted) -> None:
    began_s = time.monotonic()
    got = scripted.seen("plain", hold=True, env={"CURSERVE_TIMEOUT_MS": "300"})
    assert got["pids"] == [True, False] and 0.3 <= time.monotonic() - began_s < 20


def test_trouble_after_the_first_byte_is_told(scripted: Scripted) -> None:
    got = scripted.seen("plain", *[frame(STDOUT, b"x" * 1_000_000)] * 9)
    assert (got["out"], got["events"][-1]) == (9_000_000, ["close", "2", "null"])
    assert got["err"] == "rg: curserve: the daemon's answer broke off in the middle\n"


def test_a_slow_reader_gets_all_and_holds_the_daemon_up(scripted: Scripted) -> None:
    pieces = [frame(STDOUT, b"x" * 65536)] * 64 + [exit_frame()]
    assert scripted.seen("slow", *pieces)["out"] == 64 * 65536


def test_what_a_socketpair_holds_can_be_read_after_the_exit(scripted: Scripted) -> None:
    got = scripted.seen("held", frame(STDOUT, b"x" * 150000), exit_frame())
    assert (got["out"], got["events"][-1]) == (150000, ["close", "0", "null"])


def test_a_reader_that_leaves_ends_the_child(scripted: Scripted) -> None:
    pieces = [frame(STDOUT, b"x" * 65536)] * 400
    got = scripted.seen("leave", frame(PIPE, struct.pack("=I", 1)), *pieces)
    assert got["events"][-1] == ["close", "1", "null"] and scripted.sent < 300 * 65536


def test_a_signal_ends_the_child_and_the_request(scripted: Scripted) -> None:
    got = scripted.seen("kill", *[frame(STDOUT, b"x" * 1_000_000)] * 9, hold=True)
    assert got["pids"] == [True, True]
    assert ["exit", "null", "SIGINT"] in got["events"] and got["events"][-1] == ["close", "null", "SIGINT"]
    got = scripted.seen("kill_early", hold=True)
    assert (got["out"], got["events"][-1]) == (0, ["close", "null", "SIGTERM"])


def test_a_stopped_child_goes_on(scripted: Scripted) -> None:
    pieces = [frame(STDOUT, b"x" * 65536)] * 20
    assert scripted.seen("stop", *pieces, exit_frame())["out"] == 20 * 65536


def test_stderr_of_the_parent(scripted: Scripted) -> None:
    with serving(scripted.folder / "socket", lambda peer, request: frame(STDERR, b"bad\n") + exit_frame(2)) as server:
        done = subprocess.run(
            [node("20"), NODE / "wire.mjs", "stderr_inherit", str(scripted.tree)], capture_output=True, check=True,
            stdin=subprocess.DEVNULL, env=hooked(CURSERVE_SOCKET=str(server.path)),
        )  # fmt: skip
    assert done.stderr == b"bad\n" and json.loads(done.stdout)["events"][-1] == ["close", "2", "null"]


def test_an_unreferenced_child_keeps_nobody(scripted: Scripted) -> None:
    began_s = time.monotonic()
    assert scripted.seen("unref", hold=True) == "unref"
    assert time.monotonic() - began_s < 3


@pytest.mark.parametrize("fault", ["folder", "owner", "mode", "link", "file", "long"])
def test_a_socket_that_is_not_ours_is_not_asked(tmp_path: Path, tree: Path, fault: str) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    path = folder / "s"
    asked: list[Request] = []

    def script(peer: socket.socket, request: Request) -> bytes:
        asked.append(request)
        return exit_frame()

    server: WireServer | None = None
    if fault == "file":
        path.write_text("")
    elif fault != "long":
        server = WireServer(path, script)
    if fault in ("folder", "owner") and os.geteuid() != 0:
        pytest.skip("only root can give files away")
    if fault == "folder":
        os.chown(folder, 12345, -1)
    elif fault == "owner":
        os.chown(path, 12345, -1)
    elif fault == "mode":
        folder.chmod(0o777)
    elif fault == "link":
        path.rename(folder / "other")
        path.symlink_to("other")
    named = str(path) if fault != "long" else f"/{'x' * 200}/s"
    got = run(node("20"), "wire.mjs", "plain", str(tree), env=hooked(CURSERVE_SOCKET=named))
    assert got["pids"] == [False, False] and not asked
    if server is not None:
        server.close()


def test_the_trace_is_the_shims(scripted: Scripted, tree: Path) -> None:
    trace = scripted.folder / "trace"
    scripted.seen("plain", exit_frame(1), env={"CURSERVE_TRACE": str(trace)})
    scripted.seen("plain", frame(DECLINE, b"why"), env={"CURSERVE_TRACE": str(trace)})
    first, second = (json.loads(line) for line in trace.read_text().splitlines())
    assert set(first) == {"served", "reason", "argv", "us"}
    assert set(first["us"]) == {"total", "plan", "barrier", "search", "daemon"}
    assert (first["served"], first["reason"], first["argv"]) == (True, None, ["hay", str(tree)])
    assert (second["served"], second["reason"]) == (False, "why")


def test_stripped_environments_still_find_the_daemon(served: Box, tree: Path, tmp_path: Path) -> None:
    script = (
        "require('child_process').execFile('rg', ['-c', 'needle', process.argv[1]], {env: {PATH: process.env.PATH}},"
        " (error, out) => process.stdout.write(out))"
    )
    trace = tmp_path / "trace"
    done = subprocess.run(
        [node("20"), "-e", script, str(tree)], capture_output=True, check=True, stdin=subprocess.DEVNULL,
        env=hooked(CURSERVE_SOCKET=str(served.socket), CURSERVE_TRACE=str(trace)),
    )  # fmt: skip
    assert done.stdout.count(b":3\n") == 6 and json.loads(trace.read_text())["served"]


def test_start_up_costs_less_than_a_millisecond() -> None:
    """The hook loads nothing that Node has not loaded: no child_process, no net, until a child is made."""
    script = "process.stdout.write(JSON.stringify(process.moduleLoadList))"
    loaded = [
        set(json.loads(subprocess.run([node("20"), "-e", script], capture_output=True, check=True, env=env).stdout))
        for env in (environment(), hooked())
    ]
    # The loader of CommonJS and of NODE_OPTIONS itself may come with helpers of its own.
    assert not {name for name in loaded[1] - loaded[0] if re.search(r"child_process|net$|stream|dgram", name)}


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    wait_for(lambda: not list(tmp_path.glob("socket")), "the scripted daemon to be gone")


def test_old_nodes_are_left_alone(tree: Path) -> None:
    """Node 12 reads the hook (it must, or it would not start) and does nothing with it."""
    script = "require('child_process').execFile('rg', ['-c', 'needle', process.argv[1]], (e, out) => console.log(out))"
    done = subprocess.run(
        [node("12"), "-e", script, str(tree)], env=hooked(), capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    assert done.stderr == b"" and done.stdout.count(b":3\n") == 6


def test_a_thousand_children_leave_nothing(scripted: Scripted, tree: Path) -> None:
    """Descriptors and handles are given back; of memory only the handle that cannot be freed stays."""
    script = """
      const { execFile } = require('child_process'), { readdirSync } = require('fs');
      const one = () => new Promise((done) => execFile('rg', ['x', process.argv[1]], done));
      const fds = () => readdirSync('/proc/self/fd').length;
      (async () => {
        for (let i = 0; i < 100; i++) await one();
        gc();
        const before = [fds(), process.memoryUsage().heapUsed, process.getActiveResourcesInfo().length];
        for (let i = 0; i < 1000; i++) await one();
        await new Promise((done) => setTimeout(done, 50));
        gc();
        const after = [fds(), process.memoryUsage().heapUsed, process.getActiveResourcesInfo().length];
        console.log(JSON.stringify(after.map((it, at) => it - before[at])));
      })();
    """
    with serving(scripted.folder / "socket", lambda peer, request: frame(STDOUT, b"x\n") + exit_frame()) as server:
        done = subprocess.run(
            [node("20"), "--expose-gc", "-e", script, str(tree)], capture_output=True, check=True,
            stdin=subprocess.DEVNULL, env=hooked(CURSERVE_SOCKET=str(server.path)), timeout=100,
        )  # fmt: skip
    fds, heap_bytes, resources = json.loads(done.stdout)
    assert len(server.requests) == 1100
    assert fds <= 0 and resources <= 1 and heap_bytes < 2000 * 1024, (fds, heap_bytes, resources)
