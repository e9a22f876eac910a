"""--encoding and byte order marks: what is decoded, and where ripgrep's reads of a decoded file end.

How far a binary file is searched, and what is said of it, depends on those reads: see kernel/decoded_reads.h.
CURSERVE_FUZZ=N tries N random files in place of some tens, CURSERVE_SEED others.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from oracle import Box, compare
from search_driver import Driver, check, question

from curserve.flagvalues import _LABELS
from curserve.kernel_door import lib

_FORMS = ("utf-8", "utf-16le", "utf-16be", "bytes", "mark utf-16le", "mark utf-16be", "mark utf-8")
_ENCODINGS = ("", "E_none", "E_utf8", "E_utf16le", "E_utf16be", "E_latin1", "E_cyrillic", "E_hebrew")
_ODD = (b"\0", b"\0", b"\0\0", b"\n", b"\xff", b"\xe2\x82", b"\0\xd8", b"\xdc\0", b"\xed\xa0")
_MODES = ("", "", "json", "json", "c", "l", "L", "count_matches")
_CONTEXTS = ("", "", "", "C1", "A3", "passthru")
_BINARY = ("", "", "binary", "a")
_OTHERS = ("n", "stats", "m2", "v", "mmap", "U", "b", "o")


def _line(random_: random.Random, size: int) -> str:
    """Some `size` characters, most of them of one length in UTF-8, and a word that is looked for."""
    kind = random_.choice(("x", "x.", "\u00e9", "\u20ac", "\U0001f600", "xx\u00e9", "xxx\u20ac", "\u20ac\U0001f600x"))
    text = (kind * (size // len(kind) + 1))[:size]
    at = random_.randint(0, size)
    return text[:at] + random_.choice(("", " foo ", "foo", "\u00e9foo")) + text[at:]


def _bytes(random_: random.Random) -> bytes:
    """A file of 0 to 250 KiB, with lines of all lengths, in one of _FORMS; NULs, and what cannot be decoded, at the
    edges of reads and buffers too."""
    lines: list[str] = []
    left = random_.choice((100, 9_000, 30_000, 70_000, 140_000, 250_000))
    usual = random_.choice((0, 20, 20, 400, 8_000, 70_000))
    while left > 0:
        size = random_.choice((usual, usual, random_.randint(0, 2 * usual), random_.choice((0, 5, 40_000, 66_000))))
        lines.append(_line(random_, min(size, left)))
        left -= size + 1
    text = random_.choice(("\n", "\n", "\r\n")).join(lines)
    form = random_.choice(_FORMS)
    if form == "bytes":
        data = bytearray(text.encode("latin-1", "replace").replace(b"?", bytes([random_.randrange(128, 256)])))
    else:
        data = bytearray(text.encode(form.split()[-1]))
    width = 2 if "16" in form else 1
    for _ in range(random_.choice((0, 1, 1, 2, 4))):
        edge = random_.choice((0, 3, 8195, 16387, 65536, 65539, 131072, random_.randrange(len(data) + 1)))
        at = edge + random_.choice((-9, -4, -3, -2, -1, 0, 0, 1, 2, 3, 4, 5, 100))
        if at >= 0:
            at -= at % width if random_.random() < 0.8 else 0
            odd = random_.choice(_ODD)
            data[at : at + random_.choice((0, len(odd)))] = odd
    if random_.random() < 0.2:
        del data[len(data) - 1 :]
    mark = {"utf-16le": b"\xff\xfe", "utf-16be": b"\xfe\xff", "utf-8": b"\xef\xbb\xbf"}
    return (mark[form[5:]] if form.startswith("mark") else b"") + bytes(data)


def test_every_label(box: Box, tmp_path: Path) -> None:
    """Each label of each encoding means what it means to ripgrep: all bytes, and a mark that beats it."""
    for byte in range(256):
        (tmp_path / f"{byte:03}").write_bytes(b"x" + bytes([byte]) + b"y\n")
    (tmp_path / "utf8").write_text("\ufeffx\u00e9y\n")
    (tmp_path / "utf16").write_text("\ufeffx\u00e9y\n", "utf-16-le")
    box.attach(tmp_path)
    for label in ["auto", "none", *(label.decode() for label in _LABELS), " Latin1\t", "UTF8"]:
        answer = compare(box, ["-E", label, "--sort=path", "x.*y"], tmp_path)
        assert answer.served and answer.code == 0, f"{label}: {answer.reason}"


def test_names_of_encodings_are_known_to_the_kernel() -> None:
    values = {name: lib.cs_encoding_named(name.encode()) for name in {"auto", "none", *_LABELS.values()}}
    assert min(values.values()) == 0 and len(set(values.values())) == len(values), values
    assert lib.cs_encoding_named(b"utf-7") < 0


def test_what_cannot_be_decoded_here_is_left_to_ripgrep(box: Box, tmp_path: Path) -> None:
    """Labels that ripgrep does not take, though the Encoding Standard has some of them."""
    (tmp_path / "file").write_bytes("x\u65e5y\n".encode("shift_jis"))
    box.attach(tmp_path)
    for label in ("replacement", "iso-2022-kr", "hz-gb-2312", "utf-7", "nonsense"):
        answer = compare(box, ["-E", label, "x.*y"], tmp_path)
        assert not answer.served and answer.code == 2


@pytest.mark.parametrize("engine", ["indexed", "brute"])
def test_utf16_as_the_bytes_it_is(tmp_path: Path, engine: str) -> None:
    """-E none looks for no mark: UTF-16 is bytes with NULs, though its text is what is held. Changed files, too."""
    root = tmp_path / "tree"
    root.mkdir()
    text = "foo bar\n" * 9000 + "caf\u00e9\n"
    for form in ("utf-16-le", "utf-16-be"):
        (root / form).write_text("\ufefffoo\nbar\n", form)
        (root / f"large-{form}").write_text("\ufeff" + text, form)
    (root / "odd").write_bytes(b"\xff\xfef\0o\0\0\xd8x\0\n\0f")
    (root / "plain").write_text("foo\nbar\n")
    (tmp_path / "box").mkdir()
    with Box(tmp_path / "box", engine=engine) as box:
        box.attach(root)

        def ask(*argv: str) -> None:
            answer = compare(box, ["-E", "none", *argv], root)
            assert answer.served, (argv, answer.reason)

        for pattern in ("foo", "f.o.", "^", "(?-u:\\xff\\xfe)"):
            for more in ("", "--json", "-a", "--binary -c", "-l", "-aob", "-U --stats", "--mmap -a"):
                ask(*more.split(), pattern)
                ask(*more.split(), pattern, "utf-16-le", "large-utf-16-be", "odd", "plain")
        (root / "utf-16-le").write_text("\ufeffother\n", "utf-16-le")
        ask("-a", "t.h")
        answer = compare(box, ["other"], root)
        assert answer.served and b"other" in answer.stdout


def test_nuls_in_decoded_text(box: Box, tmp_path: Path) -> None:
    """Walked files are left at a NUL, named ones are not; reads of decoded text end every 8 KiB of the file."""
    lines = "foo bar\n" * 1000
    for form in ("utf-16-le", "utf-16-be"):
        for at in (0, 3, 4094, 4097, 8190, 30_000, 36_000):
            text = "\ufeff" + (lines * 5)[:at] + "\0" + (lines * 5)[at:]
            (tmp_path / f"{form}-{at}").write_text(text, form)
            (tmp_path / f"bare-{form}-{at}").write_text(text[1:], form)
            (tmp_path / f"latin-{form}-{at}").write_bytes(b"\xe9\n" + text[1:].encode("latin-1"))
    box.attach(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    for encoding in ("auto", "utf-16", "utf-16be", "latin1", "utf-8", "koi8-r"):
        for more in ("--json", "-c", "-l", "--binary", "-a -c", "-U -c", "--stats -q", "-m2 -A1"):
            for pattern in ("bar", "nowhere"):
                argv = ["-E", encoding, "--sort=path", *more.split(), pattern]
                for paths in ([], names):
                    answer = compare(box, [*argv, *paths], tmp_path)
                    assert answer.served, (argv, answer.reason)


@pytest.mark.parametrize("seed", range(8))
def test_reads_of_decoded_files(driver: Driver, tmp_path: Path, seed: int) -> None:
    """Random large files under each encoding, walked and named."""
    tries = int(os.environ.get("CURSERVE_FUZZ", "80")) // 8
    random_ = random.Random(int(os.environ.get("CURSERVE_SEED", "0")) * 8 + seed)
    differences: list[str] = []
    for case in range(tries):
        folder = tmp_path / str(case)
        folder.mkdir()
        (folder / "file").write_bytes(_bytes(random_))
        for _ in range(4):
            names = [random_.choice(some) for some in (_ENCODINGS, _MODES, _CONTEXTS, _BINARY)]
            names += random_.sample(_OTHERS, random_.choice((0, 0, 1, 1, 2)))
            pattern = random_.choice(("foo", "foo", "nowhere", "^", "\\w+o", "[^x]foo"))
            asked = question(pattern, *(name for name in names if name))
            found = check(driver, folder, asked, ["file"], walk=random_.random() < 0.5)
            if found is not None:
                differences.append(f"case {case}: {found}")
        shutil.rmtree(folder)
    assert not differences, f"{len(differences)} differ:\n" + "\n".join(differences[:5])


_FILL = {"E_utf8": "utf-8", "E_utf16le": "utf-16-le", "E_utf16be": "utf-16-be", "": "utf-16", "E_latin1": "cp1252",
         "E_hebrew": "cp1255"}  # fmt: skip


def _at_the_edge(random_: random.Random, encoding: str) -> bytes:
    """A line that fills ripgrep's buffer up to some bytes, then characters of all lengths, a line's end and NULs."""
    single = _FILL[encoding].startswith("cp")
    filler = random_.choice(("x", "x", ".", "\u20ac", "\u20acx", "x\u20ac", "\u20ac."))
    start = random_.choice(("", "", "first\n", "\u20ac foo\n"))
    size = 65536 - random_.randint(3, 24)
    head = start + filler * (size // len(filler.encode()))
    head += "x" * (size - len(head[len(start) :].encode()))
    some = "xX..\u20ac\u20ac\u0192" if single else "xx..\u00e9\u20ac\u20ac\U0001f600\ufffd"
    tail = [*random_.choices(some, k=random_.randint(3, 16)), "foo"]
    tail += random_.choices("\n\n\0\0\0x" + some, k=8)
    if random_.random() < 0.6:
        random_.shuffle(tail)
    data = (head + "".join(tail)).replace("\u0192", "\u20ac" if "1252" not in _FILL[encoding] else "\u0192")
    raw = data.encode(_FILL[encoding])
    if encoding == "E_hebrew":
        raw = raw.replace(b"X", b"\xd9")  # no character
    elif encoding == "E_utf8":  # not valid somewhere, so that it is decoded; and perhaps at the edge
        raw = b"\xff\n" + raw.replace("\ufffd".encode(), random_.choice((b"\xff", b"\xe2\x82", b"\xf0\x9f\x98")))
    return raw + (b"" if random_.random() < 0.7 else random_.choice((b"\xe2", b"x", b"\xe2\x82", b"\0\xd8\0")))


@pytest.mark.parametrize("encoding", _FILL)
def test_reads_that_fill_the_buffer(driver: Driver, tmp_path: Path, encoding: str) -> None:
    """Decoders leave a byte or two of a full buffer, each in its own way."""
    random_ = random.Random(os.environ.get("CURSERVE_SEED", "0") + encoding)
    differences: list[str] = []
    for case in range(int(os.environ.get("CURSERVE_FUZZ", "240")) // 6):
        folder = tmp_path / str(case)
        folder.mkdir()
        (folder / "file").write_bytes(_at_the_edge(random_, encoding))
        for names in (("json", "C1"), ("json", "binary"), ("c",), ("n", "binary"), ("stats",)):
            asked = question(random_.choice(("foo", "^", "x")), *(name for name in (encoding, *names) if name))
            found = check(driver, folder, asked, ["file"], walk=True)
            if found is not None:
                differences.append(f"case {case}: {found}")
        shutil.rmtree(folder)
    assert not differences, f"{len(differences)} differ:\n" + "\n".join(differences[:5])
