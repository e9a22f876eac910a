"""The daemon's program: everything around Daemon that makes a process of it.

In: command line (--detach, --ready-fd=N, --take-over, --on-demand=SIGHT) and environment. Out: an exit status, and the
ready pipe's lines, which lifecycle.py describes. Order: configuration, log, lock, sockets, Daemon, ready, run. The
sockets appear under their names only when they listen, and only while the lock is held; so what lies there after a
crash is simply replaced. With --take-over lock and sockets are those of the daemon that runs, which goes on until this
one serves.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from curserve import __version__, config, crashes, daemonlock, handover, log, ondemand, paths
from curserve.control import Controlled, ControlPlane
from curserve.daemonlock import DaemonLock
from curserve.errors import CurserveError
from curserve.handover import Estate, HandoverRefused, Inheritance
from curserve.paths import RuntimePaths

BACKLOG = 4096
"""The kernel caps it at net.core.somaxconn, by default 4096: a hundred agents' searches at once find room."""
_PRELOAD_S = 20.0
"""So long a successor loads what its predecessor holds before it takes over; the rest it loads afterwards."""


class Ready:
    """The ready pipe; one of ready, busy, refused, error ends it. Silent when the starter is gone or there is none."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def progress(self, text: str) -> None:
        """Tell the starter what is going on."""
        self._write(f"progress {text}")

    def ready(self) -> None:
        """Requests are answered from now on."""
        self._end("ready")

    def busy(self) -> None:
        """Another daemon holds the lock."""
        self._end("busy")

    def refused(self) -> None:
        """The daemon that runs hands nothing over."""
        self._end("refused")

    def error(self, text: str) -> None:
        """No daemon; `text` is one line for the user."""
        self._end("error " + " ".join(text.split()))

    def _end(self, line: str) -> None:
        self._write(line)
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _write(self, line: str) -> None:
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.write(self._fd, line.encode() + b"\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon until it is stopped. 0 after a stop or when another one runs, 1 on failure."""
    parser = argparse.ArgumentParser(prog="python -m curserve.daemon_main", description="the daemon, in the foreground")
    parser.add_argument("--detach", action="store_true", help="fork once and go on in the child")
    parser.add_argument("--ready-fd", type=int, help="descriptor to tell progress to")
    parser.add_argument("--take-over", action="store_true", help="follow the daemon that runs")
    parser.add_argument("--on-demand", metavar="SIGHT", help="end at once unless this is what we may see")
    arguments = parser.parse_args(argv)
    if arguments.detach:
        if os.fork():
            os._exit(0)
        _leave_descriptors()
    ready = Ready(arguments.ready_fd)
    if arguments.ready_fd is not None:
        os.set_inheritable(arguments.ready_fd, False)
    places = paths.runtime_paths()
    if arguments.on_demand is not None and arguments.on_demand != ondemand.sight():
        return 0
    try:
        settings = config.load()
        paths.prepare(places)
        try:
            logger = _open_log(places, settings.log.level)
            inheritance = handover.ask(places.control) if arguments.take_over else None
            lock = DaemonLock(inheritance.lock) if inheritance else daemonlock.acquire(places.lock, __version__)
        except HandoverRefused as error:
            logger.info("no handover: %s", error)
            ready.refused()
            return 0
        except OSError as error:
            raise CurserveError(f"{error.filename or places.directory}: {error.strerror}") from error
        if lock is None:
            ready.busy()
            return 0
        _run(settings, places, ready, logger, lock, inheritance, arguments.detach)
        return 0
    except CurserveError as error:
        ready.error(str(error))
        if not arguments.detach:
            print(f"curserve: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        logging.getLogger("curserve").exception("the daemon failed")
        ready.error(f"{type(error).__name__}: {error}; see {places.log}")
        return 1


def _run(
    settings: config.Config,
    places: RuntimePaths,
    ready: Ready,
    logger: logging.Logger,
    lock: DaemonLock,
    inheritance: Inheritance | None,
    detached: bool,
) -> None:
    """The daemon's life under the lock, which it lets go."""
    logger.info("curserve %s starts, pid %d, socket %s", __version__, os.getpid(), places.socket)
    _raise_descriptor_limit(logger)
    ready.progress("loading the kernel")
    from curserve.daemon import Daemon

    with contextlib.suppress(OSError):
        crashes.report_to(places.log)
    with contextlib.ExitStack() as cleanup:
        if inheritance is None:
            cleanup.callback(lock.close)
            listener, control_listener = _listen(places.socket, cleanup), _listen(places.control, cleanup)
        else:  # nothing of it is ours to remove before we serve
            listener, control_listener = inheritance.listener, inheritance.control
        mine = _inode(places.socket)
        control = ControlPlane(control_listener, alive=lambda: _inode(places.socket) == mine)
        cleanup.callback(control.close)
        # Who runs it in the foreground, a supervisor or a person, says himself when it is to end.
        daemon = Daemon(settings, listener, settings.daemon.idle_exit_s if detached else None)

        is_ours = True

        def given() -> None:
            """The successor serves: nothing here is ours any more, but the answers that have begun."""
            nonlocal is_ours
            is_ours = False
            logger.info("handed over")
            cleanup.pop_all()
            lock.leave()
            control.close()
            daemon.retire()

        control.estate = Estate(listener.fileno(), control_listener.fileno(), lock.fileno(), daemon.roots, given)

        def begun() -> None:
            lock.sign(__version__)
            if detached:
                ondemand.leave(places.start)
            if inheritance is not None:
                inheritance.accept()
                cleanup.callback(lock.close)
                _close_and_remove(listener, places.socket, mine, cleanup)
                _close_and_remove(control_listener, places.control, _inode(places.control), cleanup)
            daemon.serve_metrics()
            control.start(_controlled(daemon))
            ready.ready()
            logger.info("ready")

        _handle_signals(daemon.stop)
        if inheritance is not None:
            ready.progress("loading what the running daemon holds")
            daemon.preload(inheritance.roots, _PRELOAD_S, inheritance.is_giver_gone)
        daemon.run(begun)
        if is_ours and not daemon.is_idle:
            ondemand.remove(places.start)
    logger.info("ended")


def _open_log(places: RuntimePaths, level: str) -> logging.Logger:
    """The log in its place; beside the sockets where the home folder cannot be written."""
    try:
        return log.open_file(places.log, level)
    except OSError:
        return log.open_file(places.socket.with_name(f"{places.socket.name}.log"), level)


def _controlled(daemon: Controlled) -> Controlled:
    """The daemon, as the type that the control plane knows: mypy compares the two here."""
    return daemon


def _listen(path: Path, cleanup: contextlib.ExitStack) -> socket.socket:
    """A listening socket named `path`, replacing what a dead daemon left; removed by `cleanup` if it is still ours."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        listener.bind(str(temporary))
        temporary.chmod(0o600)
        listener.listen(BACKLOG)
        mine = _inode(temporary)
        temporary.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        listener.close()
        raise CurserveError(f"cannot make the socket {path}: {error.strerror}") from error
    _close_and_remove(listener, path, mine, cleanup)
    return listener


def _close_and_remove(listener: socket.socket, path: Path, inode: int, cleanup: contextlib.ExitStack) -> None:
    """At the end, if the name is still that inode's."""

    def remove() -> None:
        if _inode(path) == inode:
            with contextlib.suppress(OSError):
                path.unlink()

    cleanup.callback(listener.close)
    cleanup.callback(remove)


def _inode(path: Path) -> int:
    """The inode of the name itself; 0 when there is none."""
    try:
        return path.lstat().st_ino
    except OSError:
        return 0


def _handle_signals(stop: Callable[[], None]) -> None:
    """SIGTERM and SIGINT drain, a second one ends at once; a hang-up of a terminal is nothing to a daemon."""
    asked = False

    def on_stop(number: int, frame: object) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        stop()

    signal.signal(signal.SIGTERM, on_stop)
    signal.signal(signal.SIGINT, on_stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _raise_descriptor_limit(logger: logging.Logger) -> None:
    """As many descriptors as are allowed: one per search under way, and the soft limit is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError) as error:
            logger.warning("descriptor limit stays at %d: %s", soft, error)


def _leave_descriptors() -> None:
    """Give up the starter's stderr: it waits for its end. What Python or a library prints goes nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    if null > 2:
        os.close(null)


if __name__ == "__main__":
    sys.exit(main())
