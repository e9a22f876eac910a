// archive.cpp: opening the archive, and taking out of it. See archive.h; archive_save.cpp puts into it.
#include "archive.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>

#include "segment_file.h"

namespace curserve {
namespace {

constexpr const char* kKeyName = "key";

bool starts_with(const std::string& text, const char* prefix) { return text.compare(0, std::strlen(prefix), prefix) == 0; }

}  // namespace

// ---- one root

bool SavedTree::read(const ArchiveReader& file, const std::string* root, std::string* why) {
    for (const Section section : {kRoot, kNames, kEntries, kHashes}) {
        if (!file.intact(section)) {
            *why = "it is damaged";
            return false;
        }
    }
    const Table<char> own = file.table<char>(kRoot);
    if (root != nullptr && std::string_view(own.data(), own.size()) != *root) {
        *why = "it is another folder's";
        return false;
    }
    names_ = file.table<char>(kNames);
    entries_ = file.table<Entry>(kEntries);
    hashes_ = file.table<Hash128>(kHashes);
    // What the hashes vouch for needs no doubt; a wrong offset would be our own fault, and must not become a crash.
    for (uint32_t i = 0; i < size(); ++i) {
        const Entry& e = entries_[i];
        if (e.end <= i || e.end > size() || uint64_t{e.name_start} + e.name_size > names_.size() ||
            (e.content != kNoContent && e.content >= hashes_.size())) {
            *why = "it is damaged";
            entries_ = Table<Entry>();
            return false;
        }
    }
    return true;
}

// ---- opening

std::shared_ptr<Archive> Archive::open(std::shared_ptr<Store> store, const std::string& folder,
                                       const Options& options, std::string* why) {
    const int dir_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (dir_fd < 0 || ::fstat(dir_fd, &st) != 0) {
        *why = folder + ": " + std::strerror(errno);
        if (dir_fd >= 0) ::close(dir_fd);
        return nullptr;
    }
    if (st.st_uid != ::geteuid() || (st.st_mode & 077) != 0) {
        *why = folder + " is not this user's alone";
        ::close(dir_fd);
        return nullptr;
    }
    const int lock_fd = ::openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock_fd < 0) {
        *why = folder + ": " + std::strerror(errno);
        ::close(dir_fd);
        return nullptr;
    }
    std::shared_ptr<Archive> archive(new Archive(std::move(store), dir_fd, lock_fd, options));
    archive->owned_ = ::flock(lock_fd, LOCK_EX | LOCK_NB) == 0;
    if (!archive->owned_) archive->say(folder + " is used by another daemon: nothing is kept while that one runs");
    if (!archive->prepare_key()) {
        *why = folder + ": no key can be kept there";
        return nullptr;
    }
    archive->read_folder();
    return archive;
}

bool Archive::own() {
    if (owned_) return true;
    owned_ = ::flock(lock_fd_, LOCK_EX | LOCK_NB) == 0;
    if (owned_) read_folder();  // as its last owner has left it
    return owned_;
}

Archive::Archive(std::shared_ptr<Store> store, int dir_fd, int lock_fd, const Options& options)
    : store_(std::move(store)), dir_fd_(dir_fd), lock_fd_(lock_fd), options_(options) {}

Archive::~Archive() {
    ::close(lock_fd_);
    ::close(dir_fd_);
}

// The key that the hashes of all files here are made with; it never leaves the folder.
bool Archive::prepare_key() {
    HashKey key;
    std::string why;
    const std::shared_ptr<const MappedFile> file = MappedFile::open(dir_fd_, kKeyName, &why);
    if (file != nullptr && file->size() == sizeof key) {
        std::memcpy(key.data(), file->data(), sizeof key);
        store_->set_key(key);
        return true;
    }
    if (!owned_) return false;
    key = store_->key();
    ::unlinkat(dir_fd_, kKeyName, 0);
    const int fd = ::openat(dir_fd_, kKeyName, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return false;
    const bool written = ::write(fd, key.data(), sizeof key) == static_cast<ssize_t>(sizeof key);
    ::close(fd);
    if (!written) ::unlinkat(dir_fd_, kKeyName, 0);
    return written;
}

void Archive::read_folder() {
    std::vector<std::string> bundles;
    DIR* dir = ::fdopendir(::openat(dir_fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));  // a position of its own
    if (dir == nullptr) return;
    while (const dirent* entry = ::readdir(dir)) {
        const std::string name = entry->d_name;
        // Of a daemon that was killed meanwhile.
        if (owned_ && starts_with(name, "new-")) ::unlinkat(dir_fd_, name.c_str(), 0);
        if (starts_with(name, "texts-")) bundles.push_back(name);
    }
    ::closedir(dir);
    std::sort(bundles.begin(), bundles.end());  // their numbers have a fixed width
    std::vector<std::shared_ptr<Bundle>> there;
    for (const std::string& name : bundles) {
        const uint64_t number = std::strtoull(name.c_str() + 6, nullptr, 16);
        next_number_ = std::max(next_number_, number + 1);
        const auto known = std::find_if(bundles_.begin(), bundles_.end(),
                                        [&](const std::shared_ptr<Bundle>& bundle) { return bundle->name == name; });
        if (known != bundles_.end()) {
            there.push_back(*known);
            continue;
        }
        std::string why;
        if (std::shared_ptr<Bundle> bundle = read_bundle(name, &why)) {
            bundle->number = number;
            there.push_back(std::move(bundle));
        } else {
            say(name + " is left out: " + why);
            if (owned_) ::unlinkat(dir_fd_, name.c_str(), 0);
        }
    }
    std::unique_lock<std::shared_mutex> lock(mutex_);
    bundles_ = std::move(there);
    know();
}

std::shared_ptr<Archive::Bundle> Archive::read_bundle(const std::string& name, std::string* why) {
    auto bundle = std::make_shared<Bundle>();
    bundle->name = name;
    if (!bundle->file.open(dir_fd_, name, ArchiveKind::kTexts, store_->key(), why)) return nullptr;
    *why = "it is damaged";
    if (!bundle->file.intact(kContents)) return nullptr;
    bundle->contents = bundle->file.table<Kept>(kContents);
    const uint64_t texts = bundle->file.size(kTexts);
    for (const Kept& kept : bundle->contents) {
        const bool fits = kept.start <= texts && kept.size <= texts - kept.start && kept.object_size <= ObjectId::kMost &&
                          kept.coding <= static_cast<uint8_t>(Coding::kUtf16) && kept.first_nul >= kNoNul &&
                          kept.first_nul < static_cast<int64_t>(kept.size);
        if (!fits) return nullptr;
    }
    bundle->held.resize(bundle->contents.size());
    bundle->indexed = SegmentFile::is_in(bundle->file);
    return bundle;
}

bool Archive::lend(Bundle& bundle, ArchiveReader* out) {
    std::shared_ptr<const MappedFile> file = bundle.lent.lock();
    if (file == nullptr) {
        std::string why;
        file = MappedFile::open(dir_fd_, bundle.name, &why);
        if (file == nullptr || file->size() != bundle.file.file()->size()) return false;
        bundle.lent = file;
    }
    *out = bundle.file.through(std::move(file));
    return true;
}

void Archive::know() {
    std::vector<Where> all;
    for (size_t b = 0; b < bundles_.size(); ++b) {
        const Table<Kept>& contents = bundles_[b]->contents;
        for (size_t i = 0; i < contents.size(); ++i) {
            if (contents[i].there == 0) continue;
            all.push_back(Where{contents[i].hash, static_cast<uint32_t>(b), static_cast<uint32_t>(i)});
        }
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end(), [](const Where& a, const Where& b) { return a.hash == b.hash; }),
              all.end());
    all.shrink_to_fit();
    known_ = std::move(all);
}

const Archive::Where* Archive::find(const Hash128& hash) const {
    const auto at = std::lower_bound(known_.begin(), known_.end(), hash,
                                     [](const Where& where, const Hash128& wanted) { return where.hash < wanted; });
    return at == known_.end() || at->hash != hash ? nullptr : &*at;
}

// ---- taking out

std::string Archive::tree_name(const std::string& root) const {
    const Hash128 hash = hash_bytes(root.data(), root.size(), 0, store_->key());
    char name[64];
    std::snprintf(name, sizeof name, "tree-%016llx%016llx", static_cast<unsigned long long>(hash.low),
                  static_cast<unsigned long long>(hash.high));
    return name;
}

std::shared_ptr<const SavedTree> Archive::tree(const std::string& root) {
    const std::string name = tree_name(root);
    {
        std::unique_lock<std::shared_mutex> lock(mutex_);
        in_use_.insert(name);
    }
    if (::faccessat(dir_fd_, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) return nullptr;
    ArchiveReader file;
    std::string why;
    auto tree = std::make_shared<SavedTree>();
    if (!file.open(dir_fd_, name, ArchiveKind::kTree, store_->key(), &why) || !tree->read(file, &root, &why)) {
        say("the snapshot of " + root + " is left out: " + why);
        return nullptr;
    }
    ::utimensat(dir_fd_, name.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);  // used now
    return tree;
}

ContentRef Archive::content(const Hash128& hash) {
    std::shared_ptr<Bundle> bundle;
    uint32_t number = 0;
    {
        std::shared_lock<std::shared_mutex> lock(mutex_);
        const Where* where = find(hash);
        if (where == nullptr) return nullptr;
        bundle = bundles_[where->bundle];
        number = where->number;
    }
    ArchiveReader lent;
    {
        std::lock_guard<std::mutex> lock(bundle->mutex);
        if (ContentRef content = bundle->held[number].lock()) return content;
        if (!lend(*bundle, &lent)) return nullptr;
    }
    const Kept& kept = bundle->contents[number];
    auto claimed = std::make_unique<Content>();
    claimed->data =
        Table<uint8_t>(lent.file()->data() + lent.start(kTexts) + kept.start, kept.size, lent.file());
    claimed->file_size_bytes = kept.file_size_bytes;
    claimed->first_nul = kept.first_nul;
    claimed->coding = static_cast<Coding>(kept.coding);
    claimed->ascii = kept.ascii != 0;
    claimed->whole = kept.whole != 0;
    claimed->hash = hash;
    claimed->object.size = kept.object_size;
    std::memcpy(claimed->object.bytes, kept.object, ObjectId::kMost);
    ContentRef content = store_->restore(std::move(claimed));
    if (content == nullptr) {
        say(bundle->name + ": a text is damaged, its file is read");
        return nullptr;
    }
    std::lock_guard<std::mutex> lock(bundle->mutex);
    bundle->held[number] = content;
    bundle->fresh = true;
    return content;
}

void Archive::restore_index(GramIndex& index) {
    std::vector<std::shared_ptr<Bundle>> bundles;
    {
        std::shared_lock<std::shared_mutex> lock(mutex_);
        bundles = bundles_;
    }
    const auto work = [&](size_t from, size_t step) {
        for (size_t i = from; i < bundles.size(); i += step) {
            Bundle& bundle = *bundles[i];
            std::lock_guard<std::mutex> lock(bundle.mutex);
            const SegmentRef before = bundle.segment.lock();
            if (!bundle.indexed || (before != nullptr && !bundle.fresh)) continue;
            // Worth it if half of it is held and has no better place; else those contents are indexed with others.
            const SnapshotRef now = index.snapshot();
            uint64_t bytes = 0, all_bytes = 0;
            for (size_t n = 0; n < bundle.held.size(); ++n) {
                all_bytes += bundle.contents[n].size;
                const ContentRef content = bundle.held[n].lock();
                if (content == nullptr) continue;
                const auto serial = static_cast<uint32_t>(content->index_place.load() >> 32);
                const bool placed = now->slot_of(serial) < now->segments.size() &&
                                    (before == nullptr || serial != before->serial);
                if (!placed) bytes += content->data.size();
            }
            if (bytes == 0 || bytes * 2 < all_bytes) continue;
            ArchiveReader lent;
            if (!lend(bundle, &lent)) continue;
            std::shared_ptr<Segment> segment;
            if (SegmentFile::intact(lent)) segment = SegmentFile::read(lent);
            if (segment == nullptr || segment->contents != bundle.contents.size()) {
                say(bundle.name + ": its index is damaged, and built anew");
                bundle.indexed = false;
                continue;
            }
            segment->held = bundle.held;
            segment->text_bytes = all_bytes;
            bundle.segment = segment;
            index.adopt(std::move(segment), before);
            bundle.fresh = false;
        }
    };
    const size_t threads = std::min<size_t>(std::max(1u, std::thread::hardware_concurrency()), 4);
    std::vector<std::thread> others;
    for (size_t i = 1; i < threads && i < bundles.size(); ++i) others.emplace_back(work, i, threads);
    work(0, threads);
    for (std::thread& other : others) other.join();
}

void Archive::say(const std::string& line) {
    std::lock_guard<std::mutex> lock(words_mutex_);
    constexpr size_t kMost = 20;  // of one kind of trouble a few lines are enough
    if (words_.size() < kMost) words_.push_back(line);
}

std::string Archive::take_words() {
    std::lock_guard<std::mutex> lock(words_mutex_);
    std::string all;
    for (const std::string& line : words_) all += line + "\n";
    words_.clear();
    return all;
}

}  // namespace curserve
