// class_finder.cpp: rules by following all paths of a program at once; finding by bit masks, 64 bytes at a time.
//
// The mask of a class comes from byte shuffles (as find_in_set's). A run of n is a mask ANDed with itself shifted by
// 1, 2, 4 … (log n steps). A line made of a class alone is a carry: added at the line's start, it ripples through the
// class's bits and comes out on the terminator's.
#include "class_finder.h"

#include <immintrin.h>

#include <algorithm>
#include <bitset>
#include <cstring>

#include "line_pass.h"

#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#define CURSERVE_SIMD masks_avx2
#define CURSERVE_SIMD_AVX512 0
#include "masks_simd.h"
#undef CURSERVE_SIMD
#undef CURSERVE_SIMD_AVX512
#pragma GCC pop_options

namespace curserve {
namespace {

constexpr size_t kRunMax = 64;           // what one mask can hold
constexpr size_t kInexactRunMin = 4;     // a shorter run that proves nothing stands in most lines. Arbitrary
constexpr double kInexactShareMax = 0.5; // of all bytes; a class of more is in the way in code. Arbitrary
constexpr size_t kWorkMax = 1 << 18;     // instructions looked at: bounds the time of making a rule to about a millisecond
constexpr size_t kJumpsMax = 8;          // followed in a row
constexpr size_t kSetsMax = 16;          // different sets that a line's bytes may lead through

// ---- finding, 64 bytes at a time

#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")

using masks_avx2::ByteProbe;
using masks_avx2::ClassProbe;
using masks_avx2::Tail;
using masks_avx2::WholeEnds;

// Ends (last bytes) of runs of n, from masks in the order of the text.
class RunEnds {
  public:
    explicit RunEnds(size_t n) {
        size_t covered = 1;
        for (; covered * 2 <= n; covered *= 2) shifts_[levels_++] = static_cast<unsigned>(covered);
        if (covered < n) shifts_[levels_++] = static_cast<unsigned>(n - covered);
    }
    uint64_t next(uint64_t mask) {
        uint64_t x = mask;
        for (unsigned k = 0; k < levels_; ++k) {
            const uint64_t before = before_[k];
            before_[k] = x;
            x &= (x << shifts_[k]) | (before >> (64 - shifts_[k]));
        }
        return x;
    }

  private:
    unsigned shifts_[7] = {};  // 1 to 32
    unsigned levels_ = 0;
    uint64_t before_[7] = {};
};

size_t avx2_run_end(const uint8_t* text, size_t size, size_t from, const ByteSet& set, size_t n) {
    const ClassProbe probe(set);
    size_t i = from;
    if (n == 1) {
        for (; size - i >= 64; i += 64) {
            const uint64_t hits = probe.mask(text + i);
            if (hits != 0) return i + static_cast<size_t>(__builtin_ctzll(hits));
        }
    }
    RunEnds ends(n);
    for (; size - i >= 64; i += 64) {
        const uint64_t hits = ends.next(probe.mask(text + i));
        if (hits != 0) return i + static_cast<size_t>(__builtin_ctzll(hits));
    }
    const Tail tail(text + i, size - i);
    const uint64_t hits = ends.next(probe.mask(tail.bytes) & tail.valid);
    return hits != 0 ? i + static_cast<size_t>(__builtin_ctzll(hits)) : kNotFound;
}

// Calls visit(offset, hits, terminators) for each 64 bytes until it says true; the end of the text counts as the last
// line's terminator, if that line is not empty.
template <typename Visit>
inline void avx2_whole_lines(const uint8_t* text, size_t size, size_t from, const ByteSet& set, uint8_t terminator,
                             const Visit& visit) {
    const ClassProbe probe(set);
    const ByteProbe terminator_probe(terminator);
    WholeEnds ends;
    size_t i = from;
    for (; size - i >= 64; i += 64) {
        const uint64_t terminators = terminator_probe.mask(text + i);
        if (visit(i, ends.next(probe.mask(text + i), terminators), terminators)) return;
    }
    const Tail tail(text + i, size - i);
    uint64_t terminators = terminator_probe.mask(tail.bytes) & tail.valid;
    if (size > from && text[size - 1] != terminator) terminators |= uint64_t{1} << (size - i);
    visit(i, ends.next(probe.mask(tail.bytes) & tail.valid, terminators), terminators);
}

size_t avx2_whole_line_end(const uint8_t* text, size_t size, size_t from, const ByteSet& set, uint8_t terminator) {
    size_t end = kNotFound;
    avx2_whole_lines(text, size, from, set, terminator, [&](size_t i, uint64_t hits, uint64_t) {
        if (hits == 0) return false;
        end = i + static_cast<size_t>(__builtin_ctzll(hits));
        return true;
    });
    return end;
}

ClassFinder::Count avx2_count(const uint8_t* text, size_t size, size_t from, const ByteSet& set, uint8_t terminator) {
    ClassFinder::Count count;
    avx2_whole_lines(text, size, from, set, terminator, [&](size_t, uint64_t hits, uint64_t terminators) {
        count.lines += static_cast<uint64_t>(__builtin_popcountll(terminators));
        count.whole += static_cast<uint64_t>(__builtin_popcountll(hits));
        return false;
    });
    return count;
}

#pragma GCC pop_options

}  // namespace

// ---- rules

ClassFinder::ClassFinder(const std::vector<Inst>& program, uint8_t line_terminator, bool ascii_only, bool simd)
    : simd_(simd && has_line_pass()), terminator_(line_terminator), byte_limit_(ascii_only ? 0x80 : 0x100) {
    if (find_whole_line(program)) {
        rule_ = Rule::kWholeLine;
    } else if (find_run(program)) {
        rule_ = Rule::kRun;
    }
}

// All that waits for a byte, reachable from `from` without one.
ClassFinder::Closed ClassFinder::close(const std::vector<Inst>& program, const Set& from, At at) const {
    Closed out;
    std::vector<bool> seen(program.size());
    Set todo(from);
    while (!todo.empty()) {
        const uint32_t i = todo.back();
        todo.pop_back();
        if (seen[i]) continue;
        seen[i] = true;
        const Inst& in = program[i];
        switch (static_cast<Op>(in.op)) {
            case Op::kFail: break;
            case Op::kByte:
                if (in.lo <= in.hi && in.lo < byte_limit_) out.bytes.push_back(i);
                break;
            case Op::kMatch: out.match = true; break;
            case Op::kSplit:
                todo.push_back(in.y);
                todo.push_back(in.x);
                break;
            case Op::kSave:
            case Op::kJump: todo.push_back(in.x); break;
            case Op::kLook: {
                const Look look = static_cast<Look>(in.lo);
                const bool holds = at.anywhere || (look == Look::kStartLF && at.line_start) ||
                                   (look == Look::kEndLF && at.line_end);
                if (!holds) break;
                out.looked = true;
                todo.push_back(in.x);
                break;
            }
        }
    }
    std::sort(out.bytes.begin(), out.bytes.end());
    return out;
}

ClassFinder::Set ClassFinder::step(const std::vector<Inst>& program, const Set& bytes, unsigned byte) const {
    Set to;
    for (const uint32_t i : bytes) {
        if (program[i].lo > byte || byte > program[i].hi) continue;
        // Past jumps, so that what leads to one place looks the same.
        uint32_t next = program[i].x;
        for (size_t k = 0; k < kJumpsMax; ++k) {
            const Op op = static_cast<Op>(program[next].op);
            if (op != Op::kJump && op != Op::kSave) break;
            next = program[next].x;
        }
        to.push_back(next);
    }
    std::sort(to.begin(), to.end());
    to.erase(std::unique(to.begin(), to.end()), to.end());
    return to;
}

// The first n bytes of every match are of the class that the first is of.
bool ClassFinder::find_run(const std::vector<Inst>& program) {
    constexpr At kAnywhere{true, true, true};
    std::bitset<256> all;
    Closed now = close(program, {0}, kAnywhere);
    bool certain = true;
    size_t n = 0, work = program.size();
    if (work > kWorkMax) return false;
    for (; n < kRunMax && !now.match; ++n) {
        std::bitset<256> here;
        for (const uint32_t i : now.bytes) {
            for (unsigned b = program[i].lo; b <= program[i].hi && b < byte_limit_; ++b) here.set(b);
        }
        if (n == 0) {
            all = here;
        } else if ((here & ~all).any()) {
            break;
        }
        certain = certain && here == all && !now.looked;
        Set next;
        bool same = true;
        Set first;
        bool first_known = false;
        work += 256 * now.bytes.size() + program.size();
        if (work > kWorkMax) return false;
        for (unsigned b = 0; b < byte_limit_; ++b) {
            if (!here[b]) continue;
            Set to = step(program, now.bytes, b);
            if (!first_known) {
                first = to;
                first_known = true;
            }
            same = same && to == first;
            next.insert(next.end(), to.begin(), to.end());
        }
        // Other bytes lead elsewhere, so a run may be a dead end.
        certain = certain && same;
        std::sort(next.begin(), next.end());
        next.erase(std::unique(next.begin(), next.end()), next.end());
        now = close(program, next, kAnywhere);
    }
    if (n == 0 || all.none() || all[terminator_]) return false;
    exact_ = certain && now.match && !now.looked;
    if (!exact_) {
        double share = 0;
        for (unsigned b = 0; b < 256; ++b) share += all[b] ? byte_share(static_cast<uint8_t>(b)) : 0;
        if (n < kInexactRunMin || share > kInexactShareMax) return false;
    }
    length_ = n;
    for (unsigned b = 0; b < 256; ++b) {
        if (all[b]) {
            class_.add(static_cast<uint8_t>(b));
        } else if (b != terminator_) {
            counted_.add(static_cast<uint8_t>(b));
        }
    }
    return true;
}

// Every match is a whole line, from ^ to $, with nothing between but bytes of the class; exact if any of them will do.
bool ClassFinder::find_whole_line(const std::vector<Inst>& program) {
    if (terminator_ != '\n') return false;  // ^ and $ know newlines only
    const Closed unanchored = close(program, {0}, At{false, false, true});
    if (unanchored.match || !unanchored.bytes.empty()) return false;
    std::bitset<256> all;
    for (const Inst& in : program) {
        if (in.op == static_cast<uint8_t>(Op::kLook) && in.lo != static_cast<uint8_t>(Look::kStartLF) &&
            in.lo != static_cast<uint8_t>(Look::kEndLF)) {
            return false;
        }
        if (in.op != static_cast<uint8_t>(Op::kByte)) continue;
        for (unsigned b = in.lo; b <= in.hi && b < byte_limit_; ++b) all.set(b);
    }
    if (all[terminator_]) return false;
    std::vector<Set> sets{{0}};
    size_t work = program.size();
    for (size_t k = 0; k < sets.size(); ++k) {
        work += 2 * program.size();
        if (work > kWorkMax) return false;
        const Closed inside = close(program, sets[k], At{false, k == 0, false});
        const Closed ending = close(program, sets[k], At{false, k == 0, true});
        if (inside.match || !ending.match) return false;  // it need not reach the line's end, or must not end here
        work += 256 * inside.bytes.size();
        for (unsigned b = 0; b < byte_limit_; ++b) {
            if (!all[b]) continue;
            Set to = step(program, inside.bytes, b);
            // sets[0] is where ^ holds; the same set further on is another.
            if (std::find(sets.begin() + 1, sets.end(), to) != sets.end()) continue;
            if (sets.size() >= kSetsMax) return false;
            sets.push_back(std::move(to));
        }
    }
    exact_ = true;
    for (unsigned b = 0; b < 256; ++b) {
        if (!all[b]) continue;
        class_.add(static_cast<uint8_t>(b));
        counted_.add(static_cast<uint8_t>(b));
    }
    return true;
}

// ---- asking

ClassFinder::Hit ClassFinder::find(const uint8_t* text, size_t size, size_t from) const {
    if (from >= size) return {};
    if (rule_ == Rule::kRun) {
        if (!simd_) return find_run_plainly(text, size, from);
        const size_t last = avx2_run_end(text, size, from, class_, length_);
        return last == kNotFound ? Hit{} : Hit{last + 1 - length_, last + 1};
    }
    if (!simd_) return find_line_plainly(text, size, from);
    const size_t end = avx2_whole_line_end(text, size, from, class_, terminator_);
    return end == kNotFound ? Hit{} : Hit{find_line_start(text, from, end, terminator_), end};
}

ClassFinder::Hit ClassFinder::find_run_plainly(const uint8_t* text, size_t size, size_t from) const {
    size_t run = 0;
    for (size_t i = from; i < size; ++i) {
        run = class_.has[text[i]] ? run + 1 : 0;
        if (run == length_) return {i + 1 - length_, i + 1};
    }
    return {};
}

ClassFinder::Hit ClassFinder::find_line_plainly(const uint8_t* text, size_t size, size_t from) const {
    for (size_t start = from; start < size;) {
        const size_t end = find_terminator(text, size, start, terminator_);
        size_t i = start;
        while (i < end && class_.has[text[i]]) ++i;
        if (i == end) return {start, end};
        start = end + 1;
    }
    return {};
}

uint64_t ClassFinder::count(const uint8_t* text, size_t size, size_t from) const {
    if (from >= size) return 0;
    const Count count = count_lines(text, size, from);
    return rule_ == Rule::kWholeLine ? count.whole : count.lines - count.whole;
}

ClassFinder::Count ClassFinder::count_lines(const uint8_t* text, size_t size, size_t from) const {
    if (simd_) return avx2_count(text, size, from, counted_, terminator_);
    Count count;
    for (size_t start = from; start < size;) {
        const size_t end = find_terminator(text, size, start, terminator_);
        size_t i = start;
        while (i < end && counted_.has[text[i]]) ++i;
        ++count.lines;
        count.whole += i == end;
        start = end + 1;
    }
    return count;
}

}  // namespace curserve
