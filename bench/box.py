"""One private daemon to be measured: the installed program with its own socket, home folder and log.

In: a folder for its files. Out: its environment for clients, its status, attaching. The tests have a like of it that
compares answers; this one only runs things.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.programs import REAL_RG

_START_S = 60.0
"""A hundred agents whose searches are all ripgrep's meanwhile leave it little of two cores."""
_INDEX_S = 120.0
_CONTROL_S = 300.0
_INDEXED = 0.98
"""The share of the text that is indexed when all is: binary files are, up to their first NUL only."""
_SETTLED_S, _SAME_S = 30.0, 12.0
"""What a load leaves behind is given back a moment after it."""
_QUIET_S = 20.0
"""Arbitrary; longer than a segment (192 MB of text) takes to build on a busy machine."""


class Box:
    """A daemon from `with` to the end of it, or from start() to stop(). Its files vanish with it."""

    def __init__(self, config: str = "") -> None:
        # /tmp, not TMPDIR: a socket's path may have 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="curserve-bench-", dir="/tmp"))
        home = self.folder / "home"
        (home / ".config" / "curserve").mkdir(parents=True)
        (home / ".config" / "curserve" / "config.toml").write_text(config)
        self.socket = self.folder / "socket"
        self.env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "CURSERVE_SOCKET": str(self.socket),
            "CURSERVE_REAL_RG": REAL_RG,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Box:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The daemon's."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when it answers."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "curserve.daemon_main"],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + _START_S
        while True:
            with suppress(OSError):
                if self.control("ping")["ok"]:
                    return
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError("the daemon does not start: " + self._last_words())
            time.sleep(0.005)

    def wait(self) -> None:
        """For the end of a daemon that was killed."""
        if self._process is not None:
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Ends the daemon and waits for it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def control(self, op: str, **arguments: Any) -> dict[str, Any]:
        """The last answer of the control socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_CONTROL_S)
            client.connect(f"{self.socket}.control")
            client.sendall(json.dumps({"op": op, **arguments}).encode() + b"\n")
            with client.makefile("rb") as lines:
                for line in lines:
                    answer: dict[str, Any] = json.loads(line)
                    if answer.get("done", True):
                        return answer
        raise OSError("no answer on the control socket")

    def attach(self, folder: Path) -> float:
        """Seconds until the folder is served from memory. RuntimeError when it never will be."""
        begun_s = time.monotonic()
        answer = self.control("attach", root=os.fspath(folder), wait=True)
        if not answer.get("ok") or answer.get("state") != "served":
            raise RuntimeError(f"{folder.name} cannot be attached: {answer}")
        return time.monotonic() - begun_s

    def wait_indexed(self, begun_s: float | None = None) -> float | None:
        """Seconds from begun_s (monotonic; now) until the index holds all it will; None when this build has no index.

        Judged from `status`: the store's indexed_text_bytes, which stops growing."""
        grown_s = time.monotonic()
        begun_s = begun_s or grown_s
        before = -1
        while time.monotonic() - begun_s < _INDEX_S:
            store = self.control("status")["store"]
            if "indexed_text_bytes" not in store:
                return None
            now = int(store["indexed_text_bytes"])
            if now != before:
                before, grown_s = now, time.monotonic()
            if now >= _INDEXED * int(store["text_bytes"]) or time.monotonic() - grown_s > _QUIET_S:
                return grown_s - begun_s
            time.sleep(0.02)
        return time.monotonic() - begun_s

    def _last_words(self) -> str:
        log = Path(f"{self.socket}.log")
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        return lines[-1] if lines else "its log is empty"

    def requests(self) -> tuple[int, int]:
        """How many searches were served and how many declined so far."""
        numbers = self.control("status")["requests"]
        return int(numbers["served"]), int(numbers["declined"])

    def resident_bytes(self) -> int:
        """What the daemon occupies of the machine's memory now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def settled_bytes(self) -> int:
        """The same once it has stopped changing: what a load needed for the moment has been given back."""
        deadline_s = time.monotonic() + _SETTLED_S
        before, same_since_s = 0, time.monotonic()
        while time.monotonic() < deadline_s and time.monotonic() - same_since_s < _SAME_S:
            now = self.resident_bytes()
            if abs(now - before) > now // 200:
                before, same_since_s = now, time.monotonic()
            time.sleep(0.1)
        return self.resident_bytes()
