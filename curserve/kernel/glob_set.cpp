// glob_set.cpp: see glob_set.h.
#include "glob_set.h"

#include <utility>

namespace curserve {
namespace {

// Names and extensions share one table; an extension's key is moved aside so that ".c" and a file named ".c" differ.
constexpr uint64_t kExtensionKey = 0x5bd1e9955bd1e995u;

uint64_t key_of(const Glob& glob) {
    switch (glob.form) {
        case Glob::Form::kName: return hash_bytes(glob.text);
        case Glob::Form::kExtension: return hash_bytes(glob.text) ^ kExtensionKey;
        default: return hash_bytes(std::string_view(glob.text).substr(glob.text.rfind('/') + 1));
    }
}

}  // namespace

std::string lowered(std::string_view bytes) {
    std::string out(bytes);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

bool GlobSet::add(std::string_view text, Glob::Options options, bool only_directories, std::string* error) {
    std::vector<Glob> globs;
    too_large_ = too_large_ || Glob::is_too_large(text) || bytes_ > kMostBytes;
    if (too_large_) {
        if (error) *error = "too large";
        return false;
    }
    if (!Glob::parse(text, options, &globs, error)) return false;
    for (const Glob& glob : globs) bytes_ += glob.bytes();
    for (Glob& glob : globs) (options.fold ? folded_ : exact_).add(std::move(glob), size_, only_directories);
    ++size_;
    return true;
}

void GlobSet::finish() {
    exact_.finish();
    folded_.finish();
}

int GlobSet::last(const Subject& subject, bool is_dir) const {
    int best = exact_.last(subject, is_dir, -1);
    if (folded_.items.empty() && folded_.others.empty()) return best;
    const std::string lower = lowered(subject.path);
    return folded_.last(subject_of(lower), is_dir, best);
}

void GlobSet::Table::add(Glob glob, int number, bool only_directories) {
    const Glob::Form form = glob.form;
    const bool keyed = form == Glob::Form::kName || form == Glob::Form::kExtension || form == Glob::Form::kPath ||
                       form == Glob::Form::kTail;
    (form == Glob::Form::kExtension ? extensions : names) |= keyed;
    (keyed ? items : others).push_back({std::move(glob), number, only_directories, kNoItem});
}

void GlobSet::Table::finish() {
    size_t size = 4;
    while (size < items.size() * 2) size *= 2;
    if (items.empty()) return;
    slots.assign(size, Slot{});
    // Later items become heads, so that a chain runs from the highest number down.
    for (uint32_t i = 0; i < items.size(); ++i) {
        const uint64_t hash = key_of(items[i].glob);
        size_t at = hash & (size - 1);
        while (slots[at].head != kNoItem && slots[at].hash != hash) at = (at + 1) & (size - 1);
        items[i].next = slots[at].head;
        slots[at] = {hash, i};
    }
}

int GlobSet::Table::probe(uint64_t hash, const Subject& subject, bool is_dir, int best) const {
    const size_t mask = slots.size() - 1;
    for (size_t at = hash & mask; slots[at].head != kNoItem; at = (at + 1) & mask) {
        if (slots[at].hash != hash) continue;
        for (uint32_t i = slots[at].head; i != kNoItem; i = items[i].next) {
            const Item& item = items[i];
            if (item.number <= best) break;
            if ((is_dir || !item.only_directories) && item.glob.matches(subject)) return item.number;
        }
        break;
    }
    return best;
}

int GlobSet::Table::last(const Subject& subject, bool is_dir, int best) const {
    if (names) best = probe(subject.name_hash, subject, is_dir, best);
    if (extensions && !subject.ext.empty()) best = probe(subject.ext_hash ^ kExtensionKey, subject, is_dir, best);
    for (size_t i = others.size(); i-- > 0;) {
        const Item& item = others[i];
        if (item.number <= best) break;
        if ((is_dir || !item.only_directories) && item.glob.matches(subject)) return item.number;
    }
    return best;
}

}  // namespace curserve
