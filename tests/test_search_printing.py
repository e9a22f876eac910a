"""What the kernel prints for files against what ripgrep 15.2.0 prints: same files, same options, byte for byte.

The driver (tests/kernel/search_driver.cpp) stands for the daemon; patterns go through curserve.regex. Files are made
to hurt: NULs around the edges of ripgrep's buffer, long lines, marks, other encodings, CRLF, no final newline, none at
all. CURSERVE_FUZZ=N tries N random questions in place of a few hundred.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from built_c import real_rg

from curserve.errors import Decline
from curserve.regex import RegexOptions, translate

ROOT = Path(__file__).resolve().parent.parent
_SOURCES = ("searcher", "printer", "json", "summary", "decode", "matcher", "literal", "re2_engine", "vm", "dfa",
            "class_finder")  # fmt: skip
_EDGE = 65536

_STYLES = {  # the bytes of cs_style: fg, bg (kind r g b each), bold, intense, underline, italic
    "path_style": bytes([1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    "line_style": bytes([1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    "match_style": bytes([1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
}


@dataclass
class Question:
    """One search. flags: for rg; spec: the same for the kernel; regex: the same for the translator."""

    patterns: list[str]
    flags: list[str] = field(default_factory=list)
    spec: dict[str, int | bytes] = field(default_factory=dict)
    regex: dict[str, object] = field(default_factory=dict)

    def argv(self) -> list[str]:
        return [*self.flags, *(word for pattern in self.patterns for word in ("-e", pattern))]


# flag words, what they are in the spec, what they are for the translator
_FLAGS: dict[str, tuple[list[str], dict[str, int | bytes], dict[str, object]]] = {
    "n": (["-n"], {"line_number": 1}, {}),
    "column": (["--column"], {"column": 1, "line_number": 1}, {}),
    "b": (["-b"], {"byte_offset": 1}, {}),
    "o": (["-o"], {"only_matching": 1}, {}),
    "H": (["-H"], {"with_filename": 1}, {}),
    "I": (["-I"], {"with_filename": 0}, {}),
    "heading": (["--heading"], {"heading": 1}, {}),
    "v": (["-v"], {"invert_match": 1}, {}),
    "A1": (["-A1"], {"after_context": 1}, {}),
    "A3": (["-A3"], {"after_context": 3}, {}),
    "B2": (["-B2"], {"before_context": 2}, {}),
    "C1": (["-C1"], {"before_context": 1, "after_context": 1}, {}),
    "C5": (["-C5"], {"before_context": 5, "after_context": 5}, {}),
    "passthru": (["--passthru"], {"passthru": 1}, {}),
    "m1": (["-m1"], {"has_max_count": 1, "max_count": 1}, {}),
    "m2": (["-m2"], {"has_max_count": 1, "max_count": 2}, {}),
    "m7": (["-m7"], {"has_max_count": 1, "max_count": 7}, {}),
    "stop": (["--stop-on-nonmatch"], {"stop_on_nonmatch": 1}, {}),
    "a": (["-a"], {"binary": 2}, {"ban_nul": False}),
    "binary": (["--binary"], {"binary": 1}, {}),
    "crlf": (["--crlf"], {"line_terminator": 1}, {"crlf": True}),
    "null_data": (["--null-data"], {"line_terminator": 2}, {"null_data": True, "ban_nul": False}),
    "U": (["-U"], {}, {"multi_line": True}),
    "Udotall": (["-U", "--multiline-dotall"], {}, {"multi_line": True, "dotall": True}),
    "i": (["-i"], {}, {"case": "insensitive"}),
    "w": (["-w"], {}, {"word": True}),
    "stats": (["--stats"], {"stats": 1}, {}),
    "json": (["--json"], {"mode": 1, "stats": 1, "line_number": 1}, {}),
    "c": (["-c"], {"mode": 2}, {}),
    "count_matches": (["--count-matches"], {"mode": 3}, {}),
    "l": (["-l"], {"mode": 4}, {}),
    "L": (["--files-without-match"], {"mode": 5}, {}),
    "q": (["-q"], {"quiet": 1}, {}),
    "include_zero": (["--include-zero"], {"include_zero": 1}, {}),
    "trim": (["--trim"], {"trim": 1}, {}),
    "M20": (["-M20"], {"has_max_columns": 1, "max_columns": 20}, {}),
    "M5": (["-M5"], {"has_max_columns": 1, "max_columns": 5}, {}),
    "preview": (["--max-columns-preview"], {"max_columns_preview": 1}, {}),
    "vimgrep": (["--vimgrep"], {"vimgrep": 1, "column": 1, "line_number": 1, "with_filename": 1}, {}),
    "0": (["-0"], {"null_path": 1}, {}),
    "path_separator": (["--path-separator", "+"], {"has_path_separator": 1, "path_separator": 43}, {}),
    "no_context_separator": (["--no-context-separator"], {"has_context_separator": 0}, {}),
    "context_separator": (["--context-separator", "=="], {"context_separator": b"=="}, {}),
    "field_match": (["--field-match-separator", "::"], {"field_match_separator": b"::"}, {}),
    "field_context": (["--field-context-separator", "~"], {"field_context_separator": b"~"}, {}),
    "replace": (["-r", "<$0$$$x|${1}>"], {"has_replacement": 1, "replacement": b"<$0$$$x|${1}>"}, {}),
    "replace_empty": (["-r", ""], {"has_replacement": 1, "replacement": b""}, {}),
    "color": (["--color", "always"], {"color": 1, **_STYLES}, {}),
    "highlight": (
        ["--color", "always", "--colors", "highlight:bg:blue", "--colors", "match:bg:0,1,0xff", "--colors",
         "match:style:intense", "--colors", "path:fg:33", "--colors", "line:none", "--colors", "column:style:italic"],
        {"color": 1, "path_style": bytes([2, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
         "match_style": bytes([1, 1, 0, 0, 3, 0, 1, 255, 1, 1, 0, 0]),
         "highlight_style": bytes([0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0]), "column_style": bytes([0] * 11 + [1])},
        {},
    ),
    "mmap": (["--mmap"], {"mmap": 1}, {}),
    "no_mmap": (["--no-mmap"], {"mmap": 0}, {}),
    "E_none": (["-E", "none"], {"encoding": 1}, {}),
    "E_utf8": (["-E", "utf-8"], {"encoding": 2}, {}),
    "E_utf16le": (["-E", "utf-16le"], {"encoding": 3}, {}),
    "E_utf16be": (["-E", "utf-16be"], {"encoding": 4}, {}),
    "E_latin1": (["-E", "latin1"], {"encoding": 5}, {}),
}  # fmt: skip


def question(patterns: str | list[str], *names: str) -> Question:
    """A question with the flags of these names."""
    asked = Question([patterns] if isinstance(patterns, str) else list(patterns))
    for name in names:
        flags, spec, regex = _FLAGS[name]
        asked.flags += flags
        asked.spec |= spec
        asked.regex |= regex
    spec = asked.spec
    if spec.get("only_matching") and spec.get("mode") == 2:
        spec["mode"] = 3
    if spec.get("invert_match") and spec.get("mode") == 3:
        spec["mode"] = 2
    if spec.get("vimgrep"):
        spec["heading"] = 0
    return asked


class Driver:
    """The kernel's searcher in a process of its own."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, asked: Question, files: Sequence[tuple[bytes, Path, bool]]) -> tuple[str, bytes, int]:
        """(why unsure or "-", output, exit code)."""
        found = translate([pattern.encode() for pattern in asked.patterns], RegexOptions(**asked.regex))  # type: ignore[arg-type]
        lines: list[str] = ["new"]
        defaults: dict[str, int | bytes] = {
            "with_filename": 1,
            "has_context_separator": 1,
            "context_separator": b"--",
            "field_match_separator": b":",
            "field_context_separator": b"-",
        }
        spec = defaults | asked.spec
        names = b"".join(b"%d\0%s\0" % (i, name) for i, name in enumerate(found.capture_names) if name is not None)
        fields: dict[str, int | bytes] = spec | {
            "program": found.program, "capture_slots": found.capture_slots, "matcher_terminator": found.line_terminator,
            "multi_line": int(found.multi_line), "re2_ascii": found.re2_ascii, "re2_bytes": found.re2_bytes,
            "re2_spans": int(found.re2_spans), "literals_fold_ascii": int(found.literals_fold_ascii),
            "required_fold_ascii": int(found.required_fold_ascii), "capture_names": names,
        }  # fmt: skip
        lines += [f"{key} {value.hex() if isinstance(value, bytes) else value}" for key, value in fields.items()]
        lines += [f"literal {text.hex()}" for text in found.literals]
        lines += [f"required {text.hex()}" for text in found.required]
        for name, disk, named in files:
            lines += [f"content {os.fsencode(disk).hex()}", f"file {name.hex()} {int(named)}"]
        lines.append("run")
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(("\n".join(lines) + "\n").encode())
        self.process.stdin.flush()
        head = self.process.stdout.readline().split()
        assert len(head) == 4, f"the driver died: {asked} {files}"
        output = self.process.stdout.read(int(head[2]))
        assert head[3] == b"0", f"bytes_searched_without_match disagrees with a search: {asked} {files}"
        return head[0].decode(), output, 0 if head[1] == b"1" else 1


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """The driver, compiled with the sanitizers; CURSERVE_SEARCH_DRIVER names one that is there already."""
    ready = os.environ.get("CURSERVE_SEARCH_DRIVER")
    program = Path(ready) if ready else tmp_path_factory.mktemp("driver") / "search_driver"
    if not ready:
        kernel = ROOT / "curserve" / "kernel"
        compiler = shlex.split(os.environ.get("CXX", "g++"))
        sources = [str(kernel / f"{name}.cpp") for name in _SOURCES]
        flags = ["-std=c++17", "-O1", "-g", "-fsanitize=address,undefined", f"-I{kernel}"]
        subprocess.run(
            [*compiler, *flags, str(ROOT / "tests/kernel/search_driver.cpp"), *sources, "-lre2", "-lpthread", "-o",
             str(program)], check=True,
        )  # fmt: skip
    running = Driver(program)
    yield running
    assert running.process.stdin
    running.process.stdin.close()
    assert running.process.wait(20) == 0


_ELAPSED = re.compile(
    rb'"human":"[0-9.]+s"|"nanos":\d+|"secs":\d+|^[0-9.]+ seconds(?= spent searching$| total$)', re.MULTILINE
)


def check(driver: Driver, folder: Path, asked: Question, names: Sequence[str], *, walk: bool) -> str | None:
    """What differs between the driver's answer and rg's; None if nothing does. Raises Decline.

    walk: search the folder, which holds exactly these files; else the files are named.
    """
    named = sorted(names)
    argv = [str(real_rg()), "--no-config", "--sort", "path", *asked.argv()]
    asked.spec["single_threaded"] = 1
    if walk:
        files = [(b"./" + name.encode(), folder / name, False) for name in named]
        argv += ["-uu", "./"]
    else:
        files = [(name.encode(), folder / name, True) for name in named]
        argv += ["--", *named]
        if len(named) <= 10:
            asked.spec.setdefault("mmap", 1)
        if len(named) == 1:
            asked.spec.setdefault("with_filename", 0)
    unsure, ours, code = driver.ask(asked, files)
    if unsure != "-":
        return None
    done = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode != 2, done.stderr
    mine, theirs = _ELAPSED.sub(b"<elapsed>", ours), _ELAPSED.sub(b"<elapsed>", done.stdout)
    if mine == theirs and code == done.returncode:
        return None
    at = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs)))
    start = max(0, at - 150)
    return (
        f"{shlex.join(argv[3:])} in {folder}: exit {code}, rg's {done.returncode}; from byte {start}:\n"
        f"  ours {mine[start : at + 150]!r}\n  rg's {theirs[start : at + 150]!r}"
    )


def _text(random_: random.Random, lines: int, end: bytes = b"\n") -> bytes:
    words = [b"foo", b"bar", b"Foo", b"x", b"", b"  lead", b"baz quux", b"foofoo", b"\xc3\xa9t\xc3\xa9", b"abc foo abc"]
    return b"".join(b" ".join(random_.choices(words, k=random_.randrange(4))) + end for _ in range(lines))


def _place(text: bytes, offset: int, byte: bytes = b"\0") -> bytes:
    return text[:offset] + byte + text[offset + 1 :]


def corpus(folder: Path) -> list[str]:
    """Files that hurt; their names."""
    random_ = random.Random(5)
    small, large = _text(random_, 30), _text(random_, 15000)
    rare = _text(random_, 9000).replace(b"oo", b"aa").replace(b"bar", b"tar")
    contents = {
        "a/small": small,
        "a/tail": small + b"foo without end",
        "a/empty": b"",
        "a/newline": b"\n",
        "a/one": b"foo",
        "a/early": b"\n\nfoo\nbar\n",
        "b/crlf": _text(random_, 20, b"\r\n") + b"foo\r",
        "b/blank": b"\n\n\n\nfoo\n\n\n\nfoo\n\n",
        "b/invalid": b"foo \xff\xfe bar\nplain foo\n\xc3\nfoo\xe2\x82 \xf0\x9f\x98\x80\n",
        "b/control": b'foo "quoted" \\ back\ttab \x01\x1f\x7f \x08\x0c\r x foo\n',
        "c/bom8": b"\xef\xbb\xbf" + small,
        "c/bom8twice": b"\xef\xbb\xbf\xef\xbb\xbffoo\n",
        "c/bom8only": b"\xef\xbb\xbf",
        "c/bom8nul": b"\xef\xbb\xbf" + _place(small, 100),
        "c/utf16le": b"\xff\xfe" + small.decode().encode("utf-16le"),
        "c/utf16be": b"\xfe\xff" + small.decode().encode("utf-16be"),
        "c/utf16odd": b"\xff\xfe" + "foo\n\U0001f600 foo\n".encode("utf-16le") + b"\x00\xd8f\x00\x00\xdco\x00\n\x00=",
        "c/utf16nul": b"\xfe\xff" + ("a\n\n" + "bar foo\n" * 90 + "\0foo\n" * 9 + "foo\n" * 9000).encode("utf-16be"),
        "c/utf16nul1": b"\xff\xfe" + "foo\n\0foo\n".encode("utf-16le"),
        "c/utf16pair": b"\xff\xfe" + "foo ".encode("utf-16le") + b"\x3d\xd8\x00",
        "c/utf16twice": b"\xff\xfe\xff\xfe" + "foo\n".encode("utf-16le"),
        "c/bare16": "foo bar\nfoo\n".encode("utf-16le"),
        "d/nul0": b"\0foo\nbar\n",
        "d/nul1": b"f\no\0foo\nfoo\n",
        "d/nul_small": _place(small, 77),
        "d/nul_last": small + b"\0",
        "d/nul_many": small + b"\0\0\0foo\0bar\0\n" + small,
        "e/large": large,
        "e/rare": rare + b"one foo at last\n",
        "e/nothing": rare,
        "e/long": b"x" * 70000 + b" foo " + b"y" * 140000 + b"\nfoo\n",
        "e/longtail": small + b"foo" + b"z" * 200000,
        "f/z_long": small + b"y" * 130000 + b"\0" + b"\nfoo\n",
    }  # fmt: skip
    for at in (-2, -1, 0, 1, 2, 3, 4, 1000, 40000, 65500, 70000):
        contents[f"f/nul_edge{at}"] = _place(large, _EDGE + at)
    contents["f/nul_rare"] = _place(rare, 66000)
    contents["f/nul_both"] = _place(_place(rare + b"foo\n", 66000), 66500)
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return list(contents)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpus."""
    place = tmp_path_factory.mktemp("corpus")
    corpus(place)
    return place


_PATTERNS: list[str | list[str]] = [
    "foo", "foo", "nowhere_at_all", "fo+", "(?P<x>b)(a)", "^$", "^", "$", "o\\b", "[a-z]+$", ["foo", "bar"], "x*",
    "\\s+f", "lead|abc", "(?i)FOO", "é", "last", "\\w+ (\\w+)",
    "\\Afoo", "o\\z", "\\bfoo\\b", "[^a-z]+", ".", "f.*o", "(abc)|(?P<x>foo)", "\\B", "(?-u:\\xff)", "\\d*", "\\S\\s",
]  # fmt: skip
_MULTI = [
    "foo\\n", "o\\s+b", "^\\n", "foo\\nbar|x", "(?s)foo.bar", "\\s+", "a[^z]*f", "\\n\\n", "$\\n^",
    "foo(\\n)?(x)?", "(?s).+", "\\Afoo|bar\\n", "\\n\\z", "\\bfoo\\s", "[^x]", "(?m)^.*$\\n", "x|\\n",
    "\\r?\\n",
]  # fmt: skip
_MODES = ["", "", "", "json", "json", "c", "count_matches", "l", "L", "q"]
_MIX = [
    "n", "column", "b", "o", "heading", "v", "A1", "A3", "B2", "C1", "C5", "passthru", "m1", "m2", "m7", "stop", "a",
    "binary", "crlf", "null_data", "U", "Udotall", "i", "w", "stats", "include_zero", "trim", "M20", "M5", "preview",
    "vimgrep", "0", "path_separator", "no_context_separator", "context_separator", "field_match", "field_context",
    "replace", "replace_empty", "color", "highlight", "mmap", "no_mmap", "E_none", "E_utf8", "E_utf16le", "E_utf16be",
    "E_latin1", "I", "H", "q",
]  # fmt: skip
_EXCLUSIVE = [
    {"A1", "A3", "B2", "C1", "C5", "passthru"}, {"m1", "m2", "m7"}, {"crlf", "null_data"}, {"U", "Udotall", "stop"},
    {"M20", "M5"}, {"no_context_separator", "context_separator"}, {"replace", "replace_empty"}, {"color", "highlight"},
    {"mmap", "no_mmap"}, {"a", "binary"}, {"I", "H", "vimgrep"},
    {"E_none", "E_utf8", "E_utf16le", "E_utf16be", "E_latin1"},
]  # fmt: skip


def _random_question(random_: random.Random) -> Question:
    names = [random_.choice(_MODES)]
    for name in random_.sample(_MIX, random_.choice([0, 1, 1, 2, 2, 3, 4, 6])):
        if not any(name in group and not group.isdisjoint(names) for group in _EXCLUSIVE):
            names.append(name)
    names = [name for name in names if name]
    multi = "U" in names or "Udotall" in names
    patterns = random_.choice(_MULTI if multi and random_.random() < 0.8 else _PATTERNS)
    return question(patterns, *names)


def _families(folder: Path) -> list[tuple[Path, list[str]]]:
    return [
        (place, sorted(path.name for path in place.iterdir())) for place in sorted(folder.iterdir()) if place.is_dir()
    ]


@pytest.mark.parametrize("seed", range(8))
def test_random_questions(driver: Driver, folder: Path, seed: int) -> None:
    """Random options, patterns and files, walked and named."""
    tries = int(os.environ.get("CURSERVE_FUZZ", "320")) // 8
    random_ = random.Random(int(os.environ.get("CURSERVE_SEED", "0")) * 8 + seed)
    families = _families(folder)
    differences = []
    for _ in range(tries):
        asked = _random_question(random_)
        place, names = random_.choice(families)
        walk = random_.random() < 0.5
        if not walk:
            names = random_.sample(names, min(len(names), random_.choice([1, 1, 2, len(names)])))
        try:
            found = check(driver, place, asked, names, walk=walk)
        except Decline:
            continue
        if found is not None:
            differences.append(found)
    assert not differences, f"{len(differences)} differ:\n" + "\n".join(differences[:5])


@pytest.mark.parametrize(
    "names",
    [
        ("heading",),
        ("C1",),
        ("C1", "stats"),
        ("heading", "stats"),
        ("C1", "crlf"),
        ("heading", "crlf"),
        ("stats",),
        ("C1", "no_context_separator"),
        ("C1", "stats", "null_data"),
        ("json", "C1"),
        ("c", "C1", "stats"),
    ],
)
def test_between_files_with_threads(driver: Driver, tmp_path: Path, names: tuple[str, ...]) -> None:
    """With several threads ripgrep separates files, and statistics from files, in another way than with one."""
    (tmp_path / "one").write_bytes(b"foo\nbar\nfoo\n")
    (tmp_path / "two").write_bytes(b"x\nfoo\n\0")
    asked = question("foo", *names)
    asked.spec["mmap"] = 1
    argv = [str(real_rg()), "--no-config", "-j2", *asked.argv(), "--", "one", "two"]
    theirs = subprocess.run(argv, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
    answers = []
    for order in (("one", "two"), ("two", "one")):
        unsure, output, code = driver.ask(asked, [(name.encode(), tmp_path / name, True) for name in order])
        assert (unsure, code) == ("-", 0)
        answers.append(_ELAPSED.sub(b"<elapsed>", output))
    assert _ELAPSED.sub(b"<elapsed>", theirs) in answers


def test_replacement_names(driver: Driver, tmp_path: Path) -> None:
    """Group numbers, names, names that are not there, unset groups, braces that do not close."""
    (tmp_path / "f").write_bytes(b"foo bar\nfoo\n")
    for replacement in "$1-$2 ${1}a$1a $x$y ${x}${x $ $$$ ${} $01 $99999999999 a$-b $x_".split():
        asked = question("foo( (?P<x>bar))?")
        asked.flags += ["-r", replacement]
        asked.spec |= {"has_replacement": 1, "replacement": replacement.encode()}
        assert check(driver, tmp_path, asked, ["f"], walk=False) is None
