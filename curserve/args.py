"""What was typed: argv as ripgrep 15.2.0 parses it (lexopt's rules), without looking at the world.

In: argv without argv[0]. Out: LowArgs. Raises errors.Decline("bad_flag") for whatever rg answers with an error,
and Decline("encoding" | "hyperlink") for values that curserve does not know.
Invariant: touches no file, no environment, no terminal. Overriding is by order, exactly as rg does it; what a
combination means is for `curserve.options`.

The rules: `--` ends flags; `-` alone is a path; `--name=value` or `--name value`; a value may begin with a dash; short
flags combine and the rest of the word (less one '=') is the value of the first that takes one; no abbreviations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from curserve import colors, flagvalues
from curserve.choices import Binary, Boundary, Case, Color, Engine, Mmap, Mode, SortKind, Special
from curserve.errors import Decline
from curserve.flags import FLAGS


@dataclass(slots=True)
class LowArgs:
    """argv, typed. Names are rg's long flags. None: not given, where rg's default depends on something else."""

    special: Special | None = None
    mode: Mode = Mode.STANDARD
    positional: list[bytes] = field(default_factory=list)
    patterns: list[tuple[bool, bytes]] = field(default_factory=list)  # (is it a file of patterns?, text or path)
    flags_used: set[str] = field(default_factory=set)  # long names
    binary: Binary = Binary.AUTO
    boundary: Boundary | None = None
    byte_offset: bool = False
    case: Case = Case.SENSITIVE
    color: Color = Color.AUTO
    colors: list[colors.Spec] = field(default_factory=list)
    column: bool | None = None
    passthru: bool = False
    context_before: int | None = None
    context_after: int | None = None
    context_both: int | None = None
    context_separator: bytes | None = b"--"
    crlf: bool = False
    debug: bool = False
    dfa_size_limit: int | None = None
    encoding: str = "auto"
    engine: Engine = Engine.DEFAULT
    field_context_separator: bytes = b"-"
    field_match_separator: bytes = b":"
    fixed_strings: bool = False
    follow: bool = False
    glob_case_insensitive: bool = False
    globs: list[bytes] = field(default_factory=list)
    heading: bool | None = None
    hidden: bool = False
    hostname_bin: bytes | None = None
    iglobs: list[bytes] = field(default_factory=list)
    ignore_file: list[bytes] = field(default_factory=list)
    ignore_file_case_insensitive: bool = False
    include_zero: bool = False
    invert_match: bool = False
    line_number: bool | None = None
    max_columns: int | None = None
    max_columns_preview: bool = False
    max_count: int | None = None
    max_depth: int | None = None
    max_filesize: int | None = None
    mmap: Mmap = Mmap.AUTO
    multiline: bool = False
    multiline_dotall: bool = False
    no_config: bool = False
    no_ignore_dot: bool = False
    no_ignore_exclude: bool = False
    no_ignore_files: bool = False
    no_ignore_global: bool = False
    no_ignore_messages: bool = False
    no_ignore_parent: bool = False
    no_ignore_vcs: bool = False
    no_messages: bool = False
    no_require_git: bool = False
    no_unicode: bool = False
    null: bool = False
    null_data: bool = False
    one_file_system: bool = False
    only_matching: bool = False
    path_separator: int | None = None
    pre: bytes | None = None
    pre_globs: list[bytes] = field(default_factory=list)
    quiet: bool = False
    regex_size_limit: int | None = None
    replace: bytes | None = None
    search_zip: bool = False
    sort: tuple[SortKind, bool] | None = None  # (kind, reverse)
    stats: bool = False
    stop_on_nonmatch: bool = False
    threads: int | None = None
    trim: bool = False
    type_changes: list[tuple[str, bytes]] = field(default_factory=list)  # (add | clear | select | negate, text)
    unrestricted: int = 0
    vimgrep: bool = False
    with_filename: bool | None = None


# A setter's second argument is the value of a flag that takes one, else whether the flag (True) or its negation (False)
# was typed.
_Setter = Callable[[LowArgs, bytes], None]
_Switch = Callable[[LowArgs, bool], None]


def _store(name: str, convert: Callable[[bytes], object]) -> _Setter:
    def setter(low: LowArgs, value: bytes) -> None:
        setattr(low, name, convert(value))

    return setter


def _append(name: str, convert: Callable[[bytes], object]) -> _Setter:
    def setter(low: LowArgs, value: bytes) -> None:
        getattr(low, name).append(convert(value))

    return setter


def _check(convert: Callable[[bytes], object]) -> _Setter:
    """For a value that changes nothing, but may be declined."""

    def setter(low: LowArgs, value: bytes) -> None:
        convert(value)

    return setter


def _choice(name: str, words: dict[bytes, object]) -> _Setter:
    def setter(low: LowArgs, value: bytes) -> None:
        if value not in words:
            raise Decline("bad_flag")
        setattr(low, name, words[value])

    return setter


def _context(name: str) -> _Setter:
    def setter(low: LowArgs, value: bytes) -> None:
        lines = flagvalues.number(value)
        if low.passthru:  # --passthru and context override each other whole
            low.passthru = False
            low.context_before = low.context_after = low.context_both = None
        setattr(low, name, lines)

    return setter


def _type_change(kind: str) -> _Setter:
    def setter(low: LowArgs, value: bytes) -> None:
        low.type_changes.append((kind, flagvalues.text(value)))

    return setter


def _pattern(low: LowArgs, value: bytes) -> None:
    low.patterns.append((False, flagvalues.text(value)))


def _pattern_file(low: LowArgs, value: bytes) -> None:
    low.patterns.append((True, value))


def _pre(low: LowArgs, value: bytes) -> None:
    low.pre = value or None
    if value:
        low.search_zip = False


def _max_columns(low: LowArgs, value: bytes) -> None:
    low.max_columns = flagvalues.number(value) or None


def _threads(low: LowArgs, value: bytes) -> None:
    low.threads = flagvalues.number(value) or None


def _generate(low: LowArgs, value: bytes) -> None:
    if value.decode("latin-1") not in _CHOICES["generate"]:
        raise Decline("bad_flag")
    low.mode = Mode.GENERATE


def _flag(name: str) -> _Switch:
    def switch(low: LowArgs, on: bool) -> None:
        setattr(low, name, on)

    return switch


def _either(name: str, typed: object, negated: object) -> _Switch:
    def switch(low: LowArgs, on: bool) -> None:
        setattr(low, name, typed if on else negated)

    return switch


def _crlf(low: LowArgs, on: bool) -> None:
    low.crlf = on
    if on:
        low.null_data = False


def _null_data(low: LowArgs, on: bool) -> None:
    low.crlf = False
    low.null_data = True


def _json(low: LowArgs, on: bool) -> None:
    if on:
        low.mode = Mode.JSON
    elif low.mode is Mode.JSON:
        low.mode = Mode.STANDARD


def _multiline(low: LowArgs, on: bool) -> None:
    low.multiline = on
    if on:
        low.stop_on_nonmatch = False


def _stop_on_nonmatch(low: LowArgs, on: bool) -> None:
    low.stop_on_nonmatch = True
    low.multiline = False


def _no_ignore(low: LowArgs, on: bool) -> None:
    low.no_ignore_dot = low.no_ignore_exclude = low.no_ignore_global = on
    low.no_ignore_parent = low.no_ignore_vcs = on


def _passthru(low: LowArgs, on: bool) -> None:
    low.passthru = True


def _pretty(low: LowArgs, on: bool) -> None:
    low.color = Color.ALWAYS
    low.heading = low.line_number = True


def _search_zip(low: LowArgs, on: bool) -> None:
    low.search_zip = on
    if on:
        low.pre = None


def _unrestricted(low: LowArgs, on: bool) -> None:
    low.unrestricted += 1
    if low.unrestricted == 1:
        _no_ignore(low, True)
    elif low.unrestricted == 2:
        low.hidden = True
    elif low.unrestricted == 3:
        low.binary = Binary.SUPPRESS
    else:
        raise Decline("bad_flag")


_CHOICES: dict[str, tuple[str, ...]] = {flag.long: flag.choices for flag in FLAGS if flag.choices}


def _sort_words(reverse: bool) -> dict[bytes, object]:
    return {
        word.encode(): None if word == "none" else (SortKind(word), reverse) for word in _CHOICES["sort"]
    }


_VALUES: dict[str, _Setter] = {
    "regexp": _pattern,
    "file": _pattern_file,
    "pre": _pre,
    "pre-glob": _append("pre_globs", flagvalues.text),
    "dfa-size-limit": _store("dfa_size_limit", flagvalues.size_bytes),
    "encoding": _store("encoding", flagvalues.encoding),
    "engine": _choice("engine", {word.encode(): Engine(word) for word in _CHOICES["engine"]}),
    "max-count": _store("max_count", flagvalues.number),
    "regex-size-limit": _store("regex_size_limit", flagvalues.size_bytes),
    "threads": _threads,
    "glob": _append("globs", flagvalues.text),
    "iglob": _append("iglobs", flagvalues.text),
    "ignore-file": _append("ignore_file", bytes),
    "max-depth": _store("max_depth", flagvalues.number),
    "max-filesize": _store("max_filesize", flagvalues.size_bytes),
    "type": _type_change("select"),
    "type-not": _type_change("negate"),
    "type-add": _type_change("add"),
    "type-clear": _type_change("clear"),
    "after-context": _context("context_after"),
    "before-context": _context("context_before"),
    "context": _context("context_both"),
    "color": _choice("color", {word.encode(): Color(word) for word in _CHOICES["color"]}),
    "colors": _append("colors", colors.spec),
    "context-separator": _store("context_separator", flagvalues.unescape),
    "field-context-separator": _store("field_context_separator", flagvalues.unescape),
    "field-match-separator": _store("field_match_separator", flagvalues.unescape),
    "hostname-bin": _store("hostname_bin", bytes),
    "hyperlink-format": _check(flagvalues.no_hyperlink),
    "max-columns": _max_columns,
    "path-separator": _store("path_separator", flagvalues.path_separator),
    "replace": _store("replace", flagvalues.text),
    "sort": _choice("sort", _sort_words(False)),
    "sortr": _choice("sort", _sort_words(True)),
    "generate": _generate,
}

_SWITCHES: dict[str, _Switch] = {
    "case-sensitive": _either("case", Case.SENSITIVE, None),
    "ignore-case": _either("case", Case.INSENSITIVE, None),
    "smart-case": _either("case", Case.SMART, None),
    "crlf": _crlf,
    "line-regexp": _either("boundary", Boundary.LINE, None),
    "word-regexp": _either("boundary", Boundary.WORD, None),
    "mmap": _either("mmap", Mmap.ALWAYS, Mmap.NEVER),
    "multiline": _multiline,
    "null-data": _null_data,
    "pcre2": _either("engine", Engine.PCRE2, Engine.DEFAULT),
    "auto-hybrid-regex": _either("engine", Engine.AUTO, Engine.DEFAULT),
    "no-pcre2-unicode": _flag("no_unicode"),
    "stop-on-nonmatch": _stop_on_nonmatch,
    "search-zip": _search_zip,
    "text": _either("binary", Binary.TEXT, Binary.AUTO),
    "binary": _either("binary", Binary.SUPPRESS, Binary.AUTO),
    "no-ignore": _no_ignore,
    "unrestricted": _unrestricted,
    "line-number": _either("line_number", True, None),
    "no-line-number": _either("line_number", False, None),
    "with-filename": _either("with_filename", True, None),
    "no-filename": _either("with_filename", False, None),
    "passthru": _passthru,
    "pretty": _pretty,
    "sort-files": _either("sort", (SortKind.PATH, False), None),
    "block-buffered": lambda low, on: None,
    "line-buffered": lambda low, on: None,
    "count": _either("mode", Mode.COUNT, None),
    "count-matches": _either("mode", Mode.COUNT_MATCHES, None),
    "files-with-matches": _either("mode", Mode.FILES_WITH_MATCHES, None),
    "files-without-match": _either("mode", Mode.FILES_WITHOUT_MATCH, None),
    "json": _json,
    "files": _either("mode", Mode.FILES, None),
    "type-list": _either("mode", Mode.TYPE_LIST, None),
    "trace": _flag("debug"),
    "help": _either("special", Special.HELP, None),
    "pcre2-version": _either("special", Special.PCRE2_VERSION, None),
    "version": _either("special", Special.VERSION_LONG, None),
}

# A row of the dispatch tables: (long name, setter of a value | None, switch | None, what to tell the switch).
_Row = tuple[str, _Setter | None, _Switch | None, bool]


def _tables() -> tuple[dict[bytes, _Row], dict[int, _Row]]:
    """(by `--name`, by the letter of a short flag)"""
    longs: dict[bytes, _Row] = {}
    shorts: dict[int, _Row] = {}
    for flag in FLAGS:
        name = flag.long
        if flag.takes_value:
            row: _Row = (name, _VALUES[name], None, True)
            off: _Switch | None = _NEGATED_VALUES.get(name)
        else:
            off = _SWITCHES.get(name) or _flag(name.replace("-", "_"))
            row = (name, None, off, True)
        for spelling in (name, *flag.aliases):
            longs[b"--" + spelling.encode()] = row
        if flag.short is not None:
            shorts[ord(flag.short)] = row
        if flag.negated is not None:
            longs[b"--" + flag.negated.encode()] = (name, None, off, False)
    # -V and --version print different things.
    shorts[ord("V")] = ("version", None, _either("special", Special.VERSION_SHORT, None), True)
    return longs, shorts


_NEGATED_VALUES: dict[str, _Switch] = {
    "pre": _either("pre", None, None),
    "encoding": _either("encoding", "auto", "auto"),
    "context-separator": _either("context_separator", None, None),
}
_LONGS, _SHORTS = _tables()


def parse(argv: Sequence[bytes]) -> LowArgs:
    """What argv (without argv[0]) says. Raises Decline("bad_flag") where rg exits with a message."""
    low = LowArgs()
    words = iter(argv)
    for word in words:
        if word[:1] != b"-" or len(word) == 1:
            low.positional.append(word)
        elif word[:2] == b"--":
            if len(word) == 2:
                low.positional.extend(words)
                break
            _long(low, word, words)
        else:
            _short(low, word, words)
    return low


def _long(low: LowArgs, word: bytes, words: Iterator[bytes]) -> None:
    row = _LONGS.get(word)
    value: bytes | None = None
    if row is None:
        name, equals, value = word.partition(b"=")
        row = _LONGS.get(name)
        if row is None or not equals:
            raise Decline("bad_flag")
    long, setter, switch, on = row
    low.flags_used.add(long)
    if setter is not None:
        if value is None:
            value = next(words, None)
            if value is None:
                raise Decline("bad_flag")
        setter(low, value)
        return
    if value is not None:  # --switch=value
        raise Decline("bad_flag")
    assert switch is not None
    switch(low, on)


def _short(low: LowArgs, word: bytes, words: Iterator[bytes]) -> None:
    for position in range(1, len(word)):
        row = _SHORTS.get(word[position])
        if row is None:  # unknown, not ASCII, or the '=' of -n=1
            raise Decline("bad_flag")
        long, setter, switch, on = row
        low.flags_used.add(long)
        if setter is None:
            assert switch is not None
            switch(low, on)
            continue
        value: bytes | None = word[position + 1 :]
        if not value:
            value = next(words, None)
            if value is None:
                raise Decline("bad_flag")
        elif value[:1] == b"=":
            value = value[1:]
        setter(low, value)
        return
