#include "shortlist.h"

#include "searcher.h"

namespace curserve {

namespace {

// More candidates than one file in so many: then asking of each file is as cheap. Arbitrary.
constexpr size_t kFewest = 4;

template <typename Visit>
void each_bit(const uint64_t* words, size_t count, Visit visit) {
    for (size_t w = 0; w < count; ++w)
        for (uint64_t word = words[w]; word != 0; word &= word - 1)
            visit(w * 64 + static_cast<size_t>(__builtin_ctzll(word)));
}

}  // namespace

Shortlist::Rules Shortlist::Rules::of(const SearchSpec& spec, const Matcher& matcher) {
    return Rules{spec.before_context, spec.after_context, spec.line_terminator, spec.binary, spec.encoding, spec.mmap,
                 spec.single_threaded, matcher.spec().multi_line};
}

uint64_t Shortlist::bytes_left_out(const SearchSpec& spec, const Matcher& matcher, const View& view,
                                   const Locations& locations, Position position, bool named) {
    if (named) return kUnsureBytes;  // other rules for binary files
    const Locations::Entry entry = locations.at(position);
    if (entry.slot == 0 || entry.slot == Locations::kNotHeld) return kUnsureBytes;
    const uint32_t plain = locations.snapshot->segments[entry.slot - 1]->size_bytes[entry.number];
    if (plain != Segment::kAskSearcher) return plain;
    if (spec.single_threaded != 0) return kUnsureBytes;  // what it does to ripgrep's buffer counts
    return bytes_searched_without_match(spec, matcher, *view.facts(position).content, false);
}

Shortlist::Shortlist(const SearchSpec& spec, const Matcher& matcher, const View& view, const Selection& selection,
                     const std::vector<Start>& starts, const std::shared_ptr<const Locations>& locations)
    : rules_(Rules::of(spec, matcher)), made_for_(locations) {
    const auto& segments = locations->snapshot->segments;
    const std::vector<Selected>& files = selection.files;
    always_.resize((files.size() + 63) / 64);
    by_slot_.resize(segments.size() + 1);
    for (size_t slot = 1; slot < by_slot_.size(); ++slot)
        by_slot_[slot].first.resize(segments[slot - 1]->contents + size_t{1});
    for (size_t i = 0; i < files.size(); ++i) {
        const Position position = files[i].position;
        const bool named = starts[files[i].start].names(position);
        const uint64_t bytes = bytes_left_out(spec, matcher, view, *locations, position, named);
        if (bytes == kUnsureBytes) {
            always_[i >> 6] |= uint64_t{1} << (i & 63);
            continue;
        }
        others_ += 1;
        bytes_ += bytes;
        const Locations::Entry entry = locations->at(position);
        by_slot_[entry.slot].first[entry.number + 1] += 1;
    }
    for (Holders& holders : by_slot_) {
        for (size_t n = 1; n < holders.first.size(); ++n) holders.first[n] += holders.first[n - 1];
        holders.files.resize(holders.first.empty() ? 0 : holders.first.back());
    }
    std::vector<std::vector<uint32_t>> next;
    for (const Holders& holders : by_slot_) next.push_back(holders.first);
    for (size_t i = 0; i < files.size(); ++i) {
        if (((always_[i >> 6] >> (i & 63)) & 1) != 0) continue;
        const Locations::Entry entry = locations->at(files[i].position);
        by_slot_[entry.slot].files[next[entry.slot][entry.number]++] = static_cast<uint32_t>(i);
    }
}

bool Shortlist::choose(const SearchSpec& spec, const Matcher& matcher, const View& view, const Selection& selection,
                       const Candidates& candidates, Choice* out) const {
    size_t found = 0;
    for (size_t slot = 1; slot < by_slot_.size(); ++slot) {
        const Candidates::Contents contents = candidates.contents(slot);
        if (contents.bits == nullptr) return false;
        for (size_t w = 0; w < contents.words; ++w) found += static_cast<size_t>(__builtin_popcountll(contents.bits[w]));
    }
    if (found * kFewest > selection.files.size()) return false;
    std::vector<uint64_t> chosen = always_;
    out->left_out = others_;
    out->bytes = bytes_;
    for (size_t slot = 1; slot < by_slot_.size(); ++slot) {
        const Candidates::Contents contents = candidates.contents(slot);
        const Holders& holders = by_slot_[slot];
        each_bit(contents.bits, contents.words, [&](size_t number) {
            for (uint32_t at = holders.first[number]; at < holders.first[number + 1]; ++at) {
                const uint32_t file = holders.files[at];
                chosen[file >> 6] |= uint64_t{1} << (file & 63);
                out->left_out -= 1;
                out->bytes -= bytes_left_out(spec, matcher, view, *candidates.locations(), selection.files[file].position, false);
            }
        });
    }
    each_bit(chosen.data(), chosen.size(), [&](size_t file) { out->files.push_back(static_cast<uint32_t>(file)); });
    return true;
}

}  // namespace curserve
