"""Files that the index rules out are counted without being looked at: totals are ripgrep's for every kind of file.

The kernel prepares for a selection when it is asked of a second time (kernel/shortlist.h), so each shape of search is
asked several times, of an unchanged tree and after changes.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from oracle import Box, compare

WORDS = ["needle", "haystack", "absent_everywhere", "Needle", "other"]
SHAPES: list[list[str]] = [
    ["--json"],
    ["-n", "--stats"],
    ["-c", "--stats", "-i"],
    ["-l", "--stats"],
    ["-q", "--stats"],
    ["-C", "3", "--stats"],
    ["-A", "1", "--json"],
    ["--mmap", "--stats"],
    ["-a", "--stats"],
    ["--binary", "--stats"],
    ["-U", "--stats"],
    ["--crlf", "--stats"],
    ["--null-data", "--stats"],
    ["-j1", "--stats"],
    ["--sort", "path", "--stats"],
    ["-E", "none", "--stats"],
    ["-g", "*.txt", "--json"],
    ["--sortr", "path", "--json"],
]
PLACES: list[list[str]] = [[], [".", "sub", "sub/late.bin"]]


@pytest.fixture(scope="module")
def tree(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shortlist")
    (root / ".git").mkdir()
    (root / "sub").mkdir()
    plain = b"some haystack of words\nand more of it\n" * 40
    for number in range(60):
        (root / "sub" / f"plain{number:02}.txt").write_bytes(plain + b"file %d\n" % number)
    (root / "sub" / "same1.txt").write_bytes(plain)
    (root / "sub" / "same2.txt").write_bytes(plain)
    (root / "needle.txt").write_bytes(plain + b"a needle\n" + plain)
    (root / "sub" / "needle.txt").write_bytes(plain + b"a needle\n" + plain)
    (root / "empty.txt").write_bytes(b"")
    (root / "open.txt").write_bytes(b"no newline at the end")
    (root / "sub" / "early.bin").write_bytes(b"ab\0cd needle\n" + plain)
    (root / "sub" / "middle.bin").write_bytes(plain * 20 + b"needle\0\n" + plain)
    (root / "sub" / "late.bin").write_bytes(plain * 60 + b"x\0needle\n" + plain * 60)
    (root / "bom.txt").write_bytes(b"\xef\xbb\xbf" + plain)
    (root / "wide.txt").write_bytes("a needle, wide\nother\n".encode("utf-16"))
    (root / "crlf.txt").write_bytes(b"one\r\nother\r\n" * 30)
    attach_indexed(box, root)
    return root


def attach_indexed(box: Box, root: Path) -> None:
    """Attaches a tree and waits until all of it is indexed."""
    before = int(box.control("status")["store"]["indexed_contents"])
    contents = {path.read_bytes() for path in root.rglob("*") if path.is_file()} - {b""}
    box.attach(root)
    deadline_s = time.monotonic() + 30
    while int(box.control("status")["store"]["indexed_contents"]) < before + len(contents):
        assert time.monotonic() < deadline_s, box.control("status")["store"]


@pytest.mark.parametrize("places", PLACES, ids=["here", "named"])
@pytest.mark.parametrize("shape", SHAPES, ids=" ".join)
def test_totals_of_what_is_not_looked_at(box: Box, tree: Path, shape: list[str], places: list[str]) -> None:
    for word in WORDS:
        compare(box, [*shape, word, *places], tree)
    changing = tree / "sub" / "plain07.txt"
    before = changing.read_bytes()
    changing.write_bytes(before + b"a needle more\n")
    for word in WORDS[:3]:
        compare(box, [*shape, word, *places], tree)
    changing.write_bytes(before)
    for word in WORDS[:3]:
        compare(box, [*shape, word, *places], tree)
