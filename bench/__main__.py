"""`make bench`, or python -m bench: curserve beside ripgrep 15.2.0, in one run on one machine.

In: the command line below. Out: tables on stdout, progress on stderr, a run as JSON where asked for; exit status 1 when
a row or a scenario failed (was declined, or wrong), 0 otherwise, whether or not every goal is met.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import clients, corpora, draw, fairness, machine, overhead, report, stories
from bench.box import Box
from bench.corpora import Corpus
from bench.measure import FULL, QUICK, Bench, RowResult, measure
from bench.programs import ROOT, Runner, built
from bench.rows import ROWS
from bench.scenario import Scenario, Stage

RUNS = ROOT / "bench" / "runs"
_FORMAT = 1
_QUIET_LOAD = 1.5


def main() -> int:
    """The exit status."""
    wanted = _arguments()
    console, progress = Console(), Console(stderr=True, highlight=False)
    if wanted.show:
        report.show(json.loads(wanted.show.read_text()), console)
        return 0
    if wanted.readme:
        run = json.loads(wanted.readme.read_text())
        place = wanted.readme.resolve().relative_to(ROOT).as_posix()
        readme = ROOT / "README.md"
        readme.write_text(report.with_section(readme.read_text(), report.readme(run, place)))
        return 0
    if os.getloadavg()[0] > _QUIET_LOAD:
        progress.print(f"note: the machine is busy (load {os.getloadavg()[0]:.1f}); times will tell more of that")
    run = _measured(wanted, progress)
    report.show(run, console)
    text = json.dumps(run, indent=1, ensure_ascii=False) + "\n"
    if wanted.json:
        wanted.json.write_text(text)
    if wanted.record:
        RUNS.mkdir(exist_ok=True)
        file = RUNS / f"{run['date'][:10]}-{run['commit']}.json"
        file.write_text(text)
        console.print(f"recorded in {file.relative_to(ROOT)}")
    return 1 if any(part["failed"] for part in (*run["rows"], *run["scenarios"])) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measures curserve beside ripgrep.")
    parser.add_argument("--quick", action="store_true", help="few repetitions: does it work, and about how fast")
    parser.add_argument(
        "--rows", metavar="GLOB", default="*", help="only rows or scenarios whose key matches, by tree/key or key"
    )
    parser.add_argument(
        "--corpora",
        metavar="NAMES",
        default=",".join(corpora.NAMES),
        help=f"comma-separated, of {', '.join(corpora.NAMES)} (all; linux is 1.5 GB on disk and as much in memory)",
    )
    parser.add_argument("--only", choices=("rows", "scenarios"), help="leave out the other half")
    parser.add_argument(
        "--limit", metavar="MINUTES", type=float, default=20, help="skip what has not begun by then (20)"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the run to FILE")
    parser.add_argument("--record", action="store_true", help="write the run to bench/runs/DATE-COMMIT.json")
    parser.add_argument("--show", metavar="RUN", type=Path, help="print a run that was recorded; measure nothing")
    parser.add_argument("--readme", metavar="RUN", type=Path, help="write a run's numbers into README.md")
    wanted = parser.parse_args()
    unknown = set(wanted.corpora.split(",")) - set(corpora.NAMES)
    if unknown:
        parser.error(f"no such tree: {', '.join(sorted(unknown))}")
    return wanted


def _measured(wanted: argparse.Namespace, progress: Console) -> dict[str, Any]:
    """A run, as JSON keeps it."""
    begun_s = time.monotonic()
    run: dict[str, Any] = {
        "format": _FORMAT,
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": machine.commit(),
        "quick": wanted.quick,
        "machine": machine.facts(),
        "rows": [],
        "scenarios": [],
    }
    trees = [corpora.corpus(name, progress.print) for name in corpora.NAMES if name in wanted.corpora.split(",")]
    run["trees"] = [{"tree": tree.name, "version": tree.version} for tree in trees]
    late: list[str] = []

    def is_wanted(tree: str, key: str) -> bool:
        if not fnmatch.fnmatchcase(key, wanted.rows) and not fnmatch.fnmatchcase(f"{tree}/{key}", wanted.rows):
            return False
        if time.monotonic() - begun_s > wanted.limit * 60:
            late.append(f"{tree}/{key}")
            return False
        return True

    with Runner() as runner:
        stage = Stage(runner, machine.shim(), str(built("bench/floor.c")), wanted.quick)
        if wanted.only != "scenarios":
            for tree in trees:
                run["rows"] += [row.facts() for row in _rows(stage, tree, is_wanted, progress)]
        if wanted.only != "rows":
            for key, tell in _scenarios(stage, trees):
                if is_wanted(key.partition("-")[2], key):
                    scenario = tell()
                    progress.print(f"{scenario.title}: {scenario.failed or 'measured'}", markup=False)
                    run["scenarios"].append(scenario.facts())
    goals = [goal for part in (*run["rows"], *run["scenarios"]) for goal in part["goals"]]
    run["goals"] = {"met": sum(goal["met"] for goal in goals), "of": len(goals)}
    run["took_s"] = round(time.monotonic() - begun_s, 1)
    run["out_of_time"] = late
    if late:
        progress.print(f"out of time, not measured: {', '.join(late)}")
    return run


def _rows(stage: Stage, tree: Corpus, is_wanted: Callable[[str, str], bool], progress: Console) -> list[RowResult]:
    """All rows of a tree, against one daemon that holds only it."""
    chosen = [row for row in ROWS if is_wanted(tree.name, row.key)]
    if not chosen:
        return []
    progress.print(f"{tree.name} {tree.version}: attaching")
    words = draw.of(tree)
    results = []
    with Box() as box:
        box.attach(tree.path)
        box.wait_indexed()
        bench = Bench(box, stage.runner, stage.shim, stage.floor)
        for row in chosen:
            if is_wanted(tree.name, row.key):
                results.append(measure(bench, tree, row, words, QUICK if stage.quick else FULL))
                progress.print(report.one_line(results[-1].facts()), markup=False)
    return results


def _scenarios(stage: Stage, trees: list[Corpus]) -> list[tuple[str, Callable[[], Scenario]]]:
    """Those that these trees allow: key, and what makes it."""
    by_name = {tree.name: tree for tree in trees}
    stories_told: list[tuple[str, Callable[[], Scenario]]] = []

    def add(key: str, tell: Callable[[Stage, Corpus], Scenario], name: str) -> None:
        if name in by_name:
            stories_told.append((key, lambda: tell(stage, by_name[name])))

    add("overhead", overhead.declined_and_served, "flask")
    for name in corpora.NAMES:
        add(f"attach-{name}", stories.attached, name)
    for name in ("linux", "django"):
        if name in by_name:
            add(f"changed-{name}", stories.changed, name)
            add(f"restart-{name}", stories.restarted, name)
            break
    add("worktrees-django", stories.shared, "django")
    add("clients-django", clients.crowded, "django")
    add("fair-django", fairness.fair, "django")
    return stories_told


if __name__ == "__main__":
    sys.exit(main())
