"""A live tree against the disk: after every change, at once, its View is what a fresh walk sees.

The subject is tests/kernel/tree_test.cpp, which links the kernel's trees, store, archive and index: random changes of
all kinds, unusual writers, overflows, trees at rest and trees that begin with what was saved of them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from built_c import run_sanitized, sanitized
from harnesses import KERNEL

SOURCES = (
    *KERNEL["archive"], "answers", "cores", "git_index", "global_rules", "json", "literal", "loader", "outside",
    "publish", "refresh", "relative_git", "rest", "select", "symlink", "tree", "walk", "watch",
)  # fmt: skip


@pytest.mark.timeout(600)
def test_a_live_tree_is_what_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CURSERVE_TREE_ROUNDS changes at random (default 400), three times; CURSERVE_TREE_SEED for others than usual."""
    monkeypatch.setenv("TMPDIR", os.fspath(tmp_path))
    seed, rounds = os.environ.get("CURSERVE_TREE_SEED", "1"), os.environ.get("CURSERVE_TREE_ROUNDS", "400")
    assert run_sanitized(sanitized("tree_test", SOURCES, tmp_path), seed, rounds) == "ok\n"
