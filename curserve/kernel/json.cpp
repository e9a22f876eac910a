// json.cpp: see json.h.
#include "json.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include <cstdio>

namespace curserve {
namespace {

// How a byte stands in a JSON string as serde_json writes it: 0 as it is, 'u' as \u00XX, else a backslash and this.
constexpr char escape_of(uint8_t byte) {
    switch (byte) {
        case '"': return '"';
        case '\\': return '\\';
        case '\b': return 'b';
        case '\f': return 'f';
        case '\n': return 'n';
        case '\r': return 'r';
        case '\t': return 't';
        default: return byte < 0x20 ? 'u' : '\0';
    }
}

// The first byte at or after `at` that cannot stand in a JSON string as it is.
size_t next_escape(const uint8_t* bytes, size_t at, size_t size) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), last_control = _mm_set1_epi8(0x1f);
    for (; size - at >= 16; at += 16) {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + at));
        const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, last_control), block);
        const __m128i quoted = _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash));
        const int mask = _mm_movemask_epi8(_mm_or_si128(control, quoted));
        if (mask != 0) return at + static_cast<size_t>(__builtin_ctz(static_cast<unsigned>(mask)));
    }
#endif
    while (at < size && escape_of(bytes[at]) == '\0') ++at;
    return at;
}

void put_string(Writer& out, const uint8_t* bytes, size_t size) {
    static constexpr char kHex[] = "0123456789abcdef";
    out.put('"');
    for (size_t at = 0; at < size;) {
        const size_t stop = next_escape(bytes, at, size);
        out.put(bytes, at, stop);
        if (stop == size) break;
        const char escape = escape_of(bytes[stop]);
        if (escape == 'u') {
            const char text[6] = {'\\', 'u', '0', '0', kHex[bytes[stop] >> 4], kHex[bytes[stop] & 15]};
            out.put(std::string_view(text, 6));
        } else {
            const char text[2] = {'\\', escape};
            out.put(std::string_view(text, 2));
        }
        at = stop + 1;
    }
    out.put('"');
}

void put_base64(Writer& out, const uint8_t* bytes, size_t size) {
    static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.put('"');
    for (size_t at = 0; at < size; at += 3) {
        const size_t left = size - at;
        const uint32_t group = static_cast<uint32_t>(bytes[at]) << 16 |
                               (left > 1 ? static_cast<uint32_t>(bytes[at + 1]) << 8 : 0u) |
                               (left > 2 ? static_cast<uint32_t>(bytes[at + 2]) : 0u);
        const char digits[4] = {kDigits[group >> 18], kDigits[group >> 12 & 63],
                                left > 1 ? kDigits[group >> 6 & 63] : '=', left > 2 ? kDigits[group & 63] : '='};
        out.put(std::string_view(digits, 4));
    }
    out.put('"');
}

// The size of the well-formed UTF-8 sequence at bytes[0], or 0.
size_t sequence_size(const uint8_t* bytes, size_t size) {
    const auto tail = [&](size_t i, uint8_t low = 0x80, uint8_t high = 0xbf) {
        return i < size && bytes[i] >= low && bytes[i] <= high;
    };
    const uint8_t lead = bytes[0];
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf) return tail(1) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        const uint8_t low = lead == 0xe0 ? 0xa0 : 0x80, high = lead == 0xed ? 0x9f : 0xbf;
        return tail(1, low, high) && tail(2) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        const uint8_t low = lead == 0xf0 ? 0x90 : 0x80, high = lead == 0xf4 ? 0x8f : 0xbf;
        return tail(1, low, high) && tail(2) && tail(3) ? 4 : 0;
    }
    return 0;
}

}  // namespace

bool is_utf8(const uint8_t* bytes, size_t size) {
    for (size_t at = 0; at < size;) {
#if defined(__SSE2__)
        while (size - at >= 16 &&
               _mm_movemask_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + at))) == 0) {
            at += 16;
        }
        if (at == size) return true;
#endif
        const size_t step = sequence_size(bytes + at, size - at);
        if (step == 0) return false;
        at += step;
    }
    return true;
}

void put_json_data(Writer& out, const uint8_t* bytes, size_t size, bool ascii) {
    if (ascii || is_utf8(bytes, size)) {
        out.put("{\"text\":");
        put_string(out, bytes, size);
    } else {
        out.put("{\"bytes\":");
        put_base64(out, bytes, size);
    }
    out.put('}');
}

void put_seconds(Writer& out, uint64_t ns) {
    char text[48];
    // ripgrep rounds a floating-point number. Only halves and what no double holds to the nanosecond depend on that.
    if (ns % 1000 == 500 || ns >= uint64_t{1} << 50) {
        const double seconds = static_cast<double>(ns / 1000000000) + static_cast<double>(ns % 1000000000) / 1e9;
        const int size = snprintf(text, sizeof text, "%.6f", seconds);
        out.say(std::string_view(text, static_cast<size_t>(size)));
        return;
    }
    const uint64_t us = (ns + 500) / 1000;
    out.number(us / 1000000);
    text[0] = '.';
    uint64_t rest = us % 1000000;
    for (size_t i = 6; i > 0; --i, rest /= 10) text[i] = static_cast<char>('0' + rest % 10);
    out.say(std::string_view(text, 7));
}

void put_json_duration(Writer& out, uint64_t ns, bool sorted) {
    const auto human = [&] {
        out.say("\"human\":\"");
        put_seconds(out, ns);
        out.say("s\"");
    };
    out.say("{");
    if (sorted) {
        human();
        out.say(",\"nanos\":");
        out.number(ns % 1000000000);
        out.say(",\"secs\":");
        out.number(ns / 1000000000);
    } else {
        out.say("\"secs\":");
        out.number(ns / 1000000000);
        out.say(",\"nanos\":");
        out.number(ns % 1000000000);
        out.say(",");
        human();
    }
    out.say("}");
}

JsonPrinter::JsonPrinter(const Job& job, std::string_view path, Writer& out)
    : job_(job), out_(out), replacer_(job), path_(path), started_(std::chrono::steady_clock::now()) {}

void JsonPrinter::begin() {
    if (begun_) return;
    begun_ = true;
    const auto* path = reinterpret_cast<const uint8_t*>(path_.data());
    path_json_.reserve(path_.size() + 16);
    if (next_escape(path, 0, path_.size()) == path_.size() && is_utf8(path, path_.size())) {
        path_json_.append("{\"text\":\"").append(path_).append("\"}");
    } else {
        write_path_json();
    }
    match_head_ = head("match");
    out_.say("{\"type\":\"begin\",\"data\":{\"path\":");
    out_.say(path_json_);
    out_.say("}}\n");
}

void JsonPrinter::write_path_json() {
    class Text : public Output {
      public:
        explicit Text(std::string& text) : text_(text) {}
        bool append(const void* data, size_t size) override {
            text_.append(static_cast<const char*>(data), size);
            return true;
        }
        uint64_t written() const override { return text_.size(); }

      private:
        std::string& text_;
    } text(path_json_);
    Writer writer(text);
    put_json_data(writer, reinterpret_cast<const uint8_t*>(path_.data()), path_.size(), false);
    writer.flush();
}

std::string JsonPrinter::head(std::string_view type) const {
    std::string text;
    text.reserve(path_json_.size() + 48);
    text.append("{\"type\":\"").append(type).append("\",\"data\":{\"path\":").append(path_json_).append(",\"lines\":");
    return text;
}

void JsonPrinter::message(std::string_view head, const Found& found) {
    const uint8_t* lines = found.text + found.lines.start;
    out_.put(head);
    put_json_data(out_, lines, found.lines.end - found.lines.start, job_.ascii);
    out_.put(",\"line_number\":");
    if (job_.spec.line_number) {
        out_.number(found.line_number);
    } else {
        out_.put("null");
    }
    out_.put(",\"absolute_offset\":");
    out_.number(found.offset);
    out_.put(",\"submatches\":[");
    for (size_t i = 0; i < spans_.size(); ++i) {
        const Span span = spans_[i];
        if (span.end > found.lines.end - found.lines.start) {
            unsure = "json_span";  // a match that leaves its lines: ripgrep 15.2.0 panics
            return;
        }
        out_.put(i == 0 ? "{\"match\":" : ",{\"match\":");
        put_json_data(out_, lines + span.start, span.end - span.start, job_.ascii);
        if (replacer_.replaced()) {
            const Span made = replacer_.spans()[i];
            out_.put(",\"replacement\":");
            const uint8_t* text = reinterpret_cast<const uint8_t*>(replacer_.text().data());
            put_json_data(out_, text + made.start, made.end - made.start, false);
        }
        out_.put(",\"start\":");
        out_.number(span.start);
        out_.put(",\"end\":");
        out_.number(span.end);
        out_.put('}');
    }
    out_.put("]}}\n");
}

bool JsonPrinter::matched(const Found& found) {
    begin();
    ++match_count_;
    collect_matches(job_, found, &spans_);
    replacer_.replace(found);
    matches += spans_.size();
    matched_lines += count_lines(found.text, found.lines.start, found.lines.end, job_.terminator.byte);
    message(match_head_, found);
    return !out_.stopped();
}

bool JsonPrinter::context(const Found& found, ContextKind) {
    begin();
    if (context_head_.empty()) context_head_ = head("context");
    spans_.clear();
    replacer_.clear();
    if (job_.spec.invert_match) {
        collect_matches(job_, found, &spans_);
        replacer_.replace(found);
    }
    message(context_head_, found);
    return !out_.stopped();
}

void JsonPrinter::finish(uint64_t byte_count, int64_t binary_offset) {
    searched_with_match = match_count_ > 0;
    bytes_searched = byte_count;
    bytes_printed = out_.count();
    if (!begun_) return;
    const auto elapsed = std::chrono::steady_clock::now() - started_;
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count();
    out_.say("{\"type\":\"end\",\"data\":{\"path\":");
    out_.say(path_json_);
    out_.say(",\"binary_offset\":");
    if (binary_offset >= 0) {
        out_.number(static_cast<uint64_t>(binary_offset));
    } else {
        out_.say("null");
    }
    out_.say(",\"stats\":{\"elapsed\":");
    put_json_duration(out_, static_cast<uint64_t>(ns), false);
    const auto field = [&](std::string_view name, uint64_t n) {
        out_.say(name);
        out_.number(n);
    };
    field(",\"searches\":", 1);
    field(",\"searches_with_match\":", match_count_ > 0 ? 1 : 0);
    field(",\"bytes_searched\":", bytes_searched);
    field(",\"bytes_printed\":", bytes_printed);
    field(",\"matched_lines\":", matched_lines);
    field(",\"matches\":", matches);
    out_.say("}}}\n");
}

}  // namespace curserve
