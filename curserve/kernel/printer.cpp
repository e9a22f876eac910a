// printer.cpp: see printer.h. The order of pieces and the odd cases are grep-printer's Standard's.
#include "printer.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace curserve {
namespace {

constexpr size_t kSlack = 64;  // bytes that may be read and written behind what is copied

// Copies whole vectors: up to kSlack bytes too many on both sides. Most pieces are shorter than one, so that the branch
// hardly ever goes wrong. Gives where the copy ends.
inline char* copy_widely(char* to, const void* from, size_t size) {
    const char* const bytes = static_cast<const char*>(from);
    size_t at = 0;
    do std::memcpy(to + at, bytes + at, kSlack);
    while ((at += kSlack) < size);
    return to + size;
}

}  // namespace

StandardPrinter::StandardPrinter(const Job& job, std::string_view path, Writer& out)
    : job_(job), spec_(job.spec), path_(path), out_(out), replacer_(job) {
    color_matches_ = spec_.color && !Writer::is_plain(spec_.match_style);
    granular_ = color_matches_ || spec_.column || spec_.has_replacement || spec_.vimgrep || spec_.only_matching ||
                spec_.stats;
    plain_ = is_plain();
    if (!plain_) return;
    if (has_path()) {
        lead_.reserve(path_.size() + spec_.field_match_separator_size + kSlack);
        lead_.assign(path_);
        lead_.append(spec_.field_match_separator, spec_.field_match_separator_size);
    }
    lead_size_ = lead_.size();
    lead_.append(kSlack, '\0');
}

bool StandardPrinter::is_plain() const {
    return !granular_ && !spec_.color && !spec_.heading && !spec_.byte_offset && !spec_.trim && !spec_.has_max_columns &&
           !spec_.null_path && !job_.multi_line;
}

// What sink() would print of a matching line, in one piece. readable: from `line` on, at least `size`.
inline void StandardPrinter::put_plainly(const uint8_t* line, size_t size, size_t readable, uint64_t line_number) {
    constexpr size_t kDigits = 20;
    printed_lines = true;
    const bool ended = size > 0 && line[size - 1] == job_.terminator.byte;
    const std::string_view term = ended ? std::string_view() : job_.terminator.bytes();
    const std::string_view separator(spec_.field_match_separator, spec_.field_match_separator_size);
    char* to = out_.room(lead_size_ + kDigits + separator.size() + size + term.size() + kSlack);
    if (to == nullptr) {
        out_.put(std::string_view(lead_).substr(0, lead_size_));
        if (spec_.line_number) {
            out_.number(line_number);
            out_.put(separator);
        }
        out_.put(line, 0, size);
        out_.put(term);
        return;
    }
    char* const start = to;
    to = copy_widely(to, lead_.data(), lead_size_);
    if (spec_.line_number) {
        char digits[kDigits];
        const std::string_view number = decimal(line_number, digits);
        std::memcpy(to, number.data(), number.size());
        to += number.size();
        std::memcpy(to, separator.data(), separator.size());
        to += separator.size();
    }
    if (size + kSlack <= readable) {
        to = copy_widely(to, line, size);
    } else {
        std::memcpy(to, line, size);
        to += size;
    }
    if (!ended) {
        std::memcpy(to, term.data(), term.size());
        to += term.size();
    }
    out_.took(static_cast<size_t>(to - start));
}

size_t StandardPrinter::matched_many(const FoundLines& found) {
    if (!plain_ || (job_.binary == Binary::kConvert && binary_offset_ >= 0)) return Sink::matched_many(found);
    for (size_t i = 0; i < found.count; ++i) {
        const Line& line = found.lines[i];
        ++match_count_;
        put_plainly(found.text + line.start, line.end - line.start, found.size - line.start,
                    found.line_number + line.before);
        if (out_.stopped()) return i;
    }
    return found.count;
}

bool StandardPrinter::matched(const Found& found) {
    ++match_count_;
    if (plain_) {
        if (job_.binary == Binary::kConvert && binary_offset_ >= 0) return false;
        put_plainly(found.text + found.lines.start, found.lines.end - found.lines.start, found.size - found.lines.start,
                    found.line_number);
        return !out_.stopped();
    }
    spans_.clear();
    if (granular_) collect_matches(job_, found, &spans_);
    replacer_.replace(found);
    if (spec_.stats) {
        matches += spans_.size();
        matched_lines += count_lines(found.text, found.lines.start, found.lines.end, job_.terminator.byte);
    }
    if (job_.binary == Binary::kConvert && binary_offset_ >= 0) return false;
    Sunk sunk{found.text + found.lines.start, found.lines.end - found.lines.start, &spans_, spans_.size(), found.offset,
              found.line_number, false};
    if (replacer_.replaced()) {
        sunk.bytes = reinterpret_cast<const uint8_t*>(replacer_.text().data());
        sunk.size = replacer_.text().size();
        sunk.spans = &replacer_.spans();
    }
    sink(sunk);
    return !out_.stopped();
}

bool StandardPrinter::context(const Found& found, ContextKind) {
    spans_.clear();
    replacer_.clear();
    if (spec_.invert_match) {
        if (granular_) collect_matches(job_, found, &spans_);
        replacer_.replace(found);
    }
    if (job_.binary == Binary::kConvert && binary_offset_ >= 0) return false;
    Sunk sunk{found.text + found.lines.start, found.lines.end - found.lines.start, &spans_, spans_.size(), found.offset,
              found.line_number, true};
    if (replacer_.replaced()) {
        sunk.bytes = reinterpret_cast<const uint8_t*>(replacer_.text().data());
        sunk.size = replacer_.text().size();
        sunk.spans = &replacer_.spans();
    }
    sink(sunk);
    return !out_.stopped();
}

bool StandardPrinter::context_break() {
    if (spec_.has_context_separator) {
        out_.put(std::string_view(spec_.context_separator, spec_.context_separator_size));
        write_term();
    }
    return true;
}

bool StandardPrinter::binary_data(uint64_t offset) {
    binary_offset_ = static_cast<int64_t>(offset);
    return true;
}

void StandardPrinter::finish(uint64_t byte_count, int64_t) {
    if (binary_offset_ >= 0 && match_count_ > 0) {
        if (has_path()) {
            write_path();
            out_.put(": ");
        }
        const bool quit = job_.binary == Binary::kQuit;
        out_.put(quit ? "WARNING: stopped searching binary file after match" : "binary file matches");
        out_.put(" (found \"\\0\" byte around offset ");
        out_.number(static_cast<uint64_t>(binary_offset_));
        out_.put(")\n");
    }
    searched_with_match = match_count_ > 0;
    bytes_searched = byte_count;
    bytes_printed = out_.count();
}

void StandardPrinter::sink(const Sunk& sunk) {
    search_prelude();
    const bool multi_line = job_.multi_line && !sunk.is_context;
    if (sunk.spans->empty()) {
        if (multi_line) {
            sink_fast_multi_line(sunk);
        } else {
            prelude(sunk, sunk.offset, sunk.line_number, 0);
            write_line(sunk, sunk.bytes, sunk.size);
        }
    } else if (multi_line) {
        sink_slow_multi_line(sunk);
    } else {
        sink_slow(sunk);
    }
}

void StandardPrinter::sink_fast_multi_line(const Sunk& sunk) {
    LineStep step(job_.terminator.byte, 0, sunk.size);
    Span line;
    for (uint64_t count = 0; step.next(sunk.bytes, &line); ++count) {
        prelude(sunk, sunk.offset + line.start, sunk.line_number + count, 0);
        write_line(sunk, sunk.bytes + line.start, line.end - line.start);
    }
}

void StandardPrinter::sink_slow(const Sunk& sunk) {
    if (spec_.only_matching) {
        for (const Span span : *sunk.spans) {
            prelude(sunk, sunk.offset + span.start, sunk.line_number, span.start + 1);
            one_.assign(1, Span{0, span.end - span.start});
            write_colored_line(sunk, one_, sunk.bytes + span.start, span.end - span.start);
        }
    } else if (spec_.vimgrep) {
        for (const Span span : *sunk.spans) {
            prelude(sunk, sunk.offset + span.start, sunk.line_number, span.start + 1);
            one_.assign(1, span);
            write_colored_line(sunk, one_, sunk.bytes, sunk.size);
        }
    } else {
        prelude(sunk, sunk.offset, sunk.line_number, sunk.spans->front().start + 1);
        write_colored_line(sunk, *sunk.spans, sunk.bytes, sunk.size);
    }
}

void StandardPrinter::sink_slow_multi_line(const Sunk& sunk) {
    if (spec_.only_matching) {
        sink_only_matching_multi_line(sunk);
        return;
    }
    if (spec_.vimgrep) {
        sink_per_match_multi_line(sunk);
        return;
    }
    size_t index = 0;
    LineStep step(job_.terminator.byte, 0, sunk.size);
    Span line;
    for (uint64_t count = 0; step.next(sunk.bytes, &line); ++count) {
        prelude(sunk, sunk.offset + line.start, sunk.line_number + count, sunk.spans->front().start + 1);
        line = trimmed(sunk.bytes, line);
        if (exceeds(line.end - line.start)) {
            write_exceeded(sunk, sunk.bytes, line, *sunk.spans, &index);
        } else {
            write_colored_matches(sunk, sunk.bytes, line, *sunk.spans, &index);
            write_term();
        }
    }
}

void StandardPrinter::sink_only_matching_multi_line(const Sunk& sunk) {
    const std::vector<Span>& spans = *sunk.spans;
    size_t index = 0;
    LineStep step(job_.terminator.byte, 0, sunk.size);
    Span line;
    for (uint64_t count = 0; step.next(sunk.bytes, &line); ++count) {
        line = trimmed(sunk.bytes, unterminated(sunk.bytes, line));
        while (line.start < line.end) {
            if (spans[index].end <= line.start) {
                if (index + 1 >= spans.size()) break;
                ++index;
                continue;
            }
            const Span span = spans[index];
            if (line.start < span.start) {
                line.start = std::min(line.end, span.start);
                continue;
            }
            const size_t upto = std::min(line.end, span.end);
            prelude(sunk, sunk.offset + span.start, sunk.line_number + count, span.start + 1);
            const Span piece{line.start, upto};
            line.start = upto;
            if (exceeds(piece.end - piece.start)) {
                write_exceeded(sunk, sunk.bytes, piece, spans, &index);
            } else {
                write_match(sunk.bytes, piece);
                write_term();
            }
        }
    }
}

void StandardPrinter::sink_per_match_multi_line(const Sunk& sunk) {
    for (const Span span : *sunk.spans) {
        LineStep step(job_.terminator.byte, 0, sunk.size);
        Span line;
        for (uint64_t count = 0; step.next(sunk.bytes, &line); ++count) {
            if (line.start >= span.end) break;
            if (line.end <= span.start) continue;
            const uint64_t column = span.start > line.start ? span.start - line.start + 1 : 1;
            prelude(sunk, sunk.offset + line.start, sunk.line_number + count, column);
            line = trimmed(sunk.bytes, unterminated(sunk.bytes, line));
            if (exceeds(line.end - line.start)) {
                one_.assign(1, span);
                size_t index = 0;
                write_exceeded(sunk, sunk.bytes, line, one_, &index);
                continue;
            }
            while (line.start < line.end) {
                size_t upto = line.end;
                if (span.end <= line.start) {
                    out_.put(sunk.bytes, line.start, upto);
                } else if (line.start < span.start) {
                    upto = std::min(line.end, span.start);
                    out_.put(sunk.bytes, line.start, upto);
                } else {
                    upto = std::min(line.end, span.end);
                    write_match(sunk.bytes, {line.start, upto});
                }
                line.start = upto;
            }
            write_term();
            break;  // ripgrep's --vimgrep prints only the first line of each match
        }
    }
}

void StandardPrinter::search_prelude() {
    printed_lines = true;
    if (out_.count() > 0 || !spec_.heading || !has_path()) return;
    write_path();
    if (spec_.null_path) {
        out_.put('\0');
    } else {
        write_term();
    }
}

void StandardPrinter::prelude(const Sunk& sunk, uint64_t offset, uint64_t line_number, uint64_t column) {
    const std::string_view separator =
        sunk.is_context ? std::string_view(spec_.field_context_separator, spec_.field_context_separator_size)
                        : std::string_view(spec_.field_match_separator, spec_.field_match_separator_size);
    const bool color = spec_.color != 0;
    if (!spec_.heading && has_path()) {
        write_path();
        out_.put(spec_.null_path ? std::string_view("\0", 1) : separator);
    }
    const auto field = [&](const cs_style& style, uint64_t n) {
        if (color) {
            out_.begin_style(style);
            out_.number(n);
            out_.reset_style();
        } else {
            out_.number(n);
        }
        out_.put(separator);
    };
    if (spec_.line_number) field(spec_.line_style, line_number);
    if (spec_.column && column != 0) field(spec_.column_style, column);
    if (spec_.byte_offset) field(spec_.column_style, offset);
}

void StandardPrinter::write_line(const Sunk& sunk, const uint8_t* bytes, size_t size) {
    const Span line = trimmed(bytes, {0, size});
    if (exceeds(line.end - line.start)) {
        size_t index = 0;
        write_exceeded(sunk, bytes + line.start, {0, line.end - line.start}, *sunk.spans, &index);
        return;
    }
    out_.put(bytes, line.start, line.end);
    if (line.start == line.end || bytes[line.end - 1] != job_.terminator.byte) write_term();
}

void StandardPrinter::write_colored_line(const Sunk& sunk, const std::vector<Span>& spans, const uint8_t* bytes,
                                         size_t size) {
    if (!color_matches_) {
        write_line(sunk, bytes, size);
        return;
    }
    const Span line = trimmed(bytes, {0, size});
    size_t index = 0;
    if (exceeds(size)) {
        write_exceeded(sunk, bytes, line, spans, &index);
    } else {
        write_colored_matches(sunk, bytes, line, spans, &index);
        write_term();
    }
}

void StandardPrinter::write_colored_matches(const Sunk& sunk, const uint8_t* bytes, Span line,
                                            const std::vector<Span>& spans, size_t* index) {
    line = unterminated(bytes, line);
    if (spans.empty()) {
        out_.put(bytes, line.start, line.end);
        return;
    }
    if (highlight_on(sunk)) out_.begin_style(spec_.highlight_style);
    while (line.start < line.end) {
        if (spans[*index].end <= line.start) {
            if (*index + 1 < spans.size()) {
                ++*index;
                continue;
            }
            end_color_match(sunk);
            out_.put(bytes, line.start, line.end);
            break;
        }
        const Span span = spans[*index];
        size_t upto;
        if (line.start < span.start) {
            upto = std::min(line.end, span.start);
            end_color_match(sunk);
        } else {
            upto = std::min(line.end, span.end);
            if (!in_match_) {
                if (spec_.color) out_.begin_style(spec_.match_style);
                in_match_ = true;
            }
        }
        out_.put(bytes, line.start, upto);
        line.start = upto;
    }
    end_color_match(sunk);
    if (highlight_on(sunk)) out_.reset_style();
}

void StandardPrinter::write_exceeded(const Sunk& sunk, const uint8_t* bytes, Span line, const std::vector<Span>& spans,
                                     size_t* index) {
    if (spec_.max_columns_preview) {
        // ripgrep counts grapheme clusters. On ASCII these are bytes, but for "\r\n".
        const Span original = line;
        uint64_t clusters = 0;
        size_t end = line.start;
        while (end < original.end && clusters < spec_.max_columns) {
            const bool pair = bytes[end] == '\r' && end + 1 < original.end && bytes[end + 1] == '\n';
            if (bytes[end] >= 0x80) unsure = "graphemes";
            end += pair ? 2 : 1;
            ++clusters;
        }
        if (end < original.end && bytes[end] >= 0x80) unsure = "graphemes";  // may belong to the last cluster
        line.end = end;
        write_colored_matches(sunk, bytes, line, spans, index);
        if (spans.empty()) {
            out_.put(" [... omitted end of long line]");
        } else {
            const auto remaining = std::count_if(spans.begin(), spans.end(), [&](const Span& span) {
                return span.start >= line.end && span.start < original.end;
            });
            out_.put(" [... ");
            out_.number(static_cast<uint64_t>(remaining));
            out_.put(remaining == 1 ? " more match]" : " more matches]");
        }
    } else if (sunk.original_matches == 0 || spec_.only_matching) {
        out_.put(sunk.is_context ? "[Omitted long context line]" : "[Omitted long matching line]");
    } else {
        out_.put("[Omitted long line with ");
        out_.number(sunk.original_matches);
        out_.put(" matches]");
    }
    write_term();
}

void StandardPrinter::write_match(const uint8_t* bytes, Span piece) {
    const std::string_view text(reinterpret_cast<const char*>(bytes) + piece.start, piece.end - piece.start);
    out_.styled(spec_.match_style, spec_.color != 0, text);
}

void StandardPrinter::end_color_match(const Sunk& sunk) {
    if (!in_match_) return;
    in_match_ = false;
    if (!spec_.color) return;
    if (highlight_on(sunk)) {
        out_.begin_style(spec_.highlight_style);
    } else {
        out_.reset_style();
    }
}

Span StandardPrinter::trimmed(const uint8_t* bytes, Span line) const {
    if (!spec_.trim) return line;
    const std::string_view term = job_.terminator.bytes();
    while (line.start < line.end) {
        const uint8_t c = bytes[line.start];
        if (c != ' ' && (c < '\t' || c > '\r')) break;
        if (term.find(static_cast<char>(c)) != std::string_view::npos) break;
        ++line.start;
    }
    return line;
}

}  // namespace curserve
