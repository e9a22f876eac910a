"""One row, measured: ripgrep, curserve asked something new, curserve asked the same again, and the floor, in turn.

In: a Row, a tree that the box has attached, its Draw, an Effort. Out: a RowResult.
Rules: a round runs all four once, in turns of which each has each other before it equally often (turns.py); ripgrep
and "fresh" get the same argv, which nobody has asked before. Before the clock runs, both sides' answers are compared
(exit code, number of matches, and the lines themselves while that takes no longer than the search), and the shim's
trace must say "served"; afterwards the same again (but for slow searches, whose traced runs must do), and the daemon's
counters must say that every timed run of ours was served. Otherwise the row has failed: no times.
Times inside the daemon are those of the shim's trace, taken in runs of their own, because writing a trace costs time.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bench.box import Box
from bench.corpora import Corpus
from bench.draw import Draw, OutOfWords
from bench.goals import Goal, of_row
from bench.programs import REAL_RG, Run, Runner, RunnerError
from bench.rows import Row
from bench.spread import Spread
from bench.turns import turns

SIDES = ("rg", "fresh", "repeated", "floor")
_COMPARE_BYTES = 20_000_000
"""Answers up to this length are compared line by line, longer ones by their number of matches."""
_QUICK_S = 0.2
"""Where ripgrep takes longer, answers are not compared a third time after the clock has stopped: arbitrary."""
_ELAPSED = re.compile(rb'"elapsed(?:_total)?":\{[^{}]*\}')


class RowFailed(Exception):
    """The row has no times; the message says why."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure. Rounds go on until budget_s is spent, within least and most."""

    budget_s: float
    least: int
    most: int
    traced: int

    def rounds(self, one_s: float) -> int:
        """How many rounds of so many seconds."""
        return max(self.least, min(self.most, int(self.budget_s / max(one_s, 1e-6))))


FULL = Effort(budget_s=3.0, least=5, most=60, traced=15)
QUICK = Effort(budget_s=0.6, least=3, most=7, traced=3)


@dataclass(slots=True)
class RowResult:
    """What came out. matches: lines found by the plain form, the same on both sides. times: by sink, then by side.
    daemon: by side ("fresh", "repeated"), then by stage."""

    tree: str
    row: Row
    argv: list[str]
    matches: int = 0
    fresh_matches: int = 0
    stdout_bytes: int = 0
    times: dict[str, dict[str, Spread]] = field(default_factory=dict)
    daemon: dict[str, dict[str, Spread]] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)
    failed: str | None = None

    def facts(self) -> dict[str, Any]:
        """As JSON keeps it. The tree's place is written as TREE."""
        return {
            "tree": self.tree,
            "row": self.row.key,
            "title": self.row.title,
            "varies": self.row.varies,
            "argv": self.argv,
            "matches": self.matches,
            "fresh_matches": self.fresh_matches,
            "stdout_bytes": self.stdout_bytes,
            "us": {
                sink: {side: spread.facts() for side, spread in sides.items()} for sink, sides in self.times.items()
            },
            "daemon_us": {
                side: {stage: spread.facts() for stage, spread in stages.items()}
                for side, stages in self.daemon.items()
            },
            "goals": [goal.facts() for goal in self.goals],
            "failed": self.failed,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What one side said, for comparison."""

    stdout: bytes
    stderr: bytes
    code: int
    took_s: float
    json: bool
    trace: dict[str, Any] | None = None

    @property
    def matches(self) -> int:
        """Lines found: JSON's match messages, or lines of output."""
        if self.json:
            return self.stdout.count(b'\n{"type":"match"')
        return self.stdout.count(b"\n")


class Bench:
    """What every measurement needs: the daemon, the runner, the shim and the floor."""

    def __init__(self, box: Box, runner: Runner, shim: str, floor: str) -> None:
        self.box = box
        self.runner = runner
        self.shim = shim
        self.floor = floor

    def ask(self, program: str, argv: Sequence[str], folder: str, env: dict[str, str] | None = None) -> Answer:
        """One run whose output is kept. The shim's comes with its trace."""
        trace = self.box.folder / "trace"
        env = {**(env or self.box.env), "CURSERVE_TRACE": str(trace)}
        trace.unlink(missing_ok=True)
        begun_s = time.monotonic()
        done = subprocess.run(
            [program, *argv], cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120
        )
        took_s = time.monotonic() - begun_s
        record = json.loads(trace.read_text()) if trace.exists() else None
        return Answer(done.stdout, done.stderr, done.returncode, took_s, "--json" in argv, record)

    def traced(self, argv: Sequence[str], folder: str, read_stdout: bool = False) -> tuple[Run, dict[str, Any]]:
        """One run of the shim under the clock, and its trace."""
        trace = self.box.folder / "trace"
        trace.unlink(missing_ok=True)
        env = {**self.box.env, "CURSERVE_TRACE": str(trace)}
        run = self.runner.run([self.shim, *argv], folder, env, read_stdout)
        with suppress(FileNotFoundError):
            return run, json.loads(trace.read_text())
        return run, {"served": False, "reason": "no_trace", "us": {}}

    def compared(self, argv: Sequence[str], folder: str) -> tuple[Answer, Answer]:
        """Ours and ripgrep's answer, which are the same, ours from memory. RowFailed."""
        ours = self.ask(self.shim, argv, folder)
        real = self.ask(REAL_RG, argv, folder)
        if ours.trace is None or not ours.trace["served"]:
            raise RowFailed(f"declined: {ours.trace['reason'] if ours.trace else 'no_trace'}")
        for what, mine, theirs in (
            ("exit code", ours.code, real.code),
            ("matches", ours.matches, real.matches),
            ("stderr", sorted(ours.stderr.splitlines()), sorted(real.stderr.splitlines())),
        ):
            if mine != theirs:
                raise RowFailed(f"{what}: {mine!r}, ripgrep's {theirs!r}")
        if len(real.stdout) <= _COMPARE_BYTES and _lines(ours.stdout) != _lines(real.stdout):
            raise RowFailed("the lines differ")
        return ours, real


def measure(
    bench: Bench, tree: Corpus, row: Row, draw: Draw, effort: Effort, sinks: Sequence[str] = ("null", "pipe")
) -> RowResult:
    """Never raises for what the row itself does wrong: it says so in `failed`."""
    plain = row.argv(tree, row.plain(tree, draw))
    result = RowResult(tree.name, row, [_placeless(word, tree) for word in plain])
    try:
        _measure(bench, tree, row, draw, effort, sinks, plain, result)
    except (RowFailed, RunnerError, subprocess.TimeoutExpired) as error:
        result.failed = str(error)
    except OutOfWords:
        result.failed = "the tree has too few words"
    return result


def _measure(
    bench: Bench,
    tree: Corpus,
    row: Row,
    draw: Draw,
    effort: Effort,
    sinks: Sequence[str],
    plain: list[str],
    result: RowResult,
) -> None:
    folder = str(tree.path)

    def fresh() -> list[str]:
        return row.argv(tree, row.fresh(tree, draw))

    ours, real = bench.compared(plain, folder)
    result.matches, result.stdout_bytes = real.matches, len(real.stdout)
    result.fresh_matches = bench.compared(fresh(), folder)[1].matches
    one_s = 2.2 * real.took_s
    for sink in sinks:
        rounds = effort.rounds(one_s)
        rounds += -rounds % len(SIDES)  # balanced, as turns() says
        times = _rounds(bench, plain, fresh, folder, rounds, sink == "pipe")
        result.times[sink] = {side: Spread.of(series) for side, series in times.items()}
    for side, next_argv in (("fresh", fresh), ("repeated", lambda: plain)):
        stages: dict[str, list[float]] = {}
        for _ in range(min(effort.traced, effort.rounds(real.took_s))):
            _, trace = bench.traced(next_argv(), folder)
            if not trace["served"]:
                raise RowFailed(f"declined: {trace['reason']}")
            for stage, us in trace["us"].items():
                stages.setdefault(stage, []).append(us)
        result.daemon[side] = {stage: Spread.of(series) for stage, series in stages.items()}
    if real.took_s < _QUICK_S:
        bench.compared(fresh(), folder)
    for sink, sides in result.times.items():
        medians = {side: spread.median for side, spread in sides.items()}
        if sink == "null":
            medians.update({f"{side}_daemon": stages["daemon"].median for side, stages in result.daemon.items()})
        result.goals += [
            Goal(f"{goal.what} ({sink})", goal.figure, goal.limit, goal.at_least)
            for goal in of_row(tree.name, row.key, sink, medians)
        ]


def _rounds(
    bench: Bench, plain: list[str], fresh: Callable[[], list[str]], folder: str, rounds: int, read_stdout: bool
) -> dict[str, list[float]]:
    """Microseconds by side. RowFailed when one of ours was declined, or an answer's length tells a difference."""
    served_before, declined_before = bench.box.requests()
    bench.runner.run([bench.shim, *plain], folder, bench.box.env, read_stdout)
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    for count in range(rounds):
        argv = fresh()
        programs = {
            "rg": [REAL_RG, *argv],
            "fresh": [bench.shim, *argv],
            "repeated": [bench.shim, *plain],
            "floor": [bench.floor],
        }
        printed = {}
        for side in turns(SIDES, count):
            run = bench.runner.run(programs[side], folder, bench.box.env, read_stdout)
            times[side].append(run.us)
            printed[side] = (run.code, 0 if "--json" in argv else run.stdout_bytes)
        if printed["rg"] != printed["fresh"]:
            raise RowFailed(f"exit code and bytes of {argv}: {printed['fresh']}, ripgrep's {printed['rg']}")
    deadline_s = time.monotonic() + 2
    while True:
        served, declined = bench.box.requests()
        if declined != declined_before:
            raise RowFailed("a timed search was declined")
        if served - served_before == 2 * rounds + 1:
            return times
        # The daemon counts a search after its client has gone.
        if time.monotonic() > deadline_s:
            raise RowFailed(f"{served - served_before} of {2 * rounds + 1} timed searches were served")
        time.sleep(0.01)


def _lines(stdout: bytes) -> list[bytes]:
    return sorted(_ELAPSED.sub(b"", stdout).split(b"\n"))


def _placeless(word: str, tree: Corpus) -> str:
    return word.replace(str(tree.path), "TREE")
