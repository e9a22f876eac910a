"""The file that starts the daemon again when somebody misses it: after it was idle, or crashed.

A daemon that was started in the background leaves a shell script beside its socket, which starts the like of it: same
interpreter, same places. A shim that finds no daemon runs it, at most every 30 s (shims/rg.c, by the file's time), and
gets its answer from the real rg meanwhile. `curserve stop` removes it: who stopped the daemon does not want another.
A shim in a sandbox would start a daemon that sees less; so the script names what its writer could see (the kernel's
words, peer.h), and a starter that differs is turned away.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path

from curserve import environment

_KEPT = ("HOME", "PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH")
_KEPT_PREFIXES = ("CURSERVE_", "XDG_")


def sight() -> str:
    """A short name for what this process may see."""
    from curserve.kernel_door import ffi, lib

    text = ffi.new("char[4096]")
    lib.cs_own_sight(text, 4096)
    return hashlib.sha256(ffi.string(text)).hexdigest()[:16]


def leave(path: Path) -> None:
    """Write the script. A daemon that cannot be started again by others is no failure."""
    env = environment.without_interposition(environment.current())
    kept = {name: value for name, value in env.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    words = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in sorted(kept.items())), sys.executable, "-P",
             "-m", "curserve.daemon_main", "--detach", f"--on-demand={sight()}"]  # fmt: skip
    script = (
        "#!/bin/sh\n# Starts curserve's daemon again when a search finds none; removed by: curserve stop\n"
        f"cd / && umask 077 && exec {shlex.join(words)}\n"
    )
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        with suppress(FileNotFoundError):
            temporary.unlink()
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700)
        with open(fd, "wb") as file:
            file.write(os.fsencode(script))
        temporary.rename(path)


def remove(path: Path) -> None:
    """No more starts on demand."""
    with suppress(OSError):
        path.unlink()
