// line_pass_simd.h: the loops of line_pass.cpp, written once and included once per instruction set, after masks_simd.h.
//
// A source gives for each 64 bytes the places that may be in a matching line, and says of one whether it is. Lines'
// ends and numbers come from the mask of the terminators. Masks are made for some blocks in a row, without a branch, before
// any is read: a branch that goes wrong in between would wait for the memory.
namespace curserve {
namespace CURSERVE_SIMD {

template <bool kFolds>
class LiteralSource {
  public:
    LiteralSource(const LiteralProbe& probe, const uint8_t* text, size_t size, size_t from)
        : probe_(probe), text_(text), size_(size), first_(from + probe.far),
          far_(probe.bytes[probe.far], probe.fold[probe.far]),
          near_(probe.bytes[probe.far - probe.gap], probe.fold[probe.far - probe.gap]) {}

    // Where the literal's far byte stands, and its near one before it.
    uint64_t next(const uint8_t* p, uint64_t /*terminators*/, uint64_t valid) {
        const uint64_t far = (kFolds ? far_.folded_mask(p) : far_.mask(p)) & valid;
        const uint64_t near = kFolds ? near_.folded_mask(p) : near_.mask(p);
        const uint64_t moved = (near << probe_.gap) | ((near_before_ >> 1) >> (63 - probe_.gap));
        near_before_ = near;
        return far & moved;
    }
    bool holds(size_t at) const {
        if (at < first_) return false;
        const size_t start = at - probe_.far, room = size_ - start;
        return room >= probe_.size && begins(text_ + start, room, probe_.bytes, probe_.fold, probe_.size);
    }

  private:
    const LiteralProbe& probe_;
    const uint8_t* text_;
    size_t size_, first_;
    ByteProbe far_, near_;
    uint64_t near_before_ = 0;
};

class WholeLineSource {
  public:
    explicit WholeLineSource(const ByteSet& set) : class_(set) {}
    uint64_t next(const uint8_t* p, uint64_t terminators, uint64_t valid) {
        return ends_.next(class_.mask(p) & valid, terminators);
    }
    bool holds(size_t) const { return true; }

  private:
    ClassProbe class_;
    WholeEnds ends_;
};

constexpr size_t kAhead = 2048;  // bytes fetched ahead: what the processor foresees itself ends with a page
constexpr size_t kBlocks = 32;   // of 64 bytes, in a row

// The masks of some blocks in a row.
struct Masks {
    uint64_t terminators[kBlocks + 2] = {};  // of block k at k + 1; zeros on both sides
    uint64_t hits[kBlocks];
    uint64_t before[kBlocks];                // terminators between where the pass began and the block
    uint32_t some = 0;                       // blocks with hits
    size_t count = 0;
};

inline unsigned lowest(uint64_t mask) { return static_cast<unsigned>(__builtin_ctzll(mask)); }
inline unsigned past_highest(uint64_t mask) { return 64 - static_cast<unsigned>(__builtin_clzll(mask)); }

template <typename Source>
class Pass {
  public:
    Pass(const uint8_t* text, size_t size, size_t from, uint8_t terminator, const Source& source, size_t most,
         LineBatch* batch)
        : text_(text), size_(size), from_(from), terminator_byte_(terminator), terminator_(terminator),
          source_(source), most_(most), batch_(batch), line_start_(from) {}

    void run() {
        batch_->count = 0;
        batch_->upto = size_;
        const bool ended = size_ == from_ || text_[size_ - 1] == terminator_byte_;
        bool full = false;
        for (size_t at = from_; !full && at < size_;) {
            Masks masks;
            const size_t next = look(at, ended, &masks);
            full = read(at, masks);
            at = next;
        }
        if (!full) batch_->terminators = before_;
        if (!ended && batch_->upto == size_) --batch_->terminators;
    }

  private:
    // Makes the masks from `at` on. Gives where it stopped: the end of the text counts as the last line's terminator.
    size_t look(size_t at, bool ended, Masks* masks) {
        const size_t whole = std::min(kBlocks, (size_ - at) / 64);
        for (size_t k = 0; k < whole; ++k, at += 64) {
            __builtin_prefetch(text_ + at + kAhead);
            const uint64_t terminators = terminator_.mask(text_ + at);
            enter(terminators, source_.next(text_ + at, terminators, ~uint64_t{0}), masks);
        }
        if (whole == kBlocks) return at;
        const Tail tail(text_ + at, size_ - at);
        const uint64_t last = ended ? 0 : uint64_t{1} << (size_ - at);
        const uint64_t terminators = (terminator_.mask(tail.bytes) & tail.valid) | last;
        enter(terminators, source_.next(tail.bytes, terminators, tail.valid) & (tail.valid | last), masks);
        return size_;
    }

    void enter(uint64_t terminators, uint64_t hits, Masks* masks) {
        const size_t k = masks->count++;
        masks->terminators[k + 1] = terminators;
        masks->hits[k] = hits;
        masks->before[k] = before_;
        masks->some |= static_cast<uint32_t>(hits != 0) << k;
        before_ += static_cast<unsigned>(__builtin_popcountll(terminators));
    }

    // Reads the lines out of masks made from `base` on. True: the batch is full.
    bool read(size_t base, const Masks& masks) {
        const uint64_t* const terminators = masks.terminators + 1;
        if (open_ && end_line(base, terminators, masks.count, 0)) return true;
        for (uint32_t some = masks.some; some != 0 && !open_; some &= some - 1) {
            const size_t k = static_cast<unsigned>(__builtin_ctz(some)), block = base + 64 * k;
            if (block + 64 <= done_) continue;
            uint64_t hits = masks.hits[k];
            if (block < done_) hits &= ~uint64_t{0} << (done_ - block);
            while (hits != 0) {
                const unsigned at = lowest(hits);
                if (!source_.holds(block + at)) {
                    hits &= hits - 1;
                    continue;
                }
                const uint64_t behind = ~uint64_t{0} << at;
                const uint64_t earlier = terminators[k] & ~behind, rest = terminators[k] & behind;
                Line& line = batch_->lines[batch_->count];
                line.before = masks.before[k] + static_cast<unsigned>(__builtin_popcountll(earlier));
                // Most lines begin and end in this block or the one beside it, which takes no branch.
                const uint64_t left = earlier != 0 ? earlier : (terminators - 1)[k];
                const size_t left_block = earlier != 0 ? block : block - 64;
                line.start = __builtin_expect(left != 0, 1) ? left_block + past_highest(left)
                                                            : start_of(base, terminators, k);
                const uint64_t right = rest != 0 ? rest : terminators[k + 1];
                const size_t right_block = rest != 0 ? block : block + 64;
                if (__builtin_expect(right != 0, 1)) {
                    if (end_line(right_block + lowest(right) + 1)) return true;
                } else {
                    if (end_line(base, terminators, masks.count, k + 2)) return true;
                    if (open_) break;
                }
                if (done_ >= block + 64) break;
                hits &= ~uint64_t{0} << (done_ - block);
            }
        }
        line_start_ = start_of(base, terminators, masks.count);
        return false;
    }

    // Of the line that the beginning of block k is in.
    size_t start_of(size_t base, const uint64_t* terminators, size_t k) const {
        while (k > 0 && terminators[k - 1] == 0) --k;
        return k == 0 ? line_start_ : base + 64 * (k - 1) + past_highest(terminators[k - 1]);
    }

    // Looks for the end of the line from block k on; not there: it stays open. True: the batch is full.
    bool end_line(size_t base, const uint64_t* terminators, size_t count, size_t k) {
        while (k < count && terminators[k] == 0) ++k;
        open_ = k >= count;
        return !open_ && end_line(base + 64 * k + lowest(terminators[k]) + 1);
    }
    bool end_line(size_t end) {
        done_ = end;
        Line& line = batch_->lines[batch_->count];
        line.end = std::min(end, size_);
        if (++batch_->count < most_) return false;
        batch_->upto = line.end;
        batch_->terminators = line.before + 1;
        return true;
    }

    const uint8_t* const text_;
    const size_t size_, from_;
    const uint8_t terminator_byte_;
    const ByteProbe terminator_;
    Source source_;
    const size_t most_;
    LineBatch* const batch_;
    size_t line_start_;    // of the line that the next block begins in
    size_t done_ = 0;      // the end of the last matching line; one more where it has no terminator
    uint64_t before_ = 0;  // terminators in what was looked at
    bool open_ = false;    // the end of the line behind the last is not known yet
};

inline void lines_with_literal(const uint8_t* text, size_t size, size_t from, uint8_t terminator,
                               const LiteralProbe& probe, size_t most, LineBatch* batch) {
    if (probe.folds) {
        Pass<LiteralSource<true>>(text, size, from, terminator, {probe, text, size, from}, most, batch).run();
    } else {
        Pass<LiteralSource<false>>(text, size, from, terminator, {probe, text, size, from}, most, batch).run();
    }
}

inline void lines_of_class(const uint8_t* text, size_t size, size_t from, uint8_t terminator, const ByteSet& set,
                           size_t most, LineBatch* batch) {
    Pass<WholeLineSource>(text, size, from, terminator, WholeLineSource(set), most, batch).run();
}

}  // namespace CURSERVE_SIMD
}  // namespace curserve
