"""The shim as /usr/local/bin/rg, for agents that take rg only from a system folder and for login shells.

In: the folder. Out: a copy of the shim there (a real file: such agents look through links), or an InstallError whose
one line says what is in the way. Invariant: a file that is not ours is never replaced and never removed. Where no other
rg is found in the system's folders, `real-rg.path` beside the copy tells it the one installed with us.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from curserve import paths
from curserve.errors import CurserveError

SYSTEM_DIR = Path("/usr/local/bin")
SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
_MARK = "written by: curserve install --system\n"


class InstallError(CurserveError):
    """The shim could not be put there or taken away."""


def install(folder: Path = SYSTEM_DIR) -> Path:
    """Put the shim there; the path of the copy. Doing it again renews the copy. Raises InstallError."""
    source, target, beside = paths.shim_dir() / "rg", folder / "rg", folder / "real-rg.path"
    if os.path.lexists(target) and not is_ours(target):
        raise InstallError(f"{target} is not ours and stays as it is; curserve shell and curserve run need no copy")
    if os.path.lexists(beside) and not _is_our_note(beside):
        raise InstallError(f"{beside} is not ours and stays as it is")
    try:
        real = paths.real_rg()
        if real is not None and not _system_has_another(folder):
            _place(beside, f"{real}\n{_MARK}".encode(), 0o644)
        _place(target, source.read_bytes(), 0o755)
    except PermissionError as error:
        raise InstallError(f"{folder}: {error.strerror}; run it as root: sudo curserve install --system") from error
    except OSError as error:
        raise InstallError(f"{folder}: {error.strerror}") from error
    return target


def uninstall(folder: Path = SYSTEM_DIR) -> bool:
    """Take away what `install` put there; False when there was nothing. Raises InstallError."""
    target, beside = folder / "rg", folder / "real-rg.path"
    if os.path.lexists(target) and not is_ours(target):
        raise InstallError(f"{target} is not ours and stays as it is")
    found = False
    try:
        for path in (target, beside):
            if os.path.lexists(path) and (path == target or _is_our_note(path)):
                path.unlink()
                found = True
    except OSError as error:
        raise InstallError(f"{path}: {error.strerror}; run it as root: sudo curserve uninstall --system") from error
    return found


def is_ours(path: Path) -> bool:
    """Whether a file is a copy of the shim: a real file with its ELF note."""
    return path.is_file() and not path.is_symlink() and paths.is_a_shim(path)


def trusted_rg(path: str) -> Path | None:
    """The first rg on `path` if agents that trust only system folders take it: a real file in one of those."""
    for entry in path.split(":"):
        found = Path(entry or ".") / "rg"
        if found.is_file() and os.access(found, os.X_OK):
            real = Path(os.path.realpath(found))
            return found if str(real.parent) in SYSTEM_PATH else None
    return None


def _system_has_another(folder: Path) -> bool:
    others = (Path(entry) / "rg" for entry in SYSTEM_PATH if Path(entry) != folder)
    return any(other.is_file() and os.access(other, os.X_OK) and not paths.is_a_shim(other) for other in others)


def _is_our_note(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.read_text("utf-8", "replace").endswith(_MARK)


def _place(path: Path, data: bytes, mode: int) -> None:
    """Write a whole file, at once visible as such. What is there must be ours: seen to above; where nothing was, a file
    that a stranger makes meanwhile stays (a link does not replace)."""
    handle, name = tempfile.mkstemp(prefix=".curserve-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        if os.path.lexists(path):
            os.rename(name, path)
            return
        os.link(name, path)
        os.unlink(name)
    except BaseException:
        if os.path.exists(name):
            os.unlink(name)
        raise
