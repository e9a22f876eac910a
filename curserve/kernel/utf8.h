// utf8.h: a scalar as UTF-8.
#ifndef CURSERVE_UTF8_H
#define CURSERVE_UTF8_H
#include <cstddef>
#include <cstdint>

namespace curserve {

constexpr uint32_t kReplacement = 0xfffd;

// Writes 1 to 4 bytes and gives how many.
inline size_t write_utf8(uint32_t scalar, uint8_t* out) {
    const auto byte = [](uint32_t value) { return static_cast<uint8_t>(value); };
    const auto tail = [&](uint32_t shift) { return byte(0x80 | (scalar >> shift & 63)); };
    if (scalar < 0x80) {
        out[0] = byte(scalar);
        return 1;
    }
    if (scalar < 0x800) {
        out[0] = byte(0xc0 | scalar >> 6);
        out[1] = tail(0);
        return 2;
    }
    if (scalar < 0x10000) {
        out[0] = byte(0xe0 | scalar >> 12);
        out[1] = tail(6);
        out[2] = tail(0);
        return 3;
    }
    out[0] = byte(0xf0 | scalar >> 18);
    out[1] = tail(12);
    out[2] = tail(6);
    out[3] = tail(0);
    return 4;
}

}  // namespace curserve
#endif
