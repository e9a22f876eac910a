"""`curserve top`: its figures, its keys, its frames, and the program itself on a terminal."""

from __future__ import annotations

import copy
import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyte
import pytest
from daemon_place import CURSERVE, Place
from oracle import Box
from rich.console import Console
from rich.live import Live

from curserve.top import figures, frame, program
from curserve.top.feed import Facts, Feed
from curserve.top.figures import Look, between, clients_together, ordered, quantile, saved
from curserve.top.question import short
from curserve.top.state import State, keys, pressed
from curserve.top.vllm import Load


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A real answer to `look`, of a daemon with two workspaces in which something was asked."""
    folder = tmp_path_factory.mktemp("top")
    with Box(folder) as box:
        for name in ("one", "two"):
            root = folder / name
            (root / ".git").mkdir(parents=True)
            (root / "a.txt").write_text("alpha\n")
            box.attach(root)
        box.control("look", measure=False, seconds=60)
        for _ in range(3):
            assert box.rg(["alpha"], folder / "one").served
        box.rg(["--pre", "cat", "alpha"], folder / "one")
        deadline_s = time.monotonic() + 20
        while True:
            found = box.control("look", measure=False, seconds=60)
            if sum(row["served"] + row["declined"] for row in found["census"]["queries"]) == 4:
                return found
            assert time.monotonic() < deadline_s, found


def _later(answer: dict[str, Any], **requests: Any) -> dict[str, Any]:
    later = copy.deepcopy(answer)
    later["requests"].update(requests)
    return later


# --- figures ----------------------------------------------------------------------------------------------------------
def test_rates_are_those_between_two_looks(answer: dict[str, Any]) -> None:
    histogram = copy.deepcopy(answer["requests"]["histogram_us"])
    histogram["total"][5] += 90
    histogram["total"][12] += 10
    later = _later(answer, served=103, declined=21, declined_by_reason={"pre": 11, "new": 10}, histogram_us=histogram)
    later["workspaces"][0]["requests"] += 50
    found = between(Look(10.0, answer), Look(20.0, later))
    assert (found.served_per_s, found.declined_per_s, found.live) == (10.0, 2.0, True)
    assert found.declined == [("pre", 11, 1.0), ("new", 10, 1.0)]
    assert found.latency_us["total"] == (32, 4096) and found.latency_us["plan"] == (None, None)
    assert [row["per_s"] for row in found.workspaces] == [5.0, 0.0]


def test_another_daemon_counts_from_nothing(answer: dict[str, Any]) -> None:
    other = {**_later(answer, served=8), "pid": answer["pid"] + 1, "uptime_s": 4.0}
    found = between(Look(10.0, answer), Look(11.0, other))
    assert (found.served_per_s, found.live) == (2.0, False)
    again = copy.deepcopy(answer)
    again["workspaces"][0].update(attached_s=answer["workspaces"][0]["attached_s"] + 1, requests=1)
    assert between(Look(0.0, answer), Look(1.0, again)).workspaces[0]["per_s"] == 1.0


def test_what_is_saved_is_what_was_measured(answer: dict[str, Any]) -> None:
    told = saved(answer)
    assert told["runs"] == 3 and told["seconds"] is None and told["rg_ms"] is None
    root = answer["workspaces"][0]["root"]
    measured = {
        **answer,
        "savings": {"samples": 2, "rg_s": 0.5, "curserve_s": 0.1},
        "measured": [
            {"root": root, "samples": 2, "rg_s": 0.5, "curserve_s": 0.1},
            {"root": "/gone", "samples": 9, "rg_s": 9.0, "curserve_s": 0.1},
        ],
    }
    told = saved(measured)
    assert (told["runs"], told["samples"], told["searches"]) == (1, 2, 3)  # two of the three were our own
    assert told["seconds"] == pytest.approx(3 * 0.2) and (told["rg_ms"], told["curserve_ms"]) == (250, 50)


def test_quantiles_and_orders() -> None:
    assert quantile([], 0.5) is quantile([0, 0], 0.5) is None
    assert quantile([1, 0, 1], 0.5) == 1 and quantile([1, 0, 1], 0.99) == 4
    rows = [{"path": "b", "heat": 1, "answers": 5}, {"path": "a", "heat": 1, "answers": 9}]
    for sort, first in (("activity", "a"), ("name", "a"), ("size", "a"), ("time", "a")):
        assert ordered(rows, sort, figures.FILE_KEYS)[0]["path"] == first
    shared = {"user": "u", "heat": 1.0, "served": 1, "declined": 0, "us_sum": 1, "bytes_out": 1}
    (both,) = clients_together([{**shared, "agent": "qwen", "pid": 1}, {**shared, "agent": "qwen", "pid": 2}])
    assert (both["pids"], both["served"]) == (2, 2)


def test_numbers_in_few_characters() -> None:
    for number in (0, 0.04, 999.96, 9_999, 99_960, 999_999, 1e6, 123_456_789, 9e14):
        assert len(frame.count(number)) <= 5 and len(frame.short_size(number)) <= 5, number
    assert (frame.count(3.25, 1), frame.count(12_345), frame.count(1e6)) == ("3.2", "12.3k", "1.0M")
    sizes = [frame.short_size(number) for number in (1536, 2302 << 10, 150 << 20)]
    assert sizes == ["1.5K", "2.2M", "150M"]


def test_what_a_workspace_holds(answer: dict[str, Any]) -> None:
    row = {**answer["workspaces"][0], "text_bytes": 100, "index_bytes": 20, "own_bytes": 90, "share_bytes": 105}
    (told,) = between(None, Look(1.0, {**answer, "workspaces": [{**row, "table_bytes": 7}]})).workspaces
    assert (told["memory_bytes"], told["shared_bytes"]) == (112, 30)


def test_searches_in_few_words() -> None:
    qwen = ("--json", "--no-messages", "--ignore-case", "--regexp", "a b", "--threads", "4", "/x/y")
    assert short(qwen, "/cwd") == ("'a b'", "/x/y")
    assert short(("--files", "-g", "*.py", "-g", "!x"), "/cwd") == ("--files -g *.py", "/cwd")
    assert short(("-l", "foo", "."), "/cwd") == ("foo --files-with-matches", "/cwd")
    assert short(("--no-such-flag",), "/cwd") == ("--no-such-flag", "/cwd")
    assert short(("-V",), "/cwd")[0] == "--version-short" and short((), "/cwd") == ("", "/cwd")


# --- keys -------------------------------------------------------------------------------------------------------------
def test_keys() -> None:
    assert keys(b"sjk\x1b[A\x1b[B\r?\x1bOB") == ["sort", "down", "up", "up", "down", "enter", "help", "down"]
    assert keys(b"\x1b") == ["back"] and keys(b"\x1b[1;5Zq") == [] and keys(b"xyz\xff") == []


def test_what_keys_do() -> None:
    roots = ["/a", "/b", "/c"]
    state = State()
    for key, selected in (
        ("down", "/b"),
        ("down", "/c"),
        ("down", "/c"),
        ("up", "/b"),
        ("first", "/a"),
        ("last", "/c"),
    ):
        state = pressed(state, key, roots)
        assert state.selected == selected
    state = pressed(state, "enter", roots)
    assert state.inside == "/c" and pressed(state, "up", roots).selected == "/c"
    assert pressed(state, "back", roots).inside is None
    assert pressed(State(selected="/gone"), "enter", roots).inside == "/a"
    assert pressed(State(), "enter", []).inside is None and pressed(State(), "down", []) == State()
    sorts = [State().sort]
    for _ in figures.SORTS[1:]:
        state = pressed(state, "sort", roots)
        sorts.append(state.sort)
    assert sorted(sorts) == sorted(figures.SORTS) and pressed(state, "sort", roots).sort == State().sort
    helped = pressed(state, "help", roots)
    assert helped.help and not pressed(helped, "down", roots).help and pressed(helped, "quit", roots).quit


# --- frames -----------------------------------------------------------------------------------------------------------
def _facts(answer: dict[str, Any], **more: Any) -> Facts:
    return Facts(figures=between(None, Look(1.0, answer)), **more)


def _rendered(facts: Facts, state: State, width: int, height: int) -> list[str]:
    """What rich makes of a frame on a terminal of that size."""
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(program.picture(facts, state, console), end="")
    return captured.get().split("\n")


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (132, 43), (40, 12), (20, 6), (5, 3), (1, 1)])
@pytest.mark.parametrize("state", [State(), State(help=True), State(inside="one")], ids=["all", "help", "inside"])
def test_frames_fill_the_terminal_and_no_more(answer: dict[str, Any], state: State, size: tuple[int, int]) -> None:
    if state.inside:
        state = State(inside=answer["workspaces"][0]["root"])
    odd = copy.deepcopy(answer)
    odd["workspaces"] += [{**answer["workspaces"][0], "root": f"/日本語/\udcff\x1b[2J\n{n}"} for n in range(50)]
    for facts in (_facts(answer), _facts(odd, gone="it is gone", vllm_url="http://x", vllm="bad\x1b[2J"), Facts()):
        lines = frame.draw(facts, state, *size)
        assert len(lines) == size[1]
        assert {line.cell_len for line in lines} == {size[0]}
        assert not any(ord(char) < 32 for line in lines for char in line.plain)
        assert len(_rendered(facts, state, *size)) == size[1]


def test_a_small_terminal_shows_everything(answer: dict[str, Any]) -> None:
    facts = _facts(answer, vllm_url="http://127.0.0.1/metrics", vllm=Load(3, 1, 250.4, 1000.0))
    lines = _rendered(facts, State(), 80, 24)
    text = "\n".join(lines)
    for words in (
        "served", "declined", "p50", "p99", "barrier", "memory", "index", "watches", "runs of ripgrep", "not measured",
        "dirty paths, 0 overflows", "shadow checks: off", "running 3, waiting 1", "250 tokens/s out, 1,000 in",
        "workspace", "state", "gen", "agent", "query", "alpha", "file", "a.txt", "pre", "q quit",
    ):  # fmt: skip
        assert words in text, f"{words} is not in\n{text}"
    assert "…" not in "".join(lines[:8])  # what is cut is cut in lists only


def test_one_workspace(answer: dict[str, Any]) -> None:
    one, two = (row["root"] for row in answer["workspaces"])
    text = "\n".join(_rendered(_facts(answer), State(inside=one), 80, 24))
    assert "/one " in text and "3 in all, 3 served" in text and "nothing yet" in text and "alpha" in text
    text = "\n".join(_rendered(_facts(answer), State(inside=two), 80, 24))
    assert "/two " in text and "alpha" not in text
    # One that has gone meanwhile: back to all of them.
    assert "/one " in "\n".join(_rendered(_facts(answer), State(inside="/gone"), 80, 24))


def test_a_frame_is_one_write(answer: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, through rich's Live as the program uses it: half a frame never shows."""
    monkeypatch.setenv("TERM", "xterm")
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 150, 0, 0))
    writes: list[int] = []

    class Counting(io.FileIO):
        def write(self, data: Any) -> int:
            writes.append(len(data))
            return int(super().write(data) or 0)

    gone = threading.Event()

    def drain() -> None:
        while not gone.is_set():
            if select.select([master], [], [], 0.05)[0]:
                os.read(master, 1 << 16)

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        console = program.console(Counting(slave, "w"))
        console._width, console._height = 150, 50
        with Live(console=console, screen=True, auto_refresh=False) as live:
            live.update(program.picture(_facts(answer), State(), console), refresh=True)
            for _ in range(5):
                before = len(writes)
                live.update(program.picture(_facts(answer), State(), console), refresh=True)
                assert len(writes) == before + 1 and writes[-1] > 150 * 50
    finally:
        gone.set()
        reader.join()
        os.close(master)


# --- the program ------------------------------------------------------------------------------------------------------
class Shown:
    """`curserve top` on a terminal of our own, and what its screen shows."""

    def __init__(self, place: Place, width: int, height: int, *words: str, term: str = "xterm-256color") -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
            env = {**place.env, "TERM": term}
            for name in ("COLUMNS", "LINES"):
                env.pop(name, None)
            os.execve(CURSERVE, [CURSERVE, "top", *words], env)
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self.bytes = b""

    @property
    def lines(self) -> list[str]:
        return list(self._screen.display)

    def until(self, condition: Callable[[list[str]], bool], what: str, timeout_s: float = 30) -> list[str]:
        """The screen as soon as the condition holds for it."""
        deadline_s = time.monotonic() + timeout_s
        while not condition(self.lines):
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"waited {timeout_s} s for: {what}\n" + "\n".join(self.lines)
            if select.select([self._fd], [], [], min(left_s, 0.5))[0]:
                with suppress(OSError):
                    data = os.read(self._fd, 1 << 16)
                    self.bytes += data
                    self._stream.feed(data)
        return self.lines

    def shows(self, *words: str) -> list[str]:
        return self.until(lambda lines: all(any(word in line for line in lines) for word in words), f"{words}")

    def type(self, data: bytes) -> None:
        os.write(self._fd, data)

    def end(self, data: bytes = b"q") -> int:
        """Types the last key; the exit status. The terminal's settings must be as before."""
        self.type(data)
        deadline_s = time.monotonic() + 30
        while True:
            if select.select([self._fd], [], [], 0.05)[0]:
                with suppress(OSError):
                    self.bytes += os.read(self._fd, 1 << 16)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline_s, "it does not end"

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)


@contextmanager
def _top(place: Place, width: int, height: int, *words: str) -> Iterator[Shown]:
    shown = Shown(place, width, height, *words)
    try:
        yield shown
    finally:
        shown.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place()
    for name in ("apple", "pear"):
        (tmp_path / name / ".git").mkdir(parents=True)
        (tmp_path / name / "a.txt").write_text("alpha\n" * (1 if name == "apple" else 1000))
    made.start()
    for name in ("apple", "pear"):
        assert made.run("attach", str(tmp_path / name)).returncode == 0
    yield made
    made.close()


def _ask(place: Place, folder: Path, *words: str) -> None:
    shim = place.run("shim-dir").stdout.strip() + "/rg"
    assert place.shell_out([shim, *words, "."], cwd=folder).returncode in (0, 1)


def _heading_place(lines: list[str], word: str) -> int:
    return next((at for at, line in enumerate(lines) if word in line), -1)


def test_on_a_small_terminal(place: Place, tmp_path: Path) -> None:
    with _top(place, 80, 24, "--interval", "0.2", "--no-measure") as shown:
        shown.shows("2 workspaces", "apple", "pear", "not measured")
        _ask(place, tmp_path / "pear", "alpha")
        _ask(place, tmp_path / "pear", "--pre", "cat", "alpha")
        lines = shown.shows("alpha", "pre", "pear/a.txt", "in all 1 + 1")
        assert lines[23].startswith("q quit") and lines[0].startswith("curserve ")
        # Sorted by name after three keys, and by size again before that.
        shown.type(b"s")
        shown.shows("by time")
        shown.type(b"s")
        lines = shown.shows("by size")
        assert _heading_place(lines, "/pear") < _heading_place(lines, "/apple")
        shown.type(b"s")
        lines = shown.shows("by name")
        assert _heading_place(lines, "/apple") < _heading_place(lines, "/pear")
        shown.type(b"j\r")
        lines = shown.shows("generation", "/pear ", "q quit")
        assert "1 served" in "".join(lines)
        shown.type(b"\x1b")
        shown.shows("apple", "workspace")
        shown.type(b"?")
        shown.shows("look into it")
        shown.type(b"x")
        shown.shows("look into it")  # a key that means nothing
        shown.type(b"\r")
        shown.shows("apple", "workspace")
        assert shown.end() == 0
        assert shown.bytes.count(b"\x1b[?1049h") == shown.bytes.count(b"\x1b[?1049l") == 1


def test_on_a_large_terminal_and_when_it_changes_its_size(place: Place, tmp_path: Path) -> None:
    with _top(place, 200, 60) as shown:
        _ask(place, tmp_path / "pear", "-n", "alpha")
        lines = shown.shows("arguments", "apple", "pear", "q quit")
        heads = next(line for line in lines if "agent" in line and "served" in line)
        assert "declined" in heads and "file" in heads and lines[59].startswith("q quit")
        shown._screen.resize(30, 100)
        fcntl.ioctl(shown._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        shown.until(lambda lines: lines[29].startswith("q quit") and "arguments" not in "".join(lines), "another size")
        assert shown.end(b"\x03") in (0, 130)
        assert b"\x1b[?1049l" in shown.bytes


def test_a_daemon_that_goes_and_comes_back(place: Place) -> None:
    with _top(place, 80, 24, "--interval", "0.2") as shown:
        shown.shows("2 workspaces")
        assert place.run("stop").returncode == 0
        lines = shown.shows("no daemon is running", "figures are old")
        assert any("apple" in line for line in lines)  # the last figures stay
        pid = place.start()
        shown.shows(f"pid {pid}")
        assert shown.end() == 0


def test_a_signal_gives_the_terminal_back(place: Place) -> None:
    with _top(place, 80, 24) as shown:
        shown.shows("2 workspaces")
        os.kill(shown.pid, signal.SIGTERM)
        assert shown.end(b"") == 128 + signal.SIGTERM
        assert b"\x1b[?1049l" in shown.bytes
        assert termios.tcgetattr(shown._fd)[3] & termios.ECHO


def test_one_frame_for_scripts(place: Place, tmp_path: Path) -> None:
    _ask(place, tmp_path / "pear", "alpha")
    for words in (("--once",), ()):  # without a terminal it is one frame anyway
        done = place.run("top", "--interval", "0.1", *words)
        assert done.returncode == 0 and "\x1b" not in done.stdout
        assert "2 workspaces" in done.stdout and "pear" in done.stdout and "q quit" not in done.stdout
    told = json.loads(place.run("top", "--json", "--interval", "0.1", "--no-measure").stdout)
    assert told["requests"]["served"] == 1 and told["saved"]["runs"] == 1 and told["saved"]["seconds"] is None
    assert told["interval"]["seconds"] >= 0.1 and told["interval"]["served_per_s"] == 0 and told["vllm"] is None
    assert {"queries", "files", "clients", "since_s"} == set(told["census"])
    assert place.run("stop").returncode == 0
    gone = place.run("top", "--once")
    assert gone.returncode == 1 and gone.stdout == "" and "no daemon is running" in gone.stderr


@pytest.mark.parametrize("interval", ["0", "61", "x", "nan"])
def test_intervals_that_are_none(interval: str) -> None:
    place = Place()
    done = place.run("top", "--interval", interval)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    place.close()


def test_rates_are_those_of_the_last_seconds(tmp_path: Path, answer: dict[str, Any]) -> None:
    """The oldest look that counts is five seconds old; one of another daemon does not count at all."""
    now_s = 100.0
    feed = Feed(tmp_path / "none", 1.0, False, None)
    looks = [_later(answer, served=number) for number in range(20)]

    class Answers:
        def call(self, op: str, **arguments: Any) -> dict[str, Any]:
            return looks.pop(0)

    feed._client = Answers()  # type: ignore[assignment]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curserve.top.feed.time.monotonic", lambda: now_s)
        while looks:
            feed.look()
            now_s += 1.0
        found = feed.latest().figures
        assert found is not None and found.interval_s == 5.0 and found.served_per_s == 1.0
        looks.append({**answer, "pid": answer["pid"] + 1})
        feed.look()
        found = feed.latest().figures
        assert found is not None and not found.live


def test_a_terminal_that_cannot_be_drawn_on_gets_one_frame(place: Place) -> None:
    shown = Shown(place, 80, 24, term="dumb")
    try:
        shown.until(lambda lines: any("apple" in line for line in lines), "a frame")
        assert shown.end(b"") == 0 and b"\x1b[?1049h" not in shown.bytes
    finally:
        shown.close()
