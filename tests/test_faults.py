"""Whatever breaks, the agent gets ripgrep's answer or ripgrep's error, and never waits for long."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from daemon_place import wait_for
from oracle import REAL_RG, Box, compare, real_rg

from curserve import paths


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    for index in range(40):
        (root / "sub" / f"{index}.txt").write_text(f"needle {index}\nhay\n" * 50)
    return root


@pytest.fixture
def attached(own_box: Box, tree: Path) -> Path:
    own_box.attach(tree)
    assert compare(own_box, ["needle"], tree).served
    return tree


def test_killed_before_a_request(own_box: Box, attached: Path) -> None:
    own_box.stop(signal.SIGKILL)
    answer = compare(own_box, ["needle"], attached)
    assert not answer.served
    own_box.start()
    own_box.attach(attached)
    assert compare(own_box, ["needle"], attached).served


def test_killed_again_and_again_while_searches_run(own_box: Box, attached: Path) -> None:
    """A search that the daemon had begun to answer may end with an error; none may end with a wrong answer."""
    expected = real_rg(["--sort", "path", "-c", "needle"], attached, own_box.env).stdout
    wrong: list[bytes] = []
    served: list[bool] = []
    ending = threading.Event()

    def search() -> None:
        while not ending.is_set():
            answer = own_box.rg(["-c", "needle"], attached)
            served.append(answer.served)
            lines = sorted(answer.stdout.splitlines())
            if answer.code != 2 and lines != sorted(expected.splitlines()):
                wrong.append(answer.stdout + answer.stderr)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        seen = len(served)
        wait_for(lambda seen=seen: sum(served[seen:]) >= 8, "searches served by the new daemon")
        own_box.stop(signal.SIGKILL)
        own_box.start()
        own_box.attach(attached)
    ending.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_stopped_daemon(own_box: Box, attached: Path) -> None:
    assert own_box.process is not None
    own_box.process.send_signal(signal.SIGSTOP)
    try:
        answer = compare(own_box, ["needle"], attached, {"CURSERVE_TIMEOUT_MS": "300"})
        assert not answer.served
        assert answer.reason == "timeout"
    finally:
        own_box.process.send_signal(signal.SIGCONT)
    assert compare(own_box, ["needle"], attached).served


def test_socket_file_removed(own_box: Box, attached: Path) -> None:
    own_box.socket.unlink()
    assert not compare(own_box, ["needle"], attached).served


def test_folder_deleted_under_the_daemon(own_box: Box, attached: Path) -> None:
    shutil.rmtree(attached / "sub")
    compare(own_box, ["needle"], attached)
    shutil.rmtree(attached)
    compare(own_box, ["needle", str(attached)], "/")
    attached.mkdir()
    (attached / "again.txt").write_text("needle again\n")
    assert compare(own_box, ["needle"], attached).stdout == b"again.txt:needle again\n"


def test_deleted_cwd(own_box: Box, tree: Path) -> None:
    """Neither side can know where it is; both must say the same."""
    script = 'mkdir gone; cd gone; rmdir ../gone; "$RG" needle; echo "status $?"'
    ours, theirs = (
        subprocess.run(["sh", "-c", script], cwd=tree, env={**own_box.env, "RG": rg}, capture_output=True, timeout=60)
        for rg in (str(paths.shim_dir() / "rg"), REAL_RG)
    )
    assert (ours.stdout, ours.stderr) == (theirs.stdout, theirs.stderr)


def test_unreadable_files(own_box: Box, attached: Path) -> None:
    (attached / "sub" / "1.txt").chmod(0)
    (attached / "closed").mkdir()
    (attached / "closed" / "x.txt").write_text("needle\n")
    (attached / "closed").chmod(0)
    try:
        compare(own_box, ["-c", "needle"], attached)
        compare(own_box, ["-c", "needle", "--no-messages"], attached)
        compare(own_box, ["--files"], attached)
    finally:
        (attached / "closed").chmod(0o755)


def test_long_lines(own_box: Box, attached: Path) -> None:
    (attached / "long.txt").write_bytes(b"a" * 10_000_000 + b" needle " + b"b" * 1000 + b"\nneedle\n")
    compare(own_box, ["-n", "needle"], attached)
    compare(own_box, ["-o", "-b", "needle"], attached)
    compare(own_box, ["--json", "-m1", "needle"], attached)


def test_names_that_are_not_utf8(own_box: Box, attached: Path) -> None:
    root = os.fsencode(attached)
    os.mkdir(root + b"/d\xff\xfe")
    with open(root + b"/d\xff\xfe/f\x80 \n.txt", "w") as file:
        file.write("needle\n")
    for argv in (["needle"], ["--json", "needle"], ["-l0", "needle"], ["--files"], ["-c", "needle", b"d\xff\xfe"]):
        assert compare(own_box, argv, attached).served
    compare(own_box, [b"needle\xff"], attached)
    compare(own_box, ["-g", b"*\xfe/**", "needle"], attached)


def test_daemon_of_another_protocol_version(tmp_path: Path, tree: Path) -> None:
    """An older or newer daemon answers DECLINE "version"; so does ours to an unknown client."""
    folder = tmp_path / "other"
    folder.mkdir(mode=0o700)
    box = Box(folder)
    other_version = struct.pack("<IHHI", 0x56535243, 999, 5, 7) + b"version"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(box.socket))
        listener.listen()

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(other_version)

        thread = threading.Thread(target=answer)
        thread.start()
        found = compare(box, ["needle"], tree)
        thread.join()
    assert not found.served


def test_client_of_another_protocol_version(own_box: Box) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(own_box.socket))
        client.sendall(struct.pack("<IHHI", 0x56535243, 999, 1, 0))
        reply = client.recv(4096)
    magic, _, kind, size = struct.unpack("<IHHI", reply[:12])
    assert (magic, kind, reply[12 : 12 + size]) == (0x56535243, 5, b"version")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("<IHHI", 0x56535243, 1, 1, 0xFFFFFFFF),
        struct.pack("<IHHI", 0x56535243, 1, 1, 10) + b"0123456789",
        struct.pack("<IHHI", 0x56535243, 1, 1, 400) + b"\xff" * 400,
        struct.pack("<IHHI", 0x56535243, 1, 1, 400) + b"\0" * 400,
        struct.pack("<IHHI", 0x56535243, 1, 2, 4) + b"abcd",
    ],
)
def test_garbage_harms_nobody(own_box: Box, attached: Path, sent: bytes) -> None:
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(own_box.socket))
            client.sendall(sent)
    assert compare(own_box, ["needle"], attached).served


def test_silent_clients_keep_nobody_out(own_box: Box, attached: Path) -> None:
    """Clients that connect at once and say nothing take a thread each for a while; whoever comes then finds another."""
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            silent = stack.enter_context(socket.socket(socket.AF_UNIX))
            silent.connect(str(own_box.socket))
        for _ in range(3):
            assert compare(own_box, ["-n", "needle"], attached).served


def test_disk_full_in_the_runtime_folder(tmp_path: Path, tree: Path) -> None:
    """No socket can be made there: starting fails with a clear line, searching goes on with ripgrep."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=1,mode=700", "none", str(small)], check=True)
    try:
        box = Box(tmp_path / "box-folder")
        box.socket = small / "socket"
        done = subprocess.run(
            [str(Path(paths.__file__).parents[4] / "bin" / "curserve"), "start"],
            env=box.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert b"Traceback" not in done.stderr
        assert not compare(box, ["needle"], tree).served
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_reader_that_stops_early(own_box: Box, attached: Path) -> None:
    """`rg … | head -1`: the same first line, and the daemon goes on."""
    (attached / "big.txt").write_text("needle in a long line of text\n" * 400_000)
    ours, theirs = (
        subprocess.run(
            ["bash", "-c", '"$RG" needle big.txt | head -1; echo "${PIPESTATUS[0]}"'],
            cwd=attached, env={**own_box.env, "RG": rg}, capture_output=True, timeout=60,
        ).stdout
        for rg in (str(paths.shim_dir() / "rg"), REAL_RG)
    )  # fmt: skip
    assert ours == theirs
    assert compare(own_box, ["-c", "needle"], attached).served
