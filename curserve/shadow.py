"""The live oracle: a share of the served searches is asked again, of us and of the real ripgrep, and compared.

In: requests that were served, with their plans. Out: counters for `status`, a line in the log for each difference with
all that is needed to have it again, and the kinds of request that are declined from then on until a restart.
Invariants: never in a request's way (one thread, a short queue, what does not fit is not compared); a comparison
during which the workspace changed counts for nothing; ripgrep runs with --no-config and
no command of the request's own.
"""

from __future__ import annotations

import logging
import os
import queue
import random
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from curserve import paths
from curserve.plan import Kind
from curserve.request import Request
from curserve.verify import answers
from curserve.verify.asking import Asked, TooLong, ask

_QUEUE = 32
"""Comparisons that may wait; arbitrary. Each costs a run of ripgrep."""
_TIMEOUT_S = 60.0
_FD_TTY = 1  # CS_FD_TTY of wire.h
_COMMANDS = (b"--pre", b"--hostname-bin")
"""Flags that have ripgrep run something: such requests are left alone, even where the flag is taken back."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Served:
    request: Request
    kind: Kind
    generation: Callable[[], int]


class Shadow:
    """Compares in a thread of its own. Safe in every thread."""

    def __init__(self, share: float, socket: str) -> None:
        """share: of the served requests, 0 to 1. socket: where we answer."""
        self._share = share
        self._socket = socket
        self._random = random.Random()
        self._lock = threading.Lock()
        self._queue: queue.Queue[_Served] = queue.Queue(_QUEUE)
        self._replayed: tuple[tuple[bytes, ...], bytes] | None = None
        self._doubted: set[Kind] = set()
        self._compared = self._void = self._different = 0
        self._last = ""
        if share > 0:
            threading.Thread(target=self._run, name="shadow", daemon=True).start()

    @property
    def awake(self) -> bool:
        """False: nothing is ever compared."""
        return self._share > 0

    def doubts(self, kind: Kind) -> bool:
        """True for a kind of request that differed once: it is to be declined."""
        return bool(self._doubted) and kind in self._doubted

    def served(self, request: Request, kind: Kind, generation: Callable[[], int]) -> None:
        """A request was served; perhaps it is compared. generation: the workspace's, now."""
        if self._share < 1 and self._random.random() >= self._share:
            return
        if self._replayed == (request.argv, request.cwd):
            return  # our own question
        if b"RIPGREP_CONFIG_PATH" in request.env or any(word.startswith(_COMMANDS) for word in request.argv):
            return
        try:
            self._queue.put_nowait(_Served(request, kind, generation))
        except queue.Full:
            with self._lock:
                self._void += 1

    def numbers(self) -> dict[str, object]:
        """What `status` tells: comparisons made, void and different, kinds declined since, the last difference."""
        with self._lock:
            return {
                "share": self._share,
                "compared": self._compared,
                "void": self._void,
                "differences": self._different,
                "kinds_declined": len(self._doubted),
                "last_difference": self._last,
            }

    def _run(self) -> None:
        while True:
            served = self._queue.get()
            try:
                self._compare(served)
            except (OSError, subprocess.SubprocessError, TooLong) as error:
                _log.info("a comparison failed: %s", error)
                with self._lock:
                    self._void += 1
            except Exception:
                _log.exception("a comparison failed")
            finally:
                self._replayed = None

    def _compare(self, served: _Served) -> None:
        real = paths.real_rg()
        if real is None:
            return
        request = served.request
        argv = (b"--no-config", *request.argv)
        env = dict(request.env)
        # What we decline goes to the real one, too, and is no difference.
        our_env = {**env, b"CURSERVE_SOCKET": os.fsencode(self._socket), b"CURSERVE_REAL_RG": os.fsencode(real)}
        stdout = b"tty" if request.fds[1].kind == _FD_TTY else b"pipe"
        before = served.generation()

        def ours() -> answers.Answer:
            self._replayed = (argv, request.cwd)
            return ask(str(paths.shim_dir() / "rg"), Asked(argv, request.cwd, our_env, stdout=stdout), _TIMEOUT_S)

        def theirs(words: Sequence[bytes]) -> answers.Answer:
            return ask(str(real), Asked(words, request.cwd, env, stdout=stdout), _TIMEOUT_S)

        mine = ours()
        found = answers.unexplained(mine, argv, theirs)
        if found is not None:
            ours()  # takes in what was written meanwhile, so that the generation tells of it
        with self._lock:
            if served.generation() != before:
                self._void += 1
                return
            self._compared += 1
            if found is None:
                return
            self._different += 1
            self._doubted.add(served.kind)
            self._last = found
        _log.error(
            "an answer differed from ripgrep's: %s; argv %r, cwd %r, environment %r, descriptors %r; its kind is "
            "declined until a restart: flags %s, constructs %s",
            found, request.argv, request.cwd, request.env, [fd.kind for fd in request.fds], sorted(served.kind[0]),
            sorted(served.kind[1]),
        )  # fmt: skip
