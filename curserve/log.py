"""The daemon's log: one rotating file, never the caller's stdout or stderr.

In: level and place. Out: the logger `curserve`, of which every module takes a child by its own name.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
from io import TextIOWrapper
from pathlib import Path

_MAX_BYTES = 4 << 20
"""One file's size; arbitrary, some 40,000 lines."""
_KEPT = 3

LEVELS = ("debug", "info", "warning", "error")


class _PrivateHandler(logging.handlers.RotatingFileHandler):
    """Each of its files is for its owner's eyes only."""

    def _open(self) -> TextIOWrapper:
        fd = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return open(fd, "a", encoding="utf-8")


def open_file(path: Path, level: str) -> logging.Logger:
    """Let the logger `curserve` write to `path` (0600, its folder is made). OSError when it cannot be opened."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = _PrivateHandler(path, maxBytes=_MAX_BYTES, backupCount=_KEPT, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("curserve")
    logger.propagate = False
    logger.setLevel(level.upper())
    for old in list(logger.handlers):
        logger.removeHandler(old)
        old.close()
    logger.addHandler(handler)
    # A log that cannot be written (disk full) must not print tracebacks into whatever stderr is.
    logging.raiseExceptions = False
    return logger


def last_lines(path: Path, count: int = 12) -> list[str]:
    """The log's last lines, oldest first; empty when there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 65536))
            return file.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []
