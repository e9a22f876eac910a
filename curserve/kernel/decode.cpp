// decode.cpp: see decode.h.
#include "decode.h"

#include <algorithm>

namespace curserve {
namespace {

constexpr uint32_t kReplacement = 0xfffd;

void put_scalar(std::vector<uint8_t>* out, uint32_t c) {
    const auto put = [&](uint32_t byte) { out->push_back(static_cast<uint8_t>(byte)); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xc0 | c >> 6);
        put(0x80 | (c & 63));
    } else if (c < 0x10000) {
        put(0xe0 | c >> 12);
        put(0x80 | (c >> 6 & 63));
        put(0x80 | (c & 63));
    } else {
        put(0xf0 | c >> 18);
        put(0x80 | (c >> 12 & 63));
        put(0x80 | (c >> 6 & 63));
        put(0x80 | (c & 63));
    }
}

// What windows-1252 has at 0x80-0x9f; the rest of it is Latin-1. Source: the index of the Encoding Standard.
constexpr uint16_t kWindows1252[32] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

}  // namespace

std::vector<uint8_t> decode_utf16(const uint8_t* bytes, size_t size, bool big_endian) {
    std::vector<uint8_t> out;
    out.reserve(size);
    const auto unit = [&](size_t at) -> uint32_t {
        return big_endian ? static_cast<uint32_t>(bytes[at] << 8 | bytes[at + 1])
                          : static_cast<uint32_t>(bytes[at + 1] << 8 | bytes[at]);
    };
    size_t at = size >= 2 && unit(0) == 0xfeff ? 2 : 0;
    for (; size - at >= 2; at += 2) {
        const uint32_t c = unit(at);
        if (c < 0xd800 || c > 0xdfff) {
            put_scalar(&out, c);
            continue;
        }
        if (c < 0xdc00 && size - at >= 4) {
            const uint32_t low = unit(at + 2);
            if (low >= 0xdc00 && low <= 0xdfff) {
                put_scalar(&out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
                at += 2;
                continue;
            }
        }
        // A high surrogate at the very end together with half a unit is one error, not two.
        if (c < 0xdc00 && size - at == 3) ++at;
        put_scalar(&out, kReplacement);
    }
    if (at < size) put_scalar(&out, kReplacement);
    return out;
}

std::vector<uint8_t> transcode_utf16(const std::vector<uint8_t>& raw, bool big_endian) {
    const size_t mark = std::min<size_t>(raw.size(), 2);
    return decode_utf16(raw.data() + mark, raw.size() - mark, big_endian);
}

std::vector<uint8_t> decode_utf8(const uint8_t* bytes, size_t size) {
    std::vector<uint8_t> out;
    out.reserve(size);
    size_t at = size >= 3 && bytes[0] == 0xef && bytes[1] == 0xbb && bytes[2] == 0xbf ? 3 : 0;
    while (at < size) {
        const uint8_t lead = bytes[at];
        if (lead < 0x80) {
            out.push_back(lead);
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
            out.insert(out.end(), bytes + at, bytes + at + 1 + got);
        } else {
            put_scalar(&out, kReplacement);
        }
        at += 1 + got;
    }
    return out;
}

std::vector<uint8_t> decode_latin1(const uint8_t* bytes, size_t size) {
    std::vector<uint8_t> out;
    out.reserve(size);
    for (size_t i = 0; i < size; ++i) {
        const uint8_t byte = bytes[i];
        put_scalar(&out, byte >= 0x80 && byte < 0xa0 ? kWindows1252[byte - 0x80] : byte);
    }
    return out;
}

}  // namespace curserve
