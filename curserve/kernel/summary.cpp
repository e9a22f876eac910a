// summary.cpp: see summary.h.
#include "summary.h"

#include <algorithm>

namespace curserve {

SummaryPrinter::SummaryPrinter(const Job& job, std::string_view path, Writer& out)
    : job_(job), path_(path), out_(out) {
    const SearchSpec& spec = job.spec;
    counts_ = spec.stats || (!spec.quiet && spec.mode == CS_MODE_COUNT_MATCHES);
    quits_early_ = spec.quiet ? spec.mode != CS_MODE_FILES_WITHOUT_MATCH : spec.mode == CS_MODE_FILES_WITH_MATCHES;
}

bool SummaryPrinter::matched(const Found& found) {
    uint64_t count = 1;
    if (counts_ || job_.multi_line) {
        count = 0;
        each_match(job_, found, nullptr, [&](Span) {
            ++count;
            return true;
        });
        count = std::max<uint64_t>(count, 1);  // a match may depend on what lies outside of the lines
    }
    match_count_ += job_.multi_line ? count : 1;
    if (counts_) {
        matches += count;
        matched_lines += count_lines(found.text, found.lines.start, found.lines.end, job_.terminator.byte);
        return true;
    }
    return !quits_early_;
}

size_t SummaryPrinter::matched_many(const FoundLines& found) {
    if (!wants_count_only()) return Sink::matched_many(found);
    match_count_ += found.count;
    return found.count;
}

bool SummaryPrinter::wants_count_only() const { return !counts_ && !job_.multi_line && !quits_early_; }

void SummaryPrinter::counted(uint64_t lines) { match_count_ += lines; }

void SummaryPrinter::finish(uint64_t byte_count, int64_t binary_offset) {
    searched_with_match = match_count_ > 0;
    bytes_searched = byte_count;
    bytes_printed = out_.count();
    if (binary_offset >= 0 && job_.binary == Binary::kQuit) {
        match_count_ = 0;  // a filter: nothing is said of binary files found by walking
        return;
    }
    const SearchSpec& spec = job_.spec;
    if (spec.quiet) return;
    const std::string_view term = job_.terminator.bytes();
    switch (spec.mode) {
        case CS_MODE_COUNT:
        case CS_MODE_COUNT_MATCHES:
            if (match_count_ == 0 && !spec.include_zero) return;
            if (spec.with_filename) put_path(":");
            out_.number(spec.mode == CS_MODE_COUNT ? match_count_ : matches);
            out_.put(term);
            return;
        case CS_MODE_FILES_WITH_MATCHES:
            if (match_count_ > 0) put_path(term);
            return;
        case CS_MODE_FILES_WITHOUT_MATCH:
            if (match_count_ == 0) put_path(term);
            return;
        default: return;
    }
}

void SummaryPrinter::put_path(std::string_view end) {
    out_.styled(job_.spec.path_style, job_.spec.color != 0, path_);
    out_.put(job_.spec.null_path ? std::string_view("\0", 1) : end);
}

}  // namespace curserve
