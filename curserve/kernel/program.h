// program.h: the compiled form of a pattern, as the translator (curserve/regex/) hands it to the kernel.
//
// In: one array of instructions, the shape of a Thompson NFA over bytes. Out: what vm.cpp runs, exactly, on any bytes.
// RE2 and the literal finders are accelerators for the same pattern; this program is the meaning. Order of SPLIT's arms
// is priority (leftmost-first, as Rust's regex crate). Plain C layout: Python packs it with struct "<BBBBII".
#ifndef CURSERVE_PROGRAM_H
#define CURSERVE_PROGRAM_H
#include <cstdint>

namespace curserve {

enum class Op : uint8_t {
    kFail = 0,
    kByte = 1,   // a byte in [lo, hi], then x
    kSplit = 2,  // x first, then y
    kSave = 3,   // capture slot `y` = position, then x (slots 2k, 2k+1 are group k; the whole match is group 0)
    kLook = 4,   // the look-around `lo` (enum Look) holds here, then x
    kJump = 5,   // x
    kMatch = 6,
};

// Look-arounds, with the meaning of regex-automata's `Look`. "LF" ones know newlines whatever the line terminator is:
// ripgrep never tells its engine of another.
enum class Look : uint8_t {
    kStart = 0,        // \A
    kEnd = 1,          // \z
    kStartLF = 2,      // (?m)^
    kEndLF = 3,        // (?m)$
    kStartCRLF = 4,    // (?Rm)^
    kEndCRLF = 5,      // (?Rm)$
    kWordAscii = 6,    // (?-u:\b)
    kWordAsciiNegate = 7,
    kWordUnicode = 8,  // \b
    kWordUnicodeNegate = 9,
    kWordStartAscii = 10,  // (?-u:\b{start})
    kWordEndAscii = 11,
    kWordStartUnicode = 12,
    kWordEndUnicode = 13,
    kWordStartHalfAscii = 14,  // (?-u:\b{start-half})
    kWordEndHalfAscii = 15,
    kWordStartHalfUnicode = 16,
    kWordEndHalfUnicode = 17,
};

struct Inst {
    uint8_t op;  // Op
    uint8_t lo, hi;
    uint8_t pad;
    uint32_t x, y;
};
static_assert(sizeof(Inst) == 12, "Python packs this layout");

}  // namespace curserve
#endif
