"""The kernel's worker threads: who gets one (crew_test.cpp), and that those who compute step aside."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from daemon_place import wait_for
from oracle import Box, compare

ROOT = Path(__file__).resolve().parent.parent
_LONG_NS = 10_000_000
_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")


def test_the_lowest_rank_gets_the_next_thread(tmp_path: Path) -> None:
    """With the address and undefined-behaviour sanitizers."""
    out = tmp_path / "crew_test"
    kernel = ROOT / "curserve" / "kernel"
    subprocess.run(
        [os.environ.get("CXX", "c++"), "-std=c++17", "-g", "-O1", "-fsanitize=address,undefined", "-pthread",
         "-I", kernel, ROOT / "tests" / "kernel" / "crew_test.cpp", kernel / "crew.cpp", kernel / "long_slice.cpp",
         "-o", out],
        check=True,
    )  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run([out], env=env, text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def _slice_ns(tid: int) -> int:
    """How long a thread wants to run at a time. 0: this kernel knows nothing of it. ProcessLookupError: it ended."""
    attributes = ctypes.create_string_buffer(_ATTRIBUTES.size)
    number = _SCHED_GETATTR[platform.machine()]
    if ctypes.CDLL(None, use_errno=True).syscall(number, tid, attributes, _ATTRIBUTES.size, 0) != 0:
        raise OSError(ctypes.get_errno(), "sched_getattr")
    return int(_ATTRIBUTES.unpack(attributes.raw)[5])


def test_threads_that_compute_step_aside(own_box: Box, tmp_path: Path) -> None:
    """The crew's always, one of a session for as long as its search is a heavy one."""
    if platform.machine() not in _SCHED_GETATTR or _slice_ns(0) == 0:
        pytest.skip("this kernel has no slices of a thread's own")
    tree = tmp_path / "tree"
    tree.mkdir()
    for index in range(16):
        (tree / f"{index:02}.txt").write_text("".join(f"some words {index} {line} here\n" for line in range(15_000)))
    own_box.attach(tree)
    assert compare(own_box, ["-c", r"[a-z]+ [a-z]+ \w+x$"], tree).served
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
