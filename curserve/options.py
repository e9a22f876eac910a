"""What was meant: LowArgs resolved against the client's cwd, environment and descriptors.

In: argv (or LowArgs) and a RequestContext. Out: Options, frozen, all a planner needs; or errors.Decline(reason).
Invariant: reads nothing but the files of RIPGREP_CONFIG_PATH and -f. What depends on the searched tree stays open
and is said so (WithFilename.AUTO, Mmap.AUTO). It compiles no glob and no pattern.
Source: rg's hiargs.rs for the shape, ripgrep 15.2.0's behaviour wherever the two differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from curserve import colors, filetypes, rgconfig, rgversion
from curserve.args import LowArgs, parse
from curserve.choices import (
    SEARCH_MODES,
    Binary,
    Boundary,
    Case,
    Color,
    Detection,
    Engine,
    Mmap,
    Mode,
    SortKind,
    Special,
    WithFilename,
)
from curserve.errors import Decline
from curserve.filetypes import Selection
from curserve.smallfile import read_small

_MAX_PATTERN_FILE_BYTES = 1 << 20  # arbitrary: longer lists are for the real rg


class FdKind(IntEnum):
    """CS_FD_* of shims/wire.h; a test holds the two together."""

    CLOSED = 0
    TTY = 1
    FILE = 2
    FIFO = 3
    SOCKET = 4
    CHAR = 5
    OTHER = 6


class Fd(NamedTuple):
    """One of the client's descriptors. dev and ino are 0 unless kind is FILE."""

    kind: int
    dev: int = 0
    ino: int = 0


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Where a request comes from. `env` holds what the client sent of wire.h's CS_WIRE_ENV."""

    cwd: bytes
    env: Mapping[bytes, bytes]
    fds: tuple[Fd, Fd, Fd]


class Glob(NamedTuple):
    """One -g or --iglob, as typed."""

    text: bytes
    case_insensitive: bool


class Sort(NamedTuple):
    """PATH ascending is the walk's own order; PATH reversed compares whole paths, last first."""

    kind: SortKind
    reverse: bool


@dataclass(frozen=True, slots=True)
class Options:
    """A request, resolved. Limits are None where there is none."""

    mode: Mode
    cwd: bytes = b""
    # VERSION_* and TYPE_LIST: all of stdout, and the exit code; nothing is searched.
    answer: bytes | None = None
    answer_exit: int = 0

    # Patterns, in order, no duplicates; each is UTF-8. Empty outside of searches.
    patterns: tuple[bytes, ...] = ()
    # False: rg prints nothing and exits with 1, without so much as compiling a pattern or walking.
    matches_possible: bool = True
    engine: Engine = Engine.DEFAULT  # never PCRE2; AUTO: as DEFAULT, and a pattern that it rejects is declined anyway
    fixed_strings: bool = False
    case: Case = Case.SENSITIVE
    boundary: Boundary | None = None
    unicode: bool = True
    multiline: bool = False
    multiline_dotall: bool = False
    crlf: bool = False  # never together with null_data
    null_data: bool = False
    regex_size_limit_bytes: int | None = None
    dfa_size_limit_bytes: int | None = None
    ban_nul: bool = True  # rg rejects a pattern that spells NUL

    # Where to look. Paths as typed; (b"./",) with implicit_path, and then "./" is not printed before a path.
    paths: tuple[bytes, ...] = ()
    implicit_path: bool = False
    # (device, inode) of the file that stdout is, in a search: a walk passes over it (seen as `rg foo > out`), but
    # not if it was named itself. Depends on more than a descriptor's kind: not to be remembered with a plan.
    stdout_file: tuple[int, int] | None = None
    hidden: bool = False
    # Which rules count; the names are those of IgnoreSwitches in kernel/ignore.h.
    use_dot: bool = True
    use_vcs: bool = True
    use_exclude: bool = True
    use_global: bool = True
    use_parent: bool = True
    require_git: bool = True
    ignore_files: tuple[bytes, ...] = ()  # --ignore-file, in order, as typed; empty with --no-ignore-files
    ignore_case_insensitive: bool = False  # of all ignore files
    globs: tuple[Glob, ...] = ()  # every -g, then every --iglob: that is their order of precedence
    types: tuple[Selection, ...] = ()
    max_depth: int | None = None
    max_filesize_bytes: int | None = None
    follow: bool = False
    one_file_system: bool = False
    sort: Sort | None = None
    # As typed (-j 0 counts as not typed). rg itself uses one thread with a sort, or for one path that is no directory.
    threads: int | None = None

    # How to search a file.
    invert_match: bool = False
    passthru: bool = False
    before_context: int = 0
    after_context: int = 0
    max_count: int | None = None
    stop_on_nonmatch: bool = False
    binary_explicit: Detection = Detection.CONVERT  # a file named on the command line
    binary_implicit: Detection = Detection.QUIT  # a file met on the walk
    encoding: str = "auto"  # auto, none (no look at a BOM either), or a name
    mmap: Mmap = Mmap.AUTO

    # What to print.
    quiet: bool = False  # then nothing but statistics is printed, whatever the mode
    quit_after_match: bool = False  # the first match (in FILES: the first file) ends everything
    stats: bool = False  # true for JSON: its summary line
    heading: bool = False
    with_filename: WithFilename = WithFilename.YES
    line_number: bool = False
    column: bool = False
    byte_offset: bool = False
    only_matching: bool = False
    per_match: bool = False  # --vimgrep: a line is printed once for each of its matches
    replacement: bytes | None = None
    trim: bool = False
    max_columns_bytes: int | None = None
    max_columns_preview: bool = False
    color: bool = False
    colors: colors.Colors = colors.DEFAULT_COLORS
    file_separator: bytes | None = None  # a line between the outputs of two files (b"": an empty line); None: nothing
    context_separator: bytes | None = b"--"  # a line between groups; None: nothing
    field_match_separator: bytes = b":"
    field_context_separator: bytes = b"-"
    path_separator: int | None = None  # byte printed for '/'
    null: bool = False  # NUL ends a path, in place of ':' '-' or newline
    include_zero: bool = False
    messages: bool = True  # about files that cannot be opened or read
    ignore_messages: bool = True  # about bad lines of ignore files; never without `messages`

    flags_used: frozenset[str] = frozenset()  # long names, those of the configuration file included


def read(argv: Sequence[bytes], request: RequestContext) -> Options:
    """argv (without argv[0]) and the configuration file, resolved. Raises Decline."""
    low = parse(argv)
    if low.special is None and not low.no_config:
        path = request.env.get(b"RIPGREP_CONFIG_PATH")
        if path:
            configured = rgconfig.arguments(path, request.cwd)
            if configured:
                low = parse([*configured, *argv])
                if low.special is not None:  # 15.2.0 panics
                    raise Decline("config")
    return resolve(low, request)


def resolve(low: LowArgs, request: RequestContext) -> Options:
    """LowArgs in the light of the request, no configuration file. Raises Decline."""
    if low.special is not None:
        return _special(low)
    _decline_unserved(low)
    mode = low.mode
    searching = mode in SEARCH_MODES
    if searching:
        if mode is Mode.COUNT_MATCHES and low.invert_match:
            mode = Mode.COUNT
        elif mode is Mode.COUNT and low.only_matching:
            mode = Mode.COUNT_MATCHES
    patterns, positional = _patterns(low, request) if searching else ((), low.positional)
    types = filetypes.resolve(low.type_changes)
    if mode is Mode.TYPE_LIST:
        return _type_list(low, types)
    paths = tuple(positional)
    if b"-" in paths:
        raise Decline("stdin")
    if b"" in paths:  # names nothing; joined to the cwd it would name that
        raise Decline("empty_path")
    stdin = request.fds[0].kind
    if not paths and searching and (stdin == FdKind.FIFO or stdin == FdKind.FILE or stdin == FdKind.SOCKET):
        raise Decline("stdin")
    tty = request.fds[1].kind == FdKind.TTY
    stats = searching and (low.stats or mode is Mode.JSON)
    column = low.vimgrep if low.column is None else low.column
    heading = not low.vimgrep and (tty if low.heading is None else low.heading)
    before, after = _context(low)
    text = low.binary is Binary.TEXT or low.null_data
    return Options(
        mode=mode,
        cwd=request.cwd,
        patterns=patterns,
        matches_possible=not searching or (low.max_count != 0 and (bool(patterns) or low.invert_match)),
        engine=low.engine,
        fixed_strings=low.fixed_strings,
        case=low.case,
        boundary=low.boundary,
        unicode=not low.no_unicode,
        multiline=low.multiline,
        multiline_dotall=low.multiline_dotall,
        crlf=low.crlf,
        null_data=low.null_data,
        regex_size_limit_bytes=low.regex_size_limit,
        dfa_size_limit_bytes=low.dfa_size_limit,
        ban_nul=not text,
        paths=paths or (b"./",),
        implicit_path=not paths,
        stdout_file=request.fds[1][1:] if searching and request.fds[1].kind == FdKind.FILE else None,
        hidden=low.hidden,
        use_dot=not low.no_ignore_dot,
        use_vcs=not low.no_ignore_vcs,
        use_exclude=not (low.no_ignore_vcs or low.no_ignore_exclude),
        use_global=not (low.no_ignore_vcs or low.no_ignore_global),
        use_parent=not low.no_ignore_parent,
        require_git=not low.no_require_git,
        ignore_files=() if low.no_ignore_files else tuple(low.ignore_file),
        ignore_case_insensitive=low.ignore_file_case_insensitive,
        globs=_globs(low) if low.globs or low.iglobs else (),
        types=types.selections,
        max_depth=low.max_depth,
        max_filesize_bytes=low.max_filesize,
        follow=low.follow,
        one_file_system=low.one_file_system,
        sort=None if low.sort is None else Sort(*low.sort),
        threads=low.threads,
        invert_match=low.invert_match,
        passthru=low.passthru,
        before_context=before,
        after_context=after,
        max_count=low.max_count,
        stop_on_nonmatch=low.stop_on_nonmatch,
        binary_explicit=Detection.NONE if text else Detection.CONVERT,
        binary_implicit=(
            Detection.NONE if text else Detection.CONVERT if low.binary is Binary.SUPPRESS else Detection.QUIT
        ),
        encoding=low.encoding,
        mmap=low.mmap,
        quiet=low.quiet,
        quit_after_match=low.quiet and not stats,
        stats=stats,
        heading=heading,
        with_filename=_with_filename(low, paths),
        line_number=_line_number(low, mode, tty, column),
        column=column,
        byte_offset=low.byte_offset,
        only_matching=low.only_matching,
        per_match=low.vimgrep,
        replacement=low.replace,
        trim=low.trim,
        max_columns_bytes=low.max_columns,
        max_columns_preview=low.max_columns_preview,
        color=_color(low.color, tty, request.env),
        colors=colors.resolve(low.colors),
        file_separator=_file_separator(low, mode, heading, before, after),
        context_separator=low.context_separator,
        field_match_separator=low.field_match_separator,
        field_context_separator=low.field_context_separator,
        path_separator=low.path_separator,
        null=low.null,
        include_zero=low.include_zero,
        messages=not low.no_messages,
        ignore_messages=not (low.no_messages or low.no_ignore_messages),
        flags_used=frozenset(low.flags_used),
    )


def _special(low: LowArgs) -> Options:
    """--version and -V come before all else, whatever else was typed; --help and --pcre2-version are declined."""
    used = frozenset(low.flags_used)
    if low.special is Special.VERSION_LONG:
        return Options(Mode.VERSION_LONG, answer=rgversion.version_text(True), flags_used=used)
    if low.special is Special.VERSION_SHORT:
        return Options(Mode.VERSION_SHORT, answer=rgversion.version_text(False), flags_used=used)
    raise Decline("help" if low.special is Special.HELP else "pcre2_version")


def _type_list(low: LowArgs, types: filetypes.FileTypes) -> Options:
    """rg compiles the globs of -g and of selected types before it lists, and may find one bad: declined."""
    if low.globs or low.iglobs or types.selections:
        raise Decline("type_list")
    listing = filetypes.listing(types.definitions)
    return Options(
        Mode.TYPE_LIST, answer=listing, answer_exit=0 if listing else 1, flags_used=frozenset(low.flags_used)
    )


def _decline_unserved(low: LowArgs) -> None:
    """Flags in force that curserve leaves to the real rg; reasons as in `curserve.flags`."""
    if low.mode is Mode.GENERATE:
        raise Decline("generate")
    if low.debug:
        raise Decline("debug")
    if low.hostname_bin is not None:  # rg runs it even where it prints no link
        raise Decline("hostname_bin")
    if low.pre_globs:
        raise Decline("pre")
    # Reading changes when a file was accessed; ripgrep's own program, linked with musl, knows of no births and says so.
    if low.sort is not None and low.sort[0] in (SortKind.ACCESSED, SortKind.CREATED):
        raise Decline("sort_" + low.sort[0].value)
    if low.mode in SEARCH_MODES:
        if low.engine is Engine.PCRE2:
            raise Decline("pcre2")
        if low.pre is not None:
            raise Decline("pre")
        if low.search_zip:
            raise Decline("search_zip")


def _patterns(low: LowArgs, request: RequestContext) -> tuple[tuple[bytes, ...], list[bytes]]:
    """(the patterns, what is left of the positionals)"""
    if not low.patterns:
        if not low.positional:
            raise Decline("no_pattern")
        pattern = low.positional[0]
        _check_utf8(pattern)
        return (pattern,), low.positional[1:]
    patterns: dict[bytes, None] = {}
    for from_file, text in low.patterns:
        if not from_file:
            patterns[text] = None
            continue
        if text == b"-":
            raise Decline("stdin")
        contents = read_small(text, request.cwd, _MAX_PATTERN_FILE_BYTES, "pattern_file")
        _check_utf8(contents)
        lines = contents.split(b"\n")
        last = lines.pop()  # what follows the last newline: a pattern only if there is something
        for line in lines:
            patterns[line[:-1] if line[-1:] == b"\r" else line] = None
        if last:
            patterns[last] = None
    return tuple(patterns), low.positional


def _check_utf8(text: bytes) -> None:
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            raise Decline("bad_pattern") from None


def _globs(low: LowArgs) -> tuple[Glob, ...]:
    return (
        *(Glob(text, low.glob_case_insensitive) for text in low.globs),
        *(Glob(text, True) for text in low.iglobs),
    )


def _context(low: LowArgs) -> tuple[int, int]:
    """(before, after): -A and -B win over -C wherever they stand; --passthru has none."""
    if low.passthru:
        return 0, 0
    both = low.context_both or 0
    before = both if low.context_before is None else low.context_before
    after = both if low.context_after is None else low.context_after
    return before, after


def _with_filename(low: LowArgs, paths: tuple[bytes, ...]) -> WithFilename:
    if low.with_filename is not None:
        return WithFilename.YES if low.with_filename else WithFilename.NO
    if low.vimgrep or len(paths) != 1:
        return WithFilename.YES
    return WithFilename.AUTO


def _line_number(low: LowArgs, mode: Mode, tty: bool, column: bool) -> bool:
    if low.line_number is not None:
        return low.line_number
    if low.quiet:
        return False
    if mode is Mode.JSON:
        return True
    return mode is Mode.STANDARD and (tty or column or low.vimgrep)


def _color(color: Color, tty: bool, env: Mapping[bytes, bytes]) -> bool:
    """termcolor's rule for AUTO: a terminal, TERM set and not "dumb", NO_COLOR unset (an empty one counts as set)."""
    if color is Color.AUTO:
        return tty and env.get(b"TERM", b"dumb") != b"dumb" and b"NO_COLOR" not in env
    return color is not Color.NEVER


def _file_separator(low: LowArgs, mode: Mode, heading: bool, before: int, after: int) -> bytes | None:
    if mode is not Mode.STANDARD:
        return None
    if heading:
        return b""
    return low.context_separator if before or after else None
