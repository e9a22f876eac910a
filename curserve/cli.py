"""The command line: what a person types, turned into one call and one exit status.

In: argv. Out: 0, 1 (it did not work; one line on stderr says why and what to do) or 2 (it was not understood); `shell`
and `run` become the command they start and give its status. Nothing heavy is imported before it is needed: `--version`,
`shim-dir` and `env` load neither rich nor the daemon's modules.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from curserve import __version__, statuskeys
from curserve.errors import CurserveError

if TYPE_CHECKING:
    from curserve.lifecycle import Started

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status. The console script's entry."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words and words[0] not in _COMMANDS and not words[0].startswith("-"):
            if Path(words[0]).is_dir():
                return _agent_in(words)
            return _fail(f"neither a command nor a folder: {words[0]}; see: curserve --help", 2)
        if not words:
            _parser().print_help(sys.stderr)
            return 2
        arguments = _parser().parse_args(words)
        command: Command = _COMMANDS[arguments.command]
        status = command(arguments)
        sys.stdout.flush()
        return status
    except CurserveError as error:
        for line in getattr(error, "details", []):
            print(f"  {line}", file=sys.stderr)
        return _fail(str(error))
    except BrokenPipeError:
        # The reader has gone (`curserve status | head -1`); keep Python from complaining about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    """argparse, whose errors are one line that says where to read on."""

    def error(self, message: str) -> NoReturn:
        raise SystemExit(_fail(f"{message}; see: {self.prog} --help", 2))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="curserve",
        usage='curserve [-h] [--version] COMMAND ...\n       curserve DIR ["PROMPT"]',
        description="Keeps codebases in memory and answers ripgrep for coding agents, byte for byte.",
        epilog="With a folder for a command: the configured agent (qwen, where nothing else is configured) in DIR; "
        "with PROMPT headless, so that it may edit files there. COMMAND --help tells more of each.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"curserve {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser, prog="curserve"
    )

    def add(name: str, meaning: str) -> argparse.ArgumentParser:
        sentence = f"{meaning[:1].upper()}{meaning[1:]}."
        return commands.add_parser(name, help=meaning, description=sentence, allow_abbrev=False)

    shell = add("shell", "a shell in DIR where what agents search is answered from memory")
    shell.add_argument("dir", metavar="DIR", nargs="?", default=".", help="the folder (.); it is loaded meanwhile")
    run = add("run", "one command, an agent for example, in such an environment")
    run.add_argument("-C", dest="dir", metavar="DIR", default=".", help="the folder to run it in")
    run.add_argument("words", metavar="CMD", nargs=argparse.REMAINDER, help="after --: the command and its arguments")
    add("env", "that environment as export lines: eval \"$(curserve env)\"")
    start = add("start", "start the daemon")
    start.add_argument("--foreground", action="store_true", help="be the daemon: for systemd and containers")
    add("stop", "stop the daemon")
    add("restart", "put a new daemon in the place of the running one; no search is refused meanwhile")
    status = add("status", "what the daemon does")
    status.add_argument("--json", action="store_true", help="for programs: the keys below")
    status.formatter_class = argparse.RawDescriptionHelpFormatter
    status.epilog = "\n".join(("keys of --json:", *statuskeys.lines()))
    top = add("top", "live numbers")
    top.add_argument("--once", action="store_true", help="one frame, after one interval; so it is without a terminal")
    top.add_argument("--json", action="store_true", help="the same as one JSON object, for programs")
    top.add_argument("--interval", metavar="S", type=_interval, default=1.0, help="seconds between two frames (1)")
    top.add_argument("--no-measure", action="store_true", help="run no search twice to measure what is saved")
    add("metrics", "the daemon's figures as Prometheus reads them")
    attach = add("attach", "load DIR; wait until it is served from memory")
    attach.add_argument("dir", metavar="DIR", help="the folder; all below it belongs to it")
    attach.add_argument("--no-wait", action="store_true", help="return at once")
    detach = add("detach", "forget DIR")
    detach.add_argument("dir", metavar="DIR", help="a folder that is loaded (curserve workspaces)")
    workspaces = add("workspaces", "list what is loaded")
    workspaces.add_argument("--json", action="store_true", help="for programs")
    doctor = add("doctor", "prove that agents' searches are intercepted")
    doctor.add_argument("--agent", metavar="NAME", action="append", default=[], help="this agent (may be repeated)")
    doctor.add_argument("--json", action="store_true", help="for programs")
    bench = add("bench", "one search of DIR, by curserve and by ripgrep, side by side")
    bench.add_argument("dir", metavar="DIR", help="the folder to search")
    bench.add_argument("pattern", metavar="PATTERN", help="as for rg")
    bench.add_argument("runs", metavar="N", nargs="?", type=int, default=20, help="how often each (20)")
    bench.add_argument("--json", action="store_true", help="for programs")
    verify = add("verify", "compare with ripgrep on generated searches of DIR")
    verify.add_argument("dir", metavar="DIR", help="the folder to search; nothing in it is changed")
    verify.add_argument("cases", metavar="N", nargs="?", type=int, default=200, help="how many (200)")
    verify.add_argument("--seed", type=int, default=1, help="which (1)")
    verify.add_argument("--json", action="store_true", help="for programs")
    for name, meaning in (("install", "put the shim into /usr/local/bin"), ("uninstall", "take it away again")):
        command = add(name, meaning)
        command.add_argument("--system", action="store_true", required=True, help="for every user of this machine")
        command.add_argument("--into", metavar="DIR", default=None, help="another folder than /usr/local/bin")
    add("shim-dir", "the folder that holds the shim rg")
    return parser


# --- the environment of those who are served --------------------------------------------------------------------------
def _shell(arguments: argparse.Namespace) -> int:
    from curserve import environment, subshell

    folder = _folder(arguments.dir)
    env = _served_environment(folder)
    _serve_in_background(folder)
    _tell_of_gemini(env)
    shell = _executable(environment.variable("SHELL")) or "/bin/sh"
    command, env = subshell.command(shell, os.isatty(0), env)
    return _become(command, folder, env)


def _run(arguments: argparse.Namespace) -> int:
    words: list[str] = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not words:
        return _fail("which command? curserve run [-C DIR] -- CMD …", 2)
    from curserve import agents, paths

    folder = _folder(arguments.dir)
    env = agents.environment(agents.by_program(words[0]), _served_environment(folder), str(paths.shim_dir()))
    _serve_in_background(folder)
    return _become(words, folder, env)


def _agent_in(words: list[str]) -> int:
    """`curserve DIR ["PROMPT"]`: the configured agent, headless with a prompt."""
    from curserve import agents, config, environment, modelname, paths

    if len(words) > 2:
        return _fail('a folder and one prompt, in quotes: curserve DIR ["PROMPT"]', 2)
    settings = config.load()
    agent = agents.by_name(settings.agent.name)
    if agent is None:
        known = ", ".join(row.name for row in agents.AGENTS)
        return _fail(f"[agent] name: no agent is known by the name {settings.agent.name} (there are: {known})")
    folder = _folder(words[0])
    model = modelname.complete(settings.model, environment.current())
    model_env, model_words = agents.endpoint(agent, model, environment.current())
    env = agents.environment(agent, _served_environment(folder), str(paths.shim_dir())) | model_env
    _serve_in_background(folder)
    command = [agent.program, *settings.agent.arguments, *model_words]
    return _become(command + (agent.prompt(words[1]) if len(words) == 2 else []), folder, env)


def _env(arguments: argparse.Namespace) -> int:
    from curserve import environment

    before, after = environment.current(), _served_environment(None)
    for name in sorted(after):
        if after[name] != before.get(name):
            _print_bytes(f"export {name}={shlex.quote(after[name])}")
    for name in sorted(set(before) - set(after)):
        _print_bytes(f"unset {name}")
    return 0


def _shim_dir(arguments: argparse.Namespace) -> int:
    from curserve import paths

    _print_bytes(str(paths.shim_dir()))
    return 0


def _served_environment(folder: Path | None) -> dict[str, str]:
    """The environment of whoever is served; `folder` is the root, None for `env`, which marks no shell."""
    from curserve import environment, paths

    if not (paths.shim_dir() / "rg").exists():
        raise CurserveError(f"the shim is missing in {paths.shim_dir()}; install curserve again")
    env = environment.served(environment.current(), paths.shim_dir(), paths.preload_library(), paths.node_hook())
    if folder is not None:
        env[environment.SHELL_MARK] = str(folder)
        env["PWD"] = str(folder)
    return env


def _tell_of_gemini(env: dict[str, str]) -> None:
    """gemini takes rg from system folders only. Say what helps where it is installed and they have none."""
    import shutil

    from curserve import agents, install, paths

    path = agents.environment(agents.by_name("gemini"), env, str(paths.shim_dir()))["PATH"]
    if os.isatty(2) and shutil.which("gemini", path=path) and not install.trusted_rg(path):
        print("curserve: gemini finds no rg; this gives it one: curserve install --system", file=sys.stderr)


def _serve_in_background(folder: Path) -> None:
    """See that the daemon runs and loads `folder`. Whatever is wrong is a warning: without us rg works as ever."""
    try:
        started = _start_daemon()
        _warn_of_other_version(started)
        _client(timeout_s=3.0).call("attach", root=str(folder), wait=False, hold=True)
    except CurserveError as error:
        for line in getattr(error, "details", []):
            print(f"  {line}", file=sys.stderr)
        print(f"curserve: {error}; searches run the real rg", file=sys.stderr)


def _become(command: list[str], folder: Path, env: dict[str, str]) -> int:
    """Be replaced by the command, in the folder. Returns only when it cannot be started: 127 or 126, as shells do."""
    os.chdir(folder)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(command[0], command, env)
    except FileNotFoundError:
        return _fail(f"{command[0]}: command not found", 127)
    except OSError as error:
        return _fail(f"{command[0]}: {error.strerror}", 126)


# --- the daemon -------------------------------------------------------------------------------------------------------
def _start(arguments: argparse.Namespace) -> int:
    if arguments.foreground:
        from curserve import environment

        env = environment.without_interposition(environment.current())
        os.execve(sys.executable, [sys.executable, "-P", "-m", "curserve.daemon_main"], env)
    started = _start_daemon()
    print(f"curserve: {'started' if started.fresh else 'already running'}, pid {started.pid}")
    _warn_of_other_version(started)
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    from curserve import lifecycle

    print("curserve: stopped" if lifecycle.stop() else "curserve: was not running")
    return 0


def _restart(arguments: argparse.Namespace) -> int:
    from curserve import lifecycle

    print(f"curserve: started, pid {lifecycle.restart().pid}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from curserve.client import DaemonUnavailable

    try:
        status = _client().call("status")
    except DaemonUnavailable as error:
        if arguments.json:
            _print_json({"running": False, "version": __version__})
        else:
            from curserve import crashes, paths

            print(f"curserve: {error}")
            if (crash := crashes.last(paths.runtime_paths().log)) is not None:
                print(f"curserve: {crash}; see {crashes.file_of(paths.runtime_paths().log)}")
        return 1
    status = {"running": True, **{key: value for key, value in status.items() if key not in ("ok", "done")}}
    if arguments.json:
        _print_json(status)
    else:
        from curserve import display

        display.status(status)
    return 0


def _top(arguments: argparse.Namespace) -> int:
    from curserve import config, paths
    from curserve.top import program

    return program.run(
        paths.runtime_paths().control,
        config.load(),
        interval_s=arguments.interval,
        measure=not arguments.no_measure,
        json_once=arguments.json,
        once=arguments.once or not sys.stdout.isatty(),
    )


def _metrics(arguments: argparse.Namespace) -> int:
    _print_bytes(str(_client().call("metrics")["text"]).removesuffix("\n"))
    return 0


def _attach(arguments: argparse.Namespace) -> int:
    folder = _attached(arguments.dir, not arguments.no_wait)
    if not arguments.no_wait:
        _print_bytes(f"curserve: {folder} is served from memory")
    return 0


def _attached(name: str, wait: bool = True) -> Path:
    """The folder, which is loaded; served, if we waited for it. CurserveError."""
    from curserve import display

    folder = _folder(name)
    _warn_of_other_version(_start_daemon())
    last = display.attach(str(folder), _client().stream("attach", root=str(folder), wait=wait))
    if wait and last.get("state") != "served":
        why = last.get("reason") or last.get("state") or "unknown reason"
        raise CurserveError(f"{folder} is not served: {why}")
    return folder


def _detach(arguments: argparse.Namespace) -> int:
    # The folder may be gone already; its workspace is not.
    _client().call("detach", root=os.path.realpath(arguments.dir))
    return 0


def _workspaces(arguments: argparse.Namespace) -> int:
    found = _client().call("workspaces")["workspaces"]
    if arguments.json:
        _print_json(found)
    else:
        from curserve import display

        display.workspaces(found)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from curserve import doctor

    findings = doctor.examine(arguments.agent)
    if arguments.json:
        found = list(findings)
        _print_json([finding.as_dict() for finding in found])
    else:
        from curserve import display

        found = display.findings(findings)
    return 0 if all(finding.good for finding in found) else 1


def _both_sides(folder: str) -> tuple[Path, str, str, dict[str, str]]:
    """What a comparison with ripgrep needs: the folder, served from memory; the shim; the real rg; a client's
    environment. CurserveError."""
    from curserve import environment, paths

    root = _attached(folder)
    real = paths.real_rg()
    if real is None:
        raise CurserveError("there is no ripgrep to compare with; set CURSERVE_REAL_RG")
    names = ("PATH", "HOME", "XDG_CONFIG_HOME", "CURSERVE_SOCKET", "TERM")
    env = {name: value for name in names if (value := environment.variable(name)) is not None}
    return root, str(paths.shim_dir() / "rg"), str(real), env


def _bench(arguments: argparse.Namespace) -> int:
    import subprocess

    from curserve import display, sidebyside

    if arguments.runs < 1:
        return _fail("N is 1 or more", 2)
    folder, shim, real, env = _both_sides(arguments.dir)
    try:
        with display.steps("searching", arguments.runs) as told:
            sides = sidebyside.run(folder, os.fsencode(arguments.pattern), arguments.runs, shim, real, env, told)
    except subprocess.TimeoutExpired as error:
        return _fail(f"{error.cmd[0]} does not end")
    if arguments.json:
        _print_json(sides.facts())
    else:
        display.sides(sides.facts())
    return 0 if sides.difference is None else 1


def _verify(arguments: argparse.Namespace) -> int:
    import signal
    import threading

    from curserve import display
    from curserve.verify.owntree import verify

    if arguments.cases < 1:
        return _fail("N is 1 or more", 2)
    folder, shim, real, env = _both_sides(arguments.dir)
    stop = threading.Event()  # what was found until then was found
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        with display.steps("comparing", arguments.cases) as told:
            tally = verify(folder, arguments.cases, arguments.seed, shim, real, env, told, stop.is_set)
    finally:
        signal.signal(signal.SIGINT, before)
    facts = {"root": str(folder), "seed": arguments.seed, "stopped": stop.is_set(), **tally.facts()}
    if arguments.json:
        _print_json(facts)
    else:
        display.compared(facts)
    return 130 if stop.is_set() else 1 if tally.differences else 0


def _install(arguments: argparse.Namespace) -> int:
    from curserve import install

    placed = install.install(Path(arguments.into) if arguments.into else install.SYSTEM_DIR)
    _print_bytes(f"curserve: {placed} is the shim; curserve uninstall --system takes it away")
    return 0


def _uninstall(arguments: argparse.Namespace) -> int:
    from curserve import install

    found = install.uninstall(Path(arguments.into) if arguments.into else install.SYSTEM_DIR)
    print("curserve: uninstalled" if found else "curserve: nothing of ours is there")
    return 0


def _start_daemon() -> Started:
    from curserve import lifecycle

    return lifecycle.start()


def _warn_of_other_version(started: Started) -> None:
    if started.version != __version__:
        print(
            f"curserve: the running daemon is version {started.version}, this is {__version__}; run: curserve restart",
            file=sys.stderr,
        )


def _client(timeout_s: float = 10.0) -> Any:
    from curserve import paths
    from curserve.client import Client

    return Client(paths.runtime_paths().control, timeout_s)


# --- words and printing -----------------------------------------------------------------------------------------------
def _folder(word: str) -> Path:
    """The folder as an absolute path without symbolic links. CurserveError when it is none or cannot be entered."""
    folder = Path(os.path.realpath(word))
    if not folder.is_dir():
        raise CurserveError(f"no such folder: {word}")
    if not os.access(folder, os.X_OK):
        raise CurserveError(f"{word}: Permission denied")
    return folder


def _interval(word: str) -> float:
    """Seconds; argparse turns the ValueError into a message."""
    seconds = float(word)
    if not 0.1 <= seconds <= 60:
        raise argparse.ArgumentTypeError("expected 0.1 to 60 seconds")
    return seconds


def _executable(program: str | None) -> str | None:
    return program if program and os.path.isabs(program) and os.access(program, os.X_OK) else None


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, indent=2, sort_keys=True))


def _print_bytes(text: str) -> None:
    """A line that may hold bytes that are no UTF-8 (paths, environment), as those bytes."""
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(text) + b"\n")


def _fail(message: str, status: int = 1) -> int:
    print(f"curserve: {message}".encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
    return status


_COMMANDS: dict[str, Command] = {
    "shell": _shell,
    "run": _run,
    "env": _env,
    "start": _start,
    "stop": _stop,
    "restart": _restart,
    "status": _status,
    "top": _top,
    "metrics": _metrics,
    "attach": _attach,
    "detach": _detach,
    "workspaces": _workspaces,
    "doctor": _doctor,
    "bench": _bench,
    "verify": _verify,
    "install": _install,
    "uninstall": _uninstall,
    "shim-dir": _shim_dir,
}

if __name__ == "__main__":
    sys.exit(main())
