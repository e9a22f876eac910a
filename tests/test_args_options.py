"""curserve.options: what an argv means at a place, in tables, and what of it the real rg lets one see."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from args_oracle import CHAR, FIFO, TTY, request, run_rg, run_rg_on_tty

from curserve import filetypes, options
from curserve.choices import Detection, Engine, Mode, SortKind, WithFilename
from curserve.errors import Decline
from curserve.flags import FLAGS, Flag
from curserve.options import Fd, FdKind, Glob, Options, Sort

_VIMGREP = {"column": True, "line_number": True, "per_match": True, "with_filename": WithFilename.YES}

# argv, is stdout a terminal?, the attributes looked at
TABLE: list[tuple[str, bool, dict[str, Any]]] = [
    ("foo", False, {"mode": Mode.STANDARD, "patterns": (b"foo",), "paths": (b"./",), "implicit_path": True,
                    "line_number": False, "heading": False, "with_filename": WithFilename.YES, "color": False,
                    "file_separator": None, "stats": False, "matches_possible": True, "stdout_file": None}),
    ("foo", True, {"line_number": True, "heading": True, "color": True, "file_separator": b""}),
    ("foo .", False, {"paths": (b".",), "implicit_path": False, "with_filename": WithFilename.AUTO}),
    ("foo a b", False, {"paths": (b"a", b"b"), "with_filename": WithFilename.YES}),
    ("-I foo a b", False, {"with_filename": WithFilename.NO}),
    ("-e foo -e bar -e foo a", False, {"patterns": (b"foo", b"bar"), "paths": (b"a",)}),
    ("-c foo", True, {"mode": Mode.COUNT, "line_number": False, "heading": True, "file_separator": None}),
    ("-c -o foo", False, {"mode": Mode.COUNT_MATCHES}),
    ("-v --count-matches foo", False, {"mode": Mode.COUNT}),
    ("-v -c -o foo", False, {"mode": Mode.COUNT_MATCHES}),
    ("--json foo", False, {"mode": Mode.JSON, "line_number": True, "stats": True}),
    ("--json -N foo", False, {"line_number": False}),
    ("--json -q foo", False, {"line_number": False, "quiet": True, "quit_after_match": False, "stats": True}),
    ("-q foo", True, {"line_number": False, "quit_after_match": True}),
    ("-q --stats foo", False, {"quit_after_match": False}),
    ("--files -q --stats", False, {"quit_after_match": True, "stats": False}),
    ("--files a", False, {"mode": Mode.FILES, "patterns": (), "paths": (b"a",), "matches_possible": True}),
    ("--files -f nowhere -P -z", False, {"mode": Mode.FILES}),
    ("--vimgrep foo a", False, _VIMGREP),
    ("--vimgrep --heading foo a", True, {"heading": False, **_VIMGREP}),
    ("--vimgrep --no-column -N foo a", True, {"column": False, "line_number": False}),
    ("--column foo", False, {"column": True, "line_number": True}),
    ("--column -l foo", False, {"column": True, "line_number": False}),
    ("-C2 foo", False, {"before_context": 2, "after_context": 2, "file_separator": b"--"}),
    ("-C2 -A0 foo", False, {"before_context": 2, "after_context": 0}),
    ("-A2 --context-separator x foo", False, {"file_separator": b"x", "context_separator": b"x"}),
    ("-A2 --no-context-separator foo", False, {"file_separator": None, "context_separator": None}),
    ("-A2 --heading foo", False, {"file_separator": b""}),
    ("-C2 --passthru foo", False, {"before_context": 0, "after_context": 0, "passthru": True, "file_separator": None}),
    ("-p foo", False, {"color": True, "heading": True, "line_number": True}),
    ("-p --color never --no-heading foo", True, {"color": False, "heading": False}),
    ("-m0 foo", False, {"matches_possible": False}),
    ("-f /dev/null a", False, {"patterns": (), "matches_possible": False}),
    ("-vf /dev/null a", False, {"patterns": (), "matches_possible": True, "paths": (b"a",)}),
    ("-a foo", False, {"binary_implicit": Detection.NONE, "binary_explicit": Detection.NONE, "ban_nul": False}),
    ("--null-data foo", False, {"binary_implicit": Detection.NONE, "ban_nul": False, "null_data": True}),
    ("--binary foo", False, {"binary_implicit": Detection.CONVERT, "ban_nul": True}),
    ("--no-ignore-vcs foo", False, {"use_vcs": False, "use_exclude": False, "use_global": False, "use_dot": True,
                                    "use_parent": True}),
    ("-u --ignore-file x foo", False, {"use_vcs": False, "use_dot": False, "use_parent": False,
    "ignore_files": (b"x",)}),
    ("--no-ignore-files --ignore-file x foo", False, {"ignore_files": ()}),
    ("--iglob a -g b foo", False, {"globs": (Glob(b"b", False), Glob(b"a", True))}),
    ("--glob-case-insensitive -g b foo", False, {"globs": (Glob(b"b", True),)}),
    ("--sortr path foo", False, {"sort": Sort(SortKind.PATH, True)}),
    ("--engine auto foo", False, {"engine": Engine.AUTO}),
    ("--no-messages foo", False, {"messages": False, "ignore_messages": False}),
    ("--no-ignore-messages foo", False, {"messages": True, "ignore_messages": False}),
    ("-T rust -t make --type-add x:*.y -tx foo", False, {
        "types": (
            filetypes.Selection(True, (b"*.rs",)),
            filetypes.Selection(False, filetypes.DEFAULT_TYPES[b"make"]),
            filetypes.Selection(False, (b"*.y",)),
        ),
    }),
]  # fmt: skip

DECLINES: list[tuple[str, str]] = [
    ("", "no_pattern"),
    ("-n", "no_pattern"),
    ("-P foo", "pcre2"),
    ("--engine pcre2 foo", "pcre2"),
    ("--pre x foo", "pre"),
    ("--pre-glob x foo", "pre"),
    ("-z foo", "search_zip"),
    ("foo -", "stdin"),
    ("-f - x", "stdin"),
    ("--files -", "stdin"),
    ("-f nowhere", "pattern_file"),
    ("-f .", "pattern_file"),
    ("--debug foo", "debug"),
    ("--trace foo", "debug"),
    ("--generate man", "generate"),
    ("--sort accessed foo", "sort_accessed"),
    ("--sortr created foo", "sort_created"),
    ("--hostname-bin x foo", "hostname_bin"),
    ("--hyperlink-format default foo", "hyperlink"),
    ("-h", "help"),
    ("--help", "help"),
    ("--pcre2-version", "pcre2_version"),
    ("-t nope foo", "bad_type"),
    ("-E utf-7 foo", "encoding"),
    ("--nope", "bad_flag"),
]


_SERVED_VALUES = {
    "engine": "auto", "color": "always", "colors": "match:none", "sort": "path", "sortr": "modified", "type": "py",
    "type-not": "all", "type-add": "x:y", "type-clear": "py", "encoding": "none", "file": "/dev/null",
    "hyperlink-format": "none",
}  # fmt: skip


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.long)
def test_the_table_says_what_is_declined(flag: Flag, tmp_path: Path) -> None:
    value = (flag.choices[0] if flag.choices else "x") if flag.declined else _SERVED_VALUES.get(flag.long, "1")
    words = f"--{flag.long}={value} foo" if flag.takes_value else f"--{flag.long} foo"
    if flag.declined:
        with pytest.raises(Decline) as caught:
            _read(words, tmp_path)
        assert caught.value.reason == flag.declined
    else:
        assert _read(words, tmp_path).flags_used == {flag.long}


def _read(words: str, cwd: Path, **how: Any) -> Options:
    return options.read(words.encode().split(), request(cwd, **how))


@pytest.mark.parametrize(("words", "tty", "expected"), TABLE, ids=[f"{row[0]} tty={row[1]}" for row in TABLE])
def test_table(words: str, tty: bool, expected: dict[str, Any], tmp_path: Path) -> None:
    found = _read(words, tmp_path, stdout=TTY if tty else FIFO, env={b"TERM": b"xterm"})
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(("words", "reason"), DECLINES, ids=[row[0] for row in DECLINES])
def test_declined(words: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(Decline) as caught:
        _read(words, tmp_path)
    assert caught.value.reason == reason


@pytest.mark.parametrize("kind", [FdKind.FILE, FdKind.FIFO, FdKind.SOCKET])
def test_readable_stdin_is_searched(kind: FdKind, tmp_path: Path) -> None:
    with pytest.raises(Decline) as caught:
        _read("foo", tmp_path, stdin=Fd(kind))
    assert caught.value.reason == "stdin"
    assert _read("foo .", tmp_path, stdin=Fd(kind)).paths == (b".",)
    assert _read("--files", tmp_path, stdin=Fd(kind)).paths == (b"./",)


@pytest.mark.parametrize("kind", [FdKind.CLOSED, FdKind.TTY, FdKind.CHAR, FdKind.OTHER])
def test_other_stdin_is_not(kind: FdKind, tmp_path: Path) -> None:
    assert _read("foo", tmp_path, stdin=Fd(kind)).implicit_path


def test_empty_path(tmp_path: Path) -> None:
    assert run_rg([b"foo", b""], tmp_path).returncode == 2
    with pytest.raises(Decline):
        options.read([b"foo", b""], request(tmp_path))


def test_stdout_file(tmp_path: Path) -> None:
    assert _read("foo", tmp_path, stdout=Fd(FdKind.FILE, 7, 9)).stdout_file == (7, 9)
    assert _read("--files", tmp_path, stdout=Fd(FdKind.FILE, 7, 9)).stdout_file is None


@pytest.mark.parametrize(
    "env", [{}, {b"TERM": b"dumb"}, {b"TERM": b"xterm", b"NO_COLOR": b""}, {b"TERM": b""}], ids=str
)
def test_color_auto(env: dict[bytes, bytes], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"foo\n")
    expected = b"\x1b[" in run_rg_on_tty([b"foo"], tmp_path, env)
    assert _read("foo", tmp_path, stdout=TTY, env=env).color == expected
    assert _read("foo", tmp_path, stdout=CHAR, env={b"TERM": b"xterm"}).color is False


COLORS = [
    [], ["match:fg:blue"], ["match:none"], ["match:none", "match:style:underline"], ["path:bg:0x1F",
    "path:style:intense"],
    ["path:style:intense", "line:style:bold", "line:style:nobold"], ["match:style:nobold", "match:fg:1,0x2,255"],
    ["line:style:italic", "line:style:underline", "line:bg:black", "line:fg:7"], ["column:fg:yellow", "path:none"],
    ["MATCH:STYLE:INTENSE", "match:bg:White"],
]  # fmt: skip


@pytest.mark.parametrize("words", COLORS, ids=str)
def test_colors(words: list[str], tmp_path: Path) -> None:
    """rg's own output spells each style before its part."""
    (tmp_path / "a").write_bytes(b"foo\n")
    argv = [b"--column", b"--color=always", *(b"--colors=" + word.encode() for word in words), b"foo"]
    found = options.read(argv, request(tmp_path)).colors
    parts = [(b"a", found.path), (b"1", found.line), (b"1", found.column), (b"foo", found.match)]
    end = b"\x1b[0m"
    printed = [style.start() + part + end for part, style in parts]
    if found.match == type(found.match)():
        printed[3] = b"foo"
    assert run_rg(argv, tmp_path).stdout == b":".join(printed) + b"\n"


PATTERN_FILES = [b"", b"\n", b"foo", b"foo\r\nbar\n", b"foo\r", b"a\r\r\n", b"\n\nfoo\nfoo\n", b"\xc3\xa9\n", b"\xff\n"]


@pytest.mark.parametrize("contents", PATTERN_FILES, ids=repr)
def test_pattern_file(contents: bytes, tmp_path: Path) -> None:
    """The same patterns given with -e select the same lines."""
    (tmp_path / "patterns").write_bytes(contents)
    (tmp_path / "text").write_bytes(b"foo\nbar\na\r\nfoo\r\n\n\xc3\xa9\nx\n")
    argv = [b"-n", b"-f", b"patterns", b"text"]
    real = run_rg(argv, tmp_path)
    try:
        found = options.read(argv, request(tmp_path))
    except Decline:
        assert real.returncode == 2
        return
    assert found.matches_possible == bool(found.patterns)
    if not found.patterns:
        assert (real.returncode, real.stdout) == (1, b"")
        assert options.read([b"-v", *argv], request(tmp_path)).matches_possible
        return
    same = run_rg([b"-n", *(b"--regexp=" + pattern for pattern in found.patterns), b"text"], tmp_path)
    assert (same.returncode, same.stdout) == (real.returncode, real.stdout)


def test_pattern_fifo_is_declined(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Decline):
        _read("-f fifo", tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(Decline):
            _read("-f socket", tmp_path)


def test_files_of_this_process_are_declined(tmp_path: Path) -> None:
    """/dev/fd/N is another file in the daemon than in the client."""
    (tmp_path / "real").write_bytes(b"foo\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("sub/../real")
    (tmp_path / "cwd").symlink_to("/proc/self/cwd")
    (tmp_path / "loop").symlink_to("loop")
    fd = os.open(tmp_path / "real", os.O_RDONLY)
    try:
        for path in ("/dev/stdin", f"/dev/fd/{fd}", f"/proc/self/fd/{fd}", "/proc/self/status", "cwd/x", "loop"):
            with pytest.raises(Decline):
                _read(f"-f {path}", tmp_path)
        with pytest.raises(Decline):
            _read("foo", tmp_path, env={b"RIPGREP_CONFIG_PATH": b"/dev/fd/%d" % fd})
    finally:
        os.close(fd)
    for path in ("link", "sub/../link", str(tmp_path / "link")):
        assert _read(f"-f {path}", tmp_path).patterns == (b"foo",)


TYPE_LISTS = [
    "", "--type-add foo:*.foo", "--type-add foo:*.b,x --type-add foo:a* --type-add foo:include:py,rust",
    "--type-clear py",
    "--type-add foo:include:all", "--type-add f-o:x", "--type-add foo:a:b", "--type-add foo", "--type-add foo:[",
    "--type-add foo:include:nope", "--type-add foo:*.a --type-add foo:*.a", "--type-add all:x", "--type-add foo:",
    "--type-add foo:include:py --type-add foo:include:foo", "--type-add foo:include:py,foo", "--type-add :x",
    "--type-add foo:include:", "--type-add foo:include:py,", "--type-add py:x --type-clear py --type-add py:y",
    "--type-add foo:include:foo", "--type-add 9:x", "--type-add foo:include:py,py", "--type-add foo:a: ",
    "-P -q --pre x",
]  # fmt: skip


@pytest.mark.parametrize("words", TYPE_LISTS)
def test_type_list(words: str, tmp_path: Path) -> None:
    real = run_rg([b"--type-list", *words.encode().split()], tmp_path)
    try:
        found = _read("--type-list " + words, tmp_path)
    except Decline:
        assert real.returncode == 2
    else:
        assert (found.answer, found.answer_exit) == (real.stdout, real.returncode)


def test_type_list_without_types(tmp_path: Path) -> None:
    words = " ".join("--type-clear " + name.decode() for name in filetypes.DEFAULT_TYPES)
    real = run_rg([b"--type-list", *words.encode().split()], tmp_path)
    found = _read("--type-list " + words, tmp_path)
    assert (found.answer, found.answer_exit) == (real.stdout, real.returncode)


def test_selections_take_a_types_globs_in_the_end() -> None:
    resolved = filetypes.resolve(
        [("select", b"x"), ("add", b"x:a"), ("select", b"all"), ("clear", b"zig"), ("add", b"zig:q")]
    )
    assert resolved.selections[0] == (False, (b"a",))
    assert len(resolved.selections) == len(filetypes.DEFAULT_TYPES) + 2
    assert resolved.selections[1:] == tuple(
        (False, resolved.definitions[name]) for name in sorted(resolved.definitions)
    )
    with pytest.raises(Decline):
        filetypes.resolve([("select", b"all"), ("clear", b"zig")])


@pytest.mark.parametrize("words", ["-V", "--version", "-nV foo --pre x", "--version -V", "-P --version - -"])
def test_version(words: str, tmp_path: Path) -> None:
    real = run_rg(words.encode().split(), tmp_path)
    found = _read(words, tmp_path)
    assert (found.answer, found.answer_exit) == (real.stdout, real.returncode)


CONFIGS = [
    b"", b"# c\n\n  -n  \n", b"-n\n-i", b"-e\nfoo\n", b"--no-config\n-n\n", b"-A\n1\n", b"-A 1\n", b"--nope\n",
    b"--version\n",
    b"-e\n", b"-n\r\n", b"--\n", b"\xef\xbb\xbf-n\n", b"a\0b\n", b"-g\n*\n--hidden\n",
]  # fmt: skip


@pytest.mark.parametrize("contents", CONFIGS, ids=repr)
def test_configuration_file(contents: bytes, tmp_path: Path) -> None:
    """A configuration is as good as its lines typed first."""
    (tmp_path / "rgrc").write_bytes(contents)
    (tmp_path / "text").write_bytes(b"foo\nFoo\nbar\n")
    env = {b"RIPGREP_CONFIG_PATH": b"rgrc"}
    argv = [b"foo", b"text"]
    real = run_rg(argv, tmp_path, env)
    try:
        found = options.read(argv, request(tmp_path, env=env))
    except Decline:
        assert real.returncode not in (0, 1) or b"\0" in contents
        return
    lines = [line.strip() for line in contents.split(b"\n") if line.strip() and not line.strip().startswith(b"#")]
    assert found == options.read([*lines, *argv], request(tmp_path))
    typed = run_rg([*lines, *argv], tmp_path)
    assert (typed.stdout, typed.returncode) == (real.stdout, real.returncode)


def test_configuration_is_not_read(tmp_path: Path) -> None:
    for value in (b"nowhere", b".", b"\0"):
        env = {b"RIPGREP_CONFIG_PATH": value}
        with pytest.raises(Decline):
            options.read([b"foo"], request(tmp_path, env=env))
        assert options.read([b"--no-config", b"foo"], request(tmp_path, env=env)).patterns == (b"foo",)
        assert options.read([b"-V"], request(tmp_path, env=env)).answer is not None
    assert options.read([b"foo"], request(tmp_path, env={b"RIPGREP_CONFIG_PATH": b""})).patterns == (b"foo",)
