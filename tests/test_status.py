"""`curserve status`: for programs every key of the table and no other; for people some lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from daemon_place import Place

from curserve import display, statuskeys

_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "int or null": (int, type(None)),
    "str or null": (str, type(None)),
    "float": (float, int),
    "float or null": (float, type(None)),
    "str": (str,),
    "bool": (bool,),
}
_OF_ANY_KEY = ("requests.declined_by_reason", "requests.latency_us", "requests.histogram_us", "requests.sum_us")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its place, as the table names places."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = "*" if path in _OF_ANY_KEY else key
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, f"{path}[]")
    else:
        yield path, value


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], str]]:
    """What a daemon with a workspace, a served and a declined search tells: to programs, to people."""
    folder = tmp_path_factory.mktemp("status")
    tree = folder / "caf\udce9"
    (tree / ".git").mkdir(parents=True)
    (tree / "a.txt").write_text("alpha\n")
    place = Place()
    try:
        place.start()
        assert place.run("attach", str(tree), errors="surrogateescape").returncode == 0
        rg = [place.run("shim-dir").stdout.strip() + "/rg"]
        assert place.shell_out([*rg, "alpha", "."], cwd=tree).returncode == 0
        assert place.shell_out([*rg, "--pre", "cat", "alpha", "."], cwd=tree).returncode == 0
        yield place.status(), place.run("status").stdout
    finally:
        place.close()


def test_every_key_is_documented_and_has_its_type(told: tuple[dict[str, Any], str]) -> None:
    kinds = {key: kind for key, kind, _ in statuskeys.KEYS}
    found = dict.fromkeys(kinds, 0)
    for path, value in _leaves(told[0]):
        assert path in kinds, f"{path} is not in statuskeys.py"
        expected = _KINDS[kinds[path]]
        assert isinstance(value, expected) and (bool in expected or not isinstance(value, bool)), (path, value)
        found[path] += 1
    missing = [path for path, times in found.items() if not times]
    assert not missing, f"in statuskeys.py, but not told: {missing}"


def test_what_it_tells_is_so(told: tuple[dict[str, Any], str]) -> None:
    status = told[0]
    assert status["schema"] == statuskeys.SCHEMA == 1 and status["running"] is True
    requests = status["requests"]
    assert (requests["served"], requests["declined"], requests["declined_by_reason"]) == (1, 1, {"pre": 1})
    assert requests["files"] == requests["candidates"] == 1 and requests["candidate_bytes"] == len("alpha\n")
    for stage in ("plan", "barrier", "search", "total"):
        assert sum(requests["histogram_us"][stage]) == 1
    assert requests["sum_us"]["total"] >= requests["sum_us"]["search"]
    (workspace,) = status["workspaces"]
    assert workspace["root"].endswith("/caf\udce9") and workspace["state"] == "served"
    assert (workspace["requests"], workspace["served"]) == (1, 1)
    assert status["watches"]["used"] == workspace["watches"] > 0
    assert 0 < status["memory"]["resident_bytes"] < status["memory"]["ceiling_bytes"]


def test_people_get_some_lines(told: tuple[dict[str, Any], str]) -> None:
    lines = told[1].splitlines()
    assert lines[0].startswith("curserve ") and "is running" in lines[0]
    text = told[1]
    assert "1 served, 1 declined" in text and "pre 1" in text and "served" in lines[-1]
    assert "histogram" not in text and len(lines) < 16


def test_help_lists_the_keys() -> None:
    place = Place()
    try:
        told = place.run("status", "--help").stdout
        assert all(key in told for key, _, _ in statuskeys.KEYS)
        gone = place.run("status", "--json")
        assert gone.returncode == 1 and set(json.loads(gone.stdout)) == {"running", "version"}
    finally:
        place.close()


def test_a_workspace_that_is_not_served_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"root": "/x", "state": "failed", "files": 0, "text_bytes": 0, "why": "it is too large"}
    display.workspaces([row])
    assert "it is too large" in capsys.readouterr().out
