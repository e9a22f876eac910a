// vm.h: runs a program exactly: leftmost-first, with captures and every look-around, on any bytes.
//
// In: instructions (program.h) and a window of a haystack. Out: whether and where it matches. Invariant: this is the
// definition that every other engine is held to. Time is O(window * program), whatever the pattern.
// Does not know: lines, other engines.
#ifndef CURSERVE_VM_H
#define CURSERVE_VM_H
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "pace.h"
#include "program.h"

namespace curserve {

// Whether `byte` is in [0-9A-Za-z_].
inline bool is_word_byte(uint8_t byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_';
}

// Whether a scalar value is in Unicode \w.
bool is_word_scalar(uint32_t scalar);

// Whether `look` holds at `at` in text[0, size). Bytes that are no UTF-8 are no word characters; the negated and the
// half boundaries moreover do not hold beside them (as regex-automata's look.rs has it).
bool look_holds(Look look, const uint8_t* text, size_t size, size_t at);

// Working memory of one thread; any program may use it, one at a time.
struct VmScratch {
    struct Threads {
        std::vector<uint32_t> dense, sparse;
        std::vector<size_t> slots;  // one row for each instruction
        size_t count = 0;
    };
    struct Frame {
        uint32_t inst;   // kRestore: a slot gets its old value back
        uint32_t slot;
        size_t position;
    };
    Threads now, next;
    std::vector<Frame> stack;
    std::vector<size_t> slots;
};

class Vm {
  public:
    // `program` must outlive the Vm. Throws std::runtime_error if it is malformed (a target or a slot out of range).
    Vm(const std::vector<Inst>& program, uint32_t capture_slots);

    // The leftmost-first match that starts at or after `at` and ends at or before `limit`, look-around seeing all of
    // text[0, size). `slots` receives `slot_count` positions (SIZE_MAX: unset); slot_count 0 asks only whether there is
    // a match, and stops as soon as that is known. at <= limit <= size. No match either where the pace is over.
    bool search(const uint8_t* text, size_t size, size_t at, size_t limit, VmScratch& scratch, Pace& pace,
                size_t* slots, size_t slot_count) const;

    bool matches_empty() const { return matches_empty_; }
    // Bytes that a match can begin with, if it is not empty.
    const std::bitset<256>& first_bytes() const { return first_bytes_; }

  private:
    struct Run;
    void close(Run& run, VmScratch::Threads& threads, uint32_t inst, size_t at) const;

    const std::vector<Inst>& program_;
    bool matches_empty_ = false;  // some path without a byte leads to kMatch, look-around taken to hold
    std::bitset<256> first_bytes_;
};

}  // namespace curserve
#endif
