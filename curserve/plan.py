"""From a request to everything the kernel needs to answer it: Request → Options → Translation → Plan.

In: a Request. Out: a frozen Plan that owns its C values, or Decline. A plan depends on nothing but the request's
strings and the kinds of its descriptors, so it may be kept and used again (not `reusable`: it has read a file).
Which files there are and what is in them is not known here.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from curserve import options as rg_options
from curserve.choices import SEARCH_MODES, Boundary, Case, Detection, Mmap, Mode, SortKind, WithFilename
from curserve.errors import Decline
from curserve.kernel_door import Handle, Keep, KernelError, ffi, lib
from curserve.options import Options
from curserve.regex import RegexOptions, Translation, translate
from curserve.regex.grams import pack
from curserve.request import Request
from curserve.smallfile import read_small

_USUAL_REGEX_BYTES = 100 << 20  # ripgrep's default of --regex-size-limit; the translator declines far below it
_MAX_IGNORE_FILE_BYTES = 1 << 20  # arbitrary: larger ones are for the real rg

_MODES = {
    Mode.STANDARD: lib.CS_MODE_STANDARD,
    Mode.JSON: lib.CS_MODE_JSON,
    Mode.COUNT: lib.CS_MODE_COUNT,
    Mode.COUNT_MATCHES: lib.CS_MODE_COUNT_MATCHES,
    Mode.FILES_WITH_MATCHES: lib.CS_MODE_FILES_WITH_MATCHES,
    Mode.FILES_WITHOUT_MATCH: lib.CS_MODE_FILES_WITHOUT_MATCH,
}
_BINARY = {
    Detection.QUIT: lib.CS_BINARY_AUTO,
    Detection.CONVERT: lib.CS_BINARY_SEARCH,
    Detection.NONE: lib.CS_BINARY_TEXT,
}
_SORTS = {SortKind.PATH: lib.CS_SORT_PATH, SortKind.MODIFIED: lib.CS_SORT_MODIFIED}


_LETTERS = {Case.SENSITIVE: 0, Case.INSENSITIVE: 1, Case.SMART: 2}
_PROBE = b"another_Word_0"

_GIT_ENVIRONMENT = (b"HOME", b"XDG_CONFIG_HOME", b"GIT_CONFIG_GLOBAL", b"GIT_CONFIG_SYSTEM")


_LONG_BYTES = 1 << 15
"""Of a request's strings; arbitrary. Agents' and people's come to some hundred."""
_INSTRUCTION_BYTES = 12
_MOST_CAPTURES = 1 << 21
"""Instructions times capture slots: what a search thread needs twice, in words of eight bytes. Arbitrary: 300 groups
come to a quarter of it."""
Kind = tuple[frozenset[str], frozenset[str]]
"""The long names of a request's flags and the constructs of its patterns."""


class Plan:
    """What one kind of request comes to. Immutable; used by many threads at once.

    answer: all of stdout when nothing is searched (--version, --type-list), else None; exit_code goes with it.
    query: the kernel's cs_query, for a search or a listing, else None. paths: the absolute names, lexically, of what is
    searched.
    """

    __slots__ = ("_capture_names", "_matcher", "_owned", "answer", "exit_code", "kind", "paths", "query", "reusable")

    def __init__(self, request: Request, planner: Planner) -> None:
        options = _options(request, request.argv)
        self.kind: Kind = (options.flags_used, frozenset())
        self.answer: bytes | None = options.answer
        self.exit_code = options.answer_exit
        self.reusable = not (
            options.ignore_files or "file" in options.flags_used or b"RIPGREP_CONFIG_PATH" in request.env
            or _is_long(request)
        )  # fmt: skip
        self.paths: tuple[bytes, ...] = ()
        self.query: Any = None
        self._owned: list[Handle] = []
        self._matcher: Any = ffi.NULL
        self._capture_names: tuple[bytes | None, ...] = ()
        if self.answer is not None:
            return
        if not options.matches_possible:
            self.answer, self.exit_code = _nothing_possible(options)
            return
        _decline_unready(options)
        self.paths = tuple(_absolute(request.cwd, path) for path in options.paths)
        keep = Keep()
        query = keep.new("cs_query_spec *")
        if options.mode in SEARCH_MODES:
            query.matcher = self._matcher = self._make_matcher(options)
        query.filter = self._filter(options, request, planner)
        spec = keep.new("cs_search_spec *")
        _fill_spec(spec, options, keep, self._capture_names)
        # ripgrep uses one thread for these, too; options.threads is None or 0 where it chooses.
        if planner.alone and not options.threads:
            spec.single_threaded = True
        query.spec = spec
        typed = () if options.implicit_path else options.paths
        query.paths = keep.list(typed)
        query.paths_count = len(typed)
        if options.sort is not None:
            query.sort = _SORTS[options.sort.kind]
            query.sorted = True
            query.reverse = options.sort.reverse
        query.with_filename_auto = options.with_filename is WithFilename.AUTO
        query.mmap_auto = options.mmap is Mmap.AUTO
        query.messages = options.messages
        query.one_file_system = options.one_file_system
        query.threads = planner.threads
        query.brute = planner.brute
        self.query = self._own(lib.cs_query_new(query), lib.cs_query_free, "query")

    def word_shape(self, request: Request) -> WordShape | None:
        """Where the pattern stands in this plan's argv and how it is meant, if requests that differ only in it, a plain
        word in all of them, differ only in what the kernel itself makes of that word (plain_word.h)."""
        if not self.reusable or self._matcher == ffi.NULL:
            return None
        options = _options(request, request.argv)
        if len(options.patterns) != 1 or options.boundary is Boundary.LINE:
            return None
        rules = ffi.new("cs_word_rules *")
        rules.letters = _LETTERS[options.case]
        rules.bounded = options.boundary is Boundary.WORD
        rules.unicode = options.unicode
        rules.null_data = options.null_data
        rules.multi_line = options.multiline
        word = ffi.new("cs_bytes *")
        pattern = options.patterns[0]
        word.data, word.size = ffi.from_buffer("char[]", pattern), len(pattern)
        if not lib.cs_word_agrees(self._matcher, word[0], rules) or request.argv.count(pattern) != 1:
            return None
        slot = request.argv.index(pattern)
        # The proof that this argument is the pattern and nothing else: another word there changes nothing else.
        probed = _options(request, (*request.argv[:slot], _PROBE, *request.argv[slot + 1 :]))
        if probed.patterns != (_PROBE,) or replace(probed, patterns=options.patterns) != options:
            return None
        return WordShape(slot, rules)

    def _make_matcher(self, options: Options) -> Any:
        translation = translate(options.patterns, _regex_options(options))
        if options.replacement is not None:
            cells = len(translation.program) // _INSTRUCTION_BYTES * translation.capture_slots
            if cells > _MOST_CAPTURES:
                raise Decline("regex_captures")
        self._capture_names = translation.capture_names
        self.kind = (options.flags_used, translation.constructs)
        keep = Keep()
        return self._own(lib.cs_matcher_new(_matcher_spec(translation, keep)), lib.cs_matcher_free, "regex_kernel")

    def _filter(self, options: Options, request: Request, planner: Planner) -> Any:
        git_global = planner.git_global(request.env) if options.use_global else None
        make = functools.partial(_make_filter, options, request.cwd, git_global)
        # What an ignore file says may change, so such a filter is nobody else's.
        key = None if options.ignore_files or _is_long(request) else _filter_key(options, request.cwd, git_global)
        try:
            handle = planner.filter(key, make)
        except KernelError as error:
            raise Decline("bad_glob") from error
        self._owned.append(handle)
        return handle.pointer

    def _own(self, pointer: Any, free: Any, reason: str) -> Any:
        try:
            handle = Handle(pointer, free)
        except KernelError as error:
            raise Decline(reason) from error
        self._owned.append(handle)
        return handle.pointer


class WordShape(NamedTuple):
    """Of a request whose pattern is a plain word: which argument that is, and a cs_word_rules."""

    slot: int
    rules: Any


class Planner:
    """Makes plans and remembers the last ones. Safe in every thread."""

    _MAX_PLANS = 4096
    """Arbitrary; a plan of a plain search takes some 10 KB."""
    _MAX_FILTERS = 256
    """Arbitrary. There is one for each folder searched and set of globs."""
    _MAX_GLOBALS = 64
    """Arbitrary. There is one for each home of a client."""

    def __init__(self, threads: int, brute: bool = False, alone: bool = False) -> None:
        """threads: for one search, at most. brute: the index is not asked, everything is scanned. alone: ripgrep would
        find one processor here (cpus.py)."""
        self.threads = threads
        self.brute = brute
        self.alone = alone
        self._plans: dict[bytes, Plan | str] = {}
        self._filters: dict[tuple[Any, ...], Handle] = {}
        self._globals: dict[tuple[bytes | None, ...], Handle] = {}
        self._lock = threading.Lock()

    def recall(self, key: bytes) -> Plan | None:
        """The plan made for an equal request before. Decline if it was declined then."""
        plan = self._plans.get(key)
        if isinstance(plan, str):
            raise Decline(plan)
        return plan

    def make(self, key: bytes, request: Request) -> Plan:
        """A new plan, remembered if it may be. Decline."""
        try:
            plan = Plan(request, self)
        except Decline as decline:
            changes = b"RIPGREP_CONFIG_PATH" in request.env or decline.reason in ("pattern_file", "ignore_file")
            if not changes and not _is_long(request):
                self._remember(key, decline.reason)
            raise
        if plan.reusable:
            self._remember(key, plan)
        return plan

    def filter(self, key: tuple[Any, ...] | None, make: Callable[[], Handle]) -> Handle:
        """The filter of an equal key, or a new one: one for many patterns, as the kernel remembers what it chose."""
        if key is None:
            return make()
        with self._lock:
            found = self._filters.get(key)
            if found is None:
                found = make()
                while len(self._filters) >= self._MAX_FILTERS:
                    del self._filters[next(iter(self._filters))]
                self._filters[key] = found
            return found

    def git_global(self, env: dict[bytes, bytes]) -> Handle:
        """Git's global excludes as a client with this environment sees them."""
        key = tuple(env.get(name) for name in _GIT_ENVIRONMENT)
        with self._lock:
            found = self._globals.get(key)
            if found is None:
                while len(self._globals) >= self._MAX_GLOBALS:
                    del self._globals[next(iter(self._globals))]
                found = Handle(
                    lib.cs_global_new(*(ffi.NULL if value is None else value for value in key)), lib.cs_global_free
                )
                self._globals[key] = found
            return found

    def _remember(self, key: bytes, plan: Plan | str) -> None:
        with self._lock:
            while len(self._plans) >= self._MAX_PLANS:
                del self._plans[next(iter(self._plans))]
            self._plans[key] = plan


def _is_long(request: Request) -> bool:
    """Whether it is so long that nothing is remembered of it: what is remembered has its arguments in it."""
    return sum(map(len, request.argv)) + len(request.cwd) + sum(map(len, request.env.values())) > _LONG_BYTES


def _options(request: Request, argv: Sequence[bytes]) -> Options:
    fds = (_fd(request, 0), _fd(request, 1), _fd(request, 2))
    return rg_options.read(argv, rg_options.RequestContext(request.cwd, request.env, fds))


def _regex_options(options: Options) -> RegexOptions:
    return RegexOptions(
        fixed_strings=options.fixed_strings,
        case=options.case.value,
        word=options.boundary is Boundary.WORD,
        line=options.boundary is Boundary.LINE,
        unicode=options.unicode,
        multi_line=options.multiline,
        dotall=options.multiline_dotall,
        crlf=options.crlf,
        null_data=options.null_data,
        ban_nul=options.ban_nul,
    )


def _matcher_spec(translation: Translation, keep: Keep) -> Any:
    """Translation → cs_matcher_spec, which is good while the Keep is."""
    spec = keep.new("cs_matcher_spec *")
    keep.bytes_into(spec.program, translation.program)
    spec.capture_slots = translation.capture_slots
    spec.line_terminator = translation.line_terminator
    spec.multi_line = translation.multi_line
    spec.told_terminator = translation.told_terminator
    spec.re2_spans = translation.re2_spans
    spec.literals_fold_ascii = translation.literals_fold_ascii
    spec.required_fold_ascii = translation.required_fold_ascii
    keep.bytes_into(spec.re2_ascii, translation.re2_ascii)
    keep.bytes_into(spec.re2_bytes, translation.re2_bytes)
    spec.literals = keep.list(translation.literals)
    spec.literals_count = len(translation.literals)
    spec.required = keep.list(translation.required)
    spec.required_count = len(translation.required)
    keep.bytes_into(spec.grams, pack(translation.grams))
    return spec


def _fd(request: Request, index: int) -> rg_options.Fd:
    fd = request.fds[index]
    return rg_options.Fd(fd.kind, fd.dev, fd.ino)


def _absolute(cwd: bytes, path: bytes) -> bytes:
    """Lexical only: it picks the workspace. The kernel looks at what the components are."""
    return os.path.normpath(os.path.join(cwd, path)).replace(b"//", b"/")


def _nothing_possible(options: Options) -> tuple[bytes, int]:
    """rg stops before it looks at anything when no match is possible."""
    if options.stats:
        raise Decline("nothing_possible")
    return b"", 1


def _decline_unready(options: Options) -> None:
    """What the parts below cannot do exactly yet; each goes when its part can."""
    # The limit of the DFA's cache changes only ripgrep's speed; that of the whole regex can make a pattern an error.
    if options.regex_size_limit_bytes is not None and options.regex_size_limit_bytes < _USUAL_REGEX_BYTES:
        raise Decline("regex_limits")
    if options.sort is not None and options.sort.kind not in _SORTS:
        raise Decline("sort")


def _filter_key(options: Options, cwd: bytes, git_global: Handle | None) -> tuple[Any, ...]:
    """Everything that `_make_filter` looks at but the bytes of --ignore-file."""
    return (
        options.hidden, options.use_dot, options.use_vcs, options.use_exclude, options.use_parent, options.use_global,
        options.require_git, options.ignore_case_insensitive, options.ignore_messages, options.follow, options.globs,
        options.types, options.max_depth, options.max_filesize_bytes, cwd, git_global,
    )  # fmt: skip


def _make_filter(options: Options, cwd: bytes, git_global: Handle | None) -> Handle:
    """Options → cs_filter. KernelError for a bad glob."""
    keep = Keep()
    spec = keep.new("cs_filter_spec *")
    spec.hidden = options.hidden
    spec.dot = options.use_dot
    spec.vcs = options.use_vcs
    spec.exclude = options.use_exclude
    spec.parent = options.use_parent
    spec.files = True
    spec.require_git = options.require_git
    spec.fold_case = options.ignore_case_insensitive
    spec.ignore_messages = options.ignore_messages
    spec.follow = options.follow
    setattr(spec, "global", options.use_global)
    if options.globs:
        globs = keep.new("cs_glob[]", len(options.globs))
        for slot, glob in zip(globs, options.globs, strict=True):
            keep.bytes_into(slot.text, glob.text)
            slot.case_insensitive = glob.case_insensitive
        spec.globs = globs
        spec.globs_count = len(options.globs)
    if options.types:
        types = keep.new("cs_type_selection[]", len(options.types))
        for slot, selection in zip(types, options.types, strict=True):
            slot.globs = keep.list(selection.globs)
            slot.count = len(selection.globs)
            slot.negated = selection.negated
        spec.types = types
        spec.types_count = len(options.types)
    if options.ignore_files:
        contents = [read_small(path, cwd, _MAX_IGNORE_FILE_BYTES, "ignore_file") for path in options.ignore_files]
        spec.ignore_files = keep.list(contents)
        spec.ignore_files_count = len(contents)
    keep.bytes_into(spec.cwd, cwd)
    spec.max_depth = -1 if options.max_depth is None else options.max_depth
    spec.max_filesize = -1 if options.max_filesize_bytes is None else options.max_filesize_bytes
    if git_global is not None:
        spec.git_global = git_global.pointer
    return Handle(lib.cs_filter_new(spec), lib.cs_filter_free)


def _fill_spec(spec: Any, options: Options, keep: Keep, capture_names: tuple[bytes | None, ...]) -> None:
    """Options → cs_search_spec (kernel/spec.h)."""
    spec.mode = _MODES.get(options.mode, lib.CS_MODE_STANDARD)
    spec.quiet = options.quiet
    spec.before_context = options.before_context
    spec.after_context = options.after_context
    if options.max_count is not None:
        spec.has_max_count = True
        spec.max_count = options.max_count
    spec.invert_match = options.invert_match
    spec.passthru = options.passthru
    spec.stop_on_nonmatch = options.stop_on_nonmatch
    spec.line_terminator = (
        lib.CS_LINES_NUL if options.null_data else lib.CS_LINES_CRLF if options.crlf else lib.CS_LINES_LF
    )
    spec.binary = _BINARY[options.binary_implicit]
    spec.encoding = lib.cs_encoding_named(options.encoding.encode())
    spec.mmap = options.mmap is Mmap.ALWAYS
    spec.single_threaded = options.sort is not None or options.threads == 1
    spec.stats = options.stats
    spec.with_filename = options.with_filename is not WithFilename.NO
    spec.heading = options.heading
    spec.line_number = options.line_number
    spec.column = options.column
    spec.byte_offset = options.byte_offset
    spec.only_matching = options.only_matching
    spec.vimgrep = options.per_match
    spec.trim = options.trim
    if options.max_columns_bytes is not None:
        spec.has_max_columns = True
        spec.max_columns = options.max_columns_bytes
    spec.max_columns_preview = options.max_columns_preview
    if options.replacement is not None:
        spec.has_replacement = True
        spec.replacement = keep.data(options.replacement)
        spec.replacement_size = len(options.replacement)
        named = b"".join(
            b"%d\0%s\0" % (index, name) for index, name in enumerate(capture_names) if name is not None
        )
        spec.capture_names = keep.data(named)
        spec.capture_names_size = len(named)
    spec.include_zero = options.include_zero
    spec.null_path = options.null
    if options.path_separator is not None:
        spec.has_path_separator = True
        spec.path_separator = options.path_separator
    if options.context_separator is not None:
        spec.has_context_separator = True
        spec.context_separator = keep.data(options.context_separator)
        spec.context_separator_size = len(options.context_separator)
    spec.color = options.color
    if options.color:
        for part, style in zip(options.colors._fields, options.colors, strict=True):
            target = getattr(spec, part + "_style")
            for name in ("fg", "bg"):
                ink = getattr(style, name)
                made = getattr(target, name)
                made.kind, made.r, made.g, made.b = ink
            target.bold, target.intense = style.bold, style.intense
            target.underline, target.italic = style.underline, style.italic
    for name in ("field_match_separator", "field_context_separator"):
        value = getattr(options, name)
        setattr(spec, name, keep.data(value))
        setattr(spec, name + "_size", len(value))
