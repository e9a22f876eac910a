"""What the daemon did: the desk's counters, put into words for `status`.

In: the kernel's desk. Out: plain numbers with stable names. Counts nothing itself.
"""

from __future__ import annotations

from typing import Any

from curserve.kernel_door import Handle, ffi, lib

STAGES = ("plan", "barrier", "search", "total")


def request_numbers(desk: Handle) -> dict[str, Any]:
    """Everything since the daemon began. Latencies, of served requests: upper bounds of power-of-two buckets, us."""
    raw = ffi.new("cs_desk_numbers *")
    lib.cs_desk_numbers_get(desk.pointer, raw)
    return {
        "served": raw.served,
        "declined": raw.declined,
        "declined_by_reason": _reasons(desk),
        "remembered": raw.remembered,
        "bytes_out": raw.bytes_out,
        "clients_gone": raw.clients_gone,
        "latency_us": {
            stage: {"p50": _quantile(list(counts), 0.5), "p99": _quantile(list(counts), 0.99)}
            for stage, counts in zip(STAGES, raw.us, strict=True)
        },
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


def _quantile(counts: list[int], share: float) -> int | None:
    total = sum(counts)
    if not total:
        return None
    seen = 0
    for bits, count in enumerate(counts):
        seen += count
        if seen >= share * total:
            return (1 << bits) - 1
    return None
