"""What the daemon saves against running ripgrep, measured: a sample of the served searches is run both ways.

In: the desk's samples, only while somebody looks. Out: sums of both sides' times per workspace. Each sample is asked
once more of us, through the shim, and of the real rg, one after the other and both from spawn to exit: what it costs to
start a process is in both. Invariants: the measuring takes a twentieth of the time at most, and one search at a time;
ripgrep runs with --no-config and no command of the request's own; what was not measured is not told.
"""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from dataclasses import dataclass

from curserve import paths
from curserve.kernel_door import Handle, ffi, lib
from curserve.request import Request, parse
from curserve.verify.asking import Asked, TooLong, ask

_PAUSE_S = 2.0
_SHARE = 20
"""After a measurement that took t seconds comes a pause of 19 t, _PAUSE_S at least."""
_TIMEOUT_S = 30.0
_MOST_PAYLOAD_BYTES = 1 << 16
_MOST_ROOTS = 64
"""Workspaces that are told apart; arbitrary. The one measured least recently makes room."""
_FD_TTY = 1  # CS_FD_TTY of wire.h
_COMMANDS = (b"--pre", b"--hostname-bin")

_log = logging.getLogger(__name__)


@dataclass
class Saving:
    """Of one workspace: samples, and the sums of both sides' times."""

    samples: int = 0
    rg_s: float = 0.0
    curserve_s: float = 0.0

    def numbers(self) -> dict[str, object]:
        """For `status` and `look`."""
        return {
            "samples": self.samples,
            "rg_s": round(self.rg_s, 6),
            "curserve_s": round(self.curserve_s, 6),
        }


class Savings:
    """Measures in a thread of its own, which lives as long as somebody looks. Safe in every thread."""

    def __init__(self, desk: Handle, socket: str) -> None:
        """socket: where we answer."""
        self._desk = desk
        self._socket = socket
        self._lock = threading.Lock()
        self._until_s = 0.0
        self._runs = False
        self._by_root: dict[bytes, Saving] = {}
        self._all = Saving()
        self._ours_first = False

    def look(self, seconds: float) -> None:
        """Somebody looks, for so long from now on."""
        with self._lock:
            self._until_s = max(self._until_s, time.monotonic() + seconds)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="savings", daemon=True).start()

    def numbers(self) -> dict[str, object]:
        """Of all workspaces, since the daemon began."""
        with self._lock:
            return self._all.numbers()

    def by_root(self) -> list[dict[str, object]]:
        """One entry per workspace of which something was measured."""
        with self._lock:
            return [{"root": os.fsdecode(root), **saving.numbers()} for root, saving in self._by_root.items()]

    def _run(self) -> None:
        pause_s = 0.1
        while True:
            time.sleep(pause_s)
            with self._lock:
                if time.monotonic() > self._until_s:
                    self._runs = False
                    return
            begun_s = time.monotonic()
            measured = False
            try:
                measured = self._measure()
            except (OSError, subprocess.SubprocessError, TooLong) as error:
                _log.info("a search could not be measured: %s", error)
            except Exception:
                _log.exception("a search could not be measured")
            took_s = time.monotonic() - begun_s
            pause_s = max(_PAUSE_S if measured else 0.5, (_SHARE - 1) * took_s)

    def _measure(self) -> bool:
        """One sample, if there is one."""
        real = paths.real_rg()
        sample = self._sample()
        if real is None or sample is None:
            return False
        request, root = sample
        if b"RIPGREP_CONFIG_PATH" in request.env or any(word.startswith(_COMMANDS) for word in request.argv):
            return False
        places = {b"CURSERVE_SOCKET": os.fsencode(self._socket), b"CURSERVE_REAL_RG": os.fsencode(real)}
        stdout = b"tty" if request.fds[1].kind == _FD_TTY else b"pipe"
        theirs = Asked((b"--no-config", *request.argv), request.cwd, request.env, stdout=stdout)
        ours = Asked(request.argv, request.cwd, {**request.env, **places}, stdout=stdout)
        sides = [(str(real), theirs), (str(paths.shim_dir() / "rg"), ours)]
        order = slice(None, None, -1 if self._ours_first else 1)  # who comes second finds warmer caches
        times_s = [_timed(program, asked) for program, asked in sides[order]][order]
        self._ours_first = not self._ours_first
        with self._lock:
            saving = self._by_root[root] = self._by_root.pop(root, Saving())
            for sums in (saving, self._all):
                sums.samples += 1
                sums.rg_s += times_s[0]
                sums.curserve_s += times_s[1]
            if len(self._by_root) > _MOST_ROOTS:
                del self._by_root[next(iter(self._by_root))]
        return True

    def _sample(self) -> tuple[Request, bytes] | None:
        payload = ffi.new("char[]", _MOST_PAYLOAD_BYTES)
        root = ffi.new("char[4096]")
        size = lib.cs_desk_sample(self._desk.pointer, payload, _MOST_PAYLOAD_BYTES, root, 4096)
        return (parse(ffi.buffer(payload, size)[:]), ffi.string(root)) if size else None


def _timed(program: str, asked: Asked) -> float:
    begun_s = time.monotonic()
    ask(program, asked, _TIMEOUT_S)
    return time.monotonic() - begun_s
