"""A search in the few words that a column has room for: what is looked for, and where.

In: an argument list. Out: pattern and globs, and paths; flags that only say how the answer looks are left out, as all
of an agent's searches begin with the same dozen of them.
"""

from __future__ import annotations

import os
import shlex
from functools import lru_cache

from curserve import args
from curserve.choices import SEARCH_MODES, Mode
from curserve.errors import CurserveError, Decline


@lru_cache(maxsize=1024)
def short(argv: tuple[str, ...], cwd: str) -> tuple[str, str]:
    """What, and where: the paths, or the folder where none is named. An argument list that cannot be understood is
    shown as it is."""
    try:
        low = args.parse([os.fsencode(word) for word in argv])
    except (CurserveError, Decline, ValueError):
        return shlex.join(argv), cwd
    paths = list(low.positional)
    what = [("-f " if of_file else "") + _word(text) for of_file, text in low.patterns]
    if low.special is None and low.mode in SEARCH_MODES and not what and paths:
        what = [_word(paths.pop(0))]
    if low.mode not in SEARCH_MODES or low.special is not None:
        what = [f"--{(low.special or low.mode).value}"]
    elif low.mode is not Mode.STANDARD and low.mode is not Mode.JSON:
        what.append(f"--{low.mode.value}")
    what += [f"-g {_word(glob)}" for glob in low.globs if not glob.startswith(b"!")]
    return " ".join(what), " ".join(os.fsdecode(path) for path in paths if path != b".") or cwd


def _word(text: bytes) -> str:
    word = os.fsdecode(text)
    return shlex.quote(word) if " " in word else word or "''"
