"""The daemon's control socket: status, look, metrics, attach, detach, workspaces, stop.

In: one JSON object per line, {"op": …, …}. Out: one per line, {"ok": true, …} or {"ok": false, "error": "…"}; `attach`
answers with several, the last one having "done": true, and with "hold": true keeps the daemon until the asker has
ended; `hand_over` passes descriptors (handover.py). Paths are text with surrogates for bytes that are no UTF-8.
Invariants: only the same uid is answered, a line is bounded, a slow or dead client holds up nobody but itself.
Searches never come this way.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from curserve import __version__, handover
from curserve.errors import CurserveError

MAX_LINE_BYTES = 1 << 16
"""A request's length at most; far above any path's (4096)."""
_MAX_CLIENTS = 64
"""Arbitrary; people's commands and monitors, not searches. More than that wait in the backlog."""
_CLIENT_TIMEOUT_S = 60.0
"""A client that neither asks nor reads for so long is dropped."""
_PEERCRED = struct.Struct("3i")

_log = logging.getLogger(__name__)

Message = dict[str, Any]


class Controlled(Protocol):
    """What the control socket operates: the daemon. Called from the plane's threads, several at a time.

    A CurserveError becomes the client's error text; anything else is logged and told as an internal error.
    """

    def status(self) -> Message:
        """Facts and counters; merged with the plane's own (pid, version, uptime_s). Keys once given stay."""

    def look(self, seconds: int, measure: bool) -> Message:
        """As status, with "census" (census.py) and "measured" (savings.py, by workspace). What these need is gathered
        (and, with `measure`, measured) for so many seconds from now on."""

    def metrics(self) -> str:
        """Facts and counters as Prometheus reads them (text format 0.0.4)."""

    def attach(self, root: bytes, wait: bool) -> Iterator[Message]:
        """Make `root` (absolute) a workspace. Yields {"state": str, "files_done": int, "files_total": int | None}.

        With `wait` it ends when the workspace is served or never will be: the last one has "state" "served", or another
        and "reason". Without, it ends as soon as the work has begun. Closing it early leaves the workspace alone.
        """

    def prefetch(self, folder: bytes) -> str:
        """Begin to load the repository around a folder as its first search would. What that search would be told:
        "loading", "unknown_root", ...; "attached" when there is nothing to do."""

    def detach(self, root: bytes) -> None:
        """Forget the workspace; CurserveError when there is none."""

    def workspaces(self) -> list[Message]:
        """One per workspace, sorted by root: at least {"root": str, "state": str, "files": int, "text_bytes": int}."""

    def hold(self, pid: int) -> None:
        """As long as this process lives, the daemon is needed: it was started to be served."""

    def stop(self) -> None:
        """Begin to drain and let run() return. May be called twice, and from a signal handler of the main thread."""


class ControlPlane:
    """The listening control socket and its threads. Answers from `start` on; clients that came earlier waited."""

    def __init__(self, listener: socket.socket, alive: Callable[[], bool] | None = None) -> None:
        """listener: bound and listening. alive: asked every few seconds; when it says no, the daemon is stopped
        (its socket is gone from the file system, so nobody can reach it any more)."""
        self.estate: handover.Estate | None = None
        self._listener = listener
        self._alive = alive
        self._started_s = time.time()
        self._slots = threading.BoundedSemaphore(_MAX_CLIENTS)
        self._controlled: Controlled | None = None

    def start(self, controlled: Controlled) -> None:
        """Begin to answer, in a daemon thread. Once."""
        self._controlled = controlled
        self._listener.settimeout(5.0)
        threading.Thread(target=self._accept, args=(controlled,), name="control", daemon=True).start()

    def close(self) -> None:
        """Take no more clients."""
        self._listener.close()

    def _accept(self, controlled: Controlled) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                if self._alive is not None and not self._alive():
                    _log.warning("the socket is gone from the runtime folder: stopping")
                    self._alive = None
                    controlled.stop()
                continue
            except OSError:
                if self._listener.fileno() < 0:
                    return
                _log.exception("accept on the control socket")
                time.sleep(0.1)  # out of descriptors: nothing to wait for but others to close theirs
                continue
            self._slots.acquire()
            threading.Thread(target=self._serve, args=(client, controlled), name="control client", daemon=True).start()

    def _serve(self, client: socket.socket, controlled: Controlled) -> None:
        try:
            with client:
                client.settimeout(_CLIENT_TIMEOUT_S)
                _, uid = _peer(client)
                if uid != os.getuid():
                    _log.warning("control request of uid %d refused", uid)
                    return
                with client.makefile("rb") as lines:
                    while line := lines.readline(MAX_LINE_BYTES + 1):
                        for answer in self._answers(line, controlled, client):
                            client.sendall(json.dumps(answer).encode() + b"\n")
                        if len(line) > MAX_LINE_BYTES:
                            return
        except OSError:
            pass  # the client went away; it has nothing to be told
        finally:
            self._slots.release()

    def _answers(self, line: bytes, controlled: Controlled, client: socket.socket) -> Iterator[Message]:
        """The answers to one request line. Never raises but for what the generator's user does to it."""
        try:
            if len(line) > MAX_LINE_BYTES:
                raise CurserveError("request too long")
            request = json.loads(line)
            if not isinstance(request, dict):
                raise CurserveError("a request is a JSON object")
            yield from self._operate(request, controlled, client)
        except CurserveError as error:
            yield {"ok": False, "error": str(error)}
        except (ValueError, RecursionError) as error:
            yield {"ok": False, "error": f"bad request: {error}"}
        except GeneratorExit:
            raise
        except Exception:
            _log.exception("control request failed")
            yield {"ok": False, "error": "internal error; see the daemon's log"}

    def _operate(self, request: Message, controlled: Controlled, client: socket.socket) -> Iterator[Message]:
        match request.get("op"):
            case "ping":
                yield {"ok": True, **self._own()}
            case "status":
                yield {"ok": True, **controlled.status(), **self._own()}
            case "look":
                looked = controlled.look(_seconds(request), bool(request.get("measure", True)))
                yield {"ok": True, **looked, **self._own()}
            case "metrics":
                yield {"ok": True, "text": controlled.metrics()}
            case "workspaces":
                yield {"ok": True, "workspaces": controlled.workspaces()}
            case "attach":
                root, last = _root(request), Message()
                if request.get("hold"):
                    controlled.hold(_peer(client)[0])
                for last in controlled.attach(root, bool(request.get("wait", True))):
                    yield {"ok": True, "done": False, **last}
                yield {**last, "ok": True, "done": True}
            case "prefetch":
                yield {"ok": True, "state": controlled.prefetch(_root(request))}
            case "detach":
                controlled.detach(_root(request))
                yield {"ok": True}
            case "hand_over" if self.estate is not None:
                handover.give(client, self.estate)
            case "stop":
                yield {"ok": True}
                controlled.stop()
            case other:
                raise CurserveError(f"unknown op {other!r}")

    def _own(self) -> Message:
        return {"pid": os.getpid(), "version": __version__, "uptime_s": round(time.time() - self._started_s, 3)}


def _seconds(request: Message) -> int:
    """How long somebody looks: a whole number of at least 1."""
    seconds = request.get("seconds", 5)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1:
        raise CurserveError("seconds must be a whole number from 1")
    return seconds


def _peer(client: socket.socket) -> tuple[int, int]:
    """The client's pid and uid, by the kernel's word."""
    pid, uid, _ = _PEERCRED.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
    return pid, uid


def _root(request: Message) -> bytes:
    """The request's root as bytes: absolute, without a NUL."""
    root = request.get("root")
    if not isinstance(root, str) or not root.startswith("/") or "\0" in root:
        raise CurserveError("root must be an absolute path")
    return os.fsencode(root)
