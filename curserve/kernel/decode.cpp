// decode.cpp: see decode.h.
#include "decode.h"

#include <algorithm>
#include <iterator>

#include "single_byte.h"
#include "spec.h"
#include "utf8.h"

namespace curserve {
namespace {

void put_scalar(std::vector<uint8_t>* out, uint32_t c) {
    uint8_t bytes[4];
    out->insert(out->end(), bytes, bytes + write_utf8(c, bytes));
}

// Notes in a Decoded where the pieces of its source end.
class Pieces {
  public:
    Pieces(Decoded* out, size_t first) : out_(*out), boundary_(first) {}

    // What is written next is known with the source's byte at `offset`, not sooner.
    void known_at(size_t offset) {
        for (; offset >= boundary_; boundary_ += kDecodedPiece) end();
    }
    // What is written next is known with the end of the source.
    void known_at_end() {
        end();
        out_.cut_short = true;
    }
    void end() {
        const size_t size = out_.text.size();
        if (size > (out_.ends.empty() ? 0 : out_.ends.back())) out_.ends.push_back(size);
    }

  private:
    Decoded& out_;
    size_t boundary_;
};

}  // namespace

int encoding_named(std::string_view name) {
    if (name == "auto") return CS_ENCODING_AUTO;
    if (name == "none") return CS_ENCODING_NONE;
    if (name == "utf-8") return CS_ENCODING_UTF8;
    if (name == "utf-16le") return CS_ENCODING_UTF16LE;
    if (name == "utf-16be") return CS_ENCODING_UTF16BE;
    MultiByte multi_byte;
    if (multi_byte_named(name, &multi_byte)) return CS_ENCODING_MULTI_BYTE + static_cast<int>(multi_byte);
    const auto* row = std::find_if(std::begin(kSingleBytes), std::end(kSingleBytes),
                                   [&](const SingleByte& single) { return name == single.name; });
    return row == std::end(kSingleBytes) ? -1 : CS_ENCODING_SINGLE_BYTE + static_cast<int>(row - kSingleBytes);
}

Decoded decode_utf16(const uint8_t* bytes, size_t size, size_t first, bool big_endian) {
    Decoded out;
    out.text.reserve(size);
    out.split = first % 2 != 0;
    Pieces pieces(&out, first);
    const auto unit = [&](size_t at) -> uint32_t {
        return big_endian ? static_cast<uint32_t>(bytes[at] << 8 | bytes[at + 1])
                          : static_cast<uint32_t>(bytes[at + 1] << 8 | bytes[at]);
    };
    size_t at = size >= 2 && unit(0) == 0xfeff ? 2 : 0;
    for (; size - at >= 2; at += 2) {
        const uint32_t c = unit(at);
        const bool high = c >= 0xd800 && c < 0xdc00;
        // A high surrogate at the very end, perhaps with half a unit, is one error.
        if (high && size - at < 4) break;
        pieces.known_at(at + (high ? 3 : 1));
        if (c < 0xd800 || c > 0xdfff) {
            put_scalar(&out.text, c);
            continue;
        }
        const uint32_t low = high ? unit(at + 2) : 0;
        if (low >= 0xdc00 && low <= 0xdfff) {
            put_scalar(&out.text, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
            at += 2;
        } else {
            put_scalar(&out.text, kReplacement);
        }
    }
    if (at < size) {
        pieces.known_at_end();
        put_scalar(&out.text, kReplacement);
    }
    pieces.end();
    return out;
}

Decoded decode_utf16_file(const uint8_t* bytes, size_t size) {
    // Of the three bytes looked at, two were the mark.
    return decode_utf16(bytes + 2, size - 2, 1, bytes[0] == 0xfe);
}

Decoded decode_utf8(const uint8_t* bytes, size_t size, size_t first) {
    Decoded out;
    out.text.reserve(size);
    Pieces pieces(&out, first);
    size_t at = size >= 3 && bytes[0] == 0xef && bytes[1] == 0xbb && bytes[2] == 0xbf ? 3 : 0;
    while (at < size) {
        const uint8_t lead = bytes[at];
        if (lead < 0x80) {
            pieces.known_at(at);
            out.text.push_back(lead);
            ++at;
            continue;
        }
        // The longest prefix of a well-formed sequence is one error.
        size_t need = 0;
        uint8_t low = 0x80, high = 0xbf;
        if (lead >= 0xc2 && lead <= 0xdf) {
            need = 1;
        } else if (lead >= 0xe0 && lead <= 0xef) {
            need = 2;
            if (lead == 0xe0) low = 0xa0;
            if (lead == 0xed) high = 0x9f;
        } else if (lead >= 0xf0 && lead <= 0xf4) {
            need = 3;
            if (lead == 0xf0) low = 0x90;
            if (lead == 0xf4) high = 0x8f;
        }
        size_t got = 0;
        while (got < need && at + 1 + got < size) {
            const uint8_t next = bytes[at + 1 + got];
            if (next < low || next > high) break;
            low = 0x80;
            high = 0xbf;
            ++got;
        }
        if (need != 0 && got == need) {
            pieces.known_at(at + need);
            out.text.insert(out.text.end(), bytes + at, bytes + at + 1 + got);
        } else {
            // The byte that does not go on tells, which for no lead is the lead itself.
            const size_t told = need == 0 ? at : at + 1 + got;
            if (told < size) {
                pieces.known_at(told);
            } else {
                pieces.known_at_end();
            }
            out.errors.push_back(out.text.size());
            put_scalar(&out.text, kReplacement);
        }
        at += 1 + got;
    }
    pieces.end();
    return out;
}

std::vector<size_t> ends_of_utf8(const uint8_t* bytes, size_t size, size_t first) {
    std::vector<size_t> ends;
    for (size_t boundary = first; boundary < size; boundary += kDecodedPiece) {
        size_t end = boundary;
        while (end > 0 && (bytes[end] & 0xc0) == 0x80) --end;  // a character is known with its last byte
        if (end > (ends.empty() ? 0 : ends.back())) ends.push_back(end);
    }
    if (size > 0) ends.push_back(size);
    return ends;
}

Decoded decode_single_byte(const uint8_t* bytes, size_t size, size_t first, uint8_t encoding) {
    const uint16_t* characters = kSingleBytes[encoding - CS_ENCODING_SINGLE_BYTE].characters;
    Decoded out;
    out.text.reserve(size);
    Pieces pieces(&out, first);
    for (size_t i = 0; i < size; ++i) {
        pieces.known_at(i);
        const uint8_t byte = bytes[i];
        put_scalar(&out.text, byte < 0x80 ? byte : characters[byte - 0x80]);
    }
    pieces.end();
    return out;
}

Decoded decode_multi_byte(const uint8_t* bytes, size_t size, size_t first, MultiByte encoding) {
    constexpr size_t kMost = 3, kRoom = 16;  // UTF-8 for one byte, and room that keeps no decoder waiting
    Decoded out;
    MultiByteDecoder decoder(encoding);
    size_t written = 0, at = 0;
    const auto decode_to = [&](size_t end, bool last) {
        out.text.resize(std::max(out.text.size(), written + kMost * (end - at) + kRoom));
        const size_t room = out.text.size() - written;
        written += decoder.decode(bytes, &at, end, last, out.text.data() + written, room);
        out.ends.push_back(written);
    };
    out.text.reserve(size + size / 2 + kMost * kDecodedPiece);
    for (size_t end = std::min(first, size); at < size; end = std::min(end + kDecodedPiece, size)) {
        out.states.push_back(decoder);
        decode_to(end, false);
    }
    out.states.push_back(decoder);
    if (decoder.unfinished()) {
        out.cut_short = true;
        decode_to(size, true);
    }
    out.text.resize(written);
    return out;
}

}  // namespace curserve
