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
import time
from collections.abc import Callable, Iterator
from typing import Any

from curserve import config as configuration
from curserve import cpus, crashes, environment, machine, paths, regex
from curserve.ceiling import Ceiling, resident_bytes
from curserve.census import Census
from curserve.config import Config, ConfigError
from curserve.configwatch import ConfigWatch
from curserve.control import Message
from curserve.errors import CurserveError
from curserve.idleness import Idleness
from curserve.kernel_door import Handle, lib
from curserve.metrics import Metrics
from curserve.plan import Planner
from curserve.refusals import Refusals
from curserve.savings import Savings
from curserve.session import Sessions
from curserve.shadow import Shadow
from curserve.stats import queue_numbers, request_numbers
from curserve.statuskeys import SCHEMA
from curserve.workspaces import Workspace, Workspaces

_SESSION_THREADS = 16
"""Requests in flight at once; more wait in the listener's backlog. Arbitrary: two bursts of eight."""
_DRAIN_S = 10.0
_LONG_DRAIN_S = 120.0
"""Of a daemon that is in nobody's way: its successor serves. Longer than a client may pause (kernel/reply.h)."""
_SAVE_S = 8.0
"""What the snapshot may take at the end: 1.3 GB of texts that were not written yet take 3 s."""
_PROGRESS_S = 0.1
_SWITCH_S = 0.0002
"""How long a thread may keep the GIL while others wait (Python's default of 5 ms is ten answers long)."""

_log = logging.getLogger(__name__)


class Daemon:
    """One daemon. `run` returns when it has been told to stop and has drained."""

    def __init__(self, config: Config, listener: socket.socket, idle_exit_s: float | None) -> None:
        """idle_exit_s: None for one that never ends by itself."""
        sys.setswitchinterval(_SWITCH_S)
        regex.warm()
        gc.collect()
        gc.freeze()  # modules and tables stay for good: no collection in a request's way looks at them again
        available = cpus.available()
        cores = config.limits.threads or available
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
            self._desk, _SESSION_THREADS, Planner(cores, brute, available == 1), self._workspaces, self._shadow,
            config.trust.sandbox,
        )
        self._sessions.limit(config.limits)
        self._refusals = Refusals(paths.runtime_paths().refused)
        self._idleness = Idleness(None if config.roots.pinned else idle_exit_s, self._request_count)
        self.is_idle = False
        self._drain_s = _DRAIN_S
        self._is_retired = False

    def preload(self, roots: list[str], wait_s: float, is_urgent: Callable[[], bool]) -> None:
        """Attaches what another daemon has attached, and waits for so long at most, or until it is urgent."""
        loading = []
        for root in reversed(roots):  # the one used last is attached last, and goes last
            with contextlib.suppress(CurserveError):
                loading.append(self._workspaces.attach(os.fsencode(root)))
        self._ceiling.start()
        deadline_s = time.monotonic() + wait_s
        for workspace in loading:
            while not workspace.done.wait(_PROGRESS_S) and not is_urgent() and time.monotonic() < deadline_s:
                pass

    def run(self, begun: Callable[[], None]) -> None:
        """Serve until stop(), or until nobody needs it (is_idle says which). In the main thread. begun: called when
        requests are answered."""
        signal.set_wakeup_fd(self._wake_w, warn_on_full_buffer=False)
        self._listener.setblocking(True)
        self._sessions.start()
        self._ceiling.start()
        begun()
        self._workspaces.reattach()
        watch = ConfigWatch(paths.config_file(), self._reconfigure)
        swept_s = time.monotonic()
        while not self._told_to_stop(self._rest_s(swept_s)):
            if time.monotonic() - swept_s >= self._sweep_s:
                self._workspaces.sweep()
                self._refusals.count()
                swept_s = time.monotonic()
            left_s = self._idleness.left_s()
            if left_s is not None and left_s <= 0:
                self.is_idle = True
                break
        watch.close()
        self._metrics.close()
        self._refusals.close()
        self._ceiling.stop()
        if not self._sessions.stop(self._drain_s):
            _log.warning("some answers did not end within %.0f s", self._drain_s)
        if not self._is_retired:  # who connects while we save is not kept waiting: the real rg runs at once
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
        self._workspaces.close(_SAVE_S)

    def stop(self) -> None:
        """As Controlled.stop."""
        self._stopping = True
        with contextlib.suppress(BlockingIOError):  # full: it wakes up anyway
            os.write(self._wake_w, b"!")

    def retire(self) -> None:
        """Another daemon serves: end as stop() does, but in no hurry."""
        self._sessions.close()
        self._metrics.close()
        self._is_retired = True
        self._drain_s = _LONG_DRAIN_S
        self.stop()

    def serve_metrics(self) -> None:
        """Listen on the configured port, which one daemon at a time can."""
        self._metrics.serve()

    def status(self) -> Message:
        """As Controlled.status: requests, workspaces, memory. Its keys are those of statuskeys.py."""
        workspaces = self.workspaces()
        return {
            "schema": SCHEMA,
            "requests": request_numbers(self._desk, self._refusals.count()),
            "queue": queue_numbers(self._desk),
            "shadow": self._shadow.numbers(),
            "savings": self._savings.numbers(),
            "store": self._workspaces.store_numbers(),
            "snapshot": self._workspaces.snapshot_numbers(),
            "memory": {
                "resident_bytes": resident_bytes(),
                "ceiling_bytes": self._memory_bytes,
                "evicted": self._ceiling.evicted,
                "indexes_given_up": self._ceiling.indexes,
                "caches_given_up": self._ceiling.caches,
            },
            "watches": {"used": sum(row["watches"] for row in workspaces), "limit": machine.most_watches()},
            "workspaces": workspaces,
            "crash": _last_crash(),
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

    def _request_count(self) -> int:
        numbers = request_numbers(self._desk, refused=0)
        return int(numbers["served"]) + int(numbers["declined"])

    def _rest_s(self, swept_s: float) -> float:
        """How long there is nothing to do."""
        left_s = self._idleness.left_s()
        until_sweep_s = swept_s + self._sweep_s - time.monotonic()
        return max(0.0, until_sweep_s if left_s is None else min(until_sweep_s, left_s))

    def _told_to_stop(self, timeout_s: float) -> bool:
        if not self._stopping and select.select([self._wake_r], [], [], timeout_s)[0]:
            os.read(self._wake_r, 4096)
        return self._stopping

    def hold(self, pid: int) -> None:
        """As Controlled.hold."""
        self._idleness.hold(pid)

    def roots(self) -> list[str]:
        """What is attached, the one used last first."""
        found = sorted(self._workspaces.all(), key=lambda workspace: workspace.used_s, reverse=True)
        return [os.fsdecode(workspace.root) for workspace in found]

    def workspaces(self) -> list[Message]:
        """As Controlled.workspaces."""
        every = self._workspaces.all()
        holdings = self._workspaces.holdings(every)
        return [{**_described(workspace), **holding} for workspace, holding in zip(every, holdings, strict=True)]

    def attach(self, root: bytes, wait: bool) -> Iterator[Message]:
        """As Controlled.attach."""
        workspace = self._workspaces.attach(root)
        while wait and not workspace.done.wait(_PROGRESS_S):
            yield _progress(workspace.numbers())
        yield _progress(workspace.numbers())

    def prefetch(self, folder: bytes) -> str:
        """As Controlled.prefetch."""
        if self._workspaces.find([folder]) is not None:
            return "attached"
        return self._workspaces.attach_for([folder])

    def detach(self, root: bytes) -> None:
        """As Controlled.detach."""
        if not self._workspaces.detach(root):
            raise CurserveError(f"{os.fsdecode(root)} is not attached")


def _described(workspace: Workspace) -> dict[str, Any]:
    numbers = workspace.numbers()
    return {**numbers, "state": _state(numbers), "attached_s": workspace.attached_s}


def _last_crash() -> Message:
    found = crashes.last(paths.runtime_paths().log)
    if found is None:
        return {"time_s": None, "signal": "", "version": "", "searches": 0}
    return {"time_s": found.time_s, "signal": found.signal, "version": found.version, "searches": len(found.serving)}


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
