"""The command line without and with a daemon: words, exit codes, output for people and for programs."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_place import CURSERVE, Place

from curserve import __version__

needs_daemon = pytest.mark.skipif(
    importlib.util.find_spec("curserve.daemon") is None or importlib.util.find_spec("curserve._kernel") is None,
    reason="there is no daemon in this installation",
)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("import os\n")
    return tmp_path / "code"


def test_version_and_help(place: Place) -> None:
    assert place.run("--version").stdout == f"curserve {__version__}\n"
    told = place.run("--help")
    assert told.returncode == 0
    for command in ("shell", "run", "env", "start", "stop", "restart", "status", "attach", "detach", "workspaces"):
        assert f"    {command} " in told.stdout or f"    {command}\n" in told.stdout
    bare = place.run()
    assert bare.returncode == 2 and bare.stdout == "" and bare.stderr == told.stdout


@pytest.mark.parametrize(
    "words",
    [["bogus"], ["-x"], ["attach"], ["start", "x"], ["status", "--jso"], ["run"], ["run", "--"], ["shell", "a", "b"]],
)
def test_what_is_not_understood_is_one_line_and_2(place: Place, words: list[str]) -> None:
    done = place.run(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("curserve: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["attach", "/none"], ["shell", "/none"], ["run", "-C", "/dev/null", "true"]])
def test_a_folder_that_is_none_is_one_line_and_1(place: Place, words: list[str]) -> None:
    done = place.run(*words)
    assert done.returncode == 1 and "no such folder" in done.stderr and done.stderr.count("\n") == 1


def test_shim_dir_holds_an_executable_shim(place: Place) -> None:
    shim = Path(place.run("shim-dir").stdout.rstrip("\n")) / "rg"
    assert os.access(shim, os.X_OK)


def test_light_commands_import_nothing_heavy(place: Place) -> None:
    code = "import sys; from curserve.cli import main; main(['shim-dir']); main(['env']); sys.exit(repr(sys.modules))"
    loaded = place.shell_out([sys.executable, "-P", "-c", code]).stderr
    for heavy in ("rich", "asyncio", "cffi", "pathspec", "psutil", "uvloop", "curserve._kernel", "subprocess"):
        assert f"'{heavy}'" not in loaded
    assert "'curserve.paths'" in loaded


def test_a_reader_that_leaves_is_no_error(place: Place) -> None:
    done = place.shell_out(["sh", "-c", f"'{CURSERVE}' env | true"])
    assert (done.returncode, done.stderr) == (0, "")


@needs_daemon
def test_attach_workspaces_detach(place: Place, tree: Path) -> None:
    attached = place.run("attach", str(tree))
    assert attached.returncode == 0, attached.stderr
    assert str(tree) in attached.stdout
    listed = json.loads(place.run("workspaces", "--json").stdout)
    row = next(row for row in listed if row["root"] == str(tree))
    assert row["state"] == "served" and {"files", "text_bytes"} <= set(row)
    assert str(tree) in place.run("workspaces", env={"COLUMNS": "200"}).stdout.replace("\n", "")
    assert place.run("detach", str(tree)).returncode == 0
    assert all(row["root"] != str(tree) for row in json.loads(place.run("workspaces", "--json").stdout))
    again = place.run("detach", str(tree))
    assert again.returncode == 1 and again.stderr.startswith("curserve: ")


@needs_daemon
def test_status_for_programs_and_people(place: Place) -> None:
    pid = place.start()
    status = place.status()
    assert status["running"] is True and status["pid"] == pid and status["version"] == __version__
    assert status["uptime_s"] >= 0 and isinstance(status["workspaces"], list)
    shown = place.run("status")
    assert shown.returncode == 0 and f"pid {pid}" in shown.stdout


@needs_daemon
def test_a_name_that_is_no_utf8_is_shown_and_served(place: Place, tmp_path: Path) -> None:
    strange = os.fsencode(tmp_path) + b"/caf\xe9 [x]"
    os.mkdir(strange)
    done = place.run("attach", os.fsdecode(strange), errors="surrogateescape")
    assert done.returncode == 0, done.stderr
    assert place.run("status").returncode == 0
    assert place.run("workspaces").returncode == 0
    assert os.fsdecode(strange) in [row["root"] for row in json.loads(place.run("workspaces", "--json").stdout)]
    assert place.run("detach", os.fsdecode(strange)).returncode == 0


@needs_daemon
def test_bench_shows_both_sides(place: Place, tree: Path) -> None:
    (tree / ".git").mkdir()
    told = place.run("bench", str(tree), "import", "3")
    assert told.returncode == 0, told.stderr
    assert "3 of 3 served from memory" in told.stdout and "the same answer" in told.stdout
    facts = json.loads(place.run("bench", "--json", str(tree), r"no such (thing|place)", "2").stdout)
    assert (facts["runs"], facts["served"], facts["equal"]) == (2, 2, True)
    assert facts["curserve"]["lines"] == facts["ripgrep"]["lines"] == 0
    declined = json.loads(place.run("bench", "--json", str(tree), "(", "1").stdout)
    assert declined["served"] == 0 and declined["declined"] and declined["equal"]


@needs_daemon
def test_bench_wants_a_number(place: Place, tree: Path) -> None:
    done = place.run("bench", str(tree), "import", "0")
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
