// searcher.h: searches one content and prints what ripgrep prints for it.
//
// In: a SearchSpec (spec.h), a Matcher, a Content with its printed path. Out: bytes appended to an Output and the
// numbers ripgrep's statistics are made of. Knows ripgrep's searching rules (lines, contexts, binary data, buffers,
// byte order marks) and its printers (standard, summary, JSON). Does not know: files on disk, sockets, threads, order.
#ifndef CURSERVE_SEARCHER_H
#define CURSERVE_SEARCHER_H
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "content.h"
#include "matcher.h"
#include "output.h"
#include "spec.h"

namespace curserve {

struct FileResult {
    bool matched = false;            // as ripgrep's exit code counts it
    bool with_match = false;         // counts in "files contained matches"
    bool printed = false;            // anything was appended
    bool separate = false;           // print_between goes before this file's output, if another file's was printed
    bool stopped = false;            // Output said stop
    uint64_t matched_lines = 0, matches = 0, bytes_searched = 0, bytes_printed = 0;
    bool searched = true;            // counts in "files searched"
    const char* unsure = nullptr;    // cannot be done exactly: a decline reason; nothing was appended then
};

// Whether this search needs other bytes of a file than `content` holds; the caller then reads all of them, as they are.
bool needs_file(const SearchSpec&, const Matcher&, const Content&, bool named);

// path: as ripgrep names the file, before --path-separator (which is spec's). named: the file was named on the command
// line (binary rules differ). ranges: of content.data, whole lines in ascending order, outside of which no line matches
// (the last may end beyond the data); null where nothing is known. They save time and change nothing. buffer_bytes: the
// size of ripgrep's buffer as earlier files left it, and after this one; null: as it is at first. Where the Scratch's pace
// is over when this returns, the result and what was appended last mean nothing.
FileResult search_content(const SearchSpec&, const Matcher&, const Content&, std::string_view path, bool named,
                          Scratch&, Output&, const std::vector<ByteRange>* ranges = nullptr,
                          size_t* buffer_bytes = nullptr);

// ripgrep's thread keeps a buffer that a long line made it enlarge, and how far it looks into a binary file depends on
// the size of its buffer; so does what becomes of a character that a file to be decoded ends within.
// Whether a search of this content may (never false where it does) depend on the buffer's size at its beginning.
bool may_mind_buffer(const SearchSpec&, const Matcher&, const Content&, bool named);
// Whether it does: searches twice.
bool minds_buffer(const SearchSpec&, const Matcher&, const Content&, bool named, Scratch&);
// Whether a search of this content may (never false where it does) enlarge the buffer.
bool may_grow_buffer(const SearchSpec&, const Content&);

// Whether a content without any match prints nothing and counts like no match, so that it need not be searched at all
// if the index proves that it has none: false for -v, --passthru, --include-zero, --files-without-match and the like.
bool may_skip_unmatched(const SearchSpec&);
// What search_content would count for a content without any match (for totals of files that the index skipped).
// Constant time unless the content has a NUL. Only if may_skip_unmatched. kUnsureBytes: cannot be said, search it.
constexpr uint64_t kUnsureBytes = ~uint64_t{0};
uint64_t bytes_searched_without_match(const SearchSpec&, const Matcher&, const Content&, bool named);

struct Totals {
    uint64_t searches = 0, searches_with_match = 0, matched_lines = 0, matches = 0;
    uint64_t bytes_searched = 0, bytes_printed = 0;
    uint64_t search_ns = 0, total_ns = 0;
    bool printed = false;            // any file printed anything
    // Adds one file. between: what print_between appended for it, which a single-threaded ripgrep counts.
    void add(const SearchSpec& spec, const FileResult& file, uint64_t between_bytes) {
        searches += file.searched;
        searches_with_match += file.with_match;
        matched_lines += file.matched_lines;
        matches += file.matches;
        bytes_searched += file.bytes_searched;
        bytes_printed += file.bytes_printed + (spec.single_threaded ? between_bytes : 0);
        printed = printed || file.printed;
    }
};
// What is printed after the last file: --stats, the JSON summary. Appends nothing unless spec.stats.
void print_end(const SearchSpec&, const Totals&, Output&);
// What goes between the output of two files (a blank line, a context separator, nothing): before a file with
// FileResult::separate, once anything was printed for an earlier one.
void print_between(const SearchSpec&, Output&);

}  // namespace curserve
#endif
