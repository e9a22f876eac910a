"""Patterns and lines for the regex tests: a hypothesis strategy of patterns in Rust's syntax; lines with odd bytes.

Left out, as the real rg is no oracle for them: text anchors (its printers take their buffer for the text) and lines
that begin with a continuation byte (what rg sees before them depends on which line matched last).
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

from hypothesis import strategies as st

from curserve.regex import RegexOptions

REAL_RG = Path(sys.executable).with_name("rg")

ATOMS = (
    r"a b c ab foo K s k S é ß Σ ς . \w \d \s \W \S \D [ab] [^a] [a-c] [^\w] [k-s] [é-ü] \pL \p{Lu} \PL _ - 1 \b \B ^ $"
    r" \< \> (?-u:é) \b{start-half} \b{end-half} (?-u:\xFF) (?-u:\w) (?-u:.) (?-u:\b) (?-u:[^a]) (?i:k) (?i:s\b)"
    r" (?i) (?s:.) \x{e9} [[:alpha:]] [\w&&[^a]] [a-z--b] [a-d~~c-f] (?R:$) (?R:^)"
    r" \. # (?U:a*) \r \t [\na] [^\n] [[:^alpha:]]"
    r" \p{Greek} (?-u:\B) (?-u:\<)"
).split() + ["", "(?x: a b )"]

_GREEDY = ["*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}?", "{2,}", "{0}", "{1}"]


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda subs: f"(?:{'|'.join(subs)})"),
        st.lists(inner, min_size=1, max_size=2).map(lambda subs: f"({'|'.join(subs)})"),
        st.lists(inner, min_size=2, max_size=2).map("|".join),
        st.tuples(inner, st.sampled_from(_GREEDY)).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    )


patterns = st.recursive(st.sampled_from(ATOMS), _grow, max_leaves=8)

options = st.builds(
    RegexOptions,
    case=st.sampled_from(["sensitive", "sensitive", "insensitive", "smart"]),
    word=st.sampled_from([False, False, False, True]),
    line=st.sampled_from([False, False, False, False, True]),
    unicode=st.sampled_from([True, True, True, False]),
    ban_nul=st.just(False),
)

_PIECES = (
    "a b c foo K s k S é É ß ẞ Σς σ \u212a ſ _ - 1 d e f z 中 😀 . # aaa ab".encode().split()
    + [b" ", b"\xff", b"\xc3", b"\xa9", b"\t", b"\r", b"\xe2\x84"]
)  # fmt: skip


def make_lines(seed: int, count: int) -> list[bytes]:
    """Lines without terminators: some ASCII, some UTF-8, some neither."""
    rng = random.Random(seed)
    lines = [b""]
    while len(lines) < count:
        line = b"".join(rng.choice(_PIECES) for _ in range(rng.randint(1, 9)))
        if rng.random() < 0.4:
            line = bytes(byte for byte in line if byte < 0x80)
        if not line or not 0x80 <= line[0] <= 0xBF:
            lines.append(line)
    return lines


def rg_spans(file: Path, sources: list[str], regex: RegexOptions) -> dict[int, list[tuple[int, int]]] | None:
    """Line (from 0) → spans of its matches, by the real rg; None if it refuses the patterns."""
    argv = [str(REAL_RG), "--no-config", "--json", "-a", "--no-mmap"]
    argv += [{"sensitive": "-s", "insensitive": "-i", "smart": "-S"}[regex.case]]
    for wanted, flag in ((regex.fixed_strings, "-F"), (regex.word, "-w"), (regex.line, "-x"), (regex.crlf, "--crlf"),
                         (regex.multi_line, "-U"), (not regex.unicode, "--no-unicode")):  # fmt: skip
        if wanted:
            argv.append(flag)
    for source in sources:
        argv += ["-e", source]
    done = subprocess.run([*argv, str(file)], capture_output=True, check=False, timeout=60)
    if done.returncode == 2:
        return None
    spans = {}
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message["type"] == "match":
            data = message["data"]
            spans[data["line_number"] - 1] = [(s["start"], s["end"]) for s in data["submatches"]]
    return spans


def rg_accepts(source: str) -> bool:
    """True if the real rg takes the pattern."""
    argv = [str(REAL_RG), "--no-config", "-U", "-a", "-q", "--", source, "/dev/null"]
    return subprocess.run(argv, stderr=subprocess.DEVNULL, check=False, timeout=60).returncode != 2
