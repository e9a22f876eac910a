// literal.h: finding bytes in bytes: one literal, several literals, terminators, non-ASCII.
//
// In: raw bytes. Out: offsets. Invariant: the same answers as the obvious loop, whatever instruction set runs; nothing
// outside [text, text + size) is read. SSE2 is assumed, AVX2 used where the processor has it.
// Does not know: lines as such, patterns, Unicode beyond the two characters that fold to ASCII letters.
#ifndef CURSERVE_LITERAL_H
#define CURSERVE_LITERAL_H
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace curserve {

constexpr size_t kNotFound = static_cast<size_t>(-1);

// Number of bytes equal to `byte`.
size_t count_byte(const uint8_t* text, size_t size, uint8_t byte);

// Offset of the first byte >= 0x80 in [from, size), or kNotFound.
size_t find_non_ascii(const uint8_t* text, size_t size, size_t from);
inline bool is_ascii(const uint8_t* text, size_t size) { return find_non_ascii(text, size, 0) == kNotFound; }

// Offset of the first U+212A (E2 84 AA) or U+017F (C5 BF) wholly in [from, size), or kNotFound. These two are the only
// characters outside ASCII that Unicode simple folding equates with ASCII letters (k and s).
size_t find_ascii_fold(const uint8_t* text, size_t size, size_t from);

// Offset of the first `byte` in [from, size), or `size` if there is none: the end of the line that `from` is in.
inline size_t find_terminator(const uint8_t* text, size_t size, size_t from, uint8_t byte) {
    if (from >= size) return size;
    const void* p = std::memchr(text + from, byte, size - from);
    return p == nullptr ? size : static_cast<size_t>(static_cast<const uint8_t*>(p) - text);
}

// Start of the line that offset `at` is in, not looking before `floor`: one past the last `byte` in [floor, at), else
// `floor`.
size_t find_line_start(const uint8_t* text, size_t floor, size_t at, uint8_t byte);

// Commonness of a byte in source code, 0 (rare) to 255 (the space). Used to choose what to look for, never to decide.
int byte_rank(uint8_t byte);

// The same as an estimated share of all bytes, 0 to 1.
double byte_share(uint8_t byte);

// Some of the 256 bytes.
struct ByteSet {
    void add(uint8_t byte);
    bool has[256] = {};
    // For vector code: row = low nibble, bit = high nibble; bytes below 0x80 and the others.
    alignas(16) uint8_t low[16] = {};
    alignas(16) uint8_t high[16] = {};
};

// Offset of the first byte of `set` in [from, size), or `size`; from <= size.
size_t find_in_set(const uint8_t* text, size_t size, size_t from, const ByteSet& set);

struct LiteralProbe;

struct LiteralHit {
    size_t start = kNotFound;
    uint32_t which = 0;  // index in the list of literals
};

// A set of literals, in order of priority. Immutable; used by many threads at once.
class LiteralFinder {
  public:
    // `fold_ascii`: A-Z and a-z compare equal; all other bytes are themselves. `simd` = false keeps to the plain loops
    // (tests compare the two).
    LiteralFinder(std::vector<std::string> literals, bool fold_ascii, bool simd = true);

    // The hit with the least start >= at; among those that start there, the literal first in the list.
    LiteralHit find(const uint8_t* text, size_t size, size_t at) const;

    // What line_pass.h needs to look for the literal. False: there are several, or it is empty or too long for that.
    bool probe(LiteralProbe* probe) const;

    size_t length(uint32_t which) const { return literals_[which].size(); }
    bool empty() const { return literals_.empty(); }

  private:
    struct Entry {
        uint32_t which;
        uint32_t next;  // index + 1 into entries_, 0 at the end; ascending `which`
    };

    bool equal_at(const uint8_t* p, size_t room, uint32_t which) const;
    LiteralHit verify(const uint8_t* text, size_t size, size_t start) const;
    LiteralHit find_one(const uint8_t* text, size_t size, size_t at) const;
    LiteralHit find_many(const uint8_t* text, size_t size, size_t at) const;
    void build_one();
    void build_many();

    std::vector<std::string> literals_;  // lower case if fold_
    bool fold_ = false;
    bool simd_ = true;
    bool has_empty_ = false;  // some literal is empty
    size_t shortest_ = 0;

    // One literal: two positions in it whose bytes are rare.
    size_t near_ = 0, far_ = 0;
    uint8_t near_byte_ = 0, far_byte_ = 0;
    uint8_t near_mask_ = 0, far_mask_ = 0;  // 0x20 for a folded letter: (byte | mask) == lower case

    // Several: literals by the two bytes at offset_ (by one, if a literal is that short), and nibble tables over the
    // first width_ bytes from offset_ on.
    size_t offset_ = 0, width_ = 0;
    bool by_pair_ = false;
    bool nibbles_ = false;
    std::vector<uint32_t> heads_;  // 65536 or 256: index + 1 into entries_
    std::vector<Entry> entries_;
    alignas(16) uint8_t low_[3][16] = {};
    alignas(16) uint8_t high_[3][16] = {};
};

}  // namespace curserve
#endif
