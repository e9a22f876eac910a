"""Programs from npm, each in a folder of its own under build/npm and kept between runs.

A package that cannot be installed (no npm, no registry) is a skip with npm's own last words as the reason; one that is
there is used as it is, unmodified.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BASE = Path(__file__).resolve().parent.parent / "build" / "npm"


def installed(spec: str) -> Path:
    """The folder node_modules that holds the package `name@version`. Skips the test when npm cannot install it."""
    folder = BASE / spec.lstrip("@").replace("/", "_")
    mark = folder / ".installed"
    if mark.exists():
        return folder / "node_modules"
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"no npm to install {spec} with")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')
    env = {name: value for name, value in os.environ.items() if name not in ("NODE_OPTIONS", "LD_PRELOAD")}
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", spec],
        cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or ["npm failed"])[0]
        pytest.skip(f"{spec} cannot be installed: {words}")
    mark.touch()
    return folder / "node_modules"


def node(version: str) -> str:
    """The program `node` of a major version: the machine's own, else npm's package `node`."""
    found = shutil.which("node")
    if found is not None:
        shown = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        if shown.startswith(f"v{version}."):
            return found
    return str(installed(f"node@{version}") / "node" / "bin" / "node")
