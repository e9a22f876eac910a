// dfa.h: an automaton built while it runs, for the question "where is the first line that matches?".
//
// In: a program (program.h). Out: a position in the first matching line. Invariant: agrees with the Vm on whether and in
// which line there is a match; where a look-around would need a non-ASCII character decoded it says so (kAsk) and the
// caller asks the Vm about that line. Priorities and captures do not matter to the question and are not kept.
// Does not know: where a match starts.
//
// States that most bytes do not leave are sat out with vector code. Lines are independent of each other, so four of them are walked at once: the walk waits for memory, not for the
// processor (measured: 0.6 GB/s with one, 2 GB/s with four).
#ifndef CURSERVE_DFA_H
#define CURSERVE_DFA_H
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "literal.h"
#include "pace.h"
#include "program.h"

namespace curserve {

class Dfa {
  public:
    // What one thread has built of one Dfa. Emptied by the thread whenever it is used for another Dfa.
    struct Cache {
        std::vector<uint32_t> table;  // states * stride_; an entry is a state (times stride_) or a tagged event
        std::vector<std::vector<uint32_t>> sets;  // by state: sorted instructions
        std::vector<uint8_t> contexts;            // by state: what of the byte before matters to its look-arounds
        std::vector<uint32_t> skips;              // by state: index + 1 into leaving; 0: none; ~0: undecided
        std::vector<ByteSet> leaving;             // bytes that leave some state which others do not
        std::unordered_map<std::string, uint32_t> index;
        uint32_t starts[32];  // by context
        std::vector<uint32_t> marks, todo, work;  // closure's own
        uint32_t generation = 0;
        uint64_t walked_bytes = 0;  // since the table was last emptied
        uint64_t epoch = 0;        // times it was emptied
        int strikes = 0;            // times it filled up without walking much
        const Dfa* owner = nullptr;
        uint64_t owner_id = 0;
    };

    enum class Outcome : uint8_t {
        kNone,    // no match
        kFound,   // `at` lies in (or at the end of) the first line that matches, or is `size`
        kAsk,     // lines before the one `at` lies in do not match; that line must be asked of the Vm
        kGaveUp,  // too many states: use something else from now on
    };
    struct Result {
        Outcome outcome;
        size_t at;
    };

    // `program` must have been checked (class Vm does). `ascii_only`: haystacks hold no byte >= 0x80; what could match one
    // is left out, which makes states of Unicode classes small and quick to build.
    Dfa(const std::vector<Inst>& program, uint8_t line_terminator, bool ascii_only = false);

    // Is there a match that starts at or after `at` and ends at or before `limit`? Look-around sees text[0, size). Says
    // kNone where the pace is over.
    Result walk(const uint8_t* text, size_t size, size_t at, size_t limit, Cache& cache, Pace& pace) const;
    // The first line at or after `from` (a line's start) that matches; no match may contain the terminator.
    Result walk_lines(const uint8_t* text, size_t size, size_t from, Cache& cache, Pace& pace) const;

  private:
    enum class Truth : uint8_t { kNo, kYes, kLater, kAsk };

    void keep_useful(const std::vector<Inst>& program, bool ascii_only);
    void find_classes();
    Truth truth(Look look, uint8_t before, int next) const;
    uint8_t context_of(const uint8_t* text, size_t at) const;
    uint8_t context_after(uint8_t byte) const;
    void prepare(Cache& cache) const;
    void empty(Cache& cache) const;
    uint32_t start_state(Cache& cache, uint8_t context) const;
    void close(Cache& cache, uint32_t inst, uint8_t context) const;
    uint32_t intern(Cache& cache, uint8_t context) const;
    uint32_t step(Cache& cache, uint32_t state, unsigned symbol) const;
    void decide_skip(Cache& cache, uint32_t state) const;
    uint32_t step_or_empty(Cache& cache, uint32_t* state, unsigned symbol) const;
    Result run(const uint8_t* text, size_t at, size_t limit, uint32_t* state, Cache& cache) const;
    Result finish(const uint8_t* text, size_t size, size_t limit, uint32_t state, Cache& cache) const;
    bool sits_out(Cache& cache) const;
    Result run_four(const uint8_t* text, const size_t* bounds, Cache& cache) const;

    std::vector<Inst> program_;  // from 0 on; only kFail, kByte, kSplit, kLook and kMatch
    uint8_t line_terminator_;
    uint64_t id_;
    uint8_t classes_[256] = {};
    uint8_t examples_[256] = {};  // one byte of each class
    unsigned class_count_ = 0;
    unsigned stride_ = 0;  // classes and the end of the text
    // By instruction, for look-arounds: what may follow them (a byte, or nothing at all).
    std::vector<std::bitset<256>> follows_;
    std::vector<bool> follows_nothing_;
};

}  // namespace curserve
#endif
