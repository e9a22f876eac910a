"""What the shim costs: a search that is declined at once, beside ripgrep alone; one that is served, beside the floor.

In: flask. Out: a Scenario. All programs of a comparison run in turn, in one run.
"""

from __future__ import annotations

from bench import draw
from bench.corpora import Corpus
from bench.goals import Goal
from bench.measure import Bench
from bench.programs import REAL_RG
from bench.scenario import Scenario, ScenarioFailed, Stage, play
from bench.spread import Spread
from bench.turns import turns

_DECLINED = ["--pcre2-version"]
"""Declined by the daemon for its argv alone, and the least work that ripgrep can be given."""
_ROUNDS = 500


def declined_and_served(stage: Stage, tree: Corpus) -> Scenario:
    """The scenario. 500 rounds, 50 when quick."""

    def story(scenario: Scenario) -> None:
        with stage.bench() as bench:
            bench.box.attach(tree.path)
            bench.box.wait_indexed()
            search = ["-n", draw.of(tree).rare()]
            bench.compared(search, str(tree.path))
            _, trace = bench.traced(_DECLINED, str(tree.path))
            if trace["served"]:
                raise ScenarioFailed(f"{_DECLINED} was served")
            medians = _medians(stage, bench, str(tree.path), search)
        over_ms = {name: (medians[name] - medians["rg"]) / 1000 for name in ("declined", "no_daemon", "disabled")}
        scenario.figures.update({f"{name}_ms": median / 1000 for name, median in medians.items()})
        scenario.figures["served_per_floor"] = medians["served"] / medians["floor"]
        scenario.goals += [Goal(f"{name} over rg alone, ms", over, 1) for name, over in over_ms.items()]
        scenario.goals.append(Goal("served / floor", medians["served"] / medians["floor"], 2))

    return play(Scenario("overhead", f"{tree.name}: what the shim costs, declined and served"), story)


def _medians(stage: Stage, bench: Bench, folder: str, search: list[str]) -> dict[str, float]:
    """Median microseconds by program."""
    env = bench.box.env
    programs: dict[str, tuple[list[str], dict[str, str]]] = {
        "floor": ([stage.floor], env),
        "served": ([stage.shim, *search], env),
        "rg": ([REAL_RG, *_DECLINED], env),
        "declined": ([stage.shim, *_DECLINED], env),
        "no_daemon": ([stage.shim, *_DECLINED], {**env, "CURSERVE_SOCKET": f"{bench.box.socket}.none"}),
        "disabled": ([stage.shim, *_DECLINED], {**env, "CURSERVE_DISABLE": "1"}),
    }
    names = list(programs)
    times: dict[str, list[float]] = {name: [] for name in names}
    rounds = _ROUNDS // 10 if stage.quick else _ROUNDS
    served_before, declined_before = bench.box.requests()
    for count in range(rounds):
        for name in turns(names, count):
            argv, environment = programs[name]
            times[name].append(stage.runner.run(argv, folder, environment).us)
    served, declined = bench.box.requests()
    # The daemon counts the last search after its client has gone.
    if served - served_before < rounds - 1 or declined - declined_before < rounds - 1:
        raise ScenarioFailed(f"{served - served_before} served, {declined - declined_before} declined of {rounds} each")
    return {name: Spread.of(series).median for name, series in times.items()}
