"""The source trees that are searched, fetched once and kept under build/corpora.

flask 3.0.3, Django 5.1 and SQLAlchemy 2.0.36 (for load.py only) are PyPI's source distributions, each committed to a
git repository of its own; Linux 6.1 is Debian's linux-source-6.1, unpacked without installing it, in an empty git
repository (a commit of it would cost more than everything else here; the repository keeps ignore files above it out
of the picture). Copies that are written to live beside them and are made anew each time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.programs import ROOT

KEPT = ROOT / "build" / "corpora"
NAMES = ("flask", "django", "linux")
_SDISTS = {"flask": "flask==3.0.3", "django": "Django==5.1", "sqlalchemy": "SQLAlchemy==2.0.36"}
_DEBIAN = "linux-source-6.1"


@dataclass(frozen=True, slots=True)
class Corpus:
    """One tree. version: as its publisher names it. type/glob: what most of its files are, for rg's -t and -g."""

    name: str
    path: Path
    version: str

    @property
    def type(self) -> str:
        """rg's name for the main language."""
        return "c" if self.name == "linux" else "py"

    @property
    def glob(self) -> str:
        """A glob for it."""
        return f"*.{self.type}"

    @property
    def suffix(self) -> str:
        """The end of names that are written often in it, as in `\\w+_probe`."""
        return {"flask": "context", "django": "migration", "linux": "probe"}[self.name]


def corpus(name: str, say: Callable[[str], None] = print) -> Corpus:
    """The tree, fetched first where it is not there (Linux: 140 MB, 1.5 GB unpacked). CalledProcessError, KeyError."""
    target = KEPT / name
    note = KEPT / f".{name}-version"
    if not (target / ".git").exists():
        say(f"fetching {name}")
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=KEPT) as work:
            folder, version = (_debian if name == "linux" else _sdist)(name, Path(work))
            note.write_text(version + "\n")
            folder.rename(target)
    version = note.read_text().strip() if note.exists() else _SDISTS[name].partition("==")[2]
    return Corpus(name, target, version)


def _sdist(name: str, work: Path) -> tuple[Path, str]:
    package = _SDISTS[name]
    _run([sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "download", "--no-deps", "--no-binary",
          ":all:", "-d", str(work), package])  # fmt: skip
    # Not tarfile: its safe extraction is missing from Python 3.11.2, which is Debian 12's.
    (work / "tree").mkdir()
    _run(["tar", "--no-same-owner", "-xzf", str(next(work.glob("*.tar.gz"))), "-C", str(work / "tree")])
    folder = next((work / "tree").iterdir())
    _commit(folder)
    return folder, package.partition("==")[2]


def _debian(name: str, work: Path) -> tuple[Path, str]:
    subprocess.run(["apt-get", "-q", "download", _DEBIAN], cwd=work, check=True, stdout=subprocess.DEVNULL)
    package = next(work.glob("*.deb"))
    version = _run(["dpkg-deb", "-f", str(package), "Version"])
    _run(["dpkg-deb", "-x", str(package), str(work / "package")])
    _run(["tar", "-xf", str(next((work / "package" / "usr" / "src").glob("*.tar.*"))), "-C", str(work)])
    folder = work / _DEBIAN
    # Debian adds to the kernel's .gitignore what makes git, and so ripgrep, ignore the whole tree.
    ignore = folder / ".gitignore"
    ignore.write_text("".join(line for line in ignore.open() if line.strip() not in ("/*", "!/debian/")))
    _run(["git", "-C", str(folder), "init", "-q"])
    return folder, version


def copies(source: Path, count: int, name: str) -> Path:
    """A new folder KEPT/name with `count` copies of a tree in it, of its files alone, as one repository without a
    commit. What lay there before is removed."""
    target = KEPT / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for index in range(count):
        part = target if count == 1 else target / f"copy{index}"
        part.mkdir(exist_ok=True)
        _run(["cp", "-r", "--reflink=auto", f"{source}/.", str(part)])
        shutil.rmtree(part / ".git", ignore_errors=True)
    _run(["git", "-C", str(target), "init", "-q"])
    return target


def worktrees(source: Path, count: int, name: str) -> list[Path]:
    """A new clone of a repository and worktrees of it, `count` folders altogether, the clone first."""
    target = KEPT / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    _run(["git", "clone", "-q", "--local", str(source), str(target / "0")])
    for index in range(1, count):
        _run(["git", "-C", str(target / "0"), "worktree", "add", "-q", "--detach", str(target / str(index))])
    os.sync()  # what writes them out would work beside what is measured
    return [target / str(index) for index in range(count)]


def _commit(folder: Path) -> None:
    git = ["git", "-C", str(folder), "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    _run([*git, "init", "-q"])
    _run([*git, "add", "-A"])
    _run([*git, "commit", "-q", "-m", "as released"])


def _run(argv: list[str]) -> str:
    """The output of a program that must succeed."""
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    return done.stdout.strip()
