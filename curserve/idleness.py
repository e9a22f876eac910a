"""Whether anybody still needs the daemon: an idle one ends and gives its memory back.

In: how long nobody may ask, the number of requests so far, and the processes that are served (a shell, an agent: they
say so when they start). Out: the seconds that are left. A process is watched through a pidfd, so that a reused pid is
another one.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable


class Idleness:
    """after_s: None for a daemon that never ends by itself."""

    def __init__(self, after_s: float | None, requests: Callable[[], int]) -> None:
        self._after_s = after_s
        self._requests = requests
        self._seen = requests()
        self._since_s = time.monotonic()
        self._lock = threading.Lock()
        self._held_by: list[int] = []

    def hold(self, pid: int) -> None:
        """As long as this process lives, the daemon is needed."""
        try:
            process = os.pidfd_open(pid)
        except OSError:
            return  # it has ended
        with self._lock:
            self._held_by.append(process)
            self._since_s = time.monotonic()

    def left_s(self) -> float | None:
        """Seconds until nobody has needed the daemon for long enough; 0 or less: it may end. None: it never may."""
        if self._after_s is None:
            return None
        requests = self._requests()
        if self._is_held() or requests != self._seen:
            self._seen, self._since_s = requests, time.monotonic()
        return self._since_s + self._after_s - time.monotonic()

    def _is_held(self) -> bool:
        with self._lock:
            ended = select.select(self._held_by, [], [], 0)[0] if self._held_by else []
            for process in ended:
                self._held_by.remove(process)
                os.close(process)
            return bool(self._held_by)
