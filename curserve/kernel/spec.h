/* spec.h: what one search prints and how it reads files: ripgrep's search and print options, resolved.
 *
 * Plain C, filled by Python from curserve/options.py and borrowed by the kernel for the length of a search. Every field
 * is a decision already taken (terminals, defaults and the interplay of flags are options.py's); zero everywhere is
 * "plain `rg PATTERN` into a pipe" except for the fields marked (*), which must be set. Byte strings are pointer and
 * size, not NUL-terminated. Does not know: patterns (matcher.h), which files (select.h).
 */
#ifndef CURSERVE_SPEC_H
#define CURSERVE_SPEC_H
#include <stddef.h>
#include <stdint.h>

/* cffi:begin */
/* cs_search_spec.mode: the search mode as options.py resolves it: `-v --count-matches` is COUNT and `-o -c` is
 * COUNT_MATCHES already. With `quiet` set the mode still counts (JSON decides the form of the statistics,
 * FILES_WITHOUT_MATCH what a match is). */
#define CS_MODE_STANDARD 0
#define CS_MODE_JSON 1
#define CS_MODE_COUNT 2
#define CS_MODE_COUNT_MATCHES 3
#define CS_MODE_FILES_WITH_MATCHES 4
#define CS_MODE_FILES_WITHOUT_MATCH 5

/* cs_search_spec.line_terminator */
#define CS_LINES_LF 0
#define CS_LINES_CRLF 1                /* --crlf */
#define CS_LINES_NUL 2                 /* --null-data */

/* cs_search_spec.binary */
#define CS_BINARY_AUTO 0
#define CS_BINARY_SEARCH 1             /* --binary */
#define CS_BINARY_TEXT 2               /* -a, --text; --null-data implies it */

/* cs_search_spec.encoding */
#define CS_ENCODING_AUTO 0             /* look at the byte order mark */
#define CS_ENCODING_NONE 1             /* -E none: raw bytes, a mark is text */
#define CS_ENCODING_UTF8 2
#define CS_ENCODING_UTF16LE 3
#define CS_ENCODING_UTF16BE 4
#define CS_ENCODING_SINGLE_BYTE 5      /* and above: the rows of single_byte.h; cs_encoding_named knows which */
#define CS_ENCODING_MULTI_BYTE 64      /* and above: MultiByte of multi_byte.h */

/* cs_color.kind */
#define CS_COLOR_NONE 0
#define CS_COLOR_NAMED 1               /* r: 0 black, 1 red, 2 green, 3 yellow, 4 blue, 5 magenta, 6 cyan, 7 white */
#define CS_COLOR_ANSI 2                /* r: 0-255 */
#define CS_COLOR_RGB 3

typedef struct cs_color {
    uint8_t kind, r, g, b;
} cs_color;

/* One element's look. All zero, as `--colors TYPE:none` asks: a match or highlight without escape sequences; the rest
 * with resets around it, as ripgrep has it. */
typedef struct cs_style {
    cs_color fg, bg;
    uint8_t bold, intense, underline, italic;
} cs_style;

typedef struct cs_search_spec {
    /* ---- searching ---- */
    uint64_t before_context, after_context; /* lines; 0 with passthru */
    uint64_t max_count;                /* -m, if has_max_count */
    uint8_t mode;                      /* CS_MODE_* */
    uint8_t quiet;                     /* -q */
    uint8_t has_max_count;
    uint8_t invert_match;
    uint8_t passthru;
    uint8_t stop_on_nonmatch;
    uint8_t line_terminator;           /* CS_LINES_*; the matcher's terminator agrees */
    uint8_t binary;                    /* CS_BINARY_* */
    uint8_t encoding;                  /* CS_ENCODING_* */
    uint8_t mmap;                      /* ripgrep would map files: --mmap, or at most 10 paths, all of them files */
    uint8_t single_threaded;           /* ripgrep would use one thread: --sort(r), -j1, one path that is a file (or no
                                          directory). Decides who prints separators between files and counts them. */
    uint8_t stats;                     /* --stats, or mode JSON */
    /* ---- printing ---- */
    uint8_t with_filename;             /* (*) print paths; cs_query.with_filename_auto may decide it later */
    uint8_t heading;
    uint8_t line_number;               /* (*) also counts lines for JSON, where it is on by default */
    uint8_t column;
    uint8_t byte_offset;
    uint8_t only_matching;
    uint8_t vimgrep;                   /* one line for each match */
    uint8_t trim;
    uint8_t has_max_columns;
    uint8_t max_columns_preview;
    uint8_t has_replacement;
    uint8_t include_zero;
    uint8_t null_path;                 /* -0: a NUL after each path */
    uint8_t has_path_separator;
    uint8_t path_separator;            /* the byte that replaces '/' in printed paths, but not in JSON */
    uint8_t color;                     /* escape sequences wanted */
    uint8_t has_context_separator;     /* (*) 1 unless --no-context-separator */
    uint8_t pad[3];
    uint64_t max_columns;              /* bytes; -M 0 is has_max_columns = 0 */
    const char *replacement;           /* --replace, uninterpolated */
    size_t replacement_size;
    const char *capture_names;         /* for $name in the replacement: index, NUL, name, NUL, ... ("1\0year\0") */
    size_t capture_names_size;
    const char *context_separator;     /* (*) "--", unescaped */
    size_t context_separator_size;
    const char *field_match_separator; /* (*) ":" */
    size_t field_match_separator_size;
    const char *field_context_separator; /* (*) "-" */
    size_t field_context_separator_size;
    cs_style path_style, line_style, column_style, match_style, highlight_style; /* used if color */
} cs_search_spec;
/* cffi:end */

#ifdef __cplusplus
namespace curserve {
using SearchSpec = cs_search_spec;
}
#endif
#endif
