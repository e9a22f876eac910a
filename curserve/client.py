"""The other end of the control socket: one request, its answers.

In: an operation and its arguments. Out: answers as dicts. The server's uid is checked as the server checks ours. Every
failure is one of two errors: nobody answers, or the daemon said no.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curserve.errors import CurserveError

_PEERCRED = struct.Struct("3i")


class DaemonUnavailable(CurserveError):
    """No daemon of ours answers on the control socket."""


class Refused(CurserveError):
    """The daemon answered with an error; the message is its own."""


class Client:
    """One place to ask; each call makes a connection of its own, so a Client may be kept and shared."""

    def __init__(self, control: Path, timeout_s: float = 10.0) -> None:
        """timeout_s bounds the wait for each single answer, not for all of an attach."""
        self._control = control
        self._timeout_s = timeout_s

    def call(self, op: str, **arguments: Any) -> dict[str, Any]:
        """The only answer to `op`. Raises DaemonUnavailable, Refused."""
        for answer in self.stream(op, **arguments):
            return answer
        raise DaemonUnavailable("the daemon hung up")

    def stream(self, op: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """The answers to `op` up to the one that is "done" (or has no such key). Raises DaemonUnavailable, Refused."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
            connection.settimeout(self._timeout_s)
            try:
                connection.connect(str(self._control))
                _, uid, _ = _PEERCRED.unpack(
                    connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size)
                )
                if uid != os.getuid():
                    raise DaemonUnavailable(f"{self._control} is served by uid {uid}, not by you")
                connection.sendall(json.dumps({"op": op, **arguments}).encode() + b"\n")
                with connection.makefile("rb") as lines:
                    for line in lines:
                        answer = json.loads(line)
                        if not answer.get("ok"):
                            raise Refused(str(answer.get("error", "refused")))
                        yield answer
                        if answer.get("done", True):
                            return
            except (FileNotFoundError, ConnectionRefusedError) as error:
                raise DaemonUnavailable("no daemon is running; start it with: curserve start") from error
            except TimeoutError as error:
                raise DaemonUnavailable(f"the daemon did not answer within {self._timeout_s:g} s") from error
            except (OSError, ValueError) as error:
                raise DaemonUnavailable(f"{self._control}: {error}") from error
        raise DaemonUnavailable("the daemon hung up")
