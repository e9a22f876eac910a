"""Every flag that is served, one at a time and in each form it can be typed in: answered from memory, as ripgrep does.

What a flag is typed with makes it matter: but for those of _SILENT, ripgrep's own answer with it is another one. The
forms: long and short, `=value` and a value apart, in a word with other short flags, negated, taken back, overridden.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from oracle import Box, compare, real_rg

from curserve.flags import BY_NAME, FLAGS, Flag

Words = tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One flag: values to type (the last is what must matter), and what stands beside it."""

    values: Words = ()
    beside: Words = ("needle", ".")
    stdout: bytes = b"pipe"


_TYPED = "--type-add=odd:*.odd"
ROWS: dict[str, Row] = {
    # input
    "regexp": Row(("other", "haystack"), (".",)),
    "file": Row(("{side}/other", "{side}/patterns"), (".",)),
    # search
    "case-sensitive": Row(),
    "crlf": Row((), ("-c", "needle$", "crlf.txt")),
    "dfa-size-limit": Row(("10M", "1G")),
    "encoding": Row(("auto", "latin1"), ("caf", "latin.txt")),
    "engine": Row(("default", "auto")),
    "fixed-strings": Row((), ("a.b", ".")),
    "ignore-case": Row(),
    "invert-match": Row(),
    "line-regexp": Row(),
    "max-count": Row(("3", "1")),
    "mmap": Row(),
    "multiline": Row((), ("(?s)one.needle|two", "b.txt")),
    "multiline-dotall": Row((), ("-U", "one.needle", "b.txt")),
    "no-unicode": Row((), ("-o", r"Stra\w+", ".")),
    "null-data": Row((), ("-c", "needle", "records.bin")),
    "regex-size-limit": Row(("200M", "1G")),
    "smart-case": Row(),
    "stop-on-nonmatch": Row((), ("needle", "b.txt")),
    "text": Row((), ("needle", "nul.dat")),
    "threads": Row(("4", "1")),
    "word-regexp": Row((), ("needl|two", ".")),
    "auto-hybrid-regex": Row(),
    "no-pcre2-unicode": Row((), ("-o", r"Stra\w+", ".")),
    # filter
    "binary": Row((), ("needle", ".")),
    "follow": Row((), ("needle", "sub")),
    "glob": Row(("*.txt", "*.py")),
    "glob-case-insensitive": Row((), ("-g", "*.MD", "needle", ".")),
    "hidden": Row(),
    "iglob": Row(("*.TXT", "*.MD")),
    "ignore-file": Row(("{side}/other", "{side}/rules")),
    "ignore-file-case-insensitive": Row((), ("needle", ".")),
    "max-depth": Row(("9", "1")),
    "max-filesize": Row(("1M", "60")),
    "no-ignore": Row(),
    "no-ignore-dot": Row(),
    "no-ignore-exclude": Row(),
    "no-ignore-files": Row((), ("--ignore-file", "{side}/rules", "needle", ".")),
    "no-ignore-global": Row(),
    "no-ignore-parent": Row(),
    "no-ignore-vcs": Row(),
    "no-require-git": Row((), ("needle", "{side}/loose")),
    "one-file-system": Row(),
    "type": Row(("txt", "py")),
    "type-not": Row(("py", "txt")),
    "type-add": Row(("odd:*.txt", "odd:*.py"), ("-todd", "needle", ".")),
    "type-clear": Row(("c", "py"), ("--type-add", "py:*.md", "-tpy", "needle", ".")),
    "unrestricted": Row(),
    # output
    "after-context": Row(("1", "2")),
    "before-context": Row(("1", "2")),
    "block-buffered": Row(),
    "byte-offset": Row(),
    "color": Row(("never", "always")),
    "colors": Row(("path:fg:red", "match:fg:0x33,0x66,255"), ("--color=always", "needle", ".")),
    "column": Row(),
    "context": Row(("1", "2")),
    "context-separator": Row(("..", r"\x7f\t"), ("-A1", "needle", ".")),
    "field-context-separator": Row(("..", r"\t"), ("-A1", "needle", ".")),
    "field-match-separator": Row(("..", r"\t")),
    "heading": Row(),
    "include-zero": Row((), ("-c", "needle", ".")),
    "line-buffered": Row(),
    "line-number": Row(),
    "no-line-number": Row((), ("--column", "needle", ".")),
    "max-columns": Row(("0", "40")),
    "max-columns-preview": Row((), ("-M40", "needle", ".")),
    "null": Row((), ("-l", "needle", ".")),
    "only-matching": Row(),
    "path-separator": Row(("/", "+")),
    "passthru": Row((), ("needle", "b.txt")),
    "pretty": Row(),
    "quiet": Row(),
    "replace": Row(("x", "<$1>$name$$"), ("(?P<name>need)(le)", ".")),
    "sort": Row(("none", "modified")),
    "sortr": Row(("none", "path")),
    "trim": Row(),
    "vimgrep": Row(),
    "with-filename": Row((), ("needle", "b.txt")),
    "no-filename": Row(),
    "sort-files": Row(),
    # modes
    "count": Row(),
    "count-matches": Row(),
    "files-with-matches": Row(),
    "files-without-match": Row(),
    "json": Row(),
    # logging
    "no-ignore-messages": Row(),
    "no-messages": Row((), ("needle", "b.txt", "nowhere")),
    "stats": Row(),
    # other
    "files": Row((), (".",)),
    "no-config": Row(),
    "type-list": Row((), ()),
    "version": Row((), ()),
}
_SILENT = frozenset(
    ("auto-hybrid-regex", "block-buffered", "case-sensitive", "dfa-size-limit", "engine", "file", "files", "follow",
     "line-buffered", "mmap", "no-config", "no-ignore-messages", "one-file-system", "regex-size-limit", "regexp",
     "sort-files", "threads", "type-list", "version")
)  # fmt: skip
"""Flags with which ripgrep says here what it says without them, or nothing without them."""

NAMED = (
    "crlf null-data multiline multiline-dotall passthru replace trim max-columns max-columns-preview byte-offset "
    "vimgrep pretty colors color context-separator field-match-separator field-context-separator stats sort sortr "
    "max-filesize "
    "no-unicode dfa-size-limit regex-size-limit glob-case-insensitive no-require-git ignore-file-case-insensitive "
    "one-file-system follow include-zero null binary text encoding type-list version "
    # what agents type
    "json no-messages path-separator ignore-case regexp no-ignore-vcs ignore-file glob threads line-number no-heading "
    "with-filename fixed-strings context after-context before-context no-ignore max-count no-ignore-exclude no-config "
    "hidden no-follow files-with-matches count only-matching type iglob files smart-case"
).split()
"""Flags that are promised by name, whatever the table of all flags says."""


@pytest.fixture(scope="module")
def tree(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which each flag has something to do."""
    above = tmp_path_factory.mktemp("above")
    (above / ".ignore").write_text("parented.txt\n")
    root = above / "tree"
    (root / ".git" / "info").mkdir(parents=True)
    (root / "sub" / "deep").mkdir(parents=True)
    contents = {
        "a.py": b"import os\n\ndef foo(x):\n    return needle(x)\n\tneedle tabbed  \n",
        "b.txt": b"Needle one\nneedle two\nhaystack\nneedles needle a.b axb\n\n\nneedle " + b"x" * 300 + b"\n",
        "c.md": "é needle Straße other\nNEEDLE\n".encode(),
        "crlf.txt": b"needle\r\nother needle\r\n",
        "nul.dat": b"needle\nother\0needle\nmore needle\n",
        "records.bin": b"needle 1\0other\0needle\nneedle\0",
        "wide.txt": b"\xff\xfe" + "wide needle\n".encode("utf-16-le"),
        "latin.txt": b"caf\xe9 needle\n",
        "none.txt": b"nothing\n",
        ".hidden.txt": b"needle\n",
        "-dash.txt": b"needle\n",
        "sub/d.txt": b"needle below\n",
        "sub/deep/e.txt": b"needle far below\n",
        "git.log": b"needle ignored by git\n",
        "LOUD.LOG": b"needle, unless case is ignored\n",
        "dot.tmp": b"needle ignored by .ignore\n",
        "excluded.txt": b"needle\n",
        "globally.txt": b"needle\n",
        "parented.txt": b"needle\n",
        "ruled.txt": b"needle\n",
        ".gitignore": b"*.log\n",
        ".ignore": b"*.tmp\n",
        ".git/info/exclude": b"excluded.txt\n",
    }
    for at, (name, text) in enumerate(contents.items()):
        (root / name).write_bytes(text)
        os.utime(root / name, ns=(0, 10**9 * (1000 + 7 * at % 23)))
    side = above / "side"
    (side / "loose").mkdir(parents=True)
    (side / "loose" / ".gitignore").write_text("left.txt\n")
    for name in ("left.txt", "right.txt"):
        (side / "loose" / name).write_text("needle\n")
    (side / "other").write_text("other\n")
    (side / "patterns").write_text("haystack\nneedle one\r\n")
    (side / "rules").write_text("ruled.txt\n")
    (box.home / ".config" / "git").mkdir()
    (box.home / ".config" / "git" / "ignore").write_text("globally.txt\n")
    for folder in (root, side / "loose"):
        box.attach(folder)
    return root


def _spelled(flag: Flag, row: Row) -> Iterator[Words]:
    """All that may be typed for it, in a word or several."""
    long, short = f"--{flag.long}", f"-{flag.short}" if flag.short else None
    if not flag.takes_value:
        yield (long,)
        if short is not None:
            yield (short,)
            yield from ((f"-s{short[1:]}",), (f"{short}s",))
        for alias in flag.aliases:
            yield (f"--{alias}",)
    for value in row.values:
        for name in (long, *(f"--{alias}" for alias in flag.aliases)):
            yield (f"{name}={value}",)
            yield (name, value)
        if short is not None:
            yield from ((f"{short}{value}",), (short, value), (f"{short}={value}",), (f"-s{short[1:]}{value}",))
            yield (f"-s{short[1:]}", value)
    if len(row.values) > 1:
        yield (f"{long}={row.values[1]}", f"{long}={row.values[0]}")
        yield (f"{long}={row.values[0]}", long, row.values[1])
    if flag.negated is not None:
        once = (f"{long}={row.values[-1]}",) if flag.takes_value else (long,)
        negated = f"--{flag.negated}"
        yield from ((negated,), (*once, negated), (negated, *once))


def _argv(row: Row, words: Words, tree: Path) -> list[str]:
    side = str(tree.parent / "side")
    return [word.replace("{side}", side) for word in (*words, *row.beside)]


@pytest.mark.parametrize("name", [flag.long for flag in FLAGS if flag.declined is None])
def test_served_in_every_form(box: Box, tree: Path, name: str) -> None:
    flag, row = BY_NAME[name], ROWS[name]
    for words in _spelled(flag, row):
        answer = compare(box, _argv(row, words, tree), tree)
        assert answer.served, (words, answer.reason)


@pytest.mark.parametrize("name", [flag.long for flag in FLAGS if flag.declined is None and flag.long not in _SILENT])
def test_it_matters_here(box: Box, tree: Path, name: str) -> None:
    """What the rows above compare is something."""
    row = ROWS[name]
    given = (f"--{name}={row.values[-1]}",) if row.values else (f"--{name}",)
    with_it, without = (
        real_rg(
            ["--sort=path", *_argv(row, words, tree)] if "sort" not in name else _argv(row, words, tree), tree, box.env
        )
        for words in (given, ())
    )
    assert (with_it.stdout, with_it.stderr, with_it.code) != (without.stdout, without.stderr, without.code)


def test_promised_flags_have_rows() -> None:
    negations = {flag.negated: flag.long for flag in FLAGS if flag.negated}
    for name in NAMED:
        assert BY_NAME[negations.get(name, name)].declined is None, name
    assert set(ROWS) == {flag.long for flag in FLAGS if flag.declined is None}


@pytest.mark.parametrize("name", [flag.long for flag in FLAGS if len(flag.long) > 3])
def test_names_are_not_abbreviated(box: Box, tree: Path, name: str) -> None:
    """ripgrep takes no abbreviations, and says so itself."""
    short = f"--{name[:-1]}"
    if short[2:] in BY_NAME or any(short[2:] in (flag.negated, *flag.aliases) for flag in FLAGS):
        return
    answer = compare(box, [short, "needle", "."], tree)
    assert (answer.code, answer.served, answer.reason) == (2, False, "bad_flag")


@pytest.mark.parametrize("name", [flag.long for flag in FLAGS])
def test_values_where_none_belong_and_none_where_one_does(box: Box, tree: Path, name: str) -> None:
    argv = ["needle", f"--{name}"] if BY_NAME[name].takes_value else [f"--{name}=1", "needle"]
    answer = compare(box, argv, tree)
    assert (answer.code, answer.served, answer.reason) == (2, False, "bad_flag")


@pytest.mark.parametrize(
    "argv",
    [
    "-nHi", "-nHiA1", "-niA 1", "-nA1 -B1", "-C2 -A0", "-A0 -C2", "-ci", "-lc", "-cl", "-nN", "-Nn", "-HI", "-IH",
    "-sSi", "-isS", "-uu", "-uuu", "-u --no-hidden", "--json -c", "-c --json", "--json --no-json", "-lq",
    "-p --color=never", "--vimgrep -N", "--passthru -A1", "-A1 --passthru", "-U --stop-on-nonmatch",
    "--stop-on-nonmatch -U", "--crlf --null-data", "--null-data --crlf", "-a --binary", "--binary -a",
    "-a --no-binary", "--mmap --no-mmap", "-xw", "-wx", "--sort=path --sortr=path", "--sortr=modified --sort-files",
    "--sort=path --no-sort-files", "--no-ignore --ignore", "--no-ignore --ignore-vcs", "--no-ignore-vcs --ignore",
    "-g*.txt -g!b.txt", "-g!b.txt -g*.txt", "--iglob=*.MD -g*.py", "-tpy -Tpy", "-Tpy -tpy",
    "-E latin1 --no-encoding", "--color=always --color=never", "--color=ansi", "--column --no-column",
    "--heading --no-heading", "-b --no-byte-offset", "--no-unicode --unicode", "-S --json", "-0l", "-l0c",
    ],
)  # fmt: skip
def test_order_decides(box: Box, tree: Path, argv: str) -> None:
    for pattern in ("needle", "Needle"):
        answer = compare(box, [*argv.split(), pattern, "."], tree)
        assert answer.served, answer.reason


@pytest.mark.parametrize("color", ["auto", "always", "never", "ansi"])
@pytest.mark.parametrize(
    "more",
    ["", "-n", "-p", "--vimgrep", "-c", "-l", "-A1", "-o", "-r=x", "--json", "--no-heading", "--stats", "--files"],
)
def test_colours_on_a_terminal(box: Box, tree: Path, color: str, more: str) -> None:
    argv = [f"--color={color}", "--sort=path", *more.split(), *(["."] if more == "--files" else ["needle", "."])]
    for words in (argv, ["--colors=path:none", "--colors=match:fg:magenta", "--colors=line:style:bold", *argv]):
        env = {"TERM": "xterm"}
        ours = box.rg(words, tree, env, stdout=b"tty")
        real = real_rg(words, tree, {**box.env, **env}, stdout=b"tty")
        assert ours.served, ours.reason
        if more in ("--json", "--stats"):  # elapsed times
            assert len(ours.stdout.splitlines()) == len(real.stdout.splitlines())
        else:
            assert (ours.stdout, ours.stderr, ours.code) == (real.stdout, real.stderr, real.code)


@pytest.mark.parametrize(
    "text", ["--hidden\n", "-i\n# no\n\n  --max-columns=60 \n-A\n1\n", "--sort=path\n--no-heading\n-n\n"]
)
def test_a_configuration_file(box: Box, tree: Path, text: str) -> None:
    file = tree.parent / "side" / "ripgreprc"
    file.write_text(text)
    env = {"RIPGREP_CONFIG_PATH": str(file)}
    for more in ([], ["--no-config"], ["--no-hidden"], ["-s"]):
        answer = compare(box, [*more, "needle", "."], tree, env)
        assert answer.served, answer.reason


_DECLINED = {
    "-P needle": "pcre2", "--engine=pcre2 needle": "pcre2", "--engine=auto (?=needle)": "regex_error",
    "--auto-hybrid-regex (?=needle)": "regex_error", "-z needle": "search_zip", "--pre=cat needle": "pre",
    "--hostname-bin=hostname needle": "hostname_bin", "--hyperlink-format=default needle": "hyperlink",
    "--debug needle": "debug", "--trace needle": "debug", "--generate=man": "generate",
    "--sort=accessed needle": "sort_accessed", "--sortr=accessed needle": "sort_accessed",
    "--sort=created needle": "sort_created", "--sortr=created needle": "sort_created", "needle -": "stdin",
    "-f - b.txt": "stdin", "--help": "help", "-h": "help", "(needle": "regex_error", "-tnone needle": "bad_type",
    "-g{ needle": "bad_glob", "--nope needle": "bad_flag", "": "no_pattern", "-e": "bad_flag",
}  # fmt: skip
"""What is left to ripgrep, and the word for why."""


@pytest.mark.parametrize("argv", _DECLINED)
def test_declined_with_a_reason(box: Box, tree: Path, argv: str) -> None:
    answer = box.rg(argv.split(), tree)
    assert (answer.served, answer.reason) == (False, _DECLINED[argv])
    if not {"--debug", "--trace"} & set(argv.split()):  # which tell addresses and times
        compare(box, argv.split(), tree)


def test_taking_back_what_is_declined_is_served(box: Box, tree: Path) -> None:
    for words in ("-P --no-pcre2", "-z --no-search-zip", "--pre=cat --no-pre", "--engine=pcre2 --engine=default",
                  "--sort=accessed --sort=path", "--hyperlink-format=default --hyperlink-format=none"):  # fmt: skip
        answer = compare(box, [*words.split(), "needle", "."], tree)
        assert answer.served == ("hyperlink" not in words), (words, answer.reason)


def test_a_search_of_stdin(box: Box, tree: Path) -> None:
    with (tree / "b.txt").open("rb") as file:
        answer = box.rg(["needle"], tree, stdin=file)
    assert (answer.served, answer.reason) == (False, "stdin")
    assert answer.stdout.startswith(b"needle two\n")
