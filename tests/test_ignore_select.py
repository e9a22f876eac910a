"""Which files a search looks at: random trees full of ignore files, against what `rg --files --sort path` lists.

The subject is tests/kernel/select_driver.cpp, which links the kernel's globs, ignore rules and selection and reads the
tree itself. Seeds are fixed; CURSERVE_TEST_TREES sets how many trees are tried (each some 20 cases), CURSERVE_TEST_SEED
where their numbers begin.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from built_c import real_rg, sanitized

TREES = int(os.environ.get("CURSERVE_TEST_TREES", "40"))
FIRST_SEED = int(os.environ.get("CURSERVE_TEST_SEED", "1"))
CASES_PER_TREE = 20
SOURCES = (
    "answers", "glob", "glob_parse", "glob_set", "ignore", "rule_stack", "global_rules", "relative_git", "select",
    "symlink", "outside", "view", "walk", "cores", "content", "decode", "multi_byte", "json", "literal", "mapped_file",
)  # fmt: skip

NAMES = [
    b"a", b"b", b"c", b"ab", b"abc", b"a.c", b"b.c", b"a.o", b"x.tar.gz", b"foo", b"Foo", b"foo.", b"foo.txt", b".h",
    b".hid", b".a.c", b"a b", b"\xc3\xa9", b"\xff\xfe", b"#x", b"!y", b"[z]", b"{q}", b"n\nl", b"-d", b"...", b"*",
    b"\\",
]  # fmt: skip
DIRECTORIES = [b"a", b"b", b"sub", b"src", b"Foo", b".hid", b"node_modules", b"a.c", b"deep", b"build"]
PIECES = [
    b"a", b"b", b"ab", b"foo", b"Foo", b"*", b"**", b"?", b".", b"c", b"o", b"[a-c]", b"[!a]", b"[^b]", b"{a,b}",
    b"{a,}",
    b"{foo,{b,c}}", b"\\", b"\\a", b"sub", b"src", b"node_modules", b".hid", b"txt", b"\xc3\xa9", b"[\xc3\xa9]",
    b"deep",
    b"[]a]", b"[", b"-", b" ", b"\\ ", b"{", b"}", b",", b"{**/a,b}", b"[a-]", b"!", b"#", b"{a/**,b}", b"build", b"..",
]  # fmt: skip
WHOLE = [
    b"*", b"**", b"/*", b"!*/", b"*.c", b"!*.c", b"/a", b"/sub/", b"a/", b"**/a", b"a/**", b"**/node_modules/**", b"!a",
    b"sub/*", b"sub/**/a", b"/src/*.c", b"\\#x", b"\\!y", b"#x", b"!.hid", b"foo.*", b"*.{c,o}", b".*", b"!.a.c",
    b"[z]",
    b"\\[z\\]", b"build/", b"!sub/a", b"/**/b", b"**/", b"/", b"!", b"foo.", b"...", b"*.", b"a\\ b", b"a b  ",
    b"*.tar.gz",
    b"\xef\xbb\xbfa", b"b\r", b"c\xc2\xa0", b"Foo", b"FOO", b"[a-c]*", b"?", b"??", b"sub/../a", b"./a", b"//a",
    b"a//b",
]  # fmt: skip
TYPES = {"c": ["*.[chH]", "*.[chH].in", "*.cats"], "txt": ["*.txt"], "q": ["foo*", "{a,b}"]}


def pattern(rng: random.Random) -> bytes:
    """A glob: one of the telling ones, or pieces and slashes thrown together."""
    if rng.random() < 0.55:
        return rng.choice(WHOLE)
    parts = [rng.choice(PIECES) for _ in range(rng.randint(1, 4))]
    text = b"/".join(parts) if rng.random() < 0.4 else b"".join(parts)
    text = (b"!" if rng.random() < 0.25 else b"") + (b"/" if rng.random() < 0.2 else b"") + text
    return text + (b"/" if rng.random() < 0.15 else b"")


def ignore_text(rng: random.Random) -> bytes:
    lines = [pattern(rng) for _ in range(rng.randint(1, 5))]
    if rng.random() < 0.04:
        lines.insert(rng.randint(0, len(lines)), b"\xff\xfe")
    return rng.choice([b"\n", b"\n", b"\n", b"\r\n"]).join(lines) + rng.choice([b"", b"\n"])


def write(path: bytes, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.lexists(path):
        with open(path, "wb") as out:
            out.write(data)


def grow(rng: random.Random, directory: bytes, depth: int) -> list[bytes]:
    """Fills one directory; returns the directories made, itself first."""
    made = [directory]
    for name in rng.sample(NAMES, rng.randint(1, 6)):
        write(os.path.join(directory, name), b"x" * rng.choice([0, 3, 300]))
    for name, odds in ((b".gitignore", 0.4), (b".ignore", 0.2), (b".rgignore", 0.12)):
        if rng.random() < odds:
            write(os.path.join(directory, name), ignore_text(rng))
    if rng.random() < 0.15:
        link = os.path.join(directory, b"link")
        os.symlink(rng.choice([b"a", b"sub", b"nowhere"]), link)
    kind = rng.random()
    if kind < 0.16:
        write(os.path.join(directory, b".git/info/exclude"), ignore_text(rng))
    elif kind < 0.20:
        os.makedirs(os.path.join(directory, b".jj"), exist_ok=True)
    elif kind < 0.24:
        store = os.path.join(directory, b"build", b"store")
        write(os.path.join(store, b"worktrees/w/commondir"), rng.choice([b"../..\n", store + b"\n"]))
        write(os.path.join(store, b"info/exclude"), ignore_text(rng))
        write(os.path.join(directory, b".git"), b"gitdir: " + store + b"/worktrees/w\n")
    if depth:
        for name in rng.sample(DIRECTORIES, rng.randint(1, 3)):
            child = os.path.join(directory, name)
            if not os.path.lexists(child) or os.path.isdir(child):
                os.makedirs(child, exist_ok=True)
                made += grow(rng, child, depth - 1)
    return made


def options(rng: random.Random, top: bytes) -> tuple[list[bytes], list[bytes]]:
    """Options of one case: as rg takes them, and as the driver does."""
    flags: list[bytes] = []
    for flag, odds in (
        (b"--hidden", 0.3), (b"--no-ignore-dot", 0.08), (b"--no-ignore-vcs", 0.08), (b"--no-ignore-exclude", 0.08),
        (b"--no-ignore-global", 0.08), (b"--no-ignore-parent", 0.12), (b"--no-ignore-files", 0.08),
        (b"--no-require-git", 0.15), (b"--ignore-file-case-insensitive", 0.12), (b"--no-ignore", 0.04),
    ):  # fmt: skip
        if rng.random() < odds:
            flags.append(flag)
    while rng.random() < 0.25:
        flags += [rng.choice([b"-g", b"-g", b"--iglob"]), pattern(rng)]
    if rng.random() < 0.1:
        flags += [b"--max-depth", str(rng.randint(0, 3)).encode()]
    if rng.random() < 0.08:
        flags += [b"--max-filesize", rng.choice([b"2", b"3", b"100"])]
    for number in range(2):
        if rng.random() < 0.1:
            path = os.path.join(top, b"extra%d" % number)
            write(path, ignore_text(rng))
            flags += [b"--ignore-file", path]
    theirs, ours = list(flags), list(flags)
    while rng.random() < 0.15:
        name = rng.choice(list(TYPES))
        flag = rng.choice([b"-t", b"-T"])
        theirs += [flag, name.encode()]
        ours += [flag, "|".join(TYPES[name]).encode()]
    return [b"--type-clear=c", b"--type-clear=txt"] + [
        b"--type-add=%s:%s" % (name.encode(), glob.encode()) for name, globs in TYPES.items() for glob in globs
    ] + theirs, ours


def arguments(rng: random.Random, cwd: bytes, root: bytes, directories: list[bytes]) -> list[bytes]:
    """Path arguments in all their spellings; none at all in half of the cases."""
    found: list[bytes] = []
    while rng.random() < (0.45 if not found else 0.25):
        place = rng.choice(directories)
        if rng.random() < 0.15:
            files = [entry.path for entry in os.scandir(place) if entry.is_file(follow_symlinks=False)]
            if files and rng.random() < 0.8:
                place = rng.choice(files)
        spelling = rng.random()
        relative = os.path.relpath(place, cwd)
        if spelling < 0.3:
            path = place
        elif spelling < 0.5:
            path = b"./" + relative
        else:
            path = relative
        if os.path.isdir(place) and rng.random() < 0.3:
            path += rng.choice([b"/", b"//", b"/.", b"/./"])
        if path.startswith(b"-"):
            path = b"./" + path
        if path.startswith((b"././", b".//.")) or path == b"./.":
            continue
        found.append(path)
    return found


class Driver:
    def __init__(self, program: Path, home: bytes) -> None:
        self.home = home
        env = {b"HOME": home, b"PATH": os.defpath.encode(), b"ASAN_OPTIONS": b"detect_leaks=0"}
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)

    def send(self, *words: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"\x01".join(words) + b"\0")
        self.process.stdin.flush()

    def answer(self) -> list[bytes]:
        assert self.process.stdout
        found: list[bytes] = []
        text = bytearray()
        while True:
            byte = self.process.stdout.read(1)
            assert byte, "the driver ended"
            if byte != b"\0":
                text += byte
            elif text:
                found.append(bytes(text))
                text.clear()
            else:
                return found


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The driver, built with the sanitizers unless CURSERVE_SELECT_DRIVER names one."""
    named = os.environ.get("CURSERVE_SELECT_DRIVER")
    if named:
        return Path(named)
    return sanitized("select_driver", SOURCES, tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def driver(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    made = Driver(program, os.fsencode(tmp_path_factory.mktemp("home")))
    yield made
    assert made.process.stdin
    made.process.stdin.close()
    assert made.process.wait() == 0, "a sanitizer complained"


def real_answer(argv: list[bytes], cwd: bytes, home: bytes) -> tuple[list[bytes], bytes, int]:
    env = {b"HOME": home, b"PATH": os.defpath.encode()}
    done = subprocess.run(
        [os.fsencode(real_rg()), b"--no-config", b"--files", b"-0", b"--sort", b"path", *argv],
        cwd=cwd, env=env, capture_output=True, check=False,
    )  # fmt: skip
    return [path for path in done.stdout.split(b"\0") if path], done.stderr, done.returncode


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + TREES))
def test_random_tree(seed: int, driver: Driver, tmp_path: Path) -> None:
    rng = random.Random(seed)
    top = os.fsencode(tmp_path)
    root = os.path.join(top, b"above", b"main")
    os.makedirs(root)
    for directory in (top, os.path.dirname(root)):
        for name in (b".gitignore", b".ignore", b".rgignore"):
            if rng.random() < 0.15:
                write(os.path.join(directory, name), ignore_text(rng))
        if rng.random() < 0.15:
            write(os.path.join(directory, b".git/info/exclude"), ignore_text(rng))
    directories = grow(rng, root, 3)
    excludes = os.path.join(driver.home, b".config/git/ignore")
    shutil.rmtree(os.path.join(driver.home, b".config"), ignore_errors=True)
    if rng.random() < 0.4:
        write(excludes, ignore_text(rng))
    driver.send(b"root", root)
    declined = 0
    for _ in range(CASES_PER_TREE):
        theirs, ours = options(rng, top)
        cwd = rng.choice([root, rng.choice(directories)])
        paths = arguments(rng, cwd, root, directories)
        expected, stderr, code = real_answer([*theirs, *paths], cwd, driver.home)
        driver.send(b"case", cwd, *ours, *paths)
        got = driver.answer()
        if got and got[0].startswith(b"\x02"):
            # Allowed only where ripgrep itself had something to say, or for what we chose not to know.
            declined += 1
            if not stderr and got != [b"\x02dotted_argument"]:
                pytest.fail(f"declined {got!r}: cd {cwd!r}; rg {[*ours, *paths]!r}", pytrace=False)
            continue
        if got != expected or stderr:
            pytest.fail(
                f"cd {cwd!r}; rg {[*ours, *paths]!r}\nmissing {sorted({*expected} - {*got})!r}\n"
                f"too many {sorted({*got} - {*expected})!r}\n"
                f"order {sorted(got) == sorted(expected)}; rg said {stderr!r}",
                pytrace=False,
            )
    assert declined <= CASES_PER_TREE
