"""The control socket on its own: a plane in this process, operated by a stand-in that records what it is told."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curserve.client import Client, DaemonUnavailable, Refused
from curserve.control import MAX_LINE_BYTES, ControlPlane
from curserve.errors import CurserveError


class Recorder:
    """Says yes to everything but /refused, and fails on /broken."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.stopped = threading.Event()

    def status(self) -> dict[str, Any]:
        return {"answer": 42, "pid": "is the plane's to say"}

    def attach(self, root: bytes, wait: bool) -> Iterator[dict[str, Any]]:
        self.told.append((root, wait))
        if root == b"/refused":
            raise CurserveError("not that one")
        if root == b"/broken":
            raise ZeroDivisionError
        for done in range(3):
            yield {"state": "loading", "files_done": done, "files_total": 3}
        yield {"state": "served", "files_done": 3, "files_total": 3}

    def detach(self, root: bytes) -> None:
        self.told.append((root,))

    def workspaces(self) -> list[dict[str, Any]]:
        return [{"root": "/caf\udce9", "state": "served"}]

    def stop(self) -> None:
        self.stopped.set()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def control(tmp_path_factory: pytest.TempPathFactory, recorder: Recorder) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("c") / "s"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    plane = ControlPlane(listener)
    plane.start(recorder)
    yield path
    plane.close()


def test_operations(control: Path, recorder: Recorder) -> None:
    client = Client(control)
    assert client.call("ping")["pid"] == os.getpid()
    status = client.call("status")
    assert (status["answer"], status["pid"]) == (42, os.getpid())
    assert client.call("workspaces")["workspaces"][0]["root"] == "/caf\udce9"
    client.call("detach", root="/caf\udce9")
    assert recorder.told == [(b"/caf\xe9",)]
    client.call("stop")
    assert recorder.stopped.wait(5)


def test_attach_streams_and_ends(control: Path, recorder: Recorder) -> None:
    answers = list(Client(control).stream("attach", root="/x", wait=False))
    assert [answer["done"] for answer in answers] == [False] * 4 + [True]
    assert answers[-1]["state"] == "served" and recorder.told == [(b"/x", False)]


@pytest.mark.parametrize("root", ["relative", "", "/a\0b", None, 5, ["/x"]])
def test_a_root_must_be_an_absolute_path(control: Path, root: Any, recorder: Recorder) -> None:
    with pytest.raises(Refused, match="absolute"):
        Client(control).call("attach", root=root)
    assert recorder.told == []


def test_errors(control: Path) -> None:
    with pytest.raises(Refused, match="not that one"):
        list(Client(control).stream("attach", root="/refused"))
    with pytest.raises(Refused, match="internal error"):
        list(Client(control).stream("attach", root="/broken"))
    with pytest.raises(Refused, match="unknown op 'fly'"):
        Client(control).call("fly")


def test_bad_lines_are_answered_and_the_next_one_is_too(control: Path) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(control))
        lines = raw.makefile("rb")
        for bad in (b"not json\n", b"[]\n", b"\xff\n", b"\n", b"1\n", b'{"op": "ping", "op": []}\n'):
            raw.sendall(bad)
            answer = json.loads(lines.readline())
            assert answer["ok"] is False and answer["error"]
        raw.sendall(b'{"op": "ping"}\n')
        assert json.loads(lines.readline())["ok"] is True


def test_a_line_without_end_is_cut_off(control: Path) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(control))
        raw.sendall(b"x" * (MAX_LINE_BYTES + 1))
        answers = raw.makefile("rb").read()
    assert json.loads(answers) == {"ok": False, "error": "request too long"}


def test_a_client_that_leaves_harms_nobody(control: Path) -> None:
    for _ in range(100):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(control))
            raw.sendall(b'{"op": "attach", "root": "/x"}\n{"op"')
    assert Client(control).call("ping")["ok"] is True


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnavailable, match="curserve start"):
        Client(tmp_path / "none").call("ping")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        deaf.listen()
        with pytest.raises(DaemonUnavailable, match="did not answer"):
            Client(tmp_path / "deaf", timeout_s=0.05).call("ping")
