"""Every engine of the kernel's matcher answers as a plain backtracker does, on random programs and random bytes.

The subject is tests/kernel/matcher_test.cpp, which links the kernel's engines alone. That look-around means what it
means to ripgrep is tested with ripgrep (test_regex_translate.py, test_found.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from built_c import run_sanitized, sanitized

SOURCES = "matcher class_finder dfa vm pace line_pass literal re2_engine".split()


@pytest.mark.timeout(300)
def test_engines_agree(tmp_path: Path) -> None:
    """With address and undefined-behaviour sanitizers."""
    program = sanitized("matcher_test", SOURCES, tmp_path, ["re2"])
    for seed in (1, 2):
        run_sanitized(program, str(seed), "1000")
