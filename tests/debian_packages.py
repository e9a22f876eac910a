"""Programs out of Debian packages that nobody installed: unpacked below build/, and no service is started."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_FOLDER = Path(__file__).resolve().parent.parent / "build" / "debian"


def program(package: str, path: str) -> str:
    """The program at `path` of a package, unpacked once and kept. Skips, and says why, where that cannot be had."""
    target = _FOLDER / package
    found = target / path
    if found.exists():
        return str(found)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip(f"no Debian here, so no {path} of its package {package}")
    loading = _FOLDER / f".{package}-{os.getpid()}"
    loading.mkdir(parents=True, exist_ok=True)
    try:
        got = subprocess.run(
            ["apt-get", "-q", "download", package], cwd=loading, capture_output=True, text=True, check=False
        )
        if got.returncode:
            pytest.skip(f"apt-get download {package}: {got.stderr.strip().splitlines()[-1:]}")
        (archive,) = loading.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(archive), str(loading / "root")], check=True)
        if not found.exists():  # another test run may have been faster
            (loading / "root").rename(target)
    finally:
        shutil.rmtree(loading)
    return str(found)
