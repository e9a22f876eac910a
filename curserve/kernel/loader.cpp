// loader.cpp: listing directories and reading files, on several threads.
//
// A job lists one directory or reads a batch of one directory's files. Order in a directory: open, watch, list, rules,
// verdicts, then its files and its subdirectories; so whatever changes after the listing raises an event.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "live_tree.h"
#include "room.h"

namespace curserve {
namespace {

constexpr size_t kBatch = 64;  // files per job: some 2 ms of reading

std::string watch_limit() {
    std::ifstream file("/proc/sys/fs/inotify/max_user_watches");
    std::string limit;
    file >> limit;
    return limit.empty() ? "?" : limit;
}

}  // namespace

int LiveTree::watch_directory(Node* dir, int fd) {
    const int wd = watch_->add(fd, Watch::kTreeMask, box_, dir->dir->id);
    if (wd == -ENOSPC) {
        set_state(TreeState::kPoisoned, "no inotify watches left (fs.inotify.max_user_watches is " + watch_limit() + ")");
        return ENOSPC;
    }
    if (wd < 0) {
        set_state(TreeState::kPoisoned, "cannot watch " + absolute_of(dir) + ": " + std::strerror(-wd));
        return -wd;
    }
    if (dir->dir->wd != wd) {
        if (dir->dir->wd >= 0) {
            watch_->remove(dir->dir->wd, box_.get(), dir->dir->id);
        } else {
            watch_count_.fetch_add(1, std::memory_order_relaxed);
        }
        dir->dir->wd = wd;
    }
    return 0;
}

LiveTree::Step LiveTree::step_to(const Walking& walking, Node* dir) const {
    IgnoreSwitches switches;
    switches.hidden = true;
    auto above = std::make_shared<RuleStack>(switches, false);
    for (const ChainLink& link : chain_of(dir->parent)) {
        if (link.rules == nullptr || link.rules->empty()) continue;
        above->enter(*link.rules, link.dir == "/" ? 1 : link.dir.size() + 1, false);
    }
    Step step;
    step.node = dir;
    step.path = path_of(dir);
    step.above = std::move(above);
    if (walking.git != nullptr) step.git = walking.git->below(walking.git->all(), step.path);
    return step;
}

void LiveTree::walk_directory(Walking& walking, const Step& step) {
    if (closing_.load() || walking.overrun.load() || state_.load() == TreeState::kPoisoned) return;
    if (walking.progress != nullptr && walking.progress->cancel.load()) return;
    Node* const dir = step.node;
    const int opened = open_directory(root_fd_.get(), step.path);
    struct stat st;
    if (opened < 0) {
        dir->dir->listing = Listing::kFailed;
        dir->error = -opened;
        if (dir->facts.ino == 0 && ::fstatat(root_fd_.get(), step.path.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
            note_directory(dir, st);
        }
        if (opened == -ENOENT || opened == -ENOTDIR || opened == -ELOOP) {
            std::lock_guard<std::mutex> lock(walking.mutex);
            walking.again.push_back(dir);
        }
        return;
    }
    const Descriptor fd(opened);
    if (::fstat(fd.get(), &st) != 0) return;
    if (dir->parent == nullptr || static_cast<uint64_t>(st.st_dev) != dir->parent->facts.dev) {
        if (const char* deaf = deaf_file_system(fd.get())) {
            set_state(TreeState::kPoisoned, absolute_of(dir) + " is on " + deaf + ", which does not tell of changes");
            return;
        }
    }
    if (dir->facts.ino == 0) {
        note_directory(dir, st);
    } else if (static_cast<uint64_t>(st.st_ino) != dir->facts.ino ||
               static_cast<uint64_t>(st.st_dev) != dir->facts.dev) {
        // Another directory since its stat: leave it to the examination that its events will cause.
        dir->dir->listing = Listing::kFailed;
        dir->error = ENOENT;
        std::lock_guard<std::mutex> lock(walking.mutex);
        walking.again.push_back(dir);
        return;
    }
    if (watch_directory(dir, fd.get()) != 0) return;
    static thread_local std::vector<Listed> names;  // grown once, not for each of thousands
    const int error = list_directory(fd.get(), &names);
    if (error != 0) {
        dir->dir->listing = Listing::kFailed;
        dir->error = error;
        return;
    }
    dir->dir->listing = Listing::kListed;
    dir->error = 0;
    if (walking.listed.fetch_add(names.size()) + names.size() > walking.most_listed) {
        walking.overrun.store(true);
        return;
    }
    std::sort(names.begin(), names.end(), [](const Listed& a, const Listed& b) { return a.name < b.name; });
    // A name that was removed and made again meanwhile may be listed twice.
    const auto same_name = [](const Listed& a, const Listed& b) { return a.name == b.name; };
    names.erase(std::unique(names.begin(), names.end(), same_name), names.end());
    bool rules = false;
    for (const Listed& listed : names) rules = rules || decides_rules(listed.name);
    if (walking.git != nullptr) {  // before any file here is read, and before a folder below is walked
        dir->dir->converted = dir->parent != nullptr && dir->parent->dir->converted;
        for (const Listed& listed : names) {
            if (listed.name == ".gitattributes" && converts(fd.get(), ".gitattributes")) dir->dir->converted = true;
        }
    }
    dir->dir->rules = nullptr;
    dir->dir->sources.clear();
    if (rules) {
        RulesFound found = read_rules(fd.get(), absolute_of(dir), false);
        if (!found.rules->empty()) dir->dir->rules = found.rules;
        dir->dir->sources = std::move(found.sources);
    }
    if (!dir->dir->sources.empty()) {
        std::lock_guard<BriefMutex> lock(index_mutex_);
        sourced_.insert(dir);
    }
    std::string absolute = root_ == "/" ? root_ : root_ + "/";
    if (!step.path.empty()) absolute.append(step.path).push_back('/');
    const size_t base = absolute.size();
    std::shared_ptr<const RuleStack> stack = step.above;
    if (dir->dir->rules != nullptr) {
        auto own = std::make_shared<RuleStack>(*stack);
        own->enter(*dir->dir->rules, base, false);
        stack = std::move(own);
    }
    const auto ignored = [&](const Listed& listed, bool is_dir) {
        if (stack->silent()) return false;
        absolute.resize(base);
        absolute += listed.name;
        return stack->verdict(subject_of(absolute, base), is_dir) == Verdict::kIgnore;
    };
    std::vector<Wanted> files;
    std::vector<Step> directories;
    files.reserve(names.size());
    const auto walk_later = [&](Node* node, uint32_t saved) {
        Step next;
        next.node = node;
        next.path.reserve(step.path.size() + 1 + node->name.size());
        next.path = step.path;
        if (!next.path.empty()) next.path.push_back('/');
        next.path += node->name;
        next.above = stack;
        if (walking.git != nullptr) next.git = walking.git->below(step.git, next.path);
        next.saved = saved;
        directories.push_back(std::move(next));
    };
    // What was saved of this directory, name by name beside the listing: both are sorted by bytes.
    uint32_t old = step.saved == SavedTree::kNowhere ? 0 : step.saved + 1;
    const uint32_t old_end = step.saved == SavedTree::kNowhere ? 0 : walking.saved->at(step.saved).end;
    for (const Listed& listed : names) {
        while (old < old_end && walking.saved->name(old) < listed.name) old = walking.saved->at(old).end;
        const uint32_t was = old < old_end && walking.saved->name(old) == listed.name ? old : SavedTree::kNowhere;
        Kind kind = kind_of_type(listed.type);
        if (kind == Kind::kFile && !dir->dir->lazy && !ignored(listed, false)) {
            Node* node = add_child(dir, listed.name, kind);  // stat'ed when it is read
            node->want = true;
            files.push_back({node, was});
            continue;
        }
        if (kind == Kind::kDirectory && listed.name != ".git" && !ignored(listed, true)) {
            Node* node = add_child(dir, listed.name, kind);  // stat'ed when it is walked
            node->dir->lazy = dir->dir->lazy;
            walk_later(node, was);
            continue;
        }
        const bool known = ::fstatat(fd.get(), listed.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
        if (!known && errno == ENOENT) continue;  // gone meanwhile; its event is in the queue
        const int failed = known ? 0 : errno;
        if (!known && kind == Kind::kOther) kind = Kind::kFile;
        const Kind seen = known ? kind_of(st.st_mode) : kind;
        const bool want = seen == Kind::kFile && kind != Kind::kFile && !dir->dir->lazy && !ignored(listed, false);
        Node* node = add_child(dir, listed.name, seen);
        node->error = failed;
        if (known) take_stat(&node->facts, st);
        if (!known) node->facts.error = failed;
        if (seen == Kind::kDirectory) {
            node->dir->lazy = dir->dir->lazy;
            if (known) note_directory(node, st);
            // A file system that does not say what a name is, or a directory in the place of something else.
            if (known && kind != Kind::kDirectory && listed.name != ".git" && !ignored(listed, true)) {
                walk_later(node, was);
            }
            continue;
        }
        if (!want) continue;
        node->want = true;
        files.push_back({node, was});
    }
    if (walking.progress != nullptr) {
        walking.progress->directories.fetch_add(1, std::memory_order_relaxed);
        walking.progress->total_files.fetch_add(files.size(), std::memory_order_relaxed);
    }
    for (Step& next : directories) {
        walking.gang.add([this, &walking, next = std::move(next)] { walk_directory(walking, next); });
    }
    for (size_t at = kBatch; at < files.size(); at += kBatch) {
        std::vector<Wanted> batch(files.begin() + static_cast<std::ptrdiff_t>(at),
                                  files.begin() + static_cast<std::ptrdiff_t>(std::min(at + kBatch, files.size())));
        walking.gang.add([this, &walking, path = step.path, git = step.git, batch = std::move(batch)] {
            read_files(walking, path, git, batch);
        });
    }
    const Folder here{fd.get(), step.path, step.git};
    for (size_t at = 0; at < std::min(kBatch, files.size()); at++) read_one(walking, here, files[at]);
}

// A directory's stat, which makes it one that can be found again under another name.
void LiveTree::note_directory(Node* dir, const struct stat& st) {
    take_stat(&dir->facts, st);
    std::lock_guard<BriefMutex> lock(index_mutex_);
    by_inode_[dir->facts.dev][dir->facts.ino] = dir;
}

void LiveTree::read_files(Walking& walking, const std::string& path, GitIndex::Range git,
                          const std::vector<Wanted>& files) {
    const int opened = open_directory(root_fd_.get(), path);
    if (opened < 0) {
        std::lock_guard<std::mutex> lock(walking.mutex);
        for (const Wanted& file : files) {
            file.node->facts.content = nullptr;
            file.node->facts.error = -opened;
            walking.again.push_back(file.node);
        }
        return;
    }
    const Descriptor fd(opened);
    for (const Wanted& file : files) read_one(walking, Folder{fd.get(), path, git}, file);
}

void LiveTree::read_one(Walking& walking, const Folder& folder, const Wanted& wanted) {
    if (closing_.load() || (walking.progress != nullptr && walking.progress->cancel.load())) return;
    Node* const file = wanted.node;
    const int dir_fd = folder.fd;
    const auto has_room = [&walking](uint64_t more) {
        return walking.progress == nullptr || Room::instance().wait(more, walking.progress->cancel);
    };
    if (!has_room(0)) return;
    const int64_t begun = now_ns();
    if (wanted.saved != SavedTree::kNowhere && take_saved(walking, dir_fd, wanted, begun)) return;
    const GitIndex::Entry* entry = nullptr;
    if (walking.git != nullptr && !file->parent->dir->converted) {
        static thread_local std::string path;
        path = folder.path;
        if (!path.empty()) path.push_back('/');
        entry = walking.git->find(folder.git, path += file->name);
    }
    if (entry != nullptr && take_known(walking, dir_fd, file, *entry, begun)) return;
    static thread_local std::vector<uint8_t> bytes;
    struct stat st;
    bool beginning = false;
    const uint64_t unasked = std::min(walking.largest_file, Room::kLookBytes);
    int error = read_text(dir_fd, file->name.c_str(), unasked, &bytes, &st, &beginning);
    if (error == EFBIG && static_cast<uint64_t>(st.st_size) <= walking.largest_file) {
        if (!has_room(static_cast<uint64_t>(st.st_size))) return;
        error = read_text(dir_fd, file->name.c_str(), walking.largest_file, &bytes, &st, &beginning);
    }
    reads_.fetch_add(1, std::memory_order_relaxed);
    uint64_t held = 0;
    if (error == 0) {
        take_stat(&file->facts, st);
        file->facts.error = 0;
        held = bytes.size();
        Room::instance().grew(held + sizeof(Node));
        file->facts.content = store_->put(std::move(bytes), false,
                                          beginning ? static_cast<uint64_t>(st.st_size) : Store::kAsRaw);
        bytes = std::vector<uint8_t>();
    } else {
        file->facts.content = nullptr;
        file->facts.error = error == EFBIG ? 0 : error;
        if (::fstatat(dir_fd, file->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) {
            std::lock_guard<std::mutex> lock(walking.mutex);
            walking.again.push_back(file);
            return;
        }
        take_stat(&file->facts, st);
    }
    note_read(walking, file, begun, held);
    // What was read, under the id that git's index proves for the stat that vouches for it.
    if (entry != nullptr && error == 0 && !file->racy && walking.git->proves(*entry, st)) {
        store_->learn(walking.git->id(*entry), file->facts.content);
    }
}

// A file that has the very stat it had when it was saved, and a content that is still there: it is not read.
bool LiveTree::take_saved(Walking& walking, int dir_fd, const Wanted& wanted, int64_t begun) {
    const SavedTree::Entry& was = walking.saved->at(wanted.saved);
    if (was.content == SavedTree::kNoContent) return false;
    Node* const file = wanted.node;
    struct stat st;
    if (::fstatat(dir_fd, file->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) return false;
    Facts facts;
    facts.size_bytes = was.size_bytes;
    facts.dev = was.dev;
    facts.ino = was.ino;
    facts.mtime_ns = was.mtime_ns;
    facts.ctime_ns = was.ctime_ns;
    facts.mode = was.mode;
    facts.nlink = was.nlink;
    // Another's file: whether we may read it now (we may be in other groups than then).
    if (st.st_uid != ::geteuid() && ::faccessat(dir_fd, file->name.c_str(), R_OK, AT_EACCESS) != 0) return false;
    // Of another device the root's file system tells nothing (see forgets_mapped_stores).
    if (!same_stat(facts, st) || facts.dev != identity_.dev || facts.ctime_ns + kTickNs > begun) return false;
    facts.content = archive_->content(walking.saved->hash(was));
    if (facts.content == nullptr || facts.content->file_size_bytes != facts.size_bytes) return false;
    file->facts = std::move(facts);
    Room::instance().grew(file->facts.content->data.size());  // what is mapped and was compared is resident, too
    known_.fetch_add(1, std::memory_order_relaxed);
    note_read(walking, file, begun, 0);
    file->facts.seasoned = true;  // as it was when it was saved
    return true;
}

// A file whose content is held already, by the word of git's index: it is compared by stat, and not read.
bool LiveTree::take_known(Walking& walking, int dir_fd, Node* file, const GitIndex::Entry& entry, int64_t begun) {
    ContentRef content = store_->known(walking.git->id(entry), entry.size);
    if (content == nullptr) return false;
    struct stat st;
    if (::fstatat(dir_fd, file->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return false;
    if (!walking.git->proves(entry, st)) return false;
    take_stat(&file->facts, st);
    if (file->facts.ctime_ns + kTickNs > begun) return false;  // it may have changed since, and look the same
    file->facts.error = 0;
    file->facts.content = std::move(content);
    known_.fetch_add(1, std::memory_order_relaxed);
    note_read(walking, file, begun, 0);
    return true;
}

// What follows from a file's new facts.
void LiveTree::note_read(Walking& walking, Node* file, int64_t begun, uint64_t held) {
    // A ctime in the future (a stepped clock) keeps a file racy, which costs a read now and then and nothing else.
    file->racy = file->facts.ctime_ns + kTickNs > begun;
    if (file->facts.nlink > 1 && !file->laid) {
        std::lock_guard<std::mutex> lock(walking.mutex);
        walking.linked.insert(file->facts.ino);
    }
    file->facts.seasoned = !file->racy && file->facts.ctime_ns + seasoned_ns() <= begun;
    const bool young = !file->laid && !file->told && file->facts.ctime_ns + 2000000000 > begun;
    const bool linked = file->facts.nlink > 1;
    const bool survivor = !linked && (file->unsettled & kLinked) != 0;
    settle(file, static_cast<uint8_t>((linked ? kLinked : 0) | (young ? kYoung : 0) | (survivor ? kSurvivor : 0)),
           linked ? 0 : kLinked);
    if (walking.progress != nullptr) {
        walking.progress->files.fetch_add(1, std::memory_order_relaxed);
        walking.progress->bytes.fetch_add(held, std::memory_order_relaxed);
    }
}

void LiveTree::run_reads(Walking& walking, const std::unordered_set<Node*>& reads) {
    std::unordered_map<Node*, std::vector<Node*>> by_directory;
    for (Node* file : reads) {
        if (attached(file)) by_directory[file->parent].push_back(file);
    }
    for (auto& [dir, files] : by_directory) {
        const std::string path = path_of(dir);
        for (size_t at = 0; at < files.size(); at += kBatch) {
            std::vector<Wanted> batch;
            for (size_t i = at; i < std::min(at + kBatch, files.size()); i++) {
                batch.push_back({files[i], SavedTree::kNowhere});
            }
            walking.gang.add([this, &walking, path, batch] { read_files(walking, path, GitIndex::Range(), batch); });
        }
    }
}

}  // namespace curserve
