"""The exposition: true, with bounded labels, on the control socket and on a port of the loopback."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from oracle import Box
from prometheus_client.parser import text_string_to_metric_families

from curserve import config
from curserve.metrics import MOST_REASONS, MOST_WORKSPACES, Metrics, samples


def _values(text: str) -> dict[tuple[str, ...], float]:
    """Each sample by its name and its label values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / ".git").mkdir(parents=True)
    (root / "a.txt").write_text("alpha\n")
    return root


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_figures_are_those_of_status(own_box: Box, tree: Path) -> None:
    own_box.attach(tree)
    for argv in (["alpha"], ["alpha"], ["--files"], ["--pre", "cat", "x"]):
        own_box.rg(argv, tree)
    values = _values(own_box.control("metrics")["text"])
    status = own_box.control("status")
    assert values["curserve_requests_total", "served"] == status["requests"]["served"] == 3
    assert values["curserve_declined_total", "pre"] == values["curserve_requests_total", "declined"] == 1
    assert values["curserve_known_requests_total",] == 1
    assert values["curserve_request_seconds_count", "total"] == 3
    buckets = [value for key, value in values.items() if key[0] == "curserve_request_seconds_bucket" and "total" in key]
    assert len(buckets) == 28 and buckets == sorted(buckets) and buckets[-1] == 3
    assert values["curserve_request_seconds_sum", "total"] == status["requests"]["sum_us"]["total"] / 1e6 > 0
    assert values["curserve_workspaces", "served"] == 1 and values["curserve_workspaces", "loading"] == 0
    assert values["curserve_workspace_files", str(tree)] == values["curserve_files",] == 1
    assert values["curserve_ceiling_bytes",] == status["memory"]["ceiling_bytes"]


def test_the_port_is_the_loopbacks_and_names_no_folder(tmp_path: Path, tree: Path) -> None:
    port = _free_port()
    with Box(tmp_path / "box", f"[metrics]\nport = {port}\n") as box:
        box.attach(tree)
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        assert _values(text)["curserve_workspaces", "served"] == 1
        assert str(tree) not in text and "curserve_workspace_files" not in text
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port), timeout=5):
            pass


def test_the_port_names_folders_if_told_to(tmp_path: Path, tree: Path) -> None:
    port = _free_port()
    with Box(tmp_path / "box", f"[metrics]\nport = {port}\nroots = true\n") as box:
        box.attach(tree)
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).read().decode()
        assert _values(text)["curserve_workspace_files", str(tree)] == 1


def test_a_port_that_is_taken_costs_no_search(tmp_path: Path, tree: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with Box(tmp_path / "box", f"[metrics]\nport = {taken.getsockname()[1]}\n") as box:
            box.attach(tree)
            assert box.rg(["alpha"], tree).served
            log = "".join(file.read_text() for file in box.folder.rglob("*log*") if file.is_file())
            assert "no metrics on 127.0.0.1" in log


def _status(own_box: Box) -> dict[str, Any]:
    status = own_box.control("status")
    assert status["ok"]
    return status


def test_label_sets_are_bounded_and_counters_never_go_back(own_box: Box, tree: Path) -> None:
    own_box.attach(tree)
    status = _status(own_box)
    (row,) = status["workspaces"]
    reasons = {f"reason_{number:03}": 1 for number in range(50, 250)}
    status["requests"]["declined_by_reason"] = reasons
    status["workspaces"] = [
        {**row, "root": f"/r/{number}\udcff", "text_bytes": number, "state": "odd"} for number in range(200)
    ]
    metrics = Metrics(lambda: status, config.Metrics())
    before = _values(metrics.exposition())
    reasons.update({f"reason_{number:03}": 5 for number in range(60)})
    after = _values(metrics.exposition())
    for values, total in ((before, 200), (after, 300 + 190)):
        labels = [key for key in values if key[0] == "curserve_declined_total"]
        assert len(labels) == MOST_REASONS + 1 and sum(values[key] for key in labels) == total
        roots = [key for key in values if key[0] == "curserve_workspace_text_bytes"]
        assert len(roots) == MOST_WORKSPACES + 1
        assert sum(values[key] for key in roots) == sum(range(200))
        assert values["curserve_workspaces", "unknown"] == 200
    assert all(after[key] >= value for key, value in before.items() if key[0].endswith("_total"))
    assert ("curserve_workspace_text_bytes", "/r/199\\udcff") in before


def test_somebody_elses_exposition() -> None:
    text = 'a_total{m="x"} 1\na_total{m="y"} 2.5\nb 4\n# TYPE c gauge\nc 1\n'
    assert samples(text, ("a_total", "b", "d")) == {"a_total": 3.5, "b": 4}
    for broken in ("a{", "a b c d", '{"json": true}'):
        with pytest.raises(ValueError):
            samples(broken, ("a",))
