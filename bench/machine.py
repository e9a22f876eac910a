"""The machine and the versions a run was made with, for comparing it with another one. No host names, no paths."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.programs import REAL_RG, ROOT


def facts() -> dict[str, Any]:
    """As JSON keeps them."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "curserve": metadata.version("curserve"),
        "ripgrep": _output([REAL_RG, "--version"]).partition("\n")[0],
    }


def commit() -> str:
    """The checkout's commit, short, with "-dirty" behind it when what is built differs; "unknown" outside git."""
    found = _output(["git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD"])
    if not found:
        return "unknown"
    parts = ["curserve", "shims", "bench", "meson.build"]
    changed = _output(["git", "-C", str(ROOT), "status", "--porcelain", "--", *parts])
    changed = "\n".join(line for line in changed.splitlines() if "bench/runs/" not in line)
    return found + ("-dirty" if changed else "")


def shim() -> str:
    """The installed shim's path. Asked in another process: this one may see the checkout's package instead."""
    return _output([sys.executable, "-P", "-c", "from curserve import paths; print(paths.shim_dir() / 'rg')"])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _output(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, cwd="/").stdout.strip()
