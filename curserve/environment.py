"""The caller's environment: the one place that reads os.environ, and what a shell that is served gets instead.

In: the process environment. Out: single variables, or a changed copy. Nothing here changes the process itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

SHELL_MARK = "CURSERVE_SHELL"
"""Set to the root's path inside `curserve shell` and `curserve run`, for prompts and for nested calls."""

_NODE_WORD = re.compile(r'(?:[^ "]|"(?:[^"\\]|\\.)*")+')

_INTERNAL = ("CURSERVE_ASKED",)
"""What the preload library leaves for one exec of the shim; it must not outlive that."""


def variable(name: str) -> str | None:
    """The variable's value; None when it is not set or empty (the two mean the same to us everywhere)."""
    return os.environ.get(name) or None


def current() -> dict[str, str]:
    """A copy of the whole environment. Bytes that are no UTF-8 stand as surrogates (PEP 383)."""
    return dict(os.environ)


def served(base: Mapping[str, str], shim_dir: Path, preload: Path | None, hook: Path | None) -> dict[str, str]:
    """`base` with curserve in front: searches of what runs in it go to the daemon.

    Applying it twice changes nothing more: PATH, LD_PRELOAD and NODE_OPTIONS never hold an entry of ours twice, also
    when the outer one was of another installation. A CURSERVE_REAL_RG that the user set is left alone.

    shim_dir: holds the shim `rg`. preload, hook: the library and the Node hook, None where they are not installed.
    """
    env = {name: value for name, value in base.items() if name not in _INTERNAL}
    path = [entry for entry in env.get("PATH", os.defpath).split(":") if not _is_shim_dir(entry, shim_dir)]
    env["PATH"] = ":".join([str(shim_dir), *path])
    env["CURSERVE_SHIM"] = str(shim_dir / "rg")
    _prepend(env, "LD_PRELOAD", ":", str(preload) if preload else None, "libcurserve.so")
    _prepend_require(env, hook)
    return env


def without_interposition(base: Mapping[str, str]) -> dict[str, str]:
    """`base` for our own children, the daemon first of all: no preload library, no hook, no switch of one shell's."""
    dropped = {"CURSERVE_DISABLE", "CURSERVE_TRACE", "CURSERVE_SHIM", SHELL_MARK, *_INTERNAL}
    env = {name: value for name, value in base.items() if name not in dropped}
    _prepend(env, "LD_PRELOAD", ":", None, "libcurserve.so")
    _prepend_require(env, None)
    return env


def _is_shim_dir(entry: str, shim_dir: Path) -> bool:
    """Whether a PATH entry is a shim folder of this or another installation."""
    return entry == str(shim_dir) or entry.rstrip("/").endswith("/curserve/shims")


def _prepend(env: dict[str, str], name: str, separator: str, entry: str | None, mark: str) -> None:
    """Put `entry` first in a list variable, without earlier entries whose last path component tells they are ours."""
    others = [part for part in env.get(name, "").split(separator) if part and not _is_ours(part, mark)]
    parts = ([entry] if entry else []) + others
    if parts:
        env[name] = separator.join(parts)
    else:
        env.pop(name, None)


def _is_ours(part: str, mark: str) -> bool:
    return "/curserve/interpose/" in part and mark in part


def _prepend_require(env: dict[str, str], hook: Path | None) -> None:
    """Let Node load `hook` first. Node splits NODE_OPTIONS at spaces that are not within double quotes; so do we."""
    others = [word for word in _NODE_WORD.findall(env.get("NODE_OPTIONS", "")) if "/curserve/interpose/" not in word]
    ours = [] if hook is None else [f"--require={hook}"]
    if ours and (" " in ours[0] or '"' in ours[0]):
        ours = ['"' + ours[0].replace("\\", "\\\\").replace('"', '\\"') + '"']
    if ours or others:
        env["NODE_OPTIONS"] = " ".join(ours + others)
    else:
        env.pop("NODE_OPTIONS", None)
