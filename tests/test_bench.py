"""The benchmarks measure what they say: rows ask new questions, failures show, the README's numbers are a run's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

from bench import goals, report  # noqa: E402
from bench.corpora import Corpus  # noqa: E402
from bench.draw import Draw, OutOfWords  # noqa: E402
from bench.programs import Runner, RunnerError  # noqa: E402
from bench.rows import ROWS  # noqa: E402
from bench.spread import Spread, quantile  # noqa: E402
from bench.turns import turns  # noqa: E402

WORDS = {f"rare_word_{number}": 2 for number in range(400)} | {f"medium_word_{number}": 50 for number in range(30)}


def test_spread():
    spread = Spread.of([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (spread.median, spread.n) == (3.0, 5)
    assert spread.p10 == pytest.approx(1.4) and spread.p90 == pytest.approx(4.6)
    assert quantile([7.0], 0.99) == 7.0
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6])
def test_turns_are_balanced(size: int):
    """Each program in each place, and each right behind each other, equally often."""
    programs = [f"program {number}" for number in range(size)]
    rounds = [turns(programs, count) for count in range(size * (1 + size % 2))]
    assert all(sorted(order) == programs for order in rounds)
    places = Counter((place, name) for order in rounds for place, name in enumerate(order))
    behind = Counter(pair for order in rounds for pair in pairwise(order))
    assert len(places) == size * size and len(set(places.values())) == 1
    assert len(behind) == size * (size - 1) and len(set(behind.values())) == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
@pytest.mark.parametrize("name", ["flask", "linux"])
def test_every_repetition_asks_something_new(name: str, row):
    tree, draw = Corpus(name, Path("/tree"), "1"), Draw(WORDS)
    asked = {tuple(row.argv(tree, row.plain(tree, draw)))}
    for _ in range(100):
        asked.add(tuple(row.argv(tree, row.fresh(tree, draw))))
    assert len(asked) == 101
    assert all("TREE" not in word and word for argv in asked for word in argv)


def test_marks_and_spellings_leave_matches_alone():
    draw = Draw({})
    for _ in range(200):
        assert re.fullmatch(draw.spelling("return"), "return")
        assert not re.search(f"[{draw.mark()}]", "".join(map(chr, range(9, 14))) + "".join(map(chr, range(32, 127))))
    with pytest.raises(OutOfWords):
        draw.rare()


def test_keys_are_unique():
    assert len({row.key for row in ROWS}) == len(ROWS)


def test_goals():
    medians = {"rg": 7500.0, "fresh": 500.0, "repeated": 400.0, "floor": 200.0}
    met = {goal.what: goal.met for goal in goals.of_row("flask", "rare-qwen", "null", medians)}
    assert met == {"faster than rg, times": True, "fresh / floor": True, "repeated / floor": True}
    medians["repeated"] = 8000.0
    met = {goal.what: goal.met for goal in goals.of_row("flask", "rare-qwen", "null", medians)}
    assert met == {"faster than rg, times": False, "fresh / floor": True, "repeated / floor": False}
    (goal,) = goals.of_row("linux", "common", "pipe", {"rg": 1000.0, "fresh": 240.0, "repeated": 100.0, "floor": 1.0})
    assert goal.limit == 4 and goal.met and goal.figure == pytest.approx(1000 / 240)


def test_runner(tmp_path: Path):
    with Runner() as runner:
        run = runner.run(
            ["/bin/sh", "-c", 'pwd; echo "$WORD"; exit 3'], str(tmp_path), {"WORD": "hé"}, read_stdout=True
        )
        assert (run.code, run.stdout_bytes) == (3, len(str(tmp_path)) + 1 + 4)
        assert runner.run(["/bin/sh", "-c", "echo unread"], "/", {}).stdout_bytes == 0
        assert 40_000 < runner.run(["/bin/sleep", "0.05"], "/", {}).us < 10_000_000
        with pytest.raises(RunnerError, match="could not be started"):
            runner.run(["/no/such/program"], "/", {})
        with pytest.raises(RunnerError, match="signal"):
            runner.run(["/bin/sh", "-c", "kill -9 $$"], "/", {})
        assert runner.run(["/bin/true"], "/", {}).code == 0


def test_a_quick_run(tmp_path: Path, flask: Path):
    file = tmp_path / "run.json"
    program = 'import runpy, sys; sys.path.append("."); runpy.run_module("bench", run_name="__main__", alter_sys=True)'
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, "--quick", "--corpora", "flask", "--rows", "flask/rare*", "--json", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = json.loads(file.read_text())
    assert [row["row"] for row in run["rows"]] == ["rare-qwen", "rare-gemini", "rare"]
    for row in run["rows"]:
        assert row["failed"] is None
        assert {side: spread["n"] for side, spread in row["us"]["pipe"].items()}.keys() == {
            "rg", "fresh", "repeated", "floor"
        }  # fmt: skip
        assert row["daemon_us"]["fresh"]["daemon"]["median"] > 0
    assert str(ROOT) not in file.read_text()
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    filled = report.with_section(text, report.readme(run, "bench/runs/x.json"))
    assert filled.startswith("before\n<!-- numbers") and filled.endswith(report.END + "\nafter\n")
    assert "| rare word, qwen | flask |" in filled and "old" not in filled


def test_the_readmes_numbers_are_those_of_the_run_it_names():
    text = (ROOT / "README.md").read_text()
    named = re.search(r"\[(bench/runs/[^\]]+\.json)\]", text)
    if named is None:
        pytest.skip("no run is recorded yet")
    run = json.loads((ROOT / named.group(1)).read_text())
    assert report.with_section(text, report.readme(run, named.group(1))) == text
    assert "-dirty" not in run["commit"] and not run["quick"]
