"""What of this machine matters to the daemon: inotify's limits, kinds of file system, memory.

In: /proc and the configuration. Out: checks with a sentence each. Nothing is changed. The numbers below which a check
is not good are arbitrary: what a machine with a few large repositories needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curserve import config
from curserve.errors import CurserveError

_INOTIFY = Path("/proc/sys/fs/inotify")
_FEW_WATCHES = 65536
_FEW_INSTANCES = 16
_SILENT = frozenset("9p afs ceph cifs fuse glusterfs lustre ncpfs nfs nfs4 smb3 smbfs virtiofs".split())
"""Kinds of file system where changes may be made elsewhere, so that no event tells of them."""


@dataclass(frozen=True)
class Check:
    """One fact; good: nothing to do."""

    name: str
    detail: str
    good: bool = True


def checks() -> Iterator[Check]:
    """All of them."""
    yield _limit("inotify watches", "max_user_watches", _FEW_WATCHES, "one per folder of every workspace")
    yield _limit("inotify instances", "max_user_instances", _FEW_INSTANCES, "one for the daemon")
    kind = kind_of(Path.cwd())
    silent = kind.split(".")[0] in _SILENT
    told = f"{kind}: changes made elsewhere raise no event; searches here run the real rg" if silent else kind
    yield Check("file system here", told, not silent)
    yield _memory()


def most_watches() -> int | None:
    """How many inotify watches a user may have; None where that cannot be read."""
    try:
        return int((_INOTIFY / "max_user_watches").read_text())
    except (OSError, ValueError):
        return None


def _limit(name: str, file: str, few: int, use: str) -> Check:
    try:
        value = int((_INOTIFY / file).read_text())
    except (OSError, ValueError) as error:
        return Check(name, f"unknown: {error}", False)
    if value < few:
        return Check(name, f"{value} ({use}); raise it: sysctl fs.inotify.{file}={few * 8}", False)
    return Check(name, f"{value} ({use})")


def kind_of(folder: Path) -> str:
    """The kind of the file system that holds a folder, from mountinfo; "unknown" where that cannot be read."""
    device = os.stat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return "unknown"
    for line in lines:
        fields = line.split()
        if fields[2] == number and "-" in fields:
            return fields[fields.index("-") + 1]
    return "unknown"


def _memory() -> Check:
    try:
        ceiling = config.load().limits.memory_bytes
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (CurserveError, OSError, StopIteration) as error:
        return Check("memory", f"unknown: {error}", False)
    told = f"the daemon keeps at most {ceiling >> 20} MiB; {available >> 20} MiB are available"
    return Check("memory", told, available > min(ceiling, 1 << 30) // 2)
