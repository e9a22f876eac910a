"""Simulated agents under load: sessions of their own that search in bursts, edit, check out, and are compared with rg.

In: worktrees, the shim, a box. Out: a Tally. An agent is a compiled process (agent.c) that leads a session, with a
thread here that says what it does next. Every search's exit code is looked at; a share of them is a sample: nobody
writes to that folder while it and the real rg answer, and the two must be equal, line for line. After each edit its
own word is searched for at once, and must be found where it was written, and nowhere else.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.box import Box
from bench.programs import REAL_RG, built

BURST = 8
_JOB = struct.Struct("=4I")
_RESULT = struct.Struct("=2I2QiI")
_KEPT_BYTES = 1 << 22
_WORDS = ("import", "return", "self", "class", "config", "request", "session", "error", "model", "template", "query",
          "value", "TODO", "deprecated", "warnings", "Mapping", "lru_cache", "abstractmethod", "threading")  # fmt: skip
_SAMPLED = 0.05
_EDITED = 0.3
_CHECKED_OUT = 0.02
_DETACHED = 0.02


@dataclass(frozen=True, slots=True)
class Answer:
    """One search's end. whole: all of stdout is there."""

    code: int
    stdout: bytes
    us: float
    whole: bool


@dataclass(slots=True)
class Tally:
    """What came of it. wrong: each in a line, the first ones."""

    searches: int = 0
    samples: int = 0
    edits: int = 0
    checkouts: int = 0
    detaches: int = 0
    us: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Session:
    """One agent's process."""

    def __init__(self, shim: str, env: dict[str, str]) -> None:
        self._shim, self._env = shim, env
        self._process = subprocess.Popen(
            [str(built("bench/agent.c"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env={}
        )

    def search(self, folder: Path, argvs: Sequence[Sequence[str]]) -> list[Answer]:
        """All of them at once; in the order asked."""
        assert self._process.stdin is not None
        for number, argv in enumerate(argvs):
            words = [os.fspath(folder), self._shim, *argv, *(f"{name}={value}" for name, value in self._env.items())]
            strings = b"".join(os.fsencode(word) + b"\0" for word in words)
            self._process.stdin.write(_JOB.pack(number, len(strings), 1 + len(argv), len(self._env)) + strings)
        answers: dict[int, Answer] = {}
        for _ in argvs:
            number, size, ns, all_bytes, status, _ = _RESULT.unpack(self._read(_RESULT.size))
            answers[number] = Answer(status, self._read(size), ns / 1000, size == all_bytes)
        return [answers[number] for number in range(len(argvs))]

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        got = bytearray()
        while len(got) < size:
            part = self._process.stdout.read(size - len(got))
            if not part:
                raise RuntimeError("an agent's process ended")
            got += part
        return bytes(got)

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@dataclass(slots=True)
class Ground:
    """One worktree. still: held by whoever writes there, or needs that nobody does."""

    path: Path
    files: list[Path]
    still: threading.Lock = field(default_factory=threading.Lock)
    written: int = 0


class Agent:
    """One agent's doings until `ending` is set, in a thread."""

    def __init__(
        self,
        number: int,
        grounds: list[Ground],
        shim: str,
        box: Box,
        tally: Tally,
        ending: threading.Event,
        pause_s: float,
        trace: Path,
    ) -> None:
        self._number, self._grounds, self._box, self._tally, self._ending = number, grounds, box, tally, ending
        self._pause_s = pause_s
        self._chance = random.Random(number)
        self._session = Session(shim, box.env | {"CURSERVE_TRACE": os.fspath(trace)})
        self._home = grounds[number % len(grounds)]
        self.thread = threading.Thread(target=self._live, name=f"agent {number}")

    def _live(self) -> None:
        try:
            while not self._ending.wait(self._chance.uniform(0, 2 * self._pause_s)):
                act = self._chance.random()
                ground = self._home if self._chance.random() < 0.8 else self._chance.choice(self._grounds)
                if act < _CHECKED_OUT:
                    self._check_out(ground)
                elif act < _CHECKED_OUT + _DETACHED:
                    self._detach(ground)
                elif act < _CHECKED_OUT + _DETACHED + _EDITED:
                    self._edit(ground)
                self._burst(ground)
                if self._chance.random() < _SAMPLED * BURST:
                    self._sample(ground)
        except Exception as error:
            self._note(f"agent {self._number} ended: {type(error).__name__}: {error}")
        finally:
            self._session.close()

    def _argv(self, ground: Ground) -> list[str]:
        """Something an agent asks."""
        word = self._chance.choice(_WORDS)
        file = self._chance.choice(ground.files)
        forms: tuple[list[str], ...] = (
            ["-n", word + self._chance.choice(("", "s", "_", r"\("))],
            ["-l", "-i", word],
            ["-c", rf"\b{word}\b"],
            ["-n", "-C", "2", rf"def \w*{word}"],
            ["--files", "-g", f"*{file.suffix or '*'}"],
            ["-n", "--no-heading", "-t", "py", rf"{word}\w*\("],
            ["-o", "-w", rf"[A-Z]\w+{word.capitalize()}"],
            ["-n", word, os.fspath(file.relative_to(ground.path).parent)],
        )
        return ["--no-config", *self._chance.choice(forms)]

    def _burst(self, ground: Ground) -> None:
        argvs = [self._argv(ground) for _ in range(BURST)]
        self._count(argvs, self._session.search(ground.path, argvs))

    def _count(self, argvs: Sequence[Sequence[str]], answers: Sequence[Answer]) -> None:
        with self._tally.lock:
            self._tally.searches += len(answers)
            self._tally.us += [answer.us for answer in answers]
            for argv, answer in zip(argvs, answers, strict=True):
                self._tally.codes[answer.code] += 1
                # 2: ripgrep says so too where a file goes while it looks, and where a folder is gone after a checkout.
                if answer.code not in (0, 1, 2):
                    self._tally.wrong.append(f"exit {answer.code}: {argv}")

    def _sample(self, ground: Ground) -> None:
        """The same question to both, while nobody writes."""
        argv = self._argv(ground)
        with ground.still:
            ours = self._session.search(ground.path, [argv])[0]
            theirs = subprocess.run(
                [REAL_RG, "--sort", "path", *argv], cwd=ground.path, env=self._box.env, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        self._count([argv], [ours])
        equal = ours.code == theirs.returncode and (
            ours.stdout == theirs.stdout
            or sorted(ours.stdout.splitlines()) == sorted(theirs.stdout.splitlines())  # a declined one, unsorted
        )
        with self._tally.lock:
            self._tally.samples += 1
            if not equal and ours.whole:
                self._note_locked(f"{argv} in {ground.path.name}: exit {ours.code} for {theirs.returncode}, "
                                  f"{len(ours.stdout)} bytes for {len(theirs.stdout)}")  # fmt: skip

    def _edit(self, ground: Ground) -> None:
        """A line with a word that nobody else has written, which must be found at once, in that file and no other."""
        with ground.still:
            ground.written += 1
            word = f"curserveload{self._number}x{ground.written}"
            file = self._chance.choice(ground.files)
            if not file.exists():
                return
            with file.open("ab") as out:
                out.write(f"\n# {word}\n".encode())
            found = self._session.search(ground.path, [["--no-config", "-l", word, "."]])[0]
        expected = f"./{file.relative_to(ground.path)}\n".encode()
        with self._tally.lock:
            self._tally.edits += 1
            self._tally.searches += 1
            self._tally.us.append(found.us)
            self._tally.codes[found.code] += 1
            if (found.code, found.stdout) != (0, expected):
                self._note_locked(f"{word}, just written to {file.name}: exit {found.code}, {found.stdout!r}")

    def _check_out(self, ground: Ground) -> None:
        with ground.still:
            to = self._chance.choice(("older", "newer"))
            for words in (["checkout", "-q", "--", "."], ["checkout", "-q", "--detach", to]):
                subprocess.run(["git", "-C", str(ground.path), *words], check=True, capture_output=True)
        with self._tally.lock:
            self._tally.checkouts += 1

    def _detach(self, ground: Ground) -> None:
        try:
            self._box.control("detach", root=str(ground.path))
            self._box.control("attach", root=str(ground.path), wait=False)
        except OSError:
            return  # the daemon was killed
        with self._tally.lock:
            self._tally.detaches += 1

    def _note(self, line: str) -> None:
        with self._tally.lock:
            self._note_locked(line)

    def _note_locked(self, line: str) -> None:
        if len(self._tally.wrong) < 50:
            self._tally.wrong.append(line)


def run(
    grounds: list[Ground],
    agents: int,
    shim: str,
    box: Box,
    seconds: float,
    pause_s: float,
    meanwhile: Callable[[float], None],
    trace: Path,
) -> Tally:
    """So many agents for so long. meanwhile: called again and again, with the seconds that are left. trace: receives a
    line for each search (CURSERVE_TRACE)."""
    tally, ending = Tally(), threading.Event()
    crowd = [Agent(number, grounds, shim, box, tally, ending, pause_s, trace) for number in range(agents)]
    until_s = time.monotonic() + seconds
    try:
        for agent in crowd:
            agent.thread.start()
        while (left_s := until_s - time.monotonic()) > 0:
            meanwhile(left_s)
    finally:
        ending.set()
        for agent in crowd:
            agent.thread.join()
    return tally
