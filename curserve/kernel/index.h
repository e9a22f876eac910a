// index.h: which blocks of which contents may hold a line that a gram query describes.
//
// Data: contents are indexed in batches; a batch is a Segment, immutable once made: for each folded trigram (gram.h) the
// ascending numbers of the blocks that hold it. A block is a run of whole lines of one content, some 8 KiB long, more
// where a line is longer. A Content knows its segment's serial and its number there (content.h: IndexPlace).
// Invariant: may over-match, never under-match; what is not indexed always may match. Readers take a Snapshot and no
// lock while they read; a build never holds one up. Does not know: patterns, paths, files.
#ifndef CURSERVE_INDEX_H
#define CURSERVE_INDEX_H
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "content.h"
#include "gram_query.h"
#include "table.h"
#include "view.h"

namespace curserve {

class Segment {
  public:
    using Bits = std::vector<uint64_t>;  // one bit per block, or per content
    static constexpr uint32_t kAskSearcher = 0xffffffffu;

    uint32_t serial = 0;                 // unique in the process, from 1
    uint32_t blocks = 0, contents = 0;
    Table<uint32_t> first_block;         // contents + 1; a content's blocks are consecutive
    Table<uint32_t> block_start;         // of each block, in bytes from its content's start
    Table<uint32_t> size_bytes;          // of each content; kAskSearcher: not plain
    Table<uint64_t> binary;              // Bits: the contents that hold a NUL: indexed up to the first one only
    std::vector<std::weak_ptr<const Content>> held;
    uint64_t text_bytes = 0;

    Segment() = default;
    ~Segment();                          // mapped tables need not stay resident
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;
    uint64_t index_bytes() const;
    // The blocks that may hold a line that satisfies the node. False: nothing is known, *out is untouched.
    bool find_blocks(const GramQuery::Node& node, Bits* out) const { return evaluate(node, false, out); }
    // The contents that may satisfy it as wholes: for matches that may span lines.
    bool find_contents(const GramQuery::Node& node, Bits* out) const { return evaluate(node, true, out); }
    Bits contents_of(const Bits& blocks_found) const;

  private:
    friend class SegmentBuilder;
    friend class SegmentFile;            // archive.cpp: keeps a segment on disk
    struct List {
        const uint8_t* data = nullptr;
        uint32_t size_bytes = 0;         // 0: no block holds the gram
        bool dense = false;              // a bit per block; else LEB128 differences, the first from -1
    };
    List find_list(GramKey key) const;
    bool is_dense(uint32_t list_bytes) const { return list_bytes == (blocks + 7) / 8; }
    void put_list(const List& list, Bits* out) const;       // out |= list
    void keep_list(const List& list, Bits* out) const;      // out &= list
    bool evaluate(const GramQuery::Node& node, bool whole, Bits* out) const;
    bool evaluate_all(const GramQuery::Node& node, bool whole, Bits* out) const;

    // Posting lists of keys_[i]: lists_[offsets_[i], offsets_[i + 1]). keys_ ascend; those whose high part (key >>
    // shift_) is h are at [directory_[h], directory_[h + 1]).
    Table<GramKey> keys_;
    Table<uint32_t> offsets_, directory_;
    Table<uint8_t> lists_;
    unsigned shift_ = 24;
};
using SegmentRef = std::shared_ptr<const Segment>;

struct Snapshot {
    std::vector<SegmentRef> segments;
    // The place of a serial in `segments`, or segments.size().
    size_t slot_of(uint32_t serial) const;
};
using SnapshotRef = std::shared_ptr<const Snapshot>;

// Where the contents of one View stand in one Snapshot, by the slot of their facts. Immutable; kept with the View (view.h).
class Locations {
  public:
    struct Entry {
        uint32_t slot;    // index in the snapshot + 1; 0: not indexed, kNotHeld: no content
        uint32_t number;  // in the segment
    };
    static constexpr uint32_t kNotHeld = 0xffffffffu;
    // Takes over what it can from an older table.
    static std::shared_ptr<const Locations> make(const View& view, SnapshotRef snapshot, const Locations* old);
    bool fits(const View& view, const SnapshotRef& snapshot) const;
    Entry at(Position p) const { return entries[shape_->slot_of(p)]; }

    SnapshotRef snapshot;
    std::vector<Entry> entries;

  private:
    std::shared_ptr<const Shape> shape_;
    std::vector<std::shared_ptr<const View::Chunk>> chunks_;  // that the entries were read from
};

// The answer to one query, for one View.
class Candidates {
  public:
    bool may_match(Position p) const {
        const Locations::Entry entry = locations_->at(p);
        if (entry.slot == Locations::kNotHeld) return true;
        const uint64_t* bits = by_slot_[entry.slot].contents_bits;
        return bits == nullptr || ((bits[entry.number >> 6] >> (entry.number & 63)) & 1) != 0;
    }
    // Bytes to be looked at in a content of this size.
    uint64_t candidate_bytes(Position p, uint64_t size_bytes) const;
    // The candidate blocks of a plain text that may match, merged, ascending, line-aligned (by '\n'); the last may end far
    // beyond the text. False: the whole content.
    bool ranges(Position p, std::vector<ByteRange>* out) const;
    // Size of a content that is plain text (no NUL, no mark, held whole, no line above 64 KiB), else kUnknown.
    uint64_t plain_size_bytes(Position p) const;
    static constexpr uint64_t kUnknown = ~uint64_t{0};

    const std::shared_ptr<const Locations>& locations() const { return locations_; }
    // The contents of a slot (Locations) that may match, a bit for each number; null: all of them.
    struct Contents {
        const uint64_t* bits;
        size_t words;
    };
    Contents contents(size_t slot) const {
        return {by_slot_[slot].contents_bits, by_slot_[slot].contents.size()};
    }

  private:
    friend class GramIndex;
    struct Found {
        const Segment* segment = nullptr;
        const uint64_t* contents_bits = nullptr;  // null: all
        Segment::Bits blocks, contents;           // blocks empty: only whole contents are known
    };
    std::shared_ptr<const Locations> locations_;
    std::vector<Found> by_slot_;                  // [0]: not indexed
};
using CandidatesRef = std::shared_ptr<const Candidates>;

class GramIndex {
  public:
    struct Options {
        size_t block_bytes = 8192;
        size_t segment_bytes = 192u << 20;   // text in one segment, at most about
        size_t small_bytes = 16u << 20;      // segments with less text are merged when there are kSmallMost of them
    };
    GramIndex() : GramIndex(Options()) {}
    explicit GramIndex(const Options& options);

    struct Scope {
        bool by_content = false;  // matches may span lines (-U), or lines do not end with '\n' (--null-data)
        bool past_nul = false;    // the search does not end at a content's first NUL: then these are all candidates
    };
    // Null: nothing is known, everything must be searched.
    CandidatesRef candidates(const View& view, const GramQuery& query, Scope scope) const;

    // Indexes what the view holds that is not indexed yet, then merges. One at a time; blocks, on threads of low
    // priority. Stops soon once *cancel is set. False: another call was at work.
    struct Updating {
        int64_t before_ns;     // only what was last changed before this (CLOCK_REALTIME, as stat's ctime)
        uint64_t least_bytes;  // ... and only if it comes to this much
        unsigned threads;
        bool wait;             // for another call
    };
    bool update(const ViewRef& view, const Updating& updating, const std::atomic<bool>& cancel);

    // Gives up the segments that are, for the better part, of texts that this view holds and none of the others. Those
    // texts are scanned from then on, until update() indexes them again. Bytes given up; 0 also while a build is at work.
    uint64_t drop(const View& view, const std::vector<ViewRef>& others);

    // Takes a segment that was made before, in place of another or none. Its contents learn their place, unless they
    // have one in a segment that stays. `made` has no serial yet.
    void adopt(std::shared_ptr<Segment> made, const SegmentRef& replaced);

    struct Numbers {
        uint64_t segments, contents, text_bytes, index_bytes;
    };
    Numbers numbers() const;
    // To be kept while anything in it is looked at: a build puts another in its place at any moment.
    SnapshotRef snapshot() const { return std::atomic_load(&snapshot_); }

    static constexpr size_t kSmallMost = 8;

  private:
    void build(std::vector<ContentRef> contents, const std::vector<SegmentRef>& replaced, unsigned threads,
               const std::atomic<bool>& cancel);
    void merge(unsigned threads, const std::atomic<bool>& cancel);

    const Options options_;
    std::mutex building_;
    std::mutex publishing_;              // from the look at one snapshot to its successor; after building_
    SnapshotRef snapshot_;               // by std::atomic_load and _store
};

}  // namespace curserve
#endif
