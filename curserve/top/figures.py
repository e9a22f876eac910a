"""Two looks at the daemon turned into what people want to know: rates, latencies of the time between, shares, sums.

In: two answers to `look`, the older one perhaps missing. Out: plain values; nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

STAGES = ("plan", "barrier", "search", "total")
SORTS = ("activity", "time", "size", "name")
"""What lists are sorted by; the same four for all of them."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """One answer to `look`, and when it came (monotonic)."""

    at_s: float
    answer: Row


@dataclass(frozen=True)
class Figures:
    """Of the time between two looks; of all the time since the daemon began where there is only one (live: False)."""

    now: Row
    live: bool
    interval_s: float
    served_per_s: float
    declined_per_s: float
    latency_us: dict[str, tuple[int | None, int | None]]
    declined: list[tuple[str, int, float]]
    workspaces: list[Row]

    def as_dict(self) -> Row:
        """For programs: the daemon's answer, and "interval" beside it."""
        latency = {stage: {"p50": p50, "p99": p99} for stage, (p50, p99) in self.latency_us.items()}
        interval = {
            "seconds": round(self.interval_s, 3),
            "served_per_s": round(self.served_per_s, 3),
            "declined_per_s": round(self.declined_per_s, 3),
            "latency_us": latency,
            "declined_per_s_by_reason": {reason: round(rate, 3) for reason, _, rate in self.declined},
        }
        return {**self.now, "workspaces": self.workspaces, "interval": interval, "saved": saved(self.now)}


def between(before: Look | None, now: Look) -> Figures:
    """What happened between two looks at one daemon. A look at another daemon, or none: since that one began."""
    same = before is not None and before.answer["pid"] == now.answer["pid"]
    then: Row = before.answer if same and before is not None else {}
    seconds = now.at_s - before.at_s if same and before is not None else float(now.answer["uptime_s"])
    seconds = max(seconds, 0.001)
    old, new = then.get("requests", {}), now.answer["requests"]
    old_reasons = old.get("declined_by_reason", {})
    declined = [
        (reason, count, (count - old_reasons.get(reason, 0)) / seconds)
        for reason, count in new["declined_by_reason"].items()
    ]
    declined.sort(key=lambda row: (-row[2], -row[1], row[0]))
    old_rows = {row["root"]: row for row in then.get("workspaces", [])}
    return Figures(
        now=now.answer,
        live=same,
        interval_s=seconds,
        served_per_s=(new["served"] - old.get("served", 0)) / seconds,
        declined_per_s=(new["declined"] - old.get("declined", 0)) / seconds,
        latency_us={stage: _latency(old, new, stage) for stage in STAGES},
        declined=declined,
        workspaces=[_with_rate(row, old_rows.get(row["root"]), seconds) for row in now.answer["workspaces"]],
    )


def saved(now: Row) -> Row:
    """What was not spent on ripgrep. runs: of ripgrep, that were not needed. seconds: None where nothing was measured;
    else the measured difference per search, for each workspace in which there is one, times what it has served
    (`searches` in all). Negative is possible, and honest."""
    own = now["savings"]["samples"] + now["shadow"]["compared"] + now["shadow"]["void"]
    served = {row["root"]: row["served"] for row in now["workspaces"]}
    seconds, searches, samples = 0.0, 0, 0
    for row in now["measured"]:
        if row["root"] in served and row["samples"]:
            seconds += served[row["root"]] * (row["rg_s"] - row["curserve_s"]) / row["samples"]
            searches += served[row["root"]]
            samples += row["samples"]
    total = now["savings"]
    means = {
        "rg_ms": round(1000 * total["rg_s"] / total["samples"], 3) if total["samples"] else None,
        "curserve_ms": round(1000 * total["curserve_s"] / total["samples"], 3) if total["samples"] else None,
    }
    return {
        "runs": max(0, now["requests"]["served"] - own),
        "samples": total["samples"],
        **means,
        "seconds": round(seconds, 3) if samples else None,
        "searches": searches,
    }


def ordered(rows: Sequence[Row], sort: str, keys: dict[str, Callable[[Row], Any]]) -> list[Row]:
    """By one of SORTS: largest first, names from A; the name decides between equals."""
    name = keys["name"]
    if sort == "name":
        return sorted(rows, key=name)
    return sorted(rows, key=lambda row: (-keys[sort](row), name(row)))


WORKSPACE_KEYS: dict[str, Callable[[Row], Any]] = {
    "activity": lambda row: row["per_s"],
    "time": lambda row: row["requests"],
    "size": lambda row: row["text_bytes"],
    "name": lambda row: row["root"],
}
QUERY_KEYS: dict[str, Callable[[Row], Any]] = {
    "activity": lambda row: row["heat"],
    "time": lambda row: row["us_sum"],
    "size": lambda row: row["bytes_out"],
    "name": lambda row: row["argv"],
}
CLIENT_KEYS: dict[str, Callable[[Row], Any]] = {**QUERY_KEYS, "name": lambda row: (row["agent"], row["user"])}
FILE_KEYS: dict[str, Callable[[Row], Any]] = {
    "activity": lambda row: row["heat"],
    "time": lambda row: row["answers"],
    "size": lambda row: row["answers"],
    "name": lambda row: row["path"],
}


def clients_together(rows: Sequence[Row]) -> list[Row]:
    """Clients by user and agent, with how many processes each agent has."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row["user"], row["agent"])
        into = found.setdefault(key, {"user": row["user"], "agent": row["agent"], "pids": set()})
        into["pids"].add(row["pid"])
        for name in ("heat", "served", "declined", "us_sum", "bytes_out"):
            into[name] = into.get(name, 0) + row[name]
    return [{**row, "pids": len(row["pids"])} for row in found.values()]


def _latency(old: Row, new: Row, stage: str) -> tuple[int | None, int | None]:
    counts = list(new["histogram_us"][stage])
    for bits, count in enumerate(old.get("histogram_us", {}).get(stage, [])):
        counts[bits] -= count
    return quantile(counts, 0.5), quantile(counts, 0.99)


def quantile(counts: Sequence[int], share: float) -> int | None:
    """The least bound, us, below which that share of a histogram lies; None of an empty one."""
    total = sum(counts)
    seen = 0
    for bits, count in enumerate(counts):
        seen += count
        if total and seen >= share * total:
            return 1 << bits
    return None


def _with_rate(row: Row, before: Row | None, seconds: float) -> Row:
    # A workspace that was attached anew counts from nothing.
    earlier = before["requests"] if before is not None and before["attached_s"] == row["attached_s"] else 0
    return {
        **row,
        "per_s": round((row["requests"] - earlier) / seconds, 3),
        "memory_bytes": row["share_bytes"] + row["table_bytes"],
        "shared_bytes": max(0, row["text_bytes"] + row["index_bytes"] - row["own_bytes"]),
    }
