"""Fixtures: one daemon per test module or per test, and real source trees to search."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_place import Place
from oracle import REAL_RG, Box
from search_driver import Driver, compiled

_CORPORA = {"flask": "flask==3.0.3", "django": "Django==5.1"}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A daemon for all tests of a module."""
    with Box(tmp_path_factory.mktemp("box")) as running:
        yield running


@pytest.fixture
def own_box(tmp_path: Path) -> Iterator[Box]:
    """A daemon for one test, which may do what it likes to it."""
    folder = tmp_path / "box"
    folder.mkdir()
    with Box(folder) as running:
        yield running


@pytest.fixture
def place() -> Iterator[Place]:
    """A place for daemons that are started as people start them."""
    made = Place()
    made.env["CURSERVE_REAL_RG"] = REAL_RG
    yield made
    made.close()


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """The kernel's searcher in a process of its own."""
    running = Driver(compiled(tmp_path_factory.mktemp("driver")))
    yield running
    assert running.process.stdin
    running.process.stdin.close()
    assert running.process.wait(20) == 0


def corpus(name: str) -> Path:
    """The unpacked source distribution of a well-known package, kept under build/ between runs; a git repository."""
    base = Path(__file__).resolve().parent.parent / "build" / "corpora"
    target = base / name
    if not (target / ".git").exists():
        base.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "download", "--no-deps", "--no-binary",
             ":all:", "-d", str(base), _CORPORA[name]],
            check=True,
        )  # fmt: skip
        archive = next(base.glob(f"[{name[0].upper()}{name[0]}]{name[1:]}-*.tar.gz"))
        unpacking = base / f".{name}-{os.getpid()}"
        unpacking.mkdir()
        subprocess.run(["tar", "--no-same-owner", "-xzf", str(archive), "-C", str(unpacking)], check=True)
        unpacked = next(unpacking.iterdir())
        git = ["git", "-C", str(unpacked), "-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "as released"], check=True)
        unpacked.rename(target)
        unpacking.rmdir()
    return target


@pytest.fixture(scope="session")
def flask() -> Path:
    """flask 3.0.3: 235 files."""
    return corpus("flask")


@pytest.fixture(scope="session")
def django() -> Path:
    """Django 5.1: 6,800 files."""
    return corpus("django")
