"""Commands as agents and people type them, on real repositories, answered by the daemon and by ripgrep alike."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from oracle import REAL_RG, Box, compare

from curserve import paths

QWEN = ["--json", "--no-messages", "--path-separator", "/", "--ignore-case", "--regexp"]
CLAUDE = ["--no-config", "--hidden", "--no-follow"]
for _vcs in (".git", ".svn", ".hg", ".bzr", ".jj", ".sl"):
    CLAUDE += ["--glob", f"!{_vcs}"]
CLAUDE += ["--max-columns", "500"]
GEMINI_TAIL = [
    *("--glob", "!**/node_modules/**", "--glob", "!**/.git/**", "--glob", "!**/dist/**", "--threads", "4"),
]
HERE = "<here>"
"""Stands for the absolute path of the repository."""

AGENTS: list[list[str]] = [
    [*QWEN, "blueprint", "--threads", "4", HERE],
    [*QWEN, r"def \w+_context", "--threads", "4", HERE],
    [*QWEN, "request", "--glob", "*.py", "--threads", "4", HERE],
    [*QWEN, "nosuchword_anywhere", "--no-ignore-vcs", "--threads", "4", HERE],
    ["--line-number", "--no-heading", "--with-filename", "--ignore-case", "--regexp", "session", "--threads", "4",
     HERE],
    ["--json", "--ignore-case", "--regexp", "template", *GEMINI_TAIL, HERE],
    ["--json", "--ignore-case", "--fixed-strings", "--regexp", "app.route(", *GEMINI_TAIL, HERE],
    ["--json", "--regexp", "class .*Error", "--context", "2", *GEMINI_TAIL, HERE],
    ["--json", "--regexp", "import", "--max-count", "1", "--glob", "*.py", *GEMINI_TAIL, HERE],
    ["--json", "--regexp", "def ", "--after-context", "1", "--before-context", "1", "--no-ignore", *GEMINI_TAIL, HERE],
    [*CLAUDE, "-l", "--null", "-e", "import os", "."],
    [*CLAUDE, "-c", "-H", "--null", "self", "."],
    [*CLAUDE, "--null", "-n", "-C", "2", "raise ValueError", "."],
    [*CLAUDE, "--json", "-i", "TODO", "--glob", "*.py", "."],
    [*CLAUDE, "--null", "-n", "-o", r"\bdef \w+", "--type", "py", "."],
    [*CLAUDE, "-U", "--multiline-dotall", "--null", "-n", r"class \w+:\n", "."],
    ["--no-config", "--files", "--null", "--glob", "**/*.py", "--sort=modified", "--no-ignore", "--hidden", "--glob",
     "!.git", "."],
    ["--no-config", "--json", "--hidden", "--no-messages", "--glob=!**/.git/**", "--", "response", "."],
    ["--no-config", "--files", "--hidden", "--glob=*.toml", "--glob=!**/.git/**", "."],
]  # fmt: skip

TYPED: list[list[str]] = [
    ["-n", "import"],
    ["-n", "-S", "--hidden", "-g", "!.git", "Config"],
    ["--files"],
    ["--files", "-g", "*.py"],
    ["--files", "-t", "py", "."],
    ["-i", "error"],
    ["-w", "name"],
    ["-x", "import os"],
    ["-v", "-n", "a", "README.md"],
    ["-F", "a.b"],
    ["-c", "def"],
    ["--count-matches", "e"],
    ["-l", "class"],
    ["--files-without-match", "import"],
    ["-o", r"\w+Error"],
    ["-m", "2", "def"],
    ["-q", "import"],
    ["-q", "nosuchword_anywhere"],
    ["nosuchword_anywhere"],
    ["-A", "2", "class"],
    ["-B", "1", "return None"],
    ["-C", "3", "raise"],
    ["-e", "class", "-e", "def", "-t", "py"],
    ["-g", "!tests", "def "],
    ["--iglob", "*.MD", "the"],
    ["-T", "py", "name"],
    ["--type-add", "web:*.{html,css}", "-t", "web", "body"],
    ["--no-ignore", "test"],
    ["-u", "test"],
    ["-uu", "-g", "!.git", "test"],
    ["--max-depth", "1", "flask|django"],
    ["-d", "2", "--files"],
    ["--sort", "path", "setup"],
    ["--sortr", "path", "setup"],
    ["-0", "-l", "setup"],
    ["--column", "-n", "def"],
    ["--heading", "-n", "class"],
    ["--no-heading", "-N", "class"],
    ["-I", "class"],
    ["--no-filename", "-n", "class", "."],
    ["-H", "the", "README.md"],
    ["the", "README.md"],
    ["--path-separator", "+", "class"],
    ["--json", "class"],
    ["--json", "nosuchword_anywhere"],
    ["-P", "foo(?=bar)"],
    ["-z", "foo"],
    ["("],
    ["foo", "no/such/path"],
    ["--no-such-flag"],
    ["-e"],
    ["--type", "nosuchtype", "foo"],
    ["def", "./tests", "."],
    ["import", "./"],
    ["-j", "1", "class"],
    ["--no-messages", "class"],
    ["--vimgrep", "class"],
    ["--trim", "return"],
    ["-b", "class"],
    ["--stats", "class"],
    ["-r", "X$1", r"def (\w+)"],
    ["--passthru", "the", "README.md"],
    ["--version"],
    ["-V"],
    ["--type-list"],
    [r"[A-Z]{12,}"],
    [r"^\s*$", "-c"],
    ["-c", "."],
    ["é|ü"],
    ["-a", "PNG"],
    ["--max-columns", "40", "the"],
    ["--max-columns", "40", "--max-columns-preview", "the"],
    ["--crlf", "import$"],
]

MUST_BE_DECLINED = {"-P", "-z", "(", "--no-such-flag", "-e"}


def _argv(argv: list[str], here: Path) -> list[str]:
    return [str(here) if word == HERE else word for word in argv]


@pytest.fixture(scope="module")
def repositories(box: Box, flask: Path, django: Path) -> dict[str, Path]:
    for folder in (flask, django):
        box.attach(folder)
    return {"flask": flask, "django": django}


@pytest.mark.parametrize("name", ["flask", "django"])
@pytest.mark.parametrize("argv", AGENTS + TYPED, ids=" ".join)
def test_same_as_ripgrep(box: Box, repositories: dict[str, Path], name: str, argv: list[str]) -> None:
    compare(box, _argv(argv, repositories[name]), repositories[name])


@pytest.mark.parametrize("name", ["flask", "django"])
def test_agents_are_served(box: Box, repositories: dict[str, Path], name: str) -> None:
    declined = {}
    for argv in AGENTS:
        answer = box.rg(_argv(argv, repositories[name]), repositories[name])
        if not answer.served:
            declined[" ".join(argv)] = answer.reason
    assert declined == {}


def test_at_least_fifty_are_served(own_box: Box, repositories: dict[str, Path]) -> None:
    """Counted by the daemon, not by the shim: by one that has answered nobody else."""

    def served_by_now() -> int:
        return int(own_box.control("status")["requests"]["served"])

    own_box.attach(repositories["flask"])
    reasons = {}
    for argv in AGENTS + TYPED:
        answer = own_box.rg(_argv(argv, repositories["flask"]), repositories["flask"])
        if not answer.served:
            reasons[" ".join(argv)] = answer.reason
    expected = len(AGENTS + TYPED) - len(reasons)
    deadline_s = time.monotonic() + 10
    # The daemon counts an answer just after the client has it.
    while served_by_now() != expected:
        assert time.monotonic() < deadline_s, (served_by_now(), expected, reasons)
        time.sleep(0.01)
    assert expected >= 80, reasons


def test_a_reader_that_goes_away_after_a_complaint(own_box: Box, tmp_path: Path) -> None:
    """One thread of ripgrep, as --sort asks for: 2, whatever it had found by then."""
    (tmp_path / "a.txt").write_text("needle and some more words\n" * 100_000)
    own_box.attach(tmp_path)
    codes = []
    for program in (paths.shim_dir() / "rg", REAL_RG):
        line = '"$@" 2>/dev/null | head -1 >/dev/null; echo ${PIPESTATUS[0]}'
        argv = ["bash", "-c", line, "-", program, "--no-config", "--sort", "path", "needle", "nowhere", "a.txt"]
        done = subprocess.run(
            argv, cwd=tmp_path, env=own_box.env, stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
        codes.append(done.stdout)
    assert codes == [b"2\n", b"2\n"]
