"""Many clients at once and a writer among them: every answer is right for some moment of the search, memory is flat.

CURSERVE_CLIENT_REQUESTS sets how many requests each of the 16 clients sends (default 25).
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest
from oracle import Box

from curserve import paths

CLIENTS = 16
REQUESTS = int(os.environ.get("CURSERVE_CLIENT_REQUESTS", "25"))
_LINE = re.compile(rb"counter\.txt:value (\d+)")


@pytest.mark.timeout(120 + REQUESTS * 2)
def test_sixteen_clients_and_a_writer(own_box: Box, tmp_path: Path) -> None:
    """The writer replaces a file by one with the next number and publishes the number when that is done. A search that
    begins later must see that number or a later one; the other files never change."""
    root = tmp_path / "tree"
    root.mkdir()
    for index in range(100):
        (root / f"still{index:03}.txt").write_text(f"value {index}\n" * 20)
    (root / "counter.txt").write_text("value 0\n")
    own_box.attach(root)
    still = sorted(
        b"still%03d.txt:value %d" % (index, index) for index in range(100) for _ in range(20)
    )
    done = threading.Event()
    published = [0]

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            temporary = root / ".tmp"
            temporary.write_text(f"value {number}\n")
            temporary.replace(root / "counter.txt")
            published[0] = number
            done.wait(0.001)

    wrong: list[str] = []
    served = [0] * CLIENTS

    def search(client: int) -> None:
        for _ in range(REQUESTS):
            before = published[0]
            answer = own_box.rg(["--no-heading", "value"], root)
            after = published[0] + 1
            served[client] += answer.served
            lines = answer.stdout.splitlines()
            counters = [int(match[1]) for line in lines if (match := _LINE.fullmatch(line))]
            rest = sorted(line for line in lines if not _LINE.fullmatch(line))
            if not answer.served and not counters:
                continue  # the real rg, racing with the rename
            if rest != still:
                wrong.append(f"other lines: {len(rest)}")
            elif len(counters) != 1 or not before <= counters[0] <= after:
                wrong.append(f"counter {counters}, written before {before}, after {after}")

    def round_of_clients() -> None:
        threads = [threading.Thread(target=search, args=(client,)) for client in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    writer = threading.Thread(target=write)
    writer.start()
    assert own_box.process is not None
    daemon = psutil.Process(own_box.process.pid)
    try:
        round_of_clients()
        warm = daemon.memory_info().rss
        round_of_clients()
        grown = daemon.memory_info().rss - warm
    finally:
        done.set()
        writer.join()
    assert wrong == []
    assert sum(served) > 2 * CLIENTS * REQUESTS * 0.9
    assert grown < 16 << 20, f"the daemon grew by {grown >> 20} MiB"


@pytest.fixture
def talkative(own_box: Box, tmp_path: Path) -> Path:
    """A tree of 64 MB in which everything matches."""
    root = tmp_path / "tree"
    root.mkdir()
    for index in range(64):
        (root / f"{index:02}.txt").write_text(f"needle in line {index}\n" * 52_000)
    own_box.attach(root)
    return root


def _reader(box: Box, root: Path) -> subprocess.Popen[bytes]:
    """A search that prints some 90 MB into a pipe nobody has read from yet."""
    return subprocess.Popen(
        [str(paths.shim_dir() / "rg"), "-n", "needle"], cwd=root, env=box.env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_slow_reader_costs_no_memory(own_box: Box, talkative: Path) -> None:
    assert own_box.process is not None
    daemon = psutil.Process(own_box.process.pid)
    assert own_box.rg(["-c", "needle"], talkative).served
    before = daemon.memory_info().rss
    reader = _reader(own_box, talkative)
    assert reader.stdout is not None
    first = reader.stdout.read(1)
    most_daemon = most_shim = 0
    total = len(first)
    while chunk := reader.stdout.read(1 << 20):
        total += len(chunk)
        most_daemon = max(most_daemon, daemon.memory_info().rss)
        if reader.poll() is None:
            used = psutil.Process(reader.pid).memory_info()
            most_shim = max(most_shim, used.rss - used.shared)  # the first 8 MiB come in a file
    assert reader.wait() == 0
    assert total > 80 << 20
    assert most_daemon - before < 48 << 20, f"the daemon held {(most_daemon - before) >> 20} MiB more"
    assert most_shim < 4 << 20


def test_client_that_goes_away_stops_the_work(own_box: Box, talkative: Path) -> None:
    assert own_box.process is not None
    daemon = psutil.Process(own_box.process.pid)
    gone = own_box.control("status")["requests"]["clients_gone"]
    reader = _reader(own_box, talkative)
    assert reader.stdout is not None
    reader.stdout.read(10)
    reader.kill()
    reader.wait()
    deadline_s = time.monotonic() + 20
    while own_box.control("status")["requests"]["clients_gone"] == gone:
        assert time.monotonic() < deadline_s, "the daemon still works for a client that is gone"
        time.sleep(0.02)
    busy = daemon.cpu_times().user
    assert own_box.rg(["-c", "needle", "00.txt"], talkative).stdout == b"52000\n"
    assert daemon.cpu_times().user - busy < 1
