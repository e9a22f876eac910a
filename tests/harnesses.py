"""The parsers' harnesses (tests/fuzz): what each links, how they are built, and inputs to begin with.

In: a compiler and what to instrument with. Out: programs. `build` compiles a file of the kernel once for all of them.
The seeds are sound inputs, made of what the tests say anyway: a mutation of those finds more than noise.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import odd_trees
import wire_server as wire
from built_c import ROOT, SANITIZERS, object_of
from test_commands import AGENTS, TYPED

from curserve.errors import Decline
from curserve.regex import RegexOptions, translate
from curserve.regex.grams import pack
from curserve.verify import commands

_ENGINES = ("class_finder", "dfa", "line_pass", "literal", "matcher", "pace", "re2_engine", "vm")
_GLOBS = ("glob", "glob_parse", "glob_set", "ignore", "rule_stack")
_TEXTS = ("content", "decode", "multi_byte", "mapped_file")
KERNEL: dict[str, tuple[str, ...]] = {
    "request": ("gram_query", "peer", "plain_word", "question", "reply", *_ENGINES),
    "reply": (),
    "globs": _GLOBS,
    "matcher": _ENGINES,
    "disk": (
        "git_index", "global_rules", "gram_query", "json", "literal", "relative_git", "walk", "cores", *_GLOBS, *_TEXTS
    ),  # fmt: skip
    "archive": ("archive", "archive_file", "archive_save", "gram_query", "index", "index_build", "room", "segment_file",
                "view", *_GLOBS, *_TEXTS),
}  # fmt: skip
"""Harness → the kernel's files that it needs."""


@dataclass(frozen=True)
class Kit:
    """What to compile with. own: the file with a main() of ours, if any; link: flags of the last step."""

    cc: str
    cxx: str
    flags: tuple[str, ...]
    link: tuple[str, ...]
    own: str | None = None


FUZZER = Kit("clang", "clang++", (*SANITIZERS, "-fsanitize=fuzzer-no-link", "-march=native"), ("-fsanitize=fuzzer",))
"""-march: clang gives a lambda in a function for AVX2 no AVX2 (gcc does)."""
REPLAY = Kit("cc", "c++", SANITIZERS, (), "replay.c")
"""Replays and mutates without learning; made by any compiler."""


def build(kit: Kit, folder: Path, names: Sequence[str] = tuple(KERNEL), jobs: int | None = None) -> dict[str, Path]:
    """The harnesses as programs in `folder`, where objects are kept: only what changed is compiled again.

    CalledProcessError with the compiler's own words on stderr.
    """
    kernel, fuzz = ROOT / "curserve" / "kernel", ROOT / "tests" / "fuzz"
    places = [f"-I{kernel}", f"-I{ROOT / 'shims'}", f"-I{fuzz}"]

    def compiled(source: Path) -> Path:
        warnings = ["-Wall", "-Wextra", "-Wconversion", "-Werror"] if source.parent == fuzz else []
        return object_of(source, folder, kit.cc if source.suffix == ".c" else kit.cxx, [*kit.flags, *warnings, *places])

    sources = {name: [_source(fuzz, name), *(kernel / f"{part}.cpp" for part in KERNEL[name])] for name in names}
    if kit.own is not None:
        for files in sources.values():
            files.append(fuzz / kit.own)
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        distinct = sorted({source for files in sources.values() for source in files})
        objects = dict(zip(distinct, pool.map(compiled, distinct), strict=True))
    programs = {}
    for name, files in sources.items():
        programs[name] = folder / name
        parts = [str(objects[source]) for source in files]
        words = [kit.cxx, *kit.flags, *kit.link, *parts, "-o", str(programs[name]), "-pthread", "-lre2"]
        subprocess.run(words, check=True)
    return programs


def _source(folder: Path, name: str) -> Path:
    return next(path for path in (folder / f"{name}.cpp", folder / f"{name}.c") if path.exists())


def write_seeds(name: str, folder: Path) -> None:
    """The harness's first inputs, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(_SEEDS[name]()):
        (folder / f"seed-{number:03}").write_bytes(seed)


FOUND: dict[str, tuple[str, bytes]] = {
    "an empty path for a glob with a literal in it": ("globs", b"\0/*.m\x01/a.p"),
}
"""What failed once, by what it was: (harness, input)."""


# ---- what is sound


def _request() -> Iterator[bytes]:
    for argv in [*AGENTS, *TYPED[:20]]:
        words = [os.fsencode(word) for word in argv]
        env = [b"HOME=/home/me", b"TERM=xterm"]
        strings = b"".join(part + b"\0" for part in [b"/home/me/project", *words, *env])
        fds = [value for kind in (5, 3, 3) for value in (kind, 0, 0, 0)]
        payload = wire.FIXED.pack(len(words), len(env), 1, 2, 3, 4, 5, *fds, len(strings), 0) + strings
        yield bytes((255,)) + wire.frame(wire.REQUEST, payload)
    yield b"\x03" + wire.frame(wire.REQUEST, b"x" * 40, version=2)
    yield b"\x03" + wire.frame(wire.REQUEST, b"", size=wire.MAX_REQUEST + 1)


def _reply() -> Iterator[bytes]:
    out, err = wire.frame(wire.STDOUT, b"a.py:1:needle\n" * 40), wire.frame(wire.STDERR, b"rg: a: no\n")
    pipe, leave = wire.frame(wire.PIPE, struct.pack("=I", 1)), wire.exit_frame(1)
    whole = (out + leave, out * 9 + err + leave, pipe + out + leave, err + leave, out + pipe + err + out + leave, leave,
             wire.frame(wire.DECLINE, b"regex_size"), wire.frame(wire.DECLINE), out, b"", out[:20])  # fmt: skip
    for trouble in (0, 1, 2, 8, 11, 13):
        for piece in (0, 3, 200):
            for answer in whole:
                yield bytes((piece, trouble)) + answer
    for trouble in (16, 17, 18, 20, 24, 48):
        for piece in (0, 200):
            for inside in (out * 3, out + err + pipe + out, out + leave, out[:-1], out[:9], b"n" * 40):
                for told in (len(inside), len(inside) + 1, len(inside) - 1, 0):
                    said = err + wire.frame(wire.FILE, struct.pack("=Q", told)) + out + leave
                    yield bytes((piece, trouble)) + struct.pack(">H", len(inside)) + inside + said


def _globs() -> Iterator[bytes]:
    rules = [*odd_trees._IGNORES, *commands._RULES, "\n".join(commands._GLOBS), "{a,b{c,d}}\n**/q/**\n", "\ufeffz\n"]
    paths = [b"a/b.c", b"n1.txt", b"sub/b/build/x.js", b".hid/c.d", b""]
    for number, text in enumerate(rules):
        yield bytes((number % 4,)) + text.encode() + b"\0" + paths[number % len(paths)]


def _matcher() -> Iterator[bytes]:
    haystack = "foo bar\nclass Ab: é 0x1F\n\nk\u212a ſs def foo_bar(a)\r\nerror42\n".encode()
    texts = (
        "foo",
        r"\w+",
        r"(a|ab)(c|bcd)*",
        r"^\s*$",
        r"[A-Z]{2,}",
        r"\bdef\b",
        r"(?i)k",
        "x*",
        r"a.c|b\B",
        r"(?-u:\w)$",
    )
    for text in texts:
        with suppress(Decline):
            found = translate([text.encode()], RegexOptions(ban_nul=False, unicode="i" in text))
            yield b"\x01" + (found.re2_bytes or found.re2_ascii) + b"\0" + haystack
            instructions = list(struct.iter_unpack("<BBBBII", found.program))[1:]  # the harness saves the start itself
            if len(instructions) <= 96:
                coded = [_relative(at + 1, *inst) for at, inst in enumerate(instructions)]
                yield bytes((0, len(instructions) - 1)) + b"".join(coded) + haystack


def _relative(at: int, op: int, lo: int, hi: int, _: int, x: int, y: int) -> bytes:
    """One instruction in four bytes, as tests/fuzz/matcher.cpp reads them."""
    second = (y - at - 1) & 255 if op == 2 else y if op == 3 else lo
    return bytes((op, second, hi, (x - at - 1) & 255))


def _disk() -> Iterator[bytes]:
    for version in (2, 3, 4):
        yield b"\0" + _index(version, 20)
        yield b"\1" + _index(version, 32)
    config = b'[core]\n\tautocrlf = false\n\texcludesFile = "~/.ignore" \n[extensions]\nobjectformat = sha256\n'
    for pointer in (b"gitdir: ../git\n", b"gitdir: @/git\n", b"gitdir: /nowhere\r\n", b"gitdir: "):
        for common in (b"../..\n", b".\r\n", b"", b"@/git\n"):
            yield b"\2" + pointer + b"\0" + common + b"\0" + config
    yield b"\3" + config
    text = "Straße 日本 😀\r\n"
    for codec in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
        yield b"\4" + text.encode(codec)
    for number, codec in enumerate(("gb18030", "big5hkscs", "euc_jp", "shift_jis", "euc_kr", "iso2022_jp", "latin-1")):
        coded = (text + "\u3042\uff71\uac02\U00020000\n").encode(codec, "ignore")
        yield bytes((4, 2, number)) + coded + b"\x81\x30\x81\x1b(I\xff" + coded[:-2]
    for pattern in (b"foo|bar(baz|qux)", b"abcd.*efgh", b"."):
        yield b"\5" + pack(translate([pattern], RegexOptions()).grams)


def _index(version: int, id_bytes: int) -> bytes:
    """git's index of two files and an extension."""
    made, last = b"DIRC" + struct.pack(">II", version, 2), b""
    for name in (b"dir/a.c", b"dir/bc.c"):
        extended = version > 2 and name == b"dir/bc.c"
        entry = struct.pack(">10I", 7, 7, 7, 7, 7, 7, 0o100644, 7, 7, 7) + b"i" * id_bytes
        entry += bytes((0x40 if extended else 0, len(name))) + (b"\0\0" if extended else b"")
        if version == 4:
            entry += (b"\3" + name[4:] if last else b"\0" + name) + b"\0"
        else:
            entry += name
            entry += b"\0" * (8 - len(entry) % 8)
        made += entry
        last = name
    return made + b"TREE" + struct.pack(">I", 4) + b"abcd" + b"s" * id_bytes


def _archive() -> Iterator[bytes]:
    def section(number: int, data: bytes) -> bytes:
        return bytes((number,)) + struct.pack("<H", len(data)) + data

    entry = struct.Struct("<QQQqqIIIIIHH")
    kept = struct.Struct("<QQQQQqBBBBB32s3x")
    none = 0xFFFFFFFF
    names = b"ab.c"
    entries = entry.pack(0, 1, 2, 3, 3, 0o40755, 2, 0, 2, none, 1, 1) + entry.pack(
        5, 1, 3, 3, 3, 0o644, 1, 1, 2, 0, 3, 0
    )
    tree = section(0, b"/r") + section(1, names) + section(2, entries) + section(3, b"h" * 16)
    texts = b"needle\nline\n"
    table = kept.pack(1, 2, 0, len(texts), len(texts), -1, 0, 1, 1, 1, 0, b"")
    index = [(2, struct.pack("<4I", 1, 1, 24, 0)), (3, struct.pack("<2I", 0, 1)), (4, struct.pack("<I", 0)),
             (5, struct.pack("<I", len(texts))), (6, struct.pack("<Q", 0)), (7, struct.pack("<I", 0x656E)),
             (8, struct.pack("<2I", 0, 1)), (9, struct.pack("<2I", 0, 1)), (10, b"\1")]  # fmt: skip
    bundle = section(0, table) + section(1, texts) + b"".join(section(number, data) for number, data in index)
    for damage in (b"\0\0", b"\1\x80", b"\2\xf0", b"\3\1"):
        yield b"\0" + damage + tree
        yield b"\3" + damage + bundle
    yield b"\1\0\0" + bundle


_SEEDS = {
    "request": _request,
    "reply": _reply,
    "globs": _globs,
    "matcher": _matcher,
    "disk": _disk,
    "archive": _archive,
}
