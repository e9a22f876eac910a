"""What the daemon did: the desk's counters, put into words for `status`.

In: the kernel's desk. Out: plain numbers with stable names. Counts nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curserve.kernel_door import Handle, ffi, lib

STAGES = ("plan", "barrier", "search", "total")


def request_numbers(desk: Handle, refused: int) -> dict[str, Any]:
    """Everything since the daemon began. Latencies, of served requests: upper bounds of power-of-two buckets, us;
    histogram_us has the buckets themselves: [b] counts times below 2^b us that are in none before, the last all others.
    files: chosen by what the requests asked for; candidates: those of them that could not be left out.

    refused: searches that a sandbox kept from reaching the desk; they count as declined.
    """
    raw = ffi.new("cs_desk_numbers *")
    lib.cs_desk_numbers_get(desk.pointer, raw)
    histogram = {stage: list(counts) for stage, counts in zip(STAGES, raw.us, strict=True)}
    reasons = _reasons(desk)
    if refused:
        reasons["sandbox"] = reasons.get("sandbox", 0) + refused
    return {
        "served": raw.served,
        "declined": raw.declined + refused,
        "declined_by_reason": reasons,
        "remembered": raw.remembered,
        "repeated": raw.repeated,
        "answers_bytes": raw.answers_bytes,
        "bytes_out": raw.bytes_out,
        "clients_gone": raw.clients_gone,
        "files": raw.files,
        "candidates": raw.candidates,
        "candidate_bytes": raw.candidate_bytes,
        "latency_us": {
            stage: {"p50": quantile(counts, 0.5), "p99": quantile(counts, 0.99)} for stage, counts in histogram.items()
        },
        "histogram_us": histogram,
        "sum_us": dict(zip(STAGES, raw.us_sum, strict=True)),
    }


def queue_numbers(desk: Handle) -> dict[str, int]:
    """Now: clients that have not asked yet (silent), searches that wait, that run in a slot of their agent's (heavy),
    clients that read slowly (stalled). Since the daemon began: searches that waited; that were declined for waiting too
    long (expired), or because too many waited (overflowed)."""
    raw = ffi.new("cs_queue_numbers *")
    lib.cs_desk_queue_numbers_get(desk.pointer, raw)
    names = ("silent", "waiting", "heavy", "stalled", "waited", "expired", "overflowed")
    return {name: getattr(raw, name) for name in names}


def _reasons(desk: Handle) -> dict[str, int]:
    size = 4096
    while True:
        text = ffi.new("char[]", size)
        needed = lib.cs_desk_reasons(desk.pointer, text, size)
        if needed <= size:
            break
        size = needed
    lines = (line.rpartition(" ") for line in ffi.string(text).decode().splitlines())
    return {reason: int(count) for reason, _, count in lines}


def quantile(counts: Sequence[int], share: float) -> int | None:
    """The least upper bound below which that share of a histogram's times lies, us; None of an empty histogram."""
    total = sum(counts)
    if not total:
        return None
    seen = 0
    for bits, count in enumerate(counts):
        seen += count
        if seen >= share * total:
            return (1 << bits) - 1
    return None
