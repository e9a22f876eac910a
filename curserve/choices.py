"""The words an option can be: enumerations shared by args, options and whoever plans a search.

Their values are rg's own words where rg has one. No logic here.
"""

from __future__ import annotations

from enum import Enum


class Mode(Enum):
    """What rg is asked to do; on the command line the last mode wins."""

    STANDARD = "standard"
    JSON = "json"
    COUNT = "count"
    COUNT_MATCHES = "count-matches"
    FILES_WITH_MATCHES = "files-with-matches"
    FILES_WITHOUT_MATCH = "files-without-match"
    FILES = "files"
    TYPE_LIST = "type-list"
    GENERATE = "generate"
    VERSION_SHORT = "version-short"  # -V
    VERSION_LONG = "version-long"  # --version


SEARCH_MODES: frozenset[Mode] = frozenset(
    {
        Mode.STANDARD,
        Mode.JSON,
        Mode.COUNT,
        Mode.COUNT_MATCHES,
        Mode.FILES_WITH_MATCHES,
        Mode.FILES_WITHOUT_MATCH,
    }
)


class Special(Enum):
    """Asked before anything else, the configuration file included."""

    VERSION_SHORT = "version-short"
    VERSION_LONG = "version-long"
    HELP = "help"
    PCRE2_VERSION = "pcre2-version"


class Case(Enum):
    """-s, -i, -S."""

    SENSITIVE = "sensitive"
    INSENSITIVE = "insensitive"
    SMART = "smart"


class Boundary(Enum):
    """-w or -x; the last one wins."""

    WORD = "word"
    LINE = "line"


class Binary(Enum):
    """What a NUL byte means. AUTO: a file met on the walk is left at the first NUL, a named one is SUPPRESSed."""

    AUTO = "auto"
    SUPPRESS = "suppress"  # --binary: search on, print no line, warn
    TEXT = "text"  # -a


class Engine(Enum):
    """--engine. AUTO falls back to PCRE2 when the default engine rejects a pattern."""

    DEFAULT = "default"
    AUTO = "auto"
    PCRE2 = "pcre2"


class Mmap(Enum):
    """AUTO: maps if there are at most 10 paths and each of them is a regular file (links followed)."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Color(Enum):
    """--color."""

    NEVER = "never"
    AUTO = "auto"
    ALWAYS = "always"
    ANSI = "ansi"


class SortKind(Enum):
    """--sort, --sortr."""

    PATH = "path"
    MODIFIED = "modified"
    ACCESSED = "accessed"
    CREATED = "created"


class WithFilename(Enum):
    """Whether lines carry their path. AUTO: exactly one path was given; yes if it is a directory (links followed)."""

    YES = "yes"
    NO = "no"
    AUTO = "auto"


class Detection(Enum):
    """What a searcher does at a NUL byte."""

    NONE = "none"  # nothing: it is text
    QUIT = "quit"  # leave the file
    CONVERT = "convert"  # take it for a line's end, print no matching line, warn
