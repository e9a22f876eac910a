"""`curserve shell`, `run` and `env`: what the commands that are served find, as shell transcripts."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from daemon_place import CURSERVE, Place, wait_for

from curserve import environment, paths


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


def test_a_script_on_stdin_runs_in_the_folder(place: Place, tmp_path: Path) -> None:
    done = place.run("shell", str(tmp_path), stdin="command -v rg; pwd; echo \"$CURSERVE_SHELL\"\n")
    assert done.stdout == f"{paths.shim_dir()}/rg\n{tmp_path}\n{tmp_path}\n"


def test_stdin_is_read_by_the_shell_alone(place: Place, tmp_path: Path) -> None:
    # bash reads a script byte by byte, so what follows `cat` is left for it; dash reads blocks.
    done = place.run("shell", str(tmp_path), stdin="cat\nline one\nline two\n", env={"SHELL": "/bin/bash"})
    assert done.stdout == "line one\nline two\n"


@pytest.mark.parametrize("status", [0, 3, 255])
def test_the_exit_status_is_the_shells(place: Place, status: int) -> None:
    assert place.run("shell", stdin=f"exit {status}\n").returncode == status
    assert place.run("run", "--", "sh", "-c", f"exit {status}").returncode == status


def test_run_gives_the_arguments_as_they_are(place: Place, tmp_path: Path) -> None:
    done = place.run("run", "-C", str(tmp_path), "--", "sh", "-c", 'pwd; printf "%s|" "$@"', "x", "-C", "a b", "--", "")
    assert done.stdout == f"{tmp_path}\n-C|a b|--||"


def test_run_of_what_is_not_there(place: Place, tmp_path: Path) -> None:
    done = place.run("run", "--", "no-such-command-anywhere")
    assert done.returncode == 127 and "command not found" in done.stderr
    (tmp_path / "not-executable").write_text("")
    assert place.run("run", "--", str(tmp_path / "not-executable")).returncode == 126


def test_nested_shells_stack_nothing(place: Place) -> None:
    inner = f"'{CURSERVE}' run -- sh -c 'echo \"$PATH\"; echo \"$LD_PRELOAD\"; echo \"$NODE_OPTIONS\"'"
    once = place.run("shell", stdin="echo \"$PATH\"; echo \"$LD_PRELOAD\"; echo \"$NODE_OPTIONS\"\n").stdout
    assert place.run("shell", stdin=inner).stdout == once
    assert place.run("shell", stdin=f"'{CURSERVE}' shell <<'X'\n{inner}\nX\n").stdout == once


def test_a_missing_or_strange_shell_is_sh(place: Place) -> None:
    for shell in ("", "/nonexistent/shell", "relative"):
        assert place.run("shell", stdin="echo $0\n", env={"SHELL": shell}).stdout == "/bin/sh\n"


def test_without_a_daemon_the_shell_starts_all_the_same(place: Place) -> None:
    done = place.run("shell", stdin="echo here\n", env={"CURSERVE_SOCKET": "/nonexistent/s"})
    assert (done.returncode, done.stdout) == (0, "here\n")
    assert "searches run the real rg" in done.stderr


def test_env_can_be_evaluated(place: Place) -> None:
    evaluate = f"eval \"$('{CURSERVE}' env)\""
    script = f"{evaluate}; command -v rg; echo \"$PATH\"; {evaluate}; echo \"$PATH\""
    strange = "/a b:/c'd:/e$(touch /tmp/x)`f`:/usr/bin:/bin"
    shown = place.shell_out(["/bin/sh", "-c", script], env={"PATH": strange}).stdout.splitlines()
    assert shown == [f"{paths.shim_dir()}/rg", f"{paths.shim_dir()}:{strange}", f"{paths.shim_dir()}:{strange}"]


def test_env_keeps_bytes(place: Place) -> None:
    script = f"eval \"$('{CURSERVE}' env)\"; printf %s \"$PATH\" | od -An -tx1"
    shown = place.shell_out(["/bin/sh", "-c", script], env={"PATH": os.fsdecode(b"/caf\xe9:/usr/bin:/bin")}).stdout
    assert "66 e9 3a" in " ".join(shown.split())


def test_what_is_set_already_stays() -> None:
    shim_dir, preload = Path("/opt/x/curserve/shims"), Path("/opt/x/curserve/interpose/libcurserve.so")
    hook = Path("/opt/x y/curserve/interpose/hook.js")
    base = {
        "PATH": "/bin::/other/lib/curserve/shims:/usr/bin",
        "LD_PRELOAD": "/lib/libjemalloc.so:/old/curserve/interpose/libcurserve.so",
        "NODE_OPTIONS": "--max-old-space-size=4096",
        "CURSERVE_ASKED": "rg",
        "CURSERVE_REAL_RG": "/opt/rg",
    }
    env = environment.served(base, shim_dir, preload, hook)
    assert env["PATH"] == "/opt/x/curserve/shims:/bin::/usr/bin"
    assert env["LD_PRELOAD"] == f"{preload}:/lib/libjemalloc.so"
    assert env["NODE_OPTIONS"] == '"--require=/opt/x y/curserve/interpose/hook.js" --max-old-space-size=4096'
    assert env["CURSERVE_REAL_RG"] == "/opt/rg" and "CURSERVE_ASKED" not in env
    assert environment.served(env, shim_dir, preload, hook) == env
    back = environment.without_interposition(env)
    assert back["LD_PRELOAD"] == "/lib/libjemalloc.so" and back["NODE_OPTIONS"] == "--max-old-space-size=4096"


SHELLS = ["bash", "dash", "sh", "zsh", "fish"]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    """Each shell there is."""
    found = shutil.which(request.param)
    if found is None:
        pytest.skip(f"no {request.param} on this machine")
    return found


def test_a_terminal_shows_the_mark_and_keeps_the_users_files(place: Place, shell: str) -> None:
    (place.home / ".bashrc").write_text("PATH=/usr/bin:/bin; PS1='mine> '; MINE=yes\n")
    (place.home / ".zshrc").write_text("PATH=/usr/bin:/bin; PROMPT='mine> '; MINE=yes\n")
    with Terminal(place, [CURSERVE, "shell", str(place.folder)], shell) as terminal:
        shown = terminal.printed("echo mark:$MINE; command -v rg")
        assert terminal.end("exit 6") == 6
    assert shown.endswith(f"{paths.shim_dir()}/rg\r\n") and "(curserve) " in terminal.shown
    if Path(shell).name in ("bash", "zsh"):
        assert "(curserve) mine> " in terminal.shown and "mark:yes" in shown


def test_rg_on_a_terminal_prints_as_rg_does(place: Place, shell: str, tmp_path: Path) -> None:
    """Colours and headings, byte for byte, and from memory."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("one.txt", "two.txt"):
        (tree / name).write_text("a needle here\nhay\n")
    assert place.run("attach", str(tree)).returncode == 0
    trace = tmp_path / "trace"
    env = {"TERM": "xterm", "CURSERVE_TRACE": str(trace)}
    with Terminal(place, [CURSERVE, "shell", str(tree)], shell, env) as terminal:
        ours = terminal.printed("rg --sort path needle")
        real = terminal.printed("env CURSERVE_DISABLE=1 rg --sort path needle")
        terminal.end("exit 0")
    assert ours == real and ours.count("\x1b[") > 8
    assert [line.split(":")[0] for line in re.sub(r"\x1b\[[0-9;]*m", "", ours).splitlines() if line] == [
        "one.txt", "1", "two.txt", "1",
    ]  # fmt: skip
    assert [json.loads(line)["served"] for line in trace.read_text().splitlines()] == [True, False]


def test_a_shell_in_a_shell_and_its_status(place: Place, shell: str) -> None:
    status = "$status" if Path(shell).name == "fish" else "$?"
    with Terminal(place, [CURSERVE, "shell"], shell) as terminal:
        outer = terminal.printed('echo "$PATH"')
        terminal.type(f"'{CURSERVE}' shell")
        wait_for(lambda: terminal.foreground != terminal.pid, "the inner shell to have the terminal")
        assert terminal.printed('echo "$PATH"') == outer
        terminal.type("exit 3")
        wait_for(lambda: terminal.foreground == terminal.pid, "the outer shell to have it again")
        terminal.type(f"printf 'nes''ted:%s\\n' {status}")
        terminal.wait("nested:3\r\n")
        assert "(curserve) (curserve)" not in terminal.shown
        assert terminal.end("exit 5") == 5


def test_the_end_of_a_shell_leaves_nothing_behind(place: Place, shell: str) -> None:
    """No process of its session, no file that the shell alone would not leave, the terminal as it was."""
    left = []
    place.start()
    for command in ([shell, "-i"], [CURSERVE, "shell"]):
        with Terminal(place, command, shell, prompt="") as terminal:
            terminal.end("exit 0")
            files = {str(path.relative_to(place.home)) for path in place.home.rglob("*")}
            left.append((files, terminal.mode))
        wait_for(lambda: not session_of(terminal.pid), "the session's last process to be gone")
    # Our own folder for the daemon's log is there since its start.
    assert left[1][0] - left[0][0] == set() and left[1][1] == left[0][1]


def test_a_shell_says_what_gemini_needs(place: Place, tmp_path: Path) -> None:
    """It takes rg from system folders only, and here there are none."""
    gemini = tmp_path / "gemini"
    gemini.write_text("#!/bin/sh\n")
    gemini.chmod(0o755)
    with Terminal(place, [CURSERVE, "shell"], "/bin/sh", {"PATH": str(tmp_path)}) as terminal:
        terminal.end("exit 0")
    assert "curserve install --system" in terminal.shown
    gemini.unlink()
    with Terminal(place, [CURSERVE, "shell"], "/bin/sh", {"PATH": str(tmp_path)}) as terminal:
        terminal.end("exit 0")
    assert "gemini" not in terminal.shown


def session_of(pid: int) -> list[str]:
    """The processes of a session, zombies aside."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            name, _, rest = (entry / "stat").read_text().rpartition(")") if entry.name.isdigit() else ("", "", "")
        except OSError:
            continue
        fields = rest.split()
        if fields and int(fields[3]) == pid and fields[0] != "Z":
            found.append(name)
    return found


class Terminal:
    """A program at a terminal of its own, which is there when its prompt, `(curserve) ` or what is given, has come. Use
    as a context manager: what is left of it then is ended. shown: all that was shown. mode: the terminal's settings at
    its end."""

    def __init__(
        self,
        place: Place,
        command: list[str],
        shell: str,
        env: dict[str, str] | None = None,
        prompt: str = "(curserve) ",
    ) -> None:
        self._prompt, self._seen, self.shown = prompt, 0, ""
        self.mode: list[Any] = []
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            given = {**place.env, "SHELL": shell, "TERM": "dumb", "COLUMNS": "500", **(env or {})}
            os.chdir(place.folder)
            os.execve(command[0], command, given)

    def __enter__(self) -> Terminal:
        self.wait(self._prompt)
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)

    @property
    def foreground(self) -> int:
        """The process group that the terminal belongs to."""
        return os.tcgetpgrp(self._fd)

    def _read(self) -> None:
        if select.select([self._fd], [], [], 0.05)[0]:
            self.shown += os.read(self._fd, 4096).decode("utf-8", "replace")

    def wait(self, text: str) -> None:
        """Until it has shown `text`."""
        deadline_s = time.monotonic() + 40
        while text not in self.shown[self._seen :]:
            assert time.monotonic() < deadline_s, f"waited for {text!r}: {self.shown!r}"
            self._read()

    def type(self, line: str) -> None:
        """Types a line."""
        os.write(self._fd, line.encode() + b"\n")

    def printed(self, command: str) -> str:
        """Types a command; what it printed. What is typed is shown, too, and by some shells over and over again."""
        self.type(f"printf 'BE''GIN\\n'; {command}; printf 'E''ND\\n'")
        self.wait("END\r\n")
        start, self._seen = self._seen, len(self.shown)
        return self.shown[start:].partition("BEGIN\r\n")[2].partition("END\r\n")[0]

    def end(self, line: str) -> int:
        """Types the last line; the program's exit status."""
        self.type(line)
        deadline_s = time.monotonic() + 40
        while time.monotonic() < deadline_s:
            with suppress(OSError):  # the other end is closed
                self._read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.mode = termios.tcgetattr(self._fd)
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"it did not end: {self.shown!r}")
