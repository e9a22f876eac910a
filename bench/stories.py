"""Attaching, changing, restarting, sharing: the figures of a daemon's life that are no query's.

Each function makes one Scenario with a new daemon. Searches in them are single shots, traced, and compared with the
real ripgrep afterwards: one that was declined or wrong fails the scenario.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench import corpora, draw
from bench.corpora import Corpus
from bench.goals import Goal
from bench.measure import Bench
from bench.programs import REAL_RG
from bench.scenario import MB, Scenario, ScenarioFailed, Stage, play
from bench.spread import Spread

_WORKTREES = 10
_RESTART_S = 60.0
_INDEX_S = 60.0
_SETTLED_S = 30.0


def attached(stage: Stage, tree: Corpus) -> Scenario:
    """Loading, the first search after it, the index, memory."""

    def story(scenario: Scenario) -> None:
        words = draw.of(tree)
        with stage.bench() as bench:
            idle_bytes = bench.box.resident_bytes()
            attach_s = bench.box.attach(tree.path)
            attached_s = time.monotonic()
            loaded_bytes = bench.box.resident_bytes()
            first_us = _searched(bench, ["-n", words.rare()], tree.path)
            second_us = _searched(bench, ["-n", words.rare()], tree.path)
            index_s = bench.box.wait_indexed(attached_s)
            status = bench.box.control("status")
            text_bytes = int(status["store"]["text_bytes"])
            resident_bytes = bench.box.resident_bytes()
            scenario.figures.update(
                files=sum(int(workspace["files"]) for workspace in status["workspaces"]),
                text_mb=text_bytes / MB,
                attach_s=attach_s,
                attach_mb_per_s=text_bytes / MB / attach_s,
                first_search_ms=first_us / 1000,
                next_search_ms=second_us / 1000,
                idle_mb=idle_bytes / MB,
                loaded_mb=loaded_bytes / MB,
                resident_mb=resident_bytes / MB,
                resident_per_text=resident_bytes / text_bytes,
                index_s=index_s,
            )
            if index_s:
                indexed = int(status["store"]["indexed_text_bytes"])
                rate = indexed / MB / index_s / (os.cpu_count() or 1)
                scenario.figures.update(
                    index_per_text=int(status["store"]["index_bytes"]) / max(1, indexed), index_mb_per_s_per_core=rate
                )
                if tree.name != "flask":  # a megabyte takes no time at all, but status tells of it only now and then
                    scenario.goals.append(Goal("index, MB/s per core", rate, 100, True))
            if tree.name == "linux":
                scenario.goals.append(Goal("resident / text, indexed", resident_bytes / text_bytes, 1.35))

    return play(Scenario(f"attach-{tree.name}", f"{tree.name}: attach, first search, index, memory"), story)


def changed(stage: Stage, tree: Corpus, counts: tuple[int, ...] = (1, 100, 10_000)) -> Scenario:
    """The search that follows at once on a line appended to so many files. A tree with fewer files is copied twice."""

    def story(scenario: Scenario) -> None:
        copy = corpora.copies(tree.path, 1 if tree.name == "linux" else 2, f"{tree.name}-written")
        try:
            files = _files(copy)
            chance = random.Random(7)
            with stage.bench() as bench:
                bench.box.attach(copy)
                bench.box.wait_indexed()
                _settled(bench, copy)
                for count in counts:
                    rounds = (1 if count > 100 else 3) if stage.quick else (3 if count > 100 else 10)
                    total_us, barrier_us = [], []
                    for turn in range(rounds):
                        word = f"curservebench{count}x{turn}"
                        for file in _texts(chance, files, count):
                            with open(file, "ab") as out:
                                out.write(f"\n{word}\n".encode())
                        run, trace = bench.traced(["-l", word], str(copy), read_stdout=True)
                        if not trace["served"]:
                            raise ScenarioFailed(f"declined after {count} changed files: {trace['reason']}")
                        real = bench.ask(REAL_RG, ["-l", word], str(copy))
                        if real.matches != count or len(real.stdout) != run.stdout_bytes:
                            raise ScenarioFailed(f"after {count} changed files: {run.stdout_bytes} bytes of names, "
                                                 f"ripgrep's {len(real.stdout)}")  # fmt: skip
                        total_us.append(run.us)
                        barrier_us.append(trace["us"]["barrier"])
                    scenario.figures[f"after_{count}_ms"] = Spread.of(total_us).median / 1000
                    scenario.figures[f"after_{count}_barrier_ms"] = Spread.of(barrier_us).median / 1000
                    if count == 10_000:
                        scenario.goals.append(Goal("after 10,000 changed files, ms", max(total_us) / 1000, 400))
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    return play(Scenario(f"changed-{tree.name}", f"{tree.name}: the search right after files were changed"), story)


def restarted(stage: Stage, tree: Corpus) -> Scenario:
    """From the start of a new daemon to its first answer about the whole tree, the last one having ended in order."""

    def story(scenario: Scenario) -> None:
        words = draw.of(tree)
        # A part of the tree is asked for until it is served: a search that is declined costs the real rg little there.
        part = min((path for path in tree.path.iterdir() if path.is_dir() and path.name[0] != "."), key=_entries)
        with stage.bench() as bench:
            scenario.figures["cold_s"] = bench.box.attach(tree.path)
            bench.box.wait_indexed()
            cold_bytes = bench.box.resident_bytes()
            _saved(bench)
            begun_s = time.monotonic()
            bench.box.stop()
            scenario.figures["daemon_stop_s"] = time.monotonic() - begun_s
            begun_s = time.monotonic()
            bench.box.start()
            scenario.figures["daemon_start_s"] = time.monotonic() - begun_s
            word = words.rare()
            while not bench.traced(["-n", word], str(part))[1]["served"]:
                if time.monotonic() - begun_s > _RESTART_S:
                    raise ScenarioFailed("still declined")
            _searched(bench, ["-n", word], tree.path)
            took_s = time.monotonic() - begun_s
            found = bench.box.control("workspaces")["workspaces"][0]
            scenario.figures.update(
                served_after_s=took_s,
                files_read=int(found["reads"]),
                snapshot_mb=int(bench.box.control("status")["snapshot"]["bytes"]) / MB,
                cold_resident_mb=cold_bytes / MB,
                resident_mb=bench.box.resident_bytes() / MB,
            )
            bench.compared(["-n", word], str(tree.path))
            if tree.name == "linux":
                scenario.goals.append(Goal("served after a restart, s", took_s, 1))

    return play(Scenario(f"restart-{tree.name}", f"{tree.name}: daemon started again"), story)


def _entries(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*"))


def _settled(bench: Bench, tree: Path) -> None:
    """Returns when no file is so young that each search compares it by stat (a tree just copied, for 10 s).
    ScenarioFailed."""
    deadline_s = time.monotonic() + _SETTLED_S
    while True:
        bench.traced(["-l", "nothing of the kind"], str(tree))
        if bench.box.control("workspaces")["workspaces"][0]["unsettled"] == 0:
            return
        if time.monotonic() > deadline_s:
            raise ScenarioFailed("files stay unsettled")
        time.sleep(0.5)


def _saved(bench: Bench) -> None:
    """Returns when the daemon has nothing left to save. ScenarioFailed."""
    deadline_s = time.monotonic() + _RESTART_S
    while int(bench.box.control("status")["snapshot"]["trees"]) == 0:
        if time.monotonic() > deadline_s:
            raise ScenarioFailed("no snapshot")
        time.sleep(0.05)


def shared(stage: Stage, tree: Corpus) -> Scenario:
    """Ten worktrees of one repository: what each further one costs."""

    def story(scenario: Scenario) -> None:
        folders = corpora.worktrees(tree.path, _WORKTREES, f"{tree.name}-worktrees")
        try:
            words = draw.of(tree)
            with stage.bench() as bench:
                idle_bytes = bench.box.resident_bytes()
                first_s = bench.box.attach(folders[0])
                first_whole_s = _indexed_after_s(bench, folders[0])
                one_bytes = bench.box.settled_bytes()
                further_s, further_whole_s = [], []
                for folder in folders[1:]:
                    further_s.append(bench.box.attach(folder))
                    further_whole_s.append(_indexed_after_s(bench, folder))
                ten_bytes = bench.box.settled_bytes()
                for folder in (folders[0], folders[-1]):
                    bench.compared(["-n", words.rare()], str(folder))
            further, whole, slowest_s = Spread.of(further_s), Spread.of(further_whole_s), max(further_whole_s)
            scenario.figures.update(
                first_attach_s=first_s,
                further_attach_s=further.median,
                slowest_further_attach_s=max(further_s),
                first_whole_s=first_whole_s,
                further_whole_s=whole.median,
                slowest_further_whole_s=slowest_s,
                idle_mb=idle_bytes / MB,
                one_mb=one_bytes / MB,
                ten_mb=ten_bytes / MB,
                ten_per_one=ten_bytes / one_bytes,
            )
            scenario.goals.append(Goal("memory of ten / of one", ten_bytes / one_bytes, 1.15))
            scenario.goals.append(
                Goal("first / each further attach, text and index", first_whole_s / slowest_s, 5, True)
            )
            scenario.goals.append(Goal("first / further attach, until served", first_s / further.median, 5, True))
        finally:
            shutil.rmtree(folders[0].parent, ignore_errors=True)

    return play(Scenario(f"worktrees-{tree.name}", f"{tree.name}: ten worktrees"), story)


def _indexed_after_s(bench: Bench, folder: Path) -> float:
    """Seconds from the beginning of the folder's load until its text and its index were there."""
    deadline_s = time.monotonic() + _INDEX_S
    time.sleep(0.3)  # status is work, too, and must not be in its way
    while time.monotonic() < deadline_s:
        for workspace in bench.box.control("status")["workspaces"]:
            if workspace["root"] == os.path.realpath(folder) and workspace["indexed_after_s"] is not None:
                return float(workspace["indexed_after_s"])
        time.sleep(0.005)
    raise ScenarioFailed(f"{folder.name} gets no index")


def _searched(bench: Bench, argv: list[str], folder: Path) -> float:
    """Microseconds of one search that was served."""
    run, trace = bench.traced(argv, str(folder))
    if not trace["served"]:
        raise ScenarioFailed(f"declined: {trace['reason']}")
    return run.us


def _texts(chance: random.Random, files: list[Path], count: int) -> Iterator[Path]:
    """So many of the files, none binary: there the new line would come behind the first NUL. ScenarioFailed."""
    for file in chance.sample(files, len(files)):
        if count == 0:
            return
        if b"\0" not in file.read_bytes():
            yield file
            count -= 1
    if count:
        raise ScenarioFailed("the tree has too few text files")


def _files(tree: Path) -> list[Path]:
    listed = subprocess.run([REAL_RG, "--no-config", "--files", "--null"], cwd=tree, capture_output=True, check=True)
    names = sorted(listed.stdout.split(b"\0")[:-1])
    return [tree / os.fsdecode(name) for name in names]
