"""curserve.args: what each argv says, in tables; then generated ones against the real rg; then anything at all.

The oracle for "does rg take this argv": `rg --version` before it. A parse error still exits with 2, and everything that
rg would do later (patterns, globs, files) is never reached.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from args_oracle import run_rg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curserve import args, rgconfig
from curserve.choices import Binary, Boundary, Case, Color, Engine, Mmap, Mode, SortKind, Special
from curserve.errors import Decline
from curserve.flags import FLAGS

# argv (split at blanks, or a list) → the attributes that differ from the defaults
GOOD: list[tuple[str | list[bytes], dict[str, Any]]] = [
    ("", {}),
    ("foo a b", {"positional": [b"foo", b"a", b"b"]}),
    ("foo -- -n --", {"positional": [b"foo", b"-n", b"--"]}),
    ("-", {"positional": [b"-"]}),
    ([b""], {"positional": [b""]}),
    ("-n", {"line_number": True}),
    ("-nN", {"line_number": False}),
    ("-abC3", {"binary": Binary.TEXT, "byte_offset": True, "context_both": 3}),
    ("-A=5", {"context_after": 5}),
    ("-A5 -B+6", {"context_after": 5, "context_before": 6}),
    ("-A 5 -C1", {"context_after": 5, "context_both": 1}),
    ("-nA=+1 x", {"line_number": True, "context_after": 1, "positional": [b"x"]}),
    ("-C5 --passthru", {"context_both": 5, "passthru": True}),
    ("-C5 --passthrough -A1", {"context_after": 1}),
    ("-e -foo", {"patterns": [(False, b"-foo")]}),
    ("-e=x -e==x", {"patterns": [(False, b"x"), (False, b"=x")]}),
    ("--regexp=-foo --regexp -x -fbar", {"patterns": [(False, b"-foo"), (False, b"-x"), (True, b"bar")]}),
    ("--regexp= a", {"patterns": [(False, b"")], "positional": [b"a"]}),
    ("-e --", {"patterns": [(False, b"--")]}),
    ([b"-f", b"\xff"], {"patterns": [(True, b"\xff")]}),
    ("-i -s", {}),
    ("-s -S", {"case": Case.SMART}),
    ("-Si", {"case": Case.INSENSITIVE}),
    ("-wx", {"boundary": Boundary.LINE}),
    ("-xw", {"boundary": Boundary.WORD}),
    ("--crlf --null-data", {"null_data": True}),
    ("--null-data --crlf", {"crlf": True}),
    ("--null-data --no-crlf", {"null_data": True}),
    ("-U --stop-on-nonmatch", {"stop_on_nonmatch": True}),
    ("--stop-on-nonmatch -U", {"multiline": True}),
    ("--stop-on-nonmatch --no-multiline", {"stop_on_nonmatch": True}),
    ("-P --no-pcre2", {}),
    ("-P --engine=auto", {"engine": Engine.AUTO}),
    ("--auto-hybrid-regex", {"engine": Engine.AUTO}),
    ("--pre x -z", {"search_zip": True}),
    ("-z --pre x", {"pre": b"x"}),
    ("-z --pre= ", {"search_zip": True}),
    ("--pre x --no-pre", {}),
    ("--no-unicode --pcre2-unicode", {}),
    ("--no-pcre2-unicode", {"no_unicode": True}),
    ("--mmap --no-mmap", {"mmap": Mmap.NEVER}),
    ("--binary -a", {"binary": Binary.TEXT}),
    ("-a --no-binary", {}),
    (
        "-u",
        dict.fromkeys(
            ("no_ignore_dot", "no_ignore_exclude", "no_ignore_global", "no_ignore_parent", "no_ignore_vcs"), True
        )
        | {"unrestricted": 1},
    ),
    ("-u --ignore", {"unrestricted": 1}),
    ("-uu --ignore", {"unrestricted": 2, "hidden": True}),
    ("-uuu --ignore --no-hidden", {"unrestricted": 3, "binary": Binary.SUPPRESS}),
    ("--no-ignore-vcs --no-ignore --ignore-vcs --ignore", {}),
    ("-gA --glob=!b --iglob c", {"globs": [b"A", b"!b"], "iglobs": [b"c"]}),
    ("-tpy -T all --type-add x:y --type-clear c", {
        "type_changes": [("select", b"py"), ("negate", b"all"), ("add", b"x:y"), ("clear", b"c")],
    }),
    ("-d3 --maxdepth 4", {"max_depth": 4}),
    ("--max-filesize 10K", {"max_filesize": 10240}),
    ("--max-filesize 1G", {"max_filesize": 1 << 30}),
    ("--regex-size-limit 18446744073709551615", {"regex_size_limit": 2**64 - 1}),
    ("-m0", {"max_count": 0}),
    ("-M0", {}),
    ("-M+3", {"max_columns": 3}),
    ("-j0", {}),
    ("-j 2", {"threads": 2}),
    ("--color ansi", {"color": Color.ANSI}),
    ("-p", {"color": Color.ALWAYS, "heading": True, "line_number": True}),
    ("--sort path", {"sort": (SortKind.PATH, False)}),
    ("--sort path --sortr modified", {"sort": (SortKind.MODIFIED, True)}),
    ("--sortr path --sort none", {}),
    ("--sortr path --sort-files", {"sort": (SortKind.PATH, False)}),
    ("--sort path --no-sort-files", {}),
    # 15.2.0: the last mode wins, whatever it is (--files -l searches)
    ("-c --files", {"mode": Mode.FILES}),
    ("--files -l", {"mode": Mode.FILES_WITH_MATCHES}),
    ("--files --no-json", {"mode": Mode.FILES}),
    ("--files --json --no-json", {}),
    ("--type-list --json", {"mode": Mode.JSON}),
    ("--generate man -c", {"mode": Mode.COUNT}),
    ("-l --files-without-match", {"mode": Mode.FILES_WITHOUT_MATCH}),
    ("-V", {"special": Special.VERSION_SHORT}),
    ("-V --version", {"special": Special.VERSION_LONG}),
    ("-nh", {"special": Special.HELP, "line_number": True}),
    ("--pcre2-version -V", {"special": Special.VERSION_SHORT}),
    ([b"--context-separator", rb"\x4\x41\n\q"], {"context_separator": b"\\x4\\x41\n\\q"}),
    ("--context-separator x --no-context-separator", {"context_separator": None}),
    ("--context-separator=", {"context_separator": b""}),
    ([b"--field-match-separator", rb"\xFf\0\t\\\r"], {"field_match_separator": b"\xff\0\t\\\r"}),
    ([b"--field-context-separator", b"\\\xc3\xa9\\"], {"field_context_separator": b"\\\xc3\xa9\\"}),
    ("--path-separator /", {"path_separator": 47}),
    ([b"--path-separator", rb"\xff"], {"path_separator": 255}),
    ("--path-separator / --path-separator=", {}),
    ("-E none", {"encoding": "none"}),
    ([b"-E", b" UTF8\n"], {"encoding": "utf-8"}),
    ("-Elatin1", {"encoding": "windows-1252"}),
    ("-Enone --no-encoding", {}),
    ("-r x -r=", {"replace": b""}),
    ("--hyperlink-format none", {}),
]  # fmt: skip

BAD: list[str | list[bytes]] = [
    "--nope", "--ignor", "-y", "-=", "-n=1", "--no-line-number=1", "--line-number=", "--=x", "-A", "-A=", "-A x",
    "-A -1",
    "-A 1_0", "-A 18446744073709551616", "-A 0x1", "-uuuu", "--max-filesize 1k", "--max-filesize 1KB",
    "--max-filesize +1K",
    "--max-filesize=", "--max-filesize 18446744073709551615K", "--color Always", "--sort foo", "--engine x",
    "--generate x",
    "--path-separator xy", "--colors match", "--colors match:fg:0x1g", "--colors match:fg:300", "--colors match:fg:1,2",
    "--colors match:fg:0X1", "--colors match:style:blink", "--colors match:fg", "--colors x:fg:red", "--colors :none",
    "--colors match:fg:red:x", "--colors match:fg:1,2,3,4", "--colors match:fg:", "-E foo", "-E AUTO", "-j -1",
    "--help=x", "--version=1", "--regexp", "-ne", [b"-\xff"], [b"--\xff"], [b"-e", b"\xff"], [b"-g", b"\xff"],
    [b"-r", b"\xff"], [b"--context-separator", b"\xff"], [b"-E", b"\xff"], [b"-A", b"\xff"], [b"--colors", b"\xff"],
    [b"-A", "\u0663".encode()],
]  # fmt: skip


def _argv(words: str | list[bytes]) -> list[bytes]:
    return [word.encode() for word in words.split()] if isinstance(words, str) else words


@pytest.mark.parametrize(("words", "expected"), GOOD, ids=str)
def test_good(words: str | list[bytes], expected: dict[str, Any], tmp_path: Path) -> None:
    argv = _argv(words)
    low, default = args.parse(argv), args.LowArgs()
    changed = {
        name: getattr(low, name)
        for name in args.LowArgs.__slots__
        if name != "flags_used" and getattr(low, name) != getattr(default, name)
    }
    assert changed == expected
    assert run_rg([b"--version", *argv], tmp_path).returncode == 0


@pytest.mark.parametrize("words", BAD, ids=str)
def test_bad(words: str | list[bytes], tmp_path: Path) -> None:
    argv = _argv(words)
    with pytest.raises(Decline):
        args.parse(argv)
    assert run_rg([b"--version", *argv], tmp_path).returncode == 2


def test_flags_used_are_long_names() -> None:
    assert args.parse([b"-nA5", b"--no-pre", b"--maxdepth=1"]).flags_used == {
        "line-number", "after-context", "pre", "max-depth",
    }  # fmt: skip


_VALUES = st.sampled_from(
    b" 0 1 +2 -1 x 10K 3M 9G none auto path modified never always default pcre2 man utf-8 latin1 match:fg:red "
    b"line:none path:style:nobold match:bg:1,0x2,+3 \\x4 =1 \xff \xc3\xa9 18446744073709551615 "
    b"18446744073709551616 -- -n a=b".split(b" ")
)
_LONG = [b"--" + name.encode() for flag in FLAGS for name in (flag.long, flag.negated, *flag.aliases) if name]
_SHORTS = [flag.short.encode() for flag in FLAGS if flag.short]
_WORDS = st.one_of(
    st.sampled_from(_LONG),
    st.builds(lambda name, value: name + b"=" + value, st.sampled_from(_LONG), _VALUES),
    st.builds(
        lambda letters: b"-" + b"".join(letters),
        st.lists(st.sampled_from([*_SHORTS, b"=", b"3"]), min_size=1, max_size=4),
    ),
    _VALUES,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(argv=st.lists(_WORDS, max_size=4))
def test_rg_takes_what_we_take(argv: list[bytes], tmp_path: Path) -> None:
    try:
        args.parse(argv)
    except Decline as decline:
        taken = False
        if decline.reason in ("encoding", "hyperlink"):  # rg may take it
            return
    else:
        taken = True
    assert run_rg([b"--version", *argv], tmp_path).returncode == (0 if taken else 2)


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.one_of(_WORDS, st.binary(max_size=12).filter(lambda word: b"\0" not in word)), max_size=8))
def test_parse_raises_only_declines(argv: list[bytes]) -> None:
    try:
        args.parse(argv)
    except Decline as decline:
        assert decline.reason in ("bad_flag", "encoding", "hyperlink")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b" ", b"\t", b"\r", b"\x0b", b"\x1c", b"\n", b"#", b"-n", b"\xc2\x85", b"\xc2",
b"\xa0",
                                 b"\xe2\x80\x83", b"\xe2\x80\x8b", b"\xff", b"x y"])))  # fmt: skip
def test_configuration_lines(pieces: list[bytes]) -> None:
    expected = []
    space = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
    for line in b"".join(pieces).split(b"\n"):
        trimmed = line.decode("utf-8", "surrogateescape").strip(space).encode("utf-8", "surrogateescape")
        if trimmed and not trimmed.startswith(b"#"):
            expected.append(trimmed)
    assert rgconfig.parse(b"".join(pieces)) == expected
