"""The real ripgrep 15.2.0 for the tests of argument parsing: run it on a pipe or on a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from curserve.options import Fd, FdKind, RequestContext

CHAR = Fd(FdKind.CHAR)
TTY = Fd(FdKind.TTY)
FIFO = Fd(FdKind.FIFO)


@cache
def real_rg() -> str:
    """Path of rg 15.2.0; the test is skipped if there is none."""
    places = [os.environ.get("CURSERVE_REAL_RG"), str(Path(sysconfig.get_path("scripts")) / "rg"), shutil.which("rg")]
    for place in places:
        if place and Path(place).exists():
            version = subprocess.run([place, "-V"], stdout=subprocess.PIPE, check=False).stdout
            if version.startswith(b"ripgrep 15.2.0"):
                return place
    pytest.skip("no ripgrep 15.2.0 here")


def run_rg(
    argv: Sequence[bytes], cwd: Path, env: Mapping[bytes, bytes] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """rg with stdin from /dev/null and output on pipes."""
    return subprocess.run(
        [real_rg().encode(), *argv],
        cwd=cwd,
        env=dict(env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


def run_rg_on_tty(argv: Sequence[bytes], cwd: Path, env: Mapping[bytes, bytes]) -> bytes:
    """rg's output on a pseudo-terminal that leaves newlines alone; stdin is /dev/null."""
    master, slave = pty.openpty()
    try:
        import termios

        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        process = subprocess.Popen(
            [real_rg().encode(), *argv], cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=slave, stderr=slave
        )
        os.close(slave)
        slave = -1
        pieces = []
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # EIO: the other side is closed
                break
            if not piece:
                break
            pieces.append(piece)
        process.wait()
        return b"".join(pieces)
    finally:
        os.close(master)
        if slave >= 0:
            os.close(slave)


def request(
    cwd: Path, *, stdin: Fd = CHAR, stdout: Fd = FIFO, env: Mapping[bytes, bytes] | None = None
) -> RequestContext:
    """A request as the shim would describe it."""
    return RequestContext(os.fsencode(cwd), dict(env or {}), (stdin, stdout, FIFO))
