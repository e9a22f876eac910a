"""`curserve bench DIR PATTERN [N]`: one search of somebody's own folder, by curserve and by ripgrep, in turn.

In: an attached folder, a pattern. Out: Sides: milliseconds of each run, from the start of the program to its end as a
parent sees it, and whether the answers were the same. Both sides pay for starting a process from Python (about a
millisecond), so the ratio is smaller than what an agent gains. From the second run on ours is a question asked again,
which is no search if its answer is short and nothing has changed. bench/ measures with more care.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curserve.verify import answers
from curserve.verify.answers import Answer
from curserve.verify.asking import Asked, ask

_TIMEOUT_S = 120.0


@dataclass
class Sides:
    """ours_ms, real_ms: one entry per run, in their order. lines: of the last answer of each. served: runs of ours that
    the daemon answered. declined: why not, for each of the others. difference: the first one; None: there was none."""

    ours_ms: list[float] = field(default_factory=list)
    real_ms: list[float] = field(default_factory=list)
    ours_lines: int = 0
    real_lines: int = 0
    served: int = 0
    declined: list[str] = field(default_factory=list)
    difference: str | None = None

    def facts(self) -> dict[str, Any]:
        """For programs."""
        return {
            "runs": len(self.ours_ms),
            "curserve": {"median_ms": _median(self.ours_ms), "fastest_ms": min(self.ours_ms), "lines": self.ours_lines},
            "ripgrep": {"median_ms": _median(self.real_ms), "fastest_ms": min(self.real_ms), "lines": self.real_lines},
            "served": self.served,
            "declined": sorted(set(self.declined)),
            "equal": self.difference is None,
            "difference": self.difference,
        }


def run(
    root: Path, pattern: bytes, count: int, shim: str, real: str, env: Mapping[str, str], told: Callable[[int], None]
) -> Sides:
    """Asks both `count` times (at least once). told: the number of the run that begins. TooLong, TimeoutExpired,
    OSError."""
    argv = [b"--no-config", b"-n", b"--", pattern]
    sides = Sides()
    with tempfile.TemporaryDirectory(prefix="curserve-bench-") as folder:
        trace = Path(folder) / "trace"
        for number in range(count):
            told(number)
            real_answer = _timed(real, Asked(argv, root, dict(env)), sides.real_ms)
            trace.unlink(missing_ok=True)
            asked = Asked(argv, root, {**env, "CURSERVE_TRACE": str(trace), "CURSERVE_REAL_RG": real})
            ours = _timed(shim, asked, sides.ours_ms)
            reason = _declined(trace)
            if reason is None:
                sides.served += 1
            else:
                sides.declined.append(reason)
            sides.ours_lines, sides.real_lines = ours.stdout.count(b"\n"), real_answer.stdout.count(b"\n")
            sides.difference = sides.difference or answers.difference(ours, real_answer)
    return sides


def _timed(program: str, asked: Asked, to: list[float]) -> Answer:
    begun_s = time.perf_counter()
    answer = ask(program, asked, _TIMEOUT_S)
    to.append((time.perf_counter() - begun_s) * 1000)
    return answer


def _declined(trace: Path) -> str | None:
    """Why the daemon did not answer; None: it did."""
    with suppress(OSError, ValueError, KeyError, IndexError):
        record = json.loads(trace.read_text(errors="surrogateescape").splitlines()[0])
        return None if record["served"] else str(record["reason"])
    return "not intercepted"


def _median(times_ms: list[float]) -> float:
    return statistics.median(times_ms)
