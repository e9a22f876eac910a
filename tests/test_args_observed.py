"""Options as one sees them: a small printer that obeys nothing but Options prints what the real rg prints.

The tree and the pattern are fixed and simple (each line has at most one match, nothing is ignored), so that what is
compared is the resolution of flags on a pipe and on a terminal, not searching.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from args_oracle import FIFO, TTY, request, run_rg, run_rg_on_tty
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curserve import options
from curserve.choices import Mode, WithFilename
from curserve.colors import RESET, Style
from curserve.options import Options

TREE = {"a": b"x\nfoo\ny\nz\nw\nzfoo\n", "d/b": b"one\n  foo\n", "e": b"nothing\n"}
ENV = {b"TERM": b"xterm"}


class Printer:
    """One run over TREE for the word foo."""

    def __init__(self, chosen: Options) -> None:
        self.options = chosen
        self.out: list[bytes] = []

    def run(self) -> bytes:
        chosen = self.options
        names = [name.encode() for name in TREE]
        if chosen.paths not in ((b"./",), (b".",)):
            names = list(chosen.paths)
        elif not chosen.implicit_path:
            names = [b"./" + name for name in names]
        printed = False
        for name in names:
            text = TREE[os.fsdecode(name).removeprefix("./")]
            before = len(self.out)
            self.file(name, text)
            if printed and len(self.out) > before and chosen.file_separator is not None:
                self.out.insert(before, chosen.file_separator + b"\n")
            printed = printed or len(self.out) > before
        return b"".join(self.out)

    def paint(self, text: bytes, style: Style) -> bytes:
        return style.start() + text + RESET if self.options.color else text

    def path(self, name: bytes, end: bytes) -> bytes:
        chosen = self.options
        if chosen.path_separator is not None:
            name = name.replace(b"/", bytes((chosen.path_separator,)))
        return self.paint(name, chosen.colors.path) + (b"\0" if chosen.null else end)

    def file(self, name: bytes, text: bytes) -> None:
        chosen = self.options
        if chosen.mode is Mode.FILES:
            self.out.append(b"" if chosen.quiet else self.path(name, b"\n"))
            return
        lines = text.splitlines(keepends=True)
        hits = [at for at, line in enumerate(lines) if (b"foo" in line) != chosen.invert_match]
        if chosen.max_count is not None:
            hits = hits[: chosen.max_count]
        if chosen.quiet or (not chosen.matches_possible):
            return
        if chosen.mode is Mode.STANDARD:
            self.standard(name, lines, hits)
        elif chosen.mode in (Mode.COUNT, Mode.COUNT_MATCHES):
            if hits or chosen.include_zero:
                self.out.append(self.path(name, b":") if self.with_path() else b"")
                self.out.append(b"%d\n" % len(hits))
        elif bool(hits) == (chosen.mode is Mode.FILES_WITH_MATCHES):
            self.out.append(self.path(name, b"\n"))

    def with_path(self) -> bool:
        chosen = self.options
        if chosen.with_filename is WithFilename.AUTO:
            return chosen.paths == (b".",)
        return chosen.with_filename is WithFilename.YES

    def standard(self, name: bytes, lines: list[bytes], hits: list[int]) -> None:
        chosen = self.options
        shown = set(range(len(lines))) if chosen.passthru else set()
        for at in hits:
            shown.update(range(max(0, at - chosen.before_context), min(len(lines), at + chosen.after_context + 1)))
        if shown and chosen.heading and self.with_path():
            self.out.append(self.path(name, b"\n"))
        last = None
        context = chosen.before_context or chosen.after_context
        for at in sorted(shown):
            if context and last is not None and at > last + 1 and chosen.context_separator is not None:
                self.out.append(chosen.context_separator + b"\n")
            last = at
            self.line(name, lines, at, at in hits)

    def line(self, name: bytes, lines: list[bytes], at: int, hit: bool) -> None:
        chosen, line = self.options, lines[at]
        separator = chosen.field_match_separator if hit else chosen.field_context_separator
        column = line.find(b"foo")
        if self.with_path() and not chosen.heading:
            self.out.append(self.path(name, separator))
        if chosen.line_number:
            self.out.append(self.paint(b"%d" % (at + 1), chosen.colors.line) + separator)
        if chosen.column and hit:
            self.out.append(self.paint(b"%d" % (max(column, 0) + 1), chosen.colors.column) + separator)
        if chosen.byte_offset:
            self.out.append(self.paint(b"%d" % sum(map(len, lines[:at])), chosen.colors.column) + separator)
        if chosen.trim:
            line = line.lstrip(b" ")
        if hit != chosen.invert_match:
            match = chosen.replacement if chosen.replacement is not None else b"foo"
            line = line.replace(b"foo", self.paint(match, chosen.colors.match))
        self.out.append(line)


FLAGS = [
    *[
        "-n",
        "-N",
        "-H",
        "-I",
        "--heading",
        "--no-heading",
        "--column",
        "--no-column",
        "-b",
        "-c",
        "--count-matches",
        "-l",
    ],
    *["--files-without-match", "--files", "-q", "-0", "--json", "--no-json", "-C1", "-A1", "-B1", "-A0", "--passthru"],
    *["--vimgrep", "--trim", "--no-trim", "--color=always", "--color=never", "--color=auto", "-p", "-m1", "-m0", "-v"],
    *["--path-separator=#", "--field-match-separator=\\t", "--field-context-separator=+", "--context-separator=%%"],
    *["--no-context-separator", "--include-zero", "--no-include-zero", "-rbar", "--colors=line:none"],
    "--colors=path:style:bold",
]


def _comparable(chosen: Options) -> bool:
    """The printer above knows neither JSON nor what these two do to each other."""
    if chosen.mode is Mode.JSON or chosen.stats:
        return False
    context = chosen.before_context or chosen.after_context or chosen.passthru
    if chosen.per_match and chosen.byte_offset:  # then the offset is the match's
        return False
    # -m counts differently with context; -v has no column of its own; --vimgrep -v prints by another road.
    return not (chosen.max_count and context) and not (chosen.invert_match and (chosen.column or chosen.per_match))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for name, text in TREE.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(text)
    return root


@pytest.mark.parametrize("tty", [False, True])
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flags=st.lists(st.sampled_from(FLAGS), max_size=6), paths=st.sampled_from(["", ".", "a", "a d/b"]))
def test_printed_as_rg_prints(tree: Path, tty: bool, flags: list[str], paths: str) -> None:
    argv = [b"--sort=path", *(flag.encode() for flag in flags)]
    if options.parse(argv).mode is not Mode.FILES:
        argv.append(b"foo")
    argv += paths.encode().split()
    chosen = options.read(argv, request(tree, stdout=TTY if tty else FIFO, env=ENV))
    if not _comparable(chosen):
        return
    printed = run_rg_on_tty(argv, tree, ENV) if tty else run_rg(argv, tree, ENV).stdout
    assert Printer(chosen).run() == printed
