// matcher.h: one compiled question, asked of bytes.
//
// In: a MatcherSpec (texts and tables made by curserve/regex/). Out: the lines that match, and the spans in them.
// Invariant: the answer of every method is that of running `program` on the same bytes; RE2, literal search and the rest
// only make it cheaper. A Matcher is immutable once built and is used by many threads, each with a Scratch of its own.
// Does not know: files, line numbers, contexts, printing.
#ifndef CURSERVE_MATCHER_H
#define CURSERVE_MATCHER_H
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "line_pass.h"
#include "pace.h"
#include "program.h"

namespace curserve {

constexpr size_t kNone = static_cast<size_t>(-1);

struct Span {
    size_t start, end;  // half-open, in bytes of the haystack
};

struct MatcherSpec {
    // The meaning. Never empty.
    std::vector<Inst> program;
    uint32_t capture_slots = 2;           // 2 * (groups + 1)
    uint8_t line_terminator = '\n';       // '\0' with --null-data
    bool multi_line = false;              // -U: a match may span lines; haystacks are whole contents
    bool told_terminator = true;          // ripgrep's engine was told what ends lines: not with -U
    // RE2 texts in Latin-1 (byte) mode, multi-line anchors spelled out; empty = RE2 cannot say it exactly there.
    std::string re2_ascii;                // exact on haystacks whose bytes are all < 0x80
    std::string re2_bytes;                // exact on any bytes
    bool re2_spans = true;                // RE2's spans are exact too (false: only "does it match" is)
    // The pattern is exactly one of these literals, tried in this order of priority (leftmost-first). Empty: it is not.
    std::vector<std::string> literals;
    bool literals_fold_ascii = false;     // ... compared ASCII-case-insensitively; then exact only on ASCII haystacks
    // Every match contains at least one of these (a filter: may over-match). Empty: nothing known.
    std::vector<std::string> required;
    bool required_fold_ascii = false;     // compare ASCII-case-insensitively; then a filter only on ASCII haystacks
};

// Per-thread working memory: VM threads, the automaton built so far for one matcher (up to some 10 MB). Not to be shared;
// worth keeping while one matcher is asked of many files. Once pace.over(), a Matcher's answers mean nothing.
class Scratch {
  public:
    Scratch();
    ~Scratch();
    struct Impl;
    std::unique_ptr<Impl> impl;
    Pace pace;
    std::unique_ptr<char[]> spare;  // a Writer's (output.h), from one file to the next: threads share the allocator
};

// What find() learns of the line at hand, for the next call: a line may be megabytes long, with a match in each byte of it,
// and each would look for its end again. For calls with the same text, size and `ascii`, whose `at` never goes back.
struct LineAhead {
    size_t start = 1, end = 0;       // no terminator in text[start, end), one at `end` or none at all; start > end: nothing known
    size_t high_end = kNone;         // behind its last byte >= 0x80, or `start`; kNone: not looked for
};

// Which engines may answer. Tests hold all of them to the same answers; everybody else says kAuto.
enum class EngineChoice : uint8_t { kAuto, kVm, kDfa, kRe2 };

class Matcher {
  public:
    // Throws std::runtime_error with one clear line when the program is malformed (the caller declines). RE2 texts are
    // compiled when first needed, which is for spans; one that does not compile is as good as an empty one.
    static std::shared_ptr<const Matcher> compile(MatcherSpec spec, EngineChoice choice = EngineChoice::kAuto);
    virtual ~Matcher() = default;

    // The first line at or after `from` that contains a match, as its span without its terminator; start = kNone if
    // there is none. `text` is line-structured (terminator = spec's); `from` is the start of a line. The haystack is
    // text[from, size): look-behind sees nothing before `from`, as in ripgrep, which shows its matcher what is left of
    // its buffer (it matters to \A, and to \B and the half boundaries beside invalid UTF-8). `ascii` says that all of
    // `text` is < 0x80. A final empty piece after the last terminator is no line. Only if !multi_line.
    virtual Span find_line(const uint8_t* text, size_t size, size_t from, bool ascii, Scratch&) const = 0;

    // The first `most` (1 to LineBatch::kMost) lines that find_line would give for text[from, size), one after the other,
    // where one pass over the text can tell; else false. Only if !multi_line.
    virtual bool find_lines(const uint8_t* text, size_t size, size_t from, bool ascii, Scratch&, size_t most,
                            LineBatch* batch) const = 0;

    // How many lines find_line would give for text[from, size), one after the other, where that can be told without
    // finding each; else false. Only if !multi_line.
    virtual bool count_lines(const uint8_t* text, size_t size, size_t from, bool ascii, uint64_t* count) const = 0;

    // The leftmost-first match in text[0, size) starting at or after `at`; look-behind sees text[0, at). start = kNone if
    // there is none. slots: null, or spec().capture_slots entries that receive capture positions (kNone: unset).
    // ahead: null, or what earlier calls have learned.
    virtual Span find(const uint8_t* text, size_t size, size_t at, bool ascii, Scratch&, size_t* slots,
                      LineAhead* ahead = nullptr) const = 0;

    virtual const MatcherSpec& spec() const = 0;
    // For CURSERVE_TRACE and tests: which engine finds the lines ("literal", "required", "class",
    // "dfa", "re2", "vm").
    virtual const char* engine() const = 0;
};

}  // namespace curserve
#endif
