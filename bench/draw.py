"""Patterns that nobody has asked before: the words of a tree, and ways to say a regex anew.

In: a tree and the real ripgrep, which counts the words. Out: Draw, from which every word comes once. A row that is
measured "fresh" draws one per repetition; what it draws is of one kind (as rare, as long), so that the repetitions can
be compared with each other. The order is the same in every run.

- rare, medium: identifiers that stand as whole words on few or on many places of the tree, in any case of letters.
- absent: random letters; the comparison of counts shows that they are absent.
- mark: a control character, to be put into a character class. No text holds it, so the matches are the same, but the
  regex is another one, for every cache.
- spelling: the same literal with groups in other places. The regex means the same, so only its text is new: for
  patterns that have to be this very word (`return`), which need no compiling anyway.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import string
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.corpora import KEPT, Corpus
from bench.programs import REAL_RG

RARE = (1, 5)
"""Occurrences of a rare word, at least and at most."""
MEDIUM = (12, 400)
_CANDIDATES = 5000
_SAMPLE_BYTES = 40_000_000
_WORD = re.compile(rb"[A-Za-z][A-Za-z0-9_]{7,23}")
_CONTROLS = [f"\\x{code:02x}" for code in (*range(1, 9), *range(0x0E, 0x20))]


class OutOfWords(Exception):
    """More words were asked for than the tree has."""


class Draw:
    """One tree's supply. Not for several threads."""

    def __init__(self, counts: dict[str, int], seed: int = 15_2_0) -> None:
        """counts: how often a word stands in the tree, in any case of letters; more than half of that as it is here."""
        self._random = random.Random(seed)
        self._rare = self._shuffled(word for word, count in counts.items() if RARE[0] <= count <= RARE[1])
        self._medium = self._shuffled(word for word, count in counts.items() if MEDIUM[0] <= count <= MEDIUM[1])
        self._used: list[str] = []
        self._marks = iter(
            "".join(few) for size in (1, 2, 3) for few in itertools.combinations(_CONTROLS, size)
        )  # fmt: skip
        self._spellings: dict[str, Iterator[str]] = {}
        self._count = 0

    def rare(self) -> str:
        """A word found a few times. OutOfWords."""
        for word in self._rare:
            return word
        raise OutOfWords

    def medium(self) -> str:
        """A word found some hundred times at most; from the second time round, a spelling of it. OutOfWords."""
        for word in self._medium:
            self._used.append(word)
            return word
        if not self._used:
            raise OutOfWords
        self._used.append(self._used.pop(0))
        return self.spelling(self._used[-1])

    def absent(self) -> str:
        """A word that is nowhere."""
        return "zq" + "".join(self._random.choices(string.ascii_lowercase, k=12))

    def mark(self) -> str:
        """The escape of a control character or several, for inside a class."""
        return next(self._marks)

    def spelling(self, literal: str) -> str:
        """The literal (letters, digits, underscores) with groups around parts of it."""
        return next(self._spellings.setdefault(literal, _spellings(literal)))

    def number(self) -> int:
        """One that was not given before, from 1000."""
        self._count += 1
        return 999 + self._count

    def _shuffled(self, words: Iterator[str]) -> Iterator[str]:
        ordered = sorted(words)
        self._random.shuffle(ordered)
        return iter(ordered)


def of(corpus: Corpus) -> Draw:
    """The supply of a tree; its words are counted once and kept beside it."""
    kept = KEPT / f".{corpus.name}-words.json"
    if not kept.exists() or kept.stat().st_mtime < (corpus.path / ".git").stat().st_ctime:
        kept.write_text(json.dumps(_count(corpus.path), indent=0))
    counts: dict[str, int] = json.loads(kept.read_text())
    return Draw(counts)


def _count(tree: Path) -> dict[str, int]:
    """Words from a sample of the files, and how often the real rg finds each in all of them."""
    listed = subprocess.run([REAL_RG, "--no-config", "--files", "--null"], cwd=tree, capture_output=True, check=True)
    files = sorted(listed.stdout.split(b"\0")[:-1])
    random.Random(1).shuffle(files)
    sampled: Counter[bytes] = Counter()
    size = 0
    for file in files:
        text = (tree / file.decode(errors="surrogateescape")).read_bytes()
        if b"\0" in text:
            continue
        sampled.update(_WORD.findall(text))
        size += len(text)
        if size > _SAMPLE_BYTES:
            break
    # Of words that differ in case only, the one written most often; searches with -i find them all.
    by_fold: dict[bytes, bytes] = {}
    for word, _ in sampled.most_common():
        by_fold.setdefault(word.lower(), word)
    least_often = MEDIUM[0] if size <= _SAMPLE_BYTES else MEDIUM[0] // 3
    few = sorted(word for word in by_fold.values() if RARE[0] <= sampled[word] <= RARE[1])
    many = sorted(word for word in by_fold.values() if sampled[word] >= least_often)
    chosen = random.Random(2).sample(few, min(len(few), _CANDIDATES))
    chosen += random.Random(3).sample(many, min(len(many), _CANDIDATES // 2))
    found = subprocess.run(
        [REAL_RG, "--no-config", "-iwoFIN", "--no-unicode", "-f", "-", "."],
        cwd=tree,
        input=b"\n".join(chosen),
        capture_output=True,
        check=True,
    )
    written = Counter(found.stdout.split(b"\n"))
    folded: Counter[bytes] = Counter()
    for word, count in written.items():
        folded[word.lower()] += count
    return {
        word.decode(): folded[word.lower()] for word in sorted(set(chosen)) if 2 * written[word] > folded[word.lower()]
    }


def _spellings(literal: str) -> Iterator[str]:
    """Every way to put one group, then two, around parts of a word; then the same within a group, in two, and so on."""
    size = len(literal)
    parts = [(start, end) for start in range(size) for end in range(start + 1, size + 1)]
    grouped = [f"{literal[:start]}(?:{literal[start:end]}){literal[end:]}" for start, end in parts]
    grouped += [
        f"{literal[:a]}(?:{literal[a:b]}){literal[b:c]}(?:{literal[c:d]}){literal[d:]}"
        for (a, b), (c, d) in itertools.combinations(parts, 2)
        if b <= c
    ]
    grouped.remove(f"(?:{literal})")  # one of the next round's
    for depth in itertools.count():
        for spelling in grouped:
            yield "(?:" * depth + spelling + ")" * depth
