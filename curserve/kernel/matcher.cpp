// matcher.cpp: which engine answers.
//
// Lines: a literal that is the pattern, or that every match contains, is looked for first; else what class_finder.h knows
// of the bytes of every match; otherwise (and to verify) the automaton (dfa.h) walks. Spans: RE2 where its text is exact for the bytes at hand, else the simulation (vm.h), either
// only on the line that was found. Every choice here is about cost; none may change an answer.
#include "matcher.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>

#include "class_finder.h"
#include "dfa.h"
#include "literal.h"
#include "re2_engine.h"
#include "vm.h"

namespace curserve {

struct Scratch::Impl {
    VmScratch vm;
    Dfa::Cache dfa_ascii, dfa_bytes;
};

Scratch::Scratch() : impl(new Impl) {}
Scratch::~Scratch() = default;

namespace {

constexpr Span kNoSpan{kNone, kNone};

// A required literal that keeps standing in lines without a match is given up for the rest of a call after this many
// such lines, if they came closer together than this. Arbitrary; a walk of 256 bytes costs about what one hit does.
constexpr size_t kVainMax = 8;
constexpr size_t kVainGapBytes = 256;
// How far a finder looks ahead where characters that fold to ASCII must be looked for as well: bounds what is searched
// twice. Arbitrary.
constexpr size_t kFoldWindowBytes = 32768;
// Below this RE2 is asked at once for a span, above it the automaton first finds the line: RE2 reads all it is given.
constexpr size_t kSpanDirectBytes = 2048;

// A set of literals as a filter, and on which haystacks it misses nothing.
class Filter {
  public:
    Filter() : finder_({}, false) {}
    Filter(const std::vector<std::string>& literals, bool fold, uint8_t terminator, bool multi_line)
        : finder_(literals, fold), fold_(fold), usable_(!literals.empty()) {
        for (const std::string& s : literals) {
            if (s.empty()) usable_ = false;
            longest_ = std::max(longest_, s.size());
            for (const char c : s) {
                const uint8_t b = static_cast<uint8_t>(c);
                if (b == terminator && !multi_line) usable_ = false;
                if (b >= 0x80) ascii_ = false;
                if ((b | 0x20) == 'k' || (b | 0x20) == 's') folds_outside_ = true;
            }
        }
    }

    const LiteralFinder& finder() const { return finder_; }
    bool fold() const { return fold_; }
    size_t longest() const { return longest_; }
    bool usable() const { return usable_; }
    // Misses nothing on such a haystack. U+212A and U+017F are all that folds into ASCII, but not all that folds.
    bool complete(bool ascii_text) const { return usable_ && (ascii_text || !fold_ || (ascii_ && !folds_outside_)); }
    // Misses nothing but what contains U+212A or U+017F.
    bool complete_but_folds() const { return usable_ && ascii_; }

  private:
    LiteralFinder finder_;
    size_t longest_ = 0;
    bool fold_ = false;
    bool usable_ = false;
    bool ascii_ = true;
    bool folds_outside_ = false;
};

class BuiltMatcher final : public Matcher {
  public:
    BuiltMatcher(MatcherSpec spec, EngineChoice choice)
        : spec_(std::move(spec)),
          choice_(choice),
          vm_(spec_.program, spec_.capture_slots) {
        bool invalid_matters = false, ends_matter = false;
        for (const Inst& in : spec_.program) {
            crosses_ = crosses_ || (in.op == static_cast<uint8_t>(Op::kByte) && in.lo <= spec_.line_terminator &&
                                    spec_.line_terminator <= in.hi);
            if (in.op != static_cast<uint8_t>(Op::kLook)) continue;
            const Look look = static_cast<Look>(in.lo);
            invalid_matters = invalid_matters || look == Look::kWordUnicodeNegate || look == Look::kWordStartHalfUnicode;
            ends_matter = ends_matter || look == Look::kStart || look == Look::kEnd;
        }
        lines_alone_ = invalid_matters && !ends_matter && !spec_.required.empty();
        if (choice_ != EngineChoice::kAuto) return;
        if (!spec_.literals.empty()) {
            literals_ = Filter(spec_.literals, spec_.literals_fold_ascii, spec_.line_terminator, spec_.multi_line);
            probed_ = literals_.usable() && !crosses_ && literals_.finder().probe(&probe_);
        }
        if (!spec_.required.empty()) {
            required_ = Filter(spec_.required, spec_.required_fold_ascii, spec_.line_terminator, spec_.multi_line);
        }
        // Its rules take ^ and $ for the ends of lines, which they are not where NUL ends lines.
        by_class_ = spec_.line_terminator == '\n' && !crosses_ && !literals_.usable() && !required_.usable();
    }

    const MatcherSpec& spec() const override { return spec_; }

    const char* engine() const override {
        if (choice_ == EngineChoice::kVm) return "vm";
        if (choice_ == EngineChoice::kRe2) return "re2";
        return literals_.usable() ? "literal" : required_.usable() ? "required"
               : class_for(true) != nullptr ? "class" : "dfa";
    }

    Span find_line(const uint8_t* text, size_t size, size_t from, bool ascii, Scratch& scratch) const override {
        if (from >= size || !scratch.pace.spend(Pace::kOfCall)) return kNoSpan;
        const Span line = first_line(Haystack{text + from, size - from, ascii, *scratch.impl, scratch.pace});
        return line.start == kNone ? line : Span{from + line.start, from + line.end};
    }

    bool find_lines(const uint8_t* text, size_t size, size_t from, bool ascii, Scratch& scratch, size_t most,
                    LineBatch* batch) const override {
        if (from >= size || !has_line_pass()) return false;
        const ByteSet* const line_class = probed_ ? nullptr : line_class_for(ascii);
        if (!(probed_ && (ascii || !probe_.folds)) && line_class == nullptr) return false;
        if (!scratch.pace.spend(Pace::kOfCall)) {
            *batch = LineBatch{};
            batch->upto = size;
            return true;
        }
        if (probed_) {
            lines_with_literal(text, size, from, spec_.line_terminator, probe_, most, batch);
        } else {
            lines_of_class(text, size, from, spec_.line_terminator, *line_class, most, batch);
        }
        return true;
    }

    bool count_lines(const uint8_t* text, size_t size, size_t from, bool ascii, uint64_t* count) const override {
        const ClassFinder* const classes = class_for(ascii);
        if (classes == nullptr || !classes->counts()) return false;
        *count = classes->count(text, size, from);
        return true;
    }

    Span find(const uint8_t* text, size_t size, size_t at, bool ascii, Scratch& scratch, size_t* slots,
              LineAhead* ahead) const override {
        if (at > size || !scratch.pace.spend(Pace::kOfCall)) return kNoSpan;
        const Haystack h{text, size, ascii, *scratch.impl, scratch.pace, ahead};
        if (literals_.usable()) {
            Span span;
            if (find_literal(h, at, &span)) return span.start == kNone ? span : with_slots(h, span, slots);
        } else if (size - at > kVainGapBytes && required_.complete(ascii)) {
            const LiteralHit hit = required_.finder().find(text, size, at);
            if (hit.start == kNotFound) return kNoSpan;
            if (!crosses_) at = find_line_start(text, at, hit.start, spec_.line_terminator);
        }
        return crosses_ ? find_anywhere(h, at, slots) : find_in_lines(h, at, slots);
    }

  private:
    struct Haystack {
        const uint8_t* text;
        size_t size;
        bool ascii;
        Scratch::Impl& scratch;
        Pace& pace;
        LineAhead* ahead = nullptr;  // for find() alone
    };

    size_t line_end(const Haystack& h, size_t at) const {
        if (h.ahead == nullptr) return find_terminator(h.text, h.size, at, spec_.line_terminator);
        if (at < h.ahead->start || h.ahead->end < at)
            *h.ahead = LineAhead{at, find_terminator(h.text, h.size, at, spec_.line_terminator), kNone};
        return h.ahead->end;
    }
    size_t line_start(const Haystack& h, size_t floor, size_t at) const {
        return find_line_start(h.text, floor, at, spec_.line_terminator);
    }
    // Whether `at` is behind the last terminator, in the piece that is no line.
    bool past_lines(const Haystack& h, size_t at) const {
        return at >= h.size && (h.size == 0 || h.text[h.size - 1] == spec_.line_terminator);
    }

    // Whether text[start, end) is ASCII, and the character before it, which look-behind sees. What follows `end` is a
    // terminator or nothing.
    bool all_ascii(const Haystack& h, size_t start, size_t end) const {
        const size_t seen = start > 0 ? start - 1 : 0;
        LineAhead* const ahead = h.ahead;
        if (ahead == nullptr || start < ahead->start || end != ahead->end) return is_ascii(h.text + seen, end - seen);
        if (ahead->high_end == kNone) {
            ahead->high_end = end;
            while (ahead->high_end > ahead->start && h.text[ahead->high_end - 1] < 0x80) --ahead->high_end;
        }
        return start >= ahead->high_end && (seen >= end || h.text[seen] < 0x80);
    }

    // ---- lines

    Span first_line(const Haystack& h) const {
        if (crosses_ || choice_ == EngineChoice::kVm) return ask_each_line(h);
        const bool certain = literals_.usable();
        const Filter& filter = certain ? literals_ : required_;
        if (filter.complete(h.ascii)) return find_filtered(h, filter, certain);
        if (filter.complete_but_folds()) return find_filtered_folds(h, filter, certain);
        if (const ClassFinder* const classes = class_for(h.ascii)) return find_by_class(h, *classes);
        return scan(h, 0);
    }

    // The rule for texts of this kind, or null.
    const ClassFinder* class_for(bool ascii) const {
        if (!by_class_) return nullptr;
        Lazy<ClassFinder>& lazy = ascii ? class_ascii_ : class_bytes_;
        const ClassFinder* const classes =
            lazy.get([&] { return std::make_unique<ClassFinder>(spec_.program, spec_.line_terminator, ascii); });
        return classes->rule() != ClassFinder::Rule::kNone ? classes : nullptr;
    }

    const ByteSet* line_class_for(bool ascii) const {
        const ClassFinder* const classes = class_for(ascii);
        return classes != nullptr ? classes->line_class() : nullptr;
    }

    Span find_by_class(const Haystack& h, const ClassFinder& classes) const {
        size_t vain = 0;
        for (size_t pos = 0; pos < h.size && !h.pace.over();) {
            const ClassFinder::Hit hit = classes.find(h.text, h.size, pos);
            if (hit.start == kNotFound) return kNoSpan;
            const bool whole = classes.rule() == ClassFinder::Rule::kWholeLine;
            const size_t start = whole ? hit.start : line_start(h, pos, hit.start);
            const size_t end = whole ? hit.end : line_end(h, hit.end);
            if (classes.exact() || line_matches(h, start, end)) return {start, end};
            pos = end + 1;
            if (++vain >= kVainMax && pos < vain * kVainGapBytes) return scan(h, pos);
        }
        return kNoSpan;
    }

    // Whether there is a match within text[start, end), a line.
    bool line_matches(const Haystack& h, size_t start, size_t end) const {
        if (!h.pace.spend(Pace::kOfCall)) return false;
        if (choice_ != EngineChoice::kRe2) {
            switch (walk(h, start, end).outcome) {
                case Dfa::Outcome::kFound: return true;
                case Dfa::Outcome::kNone: return false;
                case Dfa::Outcome::kAsk: return ask_vm(h, start, end);
                case Dfa::Outcome::kGaveUp: break;
            }
        }
        const Re2Engine* re2 = re2_for(h.ascii || all_ascii(h, start, end));
        return re2 != nullptr ? re2->matches(h.text, h.size, start, end) : ask_vm(h, start, end);
    }

    bool ask_vm(const Haystack& h, size_t start, size_t end) const {
        if (!h.pace.spend(Pace::kOfCall)) return false;
        if (lines_alone_) {
            const size_t room = std::min(h.size, end + 1) - start;
            return vm_.search(h.text + start, room, 0, end - start, h.scratch.vm, h.pace, nullptr, 0);
        }
        return vm_.search(h.text, h.size, start, end, h.scratch.vm, h.pace, nullptr, 0);
    }

    Span ask_each_line(const Haystack& h, size_t from = 0) const {
        for (size_t pos = from; pos < h.size && !h.pace.over();) {
            const size_t end = line_end(h, pos);
            if (ask_vm(h, pos, end)) return {pos, end};
            pos = end + 1;
        }
        return kNoSpan;
    }

    // `filter` misses no match; with `certain`, a hit is one. (What is exact on ASCII text only misses some elsewhere, and
    // no hit is wrong: nothing looks at what stands around it, so alone it would be ASCII text. Literals with other bytes
    // that are folded as well are not complete() on other text.)
    Span find_filtered(const Haystack& h, const Filter& filter, bool certain) const {
        size_t vain = 0;
        for (size_t pos = 0; pos < h.size && !h.pace.over();) {
            const LiteralHit hit = filter.finder().find(h.text, h.size, pos);
            if (hit.start == kNotFound) return kNoSpan;
            const size_t start = line_start(h, pos, hit.start), end = line_end(h, hit.start);
            if (certain || line_matches(h, start, end)) return {start, end};
            pos = end + 1;
            if (++vain >= kVainMax && pos < vain * kVainGapBytes) return scan(h, pos);
        }
        return kNoSpan;
    }

    // The same where a match may also stand in a line with U+212A or U+017F and without a hit.
    Span find_filtered_folds(const Haystack& h, const Filter& filter, bool certain) const {
        size_t vain = 0;
        for (size_t pos = 0; pos < h.size && h.pace.spend(kFoldWindowBytes);) {
            const size_t stop = std::min(h.size, line_end(h, std::min(h.size, pos + kFoldWindowBytes)) + 1);
            LiteralHit hit = filter.finder().find(h.text, stop, pos);
            while (pos < stop) {
                if (hit.start != kNotFound && hit.start < pos) hit = filter.finder().find(h.text, stop, pos);
                const size_t line_of_hit = hit.start == kNotFound ? stop : line_start(h, pos, hit.start);
                const size_t fold = find_ascii_fold(h.text, line_of_hit, pos);
                const size_t at = fold != kNotFound ? fold : hit.start;
                if (at == kNotFound) {
                    pos = stop;
                    break;
                }
                const size_t start = line_start(h, pos, at), end = line_end(h, at);
                const bool is_hit = hit.start != kNotFound && start <= hit.start && hit.start < end;
                if ((certain && is_hit) || line_matches(h, start, end)) return {start, end};
                pos = end + 1;
                if (++vain >= kVainMax && pos < vain * kVainGapBytes) return scan(h, pos);
            }
        }
        return kNoSpan;
    }

    // No filter: the automaton over everything.
    Span scan(const Haystack& h, size_t from) const {
        for (size_t pos = from; pos < h.size && !h.pace.over();) {
            Dfa::Result r{Dfa::Outcome::kGaveUp, pos};
            if (choice_ != EngineChoice::kRe2) r = walk_lines(h, pos);
            if (r.outcome == Dfa::Outcome::kNone) return kNoSpan;
            if (r.outcome == Dfa::Outcome::kGaveUp) return scan_without_dfa(h, pos);
            if (past_lines(h, r.at)) return kNoSpan;
            const size_t start = line_start(h, pos, r.at), end = line_end(h, r.at);
            if (r.outcome == Dfa::Outcome::kFound || ask_vm(h, start, end)) return {start, end};
            pos = end + 1;
        }
        return kNoSpan;
    }

    Span scan_without_dfa(const Haystack& h, size_t from) const {
        if (const Re2Engine* re2 = re2_for(h.ascii)) {
            size_t start, end;
            if (!re2->find(h.text, h.size, from, h.size, &start, &end) || past_lines(h, start)) return kNoSpan;
            return {line_start(h, from, start), line_end(h, start)};
        }
        const Re2Engine* on_ascii = re2_for(true);
        if (on_ascii == nullptr) return ask_each_line(h, from);
        for (size_t pos = from; pos < h.size && h.pace.spend(Pace::kOfCall);) {
            const size_t end = line_end(h, pos);
            const bool found = is_ascii(h.text + pos, end - pos) ? on_ascii->matches(h.text, h.size, pos, end)
                                                                 : ask_vm(h, pos, end);
            if (found) return {pos, end};
            pos = end + 1;
        }
        return kNoSpan;
    }

    // ---- spans

    // The pattern is its literals. False: this haystack must be asked otherwise.
    bool find_literal(const Haystack& h, size_t at, Span* span) const {
        const bool complete = literals_.complete(h.ascii);
        if (!complete && !literals_.complete_but_folds()) return false;
        const LiteralHit hit = literals_.finder().find(h.text, h.size, at);
        // A folding character from `at` on may begin an earlier match, or, behind the hit's start, make one of higher
        // priority; each takes at most three bytes for one of a literal.
        const size_t reach = hit.start == kNotFound ? h.size : hit.start + 3 * literals_.longest();
        if (!complete && find_ascii_fold(h.text, std::min(h.size, reach), at) != kNotFound) return false;
        *span = hit.start == kNotFound ? kNoSpan
                                       : Span{hit.start, hit.start + literals_.finder().length(hit.which)};
        return true;
    }

    // Captures of a match whose span is known: nothing of higher priority ends elsewhere, so a window as wide as the
    // span has the same answer.
    Span with_slots(const Haystack& h, Span span, size_t* slots) const {
        if (slots == nullptr) return span;
        if (spec_.capture_slots <= 2) {
            slots[0] = span.start;
            if (spec_.capture_slots == 2) slots[1] = span.end;
            return span;
        }
        const bool found =
            vm_.search(h.text, h.size, span.start, span.end, h.scratch.vm, h.pace, slots, spec_.capture_slots) &&
            slots[0] == span.start && slots[1] == span.end;
        if (found) return span;
        return simulate(h, span.start, h.size, slots);
    }

    Span simulate(const Haystack& h, size_t at, size_t limit, size_t* slots) const {
        size_t own[2];
        size_t* const out = slots != nullptr && spec_.capture_slots >= 2 ? slots : own;
        const size_t count = out == own ? 2 : spec_.capture_slots;
        if (!vm_.search(h.text, h.size, at, limit, h.scratch.vm, h.pace, out, count)) return kNoSpan;
        return {out[0], out[1]};
    }

    // In text[at, limit), where `ascii` says what the bytes are.
    Span find_span(const Haystack& h, size_t at, size_t limit, bool ascii, size_t* slots) const {
        const Re2Engine* re2 = spec_.re2_spans ? re2_for(ascii) : nullptr;
        if (re2 == nullptr) return simulate(h, at, limit, slots);
        Span span;
        if (!re2->find(h.text, h.size, at, limit, &span.start, &span.end)) return kNoSpan;
        return with_slots(h, span, slots);
    }

    // Matches do not cross terminators: find the line, then the span in it.
    Span find_in_lines(const Haystack& h, size_t at, size_t* slots) const {
        if (choice_ == EngineChoice::kVm) return simulate(h, at, h.size, slots);
        if (spec_.re2_spans && h.size - at <= kSpanDirectBytes) {
            const bool ascii = h.ascii || all_ascii(h, at, h.size);
            if (re2_for(ascii) != nullptr) return find_span(h, at, h.size, ascii, slots);
        }
        for (size_t pos = at;;) {
            if (!h.pace.spend(Pace::kOfCall)) return kNoSpan;
            size_t in_line = pos;
            if (choice_ != EngineChoice::kRe2) {
                const Dfa::Result r = walk(h, pos, h.size);
                if (r.outcome == Dfa::Outcome::kNone) return kNoSpan;
                if (r.outcome != Dfa::Outcome::kGaveUp) in_line = r.at;
            }
            const size_t start = line_start(h, pos, in_line), end = line_end(h, in_line);
            const Span span = find_span(h, start, end, h.ascii || all_ascii(h, start, end), slots);
            if (span.start != kNone || end >= h.size) return span;
            pos = end + 1;
        }
    }

    // Matches may span lines: the whole rest is one window.
    Span find_anywhere(const Haystack& h, size_t at, size_t* slots) const {
        if (choice_ == EngineChoice::kVm) return simulate(h, at, h.size, slots);
        if (spec_.re2_spans && re2_for(h.ascii) != nullptr) return find_span(h, at, h.size, h.ascii, slots);
        if (choice_ != EngineChoice::kRe2 && walk(h, at, h.size).outcome == Dfa::Outcome::kNone) return kNoSpan;
        return simulate(h, at, h.size, slots);
    }

    // ---- engines, each made when first needed

    template <typename Engine>
    class Lazy {
      public:
        // The engine, made by the first who asks; null if it cannot be. (std::call_once alone costs some 5 ns each time,
        // which is much beside a short line.)
        template <typename Make>
        const Engine* get(Make make) {
            if (!made_.load(std::memory_order_acquire)) {
                std::call_once(once_, [&] {
                    engine_ = make();
                    made_.store(true, std::memory_order_release);
                });
            }
            return engine_.get();
        }

      private:
        std::atomic<bool> made_{false};
        std::once_flag once_;
        std::unique_ptr<const Engine> engine_;
    };

    const Dfa& dfa(bool ascii) const {
        Lazy<Dfa>& lazy = ascii ? dfa_ascii_ : dfa_bytes_;
        return *lazy.get([&] { return std::make_unique<Dfa>(spec_.program, spec_.line_terminator, ascii); });
    }

    Dfa::Result walk(const Haystack& h, size_t at, size_t limit) const {
        Dfa::Cache& cache = h.ascii ? h.scratch.dfa_ascii : h.scratch.dfa_bytes;
        return dfa(h.ascii).walk(h.text, h.size, at, limit, cache, h.pace);
    }

    Dfa::Result walk_lines(const Haystack& h, size_t from) const {
        Dfa::Cache& cache = h.ascii ? h.scratch.dfa_ascii : h.scratch.dfa_bytes;
        return dfa(h.ascii).walk_lines(h.text, h.size, from, cache, h.pace);
    }

    const Re2Engine* compiled(Lazy<Re2Engine>& lazy, const std::string& text) const {
        if (text.empty()) return nullptr;
        return lazy.get([&]() -> std::unique_ptr<Re2Engine> {
            try {
                return std::make_unique<Re2Engine>(text);
            } catch (const std::runtime_error&) {
                return nullptr;  // Too big for RE2, say. The simulation answers instead.
            }
        });
    }

    // The RE2 that is exact on bytes of this kind, or null.
    const Re2Engine* re2_for(bool ascii) const {
        if (choice_ == EngineChoice::kDfa || choice_ == EngineChoice::kVm) return nullptr;
        const Re2Engine* engine = ascii ? compiled(re2_ascii_, spec_.re2_ascii) : nullptr;
        return engine != nullptr ? engine : compiled(re2_bytes_, spec_.re2_bytes);
    }

    MatcherSpec spec_;
    EngineChoice choice_;
    Vm vm_;
    bool crosses_ = false;  // some match may contain the terminator
    // ripgrep looks for literals first where there are Unicode boundaries, and shows the line that holds one to its
    // matcher without what precedes it. Only look-behind over a line's first bytes, if they are no UTF-8, can tell.
    bool lines_alone_ = false;
    Filter literals_, required_;
    bool probed_ = false;  // a match is a line with this literal, and the other way around
    LiteralProbe probe_;
    bool by_class_ = false;  // no literal is better, and no line is crossed
    mutable Lazy<ClassFinder> class_ascii_, class_bytes_;
    mutable Lazy<Dfa> dfa_ascii_, dfa_bytes_;
    mutable Lazy<Re2Engine> re2_ascii_, re2_bytes_;
};

}  // namespace

std::shared_ptr<const Matcher> Matcher::compile(MatcherSpec spec, EngineChoice choice) {
    return std::make_shared<const BuiltMatcher>(std::move(spec), choice);
}

}  // namespace curserve
