"""A scripted stand-in for the daemon: speaks shims/wire.h, does what a test says, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIRE_H = (ROOT / "shims" / "wire.h").read_text()
MAGIC, VERSION = 0x56535243, 1
REQUEST, STDOUT, STDERR, EXIT, DECLINE, PIPE, FILE = range(1, 8)
ASKS_FILE = 1
MAX_REQUEST = 1 << 20
HEAD = struct.Struct("=IHHI")
FD = struct.Struct("=IIQQ")
FIXED = struct.Struct("=IIQQQQQ" + "IIQQ" * 3 + "II")


def sent_names() -> list[str]:
    """The environment variables that a client sends, read from the contract."""
    return re.findall(r'"(\w+)"', WIRE_H.split("#define CS_WIRE_ENV", 1)[1].split("#endif", 1)[0])


def frame(
    kind: int, payload: bytes = b"", *, magic: int = MAGIC, version: int = VERSION, size: int | None = None
) -> bytes:
    """One frame; `size` lies about the payload's length."""
    return HEAD.pack(magic, version, kind, len(payload) if size is None else size) + payload


def exit_frame(code: int = 0, plan_us: int = 1, barrier_us: int = 2, search_us: int = 3, total_us: int = 9) -> bytes:
    return frame(EXIT, struct.pack("=IIIIII", code, plan_us, barrier_us, search_us, total_us, 0))


def send_file(
    peer: socket.socket, content: bytes, behind: bytes, *, size: int | None = None, seal: bool = True
) -> None:
    """A FILE frame, with its file, and at once what comes behind it; `size` lies about the file's length."""
    file = os.memfd_create("answer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.truncate(file, len(content))
        os.pwrite(file, content, 0)
        if seal:
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
        head = frame(FILE, struct.pack("=Q", len(content) if size is None else size))
        socket.send_fds(peer, [head + behind], [file])
    finally:
        os.close(file)


@dataclass(frozen=True)
class Request:
    """One REQUEST, taken apart. fds: (kind, dev, ino) of 0, 1, 2."""

    cwd: bytes
    argv: list[bytes]
    env: dict[bytes, bytes]
    cwd_id: tuple[int, int, int]
    root_id: tuple[int, int]
    fds: list[tuple[int, int, int]]
    flags: int


def read_exactly(peer: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = peer.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def read_request(peer: socket.socket) -> Request:
    magic, version, kind, size = HEAD.unpack(read_exactly(peer, HEAD.size))
    assert (magic, version, kind) == (MAGIC, VERSION, REQUEST)
    assert size <= MAX_REQUEST
    payload = read_exactly(peer, size)
    argc, envc, cwd_dev, cwd_ino, cwd_mnt, root_dev, root_ino, *rest = FIXED.unpack_from(payload)
    strings_size, flags = rest[12:]
    strings = payload[FIXED.size :]
    assert len(strings) == strings_size
    assert strings.endswith(b"\0")
    cwd, *parts = strings[:-1].split(b"\0")
    assert len(parts) == argc + envc
    env = dict(part.split(b"=", 1) for part in parts[argc:])
    fds = [(rest[i], rest[i + 2], rest[i + 3]) for i in (0, 4, 8)]
    return Request(cwd, parts[:argc], env, (cwd_dev, cwd_ino, cwd_mnt), (root_dev, root_ino), fds, flags)


class WireServer:
    """Listens at `path`. For each connection: reads the request, then calls `script(peer, request)`.

    A script that returns bytes has them sent. `requests` grows by one per request, before the script runs.
    """

    def __init__(self, path: Path, script: Callable[[socket.socket, Request], bytes | None]) -> None:
        self.path = path
        self.script = script
        self.requests: list[Request] = []
        self.errors: list[BaseException] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer:
            try:
                request = read_request(peer)
                self.requests.append(request)
                reply = self.script(peer, request)
                if reply:
                    peer.sendall(reply)
            except (OSError, EOFError):
                pass
            except BaseException as error:
                self.errors.append(error)

    def close(self) -> None:
        # A shutdown wakes the thread in accept(); a close alone would not.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        assert not self.errors, self.errors


@contextlib.contextmanager
def serving(path: Path, script: Callable[[socket.socket, Request], bytes | None]) -> Iterator[WireServer]:
    server = WireServer(path, script)
    try:
        yield server
    finally:
        server.close()
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
