"""Every engine of the kernel's matcher answers as a plain backtracker does, on random programs and random bytes.

The subject is tests/kernel/matcher_test.cpp, which links the kernel's engines alone. That look-around means what it
means to ripgrep is tested with ripgrep (test_regex_translate.py, test_found.py).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = "matcher class_finder dfa vm pace line_pass literal re2_engine".split()


@pytest.mark.timeout(300)
def test_engines_agree(tmp_path: Path) -> None:
    """With address and undefined-behaviour sanitizers."""
    out = tmp_path / "matcher_test"
    kernel = ROOT / "curserve" / "kernel"
    subprocess.run(
        [os.environ.get("CXX", "c++"), "-std=c++17", "-g", "-O1", "-fsanitize=address,undefined", "-I", kernel,
         ROOT / "tests" / "kernel" / "matcher_test.cpp", *(kernel / f"{name}.cpp" for name in SOURCES), "-o", out,
         "-lre2"],
        check=True,
    )  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    for seed in (1, 2):
        done = subprocess.run([out, str(seed), "1000"], env=env, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
