"""What clients send is data: no argv and no pattern makes the parsers do anything but answer or decline."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from built_c import SANITIZED
from harnesses import FOUND, KERNEL, REPLAY, build, write_seeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Box

from curserve import config, options
from curserve.args import parse
from curserve.config import ConfigError
from curserve.errors import Decline
from curserve.flags import FLAGS
from curserve.regex import RegexOptions, translate


@pytest.fixture(scope="module")
def programs() -> dict[str, Path]:
    return build(REPLAY, SANITIZED)


_NAMES = [f"--{flag.long}".encode() for flag in FLAGS] + [f"-{flag.short}".encode() for flag in FLAGS if flag.short]
_WORDS = st.one_of(
    st.sampled_from(_NAMES),
    st.builds(lambda name, value: name + b"=" + value, st.sampled_from(_NAMES), st.binary(max_size=8)),
    st.binary(max_size=12),
    st.sampled_from([b"--", b"-", b"", b"-e", b"a", b"9" * 30, b"1e9", b"10M", b"*.{a,b", b"[", b"match:fg:0x1,2,3"]),
)
_PIECES = st.sampled_from(
    [*"abkKsS0_ \n\\.*+?()[]{}|^$-,:<>=!#&~", *"éſ\u212a", "(?", "(?P<", "\\p{", "\\b{", "[[:", "{2,", "\\x", "&&"]
)
_OPTIONS = st.builds(
    RegexOptions,
    case=st.sampled_from(["sensitive", "insensitive", "smart"]),
    word=st.booleans(), line=st.booleans(), unicode=st.booleans(), multi_line=st.booleans(), dotall=st.booleans(),
    crlf=st.booleans(), fixed_strings=st.booleans(),
)  # fmt: skip


@settings(max_examples=2000, deadline=2000, suppress_health_check=list(HealthCheck))
@given(st.lists(_WORDS, max_size=8))
def test_any_argv(argv: list[bytes]) -> None:
    argv = [word.replace(b"\0", b"") for word in argv]
    device = options.Fd(options.FdKind.CHAR)
    with suppress(Decline):
        parse(argv)
        options.read(argv, options.RequestContext(b"/", {}, (device, device, device)))


@settings(max_examples=2000, deadline=5000, suppress_health_check=list(HealthCheck))
@given(st.lists(_PIECES, max_size=16).map("".join), _OPTIONS)
def test_any_pattern(pattern: str, chosen: RegexOptions) -> None:
    with suppress(Decline):
        translate([pattern.encode()], chosen)


@pytest.mark.parametrize("text", [b"a = " + b"[" * 5000, b"[log]\nlevel = " + b"{a=" * 3000, b"x = " + b"9" * 5000])
def test_a_configuration_without_end(text: bytes) -> None:
    with pytest.raises(ConfigError):
        config.parse(text)


def test_a_control_line_without_end(own_box: Box) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(f"{own_box.socket}.control")
        client.sendall(b"[" * 60_000 + b"\n" + b'{"op": "ping"}\n')
        with client.makefile("rb") as lines:
            assert json.loads(lines.readline())["error"].startswith("bad request")
            assert json.loads(lines.readline())["ok"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", KERNEL)
def test_harness(programs: dict[str, Path], name: str, tmp_path: Path) -> None:
    """Sound inputs and mutations of them, the same in each run, with address and undefined-behaviour sanitizers.
    `make parsers` looks for more."""
    write_seeds(name, tmp_path)
    inputs = sorted(tmp_path.iterdir())
    rounds = max(1, 12_000 // len(inputs))
    env = {word: value for word, value in os.environ.items() if word != "LD_PRELOAD"}
    done = subprocess.run([programs[name], str(rounds), *inputs], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-6000:]
    assert done.stdout == f"{(rounds + 1) * len(inputs)} inputs\n"


@pytest.mark.parametrize("what", FOUND)
def test_found_once(programs: dict[str, Path], what: str, tmp_path: Path) -> None:
    name, found = FOUND[what]
    (tmp_path / "input").write_bytes(found)
    env = {word: value for word, value in os.environ.items() if word != "LD_PRELOAD"}
    done = subprocess.run(
        [programs[name], "50", tmp_path / "input"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-6000:]
