"""Coverage-guided fuzzing of whatever reads what others wrote: `make parsers MINUTES=10`.

In: names of harnesses (all of them), minutes for each. Out: a line for each: executions, coverage, findings. The C and
C++ ones (tests/fuzz) are libFuzzer's, under address and undefined-behaviour sanitizers; those in Python run under
atheris. Every input has a limit of time, every harness one of memory. Inputs that led further are kept from run to run
in build/parsers/corpus, those that failed in build/parsers/found. Exits with 1 when one failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from built_c import ROOT
from harnesses import FUZZER, KERNEL, build, write_seeds

PLACE = ROOT / "build" / "parsers"
PYTHON = ("argv", "regex", "config", "frame", "control")
"""The targets of tests/fuzz/python_parsers.py."""
TIMEOUT_S = 20
"""For one input, which is some kilobytes; arbitrary, and enough for the sanitizers."""
RSS_LIMIT_MB = 1024
MOST_BYTES = 8192


@dataclass(frozen=True)
class Run:
    """What one harness came to."""

    name: str
    seconds: int
    executions: int
    coverage: str
    peak_rss_mb: int
    found: str | None

    def __str__(self) -> str:
        end = self.found or "nothing found"
        return (f"{self.name:8} {self.seconds:5} s {self.executions:11,} executions, {self.coverage}, "
                f"{self.peak_rss_mb} MB at most: {end}")  # fmt: skip


def run(name: str, command: Sequence[str | Path], seconds: int) -> Run:
    """Fuzzes for so long, beginning with what earlier runs have kept."""
    corpus, found = PLACE / "corpus" / name, PLACE / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={RSS_LIMIT_MB}"]
    limits.append(f"-max_len={MOST_BYTES}")
    done = subprocess.run(
        [*command, *limits, "-print_final_stats=1", f"-artifact_prefix={found}/{name}-", corpus],
        env={**os.environ, "ASAN_OPTIONS": f"quarantine_size_mb=32:detect_leaks={int(name not in PYTHON)}",
             "UBSAN_OPTIONS": "print_stacktrace=1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
        check=False,
    )  # fmt: skip
    told = done.stderr
    if done.returncode != 0:
        sys.stderr.write(told[-6000:])

    def last(pattern: str) -> str:
        return (re.findall(pattern, told) or ["0"])[-1]

    units = int(last(r"stat::number_of_executed_units: (\d+)"))
    kept = re.search(r"Test unit written to (\S+)", told)
    failed = None if done.returncode == 0 else f"FAILED, see {kept[1] if kept else 'above'}"
    coverage = f"{last(r'cov: ([0-9]+)')} edges, {last(r'ft: ([0-9]+)')} features"
    return Run(name, seconds, units, coverage, int(last(r"stat::peak_rss_mb: +(\d+)")), failed)


def main() -> int:
    """1 when an input failed, 2 when there is nothing to fuzz with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="for each harness (1)")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join((*KERNEL, *PYTHON))} (all)")
    chosen = parser.parse_args()
    names = chosen.names or (*KERNEL, *PYTHON)
    unknown = set(names) - {*KERNEL, *PYTHON}
    if unknown:
        parser.error(f"no such harness: {', '.join(sorted(unknown))}")
    compiled = [name for name in names if name in KERNEL]
    if compiled and shutil.which(FUZZER.cxx) is None:
        print("no clang++: tools/system-packages python3 fuzz", file=sys.stderr)
        return 2
    programs = build(FUZZER, PLACE / "bin", compiled)
    failed = False
    for name in names:
        if name in programs:
            write_seeds(name, PLACE / "corpus" / name)
            command: list[str | Path] = [programs[name]]
        else:
            command = [sys.executable, "-P", ROOT / "tests" / "fuzz" / "python_parsers.py", name]
        ended = run(name, command, round(60 * chosen.minutes))
        print(ended, flush=True)
        failed = failed or ended.found is not None
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
