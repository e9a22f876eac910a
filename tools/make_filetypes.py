#!/usr/bin/env python3
"""Write curserve/filetypes_table.py: rg's built-in file types, as the real rg lists them.

    python tools/make_filetypes.py /path/to/rg > curserve/filetypes_table.py

Only the list is taken (`--type-list` sorts the globs; their order decides nothing).
"""

from __future__ import annotations

import subprocess
import sys


def table(rg: str) -> str:
    """The module's text."""
    listing = subprocess.run([rg, "--no-config", "--type-list"], stdout=subprocess.PIPE, check=True).stdout.decode()
    version = subprocess.run([rg, "-V"], stdout=subprocess.PIPE, check=True).stdout.decode().split()[1]
    lines = [
        f'"""The file types of ripgrep {version}: name, globs. Written by tools/make_filetypes.py; do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "DEFAULT_TYPES: dict[bytes, tuple[bytes, ...]] = {",
    ]
    for line in listing.splitlines():
        name, _, globs = line.partition(": ")
        # A comma inside a glob would split it; none has one, and a test compares the whole listing with rg's.
        words = [repr(glob.encode()).replace("'", '"') for glob in globs.split(", ")]
        one = f'    b"{name}": ({", ".join(words)}{"," if len(words) == 1 else ""}),'
        if len(one) <= 120:
            lines.append(one)
            continue
        lines.append(f'    b"{name}": (')
        lines.extend(f"        {word}," for word in words)
        lines.append("    ),")
    lines.append("}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table(sys.argv[1]))
