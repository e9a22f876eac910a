"""A hundred clients: each sends a burst of eight searches every ten seconds, at a phase of its own.

In: a tree. Out: a Scenario with the latencies (spawn to exit, each search's own) of one client alone and of all. Every
search is another rare word. The programs are spawned by a pool of runners, so that the clock is in a small process and
Python only says when; a search that has to wait for a free runner is counted as late and said so.
"""

from __future__ import annotations

import queue
import random
import threading
import time

from bench import draw
from bench.corpora import Corpus
from bench.goals import Goal
from bench.programs import Runner, RunnerError
from bench.scenario import Scenario, ScenarioFailed, Stage, play
from bench.spread import Spread, quantile

CLIENTS = 100
BURST = 8
PERIOD_S = 10.0
_RUNNERS = 48
"""Searches under way at once at most: six bursts that coincide."""


def crowded(stage: Stage, tree: Corpus) -> Scenario:
    """The scenario; 30 seconds of it, or 10 when quick."""

    def story(scenario: Scenario) -> None:
        words = draw.of(tree)
        seconds = PERIOD_S if stage.quick else 3 * PERIOD_S
        with stage.bench() as bench:
            bench.box.attach(tree.path)
            bench.box.wait_indexed()
            bench.compared(["-n", words.rare()], str(tree.path))
            alone_us = [
                stage.runner.run([stage.shim, "-n", words.rare()], str(tree.path), bench.box.env).us
                for _ in range(50 if stage.quick else 200)
            ]
            served_before, declined_before = bench.box.requests()
            times_us, late = _crowd(stage.shim, tree, bench.box.env, words, seconds)
            time.sleep(0.2)  # the daemon counts a search after its client has gone
            served, declined = bench.box.requests()
        alone = Spread.of(alone_us)
        p50_us, p99_us = quantile(times_us, 0.5), quantile(times_us, 0.99)
        scenario.figures.update(
            searches=len(times_us),
            declined=declined - declined_before,
            late=late,
            alone_p50_ms=alone.median / 1000,
            alone_p99_ms=quantile(alone_us, 0.99) / 1000,
            p50_ms=p50_us / 1000,
            p90_ms=quantile(times_us, 0.9) / 1000,
            p99_ms=p99_us / 1000,
        )
        if served - served_before != len(times_us):
            raise ScenarioFailed(f"{served - served_before} of {len(times_us)} searches were served")
        scenario.goals.append(Goal("p50 over one client's, ms", (p50_us - alone.median) / 1000, 2))
        scenario.goals.append(Goal("p99 over one client's, ms", (p99_us - alone.median) / 1000, 15))

    return play(Scenario(f"clients-{tree.name}", f"{tree.name}: {CLIENTS} clients in bursts of {BURST}"), story)


def _crowd(shim: str, tree: Corpus, env: dict[str, str], words: draw.Draw, seconds: float) -> tuple[list[float], int]:
    """Microseconds of every search, and how many had to wait for a runner."""
    jobs: queue.Queue[tuple[str, float] | None] = queue.Queue()
    times_us: list[float] = []
    failures: list[RunnerError] = []
    late: list[float] = []

    def work() -> None:
        with Runner() as runner:
            while (job := jobs.get()) is not None:
                word, due_s = job
                if time.monotonic() - due_s > 0.005:
                    late.append(due_s)
                try:
                    times_us.append(runner.run([shim, "-n", word], str(tree.path), env).us)
                except RunnerError as error:
                    failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(_RUNNERS)]
    for thread in threads:
        thread.start()
    chance = random.Random(11)
    phases = [chance.uniform(0, PERIOD_S) for _ in range(CLIENTS)]
    bursts = sorted(
        phase + turn * PERIOD_S for phase in phases for turn in range(round(seconds / PERIOD_S))
    )  # fmt: skip
    begun_s = time.monotonic()
    try:
        for at_s in bursts:
            time.sleep(max(0.0, begun_s + at_s - time.monotonic()))
            now_s = time.monotonic()
            for _ in range(BURST):
                jobs.put((words.rare(), now_s))
    finally:
        for _ in threads:
            jobs.put(None)
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    return times_us, len(late)
