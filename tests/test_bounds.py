"""The daemon within bounds: clients that are silent, slow or too many, and agents that burst, stop nobody."""

from __future__ import annotations

import os
import resource
import select
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from daemon_place import wait_for
from oracle import Answer, Box, compare

from curserve import paths

_HEAVY_WORDS = ["-c", "--no-config", r"[a-z]+ [a-z]+ \w+x$"]
"""No gram, no literal: every byte of the tree is looked at."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    for index in range(20):
        (root / f"{index}.txt").write_text(f"needle {index}\nhay\n" * 50)
    return root


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """12 MB of text, all of it different, so that it is a heavy search's worth."""
    root = tmp_path / "large"
    root.mkdir()
    for index in range(48):
        (root / f"{index:02}.txt").write_text("".join(f"some words {index} {line} here\n" for line in range(10_000)))
    return root


def _connected(box: Box) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(box.socket))
    return client


def _queue(box: Box) -> dict[str, Any]:
    found: dict[str, Any] = box.control("status")["queue"]
    return found


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    """Room for a thousand clients; the soft limit is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def silent(own_box: Box) -> Iterator[Box]:
    """A box with a thousand clients that say nothing."""
    with ExitStack() as clients:
        for _ in range(1000):
            clients.enter_context(_connected(own_box))
        yield own_box


def test_a_thousand_silent_clients_stop_nobody(silent: Box, tree: Path) -> None:
    silent.attach(tree)
    for _ in range(20):
        assert compare(silent, ["needle"], tree).served


def test_silent_clients_are_let_go(own_box: Box) -> None:
    with _connected(own_box) as client:
        client.settimeout(20)
        assert client.recv(100) == b""
    wait_for(lambda: _queue(own_box)["silent"] == 0, "no silent client")


@pytest.mark.parametrize("cut", [1, 11, 12, 13, 300])
def test_a_request_in_pieces_is_answered(own_box: Box, cut: int) -> None:
    """Wherever the pieces end; the daemon waits for each of them without a thread."""
    payload = b"\xff" * 400
    whole = struct.pack("<IHHI", 0x56535243, 1, 1, len(payload)) + payload
    replies: list[bytes] = []

    def replied() -> bool:
        replies.append(_in_pieces(own_box, whole, cut))
        return replies[-1] != b""

    wait_for(replied, "a reply")
    assert replies[-1][12:] == b"bad_frame"


def _in_pieces(box: Box, whole: bytes, cut: int) -> bytes:
    """The reply to a frame whose end comes when the daemon is seen to wait for it. Empty: it lost its patience, of one
    second, before we were that far."""
    with _connected(box) as client:
        client.settimeout(20)
        client.sendall(whole[:cut])
        wait_for(lambda: _queue(box)["silent"] == 1 or _has_hung_up(client), "the daemon's patience")
        try:
            client.sendall(whole[cut:])
            return client.recv(4096)
        except OSError:
            return b""


def _has_hung_up(client: socket.socket) -> bool:
    """The other side has: nothing else can be read there yet."""
    return select.select([client], [], [], 0)[0] != []


@contextmanager
def _that_never_read(box: Box, cwd: Path, argv: list[str], count: int = 1) -> Iterator[None]:
    """So many clients whose answers fit neither a file nor the sockets and pipes between, and whom the daemon is seen
    to wait for. It gives each of them up after 30 s."""
    command = [str(paths.shim_dir() / "rg"), "--no-config", *argv]
    env = box.env | {"CURSERVE_TIMEOUT_MS": "60000"}
    clients = [
        subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    try:
        wait_for(lambda: _queue(box)["stalled"] == count, f"{count} stalled clients", timeout_s=60)
        yield
    finally:
        for client in clients:
            client.kill()
            client.communicate()


def test_clients_that_never_read_stop_nobody(own_box: Box, large: Path) -> None:
    """More of them than the daemon has threads at first. Each has its thread, as a light search (below 4 MiB) does."""
    own_box.attach(large)
    with _that_never_read(own_box, large, ["--json", "words", *(f"{index:02}.txt" for index in range(8))], count=24):
        assert compare(own_box, ["-c", "words", "01.txt"], large).served


def test_a_client_that_goes_away_gives_its_place_back(own_box: Box, large: Path) -> None:
    """The search that was begun for it is given up, and whoever waited behind it is served."""
    own_box.attach(large)
    with _that_never_read(own_box, large, ["-n", "words"]):
        assert _queue(own_box)["heavy"] == 1
        gone = own_box.control("status")["requests"]["clients_gone"]
    wait_for(lambda: _queue(own_box)["heavy"] == 0, "the place given back")
    assert own_box.control("status")["requests"]["clients_gone"] == gone + 1


def test_what_nobody_reads_is_not_kept(own_box: Box, large: Path) -> None:
    """An answer of 96 MB waits where it is computed, not in memory: workers run ahead by 64 jobs of 1 MiB at most."""
    own_box.attach(large)
    compare(own_box, ["-c", "words", "01.txt"], large)
    assert own_box.process is not None
    daemon = psutil.Process(own_box.process.pid)
    wait_for(lambda: not own_box.control("status")["workspaces"][0]["dirty"], "quiet")
    before = daemon.memory_info().rss
    argv = [str(paths.shim_dir() / "rg"), "--no-config", "--json", "words"]
    with subprocess.Popen(argv, cwd=large, env=own_box.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        wait_for(lambda: _queue(own_box)["stalled"] == 1, "a stalled client", timeout_s=60)
        grown = daemon.memory_info().rss - before
        size = 0
        while part := client.stdout.read(1 << 20):
            size += len(part)
    assert client.returncode == 0 and size > 90_000_000
    assert grown < 80_000_000, f"{grown:,} bytes for an answer of {size:,} that nobody reads"


def test_a_thousand_searches_at_once(own_box: Box, tree: Path) -> None:
    """Each is answered, and right, by the daemon or by the real rg."""
    own_box.attach(tree)
    expected = compare(own_box, ["-c", "needle 7$"], tree)
    argv = [str(paths.shim_dir() / "rg"), "-c", "needle 7$"]
    searches = [
        subprocess.Popen(argv, cwd=tree, env=own_box.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        for _ in range(1000)
    ]
    answers = {(search.communicate(timeout=120)[0], search.returncode) for search in searches}
    assert answers == {(expected.stdout, expected.code)} == {(b"7.txt:50\n", 0)}
    assert compare(own_box, ["-c", "needle"], tree).served


def _burst(box: Box, root: Path, count: int) -> list[subprocess.Popen[bytes]]:
    """One agent's searches, all at once; the agent's session is that of this process."""
    return [
        subprocess.Popen(
            [str(paths.shim_dir() / "rg"), *_HEAVY_WORDS], cwd=root, env=box.env | {"CURSERVE_TIMEOUT_MS": "60000"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for _ in range(count)
    ]  # fmt: skip


def test_a_burst_waits_for_its_turn_and_is_answered(own_box: Box, large: Path) -> None:
    own_box.attach(large)
    expected = compare(own_box, _HEAVY_WORDS, large)
    searches = _burst(own_box, large, 24)
    for search in searches:
        out, _ = search.communicate(timeout=120)
        assert (search.returncode, sorted(out.splitlines())) == (expected.code, sorted(expected.stdout.splitlines()))
    wait_for(lambda: _queue(own_box)["waiting"] == 0 and _queue(own_box)["heavy"] == 0, "all slots given back")


def test_too_many_waiting_are_declined_and_answered_by_rg(tmp_path: Path, large: Path) -> None:
    """One of the session's searches cannot end, a second one waits for its place, and there is no room for a third."""
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", "[limits]\nsession_concurrency = 1\nwaiting = 1\nwait_s = 600\n") as box:
        box.attach(large)
        patient = {"CURSERVE_TIMEOUT_MS": "0"}
        with _that_never_read(box, large, ["-n", "words"]):
            second: list[Answer] = []
            thread = threading.Thread(target=lambda: second.append(box.rg(["-c", "words", "02.txt"], large, patient)))
            thread.start()
            wait_for(lambda: _queue(box)["waiting"] == 1, "the second in the queue")
            third = compare(box, ["-c", "words", "01.txt"], large, patient)
            assert (third.served, third.reason) == (False, "busy")
            assert _queue(box)["overflowed"] == 1
        thread.join()
        assert second[0].served
        assert box.control("status")["requests"]["declined_by_reason"]["busy"] == 1
        assert compare(box, ["-c", "words", "01.txt"], large).served


def test_requests_per_second_are_limited_by_waiting(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", "[limits]\nworkspace_per_s = 1\nwait_s = 600\n") as box:
        box.attach(tree)
        answers: list[Answer] = []

        def some_waited() -> bool:
            def search() -> None:
                answers.append(compare(box, ["-c", "needle"], tree, {"CURSERVE_TIMEOUT_MS": "0"}))

            threads = [threading.Thread(target=search) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return bool(_queue(box)["waited"])

        wait_for(some_waited, "four searches within a second, of which some wait", timeout_s=60)
        assert len(answers) % 4 == 0 and all(answer.served for answer in answers)


def test_what_waits_too_long_is_declined(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", "[limits]\nuser_per_s = 0.001\nwait_s = 0.2\n") as box:
        box.attach(tree)
        assert compare(box, ["-c", "needle"], tree).served
        answer = compare(box, ["-c", "needle"], tree)
        assert (answer.served, answer.reason) == (False, "busy")
        assert _queue(box)["expired"] == 1


def test_those_who_leave_the_queue_are_not_worked_for(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", "[limits]\nworkspace_per_s = 0.001\nwait_s = 600\n") as box:
        box.attach(tree)
        assert compare(box, ["-c", "needle"], tree).served
        env = box.env | {"CURSERVE_TIMEOUT_MS": "0"}
        waiting = subprocess.Popen([str(paths.shim_dir() / "rg"), "needle"], cwd=tree, env=env, stdout=subprocess.PIPE)
        wait_for(lambda: _queue(box)["waiting"] == 1, "the search in the queue")
        waiting.kill()
        waiting.communicate()
        wait_for(lambda: _queue(box)["waiting"] == 0, "an empty queue")
        assert box.control("status")["requests"]["clients_gone"] == 1


def test_many_threads_of_clients_at_once(own_box: Box, tree: Path) -> None:
    own_box.attach(tree)
    wrong: list[str] = []

    def search() -> None:
        for _ in range(5):
            try:
                compare(own_box, ["needle"], tree)
            except AssertionError as error:
                wrong.append(str(error))

    threads = [threading.Thread(target=search) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_nobody_is_left_in_the_queue_by_a_stop(own_box: Box, large: Path) -> None:
    """Searches that wait when the daemon is told to stop are answered, by it or by rg."""
    own_box.attach(large)
    expected = compare(own_box, _HEAVY_WORDS, large)
    searches = _burst(own_box, large, 12)
    own_box.stop()
    for search in searches:
        out, _ = search.communicate(timeout=120)
        assert sorted(out.splitlines()) == sorted(expected.stdout.splitlines())
    assert not os.path.exists(own_box.socket)


# ---- deadlines, and clients that go away while nothing is printed

_SLOW = r"a(?:[a-z]*\b!)?"
"""Each match looks at what is left of its line: on one line of 4.5 MB hours of work, without a byte of output."""


@pytest.fixture
def long_line(tmp_path: Path) -> Path:
    """Files of one line each, a heavy search's worth: of ASCII, and of what must be simulated."""
    root = tmp_path / "long"
    root.mkdir()
    (root / "ascii.txt").write_text("a" * 4_500_000)
    (root / "other.txt").write_text("a\u00e9" * 1_500_000)
    return root


@pytest.mark.parametrize(
    "argv",
    [
        ["--count-matches", _SLOW, "ascii.txt"],
        ["--count-matches", _SLOW, "other.txt"],
        ["--count-matches", "--no-mmap", _SLOW],
        ["--count-matches", "-U", rf"{_SLOW}|\n\n", "ascii.txt"],
        ["-o", _SLOW],
        ["--json", _SLOW, "ascii.txt"],
        ["--passthru", "-r", "$0$0", _SLOW, "ascii.txt"],
    ],
)  # fmt: skip
def test_a_search_inside_of_one_file_ends_with_its_client(own_box: Box, long_line: Path, argv: list[str]) -> None:
    own_box.attach(long_line)
    env = own_box.env | {"CURSERVE_TIMEOUT_MS": "0"}
    command = [str(paths.shim_dir() / "rg"), "--no-config", *argv]
    client = subprocess.Popen(command, cwd=long_line, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        wait_for(lambda: _queue(own_box)["heavy"] == 1, "a search under way")
        assert client.poll() is None
    finally:
        client.kill()
        client.communicate()
    wait_for(lambda: _queue(own_box)["heavy"] == 0, "the search given up", timeout_s=60)
    assert own_box.control("status")["requests"]["clients_gone"] == 1


def test_what_takes_longer_than_the_deadline_is_declined(tmp_path: Path, large: Path) -> None:
    """Before its first byte; the real rg answers."""
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", "[limits]\ndeadline_s = 0.001\n") as box:
        box.attach(large)
        answer = compare(box, _HEAVY_WORDS, large, {"CURSERVE_TIMEOUT_MS": "0"})
        assert (answer.served, answer.reason) == (False, "deadline")


def test_a_kill_in_the_middle_of_an_answer_shows_none_of_it(own_box: Box, long_line: Path, tmp_path: Path) -> None:
    (long_line / "a.txt").write_text("a b\n" * 1_000_000)
    own_box.attach(long_line)
    real = tmp_path / "real"
    real.write_text("#!/bin/sh\necho the real one\n")
    real.chmod(0o755)
    client = subprocess.Popen(
        [str(paths.shim_dir() / "rg"), "--no-config", "-oI", "-r", "xxxxx", _SLOW], cwd=long_line,
        env=own_box.env | {"CURSERVE_TIMEOUT_MS": "0", "CURSERVE_REAL_RG": str(real)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert own_box.process is not None
    files = Path(f"/proc/{own_box.process.pid}/fd")

    def holds_some() -> bool:
        """6 MB of the answer are printed, and held in a file; the rest takes hours."""
        for file in files.iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                if os.readlink(file).startswith("/memfd:answer"):
                    return file.stat().st_size > 5_000_000
        return False

    wait_for(holds_some, "an answer on its way")
    own_box.process.kill()
    out, _ = client.communicate(timeout=60)
    assert (client.returncode, out) == (0, b"the real one\n")


def _allow_no_time(box: Box) -> None:
    """From now on nothing may take longer than a millisecond."""
    (box.home / ".config" / "curserve" / "config.toml").write_text("[limits]\ndeadline_s = 0.001\n")


def test_an_answer_that_has_begun_is_broken_off_at_the_deadline(own_box: Box, long_line: Path) -> None:
    (long_line / "a.txt").write_text("a b\n" * 300_000)
    shown = "x" * 60  # more of it than the daemon holds back
    own_box.attach(long_line)
    client = subprocess.Popen(
        [str(paths.shim_dir() / "rg"), "--no-config", "-oI", "-r", shown, _SLOW], cwd=long_line,
        env=own_box.env | {"CURSERVE_TIMEOUT_MS": "0"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, bufsize=0,
    )  # fmt: skip
    assert client.stdout is not None
    begun = client.stdout.read(100_000)
    _allow_no_time(own_box)
    rest, err = client.communicate(timeout=60)
    assert client.returncode == 2
    assert err in (  # the second when the deadline came while the daemon waited for us to read
        b"rg: curserve: the search took longer than [limits] deadline_s allows\n",
        b"rg: curserve: the daemon's answer broke off in the middle\n",
    )
    assert (f"{shown}\n".encode() * 300_000).startswith(begun + rest)
    wait_for(lambda: _queue(own_box)["heavy"] == 0, "its place given back")


def test_a_client_that_never_reads_is_given_up_at_the_deadline(own_box: Box, large: Path) -> None:
    own_box.attach(large)
    client = subprocess.Popen(
        [str(paths.shim_dir() / "rg"), "--no-config", "-n", "words"], cwd=large, stdin=subprocess.DEVNULL,
        env=own_box.env | {"CURSERVE_TIMEOUT_MS": "0"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(lambda: _queue(own_box)["stalled"] == 1, "a stalled client", timeout_s=60)
    _allow_no_time(own_box)
    wait_for(lambda: _queue(own_box)["heavy"] == 0, "its place given back")
    _, err = client.communicate(timeout=60)
    assert (client.returncode, err) == (2, b"rg: curserve: the daemon's answer broke off in the middle\n")


@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="the sanitizer ends a process that has no memory")
def test_memory_that_runs_out_while_a_change_is_taken_in(own_box: Box, tree: Path) -> None:
    """The daemon cannot know any more what it holds: the real rg answers, and the status says why."""
    own_box.attach(tree)
    assert compare(own_box, ["-c", "needle"], tree).served
    assert own_box.process is not None
    daemon = psutil.Process(own_box.process.pid)
    limits = daemon.rlimit(psutil.RLIMIT_AS)
    (tree / "big.txt").write_bytes(b"a needle in a line\n" * 6_500_000)
    daemon.rlimit(psutil.RLIMIT_AS, (daemon.memory_info().vms + (32 << 20), limits[1]))
    assert not compare(own_box, ["-c", "needle"], tree).served
    daemon.rlimit(psutil.RLIMIT_AS, limits)
    (tree / "new.txt").write_text("one needle\n")
    assert not compare(own_box, ["-c", "needle"], tree).served
    assert own_box.control("status")["workspaces"][0]["state"] == "poisoned"
