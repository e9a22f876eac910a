"""One search by one way, and what came of it: the shim's or the hook's word, and whether the answer was the real rg's.

In: a command that ends in ripgrep's arguments, a folder, an environment. Out: Seen. The command runs to its end or is
ended after 30 s; its trace file is the evidence of who answered.
"""

from __future__ import annotations

import json
import os
import pty
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Probe:
    """The command before ripgrep's own arguments, and the word to search for. nothing_found: the exit code that means
    "there is no rg here". may_decline: the real rg's answer is all that is wanted. terminal: stdout is one."""

    command: Sequence[str]
    word: str
    nothing_found: int | None = None
    may_decline: bool = False
    terminal: bool = False


@dataclass(frozen=True)
class Seen:
    """served: None when neither shim nor hook was asked. trouble: why there is nothing to judge.
    nothing_there: that way finds no rg at all, with us or without."""

    served: bool | None
    reason: str | None
    equal: bool
    trouble: str = ""
    nothing_there: bool = False


def run(probe: Probe, folder: Path, env: dict[str, str], real: Path) -> Seen:
    """Search `folder` by the probe's way and by the real rg."""
    arguments = ["--sort", "path", "-n", probe.word, "./"]
    trace = folder.parent / f"trace-{time.monotonic_ns()}"
    answer = _run if not probe.terminal else _run_in_terminal
    try:
        ours = answer([*probe.command, *arguments], folder, {**env, "CURSERVE_TRACE": str(trace)})
        # CURSERVE_DISABLE: should `real` be a wrapper that ends in a shim.
        wanted = answer([str(real), *arguments], folder, {**env, "CURSERVE_DISABLE": "1"})
    except (OSError, subprocess.TimeoutExpired) as error:
        return Seen(None, None, False, str(error))
    if probe.nothing_found is not None and ours[0] == probe.nothing_found:
        return Seen(None, None, False, nothing_there=True)
    record = _last(trace)
    equal = ours == wanted
    if record is None:
        return Seen(None, None, equal)
    return Seen(bool(record.get("served")), record.get("reason"), equal)


def _last(trace: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(trace.read_text("utf-8", "replace").splitlines()[-1]))
    except (OSError, ValueError, IndexError):
        return None


def _run(command: Sequence[str], folder: Path, env: dict[str, str]) -> tuple[int, bytes]:
    done = subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def _run_in_terminal(command: Sequence[str], folder: Path, env: dict[str, str]) -> tuple[int, bytes]:
    """What a terminal of 80 columns would have shown."""
    ours, theirs = pty.openpty()
    shown = b""
    try:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass  # EIO: the other end is closed
        return process.wait(_TIMEOUT_S), shown
    finally:
        os.close(ours)
