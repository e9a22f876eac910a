"""The queries that are measured: one Row each, the same for every tree.

In: a tree. Out: argv, in a plain form (the one that is asked again and again in "repeated") and in fresh forms, each
another question, whose pattern nobody has asked before. `varies` says how; draw.py says what that means. Agents' argv
are exact: what qwen 0.15 to 0.24 and gemini 0.61 pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.corpora import Corpus
from bench.draw import Draw

COMMON = "return"
"""The common word: a million lines of Linux."""
_GEMINI_SKIPS = ("**/node_modules/**", "**/.git/**", "**/bower_components/**", "**/.svn/**", "**/.hg/**")


@dataclass(frozen=True, slots=True)
class Row:
    """One query. Keys are stable: runs are compared by them. argv comes without argv[0]."""

    key: str
    title: str
    varies: str
    argv: Callable[[Corpus, str], list[str]]
    """From a tree and the part that varies."""
    plain: Callable[[Corpus, Draw], str]
    fresh: Callable[[Corpus, Draw], str]


def _qwen(tree: Corpus, pattern: str) -> list[str]:
    return [*"--json --no-messages --path-separator / --ignore-case --regexp".split(), pattern, "--threads", "4",
            str(tree.path)]  # fmt: skip


def _gemini(tree: Corpus, pattern: str) -> list[str]:
    skips = [word for skip in _GEMINI_SKIPS for word in ("--glob", f"!{skip}")]
    return ["--json", "--ignore-case", "--regexp", pattern, *skips, "--threads", "4", str(tree.path)]


def _typed(*flags: str) -> Callable[[Corpus, str], list[str]]:
    return lambda tree, pattern: [*flags, pattern]


_RARE = "another rare word each time (1 to 5 places)"
_ABSENT = "other random letters each time"
_SPELLING = "groups around other parts of the word: (?:re)turn, r(?:et)urn …"
_MARK = "a control character that no text holds is added to a class: [A-Z\\x02]"
_DEPTH = "another --max-depth each time, all deeper than the tree"


def _rare(tree: Corpus, draw: Draw) -> str:
    return draw.rare()


def _absent(tree: Corpus, draw: Draw) -> str:
    return draw.absent()


def _medium(tree: Corpus, draw: Draw) -> str:
    return draw.medium()


def _common(tree: Corpus, draw: Draw) -> str:
    return COMMON


def _common_again(tree: Corpus, draw: Draw) -> str:
    return draw.spelling(COMMON)


def _three(tree: Corpus, draw: Draw) -> str:
    return f"{draw.rare()}|{draw.rare()}|{draw.rare()}"


def _depth(tree: Corpus, draw: Draw) -> str:
    return str(draw.number())


def _no_depth(tree: Corpus, draw: Draw) -> str:
    return ""


def _files(*flags: str) -> Callable[[Corpus, str], list[str]]:
    def argv(tree: Corpus, depth: str) -> list[str]:
        globs = [flag.replace("GLOB", tree.glob) for flag in flags]
        return ["--files", *globs, *(["--max-depth", depth] if depth else [])]

    return argv


ROWS: tuple[Row, ...] = (
    Row("rare-qwen", "rare word, qwen", _RARE, _qwen, _rare, _rare),
    Row("absent-qwen", "absent word, qwen", _ABSENT, _qwen, _absent, _absent),
    Row("common-qwen", "common word, qwen", _SPELLING, _qwen, _common, _common_again),
    Row("rare-gemini", "rare word, gemini", _RARE, _gemini, _rare, _rare),
    Row("absent-gemini", "absent word, gemini", _ABSENT, _gemini, _absent, _absent),
    Row("common-gemini", "common word, gemini", _SPELLING, _gemini, _common, _common_again),
    Row("rare", "rare word, -n", _RARE, _typed("-n"), _rare, _rare),
    Row("absent", "absent word, -n", _ABSENT, _typed("-n"), _absent, _absent),
    Row("common", "common word, -n", _SPELLING, _typed("-n"), _common, _common_again),
    Row("three", "one of three rare words, -n", _RARE, _typed("-n"), _three, _three),
    Row("suffix", r"\w+_probe\(, -n", _MARK, _typed("-n"),
        lambda tree, draw: rf"\w+_{tree.suffix}\(", lambda tree, draw: rf"[\w{draw.mark()}]+_{tree.suffix}\("),
    Row("capitals", "[A-Z]{12,}, -n", _MARK, _typed("-n"),
        lambda tree, draw: "[A-Z]{12,}", lambda tree, draw: f"[A-Z{draw.mark()}]{{12,}}"),
    Row("blank", r"^\s*$, -n", _MARK, _typed("-n"),
        lambda tree, draw: r"^\s*$", lambda tree, draw: rf"^[\s{draw.mark()}]*$"),
    Row("count", "-c .", "[^\\x02] with other control characters, for .", _typed("-c"),
        lambda tree, draw: ".", lambda tree, draw: f"[^{draw.mark()}]"),
    Row("word", "rare word, -w", _RARE, _typed("-n", "-w"), _rare, _rare),
    Row("glob", "rare word, -g '*.c' or '*.py'", _RARE,
        lambda tree, pattern: ["-n", "-g", tree.glob, pattern], _rare, _rare),
    Row("type", "rare word, -t c or -t py", _RARE,
        lambda tree, pattern: ["-n", "-t", tree.type, pattern], _rare, _rare),
    Row("files", "--files", _DEPTH, _files(), _no_depth, _depth),
    Row("files-glob", "--files -g '*.c' or '*.py'", _DEPTH, _files("-g", "GLOB"), _no_depth, _depth),
    Row("list", "word found often, -l", "another word each time (12 to 400 places)", _typed("-l"), _medium, _medium),
    Row("context", "word found often, -n -C 3", "another word each time (12 to 400 places)", _typed("-n", "-C", "3"),
        _medium, _medium),
    Row("lines", r"-U \w+_probe\([^)]*\n[^)]*\)", _MARK, _typed("-n", "-U"),
        lambda tree, draw: rf"\w+_{tree.suffix}\([^)]*\n[^)]*\)",
        lambda tree, draw: rf"\w+_{tree.suffix}\([^){draw.mark()}]*\n[^)]*\)"),
)  # fmt: skip
"""In the order of the report."""
