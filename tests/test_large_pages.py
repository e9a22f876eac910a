"""What was loaded lies in large pages, where the system has them, and is given back all the same."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
from pathlib import Path

import pytest
from daemon_place import wait_for
from oracle import Box, compare

_MADV_COLLAPSE = 25
_LARGE = 2 << 20
_FILES, _LINES = 300, 1600
"""Some 20 MB: ten large pages."""


def _system_has_them() -> bool:
    """Whether this kernel collapses pages that are asked for, here and now."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text():
        return False
    with mmap.mmap(-1, 3 * _LARGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.write(b"x" * (3 * _LARGE))
        held = ctypes.c_char.from_buffer(memory)
        start = (ctypes.addressof(held) + _LARGE - 1) & ~(_LARGE - 1)
        del held
        madvise = ctypes.CDLL(None, use_errno=True).madvise
        return madvise(ctypes.c_void_p(start), ctypes.c_size_t(_LARGE), _MADV_COLLAPSE) == 0


def _pid(box: Box) -> int:
    assert box.process is not None
    return box.process.pid


def _of(pid: int, name: str) -> int:
    """Bytes, by the process's own account."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _indexed(box: Box, root: Path) -> bool:
    workspaces = box.control("status")["workspaces"]
    return any(one["root"] == str(root) and one["indexed_after_s"] is not None for one in workspaces)


@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="the sanitizers' allocator keeps what is freed")
def test_text_in_large_pages(own_box: Box, tmp_path: Path) -> None:
    """Most of the text is in them after the load, at no cost in memory; without the workspace it is free again."""
    if not _system_has_them():
        pytest.skip("no large pages here")
    letters = random.Random(1)
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(_FILES):
        words = (f"{letters.getrandbits(160):040x}" for _ in range(_LINES))
        (root / f"f{number:03}.txt").write_text("\n".join(words) + f"\nneedle {number}\n")
    text_bytes = sum(path.stat().st_size for path in root.iterdir())
    before_bytes = _of(_pid(own_box), "Rss")
    own_box.attach(root)
    wait_for(lambda: _indexed(own_box, root), "the index")
    assert _of(_pid(own_box), "AnonHugePages") > text_bytes // 2
    assert _of(_pid(own_box), "Rss") - before_bytes < 2 * text_bytes
    compare(own_box, ["-c", "needle"], root)
    own_box.control("detach", root=str(root))
    wait_for(lambda: _of(_pid(own_box), "Rss") < before_bytes + text_bytes // 2, "memory to be given back")
