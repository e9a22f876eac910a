"""The daemon: sessions, workspaces and statistics put together, and what the control socket operates on them.

`daemon_main` has taken the lock and opened the sockets; this runs until it is told to stop, then lets the answers that
have begun be finished.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

from curserve import config as configuration
from curserve import environment, machine, paths, regex
from curserve.ceiling import Ceiling, resident_bytes
from curserve.census import Census
from curserve.config import Config, ConfigError
from curserve.configwatch import ConfigWatch
from curserve.control import ControlPlane, Message
from curserve.errors import CurserveError
from curserve.kernel_door import Handle, lib
from curserve.metrics import Metrics
from curserve.plan import Planner
from curserve.savings import Savings
from curserve.session import Sessions
from curserve.shadow import Shadow
from curserve.stats import queue_numbers, request_numbers
from curserve.statuskeys import SCHEMA
from curserve.workspaces import Workspace, Workspaces

_SESSION_THREADS = 16
"""Requests in flight at once; more wait in the listener's backlog. Arbitrary: two bursts of eight."""
_DRAIN_S = 10.0
_PROGRESS_S = 0.1
_SWITCH_S = 0.0002
"""How long a thread may keep the GIL while others wait (Python's default of 5 ms is ten answers long)."""

_log = logging.getLogger(__name__)


class Daemon:
    """One daemon. `run` returns when it has been told to stop and has drained."""

    def __init__(self, config: Config, listener: socket.socket, control: ControlPlane) -> None:
        sys.setswitchinterval(_SWITCH_S)
        regex.warm()
        gc.collect()
        gc.freeze()  # modules and tables stay for good: no collection in a request's way looks at them again
        cores = config.limits.threads or os.cpu_count() or 2
        brute = environment.variable("CURSERVE_BRUTE") is not None
        self._listener = listener
        self._sweep_s = config.limits.sweep_s
        self._memory_bytes = config.limits.memory_bytes
        # The main thread sleeps on a pipe: any thread may receive a signal, and only what the signal writes wakes it.
        self._stopping = False
        self._wake_r, self._wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._desk = Handle(lib.cs_desk_new(listener.fileno()), lib.cs_desk_free)
        self._workspaces = Workspaces(config.roots.policy(), config, cores, self._forget)
        self._ceiling = Ceiling(self._workspaces, config.limits.memory_bytes)
        socket_path = os.fspath(paths.runtime_paths().socket)
        self._shadow = Shadow(config.limits.shadow, socket_path)
        self._census = Census(self._desk)
        self._savings = Savings(self._desk, socket_path)
        self._metrics = Metrics(self.status, config.metrics)
        self._sessions = Sessions(
            self._desk, _SESSION_THREADS, Planner(cores, brute), self._workspaces, self._shadow, config.trust.sandbox
        )
        self._sessions.limit(config.limits)
        self._metrics.serve()

    def run(self) -> None:
        """Serve until stop(). In the main thread."""
        signal.set_wakeup_fd(self._wake_w, warn_on_full_buffer=False)
        self._listener.setblocking(True)
        self._sessions.start()
        self._ceiling.start()
        watch = ConfigWatch(paths.config_file(), self._reconfigure)
        while not self._told_to_stop(self._sweep_s):
            self._workspaces.sweep()
        watch.close()
        self._metrics.close()
        self._ceiling.stop()
        if not self._sessions.stop(_DRAIN_S):
            _log.warning("some answers did not end within %.0f s", _DRAIN_S)

    def stop(self) -> None:
        """As Controlled.stop."""
        self._stopping = True
        with contextlib.suppress(BlockingIOError):  # full: it wakes up anyway
            os.write(self._wake_w, b"!")

    def status(self) -> Message:
        """As Controlled.status: requests, workspaces, memory. Its keys are those of statuskeys.py."""
        return {
            "schema": SCHEMA,
            "requests": request_numbers(self._desk),
            "queue": queue_numbers(self._desk),
            "shadow": self._shadow.numbers(),
            "savings": self._savings.numbers(),
            "store": self._workspaces.store_numbers(),
            "memory": {
                "resident_bytes": resident_bytes(),
                "ceiling_bytes": self._memory_bytes,
                "evicted": self._ceiling.evicted,
            },
            "watches": {"used": self._workspaces.watches(), "limit": machine.most_watches()},
            "workspaces": self.workspaces(),
        }

    def look(self, seconds: int, measure: bool) -> Message:
        """As Controlled.look."""
        if measure:
            self._savings.look(seconds)
        return {**self.status(), "census": self._census.look(seconds), "measured": self._savings.by_root()}

    def metrics(self) -> str:
        """As Controlled.metrics."""
        return self._metrics.exposition()

    def _forget(self) -> None:
        lib.cs_desk_forget(self._desk.pointer)

    def _reconfigure(self) -> None:
        """Takes over what can change while we run: the log's level, which roots may be attached, whom to trust."""
        try:
            fresh = configuration.load()
        except ConfigError as error:
            _log.error("the configuration stays as it was: %s", error)
            return
        logging.getLogger("curserve").setLevel(fresh.log.level.upper())
        self._workspaces.configure(fresh.roots.policy(), fresh.roots.auto)
        self._sessions.trust_sandbox = fresh.trust.sandbox
        self._sessions.limit(fresh.limits)
        _log.info("configuration read again")

    def _told_to_stop(self, timeout_s: float) -> bool:
        if not self._stopping and select.select([self._wake_r], [], [], timeout_s)[0]:
            os.read(self._wake_r, 4096)
        return self._stopping

    def workspaces(self) -> list[Message]:
        """As Controlled.workspaces."""
        return [_described(workspace) for workspace in self._workspaces.all()]

    def attach(self, root: bytes, wait: bool) -> Iterator[Message]:
        """As Controlled.attach."""
        workspace = self._workspaces.attach(root)
        while wait and not workspace.done.wait(_PROGRESS_S):
            yield _progress(workspace.numbers())
        yield _progress(workspace.numbers())

    def detach(self, root: bytes) -> None:
        """As Controlled.detach."""
        if not self._workspaces.detach(root):
            raise CurserveError(f"{os.fsdecode(root)} is not attached")


def _described(workspace: Workspace) -> dict[str, Any]:
    numbers = workspace.numbers()
    return {**numbers, "state": _state(numbers), "bytes": numbers["text_bytes"], "attached_s": workspace.attached_s}


def _state(numbers: dict[str, Any]) -> str:
    """For people, a live workspace is "served"; one that waits for a rescan ("stale") is too, by the next request."""
    return "served" if numbers["state"] in ("live", "stale") else str(numbers["state"])


def _progress(numbers: dict[str, Any]) -> Message:
    return {
        "state": _state(numbers),
        "reason": numbers["why"],
        "files_done": numbers["loaded_files"],
        "files_total": None,
        "bytes_done": numbers["loaded_bytes"],
    }
