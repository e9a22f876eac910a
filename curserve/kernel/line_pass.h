// line_pass.h: matching lines, many at once, with how many lines lie before each: one pass over the text.
//
// In: bytes, a question that one look at 64 of them answers. Out: a LineBatch. Where matches are dense, finding the
// next one, its line's ends and its number each from another look at the same bytes costs several times as much.
// Invariant: the same lines as find_line (matcher.h) gives one after the other. Only with AVX2: has_line_pass().
#ifndef CURSERVE_LINE_PASS_H
#define CURSERVE_LINE_PASS_H
#include <cstddef>
#include <cstdint>

#include "literal.h"

namespace curserve {

struct Line {
    size_t start, end;  // with its terminator, if it has one
    uint64_t before;    // terminators between where the batch began and `start`
};

// Matching lines of text[from, upto), ascending, and all that are there.
struct LineBatch {
    static constexpr size_t kMost = 128;  // arbitrary: 3 KB, and what is done once for a batch costs nothing
    Line lines[kMost];
    size_t count;
    size_t upto;           // the end of the text, or of the last line
    uint64_t terminators;  // in text[from, upto)
};

// One literal, looked for by two of its bytes.
struct LiteralProbe {
    static constexpr size_t kMostBytes = 32;
    size_t size = 0;                          // 1 to kMostBytes
    size_t far = 0, gap = 0;                  // the one byte's place, and how far before it the other is
    alignas(32) uint8_t bytes[kMostBytes] = {};
    alignas(32) uint8_t fold[kMostBytes] = {};  // 0x20 for a letter of either case: (byte | fold) == the lower one
    bool folds = false;
};

// Instruction sets. Each gives the same lines; tests compare them.
enum class LineSet : uint8_t { kNone, kAvx2, kAvx512 };
LineSet best_line_set();  // of this processor
inline bool has_line_pass() { return best_line_set() != LineSet::kNone; }

// At most `most` (1 to kMost) lines of text[from, size) with the literal, which holds no terminator; `from` is the start
// of a line.
void lines_with_literal(const uint8_t* text, size_t size, size_t from, uint8_t terminator, const LiteralProbe& probe,
                        size_t most, LineBatch* batch, LineSet set = best_line_set());
// The same for lines made of bytes of the class alone, which does not hold the terminator.
void lines_of_class(const uint8_t* text, size_t size, size_t from, uint8_t terminator, const ByteSet& of, size_t most,
                    LineBatch* batch, LineSet set = best_line_set());

}  // namespace curserve
#endif
