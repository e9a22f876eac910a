// archive_save.cpp: putting into the archive, and what is thrown out of it.
//
// A save writes what is not there yet: the texts of each index segment with its tables, the texts that no segment holds,
// then the tree, whose rename makes all of it count. Texts are written once: an edit costs its own file's text and a new
// tree. Of two bundles with one content the later one counts; a bundle that no tree needs goes.
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

#include "archive.h"
#include "segment_file.h"

namespace curserve {
namespace {

constexpr int kNice = 10;
constexpr int kIdleClass = 3 << 13;      // of ioprio_set(2): only when nobody else wants the disk
constexpr size_t kLooseMost = 8;         // bundles without an index; then they become one
constexpr uint64_t kLeftFree = 64 << 20;   // bytes of the disk that are not ours to fill
constexpr uint64_t kGatherBelow = 64 << 20;  // bytes of a bundle; larger ones stay as they are

bool starts_with(const char* text, const char* prefix) { return std::strncmp(text, prefix, std::strlen(prefix)) == 0; }

bool keepable(const Facts& facts) {
    return facts.content != nullptr && facts.seasoned && facts.error == 0 && S_ISREG(facts.mode);
}

}  // namespace

int Archive::save(const std::string& root, const View& view, const GramIndex& index, bool idle,
                  const std::atomic<bool>& cancel) {
    std::lock_guard<std::mutex> lock(saving_);
    if (!own()) return EBUSY;
    int error = 0;
    unsaved_from_ = next_number_;
    const auto work = [&] {
        if (idle) {
            ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kNice);
            ::syscall(SYS_ioprio_set, 1, 0, kIdleClass);
        }
        try {
            error = save_now(root, view, index, cancel);
        } catch (const std::exception&) {
            error = ENOMEM;
        }
    };
    if (idle) {
        std::thread(work).join();  // priorities are a thread's, and cannot be raised again
    } else {
        work();
    }
    unsaved_from_ = ~uint64_t{0};
    if (error != 0 && error != ECANCELED) {
        say("no snapshot of " + root + ": " +
            (error == EDQUOT ? "it needs more room than [snapshot] size" : std::strerror(error)));
    }
    return error;
}

int Archive::save_now(const std::string& root, const View& view, const GramIndex& index,
                      const std::atomic<bool>& cancel) {
    std::unordered_set<const Content*> wanted;
    std::vector<ContentRef> loose;
    for (Position p = 0; p < view.shape->size(); ++p) {
        const Facts& facts = view.facts(p);
        if (!keepable(facts) || !wanted.insert(facts.content.get()).second) continue;
        std::shared_lock<std::shared_mutex> lock(mutex_);
        if (find(facts.content->hash) == nullptr) loose.push_back(facts.content);
    }
    // Segments that are this root's for the most part and not here yet.
    std::unordered_set<const Segment*> here;
    {
        std::shared_lock<std::shared_mutex> lock(mutex_);
        for (const std::shared_ptr<Bundle>& bundle : bundles_) {
            std::lock_guard<std::mutex> own(bundle->mutex);
            if (const SegmentRef segment = bundle->segment.lock()) here.insert(segment.get());
        }
    }
    const auto kept = index.snapshot();
    for (const SegmentRef& segment : kept->segments) {
        if (cancel.load() || cancel_.load()) return ECANCELED;
        if (here.count(segment.get()) != 0) continue;
        std::vector<ContentRef> contents;
        uint64_t bytes = 0, wanted_bytes = 0;
        for (const std::weak_ptr<const Content>& held : segment->held) {
            contents.push_back(held.lock());
            if (contents.back() == nullptr) continue;
            bytes += contents.back()->data.size();
            if (wanted.count(contents.back().get()) != 0) wanted_bytes += contents.back()->data.size();
        }
        if (wanted_bytes == 0 || wanted_bytes * 2 < bytes) continue;
        if (const int error = save_bundle(contents, segment, cancel)) return error;
    }
    loose.erase(std::remove_if(loose.begin(), loose.end(),
                               [&](const ContentRef& content) {
                                   std::shared_lock<std::shared_mutex> lock(mutex_);
                                   return find(content->hash) != nullptr;
                               }),
                loose.end());
    if (!loose.empty()) {
        if (const int error = save_bundle(loose, nullptr, cancel)) return error;
    }
    return cancel.load() || cancel_.load() ? ECANCELED : save_tree(root, view);
}

int Archive::save_bundle(const std::vector<ContentRef>& contents, const SegmentRef& segment,
                         const std::atomic<bool>& cancel) {
    uint64_t bytes = segment != nullptr ? segment->index_bytes() : 0;
    for (const ContentRef& content : contents) bytes += content != nullptr ? content->data.size() : 0;
    if (!make_room(bytes)) return EDQUOT;
    struct statvfs disk;
    if (::fstatvfs(dir_fd_, &disk) == 0 && uint64_t{disk.f_bavail} * disk.f_frsize < bytes + kLeftFree) return ENOSPC;
    ArchiveWriter out(dir_fd_, ArchiveKind::kTexts, store_->key());
    std::vector<Kept> table(contents.size());
    std::memset(static_cast<void*>(table.data()), 0, table.size() * sizeof(Kept));  // what lies between fields, too
    out.begin(kTexts);
    for (size_t i = 0; i < contents.size(); ++i) {
        if (cancel.load() || cancel_.load()) return ECANCELED;
        if (!out.ok()) break;
        Kept& kept = table[i];
        kept.first_nul = kNoNul;
        if (contents[i] == nullptr) continue;
        const Content& content = *contents[i];
        kept.hash = content.hash;
        kept.size = content.data.size();
        kept.start = out.append(content.data.data(), content.data.size());
        kept.file_size_bytes = content.file_size_bytes;
        kept.first_nul = content.first_nul;
        kept.coding = static_cast<uint8_t>(content.coding);
        kept.ascii = content.ascii ? 1 : 0;
        kept.whole = content.whole ? 1 : 0;
        kept.there = 1;
        const ObjectId id = store_->object_of(content);
        kept.object_size = id.size;
        std::memcpy(kept.object, id.bytes, ObjectId::kMost);
    }
    out.end();
    out.add(kContents, table.data(), table.size() * sizeof(Kept));
    if (segment != nullptr) SegmentFile::write(*segment, &out);
    char name[32];
    std::snprintf(name, sizeof name, "texts-%016llx", static_cast<unsigned long long>(next_number_));
    if (const int error = out.commit(name)) return error;
    std::string why;
    const std::shared_ptr<Bundle> bundle = read_bundle(name, &why);
    if (bundle == nullptr) return EIO;
    bundle->number = next_number_;
    bundle->segment = segment;
    for (size_t i = 0; i < contents.size(); ++i) bundle->held[i] = contents[i];
    std::unique_lock<std::shared_mutex> lock(mutex_);
    next_number_++;
    bundles_.push_back(bundle);
    know();
    return 0;
}

int Archive::save_tree(const std::string& root, const View& view) {
    const Shape& shape = *view.shape;
    std::string names;
    std::vector<SavedTree::Entry> entries(shape.size());
    std::memset(static_cast<void*>(entries.data()), 0, entries.size() * sizeof(SavedTree::Entry));
    std::vector<Hash128> hashes;
    std::unordered_map<const Content*, uint32_t> numbers;
    std::shared_lock<std::shared_mutex> lock(mutex_);
    for (Position p = 0; p < shape.size(); ++p) {
        const Facts& facts = view.facts(p);
        const std::string_view name = shape.name(p);
        SavedTree::Entry& e = entries[p];
        e.size_bytes = facts.size_bytes;
        e.dev = facts.dev;
        e.ino = facts.ino;
        e.mtime_ns = facts.mtime_ns;
        e.ctime_ns = facts.ctime_ns;
        e.mode = facts.mode;
        e.nlink = facts.nlink;
        if (names.size() + name.size() > 0xffffffffu) return EFBIG;
        e.name_start = static_cast<uint32_t>(names.size());
        e.name_size = static_cast<uint16_t>(name.size());
        e.kind = static_cast<uint16_t>(shape.kind[p]);
        e.end = shape.end[p];
        e.content = SavedTree::kNoContent;
        names += name;
        if (!keepable(facts) || find(facts.content->hash) == nullptr) continue;
        const auto [at, added] = numbers.try_emplace(facts.content.get(), static_cast<uint32_t>(hashes.size()));
        if (added) hashes.push_back(facts.content->hash);
        e.content = at->second;
    }
    lock.unlock();
    const uint64_t bytes = kArchiveHeadBytes + names.size() + entries.size() * sizeof(SavedTree::Entry) +
                           hashes.size() * sizeof(Hash128);
    if (!make_room(bytes)) return EDQUOT;
    ArchiveWriter out(dir_fd_, ArchiveKind::kTree, store_->key());
    out.add(SavedTree::kRoot, root.data(), root.size());
    out.add(SavedTree::kNames, names.data(), names.size());
    out.add(SavedTree::kEntries, entries.data(), entries.size() * sizeof(SavedTree::Entry));
    out.add(SavedTree::kHashes, hashes.data(), hashes.size() * sizeof(Hash128));
    const std::string name = tree_name(root);
    {
        std::unique_lock<std::shared_mutex> alone(mutex_);
        in_use_.insert(name);
    }
    return out.commit(name);
}

// ---- throwing out

uint64_t Archive::on_disk(std::vector<std::pair<int64_t, std::string>>* trees) const {
    uint64_t bytes = 0;
    DIR* dir = ::fdopendir(::openat(dir_fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));  // a position of its own
    if (dir == nullptr) return 0;
    while (const dirent* entry = ::readdir(dir)) {
        const bool tree = starts_with(entry->d_name, "tree-");
        struct stat st;
        if ((!tree && !starts_with(entry->d_name, "texts-")) ||
            ::fstatat(dir_fd_, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        bytes += static_cast<uint64_t>(st.st_size);
        if (tree && trees != nullptr) trees->emplace_back(static_cast<int64_t>(st.st_mtim.tv_sec), entry->d_name);
    }
    ::closedir(dir);
    return bytes;
}

// Under saving_. False: so much more would be too much even without the trees that nobody uses now.
bool Archive::make_room(uint64_t bytes) {
    std::vector<std::pair<int64_t, std::string>> trees;
    uint64_t held = on_disk(&trees);
    std::sort(trees.begin(), trees.end());
    for (const auto& [when, name] : trees) {
        if (held + bytes <= options_.most_bytes) break;
        {
            std::shared_lock<std::shared_mutex> lock(mutex_);
            if (in_use_.count(name) != 0) continue;
        }
        say("a snapshot not used lately makes room");
        ::unlinkat(dir_fd_, name.c_str(), 0);
        remove_unused();
        held = on_disk(nullptr);
    }
    return held + bytes <= options_.most_bytes;
}

void Archive::tidy() {
    std::lock_guard<std::mutex> lock(saving_);
    if (!own()) return;
    try {
        gather_loose();
        make_room(0);
        remove_unused();
    } catch (const std::exception&) {
        // Out of memory: the next one tidies up.
    }
}

std::vector<char> Archive::used() const {
    std::vector<std::pair<int64_t, std::string>> trees;
    on_disk(&trees);
    std::vector<char> used(known_.size(), 0);
    for (const auto& [when, name] : trees) {
        ArchiveReader file;
        SavedTree tree;
        std::string why;
        if (!file.open(dir_fd_, name, ArchiveKind::kTree, store_->key(), &why) || !tree.read(file, nullptr, &why)) {
            ::unlinkat(dir_fd_, name.c_str(), 0);
            continue;
        }
        for (const Hash128& hash : tree.hashes()) {
            if (const Where* where = find(hash)) used[static_cast<size_t>(where - known_.data())] = 1;
        }
    }
    return used;
}

// Under saving_. Bundles that hold nothing a saved tree names, or nothing a later one does not hold as well, go.
void Archive::remove_unused() {
    std::unique_lock<std::shared_mutex> lock(mutex_);
    const std::vector<char> wanted = used();
    std::vector<char> stays(bundles_.size(), 0);
    for (size_t i = 0; i < known_.size(); ++i) {
        if (wanted[i] != 0) stays[known_[i].bundle] = 1;
    }
    std::vector<std::shared_ptr<Bundle>> left;
    for (size_t b = 0; b < bundles_.size(); ++b) {
        if (stays[b] != 0 || bundles_[b]->number >= unsaved_from_) {
            left.push_back(bundles_[b]);
        } else {
            ::unlinkat(dir_fd_, bundles_[b]->name.c_str(), 0);  // what is mapped of it stays
        }
    }
    if (left.size() == bundles_.size()) return;
    bundles_ = std::move(left);
    know();
}

// Under saving_. Many small bundles without an index become one.
void Archive::gather_loose() {
    std::vector<Hash128> hashes;
    {
        std::shared_lock<std::shared_mutex> lock(mutex_);
        const auto loose = [&](const Bundle& bundle) {
            return !SegmentFile::is_in(bundle.file) && bundle.file.file()->size() < kGatherBelow;
        };
        size_t count = 0;
        for (const std::shared_ptr<Bundle>& bundle : bundles_) count += loose(*bundle) ? 1 : 0;
        if (count <= kLooseMost) return;
        const std::vector<char> wanted = used();
        for (size_t i = 0; i < known_.size(); ++i) {
            if (wanted[i] != 0 && loose(*bundles_[known_[i].bundle])) hashes.push_back(known_[i].hash);
        }
    }
    std::vector<ContentRef> contents;
    for (const Hash128& hash : hashes) {
        if (ContentRef one = content(hash)) contents.push_back(std::move(one));
    }
    if (!contents.empty()) save_bundle(contents, nullptr, cancel_);
}

Archive::Numbers Archive::numbers() {
    std::vector<std::pair<int64_t, std::string>> trees;
    const uint64_t bytes = on_disk(&trees);
    std::shared_lock<std::shared_mutex> lock(mutex_);
    return Numbers{trees.size(), bytes, known_.size()};
}

}  // namespace curserve
