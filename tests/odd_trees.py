"""Random small source trees with everything odd that a file system and a text file can hold.

In: a random.Random and an empty folder. Out: the folder filled, and a description for the command generator. `change`
alters a filled tree a little.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

from curserve.verify.commands import Tree

WORDS = (
    "alpha beta gamma delta return import class def foo_bar FooBar TODO fixme nullptr x1 y22 getValue set_value "
    "é naïve Straße ΑΒΓ αβγ word Word WORD kelvin K ſs 日本語 a.b f(x) a+b [i] {} $HOME \\path \"quoted\" tab\there "
    "emoji😀 \u212aelvin haystac\u212a \u017fet_value needle\u017f "
    "needle Needle haystack aa aaa abab i++ == != -> :: // /* */ 0x1F 3.14 1_000"
).split(" ")
_NAMES = [
    "a.py", "b.py", "c.c", "d.txt", "n1.txt", "n2.md", "main.js", "x.html", "Makefile", "README.md", ".hid",
    "-dash.txt", "sp ace.txt",
]  # fmt: skip
_FOLDERS = ["sub", "b", "a", ".dot", "node_modules", "build", "Deep"]
_IGNORES = [
    "*.c", "build/", "!b.py", "n*", "/sub", "**/b",
    "*.txt\n!n1.txt", "a/**", "#c\n\\!x\n \n*.js ", "Deep/*\n!Deep/a.py", "[a-c].*", "*.PY", "/*.md", "sub/b", "!.hid",
    ".*",
]  # fmt: skip
_OPPOSED = (("*.py", "!b.py"), ("*.txt", "!n1.txt"), ("n*", "!n2.md"), ("*", "!*.c"), ("!/a.py", "a.*"))
_ASIAN = ("gb18030", "big5hkscs", "euc_jp", "shift_jis", "euc_kr", "iso2022_jp", "iso2022_jp_ext")
_NOT_ASIAN = (b"", b"\x80", b"\xff", b"\xa0", b"\x81", b"\xe3", b"\x8e", b"\x8f\xa1", b"\x81\x30", b"\x81\x30\x81",
              b"\x1b", b"\x1b$", b"\x1b$B", b"\x1b(J", b"\x1b(I", b"\x1b(B", b"\x0e", b"\0")  # fmt: skip
_SOURCES = (".gitignore", ".ignore", ".rgignore", ".git/info/exclude")


class OddTree:
    """One tree, filled at once. `root` is a folder called `tree` in `folder`."""

    def __init__(self, source: random.Random, folder: Path, linked: bool = False) -> None:
        """linked: with several symbolic links."""
        self._random = source
        self._linked = linked
        self.root = folder / "tree"
        self.root.mkdir()
        self.side = folder / "side"
        self.side.mkdir()
        if source.random() < 0.15:  # rules from above the root
            name = source.choice((".gitignore", ".ignore", ".rgignore"))
            (folder / name).write_text(source.choice(_IGNORES) + "\n")
            if source.random() < 0.4:
                (folder / ".git").mkdir()
        if source.random() < 0.7:
            (self.root / ".git").mkdir()
            (self.root / ".git" / "config").write_text("[core]\n")
            if source.random() < 0.4:
                (self.root / ".git" / "info").mkdir()
                (self.root / ".git" / "info" / "exclude").write_text(source.choice(_IGNORES) + "\n")
        elif source.random() < 0.3:
            self._linked_git(self.root)
        for _ in range(source.randint(1, 5)):
            self._folder()
        for _ in range(source.randint(2, 14)):
            self._file()
        for _ in range(source.choice((0, 0, 1, 2, 3))):
            self._ignore_file()
        if source.random() < 0.25:
            self._opposed()
        for _ in range(source.choice((1, 2, 3, 5)) if linked else source.choice((0, 0, 0, 1, 2))):
            self._link()
        if source.random() < 0.15:
            self._repository()
        # Times in no order, many of them the same: --sort modified leaves those as the walk met them.
        for path in self._all():
            if path.is_file() and not path.is_symlink():
                os.utime(path, ns=(0, 1_000_000_000 * source.randrange(1, 12)))

    def describe(self) -> Tree:
        """What there is now."""
        root = os.fsencode(self.root)
        files, folders = [], []
        for here, below, names in os.walk(root):
            if b".git" in below:
                below.remove(b".git")
            files += [os.path.relpath(os.path.join(here, name), root) for name in names]
            folders += [os.path.relpath(os.path.join(here, name), root) for name in below]
        return Tree(root, sorted(files), sorted(folders), WORDS, os.fsencode(self.side))

    def has_longer_line(self, size_bytes: int, remove: bool = False) -> bool:
        """Whether any file has a line above the size. remove: such files go first, so it has none."""
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and any(len(line) > size_bytes for line in path.read_bytes().split(b"\n")):
                if not remove:
                    return True
                path.unlink()
        return False

    def change(self) -> None:
        """One random change."""
        kind = self._random.random()
        if self._linked and self._random.random() < 0.4:
            kind = 1.0
        files = [path for path in self._all() if path.is_file() and not path.is_symlink()]
        if kind < 0.4 or not files:
            self._file()
        elif kind < 0.6:
            with self._random.choice(files).open("ab") as file:
                file.write(self._line() + b"\n")
        elif kind < 0.7:
            self._random.choice(files).unlink()
        elif kind < 0.8:
            self._ignore_file()
        elif kind < 0.85:
            self._folder()
        elif kind < 0.9:
            folders = [path for path in self._all() if path.is_dir() and not path.is_symlink()]
            if folders:
                shutil.rmtree(self._random.choice(folders))
        elif kind < 0.94:
            path = self._random.choice(files)
            path.rename(path.with_name("r" + path.name[:40]))
        elif kind < 0.96:
            self._repository()
        elif self._linked and self._random.random() < 0.3:
            self._drop_link()
        else:
            self._link()

    def _linked_git(self, folder: Path) -> None:
        """`.git` as a file: a worktree (whose info/exclude is the main repository's), a submodule, or a dead end."""
        source = self._random
        common = self.side / f"gitdir{source.randrange(100)}"
        kind = source.randrange(3)
        if kind == 0:
            gitdir = common / "worktrees" / "w"
            gitdir.mkdir(parents=True, exist_ok=True)
            (gitdir / "commondir").write_text("../..\n")
        else:
            gitdir = common
            if kind == 1:
                gitdir.mkdir(exist_ok=True)
        if kind < 2 and source.random() < 0.7:
            (common / "info").mkdir(exist_ok=True)
            (common / "info" / "exclude").write_text(source.choice(_IGNORES) + "\n")
        if source.random() < 0.4:  # as submodules have it; ripgrep takes it from its own cwd
            gitdir = Path(os.path.relpath(gitdir, source.choice((folder, self.root))))
        (folder / ".git").write_text(f"gitdir: {gitdir}\n")

    def _repository(self) -> None:
        """A repository in a folder of this one."""
        folders = [path for path in self._all() if path.is_dir() and not path.is_symlink()]
        folders = [path for path in folders if not (path / ".git").exists()]
        if not folders:
            return
        folder = self._random.choice(folders)
        if self._random.random() < 0.3:
            self._linked_git(folder)
            return
        (folder / ".git" / "info").mkdir(parents=True)
        if self._random.random() < 0.5:
            (folder / ".git" / "info" / "exclude").write_text(self._random.choice(_IGNORES) + "\n")

    def _all(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if ".git" not in path.relative_to(self.root).parts)

    def _place(self) -> Path:
        folders = [self.root, *(path for path in self._all() if path.is_dir() and not path.is_symlink())]
        return self._random.choice(folders)

    def _folder(self) -> None:
        path = self._place() / self._random.choice(_FOLDERS)
        if not path.is_symlink():
            path.mkdir(exist_ok=True)

    def _file(self) -> None:
        name = self._random.choice(_NAMES)
        place = os.fsencode(self._place())
        path = os.path.join(place, b"odd\xff\x80.txt" if self._random.random() < 0.04 else os.fsencode(name))
        if not os.path.isdir(path) and not os.path.islink(path):
            with open(path, "wb") as file:
                file.write(self.contents())

    def _ignore_file(self) -> None:
        name = self._random.choice((".gitignore", ".gitignore", ".ignore", ".rgignore"))
        (self._place() / name).write_text(self._random.choice(_IGNORES) + self._random.choice(("\n", "")))

    def _opposed(self) -> None:
        """Two sources of rules that contradict each other: which of them wins must show."""
        sources = [name for name in _SOURCES if name.startswith(".git/") <= (self.root / ".git").is_dir()]
        names = self._random.sample(sources, 2)
        for name, rule in zip(names, self._random.choice(_OPPOSED), strict=True):
            (self.root / name).parent.mkdir(exist_ok=True)
            with (self.root / name).open("a") as file:
                file.write(rule + "\n")

    def _link(self) -> None:
        """A symbolic link, or another target for one: files, folders (ignored, hidden, links themselves), folders above
        it, nothing, itself, or out of the tree."""
        source = self._random
        name = source.choice(("link0", "link1", "link2", "link3", ".link", "n1.txt", "build"))
        path = self._place() / name
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            return
        kind = source.random()
        target: Path | str
        if kind < 0.7:
            places = self._all()
            if kind < 0.3:
                places = [place for place in places if place.is_dir()] or places
            target = source.choice(places) if places else self.root
        elif kind < 0.87:
            target = source.choice((".", "..", "../..", "sub/..", os.fspath(self.root), os.fspath(self.root / ".git")))
        elif kind < 0.95:
            target = source.choice(("nowhere", "a.py/x", "sub/nowhere", os.fspath(self.root / "sub")))
        elif kind < 0.96:
            target = path.name
        else:
            target = self.side
        if isinstance(target, Path) and source.random() < 0.6:
            target = os.path.relpath(target, path.parent)
        path.symlink_to(target)

    def _drop_link(self) -> None:
        links = [path for path in self._all() if path.is_symlink()]
        if links:
            self._random.choice(links).unlink()

    def _line(self) -> bytes:
        source = self._random
        words = [source.choice(WORDS) for _ in range(source.choice((0, 1, 1, 2, 3, 5, 8)))]
        line = source.choice((" ", " ", "_", "", "  ")).join(words).encode()
        odd = source.random()
        if odd < 0.03:
            line += source.choice((b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f"))
        elif odd < 0.06:
            line = source.choice((b"    ", b"\t", b" \t ", b"\x0b")) + line + b" \t"
        elif odd < 0.07:
            line = line * 200
        return line

    def contents(self) -> bytes:
        """A file's bytes, of one of the odd kinds."""
        source = self._random
        kind = source.random()
        ending = b"\r\n" if kind < 0.08 else b"\n"
        lines = [self._line() for _ in range(source.choice((0, 1, 2, 5, 10, 40)))]
        data = ending.join(lines) + (ending if source.random() < 0.8 else b"")
        if kind < 0.10:
            return data
        if kind < 0.14:
            return b"\xef\xbb\xbf" + data
        if kind < 0.18:
            text = data.decode("utf-8", "replace")
            return b"\xff\xfe" + text.encode("utf-16-le") if kind < 0.16 else b"\xfe\xff" + text.encode("utf-16-be")
        if kind < 0.20:
            return self._asian(data)
        if kind < 0.26:
            at = source.randint(0, len(data))
            return data[:at] + b"\0" * source.choice((1, 1, 2)) + data[at:]
        if kind < 0.30:
            return self._around_the_buffers_edge(data)
        if kind < 0.32:
            return data.replace(b"\n", b"\0")
        if kind < 0.33:
            return b""
        if kind < 0.3305:
            return data + b"x" * 10_000_000 + self._line() + b"\n" + data
        return data

    def _asian(self, data: bytes) -> bytes:
        """Text in an Asian encoding, and what is none of it: half characters, bytes that stand for nothing."""
        source = self._random
        text = data.decode("utf-8", "replace") + "日本語 한국어 αβγ ｶﾅ\n" * source.randrange(3)
        coded = bytearray(text.encode(source.choice(_ASIAN), "ignore"))
        for _ in range(source.choice((0, 1, 2, 5))):
            at = source.randint(0, len(coded))
            coded[at : at + source.choice((0, 1))] = source.choice(_NOT_ASIAN)
        return bytes(coded[: len(coded) - source.choice((0, 0, 0, 1, 2))])

    def _around_the_buffers_edge(self, data: bytes) -> bytes:
        """60 to 200 KiB, with NULs on one or the other side of a 64 KiB boundary, or none, or one long line."""
        source = self._random
        size = source.randint(60, 200) << 10
        line = data.replace(b"\n", b" ")[:60] or b"filler"
        body = bytearray((line + b"\n") * (size // (len(line) + 1)))
        if source.random() < 0.2:
            start = source.randrange(len(body) // 2)
            body[start : start + 70_000] = body[start : start + 70_000].replace(b"\n", b"~")
        for _ in range(source.choice((0, 1, 1, 2))):
            edge = source.choice((65536, 131072))
            at = edge + source.choice((-40_000, -100, -1, 0, 1, 100, 40_000))
            if 0 <= at < len(body):
                body[at] = 0
        for _ in range(source.randint(0, 3)):
            at = body.find(b"\n", source.randrange(len(body)))
            body[at + 1 : at + 1] = self._line() + b"\n"
        if source.random() < 0.2:
            text = body.decode("utf-8", "replace")
            form = source.choice(("utf-16-le", "utf-16-be"))
            return (source.choice(("\ufeff", "\ufeff", "")) + text).encode(form)
        return bytes(body)
