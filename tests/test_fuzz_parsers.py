"""What clients send is data: no argv and no pattern makes the parsers do anything but answer or decline."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curserve import options
from curserve.args import parse
from curserve.errors import Decline
from curserve.flags import FLAGS
from curserve.regex import RegexOptions, translate

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


@pytest.mark.timeout(400)
def test_any_frame_ignore_file_and_glob(tmp_path: Path) -> None:
    """With address and undefined-behaviour sanitizers."""
    source = Path(__file__).resolve().parent.parent
    kernel = source / "curserve" / "kernel"
    names = ("content", "decode", "git_index", "ignore", "mapped_file", "peer", "reply", "rule_stack")
    parts = [*kernel.glob("glob*.cpp"), *(kernel / f"{name}.cpp" for name in names)]
    program = tmp_path / "parsers"
    flags = ["-std=c++17", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-pthread"]
    places = [f"-I{source / 'shims'}", f"-I{kernel}"]
    main = source / "tests" / "fuzz" / "parsers.cpp"
    subprocess.run(["c++", *flags, *places, str(main), *map(str, parts), "-o", str(program)], check=True)
    subprocess.run([str(program), "1", "20000"], check=True, timeout=200)
