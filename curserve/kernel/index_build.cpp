// index_build.cpp: making segments.
//
// Per block: the distinct grams, by a bitmap of all keys (its hot part is 32 KiB). Per gram: a list of differences,
// grown in chunks of 32 bytes from one pool, so that a build needs little more memory than the index it makes. Lists that
// would be longer than a bit per block become that. Threads make whole segments; they yield to searches by their nice
// value. Segments outlive the process (archive.h): what changes their meaning must raise ArchiveHead::kFormat.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <unordered_set>

#include "index.h"
#include "room.h"

namespace curserve {

// One segment in the making.
class SegmentBuilder {
  public:
    explicit SegmentBuilder(size_t block_bytes)
        : block_bytes_(block_bytes),
          seen_(zeros<uint64_t>((kNoGram + 1) / 64)),
          number_of_(zeros<uint32_t>(kGramKeys)) {
        seen_[kNoGram / 64] = uint64_t{1} << (kNoGram % 64);  // never new
    }

    void add(const ContentRef& content) {
        const uint8_t* const data = content->data.data();
        const bool binary = content->first_nul != kNoNul;
        const size_t size = binary ? static_cast<size_t>(content->first_nul) : content->data.size();
        const bool folds = !content->ascii && folds_beyond_ascii(data, size);
        first_block_.push_back(segment_->blocks);
        // Blocks of about equal size: a short last one would cost as many postings as a full one.
        const size_t pieces = std::max<size_t>(1, (size + block_bytes_ / 2) / block_bytes_);
        const size_t step = std::max<size_t>(1, size / pieces);
        bool plain = content->whole && !binary && content->coding == Coding::kRaw;
        for (size_t at = 0; at < size;) {
            size_t end = size;
            if (size - at > step + step / 4) {
                const void* hit = std::memchr(data + at + step - 1, '\n', size - (at + step - 1));
                if (hit != nullptr) end = static_cast<size_t>(static_cast<const uint8_t*>(hit) - data) + 1;
            }
            add_block(data + at, end - at, at, folds);
            plain = plain && end - at < kLongLineBytes;
            at = end;
        }
        const uint32_t number = segment_->contents++;
        if (number % 64 == 0) binary_.push_back(0);
        if (binary) binary_.back() |= uint64_t{1} << (number % 64);
        size_bytes_.push_back(plain ? static_cast<uint32_t>(size) : Segment::kAskSearcher);
        segment_->held.push_back(content);
        segment_->text_bytes += content->data.size();
    }

    uint64_t lists_bytes() const { return pool_.size(); }

    std::shared_ptr<Segment> finish(uint32_t serial) {
        Segment& segment = *segment_;
        segment.serial = serial;
        first_block_.push_back(segment.blocks);
        const uint32_t dense_bytes = (segment.blocks + 7) / 8;
        size_t total = 0;
        for (const List& list : postings_) total += std::min(list.size_bytes, dense_bytes);
        std::sort(keys_.begin(), keys_.end());
        std::vector<uint8_t> lists;
        lists.reserve(total);
        std::vector<uint32_t> offsets, directory;
        offsets.reserve(keys_.size() + 1);
        for (const GramKey key : keys_) {
            offsets.push_back(static_cast<uint32_t>(lists.size()));
            put(postings_[number_of_[key] - 1], dense_bytes, &lists);
            number_of_[key] = 0;
        }
        offsets.push_back(static_cast<uint32_t>(lists.size()));
        segment.shift_ = 24;
        while (segment.shift_ > 0 && (kGramKeys >> segment.shift_) < keys_.size() / 8) --segment.shift_;
        const uint32_t parts = kGramKeys >> segment.shift_;
        directory.resize(parts + 1);
        uint32_t at = 0;
        for (uint32_t high = 0; high < parts; ++high) {
            directory[high] = at;
            while (at < keys_.size() && (keys_[at] >> segment.shift_) == high) ++at;
        }
        directory[parts] = at;
        segment.keys_ = std::vector<GramKey>(keys_);  // a copy is as large as need be
        segment.offsets_ = std::move(offsets);
        segment.directory_ = std::move(directory);
        segment.lists_ = std::move(lists);
        segment.first_block = std::vector<uint32_t>(first_block_);
        segment.block_start = std::vector<uint32_t>(block_start_);
        segment.size_bytes = std::vector<uint32_t>(size_bytes_);
        segment.binary = std::vector<uint64_t>(binary_);
        segment.held.shrink_to_fit();
        keys_.clear();
        postings_.clear();
        pool_.clear();
        first_block_.clear();
        block_start_.clear();
        size_bytes_.clear();
        binary_.clear();
        std::shared_ptr<Segment> made = std::move(segment_);
        segment_ = std::make_shared<Segment>();
        return made;
    }

    // So much text will come: room that is not touched costs nothing, growing would copy it all several times.
    void expect(uint64_t text_bytes) { pool_.reserve(std::min<size_t>(text_bytes / 2, 1u << 30)); }

  private:
    static constexpr uint32_t kChunkBytes = 32, kLinkBytes = 4;
    static constexpr size_t kLongLineBytes = 65536;  // ripgrep's buffer, which a longer line makes it enlarge

    struct List {
        uint32_t after;        // the last block it holds, plus 1
        uint32_t size_bytes;
        uint32_t head, tail;   // where its first chunk begins and its next byte goes, in pool_
    };

    struct Free {
        void operator()(void* memory) const { std::free(memory); }
    };
    template <typename T>
    using Array = std::unique_ptr<T[], Free>;

    // Large and mostly never touched: only calloc leaves untouched pages to the system.
    template <typename T>
    static Array<T> zeros(size_t count) {
        Array<T> made(static_cast<T*>(std::calloc(count, sizeof(T))));
        if (made == nullptr) throw std::bad_alloc();
        return made;
    }

    static bool folds_beyond_ascii(const uint8_t* text, size_t size) {
        return ::memmem(text, size, "\xe2\x84\xaa", 3) != nullptr || ::memmem(text, size, "\xc5\xbf", 2) != nullptr;
    }

    void add_block(const uint8_t* text, size_t size, size_t start, bool folds) {
        const uint32_t block = segment_->blocks++;
        block_start_.push_back(static_cast<uint32_t>(start));
        fresh_.resize(std::max(fresh_.size(), size + 1));
        size_t found = distinct(text, size, fresh_.data());
        if (folds) {
            rewritten_.clear();
            for (size_t i = 0; i < size; ++i) {
                if (size - i >= 3 && std::memcmp(text + i, "\xe2\x84\xaa", 3) == 0) {
                    rewritten_.push_back('k');
                    i += 2;
                } else if (size - i >= 2 && std::memcmp(text + i, "\xc5\xbf", 2) == 0) {
                    rewritten_.push_back('s');
                    i += 1;
                } else {
                    rewritten_.push_back(text[i]);
                }
            }
            fresh_.resize(std::max(fresh_.size(), found + size + 1));
            found += distinct(rewritten_.data(), rewritten_.size(), fresh_.data() + found);
        }
        for (size_t i = 0; i < found; ++i) {
            const GramKey key = fresh_[i];
            seen_[key >> 6] = 0;
            append(key, block);
        }
    }

    // The grams of a text that were not seen in this block yet, without a branch: nothing predicts them.
    size_t distinct(const uint8_t* text, size_t size, GramKey* out) {
        size_t found = 0;
        for (size_t i = 0; i + 3 <= size; ++i) {
            const GramKey key = gram_key(text + i);
            uint64_t& word = seen_[key >> 6];
            const uint64_t bit = uint64_t{1} << (key & 63);
            out[found] = key;
            found += (word & bit) == 0 ? 1 : 0;
            word |= bit;
        }
        return found;
    }

    void append(GramKey key, uint32_t block) {
        uint32_t& number = number_of_[key];
        if (number == 0) {
            keys_.push_back(key);
            const uint32_t chunk = new_chunk();
            postings_.push_back(List{0, 0, chunk, chunk});
            number = static_cast<uint32_t>(postings_.size());
        }
        List& list = postings_[number - 1];
        uint32_t difference = block + 1 - list.after;
        list.after = block + 1;
        for (; difference >= 0x80; difference >>= 7) push(list, static_cast<uint8_t>(difference | 0x80));
        push(list, static_cast<uint8_t>(difference));
    }

    void push(List& list, uint8_t byte) {
        if (list.tail % kChunkBytes == kChunkBytes - kLinkBytes) {
            const uint32_t next = new_chunk();
            std::memcpy(pool_.data() + list.tail, &next, kLinkBytes);
            list.tail = next;
        }
        pool_[list.tail++] = byte;
        ++list.size_bytes;
    }

    uint32_t new_chunk() {
        const size_t at = pool_.size();
        pool_.resize(at + kChunkBytes);
        return static_cast<uint32_t>(at);
    }

    template <typename Visit>
    void each_byte(const List& list, Visit visit) const {
        uint32_t at = list.head;
        for (uint32_t left = list.size_bytes; left > 0; --left) {
            if (at % kChunkBytes == kChunkBytes - kLinkBytes) std::memcpy(&at, pool_.data() + at, kLinkBytes);
            visit(pool_[at++]);
        }
    }

    void put(const List& list, uint32_t dense_bytes, std::vector<uint8_t>* to) {
        std::vector<uint8_t>& out = *to;
        if (list.size_bytes < dense_bytes) {
            each_byte(list, [&](uint8_t byte) { out.push_back(byte); });
            return;
        }
        const size_t at = out.size();
        out.resize(at + dense_bytes);
        uint32_t block = static_cast<uint32_t>(-1), difference = 0;
        unsigned shift = 0;
        each_byte(list, [&](uint8_t byte) {
            difference |= (byte & 0x7fu) << shift;
            shift += 7;
            if ((byte & 0x80u) != 0) return;
            block += difference;
            out[at + block / 8] = static_cast<uint8_t>(out[at + block / 8] | (1u << (block % 8)));
            difference = 0;
            shift = 0;
        });
    }

    const size_t block_bytes_;
    std::shared_ptr<Segment> segment_ = std::make_shared<Segment>();
    std::vector<uint32_t> first_block_, block_start_, size_bytes_;  // the segment's
    std::vector<uint64_t> binary_;    // the segment's
    Array<uint64_t> seen_;            // a bit per key; all clear between blocks, but for kNoGram's
    Array<uint32_t> number_of_;       // by key: its list in postings_, plus 1; four bytes, for most lie on pages of their own
    std::vector<GramKey> keys_;       // that have a list
    std::vector<List> postings_;      // in the order in which their keys were met: the common ones lie together
    std::vector<uint8_t> pool_;
    std::vector<GramKey> fresh_;
    std::vector<uint8_t> rewritten_;
};

namespace {

constexpr int kNice = 5;                         // of a building thread: searches go first
constexpr uint64_t kLargest = 0xffffffffu - 1;   // offsets are 32 bits
constexpr uint64_t kTextPerList = 4;             // bytes of text per byte that a build grows by: more than was seen

std::atomic<uint32_t> next_serial{1};

}  // namespace

bool GramIndex::update(const ViewRef& view, const Updating& updating, const std::atomic<bool>& cancel) {
    std::unique_lock<std::mutex> lock(building_, std::defer_lock);
    if (updating.wait) {
        lock.lock();
    } else if (!lock.try_lock()) {
        return false;
    }
    std::vector<ContentRef> wanted;
    std::unordered_set<const Content*> known;
    uint64_t bytes = 0;
    for (Position p = 0; p < view->shape->size(); ++p) {
        const Facts& facts = view->facts(p);
        if (facts.content == nullptr || facts.ctime_ns >= updating.before_ns) continue;
        if (facts.content->index_place.load() != 0) continue;
        if (!known.insert(facts.content.get()).second) continue;
        bytes += facts.content->data.size();
        wanted.push_back(facts.content);
    }
    known = {};
    if (!wanted.empty() && bytes >= updating.least_bytes) build(std::move(wanted), {}, updating.threads, cancel);
    merge(updating.threads, cancel);
    // So that the next search need not lay it out.
    const SnapshotRef now = snapshot();
    const std::shared_ptr<const Locations> old = view->locations.load();
    if (!now->segments.empty() && (old == nullptr || !old->fits(*view, now)))
        view->locations.store(Locations::make(*view, now, old.get()));
    return true;
}

// Contents of segments that are small, or half dead, into new ones: they are read again, which at 100 MB/s and more is
// cheap enough and needs no second way to write a segment.
void GramIndex::merge(unsigned threads, const std::atomic<bool>& cancel) {
    const SnapshotRef now = snapshot();
    std::vector<SegmentRef> small, chosen;
    for (const SegmentRef& segment : now->segments) {
        uint64_t live_bytes = 0;
        for (const std::weak_ptr<const Content>& held : segment->held) {
            if (const ContentRef content = held.lock()) live_bytes += content->data.size();
        }
        if (live_bytes * 2 < segment->text_bytes || live_bytes == 0) {
            chosen.push_back(segment);
        } else if (segment->text_bytes < options_.small_bytes) {
            small.push_back(segment);
        }
    }
    if (small.size() >= kSmallMost) chosen.insert(chosen.end(), small.begin(), small.end());
    if (chosen.empty()) return;
    std::vector<ContentRef> contents;
    for (const SegmentRef& segment : chosen) {
        for (const std::weak_ptr<const Content>& held : segment->held) {
            if (ContentRef content = held.lock()) contents.push_back(std::move(content));
        }
    }
    build(std::move(contents), chosen, threads, cancel);
}

// Under building_. New segments are published together, in place of `replaced`. Contents learn their place before: a
// reader who finds a place that is not in his snapshot takes the content for unindexed, which is always right; the other
// way round he would keep that opinion for as long as the snapshot lasts.
void GramIndex::build(std::vector<ContentRef> contents, const std::vector<SegmentRef>& replaced, unsigned threads,
                      const std::atomic<bool>& cancel) {
    contents.erase(std::remove_if(contents.begin(), contents.end(),
                                  [](const ContentRef& c) { return c->data.size() > kLargest; }),
                   contents.end());
    uint64_t bytes = 0;
    for (const ContentRef& content : contents) bytes += content->data.size();
    // One batch per segment: ranges of `contents`.
    threads = std::max(1u, threads);
    const uint64_t most = std::max<uint64_t>(1, options_.segment_bytes);
    uint64_t count = (bytes + most - 1) / most;
    if (bytes > options_.small_bytes * threads) count = (count + threads - 1) / threads * threads;
    const uint64_t target = bytes / std::max<uint64_t>(1, count) + 1;
    std::vector<size_t> starts;
    uint64_t room = 0;
    for (size_t i = 0; i < contents.size(); ++i) {
        const uint64_t size = contents[i]->data.size();
        if (starts.empty() || room < size / 2) {
            starts.push_back(i);
            room = target;
        }
        room -= std::min(room, size);
    }
    starts.push_back(contents.size());
    std::vector<std::shared_ptr<Segment>> made(starts.size() - 1);
    std::atomic<size_t> next{0};
    std::atomic<bool> failed{false};
    const auto work = [&] {
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
        try {
            std::unique_ptr<SegmentBuilder> builder;
            for (size_t batch; (batch = next.fetch_add(1)) < made.size();) {
                if (builder == nullptr) builder = std::make_unique<SegmentBuilder>(options_.block_bytes);
                builder->expect(target);
                for (size_t i = starts[batch]; i < starts[batch + 1]; ++i) {
                    if (cancel.load(std::memory_order_relaxed) || failed.load(std::memory_order_relaxed)) return;
                    if (!Room::instance().wait(0, cancel)) return;
                    builder->add(contents[i]);
                    Room::instance().grew(contents[i]->data.size() / kTextPerList);
                }
                if (!Room::instance().wait(builder->lists_bytes(), cancel)) return;
                made[batch] = builder->finish(next_serial.fetch_add(1));
            }
        } catch (const std::exception&) {
            failed.store(true);  // out of memory: what is not indexed is scanned
        }
    };
    std::vector<std::thread> workers;
    const size_t helpers = std::min<size_t>(threads, made.size());
    for (size_t i = 0; i < helpers; ++i) workers.emplace_back(work);
    for (std::thread& worker : workers) worker.join();
    if (failed.load() || cancel.load()) return;
    std::lock_guard<std::mutex> lock(publishing_);
    auto after = std::make_shared<Snapshot>();
    const auto kept = snapshot();
    for (const SegmentRef& segment : kept->segments) {
        if (std::find(replaced.begin(), replaced.end(), segment) == replaced.end()) after->segments.push_back(segment);
    }
    after->segments.insert(after->segments.end(), made.begin(), made.end());
    for (size_t batch = 0; batch < made.size(); ++batch) {
        for (size_t i = starts[batch]; i < starts[batch + 1]; ++i) {
            const uint64_t number = i - starts[batch];
            contents[i]->index_place.store(static_cast<uint64_t>(made[batch]->serial) << 32 | number);
        }
    }
    std::atomic_store(&snapshot_, SnapshotRef(std::move(after)));
}

void GramIndex::adopt(std::shared_ptr<Segment> made, const SegmentRef& replaced) {
    std::lock_guard<std::mutex> lock(publishing_);
    made->serial = next_serial.fetch_add(1);
    auto after = std::make_shared<Snapshot>();
    const auto kept = snapshot();
    for (const SegmentRef& segment : kept->segments) {
        if (segment != replaced) after->segments.push_back(segment);
    }
    for (uint32_t number = 0; number < made->contents; ++number) {
        const ContentRef content = made->held[number].lock();
        if (content == nullptr) continue;
        const auto serial = static_cast<uint32_t>(content->index_place.load() >> 32);
        if (after->slot_of(serial) < after->segments.size()) continue;
        content->index_place.store(static_cast<uint64_t>(made->serial) << 32 | number);
    }
    after->segments.push_back(std::move(made));
    std::atomic_store(&snapshot_, SnapshotRef(std::move(after)));
}

}  // namespace curserve
