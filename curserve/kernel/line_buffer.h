// line_buffer.h: the windows in which ripgrep sees a file that it reads (not maps).
//
// In: a whole text, as it would come out of read(2), or of a decoder with reads of its own. Out: one window after the
// other, each ending with a line terminator except the last; where NUL bytes were noticed, and when. Invariant: the
// windows are those of ripgrep 15.2.0's line buffer: 64 KiB, trebled for longer lines, the first read giving the three
// bytes that were peeked at for a byte order mark. Binary detection depends on exactly this. Does not copy: windows are
// ranges of the text (which the caller converted, where NULs are to be converted).
#ifndef CURSERVE_LINE_BUFFER_H
#define CURSERVE_LINE_BUFFER_H
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "decoded_reads.h"
#include "lines.h"
#include "sink.h"

namespace curserve {

constexpr size_t kBufferBytes = 65536;  // ripgrep's DEFAULT_BUFFER_CAPACITY

class LineBuffer {
  public:
    // first_nul: of the text before conversion, kNone if there is none. peeked: bytes that the first read gives
    // alone (3, or 0 when a mark was stripped). capacity: what earlier files left. reads: those of a decoder, or null.
    LineBuffer(const uint8_t* text, size_t size, uint8_t terminator, Binary binary, size_t first_nul, size_t peeked,
               size_t capacity = kBufferBytes, Reads* reads = nullptr)
        : text_(text), size_(size), terminator_(terminator), binary_(binary), first_nul_(first_nul), peeked_(peeked),
          capacity_(capacity), reads_(reads) {}

    size_t start() const { return start_; }       // of the window; bytes before it were consumed
    size_t end() const { return lines_end_; }     // of the window
    size_t capacity() const { return capacity_; }
    bool found_binary() const { return found_binary_; }
    size_t binary_offset() const { return first_nul_; }
    void consume_to(size_t offset) { start_ = offset; }

    // Reads on. False: there is nothing (more) to search.
    bool fill() {
        if (binary_ == Binary::kQuit && found_binary_) return start_ < lines_end_;
        lines_end_ = end_;
        for (;;) {
            if (end_ - start_ == capacity_) capacity_ *= 3;
            const size_t room = capacity_ - (end_ - start_);
            size_t count = reads_ != nullptr ? reads_->next(end_, room) : std::min(room, size_ - end_);
            if (reads_ == nullptr && end_ == 0 && peeked_ != 0) count = std::min(count, peeked_);
            if (count == 0) {
                lines_end_ = end_;
                return start_ < lines_end_;
            }
            const size_t fresh = end_;
            end_ += count;
            if (binary_ != Binary::kNone && !found_binary_ && first_nul_ < end_) {
                found_binary_ = true;
                if (binary_ == Binary::kQuit) {
                    end_ = lines_end_ = first_nul_;
                    return start_ < end_;
                }
            }
            const size_t last = rfind_byte(text_, fresh, end_, terminator_);
            if (last != kNone) {
                lines_end_ = last + 1;
                return true;
            }
        }
    }

  private:
    const uint8_t* text_;
    size_t size_;
    uint8_t terminator_;
    Binary binary_;
    size_t first_nul_;
    size_t peeked_;
    size_t capacity_;
    Reads* reads_;
    size_t start_ = 0, lines_end_ = 0, end_ = 0;
    bool found_binary_ = false;
};

}  // namespace curserve
#endif
