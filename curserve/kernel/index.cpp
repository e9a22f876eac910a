// index.cpp: asking. A query is evaluated segment by segment into bitmaps: a segment has some 25,000 blocks, so a bitmap
// is 3 KB and stays in L1, and an AND of two costs less than one probe of a tree would.
#include "index.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

namespace curserve {
namespace {

using Ask = GramQuery::Kind;
using Bits = Segment::Bits;

// What a block costs to scan, against one posting decoded: an AND that costs more than the scan it can save is left out.
constexpr uint64_t kPostingsPerBlock = 800;

uint64_t count_bits(const Bits& bits) {
    uint64_t count = 0;
    for (const uint64_t word : bits) count += static_cast<uint64_t>(__builtin_popcountll(word));
    return count;
}

size_t words_for(uint32_t bits) { return (static_cast<size_t>(bits) + 63) / 64; }

template <typename Visit>
void each_bit(const Bits& bits, Visit visit) {
    for (size_t w = 0; w < bits.size(); ++w) {
        for (uint64_t word = bits[w]; word != 0; word &= word - 1) {
            visit(static_cast<uint32_t>(w * 64 + static_cast<size_t>(__builtin_ctzll(word))));
        }
    }
}

}  // namespace

// ---- one segment

Segment::~Segment() {
    const auto release = [](const auto& table) {
        if (table.file() != nullptr) table.file()->release(table.bytes(), table.size() * sizeof table[0]);
    };
    release(lists_);
    release(keys_);
    release(offsets_);
    release(block_start);
}

uint64_t Segment::index_bytes() const {
    return lists_.size() + 4 * (keys_.size() + offsets_.size() + directory_.size() + first_block.size() +
                                block_start.size() + size_bytes.size()) +
           8 * binary.size() + held.capacity() * sizeof held[0];
}

Segment::List Segment::find_list(GramKey key) const {
    const uint32_t high = key >> shift_;
    const auto from = keys_.begin() + directory_[high], to = keys_.begin() + directory_[high + 1];
    const auto at = std::lower_bound(from, to, key);
    if (at == to || *at != key) return List();
    const auto i = static_cast<size_t>(at - keys_.begin());
    const uint32_t size = offsets_[i + 1] - offsets_[i];
    return List{lists_.data() + offsets_[i], size, is_dense(size)};
}

void Segment::put_list(const List& list, Bits* out) const {
    if (list.dense) {
        for (size_t w = 0, at = 0; at < list.size_bytes; ++w, at += 8) {
            uint64_t word = 0;
            std::memcpy(&word, list.data + at, std::min<size_t>(8, list.size_bytes - at));
            (*out)[w] |= word;
        }
        return;
    }
    uint32_t block = static_cast<uint32_t>(-1);
    for (const uint8_t *at = list.data, *end = at + list.size_bytes; at < end;) {
        uint32_t difference = *at & 0x7fu;
        for (unsigned shift = 7; (*at++ & 0x80u) != 0; shift += 7) difference |= (*at & 0x7fu) << shift;
        block += difference;
        (*out)[block >> 6] |= uint64_t{1} << (block & 63);
    }
}

void Segment::keep_list(const List& list, Bits* out) const {
    if (list.dense) {
        for (size_t w = 0, at = 0; at < list.size_bytes; ++w, at += 8) {
            uint64_t word = 0;
            std::memcpy(&word, list.data + at, std::min<size_t>(8, list.size_bytes - at));
            (*out)[w] &= word;
        }
        return;
    }
    Bits own(out->size());
    put_list(list, &own);
    for (size_t w = 0; w < own.size(); ++w) (*out)[w] &= own[w];
}

Bits Segment::contents_of(const Bits& blocks_found) const {
    Bits found(words_for(contents));
    uint32_t number = 0;
    each_bit(blocks_found, [&](uint32_t block) {
        // Bits ascend, so the content is this one or a later one.
        if (first_block[number + 1] <= block) {
            number = static_cast<uint32_t>(
                std::upper_bound(first_block.begin() + number + 1, first_block.end(), block) - first_block.begin() - 1);
        }
        found[number >> 6] |= uint64_t{1} << (number & 63);
    });
    return found;
}

bool Segment::evaluate(const GramQuery::Node& node, bool whole, Bits* out) const {
    switch (node.kind) {
        case Ask::kAny: return false;
        case Ask::kNothing: out->assign(words_for(whole ? contents : blocks), 0); return true;
        case Ask::kAll: return evaluate_all(node, whole, out);
        case Ask::kOne: break;
    }
    Bits found(words_for(whole ? contents : blocks)), one;
    for (const GramQuery::Node& sub : node.subs) {
        if (!evaluate(sub, whole, &one)) return false;
        for (size_t w = 0; w < found.size(); ++w) found[w] |= one[w];
    }
    *out = std::move(found);
    return true;
}

bool Segment::evaluate_all(const GramQuery::Node& node, bool whole, Bits* out) const {
    const size_t words = words_for(whole ? contents : blocks);
    std::vector<List> lists;
    lists.reserve(node.grams.size());
    for (const GramKey key : node.grams) {
        lists.push_back(find_list(key));
        if (lists.back().size_bytes == 0) {
            out->assign(words, 0);
            return true;
        }
    }
    std::sort(lists.begin(), lists.end(), [](const List& a, const List& b) { return a.size_bytes < b.size_bytes; });
    Bits found;
    bool known = false;
    for (const List& list : lists) {
        if (!known) {
            found.assign(words_for(blocks), 0);
            put_list(list, &found);
            if (whole) found = contents_of(found);
            known = true;
            continue;
        }
        const uint64_t left = count_bits(found);
        if (left == 0) break;
        if (whole) {
            Bits own(words_for(blocks));
            put_list(list, &own);
            own = contents_of(own);
            for (size_t w = 0; w < words; ++w) found[w] &= own[w];
        } else if (list.dense || list.size_bytes < left * kPostingsPerBlock) {
            keep_list(list, &found);
        }
    }
    Bits one;
    for (const GramQuery::Node& sub : node.subs) {
        if (known && count_bits(found) == 0) break;
        if (!evaluate(sub, whole, &one)) continue;
        if (!known) {
            found = one;
            known = true;
            continue;
        }
        for (size_t w = 0; w < words; ++w) found[w] &= one[w];
    }
    if (known) *out = std::move(found);
    return known;
}

// ---- a view's contents in a snapshot

size_t Snapshot::slot_of(uint32_t serial) const {
    size_t slot = 0;
    while (slot < segments.size() && segments[slot]->serial != serial) ++slot;
    return slot;
}

bool Locations::fits(const View& view, const SnapshotRef& now) const {
    return snapshot == now && shape_ == view.shape && chunks_ == view.chunks;
}

std::shared_ptr<const Locations> Locations::make(const View& view, SnapshotRef now, const Locations* old) {
    auto made = std::make_shared<Locations>();
    made->shape_ = view.shape;
    made->chunks_ = view.chunks;
    const auto size = static_cast<uint32_t>(view.chunks.size() * View::kChunk);
    made->entries.resize(size);
    // Slots of the old snapshot in the new one; 0 where the segment is there no more.
    std::vector<uint32_t> moved;
    if (old != nullptr) {
        moved.resize(old->snapshot->segments.size() + 1);
        for (size_t slot = 0; slot < old->snapshot->segments.size(); ++slot) {
            const size_t to = now->slot_of(old->snapshot->segments[slot]->serial);
            moved[slot + 1] = to < now->segments.size() ? static_cast<uint32_t>(to + 1) : 0;
        }
    }
    uint32_t last_serial = 0, last_slot = 0;
    for (uint32_t at = 0; at < size; ++at) {
        const size_t chunk = at / View::kChunk;
        Entry& entry = made->entries[at];
        if (old != nullptr && chunk < old->chunks_.size() && old->chunks_[chunk] == view.chunks[chunk]) {
            entry = old->entries[at];
            if (entry.slot == kNotHeld) continue;
            entry.slot = moved[entry.slot];
            if (entry.slot != 0) continue;
        }
        const Content* content = view.facts_at(at).content.get();
        if (content == nullptr) {
            entry = Entry{kNotHeld, 0};
            continue;
        }
        const uint64_t place = content->index_place.load();
        const auto serial = static_cast<uint32_t>(place >> 32);
        if (serial != last_serial) {
            const size_t slot = now->slot_of(serial);
            last_serial = serial;
            last_slot = slot < now->segments.size() ? static_cast<uint32_t>(slot + 1) : 0;
        }
        entry = Entry{last_slot, last_slot != 0 ? static_cast<uint32_t>(place) : 0};
    }
    made->snapshot = std::move(now);
    return made;
}

// ---- the answer

uint64_t Candidates::candidate_bytes(Position p, uint64_t size_bytes) const {
    if (!may_match(p)) return 0;
    const Locations::Entry entry = locations_->at(p);
    if (entry.slot == 0 || entry.slot == Locations::kNotHeld) return size_bytes;
    const Found& found = by_slot_[entry.slot];
    if (found.blocks.empty()) return size_bytes;
    const Segment& segment = *found.segment;
    const uint32_t first = segment.first_block[entry.number], end = segment.first_block[entry.number + 1];
    uint64_t bytes = 0;
    for (uint32_t block = first; block < end; ++block) {
        if (((found.blocks[block >> 6] >> (block & 63)) & 1) == 0) continue;
        bytes += (block + 1 < end ? segment.block_start[block + 1] : size_bytes) - segment.block_start[block];
    }
    return bytes;
}

bool Candidates::ranges(Position p, std::vector<ByteRange>* out) const {
    const Locations::Entry entry = locations_->at(p);
    if (entry.slot == 0 || entry.slot == Locations::kNotHeld) return false;
    const Found& found = by_slot_[entry.slot];
    const Segment& segment = *found.segment;
    if (found.blocks.empty() || segment.size_bytes[entry.number] == Segment::kAskSearcher) return false;
    const uint32_t first = segment.first_block[entry.number], end = segment.first_block[entry.number + 1];
    bool any = false, all = true;
    for (uint32_t block = first; block < end; ++block) {
        const bool in = ((found.blocks[block >> 6] >> (block & 63)) & 1) != 0;
        any = any || in;
        all = all && in;
    }
    out->clear();
    if (all || !any) return false;
    for (uint32_t block = first; block < end; ++block) {
        if (((found.blocks[block >> 6] >> (block & 63)) & 1) == 0) continue;
        const size_t start = segment.block_start[block];
        // The last block goes to the content's end, whatever that is.
        const size_t stop = block + 1 < end ? segment.block_start[block + 1] : ~size_t{0};
        if (!out->empty() && out->back().end == start) {
            out->back().end = stop;
        } else {
            out->push_back({start, stop});
        }
    }
    return true;
}

uint64_t Candidates::plain_size_bytes(Position p) const {
    const Locations::Entry entry = locations_->at(p);
    if (entry.slot == 0 || entry.slot == Locations::kNotHeld) return kUnknown;
    const uint32_t size = by_slot_[entry.slot].segment->size_bytes[entry.number];
    return size == Segment::kAskSearcher ? kUnknown : size;
}

// ---- the whole

GramIndex::GramIndex(const Options& options) : options_(options), snapshot_(std::make_shared<Snapshot>()) {}

CandidatesRef GramIndex::candidates(const View& view, const GramQuery& query, Scope scope) const {
    if (query.any()) return nullptr;
    const SnapshotRef now = snapshot();
    if (now->segments.empty()) return nullptr;
    std::shared_ptr<const Locations> locations = view.locations.load();
    if (locations == nullptr || !locations->fits(view, now)) {
        locations = Locations::make(view, now, locations.get());
        view.locations.store(locations);
    }
    auto made = std::make_shared<Candidates>();
    made->locations_ = std::move(locations);
    made->by_slot_.resize(now->segments.size() + 1);
    for (size_t slot = 0; slot < now->segments.size(); ++slot) {
        Candidates::Found& found = made->by_slot_[slot + 1];
        const Segment& segment = *now->segments[slot];
        found.segment = &segment;
        bool known;
        if (scope.by_content) {
            known = segment.find_contents(query.root(), &found.contents);
        } else {
            known = segment.find_blocks(query.root(), &found.blocks);
            if (known) found.contents = segment.contents_of(found.blocks);
        }
        if (!known) continue;
        if (scope.past_nul) {
            for (size_t w = 0; w < found.contents.size(); ++w) found.contents[w] |= segment.binary[w];
        }
        found.contents_bits = found.contents.data();
    }
    return made;
}

uint64_t GramIndex::drop(const View& view, const std::vector<ViewRef>& others) {
    std::unique_lock<std::mutex> lock(building_, std::try_to_lock);
    if (!lock.owns_lock()) return 0;
    const auto each = [](const View& of, const auto& visit) {
        for (Position p = 0; p < of.shape->size(); ++p)
            if (const Content* content = of.facts(p).content.get()) visit(content);
    };
    std::unordered_set<const Content*> elsewhere, mine;
    for (const ViewRef& other : others)
        if (other != nullptr) each(*other, [&](const Content* content) { elsewhere.insert(content); });
    each(view, [&](const Content* content) {
        if (elsewhere.count(content) == 0) mine.insert(content);
    });
    std::lock_guard<std::mutex> publishing(publishing_);
    auto after = std::make_shared<Snapshot>();
    std::vector<ContentRef> scanned;
    uint64_t bytes = 0;
    const auto kept = snapshot();
    for (const SegmentRef& segment : kept->segments) {
        std::vector<ContentRef> live;
        uint64_t live_bytes = 0, mine_bytes = 0;
        for (const std::weak_ptr<const Content>& held : segment->held) {
            ContentRef content = held.lock();
            if (content == nullptr) continue;
            live_bytes += content->data.size();
            if (mine.count(content.get()) != 0) mine_bytes += content->data.size();
            live.push_back(std::move(content));
        }
        if (mine_bytes * 2 <= live_bytes) {
            after->segments.push_back(segment);
            continue;
        }
        bytes += segment->index_bytes();
        scanned.insert(scanned.end(), live.begin(), live.end());
    }
    if (bytes == 0) return 0;
    std::atomic_store(&snapshot_, SnapshotRef(std::move(after)));
    for (const ContentRef& content : scanned) content->index_place.store(0);
    return bytes;
}

GramIndex::Numbers GramIndex::numbers() const {
    Numbers n{0, 0, 0, 0};
    const SnapshotRef now = snapshot();
    for (const SegmentRef& segment : now->segments) {
        n.segments += 1;
        n.contents += segment->contents;
        n.text_bytes += segment->text_bytes;
        n.index_bytes += segment->index_bytes();
    }
    return n;
}

}  // namespace curserve
