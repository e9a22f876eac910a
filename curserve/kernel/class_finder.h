// class_finder.h: lines found by which bytes they are made of, without walking an automaton.
//
// In: a program (program.h). Out: a rule that every match obeys, if there is a useful one, and vector code that finds what
// obeys it. Two rules: a run of at least n bytes of one class ([A-Z]{12,}; n = 1: any byte of it), and a line that is
// made of one class alone (^\s*$). Invariant: a rule may over-match, never under-match; exact() says that it does
// neither on runs (or lines) whose bytes are those the rule was made for. Does not know: spans, Unicode, look-behind.
#ifndef CURSERVE_CLASS_FINDER_H
#define CURSERVE_CLASS_FINDER_H
#include <cstddef>
#include <cstdint>
#include <vector>

#include "literal.h"
#include "program.h"

namespace curserve {

class ClassFinder {
  public:
    enum class Rule : uint8_t { kNone, kRun, kWholeLine };
    struct Hit {
        size_t start = kNotFound, end = 0;  // of a run of length() bytes, or of a line without its terminator
    };
    // What count() found in a text.
    struct Count {
        uint64_t lines = 0;  // a piece behind the last terminator is one, unless it is empty
        uint64_t whole = 0;  // of them, those made of the class alone (the empty ones too)
    };

    // `program` must have been checked (class Vm does). `ascii_only`: the texts hold no byte >= 0x80. `simd` = false keeps
    // to the plain loops (tests compare the two).
    ClassFinder(const std::vector<Inst>& program, uint8_t line_terminator, bool ascii_only, bool simd = true);

    Rule rule() const { return rule_; }
    bool exact() const { return exact_; }
    size_t length() const { return length_; }

    // The first run, or the first line that obeys, in text[from, size); `from` is the start of a line.
    Hit find(const uint8_t* text, size_t size, size_t from) const;
    // The class that the matching lines are made of, if they are all lines made of it alone and line_pass.h can look for
    // them; else null.
    const ByteSet* line_class() const {
        return simd_ && exact_ && rule_ == Rule::kWholeLine ? &class_ : nullptr;
    }
    // Whether lines can be counted without finding each: only if exact.
    bool counts() const { return exact_ && (rule_ == Rule::kWholeLine || (rule_ == Rule::kRun && length_ == 1)); }
    // How many lines of text[from, size) match. Only if counts().
    uint64_t count(const uint8_t* text, size_t size, size_t from) const;

  private:
    using Set = std::vector<uint32_t>;  // instructions, sorted
    struct Closed {
        Set bytes;           // kByte instructions
        bool match = false;  // kMatch is reached
        bool looked = false; // a look-around was passed that the closure was not told of
    };
    // Which look-arounds hold: all of them, or ^ and $ as said (and no other).
    struct At {
        bool anywhere, line_start, line_end;
    };

    Closed close(const std::vector<Inst>& program, const Set& from, At at) const;
    Set step(const std::vector<Inst>& program, const Set& bytes, unsigned byte) const;
    bool find_run(const std::vector<Inst>& program);
    bool find_whole_line(const std::vector<Inst>& program);
    Hit find_run_plainly(const uint8_t* text, size_t size, size_t from) const;
    Hit find_line_plainly(const uint8_t* text, size_t size, size_t from) const;
    Count count_lines(const uint8_t* text, size_t size, size_t from) const;

    Rule rule_ = Rule::kNone;
    bool exact_ = false;
    bool simd_;
    uint8_t terminator_;
    unsigned byte_limit_;  // 0x80 or 0x100: bytes from here on do not occur
    size_t length_ = 0;
    ByteSet class_;        // of a run, or of a line
    ByteSet counted_;      // what count() looks for whole lines of: the class, or what is not in it
};

}  // namespace curserve
#endif
