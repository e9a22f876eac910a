"""Runs one search program to its end and gives what it said: on a pipe, a terminal or a file.

In: a program and what it is asked. Out: an Answer. Starts processes, keeps nothing. Invariant: no answer is longer than
MAX_BYTES, however much the program has to say (a line of 10 MB, printed once for each of its matches, is gigabytes).
"""

from __future__ import annotations

import os
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curserve.errors import CurserveError
from curserve.verify.answers import Answer

MAX_BYTES = 64 << 20
"""Of stdout, and of stderr; arbitrary."""
_PIECE_BYTES = 1 << 16


class TooLong(CurserveError):
    """The program said more than MAX_BYTES and was killed: nothing to compare."""


@dataclass(frozen=True)
class Asked:
    """One call. stdout: b"pipe", b"tty", or the path of a file that is made for it and removed again."""

    argv: Sequence[bytes]
    cwd: str | bytes | os.PathLike[str]
    env: Mapping[str, str] | Mapping[bytes, bytes]
    stdin: Any = subprocess.DEVNULL
    stdout: bytes = b"pipe"


def ask(program: str, asked: Asked, timeout_s: float) -> Answer:
    """What the program answers. TooLong, subprocess.TimeoutExpired, OSError."""
    if asked.stdout == b"tty":
        return _on_terminal(program, asked, timeout_s)
    if asked.stdout != b"pipe":
        return _into_file(program, asked, timeout_s)
    read_end, write_end = os.pipe()
    return _gathered(program, asked, timeout_s, read_end, write_end)


def _into_file(program: str, asked: Asked, timeout_s: float) -> Answer:
    try:
        with open(asked.stdout, "wb") as file:
            read_end, write_end = os.pipe()
            os.close(write_end)  # nothing comes this way
            answer = _gathered(program, asked, timeout_s, read_end, file.fileno(), close=False)
        if os.path.getsize(asked.stdout) > MAX_BYTES:
            raise TooLong("too long")
        with open(asked.stdout, "rb") as file:
            return Answer(file.read(), answer.stderr, answer.code)
    finally:
        os.unlink(asked.stdout)


def _on_terminal(program: str, asked: Asked, timeout_s: float) -> Answer:
    master, slave = os.openpty()
    settings = termios.tcgetattr(slave)
    settings[1] &= ~termios.OPOST  # bytes as they are
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    return _gathered(program, asked, timeout_s, master, slave)


def _gathered(
    program: str, asked: Asked, timeout_s: float, read_end: int, write_end: int, close: bool = True
) -> Answer:
    """Runs the program with write_end as its stdout, reads read_end to its end, closes both (write_end if `close`)."""
    with open(read_end, "rb", buffering=0, closefd=True) as reader:
        try:
            process = subprocess.Popen(
                [program, *asked.argv], cwd=asked.cwd, env=asked.env, stdin=asked.stdin, stdout=write_end,
                stderr=subprocess.PIPE,
            )  # fmt: skip
        finally:
            if close:
                os.close(write_end)
        with process:
            assert process.stderr is not None
            outputs: list[bytes | None] = [b"", b""]

            def gather(index: int, file: Any) -> None:
                outputs[index] = _read(file)
                if outputs[index] is None:
                    process.kill()

            files = (reader, process.stderr)
            threads = [threading.Thread(target=gather, args=(index, file)) for index, file in enumerate(files)]
            ends_s = time.monotonic() + timeout_s
            try:
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(max(0.0, ends_s - time.monotonic()))
                process.wait(max(0.0, ends_s - time.monotonic()))
            except BaseException:
                process.kill()
                raise
            finally:
                for thread in threads:
                    if thread.ident is not None:  # it was started before we were interrupted
                        thread.join()
    stdout, stderr = outputs
    if stdout is None or stderr is None:
        raise TooLong("too long")
    return Answer(stdout, stderr, process.returncode)


def _read(file: Any) -> bytes | None:
    """All that comes; None when it is more than MAX_BYTES."""
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := file.read(_PIECE_BYTES):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BYTES:
                return None
    except OSError:  # EIO: the last writer of a terminal is gone
        pass
    return b"".join(pieces)
