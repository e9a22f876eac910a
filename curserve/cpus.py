"""How many processors a program here may use: what ripgrep asks before it chooses its number of threads.

With one, ripgrep does without threads, and that shows: in the words of some errors, in what separates files, in counts
of bytes. So the daemon must know, and counts as Rust's available_parallelism does: the affinity mask, and the quota of
the control group and those above it. In: /proc/self/cgroup and below /sys/fs/cgroup. A caller's own mask is compared by
the kernel (peer.cpp); that its control group has another quota than ours is not noticed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def available(proc: Path = Path("/proc/self/cgroup"), groups: Path = _GROUPS) -> int:
    """At least 1. proc, groups: for tests."""
    return max(1, min(len(os.sched_getaffinity(0)), _quota(proc, groups)))


def _quota(proc: Path, groups: Path) -> int:
    """Whole processors that the control groups allow; a large number where they say nothing."""
    least = 1 << 30
    try:
        lines = proc.read_text().splitlines()
    except (OSError, ValueError):
        return least
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            least = min(least, _least_above(groups, path, _of_version_2))
        elif "cpu" in controllers.split(","):
            for mount in ("cpu", "cpu,cpuacct"):
                least = min(least, _least_above(groups / mount, path, _of_version_1))
    return least


def _least_above(mount: Path, path: str, read: Callable[[Path], tuple[int, int]]) -> int:
    """The least quota of a group and of those that it is in."""
    least = 1 << 30
    group = mount / path.lstrip("/")
    for folder in (group, *group.parents):
        try:
            limit, period = read(folder)
            if limit > 0 and period > 0:
                least = min(least, limit // period)
        except (OSError, ValueError):
            pass  # no such file, or "max"
        if folder == mount:
            break
    return least


def _of_version_2(folder: Path) -> tuple[int, int]:
    limit, period = (folder / "cpu.max").read_text().split()
    return int(limit), int(period)


def _of_version_1(folder: Path) -> tuple[int, int]:
    return int((folder / "cpu.cfs_quota_us").read_text()), int((folder / "cpu.cfs_period_us").read_text())
