// re2_engine.cpp: the one door to RE2.
#include "re2_engine.h"

#include <re2/re2.h>

#include <algorithm>
#include <stdexcept>

namespace curserve {
namespace {

// Shared between the forward and the reverse automaton; past it RE2 falls back to its slow engines, silently.
constexpr int64_t kMaxMemBytes = int64_t{64} << 20;

RE2::Options options() {
    RE2::Options o;
    o.set_encoding(RE2::Options::EncodingLatin1);
    o.set_log_errors(false);
    o.set_max_mem(kMaxMemBytes);
    return o;
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Whether text[i, i + 4) is \xHH with HH >= 80.
bool is_high_escape(const std::string& text, size_t i) {
    return i + 4 <= text.size() && text[i] == '\\' && text[i + 1] == 'x' && is_hex(text[i + 2]) && is_hex(text[i + 3]) &&
           (text[i + 2] >= '8');
}

// RE2 (2022-06-01 at least) takes the common beginning of alternatives out of them and forgets there that it is in byte
// mode: \xFFa|\xFFb then looks for the UTF-8 form of U+00FF first and finds nothing. It does so for literals only;
// written as the repetition \xFF{1} a byte escapes that, and RE2 makes a literal of it afterwards.
std::string guard_high_bytes(const std::string& text) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        size_t end = i + 1;
        bool guard = false;
        if (text[i] == '\\') {
            guard = is_high_escape(text, i);
            end = std::min(text.size(), i + (guard ? 4 : 2));
        } else if (text[i] == '[') {
            if (end < text.size() && text[end] == '^') ++end;
            if (end < text.size() && text[end] == ']') ++end;
            while (end < text.size() && text[end] != ']') {
                const size_t named = text[end] == '[' && text.compare(end, 2, "[:") == 0 ? text.find(":]", end) : text.npos;
                end += named != text.npos ? named + 2 - end : text[end] == '\\' ? 2 : 1;
            }
            end = std::min(text.size(), end + 1);
            // A class of one byte is a literal to RE2.
            const size_t inside = end - i - 2;
            guard = is_high_escape(text, i + 1) &&
                    (inside == 4 || (inside == 9 && text.compare(i + 1, 4, text, i + 6, 4) == 0));
        } else {
            guard = static_cast<unsigned char>(text[i]) >= 0x80;
        }
        if (guard) out += "(?:";
        out.append(text, i, end - i);
        if (guard) out += "{1})";
        i = end;
    }
    return out;
}

re2::StringPiece piece(const uint8_t* text, size_t size) { return {reinterpret_cast<const char*>(text), size}; }

}  // namespace

struct Re2Engine::Impl {
    explicit Impl(const std::string& text) : re(guard_high_bytes(text), options()) {}
    RE2 re;
};

Re2Engine::Re2Engine(const std::string& text) : impl_(new Impl(text)) {
    if (!impl_->re.ok()) throw std::runtime_error("re2: " + impl_->re.error());
}

Re2Engine::~Re2Engine() = default;

bool Re2Engine::find(const uint8_t* text, size_t size, size_t at, size_t limit, size_t* start, size_t* end) const {
    re2::StringPiece span;
    if (!impl_->re.Match(piece(text, size), at, limit, RE2::UNANCHORED, &span, 1)) return false;
    *start = static_cast<size_t>(reinterpret_cast<const uint8_t*>(span.data()) - text);
    *end = *start + span.size();
    return true;
}

bool Re2Engine::matches(const uint8_t* text, size_t size, size_t at, size_t limit) const {
    return impl_->re.Match(piece(text, size), at, limit, RE2::UNANCHORED, nullptr, 0);
}

}  // namespace curserve
