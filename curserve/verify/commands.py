"""Random ripgrep searches of a given tree: flags from the table of all flags, patterns, paths, cwd, environment.

In: a random.Random, a Tree (what is there to be named), optionally one flag or one regex construct that every search is
to have. Out: Command. Flags whose row says they are declined are not drawn; everything else is, each as often as any
other. Files that a search needs beside the tree (-f, --ignore-file, configuration) are described, not written.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from curserve.flags import BY_NAME, FLAGS, Flag
from curserve.verify.patterns import Patterns

_DRAWN_APART = {"regexp", "file", "help", "version", "type-list", "files"}
"""Flags that are drawn elsewhere, or that make a search something else altogether."""

_FAMILIES = (
    "after-context before-context context passthru max-count invert-match stop-on-nonmatch context-separator",
    "multiline multiline-dotall crlf null-data text only-matching",
    "glob iglob glob-case-insensitive type type-not type-add hidden max-depth",
    "ignore-file no-ignore-files ignore-file-case-insensitive no-ignore no-ignore-vcs unrestricted no-require-git",
    "only-matching replace byte-offset column vimgrep trim max-columns max-columns-preview color colors pretty heading",
    "count count-matches include-zero files-with-matches files-without-match quiet stats json null",
    "ignore-case smart-case case-sensitive word-regexp line-regexp fixed-strings no-unicode",
    "encoding binary text mmap max-filesize",
)
"""Flags that have to do with each other: together they are drawn more often than chance would have it."""

_VALUES: dict[str, Sequence[str]] = {
    "dfa-size-limit": ("10M", "1G"),
    "encoding": (
        "auto", "none", "utf-8", "utf-16", "latin1", "utf-16le", "utf-16be",
        "auto", "none", "utf-8", "utf-16", "latin1", "utf-16le", "utf-16be",
        "windows-1251", "koi8-r", "iso-8859-8", "windows-1255", "macintosh",
        "gbk", "gb18030", "big5", "euc-jp", "shift_jis", "euc-kr", "iso-2022-jp", "x-user-defined",
    ),
    "engine": ("default", "auto"),
    "max-count": ("0", "1", "2", "5"),
    "regex-size-limit": ("200M", "1G"),
    "threads": ("0", "1", "2", "4"),
    "max-depth": ("0", "1", "2", "3"),
    "max-filesize": ("10", "1K", "50K", "1M"),
    "type": ("py", "c", "txt", "md", "all", "js"),
    "type-not": ("py", "c", "txt", "md", "all"),
    "type-add": ("web:*.{html,css,js}", "py:*.pyx", "odd:n*", "two:include:py,c"),
    "type-clear": ("py", "c"),
    "after-context": ("0", "1", "2", "7"),
    "before-context": ("0", "1", "3"),
    "context": ("0", "1", "2"),
    "color": ("never", "always", "ansi", "auto"),
    "colors": (
        "match:fg:blue", "path:none", "line:style:bold", "match:bg:0x33,0x66,255", "column:fg:cyan", "match:none",
        "highlight:fg:yellow", "path:style:nobold", "line:fg:7", "match:style:underline",
    ),
    "context-separator": ("--", "...", "", r"\t", r"\x00"),
    "field-context-separator": ("-", "~~", "", r"\t"),
    "field-match-separator": (":", "::", "", r"\t"),
    "hyperlink-format": ("none",),
    "max-columns": ("0", "10", "40", "200"),
    "path-separator": ("/", "+", "\\"),
    "replace": ("", "X", "$0", "<$1>", "${n1}x", "$$", "$name", "a\\nb", "${0}y$2", "$1-$2-$3", "é"),
    "sort": ("none", "path", "modified"),
    "sortr": ("none", "path", "modified"),
}  # fmt: skip
_GLOBS = ("*.py", "*.txt", "!*.c", "sub/**", "**/a*", "!**/b/**", "[a-m]*", "*.{py,c}", "/*", "!n*", "*/", ".*",
          "?*.?*",
          "!*", "sub", "{a,b}/**", "**", "[!a]*", "*.PY", "./*.py", "a/", "!a/", "\\a.py", "{*.md,n?.txt}")  # fmt: skip
_RULES = ("*.c\n", "build/\n", "!*.py\n", "n*\n!n1.txt\n", "/sub\n", "**/b\n", "#x\n\\#y\n", "a/**\n", "*.TXT\n",
          "/a.py\n",
          "sub/b", "*\n!*/\n!*.py\n", "[a-c].*\n", "  \n*.js \n")  # fmt: skip
_CONFIGS = ("--hidden\n", "-n\n# a comment\n\n--smart-case\n", "--glob=!*.c\n",
            "--colors=match:fg:blue\n--no-heading\n",
            "  -i  \n", "--max-columns=60\n-A\n1\n", "--sort=path\n", "--type-add=odd:n*\n")  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """What can be named: the root, paths of files and folders relative to it, words in its files. side: a folder of the
    comparison's own, outside of the root, for Command.beside."""

    root: bytes
    files: Sequence[bytes]
    folders: Sequence[bytes]
    words: Sequence[str]
    side: bytes = b""


@dataclass(frozen=True)
class Command:
    """One search. flags: long names; constructs: of its patterns. env: beside the usual. beside: absolute path →
    content of files to be written before it is run. stdout: "pipe", "tty", or the path of a file to be made."""

    argv: tuple[bytes, ...]
    flags: frozenset[str]
    constructs: frozenset[str]
    cwd: bytes = b""
    env: dict[bytes, bytes] = field(default_factory=dict)
    beside: dict[bytes, bytes] = field(default_factory=dict)
    stdout: bytes = b"pipe"


class Commands:
    """A source of commands for one tree."""

    def __init__(
        self,
        source: random.Random,
        tree: Tree,
        flag: str | None = None,
        construct: str | None = None,
        always: str | None = None,
    ) -> None:
        """flag: a long name that is the only one in every command; construct: one of patterns.ALONE, likewise.

        always: a long name that every command has beside others."""
        self._random = source
        self._tree = tree
        self._patterns = Patterns(source, tree.words)
        self._flags = [row for row in FLAGS if row.declined is None and row.long not in _DRAWN_APART]
        self._flag = BY_NAME[flag] if flag is not None else None
        self._always = BY_NAME[always] if always is not None else None
        self._construct = construct
        self._plain = flag is not None or construct is not None
        self._beside: dict[bytes, bytes] = {}

    def command(self) -> Command:
        """The next command."""
        self._beside = {}
        names: set[str] = set()
        cwd = self._cwd()
        count = 0 if self._plain else self._random.choice((0, 1, 1, 2, 2, 3, 4, 6))
        pool = self._flags
        if self._random.random() < 0.3:
            family = self._random.choice(_FAMILIES).split()
            pool = [row for row in self._flags if row.long in family]
            count = min(count, 4)
        chosen = self._random.choices(pool, k=count)
        if self._flag is not None and self._flag.long not in _DRAWN_APART:
            chosen.append(self._flag)
        if self._always is not None:
            chosen.insert(self._random.randint(0, len(chosen)), self._always)
        argv: list[bytes] = []
        for flag in chosen:
            argv += self._typed(flag, cwd)
            names.add(flag.long)
        if not self._plain and self._random.random() < 0.3:
            argv = _combined(argv)
        constructs: frozenset[str] = frozenset()
        if self._flag is not None and self._flag.long in ("files", "type-list", "version"):
            argv.append(b"--" + self._flag.long.encode())
            names.add(self._flag.long)
        elif not self._plain and self._random.random() < 0.07:
            argv.append(b"--files")
            names.add("files")
        else:
            more, constructs, kinds = self._searched_for(names, cwd)
            if more[0].startswith(b"-") and more[0] != b"--" and self._random.random() < 0.3:
                more, argv = argv, more
            argv += more
            names |= kinds
        if "version" not in names and "type-list" not in names:
            argv += self._paths(cwd, b"--" in argv)
        env = {} if self._plain else self._environment()
        stdout = b"pipe" if self._plain else self._stdout()
        return Command(tuple(argv), frozenset(names), constructs, cwd, env, self._beside, stdout)

    # ---- what is searched for

    def _searched_for(self, names: set[str], cwd: bytes) -> tuple[list[bytes], frozenset[str], set[str]]:
        """(words, constructs, flags) of the pattern or patterns."""
        fixed = "fixed-strings" in names
        self._patterns.multi_line = "multiline" in names

        def one() -> tuple[bytes, frozenset[str]]:
            if fixed:
                return os.fsencode(self._patterns.literal()), frozenset({"literal"})
            if self._construct is not None:
                text, constructs = self._patterns.alone(self._construct)
            elif self._flag is not None:
                text, constructs = self._patterns.plain()
            else:
                text, constructs = self._patterns.pattern()
            return os.fsencode(text), constructs

        text, constructs = one()
        asked = self._flag.long if self._flag is not None else None
        kind = self._random.random()
        if asked == "regexp":
            kind = 0.8
        elif asked == "file":
            kind = 0.99
        elif self._plain:
            kind = 0.0
        if kind < 0.75:
            return ([b"--"] if text.startswith(b"-") else []) + [text], constructs, set()
        if kind < 0.95:
            argv = [b"-e", text] if self._random.random() < 0.6 else [b"--regexp=" + text]
            for _ in range(self._random.choice((0, 0, 1, 2))):
                text, more = one()
                argv += [b"-e", text]
                constructs |= more
            return argv, constructs, {"regexp"}
        lines = [text]
        for _ in range(self._random.choice((0, 1, 2))):
            text, more = one()
            lines.append(text)
            constructs |= more
        content = self._random.choice((b"\n", b"\n", b"\r\n")).join(lines) + self._random.choice((b"\n", b""))
        return [b"-f", self._aside(b"patterns", content, cwd)], constructs, {"file"}

    # ---- flags

    def _typed(self, flag: Flag, cwd: bytes) -> list[bytes]:
        if flag.negated is not None and not self._plain and self._random.random() < 0.12:
            return [b"--" + flag.negated.encode()]
        long = flag.long if not flag.aliases or self._random.random() < 0.7 else flag.aliases[0]
        name = b"--" + long.encode()
        if not flag.takes_value:
            short = flag.short is not None and self._random.random() < 0.5
            return [b"-" + flag.short.encode() if short and flag.short else name]
        value = self._value(flag, cwd)
        form = self._random.random()
        if form < 0.4 or (flag.short is None and form < 0.6):
            return [name + b"=" + value]
        if flag.short is None or form < 0.6:
            return [name, value]
        if form < 0.7:
            return [b"-" + flag.short.encode() + b"=" + value]
        if form < 0.8 and value:
            return [b"-" + flag.short.encode() + value]
        return [b"-" + flag.short.encode(), value]

    def _value(self, flag: Flag, cwd: bytes) -> bytes:
        if flag.long in ("glob", "iglob"):
            if self._tree.files and self._random.random() < 0.3:
                name = os.path.basename(self._random.choice(self._tree.files))
                return self._random.choice((b"", b"!", b"**/")) + name
            return self._random.choice(_GLOBS).encode()
        if flag.long == "ignore-file":
            return self._aside(b"rules", self._random.choice(_RULES).encode(), cwd)
        return os.fsencode(self._random.choice(_VALUES.get(flag.long) or ("1",)))

    def _aside(self, name: bytes, content: bytes, cwd: bytes) -> bytes:
        """A file beside the tree, absolute or relative to the cwd."""
        path = self._tree.side + b"/" + name + b"%d" % len(self._beside)
        self._beside[path] = content
        return path if self._random.random() < 0.7 else os.path.relpath(path, cwd)

    # ---- where

    def _cwd(self) -> bytes:
        kind, tree = self._random.random(), self._tree
        if self._plain or kind < 0.75 or not tree.folders:
            return tree.root if kind < 0.97 or self._plain else os.path.dirname(tree.root)
        return tree.root + b"/" + self._random.choice(tree.folders)

    def _paths(self, cwd: bytes, ended: bool) -> list[bytes]:
        kind = self._random.random()
        tree = self._tree
        above = not (cwd + b"/").startswith(tree.root + b"/")
        if kind < 0.45 and not above:
            return []
        if kind < 0.6:
            return [tree.root + self._random.choice((b"", b"/")) if above or kind > 0.55 else
                    self._random.choice((b".", b"./"))]  # fmt: skip
        found: list[bytes] = []
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            path = self._path(cwd)
            if path:
                found.append(b"./" + path if path.startswith(b"-") and not ended else path)
        return found or [tree.root]

    def _path(self, cwd: bytes) -> bytes:
        tree = self._tree
        pool = tree.files if self._random.random() < 0.5 else tree.folders
        if not pool:
            return b""
        absolute = tree.root + b"/" + self._random.choice(pool)
        relative = os.path.relpath(absolute, cwd)
        if self._plain:
            return relative
        form = self._random.random()
        if form < 0.15:
            return b"./" + relative
        if form < 0.3:
            return absolute
        if form < 0.34:
            return relative.replace(b"/", b"//")
        if form < 0.38:
            return b"../" + os.path.basename(os.path.realpath(cwd)) + b"/" + relative
        if form < 0.40:
            return relative.replace(b"/", b"/./", 1)
        if form < 0.45 and pool is tree.folders:
            return relative + b"/"
        if form < 0.465:
            return relative + b".nowhere"
        return relative

    # ---- around it

    def _environment(self) -> dict[bytes, bytes]:
        kind, side = self._random.random(), self._tree.side
        rules = self._random.choice(_RULES).encode()
        if kind < 0.04:
            path = side + b"/ripgreprc"
            self._beside[path] = self._random.choice(_CONFIGS).encode()
            return {b"RIPGREP_CONFIG_PATH": path}
        if kind < 0.06:
            self._beside[side + b"/xdg/git/ignore"] = rules
            return {b"XDG_CONFIG_HOME": side + b"/xdg"}
        if kind < 0.08:
            self._beside[side + b"/home/.config/git/ignore"] = rules
            return {b"HOME": side + b"/home"}
        if kind < 0.10:
            self._beside[side + b"/home/.gitconfig"] = b"[core]\n\texcludesFile = " + side + b"/excludes\n"
            self._beside[side + b"/excludes"] = rules
            return {b"HOME": side + b"/home"}
        if kind < 0.115:
            self._beside[side + b"/gitconfig"] = b"[core]\nexcludesfile=" + side + b"/excludes\n"
            self._beside[side + b"/excludes"] = rules
            return {self._random.choice((b"GIT_CONFIG_GLOBAL", b"GIT_CONFIG_SYSTEM")): side + b"/gitconfig"}
        if kind < 0.12:
            return {b"GIT_CONFIG_GLOBAL": b"/dev/null"}
        if kind < 0.13:
            return {b"NO_COLOR": self._random.choice((b"", b"1"))}
        return {}

    def _stdout(self) -> bytes:
        kind = self._random.random()
        if kind < 0.03:
            return b"tty"
        if kind < 0.05:
            return self._tree.root + b"/out.txt"
        return b"pipe"


def _combined(argv: list[bytes]) -> list[bytes]:
    """The same words with neighbouring short switches in one: -n -i -A 2 → -niA 2."""
    shorts = {flag.short.encode(): flag.takes_value for flag in FLAGS if flag.short is not None}
    out: list[bytes] = []
    open_word = value_next = False
    for word in argv:
        if value_next:
            out.append(word)
            value_next = open_word = False
            continue
        short = len(word) >= 2 and word[:1] == b"-" and word[1:2] in shorts
        takes = short and shorts[word[1:2]]
        if short and open_word:
            out[-1] += word[1:]
        else:
            out.append(word)
        open_word = short and not takes and len(word) == 2
        value_next = short and takes and len(word) == 2
        if not short and word[:2] == b"--" and b"=" not in word:
            row = BY_NAME.get(word[2:].decode("ascii", "replace"))
            value_next = row is not None and row.takes_value
            value_next = value_next or word == b"--maxdepth"
    return out
