"""The kernel's worker threads: who gets one (crew_test.cpp), on which cores (cores_test.cpp), and who steps aside."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from built_c import run_sanitized, sanitized
from daemon_place import wait_for
from harnesses import KERNEL
from oracle import Box, compare

_LONG_NS = 10_000_000
_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def test_the_lowest_rank_gets_the_next_thread(tmp_path: Path) -> None:
    run_sanitized(sanitized("crew_test", ("crew", "cores", "long_slice"), tmp_path), timeout_s=60)


def test_threads_beside_each_other_have_cores_of_their_own(tmp_path: Path) -> None:
    """A walk's, and the crew's: a kernel that puts two on one core leaves them there for milliseconds."""
    run_sanitized(sanitized("cores_test", (*KERNEL["disk"], "crew", "long_slice"), tmp_path), timeout_s=60)


def test_threads_stay_where_the_daemon_may_run(own_box: Box, tmp_path: Path) -> None:
    """Also when that is decided while it runs, as `taskset -ap` does."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core only")
    tree = tmp_path / "tree"
    _compute(own_box, tree)
    assert own_box.process is not None
    tasks = Path(f"/proc/{own_box.process.pid}/task")
    only = {min(os.sched_getaffinity(0))}
    for task in tasks.iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), only)
    assert compare(own_box, ["-c", r"[a-z]+ [a-z]+ \w+y$"], tree).served
    own_box.attach(tmp_path)
    for task in tasks.iterdir():
        with suppress(ProcessLookupError):
            assert os.sched_getaffinity(int(task.name)) == only


def _slice_ns(tid: int) -> int:
    """How long a thread wants to run at a time. 0: this kernel knows nothing of it. ProcessLookupError: it ended."""
    attributes = ctypes.create_string_buffer(_ATTRIBUTES.size)
    number = _SCHED_GETATTR[platform.machine()]
    if ctypes.CDLL(None, use_errno=True).syscall(number, tid, attributes, _ATTRIBUTES.size, 0) != 0:
        raise OSError(ctypes.get_errno(), "sched_getattr")
    return int(_ATTRIBUTES.unpack(attributes.raw)[5])


def _compute(box: Box, tree: Path) -> None:
    """A search in a new workspace that is worth more than one thread."""
    tree.mkdir()
    for index in range(16):
        (tree / f"{index:02}.txt").write_text("".join(f"some words {index} {line} here\n" for line in range(15_000)))
    box.attach(tree)
    assert compare(box, ["-c", r"[a-z]+ [a-z]+ \w+x$"], tree).served


def test_threads_that_compute_step_aside(own_box: Box, tmp_path: Path) -> None:
    """The crew's always, one of a session for as long as its search is a heavy one."""
    if platform.machine() not in _SCHED_GETATTR or _slice_ns(0) == 0:
        pytest.skip("this kernel has no slices of a thread's own")
    _compute(own_box, tmp_path / "tree")
    assert own_box.process is not None
    tasks = Path(f"/proc/{own_box.process.pid}/task")
    crew = max(2, len(os.sched_getaffinity(0))) - 1

    def long_slices() -> int:
        count = 0
        for task in tasks.iterdir():
            with suppress(ProcessLookupError):  # a thread that waited for work, and was not needed
                count += _slice_ns(int(task.name)) == _LONG_NS
        return count

    wait_for(lambda: long_slices() == crew, f"{crew} long slices")
