"""One agent's bursts of heavy searches, and what another agent's searches take meanwhile.

In: a tree. Out: a Scenario with the medians of a quiet agent's searches, light and heavy ones, alone and beside an
agent that sends bursts of eight heavy ones without a pause. The two are processes that lead sessions of their own
(agent.c), as the daemon tells agents apart. Alone and beside take turns, so that a busy machine is the same for both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from bench import draw
from bench.corpora import Corpus
from bench.crowd import BURST, Session
from bench.goals import Goal
from bench.scenario import Scenario, ScenarioFailed, Stage, play
from bench.spread import quantile

_ROUNDS = 6
_PATIENT = {"CURSERVE_TIMEOUT_MS": "60000"}
"""So that a search of the burst waits for its turn, and is no search of ripgrep's that nobody holds back."""


def fair(stage: Stage, tree: Corpus) -> Scenario:
    """The scenario."""

    def story(scenario: Scenario) -> None:
        words = draw.of(tree)
        marks = iter(range(1_000_000))

        def light() -> list[str]:
            return ["--no-config", "-n", words.rare()]

        def heavy() -> list[str]:
            """Every byte is looked at, and no cache knows the regex."""
            return ["--no-config", "-c", rf"[a-z]+ [a-z]+ \w+x$|^quiet{next(marks)}$"]

        with stage.bench() as bench:
            bench.box.attach(tree.path)
            bench.box.wait_indexed()
            env = bench.box.env | _PATIENT
            quiet = Session(stage.shim, env)
            try:
                times: dict[str, list[float]] = {}
                bursts = 0
                for _ in range(2 if stage.quick else _ROUNDS):
                    _take(times, "alone", quiet, tree.path, light, heavy)
                    with _Bursts(stage.shim, env, tree.path) as loud:
                        _take(times, "beside", quiet, tree.path, light, heavy)
                    bursts += loud.count
                _, declined = bench.box.requests()
            finally:
                quiet.close()
        if not bursts:
            raise ScenarioFailed("no burst was answered")
        scenario.figures.update(bursts=bursts, declined=declined)
        for kind in ("light", "heavy"):
            alone, beside = (quantile(times[f"{kind} {where}"], 0.5) / 1000 for where in ("alone", "beside"))
            scenario.figures.update({f"{kind}_alone_p50_ms": alone, f"{kind}_beside_p50_ms": beside})
            scenario.goals.append(Goal(f"{kind}: p50 beside a burst / alone", beside / alone, 2))

    return play(Scenario(f"fair-{tree.name}", f"{tree.name}: searches beside another agent's bursts"), story)


def _take(
    times: dict[str, list[float]], where: str, agent: Session, folder: Path, light: Callable[[], list[str]],
    heavy: Callable[[], list[str]],
) -> None:  # fmt: skip
    for kind, make, count in (("light", light, 60), ("heavy", heavy, 12)):
        for _ in range(count):
            answer = agent.search(folder, [make()])[0]
            if answer.code not in (0, 1):
                raise ScenarioFailed(f"a {kind} search ended with {answer.code}")
            times.setdefault(f"{kind} {where}", []).append(answer.us)


class _Bursts:
    """An agent that sends one burst after the other, from `with` to its end. count: bursts that were answered."""

    def __init__(self, shim: str, env: dict[str, str], folder: Path) -> None:
        self.count = 0
        self._session, self._folder = Session(shim, env), folder
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> _Bursts:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ending.set()
        self._thread.join()
        self._session.close()

    def _send(self) -> None:
        while not self._ending.is_set():
            turn = self.count * BURST
            burst = [["--no-config", "-c", rf"[a-z]+ [a-z]+ \w+y$|^loud{turn + at}$"] for at in range(BURST)]
            self._session.search(self._folder, burst)
            self.count += 1
