// core.h: ripgrep's line-by-line rules over one text: which lines a sink hears of, and in what order.
//
// In: windows of a text (all offsets are the text's own), a Matcher through a Job. Out: calls of a Sink; the position
// the search reached. Invariant: calls and positions are those of ripgrep 15.2.0's searcher (grep-searcher core.rs),
// whose fast and slow ways differ in small things (what -m does to contexts) and are therefore both here.
// Does not know: where windows come from (line_buffer.h), multi-line matches (searcher.cpp).
#ifndef CURSERVE_CORE_H
#define CURSERVE_CORE_H
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "sink.h"

namespace curserve {

class Core {
  public:
    // detect: look for NULs in the lines themselves (mapped files and multi-line search; else the line buffer does).
    Core(const Job& job, Sink& sink, const uint8_t* text, size_t size, bool detect)
        : job_(job), spec_(job.spec), sink_(sink), text_(text), size_(size), detect_(detect),
          term_(job.terminator.byte), fast_(is_fast()) {}

    size_t pos() const { return pos_; }
    void set_pos(size_t pos) { pos_ = pos; }
    int64_t binary_offset() const { return binary_offset_; }

    // Searches the lines of the window [start, end) from pos() on. False: the search is over.
    bool match_by_line(size_t start, size_t end) {
        window_start_ = start;
        window_end_ = end;
        if (!fast_) return match_slow();
        switch (match_fast()) {
            case Fast::kContinue: return true;
            case Fast::kStop: return false;
            case Fast::kSwitchToSlow: break;
        }
        return match_slow();
    }

    // Leaves a window [start, end) behind; gives where the next one must start so that contexts remain at hand.
    size_t roll(size_t start, size_t end) {
        size_t next = end;
        if (std::max(spec_.before_context, spec_.after_context) > 0) {
            next = std::max(preceding_lines(text_, start, end, term_, spec_.before_context), last_visited_);
        }
        // Lines are counted when a number is wanted, not here: all of the text stays at hand.
        last_visited_ = next;
        pos_ = end;
        return next;
    }

    // True: binary data was found here and the search must stop.
    bool detect_binary(Span range) {
        if (binary_offset_ >= 0) return job_.binary == Binary::kQuit;
        if (job_.binary == Binary::kNone) return false;
        const size_t hit = find_byte(text_, range.start, range.end, 0);
        if (hit == kNone) return false;
        binary_offset_ = static_cast<int64_t>(hit);
        if (!sink_.binary_data(hit)) return true;
        return job_.binary == Binary::kQuit;
    }

    bool before_context(size_t upto) {
        if (spec_.before_context == 0 || last_visited_ >= upto) return true;
        const size_t start = preceding_lines(text_, last_visited_, upto, term_, spec_.before_context - 1);
        LineStep step(term_, start, upto);
        Span line;
        while (step.next(text_, &line)) {
            if (!break_context(line.start) || !sink_context(line, ContextKind::kBefore)) return false;
        }
        return true;
    }

    bool after_context(size_t upto) {
        if (after_left_ == 0) return true;
        const bool limited = at_limit();
        LineStep step(term_, last_visited_, upto);
        Span line;
        while (step.next(text_, &line)) {
            if (limited && line_matches(line) != (spec_.invert_match != 0)) {
                const uint64_t left = after_left_;
                pos_ = line.end;
                if (!sink_matched(line)) return false;
                after_left_ = left - 1;
            } else if (!sink_context(line, ContextKind::kAfter)) {
                return false;
            }
            if (after_left_ == 0) break;
        }
        return true;
    }

    bool other_context(size_t upto) {
        LineStep step(term_, last_visited_, upto);
        Span line;
        while (step.next(text_, &line)) {
            if (!sink_context(line, ContextKind::kOther)) return false;
        }
        return true;
    }

    bool sink_matched(Span lines) {
        if (detect_ && detect_binary(lines)) return false;
        if (!break_context(lines.start)) return false;
        count_to(lines.start);
        const size_t window_end = detect_ ? size_ : window_end_;
        const Span within = {lines.start - window_start_, lines.end - window_start_};
        const Found found = {text_ + window_start_, window_end - window_start_, within, lines.start, line_number_};
        if (!sink_.matched(found)) return false;
        last_visited_ = lines.end;
        after_left_ = spec_.after_context;
        has_sunk_ = true;
        return true;
    }

    bool at_limit() const { return spec_.has_max_count && count_ >= spec_.max_count; }
    void count_match() { ++count_; }

  private:
    enum class Fast { kContinue, kStop, kSwitchToSlow };

    // The fast way lets the matcher run over many lines at once. Not where every line is printed; nor, unless ripgrep's
    // engine knows of no lines (-U), where a pattern asks for the ends of its haystack (\A, \z) or lines end with NUL.
    bool is_fast() const {
        if (spec_.passthru) return false;
        if (!job_.matcher.spec().told_terminator) return true;
        if (spec_.line_terminator == CS_LINES_NUL) return false;
        for (const Inst& inst : job_.matcher.spec().program) {
            if (inst.op == static_cast<uint8_t>(Op::kLook) && inst.lo <= static_cast<uint8_t>(Look::kEnd)) return false;
        }
        return true;
    }

    bool line_matches(Span line) {
        const size_t end = end_without_terminator(text_, line, job_.terminator);
        return job_.matcher.find(text_ + line.start, end - line.start, 0, job_.ascii, job_.scratch, nullptr).start !=
               kNone;
    }

    Span find_line(size_t from, size_t end) {
        return job_.matcher.find_line(text_, end, from, job_.ascii, job_.scratch);
    }

    // The same where only some ranges need to be looked at.
    Span find_in_ranges() {
        for (; range_ < job_.ranges->size(); ++range_) {
            const ByteRange range = (*job_.ranges)[range_];
            if (range.end <= pos_) continue;
            if (range.start >= window_end_) break;
            const Span hit = find_line(std::max(range.start, pos_), std::min(range.end, window_end_));
            if (hit.start != kNone || range.end > window_end_) return hit;
        }
        return {kNone, kNone};
    }

    // The first matching line from pos() on, with its terminator.
    bool find_fast(Span* line) {
        if (pos_ >= window_end_ || at_limit()) return false;
        const Span hit = job_.ranges == nullptr ? find_line(pos_, window_end_) : find_in_ranges();
        if (hit.start == kNone) return false;
        const size_t last = find_byte(text_, hit.end, window_end_, term_);
        *line = {hit.start, last == kNone ? window_end_ : last + 1};
        return true;
    }

    // Lines that are only counted need not be found one by one.
    bool count_fast() {
        if (!sink_.wants_count_only() || spec_.invert_match || spec_.has_max_count || spec_.stop_on_nonmatch ||
            spec_.before_context > 0 || spec_.after_context > 0 || detect_ || job_.ranges != nullptr) {
            return false;
        }
        uint64_t count = 0;
        if (!job_.matcher.count_lines(text_, window_end_, pos_, job_.ascii, &count)) return false;
        sink_.counted(count);
        pos_ = window_end_;
        return true;
    }

    // Whether the lines that are found may be handed over many at once.
    bool may_batch() const {
        return sink_.wants_many() && !spec_.invert_match && !spec_.stop_on_nonmatch && spec_.before_context == 0 &&
               spec_.after_context == 0 && !detect_;
    }

    // As many lines as one batch takes. False: they must be found one by one.
    bool match_batch(size_t from, size_t end, Fast* then) {
        size_t most = LineBatch::kMost;
        if (spec_.has_max_count) most = static_cast<size_t>(std::min<uint64_t>(most, spec_.max_count - count_));
        const uint8_t* const window = text_ + window_start_;
        const size_t size = end - window_start_, at = from - window_start_;
        if (!job_.matcher.find_lines(window, size, at, job_.ascii, job_.scratch, most, &batch_)) return false;
        pos_ = window_start_ + batch_.upto;
        if (batch_.count > 0) count_to(from);
        const FoundLines found = {window,       window_end_ - window_start_, batch_.lines, batch_.count,
                                  window_start_, line_number_};
        if (last_counted_ == from) {
            last_counted_ = pos_;
            line_number_ += batch_.terminators;
        }
        if (batch_.count == 0) return true;
        has_matched_ = has_sunk_ = true;
        count_ += batch_.count;
        const size_t taken = sink_.matched_many(found);
        const size_t last = std::min<size_t>(taken, batch_.count - 1);
        last_visited_ = window_start_ + batch_.lines[last].end;
        if (taken < batch_.count) {
            pos_ = last_visited_;
            *then = Fast::kStop;
        }
        return true;
    }

    // Searches the window, or ends before its end. False: lines must be found one by one, from pos() on.
    bool match_batches(Fast* then) {
        *then = Fast::kContinue;
        while (pos_ < window_end_ && !at_limit() && *then == Fast::kContinue) {
            size_t end = window_end_;
            if (job_.ranges != nullptr) {
                const std::vector<ByteRange>& ranges = *job_.ranges;
                while (range_ < ranges.size() && ranges[range_].end <= pos_) ++range_;
                if (range_ == ranges.size() || ranges[range_].start >= window_end_) {
                    pos_ = window_end_;
                    break;
                }
                pos_ = std::max(pos_, ranges[range_].start);
                end = std::min(ranges[range_].end, window_end_);
            }
            if (!match_batch(pos_, end, then)) return false;
        }
        if (*then == Fast::kStop) return true;
        if (at_limit()) {
            *then = Fast::kStop;
        } else {
            pos_ = window_end_;
        }
        return true;
    }

    Fast match_fast() {
        if (pos_ < window_end_ && count_fast()) return Fast::kContinue;
        Fast then;
        if (may_batch() && match_batches(&then)) return then;
        while (pos_ < window_end_) {
            if (spec_.stop_on_nonmatch && has_matched_) return Fast::kSwitchToSlow;
            Span line;
            if (spec_.invert_match) {
                if (!match_fast_inverted()) break;
            } else if (find_fast(&line)) {
                has_matched_ = true;
                count_match();
                if (std::max(spec_.before_context, spec_.after_context) > 0) {
                    if (!after_context(line.start) || !before_context(line.start)) return Fast::kStop;
                }
                pos_ = line.end;
                if (!sink_matched(line)) return Fast::kStop;
            } else {
                break;
            }
        }
        if (!after_context(window_end_)) return Fast::kStop;
        if (at_limit() && after_left_ == 0) return Fast::kStop;
        pos_ = window_end_;
        return Fast::kContinue;
    }

    bool match_fast_inverted() {
        Span line, unmatched;
        if (find_fast(&line)) {
            unmatched = {pos_, line.start};
            pos_ = line.end;
        } else {
            unmatched = {pos_, window_end_};
            pos_ = window_end_;
        }
        if (unmatched.start >= unmatched.end) return true;
        has_matched_ = true;
        if (!after_context(unmatched.start) || !before_context(unmatched.start)) return false;
        LineStep step(term_, unmatched.start, unmatched.end);
        while (step.next(text_, &line)) {
            count_match();
            if (!sink_matched(line)) return false;
            if (at_limit()) return false;
        }
        return true;
    }

    bool match_slow() {
        LineStep step(term_, pos_, window_end_);
        Span line;
        while (step.next(text_, &line)) {
            if (at_limit() && !spec_.passthru && after_left_ == 0) return false;
            const bool success = (!at_limit() && line_matches(line)) != (spec_.invert_match != 0);
            pos_ = line.end;
            if (success) {
                has_matched_ = true;
                count_match();
                if (!before_context(line.start) || !sink_matched(line)) return false;
            } else if (after_left_ >= 1) {
                if (!sink_context(line, ContextKind::kAfter)) return false;
            } else if (spec_.passthru) {
                if (!sink_context(line, ContextKind::kOther)) return false;
            }
            if (spec_.stop_on_nonmatch && !success && has_matched_) return false;
        }
        return true;
    }

    bool sink_context(Span line, ContextKind kind) {
        if (detect_ && detect_binary(line)) return false;
        count_to(line.start);
        const size_t size = line.end - line.start;
        if (!sink_.context({text_ + line.start, size, {0, size}, line.start, line_number_}, kind)) return false;
        last_visited_ = line.end;
        if (kind == ContextKind::kAfter) --after_left_;
        has_sunk_ = true;
        return true;
    }

    bool break_context(size_t start) {
        const bool any = spec_.before_context > 0 || spec_.after_context > 0;
        if (!any || !has_sunk_ || last_visited_ >= start) return true;
        return sink_.context_break();
    }

    void count_to(size_t upto) {
        if (!spec_.line_number || last_counted_ >= upto) return;
        line_number_ += count_byte(text_, last_counted_, upto, term_);
        last_counted_ = upto;
    }

    const Job& job_;
    const SearchSpec& spec_;
    Sink& sink_;
    const uint8_t* text_;
    size_t size_;
    bool detect_;
    uint8_t term_;
    bool fast_;
    size_t window_start_ = 0, window_end_ = 0;
    size_t pos_ = 0;
    size_t range_ = 0;  // the first that is not behind us
    size_t last_counted_ = 0, last_visited_ = 0;
    uint64_t after_left_ = 0, count_ = 0, line_number_ = 1;
    int64_t binary_offset_ = -1;
    bool has_sunk_ = false, has_matched_ = false;
    LineBatch batch_;
};

}  // namespace curserve
#endif
