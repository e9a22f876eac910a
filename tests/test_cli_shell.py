"""`curserve shell`, `run` and `env`: what the commands that are served find, as shell transcripts."""

from __future__ import annotations

import os
import pty
import select
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_place import CURSERVE, Place

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


@pytest.mark.parametrize("name", ["bash", "dash", "sh", "zsh", "fish"])
def test_a_terminal_shows_the_mark_and_keeps_the_users_files(place: Place, name: str) -> None:
    shell = shutil.which(name)
    if shell is None:
        pytest.skip(f"no {name} on this machine")
    (place.home / ".bashrc").write_text("PATH=/usr/bin:/bin; PS1='mine> '; MINE=yes\n")
    (place.home / ".zshrc").write_text("PATH=/usr/bin:/bin; PROMPT='mine> '; MINE=yes\n")
    shown, status = _terminal(place, shell, [b"echo mark:$MINE; command -v rg\n", b"exit 6\n"])
    assert status == 6
    assert "(curserve) " in shown and f"{paths.shim_dir()}/rg" in shown.replace("\r\n", "")
    assert name not in ("bash", "zsh") or ("(curserve) mine> " in shown and "mark:yes" in shown)


def _terminal(place: Place, shell: str, lines: list[bytes]) -> tuple[str, int]:
    """What a terminal shows, each line typed when a new prompt has come; and the exit status."""
    pid, terminal = pty.fork()
    if pid == 0:
        env = {**place.env, "SHELL": shell, "TERM": "dumb", "COLUMNS": "500"}
        os.execve(CURSERVE, [CURSERVE, "shell", str(place.folder)], env)
    shown, seen = b"", 0
    deadline_s = time.monotonic() + 40
    while time.monotonic() < deadline_s:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        shown += data
        # fish asks the terminal what it is and draws its prompt anew; a new prompt is one behind what was there.
        if lines and shown.count(b"(curserve) ", seen):
            seen = len(shown)
            os.write(terminal, lines.pop(0))
    os.close(terminal)
    return shown.decode("utf-8", "replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
