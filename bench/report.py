"""A run for people: tables on the terminal, and the README's section of numbers.

In: what measuring gave, as its JSON has it; so an old run prints as a new one does. Times are medians.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

BEGIN = "<!-- numbers: from here to the next mark written by `make bench ARGS='--readme bench/runs/FILE'` -->"
END = "<!-- /numbers -->"
_README_ROWS = ("rare-qwen", "common", "three", "capitals", "blank", "files", "list", "lines")
_TREES = {"flask": "flask", "django": "Django", "linux": "Linux"}

Facts = Mapping[str, Any]


def one_line(row: Facts) -> str:
    """A row as progress shows it."""
    head = f"{row['tree']:7} {row['title']:32}"
    if row["failed"]:
        return f"{head} failed: {row['failed'][:200]}"
    unmet = sum(not goal["met"] for goal in row["goals"])
    parts = []
    for sink, us in row["us"].items():
        at = {side: spread["median"] for side, spread in us.items()}
        parts.append(f"{sink} rg {_ms(at['rg'])} fresh {_ms(at['fresh'])} repeated {_ms(at['repeated'])}")
    return f"{head} {' | '.join(parts)} ms{f'  ({unmet} goals not met)' if unmet else ''}"


def show(run: Facts, console: Console) -> None:
    """Everything, in tables."""
    sinks = [sink for sink in ("null", "pipe") if any(sink in row["us"] for row in run["rows"])]
    for sink in sinks:
        console.print(_row_table(run["rows"], sink))
    if run["scenarios"]:
        console.print(_scenario_table(run["scenarios"]))
    for part in (*run["rows"], *run["scenarios"]):
        for line in _unmet(part):
            console.print(f"not met: {line}", markup=False)
        if part["failed"]:
            console.print(f"FAILED: {part.get('tree', '')} {part['title']}: {part['failed']}", markup=False)
    met, of = run["goals"]["met"], run["goals"]["of"]
    console.print(f"goals met: {met} of {of}; {run['machine']['cores']} cores, commit {run['commit']}")


def _row_table(rows: Iterable[Facts], sink: str) -> Table:
    where = {"null": "/dev/null", "pipe": "a pipe that is read"}[sink]
    table = Table(title=f"spawn to exit, stdout to {where}: medians in ms ± half of p10 to p90; n: new, a: again")
    for name in ("tree", "search"):
        table.add_column(name)
    for name in ("matches", "rg", "n", "a", "rg/n", "rg/a", "n/floor", "a/floor", "daemon n", "a"):
        table.add_column(name, justify="right")
    table.add_column("goals")
    for row in rows:
        if sink not in row["us"] or row["failed"]:
            continue
        us = row["us"][sink]
        rg, fresh, repeated, floor = (us[side]["median"] for side in ("rg", "fresh", "repeated", "floor"))
        goals = [goal for goal in row["goals"] if goal["what"].endswith(f"({sink})")]
        table.add_row(
            _TREES.get(row["tree"], row["tree"]),
            row["title"],
            f"{row['matches']:,}",
            *(_spread(us[side]) for side in ("rg", "fresh", "repeated")),
            *(f"{rg / ours:.1f}" for ours in (fresh, repeated)),
            *(f"{ours / floor:.1f}" for ours in (fresh, repeated)),
            *(_ms(row["daemon_us"][side]["daemon"]["median"]) for side in ("fresh", "repeated")),
            f"{sum(goal['met'] for goal in goals)} of {len(goals)}",
        )
    return table


def _scenario_table(scenarios: Iterable[Facts]) -> Table:
    table = Table(title="beside the queries")
    table.add_column("what")
    table.add_column("figures")
    for scenario in scenarios:
        figures = ", ".join(f"{name} {_figure(value)}" for name, value in scenario["figures"].items())
        table.add_row(scenario["title"], figures)
    return table


def readme(run: Facts, file: str) -> str:
    """The README's section between its two marks, marks included. file: the run's place in the project."""
    machine = run["machine"]
    lines = [
        BEGIN,
        f"Medians, spawn to exit, stdout to /dev/null, on {machine['cores']} cores; all of them, and the rules, in",
        f"[{file}]({file}). *New*: nobody has asked it before; *again*: the same search once more.",
        "",
        "| search | tree | ripgrep 15.2.0 | new | again | matches |",
        "|---|---|--:|--:|--:|--:|",
    ]
    rows = {(row["row"], row["tree"]): row for row in run["rows"]}
    for key in _README_ROWS:
        for tree, name in _TREES.items():
            row = rows.get((key, tree))
            if row is None or row["failed"] or "null" not in row["us"]:
                continue
            us = row["us"]["null"]
            times = [f"{_ms(us[side]['median'])} ms" for side in ("rg", "fresh", "repeated")]
            title = row["title"].replace("|", "\\|")
            lines.append(f"| {title} | {name} | {' | '.join(times)} | {row['matches']:,} |")
    return "\n".join([*lines, END])


def with_section(text: str, section: str) -> str:
    """The README with the section in its place. ValueError when it has no marks."""
    begin, end = text.find("<!-- numbers"), text.find(END)
    if begin < 0 or end < begin:
        raise ValueError("the README has no place for the numbers")
    return text[:begin] + section + text[end + len(END) :]


def _unmet(part: Facts) -> Iterator[str]:
    """What a row or scenario should have shown and did not."""
    name = f"{part['tree']}: {part['title']}" if "tree" in part else part["title"]
    for goal in part["goals"]:
        if not goal["met"]:
            sign = "<" if goal["at_least"] else ">"
            yield f"{name}: {goal['what']} {_figure(goal['figure'])} {sign} {goal['limit']:g}"


def _spread(spread: Facts) -> str:
    half = (spread["p90"] - spread["p10"]) / 2 / spread["median"]
    return f"{_ms(spread['median'])} ±{half:.0%}"


def _ms(us: float) -> str:
    """Microseconds as milliseconds, with three digits that count."""
    ms = us / 1000
    return f"{ms:.2f}" if ms < 10 else f"{ms:.1f}" if ms < 100 else f"{ms:.0f}"


def _figure(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"
