"""The kernel's searcher and printers in a process of their own, and ripgrep 15.2.0 asked the same.

The driver (tests/kernel/search_driver.cpp) stands for the daemon; patterns go through curserve.regex.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from built_c import real_rg, sanitized

from curserve.kernel_door import lib
from curserve.regex import RegexOptions, translate

ASIAN = ("gb18030", "big5", "euc-jp", "shift_jis", "euc-kr", "iso-2022-jp", "x-user-defined")
"""The encodings of more than one byte for a character that are no Unicode, and one that is read as they are."""
_SOURCES = ("searcher", "printer", "json", "summary", "decode", "multi_byte", "matcher", "literal", "re2_engine", "vm",
            "dfa", "pace", "class_finder", "line_pass")  # fmt: skip
_STYLES = {  # the bytes of cs_style: fg, bg (kind r g b each), bold, intense, underline, italic
    "path_style": bytes([1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    "line_style": bytes([1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    "match_style": bytes([1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
}


@dataclass
class Question:
    """One search. flags: for rg; spec: the same for the kernel; regex: the same for the translator."""

    patterns: list[str]
    flags: list[str] = field(default_factory=list)
    spec: dict[str, int | bytes] = field(default_factory=dict)
    regex: dict[str, object] = field(default_factory=dict)

    def argv(self) -> list[str]:
        return [*self.flags, *(word for pattern in self.patterns for word in ("-e", pattern))]


# flag words, what they are in the spec, what they are for the translator
_FLAGS: dict[str, tuple[list[str], dict[str, int | bytes], dict[str, object]]] = {
    "n": (["-n"], {"line_number": 1}, {}),
    "column": (["--column"], {"column": 1, "line_number": 1}, {}),
    "b": (["-b"], {"byte_offset": 1}, {}),
    "o": (["-o"], {"only_matching": 1}, {}),
    "H": (["-H"], {"with_filename": 1}, {}),
    "I": (["-I"], {"with_filename": 0}, {}),
    "heading": (["--heading"], {"heading": 1}, {}),
    "v": (["-v"], {"invert_match": 1}, {}),
    "A1": (["-A1"], {"after_context": 1}, {}),
    "A3": (["-A3"], {"after_context": 3}, {}),
    "B2": (["-B2"], {"before_context": 2}, {}),
    "C1": (["-C1"], {"before_context": 1, "after_context": 1}, {}),
    "C5": (["-C5"], {"before_context": 5, "after_context": 5}, {}),
    "passthru": (["--passthru"], {"passthru": 1}, {}),
    "m1": (["-m1"], {"has_max_count": 1, "max_count": 1}, {}),
    "m2": (["-m2"], {"has_max_count": 1, "max_count": 2}, {}),
    "m7": (["-m7"], {"has_max_count": 1, "max_count": 7}, {}),
    "stop": (["--stop-on-nonmatch"], {"stop_on_nonmatch": 1}, {}),
    "a": (["-a"], {"binary": 2}, {"ban_nul": False}),
    "binary": (["--binary"], {"binary": 1}, {}),
    "crlf": (["--crlf"], {"line_terminator": 1}, {"crlf": True}),
    "null_data": (["--null-data"], {"line_terminator": 2}, {"null_data": True, "ban_nul": False}),
    "U": (["-U"], {}, {"multi_line": True}),
    "Udotall": (["-U", "--multiline-dotall"], {}, {"multi_line": True, "dotall": True}),
    "i": (["-i"], {}, {"case": "insensitive"}),
    "w": (["-w"], {}, {"word": True}),
    "stats": (["--stats"], {"stats": 1}, {}),
    "json": (["--json"], {"mode": 1, "stats": 1, "line_number": 1}, {}),
    "c": (["-c"], {"mode": 2}, {}),
    "count_matches": (["--count-matches"], {"mode": 3}, {}),
    "l": (["-l"], {"mode": 4}, {}),
    "L": (["--files-without-match"], {"mode": 5}, {}),
    "q": (["-q"], {"quiet": 1}, {}),
    "include_zero": (["--include-zero"], {"include_zero": 1}, {}),
    "trim": (["--trim"], {"trim": 1}, {}),
    "M20": (["-M20"], {"has_max_columns": 1, "max_columns": 20}, {}),
    "M5": (["-M5"], {"has_max_columns": 1, "max_columns": 5}, {}),
    "preview": (["--max-columns-preview"], {"max_columns_preview": 1}, {}),
    "vimgrep": (["--vimgrep"], {"vimgrep": 1, "column": 1, "line_number": 1, "with_filename": 1}, {}),
    "0": (["-0"], {"null_path": 1}, {}),
    "path_separator": (["--path-separator", "+"], {"has_path_separator": 1, "path_separator": 43}, {}),
    "no_context_separator": (["--no-context-separator"], {"has_context_separator": 0}, {}),
    "context_separator": (["--context-separator", "=="], {"context_separator": b"=="}, {}),
    "field_match": (["--field-match-separator", "::"], {"field_match_separator": b"::"}, {}),
    "field_context": (["--field-context-separator", "~"], {"field_context_separator": b"~"}, {}),
    "replace": (["-r", "<$0$$$x|${1}>"], {"has_replacement": 1, "replacement": b"<$0$$$x|${1}>"}, {}),
    "replace_empty": (["-r", ""], {"has_replacement": 1, "replacement": b""}, {}),
    "color": (["--color", "always"], {"color": 1, **_STYLES}, {}),
    "highlight": (
        ["--color", "always", "--colors", "highlight:bg:blue", "--colors", "match:bg:0,1,0xff", "--colors",
         "match:style:intense", "--colors", "path:fg:33", "--colors", "line:none", "--colors", "column:style:italic"],
        {"color": 1, "path_style": bytes([2, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
         "match_style": bytes([1, 1, 0, 0, 3, 0, 1, 255, 1, 1, 0, 0]),
         "highlight_style": bytes([0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0]), "column_style": bytes([0] * 11 + [1])},
        {},
    ),
    "mmap": (["--mmap"], {"mmap": 1}, {}),
    "no_mmap": (["--no-mmap"], {"mmap": 0}, {}),
    "E_none": (["-E", "none"], {"encoding": 1}, {}),
    "E_utf8": (["-E", "utf-8"], {"encoding": 2}, {}),
    "E_utf16le": (["-E", "utf-16le"], {"encoding": 3}, {}),
    "E_utf16be": (["-E", "utf-16be"], {"encoding": 4}, {}),
    "E_latin1": (["-E", "latin1"], {"encoding": 5}, {}),
    "E_cyrillic": (["-E", "cp1251"], {"encoding": lib.cs_encoding_named(b"windows-1251")}, {}),
    "E_hebrew": (["-E", "windows-1255"], {"encoding": lib.cs_encoding_named(b"windows-1255")}, {}),  # has no 0xD9
    **{f"E_{name}": (["-E", name], {"encoding": lib.cs_encoding_named(name.encode())}, {}) for name in ASIAN},
}  # fmt: skip


def question(patterns: str | list[str], *names: str) -> Question:
    """A question with the flags of these names."""
    asked = Question([patterns] if isinstance(patterns, str) else list(patterns))
    for name in names:
        flags, spec, regex = _FLAGS[name]
        asked.flags += flags
        asked.spec |= spec
        asked.regex |= regex
    spec = asked.spec
    if spec.get("only_matching") and spec.get("mode") == 2:
        spec["mode"] = 3
    if spec.get("invert_match") and spec.get("mode") == 3:
        spec["mode"] = 2
    if spec.get("vimgrep"):
        spec["heading"] = 0
    return asked


class Driver:
    """The kernel's searcher in a process of its own."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, asked: Question, files: Sequence[tuple[bytes, Path, bool]]) -> tuple[str, bytes, int]:
        """(why unsure or "-", output, exit code)."""
        found = translate([pattern.encode() for pattern in asked.patterns], RegexOptions(**asked.regex))  # type: ignore[arg-type]
        lines: list[str] = ["new"]
        defaults: dict[str, int | bytes] = {
            "with_filename": 1,
            "has_context_separator": 1,
            "context_separator": b"--",
            "field_match_separator": b":",
            "field_context_separator": b"-",
        }
        spec = defaults | asked.spec
        names = b"".join(b"%d\0%s\0" % (i, name) for i, name in enumerate(found.capture_names) if name is not None)
        fields: dict[str, int | bytes] = spec | {
            "program": found.program, "capture_slots": found.capture_slots, "matcher_terminator": found.line_terminator,
            "multi_line": int(found.multi_line), "re2_ascii": found.re2_ascii, "re2_bytes": found.re2_bytes,
            "re2_spans": int(found.re2_spans), "literals_fold_ascii": int(found.literals_fold_ascii),
            "required_fold_ascii": int(found.required_fold_ascii), "capture_names": names,
        }  # fmt: skip
        lines += [f"{key} {value.hex() if isinstance(value, bytes) else value}" for key, value in fields.items()]
        lines += [f"literal {text.hex()}" for text in found.literals]
        lines += [f"required {text.hex()}" for text in found.required]
        for name, disk, named in files:
            lines += [f"content {os.fsencode(disk).hex()}", f"file {name.hex()} {int(named)}"]
        lines.append("run")
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(("\n".join(lines) + "\n").encode())
        self.process.stdin.flush()
        head = self.process.stdout.readline().split()
        assert len(head) == 4, f"the driver died: {asked} {files}"
        output = self.process.stdout.read(int(head[2]))
        assert head[3] == b"0", f"bytes_searched_without_match disagrees with a search: {asked} {files}"
        return head[0].decode(), output, 0 if head[1] == b"1" else 1


def compiled(folder: Path) -> Path:
    """The driver's program, compiled with the sanitizers; CURSERVE_SEARCH_DRIVER names one that is there already."""
    ready = os.environ.get("CURSERVE_SEARCH_DRIVER")
    if ready:
        return Path(ready)
    return sanitized("search_driver", _SOURCES, folder, ["re2"])


ELAPSED = re.compile(
    rb'"human":"[0-9.]+s"|"nanos":\d+|"secs":\d+|^[0-9.]+ seconds(?= spent searching$| total$)', re.MULTILINE
)


def check(driver: Driver, folder: Path, asked: Question, names: Sequence[str], *, walk: bool) -> str | None:
    """What differs between the driver's answer and rg's; None if nothing does. Raises Decline.

    walk: search the folder, which holds exactly these files; else the files are named.
    """
    named = sorted(names)
    argv = [str(real_rg()), "--no-config", "--sort", "path", *asked.argv()]
    asked.spec["single_threaded"] = 1
    if walk:
        files = [(b"./" + name.encode(), folder / name, False) for name in named]
        argv += ["-uu", "./"]
    else:
        files = [(name.encode(), folder / name, True) for name in named]
        argv += ["--", *named]
        if len(named) <= 10:
            asked.spec.setdefault("mmap", 1)
        if len(named) == 1:
            asked.spec.setdefault("with_filename", 0)
    unsure, ours, code = driver.ask(asked, files)
    if unsure != "-":
        return None
    done = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode != 2, done.stderr
    mine, theirs = ELAPSED.sub(b"<elapsed>", ours), ELAPSED.sub(b"<elapsed>", done.stdout)
    if mine == theirs and code == done.returncode:
        return None
    at = next((i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs)))
    start = max(0, at - 150)
    return (
        f"{shlex.join(argv[3:])} in {folder}: exit {code}, rg's {done.returncode}; from byte {start}:\n"
        f"  ours {mine[start : at + 150]!r}\n  rg's {theirs[start : at + 150]!r}"
    )
