"""Where the frames' facts come from: threads that ask the daemon and vLLM, so that the display never waits for either.

In: the control socket, vLLM's URL. Out: the latest of each, and a wake-up for whoever draws.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from curserve.client import Client
from curserve.errors import CurserveError
from curserve.top.figures import Figures, Look, between
from curserve.top.vllm import Load, Server, Unreachable

_LEASE_S = 5
"""The daemon gathers for so long beyond the next question: a `top` that hung or was killed costs it no more."""
_SPAN_S = 5.0
"""Rates and latencies are those of the last so many seconds, or of one interval if that is longer."""


@dataclass(frozen=True)
class Facts:
    """figures: of the last look that was answered, None before the first. gone: why the daemon does not answer now, and
    since when (monotonic); None: it does. vllm: None where no server is asked."""

    figures: Figures | None = None
    gone: str | None = None
    gone_since_s: float = 0.0
    vllm_url: str | None = None
    vllm: Load | str | None = None


class Feed:
    """Asks in threads of its own, until the process ends. `latest` is safe in every thread."""

    def __init__(self, control: Path, interval_s: float, measure: bool, vllm_url: str | None) -> None:
        self._client = Client(control, timeout_s=5.0)
        self._interval_s = interval_s
        self._measure = measure
        self._lock = threading.Lock()
        self._facts = Facts(vllm_url=vllm_url)
        self._looks: deque[Look] = deque()
        self.wake_r, self._wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def start(self) -> None:
        """Begin to ask."""
        self._thread("daemon", self.look)
        if self._facts.vllm_url is not None:
            server = Server(self._facts.vllm_url)
            self._thread("vllm", lambda: self.ask_vllm(server))

    def latest(self) -> Facts:
        """What is known now."""
        with self._lock:
            return self._facts

    def look(self) -> None:
        """Ask the daemon once."""
        lease_s = math.ceil(self._interval_s) + _LEASE_S
        try:
            answer = self._client.call("look", seconds=lease_s, measure=self._measure)
        except CurserveError as error:
            with self._lock:
                since_s = self._facts.gone_since_s if self._facts.gone else time.monotonic()
                self._change(gone=str(error), gone_since_s=since_s)
            return
        look = Look(time.monotonic(), answer)
        with self._lock:
            self._looks.append(look)
            # One look at least stays to be compared with, and no more than the span has.
            while len(self._looks) > 2 and self._looks[1].at_s <= look.at_s - _SPAN_S:
                self._looks.popleft()
            before = self._looks[0] if len(self._looks) > 1 else None
            if before is not None and before.answer["pid"] != answer["pid"]:
                self._looks.clear()
                self._looks.append(look)
            self._change(figures=between(before, look), gone=None)

    def ask_vllm(self, server: Server) -> None:
        """Ask vLLM once."""
        found: Load | str
        try:
            found = server.ask()
        except Unreachable as error:
            found = str(error)
        with self._lock:
            self._change(vllm=found)

    def _change(self, **changed: Any) -> None:
        self._facts = replace(self._facts, **changed)
        with contextlib.suppress(BlockingIOError):  # nobody drew for long; they will
            os.write(self._wake_w, b"!")

    def _thread(self, name: str, ask: Callable[[], None]) -> None:
        def run() -> None:
            while True:
                begun_s = time.monotonic()
                ask()
                time.sleep(max(0.05, self._interval_s - (time.monotonic() - begun_s)))

        threading.Thread(target=run, name=name, daemon=True).start()
