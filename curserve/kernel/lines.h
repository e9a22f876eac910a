// lines.h: lines as ripgrep sees them: pieces of bytes that end with a terminator, the last one perhaps without.
//
// In: bytes and the terminator. Out: where lines begin and end, how many there are. Invariant: a line includes its
// terminator and is never empty. Pure functions, no state but a position. Does not know: matching, printing.
#ifndef CURSERVE_LINES_H
#define CURSERVE_LINES_H
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "literal.h"
#include "matcher.h"
#include "spec.h"

namespace curserve {

// What ends a line. `byte` is the last (or only) byte of it; with --crlf a line ends with "\n" and prints with "\r\n".
struct Terminator {
    uint8_t byte = '\n';
    bool crlf = false;

    static Terminator of(const SearchSpec& spec) {
        if (spec.line_terminator == CS_LINES_NUL) return {0, false};
        return {'\n', spec.line_terminator == CS_LINES_CRLF};
    }
    std::string_view bytes() const {
        if (crlf) return "\r\n";
        return byte == 0 ? std::string_view("\0", 1) : std::string_view("\n");
    }
};

inline size_t find_byte(const uint8_t* text, size_t from, size_t end, uint8_t byte) {
    if (from >= end) return kNone;
    const void* hit = memchr(text + from, byte, end - from);
    return hit == nullptr ? kNone : static_cast<size_t>(static_cast<const uint8_t*>(hit) - text);
}

// The last occurrence in [from, end).
inline size_t rfind_byte(const uint8_t* text, size_t from, size_t end, uint8_t byte) {
    if (from >= end) return kNone;
    const void* hit = memrchr(text + from, byte, end - from);
    return hit == nullptr ? kNone : static_cast<size_t>(static_cast<const uint8_t*>(hit) - text);
}

inline uint64_t count_byte(const uint8_t* text, size_t from, size_t end, uint8_t byte) {
    return from < end ? count_byte(text + from, end - from, byte) : 0;
}

// Steps over the lines of text[pos, end).
class LineStep {
  public:
    LineStep(uint8_t terminator, size_t pos, size_t end) : terminator_(terminator), pos_(pos), end_(end) {}
    bool next(const uint8_t* text, Span* line) {
        if (pos_ >= end_) return false;
        const size_t hit = find_byte(text, pos_, end_, terminator_);
        *line = {pos_, hit == kNone ? end_ : hit + 1};
        pos_ = line->end;
        return true;
    }

  private:
    uint8_t terminator_;
    size_t pos_, end_;
};

inline uint64_t count_lines(const uint8_t* text, size_t from, size_t end, uint8_t terminator) {
    if (from >= end) return 0;
    return count_byte(text, from, end, terminator) + (text[end - 1] == terminator ? 0 : 1);
}

// The lines that hold `range`: from the start of its first to the end of its last.
inline Span locate_lines(const uint8_t* text, size_t size, uint8_t terminator, Span range) {
    const size_t before = rfind_byte(text, 0, range.start, terminator);
    const size_t start = before == kNone ? 0 : before + 1;
    if (range.end > start && text[range.end - 1] == terminator) return {start, range.end};
    const size_t after = find_byte(text, range.end, size, terminator);
    return {start, after == kNone ? size : after + 1};
}

// The start of the line `count` lines before the last one of text[from, end); `from` when there are not as many.
inline size_t preceding_lines(const uint8_t* text, size_t from, size_t end, uint8_t terminator, uint64_t count) {
    if (end == from) return from;
    size_t pos = end;
    if (text[pos - 1] == terminator) --pos;
    for (;;) {
        const size_t hit = rfind_byte(text, from, pos, terminator);
        if (hit == kNone) return from;
        if (count == 0) return hit + 1;
        if (hit == from) return from;
        --count;
        pos = hit;
    }
}

// The line without its terminator, as a pattern sees it when lines are tried one by one: with --crlf only a whole
// "\r\n" goes.
inline size_t end_without_terminator(const uint8_t* text, Span line, Terminator terminator) {
    if (line.end == line.start) return line.end;
    if (!terminator.crlf) return text[line.end - 1] == terminator.byte ? line.end - 1 : line.end;
    const bool whole = line.end - line.start >= 2 && text[line.end - 1] == '\n' && text[line.end - 2] == '\r';
    return whole ? line.end - 2 : line.end;
}

// The same as printers see it: with --crlf a bare "\n" goes too.
inline size_t end_without_printed_terminator(const uint8_t* text, Span line, Terminator terminator) {
    if (line.end == line.start || text[line.end - 1] != terminator.byte) return line.end;
    size_t end = line.end - 1;
    if (terminator.crlf && end > 0 && text[end - 1] == '\r') --end;
    return end;
}

}  // namespace curserve
#endif
