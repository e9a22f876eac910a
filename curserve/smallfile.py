"""Read one small regular file that a command line or its environment names.

In: a path as typed, the client's cwd. Out: its bytes. Declines what could block (a FIFO, a terminal), is longer
than a bound, or means another file in another process (/dev/stdin, the /dev/fd/63 of a shell's `<(…)`, whatever else
leads through /proc). Does not cache.
"""

from __future__ import annotations

import os
import stat

from curserve.errors import Decline

_MAX_LINKS = 40  # the kernel's own bound
_NULL_DEVICE = os.makedev(1, 3)  # /dev/null: the usual way to say "no configuration"


def read_small(path: bytes, cwd: bytes, max_bytes: int, reason: str) -> bytes:
    """The whole file, nothing for /dev/null. Raises Decline(reason) if it is not regular, not readable or longer than
    max_bytes.
    """
    if path[:1] != b"/":
        path = cwd + b"/" + path
    if _through_proc(path):
        raise Decline(reason)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            status = os.fstat(fd)
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL_DEVICE:
                return b""
            if not stat.S_ISREG(status.st_mode):
                raise Decline(reason)
            contents = file.read(max_bytes + 1)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        raise Decline(reason) from None
    if len(contents) > max_bytes:
        raise Decline(reason)
    return contents


def _through_proc(path: bytes) -> bool:
    """Does an absolute path, its symbolic links followed one by one, enter /proc (or never end)?"""
    done, links = b"", 0
    pending = path.split(b"/")[::-1]
    while pending:
        part = pending.pop()
        if part == b"..":
            done = done.rpartition(b"/")[0]
        elif part not in (b"", b"."):
            done += b"/" + part
            if done == b"/proc":
                return True
            try:
                target = os.readlink(done)
            except (OSError, ValueError):  # no link, or nothing there: opening will tell
                continue
            links += 1
            if links > _MAX_LINKS:
                return True
            done = b"" if target[:1] == b"/" else done.rpartition(b"/")[0]
            pending.extend(target.split(b"/")[::-1])
    return False
