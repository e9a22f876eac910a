"""Many agents on worktrees that change, and a daemon that is killed: no answer is wrong (bench/load.py, briefly)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, flask: Path) -> dict[str, dict[str, Any]]:
    """Twelve agents on six worktrees of flask: both parts, 20 seconds in all."""
    out = tmp_path_factory.mktemp("load") / "run.json"
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import runpy, sys; sys.path.append('.'); "
         "runpy.run_module('bench.load', run_name='__main__', alter_sys=True)",
         "--seconds", "10", "--agents", "12", "--worktrees", "6", "--repositories", "flask", "--pause", "0.3",
         "--kill-every", "2", "--json", str(out)],
        cwd=ROOT, env={**os.environ, "PYTHONSAFEPATH": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert out.exists(), done.stderr
    assert done.returncode == 0, done.stdout
    return {part["part"]: part for part in json.loads(out.read_text())["parts"]}


@pytest.mark.parametrize("name", ["calm", "killed"])
def test_no_answer_is_wrong(parts: dict[str, dict[str, Any]], name: str) -> None:
    part = parts[name]
    assert part["wrong"] == []
    assert part["samples"] + part["edits"] and part["searches"] >= 12 * 8
    assert sum(part["exit_codes"].values()) == part["searches"], "every search was answered"
    assert part["broken_off"] == 0
    assert part["served"] + sum(part["answered_by_rg"].values()) == part["searches"]


def test_the_calm_part_is_served(parts: dict[str, dict[str, Any]]) -> None:
    assert parts["calm"]["served"] and parts["calm"]["kills"] == 0


def test_the_daemon_was_killed(parts: dict[str, dict[str, Any]]) -> None:
    assert parts["killed"]["kills"] >= 1
