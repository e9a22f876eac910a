"""Random patterns in Rust's regex syntax, most of them about words that are there to be found.

In: a random.Random and words of the searched tree. Out: (pattern, names of the constructs in it). Not every pattern is
valid: errors are part of what ripgrep answers. No knowledge of our own parser.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

_CLASSES = (
    r"\w", r"\d", r"\s", r"\W", r"\D", r"\S", "[a-z]", "[A-Z]", "[0-9_]", "[^a-z]", "[[:alpha:]]", "[[:^digit:]]",
    r"[\w--\d]", "[a-z&&[^aeiou]]", "[a-f~~d-k]", r"[\d_]", r"[^\s,]", r"\p{L}", r"\pN", r"\p{Greek}", r"\P{Lu}",
    r"\p{Ll}", "[αβγé]", r"[\x41-\x5a]", r"[^\x00-\x7f]", r"\p{Emoji}", r"[[:space:]]",
)  # fmt: skip
_LOOKS = (r"\b", r"\B", "^", "$", r"\<", r"\>", r"\b{start}", r"\b{end}", r"\b{start-half}", r"\b{end-half}")
_REPEATS = ("*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "*?", "+?", "??", "{1,2}?")
_FLAGS = ("i", "s", "m", "x", "U", "u", "-u", "i-s", "-i", "-m", "R")
_ACROSS = (r"\n", r"\s+", r"(?s:.)", r"\s*\n\s*", r"[^x]*?", r"(?s:.{0,40}?)", r"$\n^", r"\n+", r"\r?\n")
"""What may match a line's end, with -U."""
ALONE = (
    "literal", "alternation", "empty", "repetition", "lazy", "counted", "dot", "class", "class_algebra",
    "unicode_class", "anchor", "word_boundary", "escape", "capture", "named_capture", "group", "flags",
    "text_anchor", "verbose", "posix_class", "perl_class", "half_boundary",
)  # fmt: skip
"""Constructs that Patterns.alone knows."""
_ODD = ("(", ")", "[", "a{", "*", r"\q", "(?P<n>", r"\p{Nope}", "(?z)", "[z-a]", r"\8", "a{3,1}", "(?=a)", "\\")


class Patterns:
    """A source of patterns. `words` may be changed while it is used."""

    def __init__(self, source: random.Random, words: Sequence[str]) -> None:
        self._random = source
        self.words = list(words) or ["word"]
        self.multi_line = False
        """Patterns are for -U: some are drawn to match over lines' ends."""
        self._used: set[str] = set()

    def pattern(self) -> tuple[str, frozenset[str]]:
        """One pattern and the constructs in it."""
        self._used = set()
        kind = self._random.random()
        if kind < 0.22:
            text = self._word()
        elif kind < 0.25:
            self._use("error")
            text = self._word()[:4] + self._random.choice(_ODD)
        elif self.multi_line and kind < 0.5:
            self._use("across_lines")
            text = self._word() + self._random.choice(_ACROSS) + self._random.choice((self._word(), self._dot(), ""))
        elif kind < 0.27:
            text = self._random.choice((r"\A", r"\z", "(?-m)^", "(?-m:$)")) + self._word()
            self._use("text_anchor")
        else:
            text = self._alternation(3)
        return text, frozenset(self._used)

    def plain(self) -> tuple[str, frozenset[str]]:
        """A word, or a word with something usual around it."""
        self._used = set()
        word = self._word()
        kind = self._random.randrange(4)
        return (word, rf"\b{word}", rf"{word}\w*", f"({word})")[kind], frozenset(self._used)

    def alone(self, construct: str) -> tuple[str, frozenset[str]]:
        """A pattern of a word and one construct of ALONE."""
        self._used = set()
        word, other = self._word(), self._word()
        pick = self._random.choice
        makers: dict[str, Callable[[], str]] = {
            "literal": lambda: word,
            "alternation": lambda: f"{word}|{other}",
            "empty": lambda: pick((f"{word}|", f"|{word}", "", "()", f"(?:){word}")),
            "repetition": lambda: f"(?:{word})" + pick("*+?"),
            "lazy": lambda: f"(?:{word})" + pick(("*?", "+?", "??")),
            "counted": lambda: f"(?:{word})" + pick(("{2}", "{1,3}", "{0,2}", "{1,}", "{1}")),
            "dot": lambda: pick((f".{word}", f"{word}.", f"{word}.*{other}", "...")),
            "class": lambda: pick((f"{word}[a-z]", "[A-Z]+", "[^a-z]", r"[\x41-\x5a_]+")),
            "class_algebra": lambda: pick((r"[\w--\d]+", "[a-z&&[^aeiou]]+", "[a-f~~d-k]", r"[\w&&\P{Lu}]+")),
            "unicode_class": lambda: pick((r"\p{L}+", r"\pN", r"\p{Greek}+", r"\P{Lu}", r"[\p{Ll}\p{Nd}]+")),
            "anchor": lambda: pick((f"^{word}", f"{word}$", f"^{word}$", "^$", "^", "$")),
            "word_boundary": lambda: pick((rf"\b{word}", rf"{word}\b", rf"\B{word}", rf"\<{word}\>")),
            "half_boundary": lambda: pick((rf"\b{{start-half}}{word}", rf"{word}\b{{end-half}}")),
            "escape": lambda: pick((r"\x61", r"\u{e9}", r"\t", r"\x{3b1}", r"\.", r"\-", r"(?-u:\xff)")),
            "capture": lambda: f"({word})({other})?",
            "named_capture": lambda: pick((f"(?P<n>{word})", f"(?<n1>{word})")),
            "group": lambda: f"(?:{word}|{other}){word}?",
            "flags": lambda: f"(?{pick(('i', 's', 'x', 'U', 'u', '-u', '-i', 'R'))})" + pick((word, r"\w+", ".+a")),
            "text_anchor": lambda: pick((rf"\A{word}", rf"{word}\z", f"(?-m)^{word}", f"(?-m:{word}$)", r"\A", r"\z")),
            "verbose": lambda: pick((f"(?x: {word} )", f"(?x) {word} | {other} ")),  # rg closes a group after it
            "posix_class": lambda: pick(("[[:alpha:]]+", "[[:^digit:]]", "[[:space:]x]", "[[:word:]]+", "[[:upper:]]")),
            "perl_class": lambda: pick((r"\w+", r"\d", r"\s", r"\W", r"\D+", r"\S+")),
        }  # fmt: skip
        return makers[construct](), frozenset({construct})

    def literal(self) -> str:
        """A word or a piece of one, unescaped."""
        word = self._random.choice(self.words)
        if len(word) > 2 and self._random.random() < 0.4:
            start = self._random.randrange(len(word) - 1)
            word = word[start : start + self._random.randint(1, 6)]
        if self._random.random() < 0.1:
            word = word.swapcase()
        return word

    def _use(self, construct: str) -> None:
        self._used.add(construct)

    def _word(self) -> str:
        self._use("literal")
        return "".join("\\" + c if c in r"\.+*?()|[]{}^$#&-~/" and c not in "/" else c for c in self.literal())

    def _alternation(self, depth: int) -> str:
        arms = 1 if self._random.random() < 0.7 else self._random.randint(2, 4)
        if arms > 1:
            self._use("alternation")
        return "|".join(self._concatenation(depth) for _ in range(arms))

    def _concatenation(self, depth: int) -> str:
        if self._random.random() < 0.03:
            self._use("empty")
            return ""
        return "".join(self._repeated(depth) for _ in range(self._random.choice((1, 1, 2, 2, 3, 4))))

    def _repeated(self, depth: int) -> str:
        atom = self._atom(depth)
        if self._random.random() < 0.25:
            self._use("repetition")
            repeat = self._random.choice(_REPEATS)
            if repeat.endswith("?") and repeat != "?":
                self._use("lazy")
            if repeat[0] == "{":
                self._use("counted")
            return atom + repeat
        return atom

    def _atom(self, depth: int) -> str:
        choices: list[tuple[float, Callable[[], str]]] = [
            (5.0, self._word),
            (1.0, self._dot),
            (2.0, self._class),
            (1.0, self._look),
            (0.3, self._escape),
        ]
        if depth > 0:
            choices += [(1.5, lambda: self._group(depth)), (0.3, lambda: self._flagged(depth))]
        weights = [weight for weight, _ in choices]
        return self._random.choices([make for _, make in choices], weights)[0]()

    def _dot(self) -> str:
        self._use("dot")
        return "."

    def _class(self) -> str:
        made = self._random.choice(_CLASSES)
        self._use("class_algebra" if any(op in made for op in ("--", "&&", "~~")) else "class")
        if "\\p" in made or "\\P" in made or not made.isascii():
            self._use("unicode_class")
        return made

    def _look(self) -> str:
        made = self._random.choice(_LOOKS)
        self._use("anchor" if made in "^$" else "word_boundary")
        return made

    def _escape(self) -> str:
        self._use("escape")
        return self._random.choice((r"\x61", r"\u{e9}", r"\t", r"\x{3b1}", r"\.", r"\-", r"(?-u:\xff)", r"(?-u:\xc3)"))

    def _group(self, depth: int) -> str:
        kind = self._random.random()
        inner = self._alternation(depth - 1)
        if kind < 0.4:
            self._use("capture")
            return f"({inner})"
        if kind < 0.5:
            self._use("named_capture")
            return f"(?P<n{self._random.randrange(1000)}>{inner})"
        self._use("group")
        return f"(?:{inner})"

    def _flagged(self, depth: int) -> str:
        flags = self._random.choice(_FLAGS)
        self._use("flags")
        inner = self._alternation(depth - 1)
        return f"(?{flags}:{inner})" if self._random.random() < 0.6 else f"(?{flags}){inner}"
