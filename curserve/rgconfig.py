"""The file that RIPGREP_CONFIG_PATH names: one argument a line, as rg reads it.

In: the environment's value and the client's cwd. Out: the arguments that come before those typed. A file that cannot be
read is declined (rg says why on stderr and goes on). Read anew at each request, so it is always fresh.
"""

from __future__ import annotations

import re

from curserve.errors import Decline
from curserve.smallfile import read_small

_MAX_BYTES = 1 << 16  # arbitrary: a configuration file is a few lines
# Unicode's White_Space, in UTF-8. (bytes.strip knows ASCII only; str.strip also takes U+001C–1F, which rg leaves.)
_SPACE = rb"(?:[\t-\r ]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80)*"
_LINE = re.compile(_SPACE + rb"(.*?)" + _SPACE + rb"\Z", re.DOTALL)


def arguments(path: bytes, cwd: bytes) -> list[bytes]:
    """The file's arguments; none for an empty path. Raises Decline("config")."""
    if not path:
        return []
    return parse(read_small(path, cwd, _MAX_BYTES, "config"))


def parse(contents: bytes) -> list[bytes]:
    """Each line without white space around it, unless empty or a comment."""
    found = []
    for line in contents.split(b"\n"):
        match = _LINE.match(line)
        assert match is not None  # the pattern matches any line
        argument = match[1]
        if argument and argument[:1] != b"#":
            if b"\0" in argument:  # no argv can say this
                raise Decline("config")
            found.append(argument)
    return found
