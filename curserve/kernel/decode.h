// decode.h: text in other encodings, made UTF-8 as ripgrep makes it before it searches.
//
// In: raw bytes of a whole file. Out: UTF-8; what cannot be decoded becomes U+FFFD, by the rules of the WHATWG Encoding
// Standard (encoding_rs). Pure functions.
#ifndef CURSERVE_DECODE_H
#define CURSERVE_DECODE_H
#include <cstddef>
#include <cstdint>
#include <vector>

namespace curserve {

// raw begins with its byte order mark (FF FE, or FE FF if big_endian), which is not part of the text. Nor is a second
// one right after it: ripgrep's reader takes the first away and its decoder the second.
std::vector<uint8_t> transcode_utf16(const std::vector<uint8_t>& raw, bool big_endian);

// Without looking for a mark, but for one at the start, which is dropped.
std::vector<uint8_t> decode_utf16(const uint8_t* bytes, size_t size, bool big_endian);
std::vector<uint8_t> decode_utf8(const uint8_t* bytes, size_t size);   // also drops a UTF-8 mark at the start
std::vector<uint8_t> decode_latin1(const uint8_t* bytes, size_t size); // windows-1252

}  // namespace curserve
#endif
