"""`make load`, or python -m bench.load: a hundred agents on twenty worktrees, and the daemon killed under them.

In: how many, for how long. Out: one line per part on stdout, the run as JSON where asked for; exit status 1 when an
answer was wrong or broken off. First part: searches in bursts of 8, edits, checkouts, attach, detach (crowd.py), with
the daemon's memory watched: what it has grown by between a fifth of the time and the end. Second part: the same, while
the daemon is killed (SIGKILL) at random times. The worktrees are of three repositories made from source distributions
(corpora.py). Of every search it is known who answered it, the daemon or the real rg, and why (CURSERVE_TRACE). Times
are of a machine that is busy with the agents themselves; their use is to be compared with each other.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import corpora, crowd, machine
from bench.box import Box
from bench.crowd import Ground, Tally
from bench.programs import REAL_RG, ROOT
from bench.spread import quantile

MB = 1_000_000
_LOOK_S = 0.5
_SETTLED_SHARE = 0.2
_CHANGED_FILES = 60
_GIT = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="bench.load", description="Many agents, and a daemon that is killed.")
    parser.add_argument("--seconds", type=float, default=300, help="of each part (300: ten minutes for both)")
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--worktrees", type=int, default=20)
    parser.add_argument("--repositories", default="flask,django,sqlalchemy", help="comma-separated")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds between bursts of an agent, in the mean (5)")
    parser.add_argument("--kill-every", type=float, default=20.0, help="seconds between two kills, in the mean (20)")
    parser.add_argument("--only", choices=("calm", "killed"), help="leave out the other part")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the run to FILE")
    parser.add_argument("--record", action="store_true", help="write the run to bench/runs/load-DATE-COMMIT.json")
    wanted = parser.parse_args()
    place = corpora.KEPT / f"load-{os.getpid()}"
    run: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": machine.commit(),
        "machine": machine.facts(),
        "agents": wanted.agents,
        "worktrees": wanted.worktrees,
        "repositories": wanted.repositories.split(","),
        "burst": crowd.BURST,
        "pause_s": wanted.pause,
        "parts": [],
    }
    try:
        grounds = _grounds(place, wanted.repositories.split(","), wanted.worktrees)
        for name, every_s in (("calm", None), ("killed", wanted.kill_every)):
            if wanted.only in (None, name):
                part = _part(name, grounds, wanted.agents, wanted.seconds, wanted.pause, every_s)
                run["parts"].append(part)
                print(json.dumps(part), flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    text = json.dumps(run, indent=1) + "\n"
    if wanted.json:
        wanted.json.write_text(text)
    if wanted.record:
        (ROOT / "bench" / "runs" / f"load-{run['date'][:10]}-{run['commit']}.json").write_text(text)
    return 1 if any(part["wrong"] or part["broken_off"] for part in run["parts"]) else 0


def _part(
    name: str, grounds: list[Ground], count: int, seconds: float, pause_s: float, kill_every_s: float | None
) -> dict[str, Any]:
    """One part's figures."""
    chance = random.Random(name)
    kills = 0
    resident: list[tuple[float, int]] = []
    with Box() as box:
        for ground in grounds:
            box.attach(ground.path)
        begun_s = time.monotonic()
        next_kill_s = begun_s + chance.uniform(0, 2) * kill_every_s if kill_every_s else float("inf")

        def meanwhile(left_s: float) -> None:
            nonlocal kills, next_kill_s
            time.sleep(min(_LOOK_S, left_s))
            resident.append((time.monotonic() - begun_s, box.resident_bytes()))
            if time.monotonic() >= next_kill_s and kill_every_s:
                os.kill(box.pid, signal.SIGKILL)
                box.wait()
                time.sleep(chance.uniform(0, 1))  # searches that find no daemon at all
                box.start()
                kills += 1
                next_kill_s = time.monotonic() + chance.uniform(0.2, 1.8) * kill_every_s

        trace = box.folder / "trace"
        tally = crowd.run(grounds, count, machine.shim(), box, seconds, pause_s, meanwhile, trace)
        status = box.control("status")
        ends = _ends(trace)
    return _facts(name, tally, resident, status, ends, kills, seconds)


def _ends(trace: Path) -> Counter[str]:
    """How many searches ended how, by what the shim itself says: served, broken_off, or the reason of a decline."""
    ends: Counter[str] = Counter()
    with trace.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            end = json.loads(line)
            # After the first byte there is no reason but a message.
            told = end["reason"] and end["reason"].startswith("curserve:")
            ends["served" if end["served"] else "broken_off" if told else end["reason"]] += 1
    return ends


def _facts(
    name: str,
    tally: Tally,
    resident: list[tuple[float, int]],
    status: dict[str, Any],
    ends: Counter[str],
    kills: int,
    seconds: float,
) -> dict[str, Any]:
    settled = [size for at_s, size in resident if at_s >= seconds * _SETTLED_SHARE] or [resident[-1][1]]
    tenth = max(1, len(settled) // 10)
    first, last = sorted(settled[:tenth])[tenth // 2], sorted(settled[-tenth:])[tenth // 2]
    return {
        "part": name,
        "seconds": seconds,
        "kills": kills,
        "searches": tally.searches,
        "exit_codes": {str(code): count for code, count in sorted(tally.codes.items())},
        "samples": tally.samples,
        "edits": tally.edits,
        "checkouts": tally.checkouts,
        "detaches": tally.detaches,
        "broken_off": ends.pop("broken_off", 0),
        "served": ends.pop("served", 0),
        "answered_by_rg": dict(sorted(ends.items())),  # by reason
        "p50_ms": round(quantile(tally.us, 0.5) / 1000, 2),
        "p90_ms": round(quantile(tally.us, 0.9) / 1000, 2),
        "p99_ms": round(quantile(tally.us, 0.99) / 1000, 2),
        "daemon_p99_us": status["requests"]["latency_us"]["total"]["p99"],
        "settled_mb": round(first / MB, 1),
        "end_mb": round(last / MB, 1),
        "grown": round(last / first, 3),
        "wrong": tally.wrong,
    }


def _grounds(place: Path, names: list[str], count: int) -> list[Ground]:
    """Worktrees of the repositories in turn, each at its commit `newer`, which differs from `older` in some files."""
    sources = []
    place.mkdir(parents=True)
    for name in names:
        source = place / name
        subprocess.run([*_GIT, "clone", "-q", "--local", str(corpora.corpus(name).path), str(source)], check=True)
        git = [*_GIT, "-C", str(source)]
        subprocess.run([*git, "tag", "older"], check=True)
        files = _python_files(source)
        for number, file in enumerate(files[:: max(1, len(files) // _CHANGED_FILES)]):
            if number % 10 == 0:
                file.unlink()
            elif number % 10 == 1:
                file.rename(file.with_name(f"moved_{file.name}"))
            else:
                file.write_text(file.read_text() + f"\n\ndef newer_{number}(request):\n    return request\n")
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "newer"], check=True)
        subprocess.run([*git, "tag", "newer"], check=True)
        sources.append(source)
    grounds = []
    for number, source in zip(range(count), itertools.cycle(sources), strict=False):
        path = place / f"{source.name}-{number}"
        subprocess.run([*_GIT, "-C", str(source), "worktree", "add", "-q", "--detach", str(path), "newer"], check=True)
        grounds.append(Ground(path, _python_files(path)))
    return grounds


def _python_files(tree: Path) -> list[Path]:
    listed = subprocess.run(
        [REAL_RG, "--no-config", "--files", "--null", "-t", "py", "--sort", "path"], cwd=tree, capture_output=True,
        check=True,
    )  # fmt: skip
    # A file that -t asks for is listed even when it is hidden; a search without -t passes over it.
    names = [os.fsdecode(name) for name in listed.stdout.split(b"\0")[:-1]]
    files = [tree / name for name in names if not name.startswith(".") and "/." not in name]
    found = []
    for file in files:
        with suppress(UnicodeDecodeError):
            if "\0" not in file.read_text():
                found.append(file)
    return found


if __name__ == "__main__":
    sys.exit(main())
