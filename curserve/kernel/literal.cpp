// literal.cpp: choice of what to look for, and of the instruction set that looks.
//
// One literal: its two rarest bytes are compared at their distance, 32 starts at a time; the rest is checked where both
// agree. Several: nibble tables over up to three bytes (the idea of Hyperscan's Teddy), then a table by two bytes.
#include "literal.h"

#include <immintrin.h>

#include <algorithm>
#include <cmath>

#include "line_pass.h"

#pragma GCC push_options
#pragma GCC target("avx2,bmi")
#define CURSERVE_SIMD avx2
#define CURSERVE_SIMD_AVX2 1
#include "literal_simd.h"
#undef CURSERVE_SIMD
#undef CURSERVE_SIMD_AVX2
#pragma GCC pop_options

#define CURSERVE_SIMD sse2
#define CURSERVE_SIMD_AVX2 0
#include "literal_simd.h"
#undef CURSERVE_SIMD
#undef CURSERVE_SIMD_AVX2

namespace curserve {
namespace {

const bool kHasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");

// 255 + 14 * log2(share / share of the commonest byte), cut at 0. Counted over 67 MB of C headers, Python, JavaScript.
constexpr uint8_t kByteRank[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 167, 213, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    255, 119, 182, 179, 101, 124, 134, 193, 198, 198, 184, 140, 202, 172, 189, 171,
    184, 177, 169, 161, 154, 165, 151, 147, 151, 162, 184, 165, 147, 176, 155, 120,
    126, 182, 161, 185, 170, 193, 168, 164, 150, 185, 122, 154, 184, 170, 187, 186,
    182, 121, 184, 197, 188, 163, 152, 136, 166, 147, 122, 158, 156, 157, 98, 220,
    147, 215, 184, 207, 206, 230, 203, 189, 195, 218, 143, 185, 209, 196, 218, 215,
    204, 144, 217, 220, 223, 199, 177, 173, 179, 187, 144, 148, 137, 148, 114, 0,
    85, 89, 79, 75, 71, 68, 69, 88, 85, 70, 64, 59, 70, 66, 66, 93,
    72, 82, 72, 72, 79, 74, 98, 68, 69, 82, 72, 67, 73, 68, 66, 111,
    74, 69, 66, 69, 74, 68, 69, 74, 69, 73, 62, 59, 63, 65, 67, 64,
    68, 72, 69, 71, 70, 68, 68, 70, 107, 87, 65, 71, 78, 70, 70, 66,
    0, 0, 68, 92, 55, 60, 5, 3, 8, 25, 17, 0, 13, 0, 100, 77, 116, 95, 10, 8, 1, 12, 71, 90, 68, 68, 2, 0, 0, 0, 0, 0,
    107, 65, 110, 65, 29, 55, 54, 49, 38, 35, 35, 24, 23, 10, 0, 65, 110, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

bool is_upper(uint8_t b) { return b >= 'A' && b <= 'Z'; }
bool is_lower(uint8_t b) { return b >= 'a' && b <= 'z'; }
uint8_t lower(uint8_t b) { return is_upper(b) ? static_cast<uint8_t>(b | 0x20) : b; }
uint8_t upper(uint8_t b) { return is_lower(b) ? static_cast<uint8_t>(b & 0xDF) : b; }
uint8_t byte_of(const std::string& s, size_t i) { return static_cast<uint8_t>(s[i]); }

}  // namespace

int byte_rank(uint8_t byte) { return kByteRank[byte]; }

size_t count_byte(const uint8_t* text, size_t size, uint8_t byte) {
    return kHasAvx2 ? avx2::count(text, size, byte) : sse2::count(text, size, byte);
}

size_t find_non_ascii(const uint8_t* text, size_t size, size_t from) {
    if (from >= size) return kNotFound;
    return kHasAvx2 ? avx2::non_ascii(text, size, from) : sse2::non_ascii(text, size, from);
}

size_t find_ascii_fold(const uint8_t* text, size_t size, size_t from) {
    if (from >= size) return kNotFound;
    return kHasAvx2 ? avx2::ascii_fold(text, size, from) : sse2::ascii_fold(text, size, from);
}

double byte_share(uint8_t byte) {
    constexpr double kSpaceShare = 0.16;
    return kSpaceShare * std::exp2((kByteRank[byte] - 255) / 14.0);
}

void ByteSet::add(uint8_t byte) {
    has[byte] = true;
    uint8_t& row = (byte < 0x80 ? low : high)[byte & 15];
    row = static_cast<uint8_t>(row | (1u << ((byte >> 4) & 7)));
}

size_t find_in_set(const uint8_t* text, size_t size, size_t from, const ByteSet& set) {
    size_t i = from;
    if (kHasAvx2) {
        const size_t found = avx2::in_set(text, size, from, set.low, set.high, &i);
        if (found != kNotFound) return found;
    }
    while (i < size && !set.has[text[i]]) ++i;
    return i;
}

size_t find_line_start(const uint8_t* text, size_t floor, size_t at, uint8_t byte) {
    if (at <= floor) return floor;
    const void* p = memrchr(text + floor, byte, at - floor);
    return p == nullptr ? floor : static_cast<size_t>(static_cast<const uint8_t*>(p) - text) + 1;
}

LiteralFinder::LiteralFinder(std::vector<std::string> literals, bool fold_ascii, bool simd)
    : literals_(std::move(literals)), fold_(fold_ascii), simd_(simd) {
    shortest_ = literals_.empty() ? 0 : literals_[0].size();
    bool letters = false;
    for (std::string& s : literals_) {
        for (char& c : s) {
            const uint8_t b = static_cast<uint8_t>(c);
            letters = letters || is_upper(b) || is_lower(b);
            if (fold_) c = static_cast<char>(lower(b));
        }
        shortest_ = std::min(shortest_, s.size());
    }
    fold_ = fold_ && letters;
    has_empty_ = !literals_.empty() && shortest_ == 0;
    if (literals_.empty() || has_empty_) return;
    if (literals_.size() == 1) {
        build_one();
    } else {
        build_many();
    }
}

void LiteralFinder::build_one() {
    const std::string& s = literals_[0];
    // Folding makes a letter about as common as both of its cases together.
    const auto rank = [&](size_t i) {
        const uint8_t b = byte_of(s, i);
        return fold_ ? std::max(byte_rank(b), byte_rank(upper(b))) : byte_rank(b);
    };
    size_t best = 0;
    for (size_t i = 1; i < s.size(); ++i) {
        if (rank(i) < rank(best)) best = i;
    }
    size_t second = kNotFound;
    for (size_t i = 0; i < s.size(); ++i) {
        // Another byte tells more than the same one again.
        if (i == best || (s[i] == s[best] && s.size() > 2 && second != kNotFound)) continue;
        if (second == kNotFound || s[second] == s[best] || rank(i) < rank(second)) second = i;
    }
    if (second == kNotFound) second = best;
    near_ = std::min(best, second);
    far_ = std::max(best, second);
    near_byte_ = byte_of(s, near_);
    far_byte_ = byte_of(s, far_);
    near_mask_ = fold_ && is_lower(near_byte_) ? 0x20 : 0;
    far_mask_ = fold_ && is_lower(far_byte_) ? 0x20 : 0;
}

void LiteralFinder::build_many() {
    width_ = std::min<size_t>(3, shortest_);
    by_pair_ = shortest_ >= 2;
    // Where in the literals to look: the window whose commonest bytes are rarest.
    int best = -1;
    for (size_t o = 0; o + width_ <= shortest_ && o < 16; ++o) {
        int worst = 0;
        for (const std::string& s : literals_) {
            int sum = 0;
            for (size_t k = 0; k < width_; ++k) sum += byte_rank(byte_of(s, o + k));
            worst += sum;
        }
        if (best < 0 || worst < best) {
            best = worst;
            offset_ = o;
        }
    }
    heads_.assign(by_pair_ ? 65536 : 256, 0);
    nibbles_ = literals_.size() <= 64;
    // Last literal first, so that each chain ends up in ascending order.
    for (size_t n = literals_.size(); n-- > 0;) {
        const std::string& s = literals_[n];
        const uint8_t a = byte_of(s, offset_);
        const uint8_t firsts[2] = {a, upper(a)};
        const size_t first_count = fold_ && is_lower(a) ? 2 : 1;
        for (size_t i = 0; i < first_count; ++i) {
            if (!by_pair_) {
                entries_.push_back({static_cast<uint32_t>(n), heads_[firsts[i]]});
                heads_[firsts[i]] = static_cast<uint32_t>(entries_.size());
                continue;
            }
            const uint8_t b = byte_of(s, offset_ + 1);
            const uint8_t seconds[2] = {b, upper(b)};
            const size_t second_count = fold_ && is_lower(b) ? 2 : 1;
            for (size_t j = 0; j < second_count; ++j) {
                const size_t key = firsts[i] | (static_cast<size_t>(seconds[j]) << 8);
                entries_.push_back({static_cast<uint32_t>(n), heads_[key]});
                heads_[key] = static_cast<uint32_t>(entries_.size());
            }
        }
        const uint8_t bucket = static_cast<uint8_t>(1u << (n % 8));
        for (size_t k = 0; k < width_; ++k) {
            const uint8_t c = byte_of(s, offset_ + k);
            for (const uint8_t v : {c, fold_ ? upper(c) : c}) {
                low_[k][v & 15] = static_cast<uint8_t>(low_[k][v & 15] | bucket);
                high_[k][v >> 4] = static_cast<uint8_t>(high_[k][v >> 4] | bucket);
            }
        }
    }
}

namespace {

template <typename Word>
bool equal_words(const uint8_t* a, const char* b) {
    Word x, y;
    std::memcpy(&x, a, sizeof x);
    std::memcpy(&y, b, sizeof y);
    return x == y;
}

// memcmp without the call, for the few bytes of a literal.
bool equal_bytes(const uint8_t* a, const char* b, size_t size) {
    if (size > 16) return std::memcmp(a, b, size) == 0;
    if (size >= 8) return equal_words<uint64_t>(a, b) && equal_words<uint64_t>(a + size - 8, b + size - 8);
    if (size >= 4) return equal_words<uint32_t>(a, b) && equal_words<uint32_t>(a + size - 4, b + size - 4);
    for (size_t i = 0; i < size; ++i) {
        if (a[i] != static_cast<uint8_t>(b[i])) return false;
    }
    return true;
}

}  // namespace

bool LiteralFinder::equal_at(const uint8_t* p, size_t room, uint32_t which) const {
    const std::string& s = literals_[which];
    if (s.size() > room) return false;
    if (!fold_) return equal_bytes(p, s.data(), s.size());
    for (size_t i = 0; i < s.size(); ++i) {
        if (lower(p[i]) != byte_of(s, i)) return false;
    }
    return true;
}

// The first literal in order of priority that stands at `start`; offset_ + 1 (+ 1) bytes are known to be in the text.
LiteralHit LiteralFinder::verify(const uint8_t* text, size_t size, size_t start) const {
    const uint8_t* key = text + start + offset_;
    const size_t slot = by_pair_ ? key[0] | (static_cast<size_t>(key[1]) << 8) : key[0];
    for (uint32_t e = heads_[slot]; e != 0; e = entries_[e - 1].next) {
        const uint32_t which = entries_[e - 1].which;
        if (equal_at(text + start, size - start, which)) return {start, which};
    }
    return {};
}

LiteralHit LiteralFinder::find(const uint8_t* text, size_t size, size_t at) const {
    if (literals_.empty() || at > size) return {};
    if (has_empty_) {
        for (uint32_t i = 0;; ++i) {  // some literal is empty, so this ends
            if (equal_at(text + at, size - at, i)) return {at, i};
        }
    }
    if (size - at < shortest_) return {};
    return literals_.size() == 1 ? find_one(text, size, at) : find_many(text, size, at);
}

bool LiteralFinder::probe(LiteralProbe* probe) const {
    if (literals_.size() != 1 || !simd_) return false;
    const std::string& s = literals_[0];
    if (s.empty() || s.size() > LiteralProbe::kMostBytes) return false;
    probe->size = s.size();
    probe->far = far_;
    probe->gap = far_ - near_;
    probe->folds = fold_;
    for (size_t i = 0; i < s.size(); ++i) {
        probe->bytes[i] = byte_of(s, i);
        probe->fold[i] = fold_ && is_lower(byte_of(s, i)) ? 0x20 : 0;
    }
    return true;
}

LiteralHit LiteralFinder::find_one(const uint8_t* text, size_t size, size_t at) const {
    const std::string& s = literals_[0];
    if (s.size() == 1 && !fold_) {
        const size_t found = find_terminator(text, size, at, byte_of(s, 0));
        return found == size ? LiteralHit{} : LiteralHit{found, 0};
    }
    const size_t starts = size - s.size() + 1;
    const auto check = [&](size_t start) { return equal_at(text + start, s.size(), 0); };
    size_t found;
    if (!simd_ || !kHasAvx2) {
        found = fold_ ? sse2::find_pair<true>(text, at, starts, near_, far_, near_byte_, far_byte_, near_mask_,
                                              far_mask_, check)
                      : sse2::find_pair<false>(text, at, starts, near_, far_, near_byte_, far_byte_, 0, 0, check);
    } else {
        found = fold_ ? avx2::find_pair<true>(text, at, starts, near_, far_, near_byte_, far_byte_, near_mask_,
                                              far_mask_, check)
                      : avx2::find_pair<false>(text, at, starts, near_, far_, near_byte_, far_byte_, 0, 0, check);
    }
    return {found, 0};
}

LiteralHit LiteralFinder::find_many(const uint8_t* text, size_t size, size_t at) const {
    const size_t starts = size - shortest_ + 1;
    LiteralHit hit;
    const auto check = [&](size_t start) {
        hit = verify(text, size, start);
        return hit.start != kNotFound;
    };
    size_t i = at;
    if (nibbles_ && simd_ && kHasAvx2) {
        // Starts are shifted by offset_, so that the tables look at the bytes they were made for.
        const uint8_t* shifted = text + offset_;
        size_t done = at;
        size_t found = kNotFound;
        switch (width_) {
            case 1: found = avx2::find_nibbles<1>(shifted, at, starts, low_, high_, check, &done); break;
            case 2: found = avx2::find_nibbles<2>(shifted, at, starts, low_, high_, check, &done); break;
            default: found = avx2::find_nibbles<3>(shifted, at, starts, low_, high_, check, &done); break;
        }
        if (found != kNotFound) return hit;
        i = done;
    }
    for (; i < starts; ++i) {
        if (check(i)) return hit;
    }
    return {};
}

}  // namespace curserve
