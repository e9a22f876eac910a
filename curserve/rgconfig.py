"""The file that RIPGREP_CONFIG_PATH names: one argument a line, as rg reads it.

In: the environment's value and the client's cwd. Out: the arguments that come before those typed. A file that cannot be
read is declined (rg says why on stderr and goes on). Read anew at each request, so it is always fresh.
"""

from __future__ import annotations

from curserve.errors import Decline
from curserve.smallfile import read_small

_MAX_BYTES = 1 << 16  # arbitrary: a configuration file is a few lines
# Unicode's White_Space. (bytes.strip knows ASCII only; str.strip by itself also takes U+001C–1F, which rg leaves.)
_SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"


def arguments(path: bytes, cwd: bytes) -> list[bytes]:
    """The file's arguments; none for an empty path. Raises Decline("config")."""
    if not path:
        return []
    return parse(read_small(path, cwd, _MAX_BYTES, "config"))


def parse(contents: bytes) -> list[bytes]:
    """Each line without white space around it, unless empty or a comment."""
    found = []
    for line in contents.split(b"\n"):
        argument = line.decode("utf-8", "surrogateescape").strip(_SPACES).encode("utf-8", "surrogateescape")
        if argument and argument[:1] != b"#":
            if b"\0" in argument:  # no argv can say this
                raise Decline("config")
            found.append(argument)
    return found
