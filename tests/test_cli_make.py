"""`make shell`: the shell it opens is the user's, with nothing of make's in it; its status is no error of make's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_place import Place

CHECKOUT = Path(__file__).resolve().parent.parent
# -o: the installed package counts as up to date; a test does not build.
MAKE = ["make", "--no-print-directory", "-C", str(CHECKOUT), "-o", ".venv/.installed"]

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None or Path(sys.prefix) != CHECKOUT / ".venv", reason="not run by this checkout's make"
)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


def _make(place: Place, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return place.shell_out([*MAKE, *words], stdin)


def test_bare_make_prints_help(place: Place) -> None:
    done = _make(place)
    assert done.returncode == 0 and done.stderr == ""
    for target in ("build", "shell", "test", "check", "bench", "asan", "fuzz", "clean"):
        assert f"\nmake {target} " in "\n" + done.stdout


def test_the_shell_gets_stdin_and_nothing_of_makes(place: Place, tmp_path: Path) -> None:
    done = _make(place, "shell", f"DIR={tmp_path}", stdin="pwd\nenv -0 | tr '\\n\\0' '_\\n' | sed 's/=.*//'\n")
    first, *names = done.stdout.splitlines()
    assert first == str(tmp_path) and done.stderr == ""
    assert "CURSERVE_SHIM" in names
    assert [name for name in names if name.startswith(("MAKE", "MFLAGS", "GNUMAKE")) or name == "DIR"] == []


def test_the_shells_status_is_no_error_of_makes(place: Place) -> None:
    done = _make(place, "shell", stdin="exit 7\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_keeps_the_shell_from_starting_is(place: Place) -> None:
    done = _make(place, "shell", "DIR=/nonexistent")
    assert done.returncode != 0 and "no such folder: /nonexistent" in done.stderr
