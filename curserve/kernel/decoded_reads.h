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
#include <vector>

#include "decode.h"

namespace curserve {

class Reads {
  public:
    virtual ~Reads() = default;
    // The length of the read that begins at offset `at` of the decoded text, where the last one ended; 0: the end.
    virtual size_t next(size_t at, size_t room) = 0;

  protected:
    static constexpr size_t kAside = 7;
};

enum class Decoder : uint8_t { kUtf8, kUtf16, kSingleByte };

class DecodedReads : public Reads {
  public:
    // text: decoded.text, or UTF-8 that needed no decoding. Borrows both.
    DecodedReads(const uint8_t* text, const Decoded& decoded, Decoder decoder)
        : text_(text), decoded_(decoded), decoder_(decoder) {}

    size_t next(size_t at, size_t room) override {
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

// Of Asian encodings, whose decoders keep more than a look at the text tells: where a piece does not fit, it is decoded
// again into the room there is. What the source's last character comes to depends on where the read before it ended.
class MultiByteReads : public Reads {
  public:
    // source, first: as given to decode_multi_byte. Borrows both.
    MultiByteReads(const uint8_t* source, size_t size, size_t first, MultiByte encoding, const Decoded& decoded)
        : source_(source), size_(size), first_(first), decoded_(decoded), decoder_(encoding) {}

    size_t next(size_t at, size_t room) override {
        if (exhausted_) return 0;
        if (aside_ != 0) {
            const size_t given = std::min(aside_, room);
            aside_ -= given;
            return given;
        }
        if (at_ == piece_end_) fill();
        for (;;) {
            size_t got = fits(at, room) ? whole_piece(at) : decode(room, false);
            if (got == 0) {
                fill();
                if (exhausted_) got = decode(room, true);
            }
            if (got != 0 || exhausted_) {
                const size_t given = std::min(got, room);
                aside_ = got - given;
                return given;
            }
        }
    }

  private:
    static constexpr size_t kMost = 4;  // that a decoder wants to see free

    void fill() {
        exhausted_ = piece_end_ == size_;
        if (exhausted_) return;
        whole_ = at_ == piece_end_;
        piece_end_ = piece_ == 0 ? std::min(first_, size_) : std::min(piece_end_ + kDecodedPiece, size_);
        ++piece_;
    }

    bool fits(size_t at, size_t room) const {
        return whole_ && !exhausted_ && decoded_.ends[piece_ - 1] - at + kMost <= room;
    }

    size_t whole_piece(size_t at) {
        whole_ = false;
        at_ = piece_end_;
        decoder_ = decoded_.states[piece_];
        return decoded_.ends[piece_ - 1] - at;
    }

    size_t decode(size_t room, bool last) {
        whole_ = false;
        scratch_.resize(kScratch);
        const size_t most = std::min(room >= kMost ? room : kAside, kScratch);
        return decoder_.decode(source_, &at_, piece_end_, last, scratch_.data(), most);
    }

    static constexpr size_t kScratch = 4 * kDecodedPiece;  // more than a piece comes to

    const uint8_t* source_;
    size_t size_, first_;
    const Decoded& decoded_;
    MultiByteDecoder decoder_;
    std::vector<uint8_t> scratch_;
    size_t at_ = 0, piece_end_ = 0;  // in the source
    size_t piece_ = 0;               // after the one that is read
    size_t aside_ = 0;               // bytes decoded aside and not given yet
    bool whole_ = false;             // nothing of the piece was read
    bool exhausted_ = false;         // its end was met: what is aside is forgotten
};

}  // namespace curserve
#endif
