"""How many searches a sandbox kept from asking us: one byte each, in a FIFO beside the socket.

A sandbox that refuses connect() (codex's does) leaves the daemon no way to be told of it, but mostly lets an existing
FIFO be written. In: the FIFO's path; the shim writes to it, and never waits. Out: a number for `status`. It is a lower
bound: a sandbox may refuse this, too, and a full FIFO (64 KiB between two looks) takes no more. Bytes are counted, not
read: whoever may write there can count wrongly, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from pathlib import Path

_PIECE_BYTES = 65536

_log = logging.getLogger(__name__)


class Refusals:
    """The FIFO and its count. Where none can be made nothing is counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        self._fd = -1
        self._lock = threading.Lock()
        made = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            with contextlib.suppress(FileNotFoundError):
                made.unlink()
            os.mkfifo(made, 0o600)
            # For writing, too: else it would be at its end whenever no shim has it open.
            self._fd = os.open(made, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            made.rename(path)  # instead of that of a dead daemon, or of the one we follow
        except OSError as error:
            _log.warning("what sandboxes refuse is not counted: %s: %s", path, error.strerror)

    def count(self) -> int:
        """Since the daemon began."""
        with self._lock, contextlib.suppress(BlockingIOError):
            while self._fd >= 0 and (piece := os.read(self._fd, _PIECE_BYTES)):
                self._count += len(piece)
        return self._count

    def close(self) -> None:
        """Take it away, unless another daemon's is there by now."""
        with self._lock:
            if self._fd < 0:
                return
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(self._fd), self._path.lstat()):
                    self._path.unlink()
            os.close(self._fd)
            self._fd = -1
