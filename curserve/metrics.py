"""The daemon's figures as Prometheus reads them: on the control socket and, where configured, on a port of 127.0.0.1.

In: `status`, asked anew for each reading; nothing is counted here and nothing happens while nobody reads. Out: text.
Names and units follow Prometheus' conventions; the sets of label values are bounded: reasons for declines and
workspaces beyond the first so many go together as "other". Any user of the machine can read the port, so it names no
folder unless told to. The one importer of prometheus_client.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from curserve import __version__, config

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import CollectorRegistry, Metric
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    _Fillable = TypeVar("_Fillable", CounterMetricFamily, GaugeMetricFamily)

ADDRESS = "127.0.0.1"
MOST_REASONS = 64
MOST_WORKSPACES = 50
OTHER = "other"

_STATES = ("loading", "served", "poisoned", "gone", "failed", "unknown")
_QUEUE_NOW = ("silent", "waiting", "heavy", "stalled")
_QUEUE_TOTAL = ("waited", "expired", "overflowed")

_log = logging.getLogger(__name__)


class Metrics:
    """One daemon's metrics. Safe in every thread."""

    def __init__(self, status: Callable[[], dict[str, Any]], settings: config.Metrics) -> None:
        self._status = status
        self._settings = settings
        self._started_s = time.time()
        self._reasons: set[str] = set()
        self._lock = threading.Lock()
        self._server: WSGIServer | None = None

    def exposition(self, roots: bool = True) -> str:
        """All of it, text format 0.0.4. roots: workspaces are told apart, by their folders."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry(roots)).decode()

    def serve(self) -> None:
        """Listen on the configured port, if there is one. A port that is taken is logged: searches need none."""
        if not self._settings.port:
            return
        from prometheus_client import start_http_server

        try:
            self._server, _ = start_http_server(
                self._settings.port, addr=ADDRESS, registry=self._registry(self._settings.roots)
            )
        except OSError as error:
            _log.error("no metrics on %s:%d: %s", ADDRESS, self._settings.port, error.strerror)

    def close(self) -> None:
        """Listen no longer."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _registry(self, roots: bool) -> CollectorRegistry:
        from prometheus_client import CollectorRegistry

        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(lambda: self._families(roots)))
        return registry

    def _families(self, roots: bool) -> Iterator[Metric]:
        status = self._status()
        yield _gauge("curserve_info", "The daemon's version.", {(__version__,): 1}, ["version"])
        yield _gauge("curserve_start_time_seconds", "When the daemon began, Unix time.", self._started_s)
        yield from self._requests(status["requests"])
        yield from _queue(status["queue"])
        yield from _memory(status)
        yield from _freshness(status)
        yield from _comparisons(status)
        if roots:
            yield from _workspaces(status["workspaces"])

    def _requests(self, requests: dict[str, Any]) -> Iterator[Metric]:
        results = {(result,): requests[result] for result in ("served", "declined")}
        yield _counter(
            "curserve_requests", "Searches, by who answered: served from memory, or declined.", results, ["result"]
        )
        yield _counter("curserve_declined", "Declined searches, by reason.", self._declined(requests), ["reason"])
        yield _counter(
            "curserve_known_requests",
            "Searches that were asked before: answered without Python.",
            requests["remembered"],
        )
        yield _counter(
            "curserve_repeated_answers", "Searches answered as before, nothing having changed.", requests["repeated"]
        )
        yield _counter(
            "curserve_clients_gone", "Clients that left before their answer's end.", requests["clients_gone"]
        )
        yield _counter("curserve_answer_bytes", "Bytes of answers.", requests["bytes_out"])
        yield _counter("curserve_chosen_files", "Files that searches were about.", requests["files"])
        yield _counter("curserve_candidate_files", "Files that the index could not rule out.", requests["candidates"])
        yield _counter(
            "curserve_candidate_bytes", "Text that the index could not rule out.", requests["candidate_bytes"]
        )
        yield _histogram(requests)

    def _declined(self, requests: dict[str, Any]) -> dict[tuple[str, ...], float]:
        """Reasons in the order they came up: one that has a label keeps it, so no counter ever goes back."""
        found: dict[tuple[str, ...], float] = {(OTHER,): 0}
        with self._lock:
            for reason, count in requests["declined_by_reason"].items():
                if len(self._reasons) < MOST_REASONS:
                    self._reasons.add(reason)
                label = (reason if reason in self._reasons else OTHER,)
                found[label] = found.get(label, 0) + count
        return found


class _Collector:
    """What a registry asks for families; it wants none beforehand."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families()

    def describe(self) -> Iterable[Metric]:
        return ()


def _queue(queue: dict[str, int]) -> Iterator[Metric]:
    now = {(state,): queue[state] for state in _QUEUE_NOW}
    yield _gauge(
        "curserve_queue_clients",
        "Clients now that said nothing yet, wait, search heavily, or do not read.",
        now,
        ["state"],
    )
    total = {(result,): queue[result] for result in _QUEUE_TOTAL}
    yield _counter(
        "curserve_queue_requests", "Searches that had to wait; too long for it; or were too many.", total, ["result"]
    )


def _memory(status: dict[str, Any]) -> Iterator[Metric]:
    memory, store = status["memory"], status["store"]
    yield _gauge("curserve_resident_bytes", "The daemon's resident memory.", memory["resident_bytes"])
    yield _gauge("curserve_ceiling_bytes", "What it may come to.", memory["ceiling_bytes"])
    yield _counter("curserve_evicted_workspaces", "Workspaces given up for the ceiling.", memory["evicted"])
    yield _gauge("curserve_text_bytes", "Text held, each content once.", store["text_bytes"])
    yield _gauge("curserve_contents", "Different contents held.", store["contents"])
    yield _gauge("curserve_index_bytes", "The gram index.", store["index_bytes"])
    yield _gauge(
        "curserve_snapshot_bytes", "Text and index kept on disk for the next daemon.", status["snapshot"]["bytes"]
    )
    yield _gauge("curserve_indexed_text_bytes", "Text that the index covers.", store["indexed_text_bytes"])


def _freshness(status: dict[str, Any]) -> Iterator[Metric]:
    rows = status["workspaces"]
    states = dict.fromkeys(((state,) for state in _STATES), 0.0)
    for row in rows:
        state = (row["state"] if row["state"] in _STATES else "unknown",)
        states[state] += 1
    yield _gauge("curserve_workspaces", "Workspaces, by state.", states, ["state"])
    yield _gauge("curserve_files", "Files in all workspaces.", sum(row["files"] for row in rows))
    yield _gauge(
        "curserve_dirty_paths", "Paths that changed and have not been read again.", sum(row["dirty"] for row in rows)
    )
    yield _gauge("curserve_watches", "inotify watches in use.", status["watches"]["used"])
    if status["watches"]["limit"] is not None:
        yield _gauge("curserve_watches_limit", "inotify watches that a user may have.", status["watches"]["limit"])
    yield _gauge(
        "curserve_event_overflows",
        "Overflows of inotify's queue in the workspaces there are.",
        sum(row["overflows"] for row in rows),
    )


def _comparisons(status: dict[str, Any]) -> Iterator[Metric]:
    shadow, savings = status["shadow"], status["savings"]
    yield _counter("curserve_shadow_checks", "Answers compared with ripgrep's.", shadow["compared"])
    yield _counter("curserve_shadow_differences", "Answers that differed from ripgrep's.", shadow["differences"])
    yield _counter("curserve_measured_searches", "Searches run both ways to measure what is saved.", savings["samples"])
    sides = {("ripgrep",): savings["rg_s"], ("curserve",): savings["curserve_s"]}
    yield _counter("curserve_measured_seconds", "What these took, spawn to exit.", sides, ["program"])


def _workspaces(rows: list[dict[str, Any]]) -> Iterator[Metric]:
    """Gauges only: a workspace may leave its label to a larger one, and a counter must not go back."""
    by_size = sorted(rows, key=lambda row: int(row["text_bytes"]), reverse=True)
    for name, key, meaning in (
        ("curserve_workspace_files", "files", "Files of a workspace."),
        ("curserve_workspace_text_bytes", "text_bytes", "Text of a workspace, whoever shares it."),
        ("curserve_workspace_watches", "watches", "inotify watches of a workspace."),
        ("curserve_workspace_requests", "requests", "Searches in a workspace since it was attached."),
    ):
        values: dict[tuple[str, ...], float] = {}
        for place, row in enumerate(by_size):
            label = (_text(row["root"]) if place < MOST_WORKSPACES else OTHER,)
            values[label] = values.get(label, 0) + row[key]
        yield _gauge(name, meaning, values, ["root"])


def _histogram(requests: dict[str, Any]) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily("curserve_request_seconds", "What served searches took, by stage.", labels=["stage"])
    for stage, counts in requests["histogram_us"].items():
        seen = 0
        buckets: list[tuple[str, float]] = []
        for bits, count in enumerate(counts):
            seen += count
            bound = "+Inf" if bits == len(counts) - 1 else repr((1 << bits) / 1e6)
            buckets.append((bound, seen))
        family.add_metric([stage], buckets, requests["sum_us"][stage] / 1e6)
    return family


def _counter(name: str, meaning: str, value: Any, labels: list[str] | None = None) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(name, meaning, labels=labels), value)


def _gauge(name: str, meaning: str, value: Any, labels: list[str] | None = None) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(name, meaning, labels=labels), value)


def _filled(family: _Fillable, value: Any) -> _Fillable:
    """value: a number, or one for each tuple of label values."""
    for names, number in value.items() if isinstance(value, dict) else [((), value)]:
        family.add_metric(list(names), number)
    return family


def _text(path: str) -> str:
    """A path as UTF-8 text: bytes that are none as escapes."""
    return path.encode("utf-8", "backslashreplace").decode()


def samples(text: str, names: Iterable[str]) -> dict[str, float]:
    """The values of these samples in somebody else's exposition, summed over their labels; a name that is not there is
    left out. ValueError for a text that is no exposition."""
    from prometheus_client.parser import text_string_to_metric_families

    wanted = frozenset(names)
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in wanted:
                sums[sample.name] = sums.get(sample.name, 0.0) + float(sample.value)
    return sums
