// sink.h: what a search tells a printer while it runs.
//
// In: matching lines, context lines, breaks and the end, in the order of the text. Out: printed bytes, counted matches.
// The searcher does not know the printer, the printer does not know where lines come from. A method that gives false
// stops the search, as ripgrep's sinks do.
#ifndef CURSERVE_SINK_H
#define CURSERVE_SINK_H
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "content.h"
#include "lines.h"
#include "matcher.h"
#include "output.h"
#include "spec.h"

namespace curserve {

// How NUL bytes are treated in one file.
enum class Binary : uint8_t { kNone, kQuit, kConvert };

// Everything that is fixed while one file is searched.
struct Job {
    const SearchSpec& spec;
    const Matcher& matcher;
    Scratch& scratch;
    Terminator terminator;
    Binary binary;
    bool multi_line;        // matches may span lines
    bool ascii;             // all of the text is < 0x80
    // Whole lines outside of which none matches, ascending; the last may end beyond the text. Null: nothing is known.
    const std::vector<ByteRange>* ranges;
};

// Lines handed over: text[lines.start, lines.end) of a buffer of `size` bytes that the printer may look around in.
struct Found {
    const uint8_t* text;
    size_t size;
    Span lines;
    uint64_t offset;        // of lines.start in the file, in bytes
    uint64_t line_number;   // of the first line, from 1; meaningless unless lines are counted
};

enum class ContextKind : uint8_t { kBefore, kAfter, kOther };

// Lines handed over together, ascending, of a text as in Found; what matched() would be told of each.
struct FoundLines {
    const uint8_t* text;
    size_t size;
    const Line* lines;      // offsets in text
    size_t count;
    uint64_t offset;        // of text in the file, in bytes
    uint64_t line_number;   // of the lines with `before` 0
};

class Sink {
  public:
    virtual ~Sink() = default;
    virtual bool matched(const Found&) = 0;
    // Whether it would rather hear of many lines at once: not who may stop at each of them.
    virtual bool wants_many() const { return false; }
    // Matching lines without contexts. How many were taken; fewer than all: the next one stopped the search.
    virtual size_t matched_many(const FoundLines& found) {
        for (size_t i = 0; i < found.count; ++i) {
            const Line& line = found.lines[i];
            const Found one{found.text, found.size, {line.start, line.end}, found.offset + line.start,
                            found.line_number + line.before};
            if (!matched(one)) return i;
        }
        return found.count;
    }
    virtual bool context(const Found&, ContextKind) = 0;
    // Whether all that matched() would do, for lines without contexts, is to count them; then this many at once.
    virtual bool wants_count_only() const { return false; }
    virtual void counted(uint64_t /*lines*/) {}
    virtual bool context_break() { return true; }
    virtual bool binary_data(uint64_t /*offset*/) { return true; }
    // byte_count: bytes searched. binary_offset: -1 or where the first NUL was noticed.
    virtual void finish(uint64_t byte_count, int64_t binary_offset) = 0;

    // Of the file just searched. has_match is what the exit code hears.
    virtual bool has_match() const = 0;
    uint64_t matches = 0, matched_lines = 0, bytes_searched = 0, bytes_printed = 0;
    bool searched_with_match = false;
    const char* unsure = nullptr;  // cannot be printed exactly: a decline reason
    bool printed_lines = false;  // lines were printed, so a single-threaded ripgrep put its separator before them
};

}  // namespace curserve
#endif
