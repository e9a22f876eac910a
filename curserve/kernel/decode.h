// decode.h: text in other encodings, made UTF-8 as ripgrep makes it before it searches.
//
// In: raw bytes of a whole file. Out: UTF-8; what cannot be decoded becomes U+FFFD, by the rules of the WHATWG Encoding
// Standard (encoding_rs); and where ripgrep's reads of the result end (decoded_reads.h). Pure functions.
#ifndef CURSERVE_DECODE_H
#define CURSERVE_DECODE_H
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "multi_byte.h"

namespace curserve {

// ripgrep decodes a file in pieces of this size (encoding_rs_io), after a first one: the three bytes that it looked at
// for a mark, less the mark.
constexpr size_t kDecodedPiece = 8192;

struct Decoded {
    std::vector<uint8_t> text;
    std::vector<size_t> ends;    // what the pieces of the source come to: offsets in text, ascending, the last is its size
    std::vector<size_t> errors;  // of UTF-8: where a U+FFFD stands for what cannot be decoded
    bool split = false;          // UTF-16 whose pieces end between the two bytes of a unit
    bool cut_short = false;      // the last piece is the U+FFFD for a character that the source ends within
    // Of Asian encodings, where a piece may come to nothing: the decoder before each of them, and at last.
    std::vector<MultiByteDecoder> states;
};

// The value of cs_search_spec.encoding for an encoding's name, -1 if there is none.
int encoding_named(std::string_view name);

// A file that begins with its byte order mark (FF FE, or FE FF), which is not part of the text. Nor is a second one right
// after it: ripgrep's reader takes the first away and its decoder the second.
Decoded decode_utf16_file(const uint8_t* bytes, size_t size);

// Without looking for a mark, but for one at the start, which is dropped. first: bytes of the first piece.
Decoded decode_utf16(const uint8_t* bytes, size_t size, size_t first, bool big_endian);
Decoded decode_utf8(const uint8_t* bytes, size_t size, size_t first = kDecodedPiece);  // also drops a UTF-8 mark
Decoded decode_single_byte(const uint8_t* bytes, size_t size, size_t first, uint8_t encoding);
Decoded decode_multi_byte(const uint8_t* bytes, size_t size, size_t first, MultiByte encoding);
// Where the pieces of UTF-8 that needs no decoding end.
std::vector<size_t> ends_of_utf8(const uint8_t* bytes, size_t size, size_t first);

}  // namespace curserve
#endif
