"""The lock file: at most one daemon per runtime folder, and who it is.

An open-file-description lock, held for the daemon's life and let go by the kernel however it ends. Asking who holds it
(F_OFD_GETLK) takes nothing, so a question cannot make a daemon that is just starting believe another one runs. The file
tells pid and start time; it is never removed, since removing a lock file is how two holders come about.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import struct
from dataclasses import asdict, dataclass
from pathlib import Path

_LINE_BYTES = 256
_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of 64-bit Linux: type, whence, start, length, pid."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The daemon that holds the lock. start_ticks: its start in clock ticks since boot, so that a reused pid shows."""

    pid: int
    start_ticks: int
    version: str

    def is_running(self) -> bool:
        """Whether the pid is still that very process (and no zombie)."""
        return self.start_ticks != 0 and start_ticks(self.pid) == self.start_ticks


class DaemonLock:
    """The lock, held. Keep it: it is let go when this object's descriptor is closed, at the latest by the kernel."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def close(self) -> None:
        """Let go."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)

    def fileno(self) -> int:
        """For a successor: whoever has a copy of the descriptor holds the lock too."""
        return self._fd

    def sign(self, version: str) -> None:
        """Write who holds it: this process."""
        me = Holder(os.getpid(), start_ticks(os.getpid()), version)
        text = json.dumps(asdict(me)).encode() + b"\n"
        os.pwrite(self._fd, text.ljust(_LINE_BYTES), 0)  # over the one before, in one piece

    def leave(self) -> None:
        """Give it up to the successor, who holds it and has signed."""
        os.close(self._fd)


def acquire(path: Path, version: str) -> DaemonLock | None:
    """Take the lock for this process and write who it is; None when another one holds it. OSError (read-only, full)."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return None
        raise
    try:
        lock = DaemonLock(fd)
        lock.sign(version)
    except OSError:
        os.close(fd)
        raise
    return lock


def is_held(path: Path) -> bool:
    """Whether some daemon holds the lock now."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    finally:
        os.close(fd)
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def holder(path: Path) -> Holder | None:
    """Who holds the lock; None when nobody does, or when the holder has not yet said who it is."""
    if not is_held(path):
        return None
    try:
        told = json.loads(path.read_bytes())
        found = Holder(int(told["pid"]), int(told["start_ticks"]), str(told["version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.is_running() else None


def start_ticks(pid: int) -> int:
    """Field 22 of /proc/PID/stat; 0 when there is no such process, or only its zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    after_name = text.rpartition(b")")[2].split()
    return 0 if after_name[0] == b"Z" else int(after_name[19])
