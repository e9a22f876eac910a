"""Which folders may become a root by themselves, because somebody searched in them.

In: gitignore-style patterns of absolute folders. Out: refused or not, for one folder. A later pattern wins and `!`
takes back, as in a .gitignore; but unlike there, `!` also takes back what lies below a refused folder. `~` at a
pattern's beginning is the home folder. Somebody who says `curserve attach DIR` is not asked.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pathspec

_GATHERING = ("/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var/tmp", "/var/www", "/workspaces", "~")
"""Folders that only gather others: what lies in them may be a root; they themselves are too big or too mixed."""

DEFAULT_REFUSE: tuple[str, ...] = (
    # Whole trees that belong to the system; sources kept there are the exception.
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys"),
    *("/snap", "/usr", "!/usr/src/*/**", "!/usr/local/src/*/**", "/var"),
    *(pattern for folder in _GATHERING for pattern in (folder, f"!{folder}/*/**")),
    # Secrets and caches of the user's.
    *("~/.cache", "~/.config", "~/.gnupg", "~/.local", "~/.ssh"),
)


class RootPolicy:
    """The refuse list, compiled. Immutable; safe in every thread."""

    def __init__(self, patterns: Sequence[str], home: Path) -> None:
        """`patterns` follow the defaults, so that they can take them back. ValueError names one that is no pattern."""
        self._spec = pathspec.PathSpec.from_lines(
            "gitignore", (_expanded(pattern, home) for pattern in (*DEFAULT_REFUSE, *patterns))
        )

    def refuses(self, root: bytes) -> bool:
        """Whether the absolute folder `root` must not be attached by itself. The file system's root always is."""
        text = os.fsdecode(root).strip("/")
        return not text or self._spec.match_file(text + "/")


def _expanded(pattern: str, home: Path) -> str:
    sign = "!" if pattern.startswith("!") else ""
    body = pattern[len(sign) :]
    if body == "~" or body.startswith("~/"):
        body = str(home) + body[1:]
    return sign + body
