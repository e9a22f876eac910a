"""A place for one daemon of a test: its socket, home and state in a folder of its own, and commands run against it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CURSERVE = str(Path(sys.executable).with_name("curserve"))


class Place:
    """Where one daemon may live. Short names: a Unix socket's path has room for about 100 bytes."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
        self.socket = self.folder / "s"
        self.home = self.folder / "home"
        self.home.mkdir()
        dropped = ("CURSERVE_", "XDG_", "LD_PRELOAD")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        if "LD_PRELOAD" in os.environ:  # the sanitizers' run
            self.env["LD_PRELOAD"] = os.environ["LD_PRELOAD"]
        self.env |= {"CURSERVE_SOCKET": str(self.socket), "HOME": str(self.home), "SHELL": "/bin/sh"}

    def beside(self, name: str) -> Path:
        """The socket's neighbour: control, lock or log."""
        return Path(f"{self.socket}.{name}")

    def run(
        self, *words: str, stdin: str = "", env: Mapping[str, str] | None = None, timeout_s: float = 40, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """`curserve WORDS`, to its end."""
        return self.shell_out([CURSERVE, *words], stdin, env, timeout_s, **more)

    def shell_out(
        self,
        command: list[str],
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        timeout_s: float = 40,
        **more: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Any command in the place's environment."""
        return subprocess.run(
            command, input=stdin, env={**self.env, **(env or {})}, timeout=timeout_s, text=True, capture_output=True,
            check=False, **more,
        )  # fmt: skip

    def start(self) -> int:
        """The pid of a daemon that answers."""
        done = self.run("start")
        assert done.returncode == 0, done.stderr
        return int(done.stdout.split()[-1])

    def status(self) -> dict[str, Any]:
        """`curserve status --json`."""
        return dict(json.loads(self.run("status", "--json").stdout))

    def close(self) -> None:
        """Stop the daemon and remove everything."""
        self.run("stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
    """Return as soon as the condition holds; AssertionError with `what` when it does not in time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s} s for: {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
