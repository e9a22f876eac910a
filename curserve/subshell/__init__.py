"""What `curserve shell` executes: the user's own shell, with a mark in its prompt.

In: the shell's path, whether it is interactive, the served environment. Out: argv and environment for exec. The user's
start-up files run first and unchanged; ours only put the shim back in front of PATH, which those files often rebuild,
and mark the prompt. A shell we do not know starts as it would by itself: served, but without the mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from curserve import paths

MARK = "(curserve) "


def command(shell: str, interactive: bool, env: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """argv and environment to exec `shell` with. interactive: stdin is a terminal."""
    changed = dict(env)
    if not interactive:
        return [shell], changed
    files = paths.shell_files()
    changed["CURSERVE_SHIM_DIR"] = str(paths.shim_dir())
    match Path(shell).name:
        case "bash":
            return [shell, "--rcfile", str(files / "bashrc"), "-i"], changed
        case "zsh":
            # zsh reads its files from ZDOTDIR; ours hand over to the user's folder one by one.
            changed["CURSERVE_ZDOTDIR"] = env.get("ZDOTDIR") or str(paths.home())
            changed["ZDOTDIR"] = str(files / "zsh")
            return [shell, "-i"], changed
        case "fish":
            return [shell, "-i", "--init-command", f"source {_fish_quoted(files / 'config.fish')}"], changed
        case "sh" | "dash" | "ksh" | "mksh" | "ash":
            # These take PS1 from the environment, and print it as it stands.
            prompt = env.get("PS1") or ("# " if paths.is_root() else "$ ")
            changed["PS1"] = prompt if prompt.startswith(MARK) else MARK + prompt
            return [shell, "-i"], changed
        case _:
            return [shell], changed


def _fish_quoted(path: Path) -> str:
    return "'" + str(path).replace("\\", "\\\\").replace("'", "\\'") + "'"
