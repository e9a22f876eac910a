"""One headless session of an unmodified agent against the scripted model, with or without curserve.

In: how the agent is started and the calls its model makes. Out: what each tool answered, and what the shim and the hook
wrote of every search. The two sides differ in nothing but the environment that `curserve run` gives; home and project
are made anew, with equal contents and equal paths, so that results can be compared as they are.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from built_c import real_rg
from llm_endpoint import Call, Endpoint
from oracle import Box

from curserve import agents, environment, paths

TIMEOUT_S = 240


@dataclass(frozen=True)
class Session:
    """results: one text per tool call. searches: the trace's lines (none without curserve). counted: the searches that
    the daemon says it served meanwhile. tools: what the agent offered its model. out, err: the agent's own output.
    code: its exit code."""

    results: list[str]
    searches: list[dict[str, Any]]
    counted: int
    tools: list[str]
    out: str
    err: str
    code: int

    @property
    def declined(self) -> list[str]:
        """Reasons of the searches that were not answered from memory."""
        return [str(search["reason"]) for search in self.searches if not search["served"]]


@dataclass
class Stage:
    """A place for sessions: `project` is the agent's folder. command, env: for an endpoint's url. row: agents.AGENTS'
    name for it. path: folders first on the agent's PATH."""

    folder: Path
    box: Box
    row: str
    command: Callable[[str], Sequence[str | Path]]
    env: Callable[[str], dict[str, str]]
    path: Sequence[Path] = ()
    prepare: Callable[[Stage, str], None] = lambda stage, url: None
    rg_on_path: bool = True
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def run(self, script: Sequence[Sequence[Call]], curserve: bool) -> Session:
        """One session on a fresh project."""
        for made in (self.project, self.home):
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(parents=True)
        make_project(self.project)
        trace = self.folder / "trace"
        trace.unlink(missing_ok=True)
        path = [*self.path, *([real_rg().parent] if self.rg_on_path else []), "/usr/local/bin", "/usr/bin", "/bin"]
        env = {"PATH": ":".join(map(str, path)), "HOME": str(self.home), "TERM": "dumb", **self.extra}
        if curserve:
            served = environment.served(env, paths.shim_dir(), paths.preload_library(), paths.node_hook())
            env = agents.environment(agents.by_name(self.row), served, str(paths.shim_dir()))
            env |= {"CURSERVE_SOCKET": str(self.box.socket), "CURSERVE_TRACE": str(trace)}
            self.box.attach(self.project)
        before = self._served()
        with Endpoint(script) as endpoint:
            self.prepare(self, endpoint.url)
            done = subprocess.run(
                [os.fspath(word) for word in self.command(endpoint.url)], cwd=self.project,
                env={**env, **self.env(endpoint.url)}, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S,
                check=False,
            )  # fmt: skip
            searches = [json.loads(line) for line in trace.read_text().splitlines()] if trace.exists() else []
            out, err = (data.decode("utf-8", "replace") for data in (done.stdout, done.stderr))
            counted = self._served() - before
            return Session(endpoint.results(), searches, counted, endpoint.tools(), out, err, done.returncode)

    def _served(self) -> int:
        return int(self.box.control("status")["requests"]["served"])


def make_project(folder: Path) -> None:
    """A small repository: a module with the word, one without, an ignored file that has it."""
    (folder / "src").mkdir()
    (folder / "src" / "a.py").write_text("def needle():\n    return 1\n\n" * 3)
    (folder / "src" / "b.py").write_text("value = 1\n" * 20)
    (folder / "README.md").write_text("A project without much in it.\n")
    (folder / "ignored.log").write_text("needle\n")
    (folder / ".gitignore").write_text("*.log\n")
    for entry in sorted(folder.rglob("*")):
        os.utime(entry, (1_700_000_000, 1_700_000_000 + len(entry.name)))
    subprocess.run(["git", "-C", folder, "init", "-q"], check=True)


_CHANGING = re.compile(r"\b(PGID|PID|Duration|Wall time|elapsed|Chunk ID)\b[^\n]*|\d+(\.\d+)?\s?(ms|seconds)\b")


def settled(result: str, *, ordered: bool = False) -> list[str]:
    """A result's lines for a comparison: without process ids and times; sorted unless `ordered`, since ripgrep's own
    order of files is chance."""
    lines = [_CHANGING.sub("<changing>", line) for line in result.splitlines()]
    return lines if ordered else sorted(lines)


def compare(real: Session, ours: Session) -> None:
    """AssertionError unless every tool answered alike, and the daemon served what shim and hook say it did."""
    assert real.counted == 0 and ours.counted == sum(search["served"] for search in ours.searches)
    assert len(ours.results) == len(real.results), (ours.out[-2000:], ours.err[-2000:])
    for index, (mine, theirs) in enumerate(zip(ours.results, real.results, strict=True)):
        assert settled(mine) == settled(theirs), f"call {index}: {mine!r}, without curserve {theirs!r}"
