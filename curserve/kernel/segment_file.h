// segment_file.h: an index segment's tables as sections of a file of the archive.
#ifndef CURSERVE_SEGMENT_FILE_H
#define CURSERVE_SEGMENT_FILE_H
#include <memory>
#include <vector>

#include "archive_file.h"
#include "index.h"

namespace curserve {

class SegmentFile {
  public:
    static void write(const Segment& segment, ArchiveWriter* out);
    static bool is_in(const ArchiveReader& file) { return file.has(kHead); }
    // Whether all tables are what was written. Reads them: 200 MB for Linux, 30 ms.
    static bool intact(const ArchiveReader& file);
    // The segment, without contents in `held`, serial and text_bytes. Null where its tables do not fit together.
    static std::shared_ptr<Segment> read(const ArchiveReader& file);

  private:
    struct Head {
        uint32_t blocks, contents, shift, pad;
    };
    enum Section : size_t { kHead = 2, kFirstBlock, kBlockStart, kSizes, kBinary, kKeys, kOffsets, kDirectory, kLists, kEnd };
    static_assert(kEnd <= ArchiveHead::kSections, "a head has room for all");
};

}  // namespace curserve
#endif
