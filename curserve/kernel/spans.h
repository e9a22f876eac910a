// spans.h: the matches inside lines that are printed, and what --replace makes of them.
//
// In: lines in their buffer (Found), a Job. Out: spans relative to the first line's start, in order, not overlapping;
// the replaced text with the spans of its replacements. Invariant: empty matches follow the rules of grep-matcher's
// iterators (never right after another match; the next search starts one byte on).
#ifndef CURSERVE_SPANS_H
#define CURSERVE_SPANS_H
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sink.h"

namespace curserve {

constexpr size_t kMaxLookAhead = 128;  // bytes beyond the lines that a multi-line match may see, as in ripgrep

// The end of the haystack in which matches of `found` are looked for.
inline size_t haystack_end(const Job& job, const Found& found) {
    if (job.multi_line) return std::min(found.size, found.lines.end + kMaxLookAhead);
    return end_without_printed_terminator(found.text, found.lines, job.terminator);
}

// Calls visit(Span, slots) for each match that starts in found.lines, offsets of the buffer; until it gives false.
template <typename Visit>
void each_match(const Job& job, const Found& found, size_t* slots, Visit visit) {
    const size_t end = haystack_end(job, found);
    size_t at = found.lines.start, last_match = kNone;
    LineAhead ahead;
    while (at <= end) {
        const Span span = job.matcher.find(found.text, end, at, job.ascii, job.scratch, slots, &ahead);
        if (span.start == kNone) return;
        if (span.start == span.end) {
            at = span.end + 1;
            if (span.end == last_match) continue;
        } else {
            at = span.end;
        }
        last_match = span.end;
        if (span.start >= found.lines.end || !visit(span)) return;
    }
}

inline void collect_matches(const Job& job, const Found& found, std::vector<Span>* spans) {
    spans->clear();
    const size_t base = found.lines.start;
    each_match(job, found, nullptr, [&](Span span) {
        spans->push_back({span.start - base, span.end - base});
        return true;
    });
}

// --replace. One for each file; its buffers are reused from line to line.
class Replacer {
  public:
    explicit Replacer(const Job& job) : job_(job) {
        if (wanted()) slots_.resize(std::max<size_t>(2, job.matcher.spec().capture_slots), kNone);
    }

    bool wanted() const { return job_.spec.has_replacement != 0; }
    bool replaced() const { return !spans_.empty(); }
    const std::string& text() const { return text_; }
    const std::vector<Span>& spans() const { return spans_; }
    void clear() {
        text_.clear();
        spans_.clear();
    }

    void replace(const Found& found) {
        clear();
        if (!wanted()) return;
        const char* bytes = reinterpret_cast<const char*>(found.text);
        size_t last = found.lines.start;
        const size_t haystack = haystack_end(job_, found);
        each_match(job_, found, slots_.data(), [&](Span span) {
            text_.append(bytes + last, span.start - last);
            last = span.end;
            const size_t start = text_.size();
            interpolate(bytes);
            spans_.push_back({start, text_.size()});
            return true;
        });
        const size_t end = last > found.lines.end ? haystack : std::min(haystack, found.lines.end);
        if (last < end) text_.append(bytes + last, end - last);
        if (!job_.multi_line) text_.append(bytes + haystack, found.lines.end - haystack);
    }

  private:
    static bool is_name_byte(char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    }

    // $1, $name, ${name}, $$; anything else after a $ stands for itself.
    void interpolate(const char* bytes) {
        std::string_view rest(job_.spec.replacement, job_.spec.replacement_size);
        for (;;) {
            const size_t dollar = rest.find('$');
            if (dollar == std::string_view::npos) break;
            text_.append(rest.substr(0, dollar));
            rest.remove_prefix(dollar);
            if (rest.size() >= 2 && rest[1] == '$') {
                text_.push_back('$');
                rest.remove_prefix(2);
                continue;
            }
            const bool brace = rest.size() >= 2 && rest[1] == '{';
            const size_t start = brace ? 2 : 1;
            size_t end = start;
            while (end < rest.size() && is_name_byte(rest[end])) ++end;
            if (end == start || (brace && (end >= rest.size() || rest[end] != '}'))) {
                text_.push_back('$');
                rest.remove_prefix(1);
                continue;
            }
            const size_t group = group_of(rest.substr(start, end - start));
            rest.remove_prefix(brace ? end + 1 : end);
            if (group != kNone && 2 * group + 1 < slots_.size() && slots_[2 * group] != kNone &&
                slots_[2 * group + 1] != kNone) {
                text_.append(bytes + slots_[2 * group], slots_[2 * group + 1] - slots_[2 * group]);
            }
        }
        text_.append(rest);
    }

    size_t group_of(std::string_view name) const {
        uint64_t number = 0;
        bool numeric = true;
        for (const char c : name) {
            numeric = numeric && c >= '0' && c <= '9';
            if (numeric) number = number * 10 + static_cast<uint64_t>(c - '0');
            if (number > 0xffffffffu) numeric = false;
        }
        if (numeric) return static_cast<size_t>(number);
        std::string_view names(job_.spec.capture_names, job_.spec.capture_names_size);
        while (!names.empty()) {
            const size_t first = names.find('\0');
            const size_t second = first == std::string_view::npos ? first : names.find('\0', first + 1);
            if (second == std::string_view::npos) break;
            if (names.substr(first + 1, second - first - 1) == name) return group_of(names.substr(0, first));
            names.remove_prefix(second + 1);
        }
        return kNone;
    }

    const Job& job_;
    std::vector<size_t> slots_;
    std::string text_;
    std::vector<Span> spans_;
};

}  // namespace curserve
#endif
