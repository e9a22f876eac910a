"""What the medians must show, and whether they do.

In: a row's medians, or the figures of a scenario. Out: Goals, each with its limit, what was measured, and met or not.
Spawn to exit through the shim unless a goal says otherwise; on a machine with two cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """One limit. at_least: the figure must reach it, not stay below it."""

    what: str
    figure: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure keeps to the limit."""
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def facts(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {
            "what": self.what,
            "figure": round(self.figure, 3),
            "limit": self.limit,
            "at_least": self.at_least,
            "met": self.met,
        }


def of_row(tree: str, key: str, sink: str, medians_us: Mapping[str, float]) -> list[Goal]:
    """The goals of one row with stdout going to `sink` ("null" or "pipe").

    medians_us: rg, fresh, repeated, floor; fresh_daemon and repeated_daemon where they were measured."""
    at = medians_us
    slower = max(at["fresh"], at["repeated"])
    times: float = 1
    if tree == "linux":
        times = {"common": 4 if sink == "pipe" else 8, "capitals": 4, "blank": 4, "files": 10}.get(key, 1)
    goals = [Goal("faster than rg, times", at["rg"] / slower, times, True)]
    if key == "rare-qwen" and tree in ("flask", "django"):
        goals.append(Goal("fresh / floor", at["fresh"] / at["floor"], 2.5))
        goals.append(Goal("repeated / floor", at["repeated"] / at["floor"], 2))
    if key == "rare-qwen" and tree == "linux":
        goals.append(Goal("fresh ms", at["fresh"] / 1000, 4))
        goals.append(Goal("repeated ms", at["repeated"] / 1000, 4))
    if key == "rare-qwen" and "fresh_daemon" in at:
        limits_ms = {"django": (0.3, 0.12), "linux": (3, 3)}.get(tree)
        if limits_ms is not None:
            goals.append(Goal("fresh, in the daemon, ms", at["fresh_daemon"] / 1000, limits_ms[0]))
            goals.append(Goal("repeated, in the daemon, ms", at["repeated_daemon"] / 1000, limits_ms[1]))
    return goals
