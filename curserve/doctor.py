"""Proof, on this machine, that searches are intercepted: real searches for a fresh word, by the ways agents take.

In: the agents to look at. Out: findings, one per check: was the search served, declined (why) or not intercepted (what
to do), and was the answer the real rg's. Every check runs real programs in a folder of its own with a word nobody has
searched for before; the folder is attached, searched and detached again. Nothing of the agents' own is changed, and no
agent is talked to: its search path is taken, not its model.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curserve import __version__, agents, environment, install, lifecycle, machine, paths
from curserve.agents import Agent
from curserve.client import Client
from curserve.errors import CurserveError
from curserve.probe import Probe, Seen, run

_LOAD_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Finding:
    """One check. verdict: "ok", "served", "declined", "missed" (not intercepted), "failed" or "skipped". equal: the
    answer was the real rg's; None where there was none to compare. good: nothing to do."""

    subject: str
    check: str
    verdict: str
    detail: str = ""
    equal: bool | None = None
    good: bool = True

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def examine(names: Sequence[str] = ()) -> Iterator[Finding]:
    """All findings, as they come. names: rows of agents.AGENTS; none: every agent found on this machine, and a
    shell. Raises CurserveError for a name that is none."""
    rows = _chosen(names)
    client, findings = _daemon()
    yield from findings
    yield from (Finding("machine", check.name, "ok" if check.good else "failed", check.detail, None, check.good)
                for check in machine.checks())  # fmt: skip
    real = paths.real_rg()
    if real is None:
        yield Finding("machine", "ripgrep", "failed", "no real rg is found: declines cannot work", None, False)
    if client is None or real is None:
        return
    with tempfile.TemporaryDirectory(prefix="curserve-doctor-") as made:
        folder = Path(os.path.realpath(made)) / "tree"
        folder.mkdir()
        word = f"nonce{secrets.token_hex(8)}"
        for name in ("one", "two"):
            (folder / f"{name}.txt").write_text(f"first\n{word} {name}\n")
        try:
            for _ in client.stream("attach", root=str(folder), wait=True):
                pass
            for agent in rows:
                yield from _agent(agent, folder, word, real)
        except CurserveError as error:
            yield Finding("daemon", "load a folder", "failed", str(error), None, False)
        finally:
            with suppress(CurserveError):
                client.call("detach", root=str(folder))


def _daemon() -> tuple[Client | None, list[Finding]]:
    try:
        started = lifecycle.start()
    except CurserveError as error:
        return None, [Finding("daemon", "running", "failed", str(error), None, False)]
    places = paths.runtime_paths()
    same = started.version == __version__
    told = f"pid {started.pid}" + ("" if not started.fresh else ", started just now")
    version = __version__ if same else f"the daemon's is {started.version}, this is {__version__}: curserve restart"
    return Client(places.control, _LOAD_TIMEOUT_S), [
        Finding("daemon", "running", "ok", told),
        Finding("daemon", "version", "ok" if same else "failed", version, None, same),
        Finding("daemon", "socket", "ok", str(places.socket)),
    ]


def _chosen(names: Sequence[str]) -> list[Agent]:
    if not names:
        return [agent for agent in agents.AGENTS if shutil.which(agent.program)]
    found = []
    for name in names:
        agent = agents.by_name(name)
        if agent is None:
            known = ", ".join(row.name for row in agents.AGENTS)
            raise CurserveError(f"no agent is known by the name {name} (there are: {known})")
        found.append(agent)
    return found


def _agent(agent: Agent, folder: Path, word: str, real: Path) -> Iterator[Finding]:
    """The checks of one row, each with the environment that `curserve run -- AGENT` gives."""
    program = shutil.which(agent.program)
    if program is None:
        yield Finding(agent.name, "installed", "skipped", f"no {agent.program} on PATH")
        return
    yield Finding(agent.name, "installed", "ok", os.path.realpath(program))
    served = environment.served(
        environment.current(), paths.shim_dir(), paths.preload_library(), paths.node_hook()
    )  # fmt: skip
    env = agents.environment(agent, served, str(paths.shim_dir()))
    for name in agent.probes:
        built = _PROBES[name](agent, Path(os.path.realpath(program)), env, word)
        if isinstance(built, str):
            yield Finding(agent.name, name, "skipped", built, None, name != "trusted")
        else:
            yield _judge(agent, name, run(built, folder, env, real), built.may_decline)


def _judge(agent: Agent, name: str, seen: Seen, may_decline: bool) -> Finding:
    if seen.nothing_there:
        return Finding(agent.name, name, "skipped", "no rg is found there; curserve install --system puts one there")
    if seen.trouble:
        return Finding(agent.name, name, "failed", seen.trouble, None, False)
    if seen.served is None:
        advice = "the real rg ran" if may_decline else "curserve was not asked; " + _advice(agent)
        return Finding(agent.name, name, "missed", advice, seen.equal, may_decline and seen.equal)
    if not seen.served:
        return Finding(agent.name, name, "declined", seen.reason or "", seen.equal, may_decline and seen.equal)
    return Finding(agent.name, name, "served", "", seen.equal, seen.equal)


def _advice(agent: Agent) -> str:
    if paths.preload_library() is None:
        return "the preload library is missing: install curserve again"
    if agent.reached_by == "hook" and paths.node_hook() is None:
        return "the Node hook is missing: install curserve again"
    return "curserve install --system puts the shim where login shells find it"


# --- the ways ---------------------------------------------------------------------------------------------------------
_Way = Callable[[Agent, Path, dict[str, str], str], Probe | str]

_NODE = """
const [file, ...args] = process.argv.slice(1);
const child = require('child_process').spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
child.stdout.pipe(process.stdout);
child.on('error', (error) => { console.error(error.message); process.exitCode = 127; });
child.on('exit', (code) => { process.exitCode = code; });
"""


def _shell(*start: str) -> _Way:
    def build(agent: Agent, program: Path, env: dict[str, str], word: str) -> Probe | str:
        if shutil.which(start[0], path=env.get("PATH")) is None:
            return f"no {start[0]}"
        words = [*start, 'command -v rg >/dev/null || exit 99; rg "$@"', "shell"]
        return Probe(words, word, nothing_found=99)

    return build


def _node(agent: Agent, program: Path, env: dict[str, str], word: str) -> Probe | str:
    return _by_node("rg", env, word)


def _by_node(file: str, env: dict[str, str], word: str) -> Probe | str:
    node = shutil.which("node", path=env.get("PATH"))
    if node is None:
        return "no node on PATH"
    if "/" not in file and shutil.which(file, path=env.get("PATH")) is None:
        return "no rg on PATH"
    return Probe([node, "-e", _NODE, file], word)


def _vendored(agent: Agent, program: Path, env: dict[str, str], word: str) -> Probe | str:
    """Its own rg, by absolute path. An npm package brings it beside its program or in a package of its own."""
    for above in list(program.parents)[:6]:
        for relative in agent.vendored:
            for found in (above / relative, above / "node_modules" / "@openai" / relative):
                if found.is_file():
                    if not os.access(found, os.X_OK):
                        return f"{found} is not executable: the agent takes rg from PATH"
                    if agent.reached_by == "hook":
                        return _by_node(str(found), env, word)
                    return Probe(["/bin/sh", "-c", '"$0" "$@"', str(found)], word)
    return "it brings no rg of its own"


def _trusted(agent: Agent, program: Path, env: dict[str, str], word: str) -> Probe | str:
    found = install.trusted_rg(env.get("PATH", ""))
    if found is None:
        return "no rg it would trust: curserve install --system"
    return _by_node(str(found), env, word)


def _argv0(agent: Agent, program: Path, env: dict[str, str], word: str) -> Probe | str:
    if program.read_bytes()[:4] != b"\x7fELF":
        return f"{program} is no program of this machine"
    if shutil.which("bash") is None:
        return "no bash"
    return Probe(["bash", "-c", 'exec -a rg "$0" "$@"', str(program)], word)


def _sandbox(agent: Agent, program: Path, env: dict[str, str], word: str) -> Probe | str:
    """In codex's sandbox nobody may connect to us: the real rg has to run, at once."""
    start = [str(program), "sandbox", "true"]
    shown = subprocess.run(start, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    if shown.returncode != 0:
        return "its sandbox does not start here"
    words = [str(program), "sandbox", "sh", "-c", 'command -v rg >/dev/null || exit 99; rg "$@"', "shell"]
    return Probe(words, word, nothing_found=99, may_decline=True)


def _pty(agent: Agent, program: Path, env: dict[str, str], word: str) -> Probe | str:
    return Probe(["/bin/sh", "-c", 'rg "$@"', "shell"], word, terminal=True)


_PROBES: dict[str, _Way] = {
    "path": _shell("/bin/sh", "-c"),
    "bash": _shell("bash", "-c"),
    "login": _shell("bash", "-lc"),
    "pty": _pty,
    "node": _node,
    "vendored": _vendored,
    "trusted": _trusted,
    "argv0": _argv0,
    "sandbox": _sandbox,
}
