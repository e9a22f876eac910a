"""The parsers that are Python, under atheris: argv, patterns, configuration, a request's strings, control lines.

In: the name of a target, then libFuzzer's own arguments. A target raises where a parser does what it must not: anything
but an answer or a Decline.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["curserve"]):
    from curserve import args, config, options, request, rgconfig
    from curserve.control import ControlPlane
    from curserve.errors import CurserveError, Decline
    from curserve.flags import FLAGS
    from curserve.kernel_door import ffi
    from curserve.regex import RegexOptions, translate

_DEVICE = options.Fd(options.FdKind.CHAR)
_NAMES = [
    *(f"--{flag.long}".encode() for flag in FLAGS),
    *(f"-{flag.short}".encode() for flag in FLAGS if flag.short is not None),
]


def argv(data: bytes) -> None:
    """Words apart from each other by NULs; a word may begin with a byte that stands for a flag."""
    words = [
        _NAMES[word[0] - 128] + word[1:] if word[:1] > b"\x7f" and word[0] - 128 < len(_NAMES) else word
        for word in data.split(b"\0")
    ]
    with suppress(Decline):
        low = args.parse(words)
        assert low.flags_used <= {flag.long for flag in FLAGS}
        options.read(words, options.RequestContext(b"/nowhere", {}, (_DEVICE, _DEVICE, _DEVICE)))


def regex(data: bytes) -> None:
    """A byte and a half of switches, then the pattern."""
    first, second = (*data[:2], 0, 0)[:2]
    chosen = RegexOptions(
        fixed_strings=first & 15 == 15, case=("sensitive", "insensitive", "smart", "sensitive")[first >> 4 & 3],
        word=bool(first & 64), line=bool(first & 128), unicode=not second & 1, multi_line=bool(second & 2),
        dotall=bool(second & 4), crlf=bool(second & 8), null_data=bool(second & 16), ban_nul=not second & 32,
    )  # fmt: skip
    with suppress(Decline):
        found = translate([data[2:]], chosen)
        assert found.program and len(found.program) % 12 == 0
        assert found.capture_slots == 2 * len(found.capture_names)


def configuration(data: bytes) -> None:
    """ripgrep's configuration file, and ours."""
    with suppress(Decline):
        for word in rgconfig.parse(data):
            assert word and b"\n" not in word
    with suppress(CurserveError):
        config.parse(data)


def frame(data: bytes) -> None:
    """The strings of a request that the kernel found sound."""
    strings = data[1:].split(b"\0")
    argc = min(data[0] if data else 0, len(strings) - 1)
    text = b"/" + b"\0".join(strings) + b"\0"
    head = ffi.new(
        "struct cs_wire_request *", {"argc": argc, "envc": len(strings) - 1 - argc, "strings_size": len(text)}
    )
    read = request.parse(bytes(ffi.buffer(head)) + text)
    assert read.cwd == b"/" + strings[0] and list(read.argv) == strings[1 : 1 + argc]
    assert len(read.env) <= len(strings) - 1 - argc


class _Nothing:
    """What the control socket operates, here: it does as it is told, and that is nothing."""

    def status(self) -> dict[str, object]:
        return {}

    def look(self, seconds: int, measure: bool) -> dict[str, object]:
        assert seconds >= 1
        return {}

    def metrics(self) -> str:
        return ""

    def attach(self, root: bytes, wait: bool) -> Iterator[dict[str, object]]:
        assert root.startswith(b"/") and b"\0" not in root
        yield {"state": "served", "files_done": 0, "files_total": None}

    def detach(self, root: bytes) -> None:
        assert root.startswith(b"/") and b"\0" not in root

    def workspaces(self) -> list[dict[str, object]]:
        return []

    def hold(self, pid: int) -> None:
        assert pid > 0

    def stop(self) -> None:
        pass


_PLANE = ControlPlane(socket.socket())
_CLIENT = socket.socketpair()[0]


def control(data: bytes) -> None:
    """One line of the control socket."""
    for answer in _PLANE._answers(data, _Nothing(), _CLIENT):
        assert "ok" in answer and answer.get("error") != "internal error; see the daemon's log"
        json.dumps(answer)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "argv": argv, "regex": regex, "config": configuration, "frame": frame, "control": control,
}  # fmt: skip

if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
