"""Start and stop of the daemon, from outside it.

In: the runtime places. Out: a daemon that answers, or none. Promises: two starts at once give one daemon; a daemon
killed in any way leaves nothing that keeps the next one from starting; the daemon outlives the caller and holds none of
its descriptors; who is stopped is the process that holds the lock and no other, however pids are reused. A restart, and
the start of a newer version beside an older one, refuse nobody: the new daemon takes over the running one's sockets.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from curserve import __version__, daemonlock, environment, log, ondemand, paths
from curserve.client import Client, DaemonUnavailable
from curserve.errors import CurserveError
from curserve.paths import RuntimePaths

START_TIMEOUT_S = 30.0
RESTART_TIMEOUT_S = 60.0
"""The new daemon loads what the running one holds before it takes over (20 s at most)."""
STOP_TIMEOUT_S = 30.0
"""The daemon drains, then saves its snapshot, some seconds each; beyond this it is killed."""


class LifecycleError(CurserveError):
    """The daemon could not be started or stopped. `details`: the log's last lines, for people to read."""

    def __init__(self, message: str, details: list[str] | None = None) -> None:
        super().__init__(message)
        self.details = details or []


@dataclass(frozen=True, slots=True)
class Started:
    """pid of the daemon that answers now; fresh: this call started it; version: that daemon's."""

    pid: int
    fresh: bool
    version: str


def start(progress: Callable[[str], None] = lambda text: None, timeout_s: float = START_TIMEOUT_S) -> Started:
    """See that a daemon runs and answers. Raises LifecycleError, RuntimeDirError."""
    places = paths.runtime_paths()
    paths.prepare(places)
    running = ping(places)
    if running is not None and not is_older(running["version"]):
        return Started(running["pid"], False, running["version"])
    if running is not None:
        return restart(progress, timeout_s)
    deadline_s = time.monotonic() + timeout_s
    fresh = _spawn(places, deadline_s, progress) == "ready"
    while (running := ping(places)) is None:
        # Another start won the race; its daemon holds the lock but does not answer yet.
        if not daemonlock.is_held(places.lock):
            raise LifecycleError("the daemon ended while it started", log.last_lines(places.log))
        if time.monotonic() > deadline_s:
            raise LifecycleError("a daemon holds the lock but does not answer; try: curserve restart")
        time.sleep(0.02)
    return Started(running["pid"], fresh, running["version"])


def restart(progress: Callable[[str], None] = lambda text: None, timeout_s: float = RESTART_TIMEOUT_S) -> Started:
    """See that a new daemon runs and answers: as start, but not with the one that runs now. No request is refused
    meanwhile, unless that one cannot hand over (an older version, a stuck one): then it is stopped first."""
    places = paths.runtime_paths()
    paths.prepare(places)
    before = _holder(places)
    if before is None or _spawn(places, time.monotonic() + timeout_s, progress, "--take-over") != "ready":
        stop()
        return start(progress)
    # The one before answers pings until it hears that it is followed; then it finishes what clients still read.
    deadline_s = time.monotonic() + STOP_TIMEOUT_S
    while (running := ping(places)) is not None and running["pid"] == before.pid and time.monotonic() < deadline_s:
        time.sleep(0.02)
    if running is None:
        raise LifecycleError("the daemon ended after it took over", log.last_lines(places.log))
    return Started(running["pid"], True, running["version"])


def stop() -> bool:
    """Let the daemon drain and end; True when one was running. A daemon that does not end in time is killed."""
    places = paths.runtime_paths()
    ondemand.remove(places.start)
    found = _holder(places)
    if found is None:
        return False
    _end(found)
    return True


def _end(found: daemonlock.Holder) -> None:
    """See the daemon's end. LifecycleError when there is none."""
    try:
        process = os.pidfd_open(found.pid)
    except ProcessLookupError:
        return
    try:
        if not found.is_running():  # the pid was reused between the look at the lock and pidfd_open
            return
        for number, wait_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, 5.0)):
            try:
                signal.pidfd_send_signal(process, number)
            except ProcessLookupError:
                return
            if select.select([process], [], [], wait_s)[0]:
                return
    finally:
        os.close(process)
    raise LifecycleError(f"the daemon (pid {found.pid}) does not end")


def ping(places: RuntimePaths) -> dict[str, Any] | None:
    """pid, version and uptime_s of the daemon that answers; None when none does."""
    try:
        return Client(places.control, timeout_s=5.0).call("ping")
    except DaemonUnavailable:
        return None


def _holder(places: RuntimePaths) -> daemonlock.Holder | None:
    """Who holds the lock. A daemon that has just taken it needs a moment to write its name. LifecycleError if it never
    does."""
    deadline_s = time.monotonic() + 2.0
    while (found := daemonlock.holder(places.lock)) is None:
        if not daemonlock.is_held(places.lock):
            return None
        if time.monotonic() > deadline_s:
            raise LifecycleError(f"some process holds {places.lock} without its name in it; see: fuser {places.lock}")
        time.sleep(0.02)
    return found


def _spawn(places: RuntimePaths, deadline_s: float, progress: Callable[[str], None], *more: str) -> str:
    """Start the daemon's program and wait for its word on the ready pipe: "ready"; "busy" when another one holds the
    lock; "refused" when the one that runs hands nothing over.

    The pipe's lines: `progress TEXT`, then one of those, or `error TEXT`; its end without one is a failure.
    """
    ready, ready_for_daemon = os.pipe()
    try:
        try:
            # A session of its own and descriptors of its own; curserve.daemon_main forks once more, so that the
            # daemon is nobody's child here and this wait is short. -P: the folder "/" is no place for modules.
            launched = subprocess.run(
                [sys.executable, "-P", "-m", "curserve.daemon_main", "--detach", f"--ready-fd={ready_for_daemon}",
                 *more],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env=environment.without_interposition(environment.current()),
                start_new_session=True,
                umask=0o077,
                pass_fds=(ready_for_daemon,),
                check=False,
            )  # fmt: skip
        finally:
            os.close(ready_for_daemon)
        if launched.returncode != 0:
            text = launched.stderr.decode("utf-8", "replace").strip().splitlines()
            raise LifecycleError("the daemon's program does not run", text)
        return _await_ready(ready, places, deadline_s, progress)
    finally:
        os.close(ready)


def _await_ready(ready: int, places: RuntimePaths, deadline_s: float, progress: Callable[[str], None]) -> str:
    pending = b""
    while True:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([ready], [], [], left_s)[0]:
            raise LifecycleError("the daemon did not get ready in time", log.last_lines(places.log))
        data = os.read(ready, 65536)
        if not data:
            raise LifecycleError("the daemon ended while it started", log.last_lines(places.log))
        pending += data
        while b"\n" in pending:
            line, _, pending = pending.partition(b"\n")
            word, _, text = line.decode("utf-8", "replace").partition(" ")
            match word:
                case "ready" | "busy" | "refused":
                    return word
                case "error":
                    raise LifecycleError(text)
                case "progress":
                    progress(text)


def is_older(version: str) -> bool:
    """Whether a running daemon's version comes before this program's."""
    return _numbers(version) < _numbers(__version__)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
