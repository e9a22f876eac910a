"""Who asks what: the kernel's census (kernel/census.h), put into words for `curserve top`.

In: the desk; a look opens the census for some seconds, and only while it is open anything is gathered. Out: lists of
plain values, hottest first. Counts nothing itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from curserve.callers import Callers
from curserve.kernel_door import Handle, ffi, lib

MOST_LOOK_S = 60
"""One look's length at most: whoever still looks asks again."""


class Census:
    """Looks at one desk's census."""

    def __init__(self, desk: Handle) -> None:
        self._desk = desk
        self._callers = Callers()

    def look(self, seconds: int) -> dict[str, Any]:
        """What was gathered so far, since_s ago; go on gathering for `seconds`.

        queries: of one folder and one argument list (cut after 1 KB); files: below their roots, in answers that spoke
        of 32 at most; clients: by process. heat: how often lately, halved every 30 s."""
        lib.cs_desk_look(self._desk.pointer, max(1, min(seconds, MOST_LOOK_S)))
        fields = iter(self._records().split(b"\0"))
        found: dict[str, Any] = {"since_s": 0, "queries": [], "files": [], "clients": []}
        for kind in fields:
            match kind:
                case b"since":
                    found["since_s"] = int(next(fields))
                case b"query":
                    found["queries"].append(_query(fields))
                case b"file":
                    found["files"].append(_file(fields))
                case b"caller":
                    found["clients"].append(_caller(fields))
        callers = self._callers.named((row["pid"], row["start_ticks"]) for row in found["clients"])
        for row in found["clients"]:
            caller = callers[row["pid"], row.pop("start_ticks")]
            row |= {"user": caller.user, "agent": caller.agent, "pid": caller.pid}
        for rows in (found["queries"], found["files"], found["clients"]):
            rows.sort(key=lambda row: row["heat"], reverse=True)
        return found

    def _records(self) -> bytes:
        size = 1 << 16
        while True:
            text = ffi.new("char[]", size)
            needed = lib.cs_desk_census(self._desk.pointer, text, size)
            if needed <= size:
                return bytes(ffi.buffer(text, needed))
            size = needed + 4096  # it may have grown by then


def _query(fields: Iterator[bytes]) -> dict[str, Any]:
    root, cwd, heat = os.fsdecode(next(fields)), os.fsdecode(next(fields)), _heat(fields)
    served, declined, us_sum, us_max, size, argc = (int(next(fields)) for _ in range(6))
    return {
        "root": root,
        "cwd": cwd,
        "argv": [os.fsdecode(next(fields)) for _ in range(argc)],
        "heat": heat,
        "served": served,
        "declined": declined,
        "us_sum": us_sum,
        "us_max": us_max,
        "bytes_out": size,
    }


def _file(fields: Iterator[bytes]) -> dict[str, Any]:
    root, path, heat = os.fsdecode(next(fields)), os.fsdecode(next(fields)), _heat(fields)
    return {"root": root, "path": path, "heat": heat, "answers": int(next(fields))}


def _caller(fields: Iterator[bytes]) -> dict[str, Any]:
    pid, start_ticks, root, heat = int(next(fields)), int(next(fields)), os.fsdecode(next(fields)), _heat(fields)
    served, declined, us_sum, size = (int(next(fields)) for _ in range(4))
    return {
        "pid": pid,
        "start_ticks": start_ticks,
        "root": root,
        "heat": heat,
        "served": served,
        "declined": declined,
        "us_sum": us_sum,
        "bytes_out": size,
    }


def _heat(fields: Iterator[bytes]) -> float:
    return round(float(next(fields)), 3)
