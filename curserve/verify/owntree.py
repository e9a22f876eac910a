"""`curserve verify DIR [N]`: generated searches on somebody's own tree, asked of us and of the real ripgrep.

In: an attached folder. Out: a Tally, whose differences say how to have them again. The tree is only read; what
searches need beside it goes to a temporary folder. Files may be changed meanwhile: a difference counts when it shows
three times, and a search in a folder that has gone is passed over.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from curserve.errors import CurserveError
from curserve.verify import answers
from curserve.verify.answers import Answer
from curserve.verify.asking import Asked, TooLong, ask
from curserve.verify.commands import Command, Commands, Tree
from curserve.verify.tally import Tally

_MOST_NAMES = 5_000
"""Files (and folders) that may be named; arbitrary."""
_WORDS_FROM = 200
"""Files that words are taken from; arbitrary."""
_TIMEOUT_S = 120.0


def verify(
    root: Path,
    cases: int,
    seed: int,
    shim: str,
    real: str,
    env: dict[str, str],
    told: Callable[[int], None],
    stopped: Callable[[], bool],
) -> Tally:
    """Asks both programs `cases` times. env: a client's environment. told: called after each case with its number, from
    1 on. stopped: true when no more is wanted; the case under way does not count then, as the programs may have been
    stopped, too. OSError; CurserveError when the folder is gone."""
    source = random.Random(seed)
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="curserve-verify-") as folder:
        commands = Commands(source, described(root, Path(folder), source))
        for case in range(cases):
            command = commands.command()
            if command.stdout not in (b"pipe", b"tty"):
                command = replace(command, stdout=b"pipe")  # nothing is written into the tree
            for path, content in command.beside.items():
                os.makedirs(os.path.dirname(path), exist_ok=True)
                Path(os.fsdecode(path)).write_bytes(content)
            try:
                for _ in range(3):
                    ours, found = _compared(command, shim, real, env, os.path.join(folder, "trace"))
                    if found is None or stopped():
                        break
            except (TooLong, subprocess.TimeoutExpired, FileNotFoundError, NotADirectoryError) as error:
                if isinstance(error, OSError) and os.path.isdir(command.cwd):
                    raise  # it is a program that is not there
                if not root.is_dir():
                    raise CurserveError(f"{root} has gone") from None
                tally.passed_over += 1  # on either side: nothing was compared
            else:
                if stopped():
                    break
                words = b" ".join(command.argv).decode("utf-8", "backslashreplace")
                where = os.fsdecode(command.cwd)
                text = None if found is None else f"case {case} of seed {seed}: rg {words} in {where}: {found}"
                tally.add(command, ours, text)
            if stopped():
                break
            told(case + 1)
    if not root.is_dir():  # what was compared last was nothing with nothing
        raise CurserveError(f"{root} has gone")
    return tally


def described(root: Path, side: Path, source: random.Random) -> Tree:
    """What there is to be named in a folder, and words to be found in its files."""
    base = os.fsencode(root)
    files: list[bytes] = []
    folders: list[bytes] = []
    for here, below, names in os.walk(base):
        below[:] = [name for name in below if name != b".git"]
        files += [os.path.relpath(os.path.join(here, name), base) for name in names]
        folders += [os.path.relpath(os.path.join(here, name), base) for name in below]
        if len(files) > 20 * _MOST_NAMES:
            break
    files = sorted(source.sample(files, min(len(files), _MOST_NAMES)))
    folders = sorted(source.sample(folders, min(len(folders), _MOST_NAMES)))
    words: set[str] = set()
    for name in source.sample(files, min(len(files), _WORDS_FROM)):
        with suppress(OSError), open(os.path.join(base, name), "rb") as file:
            found = re.findall(rb"[A-Za-z_]\w{2,20}|[^\w\s]{1,3}", file.read(65536))
            words.update(word.decode("utf-8", "ignore") for word in source.sample(found, min(len(found), 20)))
    words = {word for word in words if word and "\0" not in word}
    return Tree(base, files, folders, sorted(words) or ["word"], os.fsencode(side))


def _compared(command: Command, shim: str, real: str, env: dict[str, str], trace: str) -> tuple[Answer, str | None]:
    with suppress(FileNotFoundError):
        os.unlink(trace)
    full = {**env, **{os.fsdecode(name): os.fsdecode(value) for name, value in command.env.items()}}

    def asked(program: str, argv: Sequence[bytes], more: dict[str, str]) -> Answer:
        return ask(program, Asked(argv, command.cwd, {**full, **more}, stdout=command.stdout), _TIMEOUT_S)

    ours = asked(shim, command.argv, {"CURSERVE_TRACE": trace, "CURSERVE_REAL_RG": real})
    with suppress(OSError, ValueError, KeyError), open(trace, encoding="utf-8") as file:
        record = json.loads(file.readline())
        ours = replace(ours, served=record["served"], reason=record["reason"])
    found = answers.judged(ours, command.argv, lambda argv: asked(real, argv, {}))
    return ours, found
