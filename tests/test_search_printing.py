"""What the kernel prints for files against what ripgrep 15.2.0 prints: same files, same options, byte for byte.

Files are made to hurt: NULs around the edges of ripgrep's buffer, long lines, marks, other encodings, CRLF, no final
newline, none at all. CURSERVE_FUZZ=N tries N random questions in place of a few hundred.
"""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest
from built_c import real_rg
from search_driver import ELAPSED, Driver, Question, check, question

from curserve.errors import Decline

_EDGE = 65536


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
    "E_latin1", "E_cyrillic", "E_hebrew", "I", "H", "q",
]  # fmt: skip
_EXCLUSIVE = [
    {"A1", "A3", "B2", "C1", "C5", "passthru"}, {"m1", "m2", "m7"}, {"crlf", "null_data"}, {"U", "Udotall", "stop"},
    {"M20", "M5"}, {"no_context_separator", "context_separator"}, {"replace", "replace_empty"}, {"color", "highlight"},
    {"mmap", "no_mmap"}, {"a", "binary"}, {"I", "H", "vimgrep"},
    {"E_none", "E_utf8", "E_utf16le", "E_utf16be", "E_latin1", "E_cyrillic", "E_hebrew"},
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
        answers.append(ELAPSED.sub(b"<elapsed>", output))
    assert ELAPSED.sub(b"<elapsed>", theirs) in answers


def test_replacement_names(driver: Driver, tmp_path: Path) -> None:
    """Group numbers, names, names that are not there, unset groups, braces that do not close."""
    (tmp_path / "f").write_bytes(b"foo bar\nfoo\n")
    for replacement in "$1-$2 ${1}a$1a $x$y ${x}${x $ $$$ ${} $01 $99999999999 a$-b $x_".split():
        asked = question("foo( (?P<x>bar))?")
        asked.flags += ["-r", replacement]
        asked.spec |= {"has_replacement": 1, "replacement": replacement.encode()}
        assert check(driver, tmp_path, asked, ["f"], walk=False) is None
