// decoded_reads.h: how much each of ripgrep's reads of a decoded file gives.
//
// In: a decoded text with the ends of its pieces (decode.h), the room in ripgrep's buffer. Out: the length of the next
// read. Invariant: the reads are those of encoding_rs_io 0.1.7 with encoding_rs 0.8.35, as ripgrep 15.2.0 has them: a read
// gives what one piece of the source comes to; where the buffer has less room, whole characters, and each decoder has its
// own way of being careful; less than four bytes of room are filled from seven that were decoded aside.
#ifndef CURSERVE_DECODED_READS_H
#define CURSERVE_DECODED_READS_H
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "decode.h"

namespace curserve {

enum class Decoder : uint8_t { kUtf8, kUtf16, kSingleByte };

class DecodedReads {
  public:
    // text: decoded.text, or UTF-8 that needed no decoding. Borrows both.
    DecodedReads(const uint8_t* text, const Decoded& decoded, Decoder decoder)
        : text_(text), decoded_(decoded), decoder_(decoder) {}

    // The length of the read that begins at offset `at`, where the last one ended; 0: the end.
    size_t next(size_t at, size_t room) {
        if (aside_ != 0) {
            const size_t given = std::min(aside_, room);
            aside_ -= given;
            return given;
        }
        while (piece_ < decoded_.ends.size() && decoded_.ends[piece_] <= at) ++piece_;
        if (piece_ == decoded_.ends.size() || lost_) return 0;
        if (room >= 4) return fitting(at, room);
        const size_t got = fitting(at, kAside), given = std::min(got, room);
        if (decoded_.cut_short && piece_ + 1 == decoded_.ends.size()) {
            lost_ = given < got;  // at its end the reader forgets what it has aside
        } else {
            aside_ = got - given;
        }
        return given;
    }

  private:
    static constexpr size_t kAside = 7;

    size_t fitting(size_t at, size_t room) const {
        const size_t end = decoded_.ends[piece_];
        if (end - at + 3 <= room) return end - at;
        bool careful = false;  // the decoder is not copying ASCII
        bool split = decoded_.split && (piece_ == 0 || at == decoded_.ends[piece_ - 1]);  // nor here, at first
        size_t pos = at;
        while (pos < end) {
            const uint8_t lead = text_[pos];
            const size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
            size_t need = 1;
            switch (decoder_) {
                case Decoder::kUtf8:
                    need = std::binary_search(decoded_.errors.begin(), decoded_.errors.end(), pos) ? 4 : length;
                    break;
                case Decoder::kUtf16:
                    if (careful || lead >= 0x80) need = 4;
                    careful = lead >= 0x80 || split;
                    split = false;
                    break;
                case Decoder::kSingleByte:
                    if (careful || lead >= 0x80) need = 3;
                    if (lead >= 0x80) {
                        careful = !is_replacement(pos);
                    } else if (lead >= '<') {
                        careful = false;  // no punctuation
                    }
                    break;
            }
            if (at + room - pos < need) break;
            pos += length;
        }
        return pos - at;
    }

    bool is_replacement(size_t pos) const {
        return text_[pos] == 0xef && text_[pos + 1] == 0xbf && text_[pos + 2] == 0xbd;
    }

    const uint8_t* text_;
    const Decoded& decoded_;
    Decoder decoder_;
    size_t piece_ = 0;  // that the last read was of
    size_t aside_ = 0;  // bytes decoded aside and not given yet
    bool lost_ = false;
};

}  // namespace curserve
#endif
