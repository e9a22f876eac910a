"""Where the tests get compiled C and C++ from: the programs of shims/, interpose/, bench/, tests/c and tests/kernel."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SANITIZED = ROOT / "build" / "sanitized"


def build(source: str, into: Path) -> Path:
    """`source` compiled by the `cc` line in its head comment, into the directory `into`. Raises when cc complains."""
    text = (ROOT / source).read_text().replace(" \\\n * ", " ")
    line = re.search(r"^ \* (cc .*)$", text, re.MULTILINE)
    assert line, f"{source} names no build line"
    words = shlex.split(line.group(1))
    place = words.index("-o") + 1
    out = into / Path(words[place]).name
    words[place] = str(out)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    subprocess.run([*compiler, *words[1:]], cwd=ROOT, check=True)
    return out


def object_of(source: Path, folder: Path, compiler: str, flags: Sequence[str]) -> Path:
    """`source` compiled into `folder`, unless what is there was made of nothing younger.

    CalledProcessError with the compiler's own words on stderr."""
    made = folder / f"{source.stem}-{source.parent.name}.o"
    noted = made.with_suffix(".d")
    if not _is_fresh(made, noted):
        folder.mkdir(parents=True, exist_ok=True)
        standard = "c17" if source.suffix == ".c" else "c++17"
        own = [f"-std={standard}", "-g", "-O1", "-pthread", "-MMD", "-MF", str(noted)]
        half = made.with_suffix(".half")  # whoever is interrupted leaves nothing that looks whole
        subprocess.run([*shlex.split(compiler), *flags, *own, "-c", str(source), "-o", str(half)], check=True)
        half.replace(made)
    return made


def _is_fresh(made: Path, noted: Path) -> bool:
    """Whether nothing that the object was made of is younger than it."""
    if not made.exists() or not noted.exists():
        return False
    words = noted.read_text().replace("\\\n", " ").partition(":")[2].split()
    return all(Path(word).exists() and Path(word).stat().st_mtime_ns < made.stat().st_mtime_ns for word in words)


def sanitized(subject: str, kernel: Iterable[str], into: Path, libraries: Sequence[str] = ()) -> Path:
    """tests/kernel/<subject>.cpp with so much of the kernel as it needs, and the address and undefined-behaviour
    sanitizers, in the directory `into`; objects stay in build/sanitized. Raises when the compiler complains."""
    place, compiler = ROOT / "curserve" / "kernel", os.environ.get("CXX", "c++")
    sources = [ROOT / "tests" / "kernel" / f"{subject}.cpp", *(place / f"{name}.cpp" for name in kernel)]
    flags = [*SANITIZERS, f"-I{place}"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda source: object_of(source, SANITIZED, compiler, flags), sources))
    out = into / subject
    linked = [*SANITIZERS, *objects, *(f"-l{name}" for name in libraries), "-pthread", "-o", out]
    subprocess.run([*shlex.split(compiler), *linked], check=True)
    return out


def run_sanitized(program: Path, *argv: str, timeout_s: float | None = None) -> str:
    """What it prints, without what the tests are run beside. AssertionError when it fails or a sanitizer complains."""
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run([program, *argv], env=env, text=True, capture_output=True, check=False, timeout=timeout_s)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def real_rg() -> Path:
    """The real ripgrep 15.2.0: $CURSERVE_TEST_RG, or that of this Python's environment, or the first on PATH."""
    named = os.environ.get("CURSERVE_TEST_RG")
    beside = Path(sys.executable).parent / "rg"
    found = named or (str(beside) if beside.exists() else shutil.which("rg"))
    assert found, "no ripgrep to compare with"
    return Path(found).absolute()
