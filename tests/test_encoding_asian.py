"""--encoding with the encodings of Asian texts: all sequences, what is none, and where ripgrep's reads end.

CURSERVE_FUZZ=N tries N random files for each encoding in place of some tens, CURSERVE_SEED others.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from built_c import ROOT, real_rg
from oracle import Box, compare
from search_driver import ASIAN, Driver, check, question

_CODECS = {"gb18030": "gb18030", "big5": "big5hkscs", "euc-jp": "euc_jp", "shift_jis": "shift_jis", "euc-kr": "euc_kr",
           "iso-2022-jp": "iso2022_jp", "x-user-defined": "latin-1"}  # fmt: skip
"""Python's, for texts to begin with: they are not the same in all their characters, nor in what is none."""
_CHARACTERS = (
    "xX.<;~\\ \u00e9\u20ac\u03b1\u0451\u3000\u3042\u30ab\uff71\u65e5\u4e02\u672c\ud55c\uac02\U00020000\U0001f600"
)
_ODD = (b"\x80", b"\xff", b"\xa0", b"\x81", b"\xa1", b"\xe0", b"\xfe", b"\x8e", b"\x8f", b"\x8f\xa2", b"\x81\x30",
        b"\x81\x30\x81", b"\x90\x30\x81\x30", b"\xfe\x39\xfe\x39", b"\x88\x62", b"\x88\xa5", b"\xa1\x5c", b"\x1b",
        b"\x1b$", b"\x1b(", b"\x1b$B", b"\x1b$@", b"\x1b(J", b"\x1b(I", b"\x1b(B", b"\x0e", b"$", b"(", b"0", b"\0",
        b"\n")  # fmt: skip
_FOUR = (0x2F, 0x30, 0x31, 0x38, 0x39, 0x3A, 0x7F, 0x80, 0x81, 0x82, 0x84, 0x90, 0xE3, 0xFD, 0xFE, 0xFF)


def _served(box: Box, argv: list[str], cwd: Path) -> None:
    answer = compare(box, argv, cwd)
    assert answer.served and answer.code == 0, (argv, answer.reason)


def test_tables_are_ripgreps() -> None:
    """Made again, they are the same, in every character."""
    kernel = ROOT / "curserve" / "kernel"
    argv = [sys.executable, str(kernel / "make_double_byte.py"), str(real_rg())]
    made = subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout
    assert made == (kernel / "double_byte.h").read_bytes()


@pytest.mark.parametrize("encoding", ASIAN)
def test_every_sequence(box: Box, tmp_path: Path, encoding: str) -> None:
    """All of two bytes, after ASCII, after a character and one after the other; the longer ones at their borders, in
    each state that there is."""
    pairs = [bytes(pair) for pair in product(range(256), repeat=2)]
    (tmp_path / "pairs").write_bytes(b"\n".join(pairs))
    (tmp_path / "between").write_bytes(b"\n".join(b"\xb0\xa1" + pair + b"x" for pair in pairs))
    (tmp_path / "together").write_bytes(b"".join(pairs))
    fours = [bytes(four) for four in product(_FOUR, repeat=4)]
    (tmp_path / "fours").write_bytes(b"\n".join(fours))
    threes = [lead + bytes(pair) for lead in (b"\x8f", b"\x8e") for pair in product(range(0x7E, 256), repeat=2)]
    (tmp_path / "threes").write_bytes(b"\n".join(threes))
    states = (b"\x1b(B", b"\x1b(J", b"\x1b(I", b"\x1b$B", b"\x1b$@")
    escapes = [b"\x1b" + bytes(pair) for pair in product(b"$(BJI@\x1bx!\n\xa1", repeat=2)]
    some = [*pairs[:0x8000:3], *escapes, *(a + b for a, b in product(escapes, repeat=2))]
    for number, state in enumerate(states):
        (tmp_path / f"state{number}").write_bytes(b"\n".join(state + more for more in some))
        (tmp_path / f"end{number}").write_bytes(b"\n" + state + b"\n" + state)
    box.attach(tmp_path)
    _served(box, ["-E", encoding, "-a", "--sort=path", "^"], tmp_path)
    _served(box, ["-E", encoding, "--sort=path", "--json", r"\w+"], tmp_path)


@pytest.mark.parametrize("encoding", ASIAN)
def test_ends_within_a_sequence(box: Box, tmp_path: Path, encoding: str) -> None:
    """What becomes of half a character at the end depends on whether ripgrep had read anything before it."""
    halves = [b"\x81", b"\xa1", b"\x8f", b"\x8f\xa1", b"\x81\x30", b"\x81\x30\x81", b"\x1b", b"\x1b$", b"\x1b(",
              b"\x1b$B!", b"\x1b$B\x1b$", b"\x1b(I\x1b("]  # fmt: skip
    for number, half in enumerate(halves):
        for size in (0, 1, 2, 3, 8191, 8194, 8195, 8196):
            (tmp_path / f"{number:02}-{size}").write_bytes((b"x" * (size - 1) + b"\n")[-size:] * (size > 0) + half)
    box.attach(tmp_path)
    _served(box, ["-E", encoding, "-a", "--sort=path", "^"], tmp_path)
    _served(box, ["-E", encoding, "-c", "--sort=path", "[^x]"], tmp_path)


@pytest.mark.parametrize("label", ["utf-8", "utf-16le", "auto", *ASIAN])
def test_ends_within_a_character_where_the_whole_text_is_read(box: Box, tmp_path: Path, label: str) -> None:
    """ripgrep may lose a part of U+FFFD then, by the size of its buffer: left to it. What ends well is served."""
    half = b"\xff\xfea\0b" if label == "auto" else b"x" * 97 + b"\n\xe3"
    (tmp_path / "well").write_bytes(b"x\ny\n")
    (tmp_path / "half").write_bytes(b"x\n" + half if label != "auto" else half)
    box.attach(tmp_path)
    for more in ([], ["--stats"], ["-c"], ["--json"]):
        argv = ["-E", label, "-U", "-uu", *more, "--sort=path", r"x\ny|[^b]$"]
        answer = compare(box, argv, tmp_path)
        assert answer.served or answer.reason == "buffers", (argv, answer.reason)
        assert answer.served == (label in ("x-user-defined", "iso-2022-jp")), argv
        _served(box, [*argv, "well"], tmp_path)


def _text(random_: random.Random, encoding: str, count: int, odd: float = 0.1) -> bytes:
    """So many characters, some of which are none."""
    parts = []
    for _ in range(count):
        if random_.random() < odd:
            parts.append(random_.choice(_ODD[:-2]))
        else:
            parts.append(random_.choice(_CHARACTERS).encode(_CODECS[encoding], "ignore"))
    return b"".join(parts)


def _file(random_: random.Random, encoding: str) -> bytes:
    """Lines of all lengths, up to 150 KiB; many with a word that is looked for, some with NULs."""
    lines = []
    left = random_.choice((10, 500, 9_000, 40_000, 150_000))
    usual = random_.choice((0, 20, 400, 8_000, 30_000))
    piece = _text(random_, encoding, random_.choice((1, 5, 300)), random_.choice((0, 0.02, 0.3)))
    while left > 0:
        size = min(left, random_.choice((usual, random_.randint(0, 2 * usual), random_.choice((0, 5, 40_000, 66_000)))))
        line = (piece or b"x") * (size // (len(piece) or 1))
        line = line[: random_.randint(0, len(line))] + random_.choice((b"foo", b"", b" foo ")) + line
        lines.append(line + random_.choice((b"", b"", b"\x1b(B", b"\0" if random_.random() < 0.2 else b"")))
        left -= len(line) + 1
    data = b"\n".join(lines)
    return data[: len(data) - random_.choice((0, 0, 1, 2, 3))]


def _at_the_edge(random_: random.Random, encoding: str) -> bytes:
    """A line that fills ripgrep's buffer up to some bytes, then characters of all lengths, and the end or more."""
    filler = random_.choice((b"x", b"x", b".", _text(random_, encoding, 3, 0)))
    if encoding == "iso-2022-jp" and random_.random() < 0.5:
        filler = random_.choice((b"\x1b$B", b"\x1b(I", b"\x1b(J")) + b"!!\n"
    width = len(filler.decode(_CODECS[encoding], "replace").encode()) or 1
    head = filler * ((65536 - 3000) // width)
    tail = _text(random_, encoding, random_.choice((0, 1, 3, 8)), 0.5)
    data = head + b"x" * random_.randint(2960, 3010) + tail
    return data + random_.choice((b"", b"", b"\n", b"\0\n", b"foo\n" + tail + b"\0x" * 9, tail[:1]))


_ASKED = (("json", "C1"), ("json", "binary"), ("c",), ("n", "binary"), ("stats",), ("m2", "A3"), ("a", "passthru"),
          ("U",))  # fmt: skip


@pytest.mark.parametrize("encoding", ASIAN)
@pytest.mark.parametrize("made", [_file, _at_the_edge])
def test_reads(driver: Driver, tmp_path: Path, encoding: str, made: object) -> None:
    """Random large files, walked and named."""
    random_ = random.Random(os.environ.get("CURSERVE_SEED", "0") + encoding)
    differences: list[str] = []
    for case in range(int(os.environ.get("CURSERVE_FUZZ", "12"))):
        folder = tmp_path / str(case)
        folder.mkdir()
        make = _file if made is _file else _at_the_edge
        (folder / "file").write_bytes(make(random_, encoding))
        for names in random_.sample(_ASKED, 4):
            asked = question(random_.choice(("foo", "^", "x", "[^x]foo", "\ufffd", r"\w+o")), f"E_{encoding}", *names)
            found = check(driver, folder, asked, ["file"], walk=random_.random() < 0.6)
            if found is not None:
                differences.append(f"case {case}: {found}")
        if not differences:
            shutil.rmtree(folder)
    assert not differences, f"{len(differences)} differ:\n" + "\n".join(differences[:5])
