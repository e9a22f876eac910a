"""A running daemon's sockets and lock, passed to the one that follows it, so that no connection is ever refused.

The successor connects to the control socket and asks for them ("hand_over"); what it gets are descriptors of the very
sockets that clients connect to, and of the lock. Both may take clients then, so nothing hangs on who does when: the
successor gets ready (loads what is attached) while the old daemon serves, begins to serve, and says so; the old one
finishes what it has begun and ends. A successor that ends before it has said so changes nothing. A daemon that does not
know the question, an older version, is stopped and replaced instead (lifecycle.py).
"""

from __future__ import annotations

import array
import json
import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from curserve.errors import CurserveError

_MOST_BYTES = 1 << 20
_DESCRIPTORS = 3
_TIMEOUT_S = 20.0


class HandoverRefused(CurserveError):
    """The running daemon cannot hand over, or there is none."""


@dataclass(frozen=True, slots=True)
class Estate:
    """What a daemon has to hand over. roots: attached now, the one used last comes first. given: called when the
    successor serves."""

    listener: int
    control: int
    lock: int
    roots: Callable[[], list[str]]
    given: Callable[[], None]


def give(client: socket.socket, estate: Estate) -> None:
    """The old daemon's part, on the connection that asked. Returns when the successor serves or is gone."""
    line = json.dumps({"ok": True, "roots": estate.roots()}).encode() + b"\n"
    client.settimeout(None)
    descriptors = array.array("i", [estate.listener, estate.control, estate.lock])
    sent = client.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
    client.sendall(line[sent:])
    if client.recv(1) == b"!":
        estate.given()
        client.shutdown(socket.SHUT_RDWR)


class Inheritance:
    """The successor's part."""

    def __init__(self, connection: socket.socket, listener: int, control: int, lock: int, roots: list[str]) -> None:
        self._connection = connection
        self.listener = socket.socket(fileno=listener)
        self.control = socket.socket(fileno=control)
        self.lock = lock
        self.roots = roots

    def is_giver_gone(self) -> bool:
        """Whether the old daemon has ended by itself, and nobody serves."""
        return bool(select.select([self._connection], [], [], 0)[0])

    def accept(self) -> None:
        """Tell the old daemon that we serve. Afterwards it takes no client any more, of either socket."""
        with suppress(OSError), self._connection:  # it may have ended already
            self._connection.sendall(b"!")
            while self._connection.recv(64):
                pass


def ask(control: Path) -> Inheritance:
    """What the daemon behind this control socket hands over. HandoverRefused."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    got: list[int] = []
    try:
        connection.settimeout(_TIMEOUT_S)
        connection.connect(os.fspath(control))
        connection.sendall(b'{"op": "hand_over"}\n')
        text = b""
        while not text.endswith(b"\n") and len(text) < _MOST_BYTES:
            part, more, _, _ = socket.recv_fds(connection, 65536, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
            got += more
            if not part:
                break
            text += part
        answer = json.loads(text)
        if not answer.get("ok") or len(got) != _DESCRIPTORS:
            raise HandoverRefused(str(answer.get("error", "the running daemon hands nothing over")))
        return Inheritance(connection, got[0], got[1], got[2], [str(root) for root in answer["roots"]])
    except (OSError, ValueError, HandoverRefused) as error:
        connection.close()
        for descriptor in got:
            os.close(descriptor)
        raise error if isinstance(error, HandoverRefused) else HandoverRefused(str(error)) from error
