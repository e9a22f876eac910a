"""What is measured beside the rows: one daemon of its own, one story, some figures and what they should be."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.box import Box
from bench.draw import OutOfWords
from bench.goals import Goal
from bench.measure import Bench, RowFailed
from bench.programs import Runner, RunnerError

MB = 1_000_000


@dataclass(slots=True)
class Scenario:
    """One story's outcome. figures: in the order of the report, units in their names; None where there is none."""

    key: str
    title: str
    figures: dict[str, Any] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    failed: str | None = None

    def facts(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {
            "scenario": self.key,
            "title": self.title,
            "figures": {
                name: round(value, 3) if isinstance(value, float) else value for name, value in self.figures.items()
            },
            "goals": [goal.facts() for goal in self.goals],
            "failed": self.failed,
        }


@dataclass(frozen=True, slots=True)
class Stage:
    """Where stories are played: the programs, and how much time there is."""

    runner: Runner
    shim: str
    floor: str
    quick: bool

    @contextmanager
    def bench(self) -> Iterator[Bench]:
        """A new daemon that knows nothing yet."""
        with Box() as box:
            yield Bench(box, self.runner, self.shim, self.floor)


class ScenarioFailed(Exception):
    """The story went wrong; the message says how."""


def play(scenario: Scenario, story: Callable[[Scenario], None]) -> Scenario:
    """Runs the story, which fills the scenario in; what goes wrong is written down, not raised."""
    try:
        story(scenario)
    except (
        ScenarioFailed,
        RowFailed,
        RunnerError,
        OutOfWords,
        RuntimeError,
        OSError,
        subprocess.SubprocessError,
    ) as error:
        scenario.failed = str(error) or type(error).__name__
    return scenario
