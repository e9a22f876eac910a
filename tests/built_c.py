"""Where the tests get compiled C from: the programs of shims/, interpose/, bench/ and tests/c, each built once."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


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


def real_rg() -> Path:
    """The real ripgrep 15.2.0: $CURSERVE_TEST_RG, or that of this Python's environment, or the first on PATH."""
    named = os.environ.get("CURSERVE_TEST_RG")
    beside = Path(sys.executable).parent / "rg"
    found = named or (str(beside) if beside.exists() else shutil.which("rg"))
    assert found, "no ripgrep to compare with"
    return Path(found).absolute()
