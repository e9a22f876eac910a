"""The package's Python files, relative to the folder given, one per line, sorted: what the build installs.

The folder `kernel` is left out: its scripts serve the build and stay in the source tree.
"""

from __future__ import annotations

import sys
from pathlib import Path

_ENDS = ("*.py", "py.typed", "*.txt", "*.tcss", "bashrc", ".zshenv", ".zshrc", "*.fish")


def python_files(package: Path) -> list[str]:
    """Paths with `/`, sorted, without caches and build scripts. Data that Python reads at run time goes along."""
    found = [path.relative_to(package) for end in _ENDS for path in package.rglob(end)]
    return sorted(path.as_posix() for path in found if path.parts[0] != "kernel" and "__pycache__" not in path.parts)


if __name__ == "__main__":
    print("\n".join(python_files(Path(sys.argv[1]))))
