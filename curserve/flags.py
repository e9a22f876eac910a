"""Every flag of ripgrep 15.2.0, one row each: its names, what it takes, whether curserve serves it.

In: nothing. Out: FLAGS, a tuple of Flag; `curserve.args` gives each row its effect.
Invariant: the table is complete; a test compares it with the real rg's completion scripts, both ways.
It does not parse and holds no effects. `declined` names the reason a request is declined when the flag is *in force*
after all overriding (`--pre x --no-pre` is served); None means served. Aliases do not show in rg's own listings, yet rg
takes them.
"""

from __future__ import annotations

from typing import NamedTuple


class Flag(NamedTuple):
    """One flag as the user can type it. `choices` is empty where any value may follow."""

    long: str
    short: str | None
    negated: str | None
    takes_value: bool
    category: str  # input, search, filter, output, modes, logging, other: rg's own sections of --help
    declined: str | None
    meaning: str
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


_SORTS = ("none", "path", "modified", "accessed", "created")
_GENERATED = ("man", "complete-bash", "complete-zsh", "complete-fish", "complete-powershell")

FLAGS: tuple[Flag, ...] = (
    # Input
    Flag("regexp", "e", None, True, "input", None, "a pattern; may be repeated"),
    Flag("file", "f", None, True, "input", None, "patterns from a file, one a line ('-': stdin, declined)"),
    Flag("pre", None, "no-pre", True, "input", "pre", "search what a command makes of each file"),
    Flag("pre-glob", None, None, True, "input", "pre", "which files go through --pre"),
    Flag("search-zip", "z", "no-search-zip", False, "input", "search_zip", "look into compressed files"),
    # Search
    Flag("case-sensitive", "s", None, False, "search", None, "letters match their own case only"),
    Flag("crlf", None, "no-crlf", False, "search", None, "a line may end in CR LF"),
    Flag("dfa-size-limit", None, None, True, "search", None, "bytes the lazy DFA may use"),
    Flag("encoding", "E", "no-encoding", True, "search", None, "files' encoding"),
    Flag("engine", None, None, True, "search", None, "regex engine (pcre2 declined)", ("default", "pcre2", "auto")),
    Flag("fixed-strings", "F", "no-fixed-strings", False, "search", None, "patterns are literal text"),
    Flag("ignore-case", "i", None, False, "search", None, "letters match either case"),
    Flag("invert-match", "v", "no-invert-match", False, "search", None, "select the lines that do not match"),
    Flag("line-regexp", "x", None, False, "search", None, "the match must be the whole line"),
    Flag("max-count", "m", None, True, "search", None, "matching lines per file"),
    Flag("mmap", None, "no-mmap", False, "search", None, "memory maps: matters for binary files only"),
    Flag("multiline", "U", "no-multiline", False, "search", None, "a match may span lines"),
    Flag("multiline-dotall", None, "no-multiline-dotall", False, "search", None, "with -U the dot matches a newline"),
    Flag("no-unicode", None, "unicode", False, "search", None, "classes, case and boundaries are ASCII"),
    Flag("null-data", None, None, False, "search", None, "NUL ends a line"),
    Flag("pcre2", "P", "no-pcre2", False, "search", "pcre2", "use the PCRE2 engine"),
    Flag("regex-size-limit", None, None, True, "search", None, "bytes the compiled regex may use"),
    Flag("smart-case", "S", None, False, "search", None, "ignore case unless a pattern has an uppercase letter"),
    Flag("stop-on-nonmatch", None, None, False, "search", None, "after a match, stop at the first line without one"),
    Flag("text", "a", "no-text", False, "search", None, "binary files are text"),
    Flag("threads", "j", None, True, "search", None, "number of threads: no effect on what is printed"),
    Flag("word-regexp", "w", None, False, "search", None, "the match must be bounded as a word"),
    Flag("auto-hybrid-regex", None, "no-auto-hybrid-regex", False, "search", None, "old spelling of --engine auto"),
    Flag("no-pcre2-unicode", None, "pcre2-unicode", False, "search", None, "old spelling of --no-unicode"),
    # Filter
    Flag("binary", None, "no-binary", False, "filter", None, "search binary files to the end"),
    Flag("follow", "L", "no-follow", False, "filter", None, "follow symbolic links"),
    Flag("glob", "g", None, True, "filter", None, "only (or, with !, not) paths that match"),
    Flag("glob-case-insensitive", None, "no-glob-case-insensitive", False, "filter", None, "-g ignores case"),
    Flag("hidden", ".", "no-hidden", False, "filter", None, "dot files too"),
    Flag("iglob", None, None, True, "filter", None, "-g that ignores case"),
    Flag("ignore-file", None, None, True, "filter", None, "one more ignore file"),
    Flag(
        "ignore-file-case-insensitive", None, "no-ignore-file-case-insensitive", False, "filter", None,
        "ignore files ignore case",
    ),
    Flag("max-depth", "d", None, True, "filter", None, "directories to descend", aliases=("maxdepth",)),
    Flag("max-filesize", None, None, True, "filter", None, "pass over files of more bytes"),
    Flag("no-ignore", None, "ignore", False, "filter", None, "no ignore files but those of --ignore-file"),
    Flag("no-ignore-dot", None, "ignore-dot", False, "filter", None, "no .ignore and .rgignore"),
    Flag("no-ignore-exclude", None, "ignore-exclude", False, "filter", None, "no .git/info/exclude"),
    Flag("no-ignore-files", None, "ignore-files", False, "filter", None, "no --ignore-file"),
    Flag("no-ignore-global", None, "ignore-global", False, "filter", None, "not git's global excludes"),
    Flag("no-ignore-parent", None, "ignore-parent", False, "filter", None, "no ignore files of parent directories"),
    Flag("no-ignore-vcs", None, "ignore-vcs", False, "filter", None, "no .gitignore, exclude, global excludes"),
    Flag("no-require-git", None, "require-git", False, "filter", None, ".gitignore counts outside of repositories"),
    Flag("one-file-system", None, "no-one-file-system", False, "filter", None, "stay on each argument's file system"),
    Flag("type", "t", None, True, "filter", None, "only files of a type"),
    Flag("type-not", "T", None, True, "filter", None, "no files of a type"),
    Flag("type-add", None, None, True, "filter", None, "a glob more for a type"),
    Flag("type-clear", None, None, True, "filter", None, "forget a type's globs"),
    Flag("unrestricted", "u", None, False, "filter", None, "--no-ignore; twice: --hidden; three times: --binary"),
    # Output
    Flag("after-context", "A", None, True, "output", None, "lines after each match"),
    Flag("before-context", "B", None, True, "output", None, "lines before each match"),
    Flag("block-buffered", None, "no-block-buffered", False, "output", None, "when to flush: no effect here"),
    Flag("byte-offset", "b", "no-byte-offset", False, "output", None, "each line's offset in bytes"),
    Flag("color", None, None, True, "output", None, "when to colour", ("never", "auto", "always", "ansi")),
    Flag("colors", None, None, True, "output", None, "which colour for what"),
    Flag("column", None, "no-column", False, "output", None, "column of a line's first match, in bytes from 1"),
    Flag("context", "C", None, True, "output", None, "lines around each match"),
    Flag("context-separator", None, "no-context-separator", True, "output", None, "line between groups of context"),
    Flag("field-context-separator", None, None, True, "output", None, "between a context line's fields"),
    Flag("field-match-separator", None, None, True, "output", None, "between a matching line's fields"),
    Flag("heading", None, "no-heading", False, "output", None, "path once above a file's matches"),
    Flag("hostname-bin", None, None, True, "output", "hostname_bin", "command that tells the host's name"),
    Flag("hyperlink-format", None, None, True, "output", "hyperlink", "make paths links ('none' is served)"),
    Flag("include-zero", None, "no-include-zero", False, "output", None, "-c prints zeros too"),
    Flag("line-buffered", None, "no-line-buffered", False, "output", None, "when to flush: no effect here"),
    Flag("line-number", "n", None, False, "output", None, "number the lines"),
    Flag("no-line-number", "N", None, False, "output", None, "do not number the lines"),
    Flag("max-columns", "M", None, True, "output", None, "leave out lines of more bytes"),
    Flag("max-columns-preview", None, "no-max-columns-preview", False, "output", None, "show their beginning"),
    Flag("null", "0", None, False, "output", None, "NUL after a path"),
    Flag("only-matching", "o", None, False, "output", None, "print the matches, not their lines"),
    Flag("path-separator", None, None, True, "output", None, "one byte to print for '/'"),
    Flag("passthru", None, None, False, "output", None, "print all lines", aliases=("passthrough",)),
    Flag("pretty", "p", None, False, "output", None, "colour, headings, line numbers"),
    Flag("quiet", "q", None, False, "output", None, "print nothing; stop at the first match"),
    Flag("replace", "r", None, True, "output", None, "print this for each match"),
    Flag("sort", None, None, True, "output", None, "ascending order (accessed, created declined)", _SORTS),
    Flag("sortr", None, None, True, "output", None, "descending order (accessed, created declined)", _SORTS),
    Flag("trim", None, "no-trim", False, "output", None, "cut ASCII white space before a line"),
    Flag("vimgrep", None, None, False, "output", None, "every match on a line of its own, with path, line, column"),
    Flag("with-filename", "H", None, False, "output", None, "always print the path"),
    Flag("no-filename", "I", None, False, "output", None, "never print the path"),
    Flag("sort-files", None, "no-sort-files", False, "output", None, "old spelling of --sort path"),
    # Output modes: the last one typed wins
    Flag("count", "c", None, False, "modes", None, "number of matching lines"),
    Flag("count-matches", None, None, False, "modes", None, "number of matches"),
    Flag("files-with-matches", "l", None, False, "modes", None, "paths of files with a match"),
    Flag("files-without-match", None, None, False, "modes", None, "paths of files without one"),
    Flag("json", None, "no-json", False, "modes", None, "JSON Lines"),
    # Logging
    Flag("debug", None, None, False, "logging", "debug", "say what rg does"),
    Flag("no-ignore-messages", None, "ignore-messages", False, "logging", None, "no messages about ignore files"),
    Flag("no-messages", None, "messages", False, "logging", None, "no messages about unreadable files"),
    Flag("stats", None, "no-stats", False, "logging", None, "figures at the end"),
    Flag("trace", None, None, False, "logging", "debug", "say more of what rg does"),
    # Other behaviours
    Flag("files", None, None, False, "other", None, "list the files that would be searched"),
    Flag("generate", None, None, True, "other", "generate", "write a manual or completion script", _GENERATED),
    Flag("help", "h", None, False, "other", "help", "help"),
    Flag("no-config", None, None, False, "other", None, "read no configuration file"),
    Flag("pcre2-version", None, None, False, "other", "pcre2_version", "which PCRE2 is built in"),
    Flag("type-list", None, None, False, "other", None, "list the file types"),
    Flag("version", "V", None, False, "other", None, "rg's version"),
)

BY_NAME: dict[str, Flag] = {flag.long: flag for flag in FLAGS}
