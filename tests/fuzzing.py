"""Generated searches on generated trees that change between searches, each asked of us and of the real ripgrep.

In: seeds. Out: a Tally; each difference names its tree's seed and its case, which is all that is needed to have it
again. Also a program: `python -P tests/fuzzing.py --cases N --seed S --jobs J`, which is `make fuzz`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from odd_trees import OddTree
from oracle import REAL_RG, TIMEOUT_S, Box

from curserve.flags import BY_NAME
from curserve.verify.answers import Answer, judged
from curserve.verify.asking import Asked, TooLong, ask
from curserve.verify.commands import Command, Commands
from curserve.verify.tally import Tally

CASES_PER_TREE = 50
_LONG_LINE_BYTES = 4096


def compare(box: Box, command: Command) -> tuple[Answer, str | None]:
    """Our answer to one search, and how it differs from ripgrep's."""
    for path, content in command.beside.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    env = {**box.env, "TERM": "xterm", **{os.fsdecode(k): os.fsdecode(v) for k, v in command.env.items()}}

    def real(argv: Sequence[bytes]) -> Answer:
        return ask(REAL_RG, Asked(argv, command.cwd, env, stdout=command.stdout), TIMEOUT_S)

    try:
        ours = box.rg(command.argv, command.cwd, env, stdout=command.stdout)
    except subprocess.TimeoutExpired:
        real(command.argv)  # if that takes as long, there is nothing to compare
        return Answer(b"", b"", -1), f"ripgrep answers, and we do not within {TIMEOUT_S} s"
    return ours, judged(ours, command.argv, real)


def run_tree(
    box: Box,
    seed: int,
    folder: Path,
    flag: str | None = None,
    construct: str | None = None,
    cases: int = CASES_PER_TREE,
    always: str | None = None,
) -> Tally:
    """One tree and `cases` searches of it; flag, construct, always: as in Commands."""
    tally = Tally()
    source = random.Random(seed)
    folder.mkdir()
    made = OddTree(source, folder, linked="follow" in (flag, always))
    box.attach(made.root)
    try:
        for case in range(cases):
            if source.random() < 0.3:
                made.change()
            if flag == "vimgrep":
                made.has_longer_line(_LONG_LINE_BYTES, remove=True)
            command = Commands(source, made.describe(), flag, construct, always).command()
            # A long line once for each of its matches is gigabytes, on either side.
            if any(b"vimgrep" in word for word in _said(command)) and made.has_longer_line(_LONG_LINE_BYTES):
                continue
            try:
                ours, found = compare(box, command)
            except (TooLong, subprocess.TimeoutExpired):  # for ripgrep at least
                continue
            text = None
            if found is not None:
                around = f" env {command.env} beside {command.beside} stdout {command.stdout!r}"
                words = f"{list(command.argv)} in {command.cwd!r}{around}"
                text = f"tree {seed} case {case} served={ours.served}: {words}: {found}"
            tally.add(command, ours, text)
    finally:
        box.control("detach", root=os.fspath(made.root))
        shutil.rmtree(folder)
    return tally


def _said(command: Command) -> Iterator[bytes]:
    """The words of the command, and of the configuration file beside it if there is one."""
    yield from command.argv
    yield from command.beside.values()


def run(seeds: Sequence[int], folder: Path, flag: str | None = None) -> Iterator[Tally]:
    """The trees of the seeds, one after the other, before one daemon. flag: what every search has beside others."""
    folder.mkdir(parents=True, exist_ok=True)
    # Apart from the trees: a search of `../..` shall not meet the daemon's log, which changes meanwhile.
    with tempfile.TemporaryDirectory(prefix="curserve-box-") as place, Box(Path(place) / "box") as box:
        for seed in seeds:
            try:
                yield run_tree(box, seed, folder / f"t{seed}", always=flag)
            except (OSError, AssertionError) as error:  # the daemon died, in all likelihood
                crash = "".join(file.read_text()[-4000:] for file in box.folder.rglob("*.crash"))
                yield _fault(f"tree {seed}: {error!r}; {crash}")
                box.stop()
                box.start()


def _fault(text: str) -> Tally:
    tally = Tally()
    tally.differences.append(text)
    return tally


def _job(work: tuple[Sequence[int], Path, Path, str | None]) -> Tally:
    seeds, folder, log, flag = work
    total = Tally()
    for tally in run(seeds, folder, flag):
        total.merge(tally)
        if tally.differences:
            with log.open("a") as file:
                file.writelines(line + "\n" for line in tally.differences)
    return total


def main() -> int:
    """1 if there was a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1, help="trees are numbered from a million times this on")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--flag", choices=sorted(BY_NAME), metavar="NAME", help="one that every search has")
    parser.add_argument("--log", type=Path, help="where differences are written as they are found")
    chosen = parser.parse_args()
    trees = -(-chosen.cases // CASES_PER_TREE)
    first = chosen.seed * 1_000_000
    begun_s = time.monotonic()
    total = Tally()
    with tempfile.TemporaryDirectory(prefix="curserve-fuzz-") as folder:
        log = chosen.log or Path(folder) / "differences"
        share = [range(first + job, first + trees, chosen.jobs) for job in range(chosen.jobs)]
        with multiprocessing.get_context("spawn").Pool(chosen.jobs) as pool:
            deep = [Path(folder) / str(job) / "deep" / "down" for job in range(chosen.jobs)]
            work = [(seeds, place, log, chosen.flag) for seeds, place in zip(share, deep, strict=True)]
            for tally in pool.imap_unordered(_job, work):
                total.merge(tally)
    for line in total.differences:
        print(line)
    print(f"trees {first} to {first + trees - 1} in {time.monotonic() - begun_s:.0f} s: {total}")
    return 1 if total.differences else 0


if __name__ == "__main__":
    sys.exit(main())
