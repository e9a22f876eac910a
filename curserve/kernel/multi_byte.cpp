// multi_byte.cpp: see multi_byte.h.
#include "multi_byte.h"

#include <algorithm>
#include <iterator>

#include "double_byte.h"
#include "utf8.h"

namespace curserve {
namespace {

constexpr uint32_t kHalfWidthKatakana = 0xff61;  // 63 of them
constexpr uint8_t kEscape = 0x1b;

bool within(uint8_t byte, uint8_t low, uint8_t high) { return byte >= low && byte <= high; }

template <typename Character, size_t kSize>
uint32_t at(const Character (&table)[kSize], size_t number) {
    return number + 1 < kSize ? table[number] : kReplacement;  // a literal ends with NUL
}

// Trails in two runs, the second from `high` on; -1: no trail.
int trail_number(uint8_t trail, uint8_t high, uint8_t last) {
    if (within(trail, 0x40, 0x7e)) return trail - 0x40;
    return within(trail, high, last) ? trail - high + 0x3f : -1;
}

uint32_t jis0208(uint8_t lead, uint8_t trail) {  // both from 0x21 on
    return within(lead, 0x21, 0x7e) && within(trail, 0x21, 0x7e)
               ? at(kJis0208, static_cast<size_t>((lead - 0x21) * 94 + trail - 0x21))
               : kReplacement;
}

uint32_t shift_jis(uint8_t lead, uint8_t trail) {
    const int column = trail_number(trail, 0x80, 0xfc);
    if (column < 0) return kReplacement;
    constexpr size_t kPrivate = 8836, kExtended = 10716;
    const size_t number = static_cast<size_t>((lead < 0xa0 ? lead - 0x81 : lead - 0xc1) * 188 + column);
    if (number < kPrivate) return at(kJis0208, number);
    if (number < kExtended) return static_cast<uint32_t>(0xe000 + number - kPrivate);
    return at(kJis0208, number - kExtended + kPrivate);
}

}  // namespace

bool multi_byte_named(std::string_view name, MultiByte* encoding) {
    constexpr std::string_view kNames[] = {"gb18030", "big5",        "euc-jp",        "shift_jis",
                                           "euc-kr",  "iso-2022-jp", "x-user-defined"};
    const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
    if (found == std::end(kNames)) return false;
    *encoding = static_cast<MultiByte>(found - kNames);
    return true;
}

// One call of decode(). careful: not in a run of ASCII, so even that wants the room of any character. carried: what is
// held was begun in an earlier call, or given back, and each of its bytes wants room.
struct MultiByteDecoder::Call {
    const uint8_t* bytes;
    size_t at, end;
    bool last;
    uint8_t* out;
    size_t room;
    size_t written = 0;
    bool careful = false, carried = false;

    bool has(size_t size) const { return room - written >= size; }
    void put(uint32_t c) { written += write_utf8(c, out + written); }
};

size_t MultiByteDecoder::decode(const uint8_t* bytes, size_t* at, size_t end, bool last, uint8_t* out, size_t room) {
    Call call{bytes, *at, end, last, out, room};
    call.carried = held_size_ > 0;
    const bool two_bytes = encoding_ == MultiByte::kBig5 || encoding_ == MultiByte::kShiftJis ||
                           encoding_ == MultiByte::kEucKr;
    if (call.at == end && !last && two_bytes) held_size_ = 0;  // encoding_rs loses it where nothing follows
    Step step = Step::kGoOn;
    while (step == Step::kGoOn && (call.at < end || prepended_ != 0)) {
        step = encoding_ == MultiByte::kIso2022Jp ? iso2022_jp(call) : extended_ascii(call);
    }
    if (step == Step::kGoOn && last && unfinished()) finish(call);
    *at = call.at;
    return call.written;
}

// The end of the source within a sequence.
void MultiByteDecoder::finish(Call& call) {
    const bool given_back = encoding_ == MultiByte::kIso2022Jp && held_[0] == kEscape && held_size_ == 2;
    fail(call);
    if (!given_back) return;
    // An escape sequence without its third byte: the second is a character after all, and room is asked for it.
    prepended_ = held_[1];
    if (iso2022_jp(call) == Step::kGoOn && unfinished()) fail(call);
}

// What is held is no character.
void MultiByteDecoder::fail(Call& call) {
    call.put(kReplacement);
    held_size_ = 0;
    call.careful = call.carried = false;
}

MultiByteDecoder::Step MultiByteDecoder::extended_ascii(Call& call) {
    const size_t most = encoding_ == MultiByte::kGb18030 || encoding_ == MultiByte::kBig5 ? 4 : 3;
    if (prepended_ != 0) {
        if (!call.has(3)) return Step::kFull;
        call.put(prepended_);
        prepended_ = 0;
        return Step::kGoOn;
    }
    if (held_size_ > 0) {
        if (call.carried && !call.has(most)) return Step::kFull;
        return go_on(call);
    }
    if (encoding_ == MultiByte::kUserDefined) {
        call.careful = true;
    } else if (!call.careful) {
        while (call.at < call.end && call.has(1) && call.bytes[call.at] < 0x80) {
            call.out[call.written++] = call.bytes[call.at++];
        }
        if (call.at == call.end) return Step::kGoOn;
    }
    const uint8_t byte = call.bytes[call.at];
    if (!call.has(call.careful || byte >= 0x80 ? most : 1)) return Step::kFull;
    ++call.at;
    if (byte < 0x80) {
        call.put(byte);
        call.careful = call.careful && encoding_ == MultiByte::kEucKr && byte < '<';  // punctuation is no run yet
    } else {
        lead(call, byte);
    }
    return Step::kGoOn;
}

void MultiByteDecoder::lead(Call& call, uint8_t byte) {
    const auto single = [&](uint32_t c) {
        call.put(c);
        call.careful = false;
    };
    bool begins = within(byte, 0x81, 0xfe);
    switch (encoding_) {
        case MultiByte::kUserDefined: return single(0xf700u + byte);
        case MultiByte::kGb18030:
            if (byte == 0x80) return single(0x20ac);
            break;
        case MultiByte::kShiftJis:
            if (byte == 0x80) return single(byte);
            if (within(byte, 0xa1, 0xdf)) return single(kHalfWidthKatakana + byte - 0xa1);
            begins = within(byte, 0x81, 0x9f) || within(byte, 0xe0, 0xfc);
            break;
        case MultiByte::kEucJp: begins = within(byte, 0xa1, 0xfe) || byte == 0x8e || byte == 0x8f; break;
        default: break;
    }
    if (!begins) return fail(call);
    held_[held_size_++] = byte;
}

// A further byte of what is held. One that cannot be is given back if it is ASCII, and lost with the rest if not.
MultiByteDecoder::Step MultiByteDecoder::go_on(Call& call) {
    const uint8_t byte = call.bytes[call.at];
    if (encoding_ == MultiByte::kGb18030 && (held_size_ > 1 || within(byte, '0', '9'))) {
        four_bytes(call, byte);
        return Step::kGoOn;
    }
    if (encoding_ == MultiByte::kEucJp && held_[0] == 0x8f && held_size_ == 1 && within(byte, 0xa1, 0xfe)) {
        held_[held_size_++] = byte;
        ++call.at;
        return Step::kGoOn;
    }
    if (pair(call, byte)) {
        held_size_ = 0;
        ++call.at;
        call.careful = !call.carried;
        call.carried = false;
    } else {
        fail(call);
        if (byte >= 0x80) ++call.at;
    }
    return Step::kGoOn;
}

// The last byte of a sequence that is not one of gb18030's longer ones; false: there is no such character.
bool MultiByteDecoder::pair(Call& call, uint8_t trail) {
    const uint8_t first = held_[0];
    uint32_t c = kReplacement, accent = 0;
    switch (encoding_) {
        case MultiByte::kGb18030: {
            const int column = trail_number(trail, 0x80, 0xfe);
            if (column >= 0) c = at(kGb18030, static_cast<size_t>((first - 0x81) * 190 + column));
            break;
        }
        case MultiByte::kBig5: {
            const int column = trail_number(trail, 0xa1, 0xfe);
            if (column < 0 || first < 0x87) break;
            const size_t number = static_cast<size_t>((first - 0x87) * 157 + column);
            c = at(kBig5, number);
            for (const Accented& accented : kBig5Accented) {
                if (accented.number == number) accent = accented.accent;
            }
            break;
        }
        case MultiByte::kEucKr:
            if (within(trail, 0x41, 0xfe)) c = at(kEucKr, static_cast<size_t>((first - 0x81) * 190 + trail - 0x41));
            break;
        case MultiByte::kShiftJis: c = shift_jis(first, trail); break;
        case MultiByte::kEucJp:
            if (first == 0x8e) {
                if (within(trail, 0xa1, 0xdf)) c = kHalfWidthKatakana + trail - 0xa1;
            } else if (first != 0x8f) {
                if (trail >= 0x80) c = jis0208(first & 0x7f, trail & 0x7f);
            } else if (held_size_ == 2 && within(trail, 0xa1, 0xfe)) {
                c = at(kJis0212, static_cast<size_t>((held_[1] - 0xa1) * 94 + trail - 0xa1));
            }
            break;
        default: break;
    }
    if (c == kReplacement) return false;
    call.put(c);
    if (accent != 0) call.put(accent);
    return true;
}

// The second, third or fourth byte of such a sequence.
void MultiByteDecoder::four_bytes(Call& call, uint8_t byte) {
    const bool fits = held_size_ == 2 ? within(byte, 0x81, 0xfe) : within(byte, '0', '9');
    if (!fits) {
        // The first byte is in error. The second is a character of its own, the third begins a sequence again.
        const uint8_t third = held_size_ == 3 ? held_[2] : 0;
        prepended_ = held_[1];
        fail(call);
        if (third != 0) {
            held_[held_size_++] = third;
            call.carried = true;
        }
        return;
    }
    ++call.at;
    if (held_size_ < 3) {
        held_[held_size_++] = byte;
        return;
    }
    const uint32_t upper = (held_[0] - 0x81u) * 10 + (held_[1] - 0x30u);
    const uint32_t number = (upper * 126 + (held_[2] - 0x81u)) * 10 + byte - 0x30u;
    constexpr uint32_t kBelow = 39420, kFirstBeyond = 189000, kBeyond = 1237576;  // 16 bits
    uint32_t c = 0;
    if (number < kBelow) {
        const auto* range = std::upper_bound(std::begin(kGb18030Ranges), std::end(kGb18030Ranges), number,
                                             [](uint32_t n, const Gb18030Range& r) { return n < r.number; }) - 1;
        c = range->scalar + number - range->number;
    } else if (number >= kFirstBeyond && number < kBeyond) {
        c = 0x10000 + number - kFirstBeyond;
    }
    if (c == 0) return fail(call);
    call.put(c);
    held_size_ = 0;
    call.careful = !call.carried;
    call.carried = false;
}

// Here any character wants three bytes of room. Held is ESC, ESC with a byte, or the lead of a pair.
MultiByteDecoder::Step MultiByteDecoder::iso2022_jp(Call& call) {
    if (!call.has(3)) return Step::kFull;
    if (prepended_ != 0) {
        const uint8_t byte = prepended_;
        prepended_ = 0;
        just_chosen_ = false;
        plain(call, byte);
        return Step::kGoOn;
    }
    const uint8_t byte = call.bytes[call.at];
    if (held_size_ > 0 && held_[0] == kEscape) {
        escape(call, byte);
    } else if (byte == kEscape) {
        ++call.at;
        if (held_size_ > 0) fail(call);  // a lead without a trail
        held_[held_size_++] = byte;
    } else if (held_size_ > 0) {
        ++call.at;
        const uint32_t c = jis0208(held_[0], byte);
        held_size_ = 0;
        call.put(c);
    } else {
        ++call.at;
        just_chosen_ = false;
        plain(call, byte);
    }
    return Step::kGoOn;
}

// A byte that is no part of an escape sequence.
void MultiByteDecoder::plain(Call& call, uint8_t byte) {
    const bool bad = byte >= 0x80 || byte == 0x0e || byte == 0x0f;
    switch (set_) {
        case Set::kAscii: return call.put(bad ? kReplacement : byte);
        case Set::kRoman: return call.put(bad ? kReplacement : byte == '\\' ? 0xa5 : byte == '~' ? 0x203e : byte);
        case Set::kKatakana: {
            const bool is_one = within(byte, 0x21, 0x5f);
            return call.put(is_one ? kHalfWidthKatakana + byte - 0x21u : kReplacement);
        }
        case Set::kJis0208:
            if (!within(byte, 0x21, 0x7e)) return call.put(kReplacement);
            held_[held_size_++] = byte;
    }
}

void MultiByteDecoder::escape(Call& call, uint8_t byte) {
    if (held_size_ == 1) {
        if (byte == '$' || byte == '(') {
            held_[held_size_++] = byte;
            ++call.at;
        } else {
            just_chosen_ = false;
            fail(call);
        }
        return;
    }
    const uint8_t second = held_[1];
    if (second == '(' && byte == 'B') {
        set_ = Set::kAscii;
    } else if (second == '(' && byte == 'J') {
        set_ = Set::kRoman;
    } else if (second == '(' && byte == 'I') {
        set_ = Set::kKatakana;
    } else if (second == '$' && (byte == '@' || byte == 'B')) {
        set_ = Set::kJis0208;
    } else {
        just_chosen_ = false;
        fail(call);
        prepended_ = second;
        return;
    }
    ++call.at;
    if (just_chosen_) {
        fail(call);  // the one before was for nothing
    } else {
        held_size_ = 0;
    }
    just_chosen_ = true;
}

}  // namespace curserve
