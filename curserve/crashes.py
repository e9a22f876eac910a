"""What a crash of the daemon leaves behind: one file beside the log, and what `status` tells of it.

In: the log's place. Out: a file (0600) to which the kernel writes when it crashed, and while serving what (crash.h),
after the stacks of all threads (faulthandler); the last of its crashes. The file begins anew when it has grown large.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from curserve import __version__

_MAX_BYTES = 1 << 20
_READ_BYTES = 64 << 10
_HEAD = re.compile(rb"^crash: curserve (\S+), signal (\d+), pid (\d+), time (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Crash:
    """The last one. serving: the searches under way, a line each: pid, folder, arguments."""

    version: str
    signal: str
    pid: int
    time_s: int
    serving: tuple[str, ...]

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.time_s))
        return f"the last crash was at {when} ({self.signal}), {len(self.serving)} searches under way"


def file_of(log: Path) -> Path:
    """Where the crashes of the daemon with this log are written."""
    return Path(f"{log}.crash")


def report_to(log: Path) -> None:
    """From now on crashes of this process are reported. OSError when the file cannot be opened."""
    from curserve.kernel_door import lib

    path = file_of(log)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.fchmod(fd, 0o600)
    if os.fstat(fd).st_size > _MAX_BYTES:
        os.ftruncate(fd, 0)
    lib.cs_report_crashes(fd, __version__.encode())
    faulthandler.enable(fd, all_threads=True)


def last(log: Path) -> Crash | None:
    """The last crash on record; None when there is none that can be read."""
    try:
        with file_of(log).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _READ_BYTES))
            text = file.read()
    except OSError:
        return None
    every = list(_HEAD.finditer(text))
    if not every:
        return None
    found = every[-1]
    serving = []
    for line in text[found.end() + 1 :].split(b"\n"):
        if not line.startswith(b"served: "):
            break
        serving.append(line.removeprefix(b"served: ").decode("utf-8", "replace"))
    number = int(found[2])
    name = signal.Signals(number).name if number in signal.Signals._value2member_map_ else str(number)
    return Crash(found[1].decode(), name, int(found[3]), int(found[4]), tuple(serving))
