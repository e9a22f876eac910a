// segment_file.cpp: see segment_file.h.
#include "segment_file.h"

namespace curserve {

void SegmentFile::write(const Segment& segment, ArchiveWriter* out) {
    const Head head{segment.blocks, segment.contents, segment.shift_, 0};
    out->add(kHead, &head, sizeof head);
    out->add(kFirstBlock, segment.first_block);
    out->add(kBlockStart, segment.block_start);
    out->add(kSizes, segment.size_bytes);
    out->add(kBinary, segment.binary);
    out->add(kKeys, segment.keys_);
    out->add(kOffsets, segment.offsets_);
    out->add(kDirectory, segment.directory_);
    out->add(kLists, segment.lists_);
}

bool SegmentFile::intact(const ArchiveReader& file) {
    for (size_t section = kHead; section < kEnd; ++section) {
        if (!file.intact(section)) return false;
    }
    return true;
}

std::shared_ptr<Segment> SegmentFile::read(const ArchiveReader& file) {
    const Table<Head> heads = file.table<Head>(kHead);
    if (heads.size() != 1) return nullptr;
    const Head& head = heads[0];
    auto segment = std::make_shared<Segment>();
    segment->blocks = head.blocks;
    segment->contents = head.contents;
    segment->shift_ = head.shift;
    segment->first_block = file.table<uint32_t>(kFirstBlock);
    segment->block_start = file.table<uint32_t>(kBlockStart);
    segment->size_bytes = file.table<uint32_t>(kSizes);
    segment->binary = file.table<uint64_t>(kBinary);
    segment->keys_ = file.table<GramKey>(kKeys);
    segment->offsets_ = file.table<uint32_t>(kOffsets);
    segment->directory_ = file.table<uint32_t>(kDirectory);
    segment->lists_ = file.table<uint8_t>(kLists);
    // What the hashes vouch for fits together; this is for whoever changes one side and forgets the other.
    const bool fits = segment->first_block.size() == size_t{head.contents} + 1 &&
                      segment->first_block.back() == head.blocks && segment->block_start.size() == head.blocks &&
                      segment->size_bytes.size() == head.contents &&
                      segment->binary.size() == (size_t{head.contents} + 63) / 64 &&
                      segment->offsets_.size() == segment->keys_.size() + 1 &&
                      segment->offsets_.back() == segment->lists_.size() && head.shift <= 24 &&
                      segment->directory_.size() == size_t{kGramKeys >> head.shift} + 1 &&
                      segment->directory_.back() == segment->keys_.size();
    return fits ? segment : nullptr;
}

}  // namespace curserve
