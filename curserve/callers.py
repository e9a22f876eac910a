"""Who asks: the user and the agent behind a process.

In: process ids as the kernel saw them. Out: a Caller each. The agent is the nearest ancestor that agents.py knows; a
caller without one is called by its own program. Looks at /proc, so only while somebody wants to know. A process that
has ended before it was looked at is "unknown"; one that was looked at once keeps its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from curserve import agents

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CLOCK_SLACK_S = 2.0
"""A process that began so much earlier or later than it should have is another one under the same number."""

Key = tuple[int, int]
"""A process: its pid and when it began, in clock ticks since boot."""


@dataclass(frozen=True)
class Caller:
    """pid: the agent's, or the caller's own; 0 when it is unknown."""

    user: str
    agent: str
    pid: int


UNKNOWN = Caller("", "unknown", 0)


class Callers:
    """Remembers the callers of the last question, and no others."""

    def __init__(self) -> None:
        self._known: dict[Key, Caller] = {}

    def named(self, keys: Iterable[Key]) -> dict[Key, Caller]:
        """Each process with its caller."""
        self._known = {key: self._known.get(key) or _look_at(key) for key in keys}
        return self._known


def _look_at(key: Key) -> Caller:
    pid, start_ticks = key
    try:
        own = psutil.Process(pid)
        if abs(own.create_time() - psutil.boot_time() - start_ticks / _TICKS_PER_S) > _CLOCK_SLACK_S:
            return UNKNOWN
        user = own.username()
        for process in (own, *own.parents()):
            with process.oneshot():
                agent = _agent_of(process)
            if agent is not None:
                return Caller(user, agent.name, process.pid)
        return Caller(user, own.name(), pid)
    except (psutil.Error, OSError, ValueError):  # ValueError: no such pid can be
        return UNKNOWN


def _agent_of(process: psutil.Process) -> agents.Agent | None:
    try:
        return agents.by_command(process.name(), process.cmdline())
    except (psutil.Error, OSError):
        return None
