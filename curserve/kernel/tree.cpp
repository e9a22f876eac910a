// tree.cpp: the life of a workspace, and the barrier.
//
// The guarantee. The View that barrier() returns contains every change of the root's files that finished before the
// call, on a local file system, with these exceptions (README, Freshness, names the same), each bounded by sweep():
// 1. a store into a shared mapping, until it is unmapped or the file changes otherwise;
// 2. a write through a hard link outside the root, if the link was made after the file was read and nothing has
//    happened to the file's own name since (link(2) raises no event for it);
// 3. a write through a descriptor that was opened under another name of the file, since removed, when the file
//    - was there long before its directory was read (kYoungNs since its last change), or
//    - was made, and closed by another writer under its new name, between two searches, or
//    - has not changed for 10 minutes since (kAppearedNs);
// 4. a change of the lower layer below an overlay.
// What is done for it:
// - events only mark; examine() (refresh.cpp) looks at what is marked, after the queue was drained;
// - files of which events do not tell all are *unsettled*: hard-linked ones, names that appeared (create, link, rename
//   from elsewhere) and that no writer had closed when a barrier first looked (a close that comes later may be another
//   writer's), files found by a listing within 2 s of their change. They are compared by stat at every barrier, and
//   read again when the stat differs or cannot vouch (racy). Renames within the tree carry the state along (paired by
//   cookie), so an editor's rename-over and a checkout are settled at once. More than kUnsettledMost: "unsettled";
// - a stat vouches for the bytes read only if its ctime precedes the read by kTickNs; else the file is racy;
// - rules from outside (directories above, git directories, symlinked ignore files) are compared by stat, except that
//   the coming and going of names in the directories above is told by events;
// - the root is looked up by its path each time: an ancestor's rename shows as another or no inode: "gone";
// - /proc/self/mountinfo is polled; mounts that come or go below the root cause a comparison of everything.
// Facts of directories are those of their last listing or change of rights. Directories that the default rules ignore
// (hidden allowed) and `.git` are not listed, not watched, until extend() asks; `lazy` then: listed, but not loaded.
#include "tree.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "live_tree.h"

namespace curserve {
namespace {
constexpr auto kPatience = std::chrono::milliseconds(500);  // what a barrier waits for another before it says "busy"
constexpr int kRounds = 4;           // of examine and load, when files vanish under our hands
constexpr size_t kAloneBelow = 48;   // reads that one thread does as fast as two would
constexpr size_t kStatBatch = 512;   // files compared per job: about a millisecond
}  // namespace

std::shared_ptr<Tree> Tree::open(std::shared_ptr<Store> store, std::shared_ptr<Watch> watch, const std::string& root,
                                 std::shared_ptr<Archive> archive) {
    return std::make_shared<LiveTree>(std::move(store), std::move(watch), root, std::move(archive));
}

LiveTree::LiveTree(std::shared_ptr<Store> store, std::shared_ptr<Watch> watch, const std::string& root,
                   std::shared_ptr<Archive> archive)
    : store_(std::move(store)), watch_(std::move(watch)), archive_(std::move(archive)), root_(root) {
    root_fd_.reset(::open(root_.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat st;
    if (root_fd_.get() < 0 || ::fstat(root_fd_.get(), &st) != 0) {
        set_state(TreeState::kGone, root_ + ": " + std::strerror(errno));
        return;
    }
    identity_.dev = static_cast<uint64_t>(st.st_dev);
    identity_.ino = static_cast<uint64_t>(st.st_ino);
    identity_.mnt = mount_id(root_fd_.get());
    top_ = std::make_unique<Node>();
    top_->kind = Kind::kDirectory;
    top_->dir = std::make_unique<DirPart>();
    top_->dir->id = next_id_++;  // kTopId
    take_stat(&top_->facts, st);
    directories_[top_->dir->id] = top_.get();
    by_inode_[top_->facts.dev][top_->facts.ino] = top_.get();
}

LiveTree::~LiveTree() { close(); }

void LiveTree::set_state(TreeState state, const std::string& why) {
    std::lock_guard<std::mutex> lock(why_mutex_);
    const TreeState now = state_.load();
    if (now == TreeState::kGone || (now == TreeState::kPoisoned && state != TreeState::kGone)) return;
    state_.store(state);
    why_ = why;
}

std::string LiveTree::why() const {
    std::lock_guard<std::mutex> lock(why_mutex_);
    return why_;
}

// ---- directories above the root

void LiveTree::open_above() {
    above_.clear();
    if (root_ == "/") return;
    for (size_t end = 0; end != std::string::npos; end = root_.find('/', end + 1)) {
        Above above;
        above.path = end == 0 ? "/" : root_.substr(0, end);
        {
            std::lock_guard<BriefMutex> lock(index_mutex_);
            above.id = next_id_++;
        }
        above_.push_back(std::move(above));
    }
    for (Above& above : above_) {
        Descriptor fd(::open(above.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (fd.get() >= 0) {
            const int wd = watch_->add(fd.get(), Watch::kAncestorMask, box_, above.id);
            above.wd = wd < 0 ? -1 : wd;  // not ours to read, or no watch left: all by stat
        } else {
            fd.reset(::open(above.path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        }
        RulesFound found = read_rules(fd.get(), above.path, true);
        above.rules = found.rules;
        above.sources = std::move(found.sources);
    }
}

// Reads the rules above again where they changed. True: some did.
bool LiveTree::refresh_above(const LetterBox::Mail& mail) {
    bool any = false;
    for (Above& above : above_) {
        bool changed = false;
        const auto names = mail.names.find(above.id);
        if (names != mail.names.end()) {
            for (const auto& [name, mark] : names->second) changed = changed || decides_rules(name);
        }
        const size_t below = above.path == "/" ? 1 : above.path.size() + 1;  // where the names in it begin in paths
        for (const Source& source : above.sources) {
            // Names that were not there are left to the watch, if there is one and it missed nothing.
            const bool inside = source.path.size() > below && source.path.compare(0, above.path.size(), above.path) == 0 &&
                                source.path[below - 1] == '/';
            const bool watched = above.wd >= 0 && !mail.overflow && inside &&
                                 decides_rules(std::string_view(source.path).substr(below));
            if (changed || (watched && !source.exists)) continue;
            changed = source.changed();
        }
        if (!changed) continue;
        const Descriptor fd(::open(above.path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        RulesFound found = read_rules(fd.get(), above.path, true);
        above.rules = found.rules;
        above.sources = std::move(found.sources);
        any = true;
    }
    return any;
}

bool LiveTree::root_is_there() {
    struct stat st;
    return ::lstat(root_.c_str(), &st) == 0 && static_cast<uint64_t>(st.st_dev) == identity_.dev &&
           static_cast<uint64_t>(st.st_ino) == identity_.ino;
}

// ---- life

int LiveTree::load(unsigned threads, Progress& progress) {
    std::lock_guard<std::timed_mutex> lock(mutex_);
    if (state_.load() == TreeState::kGone) return ENOENT;
    threads_ = std::max(1u, threads);
    mountinfo_fd_.reset(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
    if (mountinfo_fd_.get() >= 0) mounts_ = mounts_below(mountinfo_fd_.get(), root_);
    open_above();
    Walking walking;
    walking.progress = &progress;
    GitIndex git;
    if (git.load(root_)) walking.git = &git;
    std::shared_ptr<const SavedTree> saved;
    if (archive_ != nullptr && !forgets_mapped_stores(root_fd_.get())) saved = archive_->tree(root_);
    walking.saved = saved != nullptr && saved->size() != 0 ? saved.get() : nullptr;
    Step top = step_to(walking, top_.get());
    if (walking.saved != nullptr) top.saved = 0;
    walking.gang.add([this, &walking, top = std::move(top)] { walk_directory(walking, top); });
    walking.gang.roam(threads_);
    if (closing_.load() || progress.cancel.load()) return ECANCELED;
    if (state_.load() == TreeState::kPoisoned) {
        release();  // others may need the watches
        return ENOSPC;
    }
    if (top_->dir->listing == Listing::kFailed) {
        const int error = top_->error;
        set_state(TreeState::kGone, root_ + ": " + std::strerror(error));
        return error == 0 ? EIO : error;
    }
    for (Node* node : walking.again) {
        node->racy = true;
        if (node->parent != nullptr) box_->mark(node->parent->dir->id, node->name);
    }
    publish_shape({}, walking.listed.load());
    busy_generation_ = generation_;  // it may rest at once
    set_state(TreeState::kLive, std::string());
    return 0;
}

void LiveTree::close() {
    closing_.store(true);
    std::lock_guard<std::timed_mutex> lock(mutex_);
    close_locked();
}

void LiveTree::close_locked() {
    set_state(TreeState::kGone, root_ + " was detached");
    release();
}

void LiveTree::release() {
    release_resting();
    for (const auto& [id, node] : directories_) {
        if (node->dir->wd >= 0) watch_->remove(node->dir->wd, box_.get(), id);
        node->dir->wd = -1;
    }
    for (Above& above : above_) {
        if (above.wd >= 0) watch_->remove(above.wd, box_.get(), above.id);
    }
    above_.clear();
    unsettled_.clear();
    sourced_.clear();
    directories_.clear();
    by_inode_.clear();
    top_.reset();
    watch_count_.store(0);
    unsettled_count_.store(0);
    std::lock_guard<std::mutex> view_lock(view_mutex_);
    view_ = nullptr;
}

Tree::Numbers LiveTree::numbers() const {
    Numbers n{};
    ViewRef view;
    {
        std::lock_guard<std::mutex> lock(view_mutex_);
        view = view_;
        if (view != nullptr && counted_.generation == view->generation) n = counted_;
    }
    if (view != nullptr && n.generation != view->generation) {  // asked for far more often than anything changes
        n.generation = view->generation;
        n.entries = view->shape->size();
        for (Position p = 0; p < view->shape->size(); p++) {
            if (view->shape->kind[p] != Kind::kFile) continue;
            n.files++;
            const ContentRef& content = view->facts(p).content;
            if (content == nullptr) continue;
            n.files_held++;
            n.text_bytes += content->data.size();
        }
        std::lock_guard<std::mutex> lock(view_mutex_);
        counted_ = n;
    }
    n.watches = watch_count_.load();
    n.dirty = box_->size();
    n.unsettled = unsettled_count_.load();
    n.overflows = box_->overflows();
    n.reads = reads_.load();
    n.known = known_.load();
    n.resting = rests_.load();
    return n;
}

// ---- the barrier

ViewRef LiveTree::barrier(const char** reason) {
    *reason = nullptr;
    const auto refuse = [&](const char* word) -> ViewRef {
        *reason = word;
        return nullptr;
    };
    const auto by_state = [&]() -> const char* {
        switch (state_.load()) {
            case TreeState::kLoading: return "loading";
            case TreeState::kStale: return "stale";
            case TreeState::kPoisoned: return "poisoned";
            case TreeState::kGone: return "gone";
            case TreeState::kLive: break;
        }
        return nullptr;
    };
    if (const char* word = by_state()) return refuse(word);
    std::unique_lock<std::timed_mutex> lock(mutex_, kPatience);
    if (!lock.owns_lock()) return refuse("busy");
    if (const char* word = by_state()) return refuse(word);

    const Acting acting{*this};
    watch_->drain();
    LetterBox::Mail mail = box_->take();
    if (!root_is_there() || mail.lost.count(kTopId) != 0) {
        set_state(TreeState::kGone, root_ + " was moved, deleted or covered");
        return refuse("gone");
    }
    bool mounted = false;
    if (mountinfo_fd_.get() >= 0) {
        struct pollfd wait = {mountinfo_fd_.get(), POLLPRI, 0};
        if (::poll(&wait, 1, 0) > 0 && (wait.revents & (POLLPRI | POLLERR)) != 0) {
            std::string mounts = mounts_below(mountinfo_fd_.get(), root_);
            mounted = mounts != mounts_;
            mounts_ = std::move(mounts);
        }
    }
    const bool above_changed = refresh_above(mail);
    if (resting_ != nullptr) {
        if (mail.empty() && !mounted && !above_changed && !resting_in_doubt()) return view_;
        wake();
    }
    Pass pass;
    if (mounted) pass.deep.insert(top_.get());
    if (above_changed) {
        pass.shape = true;
        pass.reconsider.insert(top_.get());
    }
    for (Node* dir : sourced_) {
        for (const Source& source : dir->dir->sources) {
            if (source.changed()) {
                pass.rules.insert(dir);
                break;
            }
        }
    }
    if (!mail.empty()) apply(mail, pass);
    if (unsettled_.size() > kUnsettledMost && pass.deep.count(top_.get()) == 0) check_unsettled(pass);  // some age out
    const bool too_many = unsettled_.size() > kUnsettledMost;
    if (!too_many && !unsettled_.empty()) check_unsettled(pass);
    settle_pass(pass, threads_, nullptr, kLargestFile);
    if (closing_.load()) return refuse("gone");  // the jobs stop early then: nothing to be published
    publish(pass);
    if (const char* word = by_state()) return refuse(word);
    if (too_many) return refuse("unsettled");
    return view_;
}

// Turns marks into a Pass: every name marked is compared with the disk.
void LiveTree::apply(LetterBox::Mail& mail, Pass& pass) {
    for (const uint64_t id : mail.lost) {
        const auto it = directories_.find(id);
        if (it == directories_.end() || it->second->parent == nullptr) continue;
        it->second->dir->lost = true;
        mail.names[it->second->parent->dir->id].try_emplace(it->second->name);
    }
    if (mail.overflow) {
        pass.deep.insert(top_.get());
        return;
    }
    // Names renamed within the tree bring their state along; read it before anything moves.
    for (auto& [id, names] : mail.names) {
        for (auto& [name, mark] : names) {
            if (mark.settle != Settle::kInherit) continue;
            const auto from = directories_.find(mark.from_dir);
            const Node* node = from == directories_.end() ? nullptr : from->second->child(mark.from_name);
            if (node == nullptr) {
                mark.carried = kAppeared;
            } else {
                mark.carried = static_cast<uint8_t>((node->unsettled & (kAppeared | kYoung | kSurvivor)) |
                                                    ((node->unsettled & kLinked) != 0 ? kSurvivor : 0));
            }
        }
    }
    // A directory inside one that was moved has no path until that one is found again: later then.
    std::vector<std::pair<uint64_t, Names*>> todo;
    for (auto& [id, names] : mail.names) todo.emplace_back(id, &names);
    while (!todo.empty()) {
        std::vector<std::pair<uint64_t, Names*>> later;
        for (auto& [id, names] : todo) {
            const auto it = directories_.find(id);
            if (it == directories_.end()) continue;
            Node* dir = it->second;
            if (!attached(dir)) {
                later.emplace_back(id, names);
                continue;
            }
            if (dir->dir->listing == Listing::kUnlisted) continue;
            const int opened = open_directory(root_fd_.get(), path_of(dir));
            if (opened == -ENOENT || opened == -ENOTDIR || opened == -ELOOP) {
                if (dir->parent != nullptr) later.emplace_back(id, names);  // moved: its new place is marked as well
                continue;
            }
            if (opened < 0) {
                pass.deep.insert(dir);
                continue;
            }
            const Descriptor fd(opened);
            struct stat own;
            if (::fstat(fd.get(), &own) != 0) continue;
            if (static_cast<uint64_t>(own.st_ino) != dir->facts.ino ||
                static_cast<uint64_t>(own.st_dev) != dir->facts.dev) {
                // Another directory stands at this path: its own name is marked, maybe later in this very list.
                if (dir->parent != nullptr) later.emplace_back(id, names);
                continue;
            }
            for (const auto& [name, mark] : *names) {
                if (name.empty()) {
                    pass.deep.insert(dir);
                } else {
                    examine(pass, fd.get(), dir, name, mark);
                }
            }
        }
        if (later.size() == todo.size()) {
            // No progress: what is still detached was moved out. An attached one is looked at by the next barrier.
            for (auto& [id, names] : later) {
                const auto it = directories_.find(id);
                if (it == directories_.end() || !attached(it->second)) continue;
                for (const auto& [name, mark] : *names) box_->mark(id, name);
            }
            break;
        }
        todo = std::move(later);
    }
}

void LiveTree::check_unsettled(Pass& pass) {
    const int64_t now = now_ns();
    std::vector<Node*> files;
    for (Node* file : unsettled_) {
        if (pass.reads.count(file) == 0 && attached(file)) files.push_back(file);
    }
    std::vector<char> differs(files.size(), 0);  // by index; each job writes its own
    const auto compare = [&](size_t from, size_t to) {
        for (size_t i = from; i < to; i++) {
            struct stat st;
            // What is gone or of another kind has its event.
            if (::fstatat(root_fd_.get(), path_of(files[i]).c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
            differs[i] = S_ISREG(st.st_mode) && (files[i]->racy || !same_stat(files[i]->facts, st));
        }
    };
    Gang gang;
    for (size_t from = 0; from < files.size(); from += kStatBatch) {
        gang.add([&compare, &files, from] { compare(from, std::min(from + kStatBatch, files.size())); });
    }
    gang.run(files.size() > kStatBatch ? threads_ : 1);
    for (size_t i = 0; i < files.size(); i++) {
        Node* file = files[i];
        if (differs[i] != 0) {
            pass.reads.insert(file);
            if (decides_rules(file->name)) pass.rules.insert(file->parent);
            continue;
        }
        const int64_t age = now - file->facts.ctime_ns;
        uint8_t clear = 0;
        if (age > kYoungNs) clear |= kYoung;
        if (age > kAppearedNs) clear |= kAppeared | kSurvivor;
        if (clear != 0) settle(file, 0, clear);
    }
}

void LiveTree::settle_pass(Pass& pass, unsigned threads, Progress* progress, uint64_t largest_file) {
    for (int round = 0; round < kRounds; round++) {
        // Judge: deep comparisons find names, names change rules, rules change verdicts.
        while (!pass.deep.empty() || !pass.rules.empty() || !pass.reconsider.empty() || !pass.fresh.empty()) {
            std::unordered_set<Node*> set;
            set.swap(pass.deep);
            for (Node* dir : set) {
                bool covered = false;  // by a comparison that begins above it
                for (const Node* up = dir->parent; up != nullptr && !covered; up = up->parent) {
                    covered = set.count(const_cast<Node*>(up)) != 0;
                }
                if (!covered && attached(dir)) compare_below(pass, dir);
            }
            pass.deep.clear();  // directories whose rights changed, found on the way down: already compared
            set.clear();
            set.swap(pass.rules);
            for (Node* dir : set) {
                if (attached(dir) && dir->dir->listing == Listing::kListed) reload_rules(pass, dir);
            }
            std::vector<Node*> fresh;
            fresh.swap(pass.fresh);
            std::unordered_map<const Node*, std::vector<ChainLink>> chains;
            for (Node* node : fresh) {
                if (!attached(node) || node->parent == nullptr) continue;
                std::vector<ChainLink>& chain = chains[node->parent];
                if (chain.empty()) chain = chain_of(node->parent);
                consider(pass, node, chain);
            }
            set.clear();
            set.swap(pass.reconsider);
            for (Node* dir : set) {
                if (!attached(dir)) continue;
                std::vector<ChainLink> chain = chain_of(dir);
                reconsider(pass, dir, chain);
            }
        }
        if (!pass.linked.empty()) find_links(pass, top_.get());
        pass.linked.clear();
        if (pass.walks.empty() && pass.reads.empty()) break;
        // Load.
        Walking walking;
        walking.progress = progress;
        walking.largest_file = largest_file;
        std::vector<std::pair<Node*, Facts>> before;
        for (Node* file : pass.reads) {
            if (attached(file)) before.emplace_back(file, file->facts);
        }
        run_reads(walking, pass.reads);
        size_t work = before.size();
        for (Node* dir : pass.walks) {
            if (!attached(dir) || dir->dir->listing != Listing::kUnlisted) continue;
            walking.gang.add([this, &walking, step = step_to(walking, dir)] { walk_directory(walking, step); });
            touch(dir);
            pass.shape = true;
            work += kAloneBelow / 2;
        }
        walking.gang.run(work > kAloneBelow ? threads : 1);
        pass.reads.clear();
        pass.walks.clear();
        pass.linked.swap(walking.linked);
        for (const auto& [file, was] : before) {
            const Facts& is = file->facts;
            const bool same = was.content == is.content && was.size_bytes == is.size_bytes && was.dev == is.dev &&
                              was.ino == is.ino && was.mtime_ns == is.mtime_ns && was.ctime_ns == is.ctime_ns &&
                              was.mode == is.mode && was.nlink == is.nlink && was.error == is.error;
            if (!same) pass.changed.insert(file);
        }
        // What was not there any more, or no longer what it was, is examined anew.
        for (Node* node : walking.again) {
            if (!attached(node) || node->parent == nullptr) continue;
            Node* dir = node->parent;
            if (round + 1 == kRounds) {
                box_->mark(dir->dir->id, node->name);
                continue;
            }
            node->racy = true;
            if (node->is_directory()) {
                node->dir->listing = Listing::kUnlisted;
                node->error = 0;
                touch(node);
                pass.fresh.push_back(node);
            }
            const Descriptor fd(open_directory(root_fd_.get(), path_of(dir)));
            if (fd.get() < 0) {
                box_->mark(dir->dir->id, node->name);
                continue;
            }
            const std::string name = node->name;
            const Mark nothing;
            examine(pass, fd.get(), dir, name, nothing);
        }
    }
    for (const std::unique_ptr<Node>& node : pass.grave) bury(node.get());
    for (const std::unique_ptr<Node>& node : pass.grave) pass.changed.erase(node.get());
}

// ---- on demand

ViewRef LiveTree::extend(const ViewRef& view, const std::vector<Position>& list, const std::vector<Position>& load,
                         uint64_t budget_bytes, const char** reason) {
    *reason = nullptr;
    std::unique_lock<std::timed_mutex> lock(mutex_, kPatience);
    if (!lock.owns_lock() || state_.load() != TreeState::kLive) {
        *reason = !lock.owns_lock() ? "busy" : state_.load() == TreeState::kPoisoned ? "poisoned" : "gone";
        return nullptr;
    }
    const Acting acting{*this};
    wake();
    Pass pass;
    uint64_t bytes = 0;
    for (const Position p : load) {
        Node* node = find_node(view->shape->path(p));
        if (node == nullptr || node->kind != Kind::kFile || node->facts.content != nullptr) continue;
        bytes += node->facts.size_bytes;
        pass.reads.insert(node);
    }
    if (bytes > budget_bytes) {
        *reason = "too_much";
        return nullptr;
    }
    std::vector<Node*> listed;
    for (const Position p : list) {
        Node* node = find_node(view->shape->path(p));
        if (node == nullptr || !node->is_directory() || node->dir->listing != Listing::kUnlisted) continue;
        // Asked for twice (two paths into one directory), it is still listed once: children have one node each.
        if (std::find(listed.begin(), listed.end(), node) == listed.end()) listed.push_back(node);
    }
    if (!listed.empty()) {
        Walking walking;
        walking.most_listed = kMostListed;
        for (Node* node : listed) {
            node->dir->lazy = true;
            touch(node);
            walking.gang.add([this, &walking, step = step_to(walking, node)] { walk_directory(walking, step); });
        }
        walking.gang.run(threads_);
        for (Node* node : walking.again) {
            node->racy = true;
            box_->mark(node->parent->dir->id, node->name);
        }
        pass.shape = true;
        if (walking.overrun.load()) {
            for (Node* node : listed) {
                drop_children(pass, node);
                if (node->dir->wd >= 0) {
                    watch_->remove(node->dir->wd, box_.get(), node->dir->id);
                    watch_count_.fetch_sub(1, std::memory_order_relaxed);
                }
                node->dir->wd = -1;
                node->dir->listing = Listing::kUnlisted;
                node->dir->rules = nullptr;
                node->dir->sources.clear();
                sourced_.erase(node);
            }
            pass.rules.clear();
            for (const std::unique_ptr<Node>& node : pass.grave) bury(node.get());
            *reason = "too_much";
            return nullptr;
        }
    }
    for (Node* node : pass.reads) node->want = true;
    settle_pass(pass, threads_, nullptr, budget_bytes);
    if (closing_.load()) {
        *reason = "gone";
        return nullptr;
    }
    publish(pass);
    if (state_.load() != TreeState::kLive) {
        *reason = state_.load() == TreeState::kPoisoned ? "poisoned" : "gone";
        return nullptr;
    }
    return view_;
}

void LiveTree::sweep() {
    ViewRef view;
    {
        std::lock_guard<std::mutex> lock(view_mutex_);
        view = view_;
    }
    if (view == nullptr || state_.load() != TreeState::kLive) return;
    std::vector<std::string> differ;
    for (Position p = 0; p < view->shape->size() && !closing_.load(); p++) {
        const Facts& facts = view->facts(p);
        if (facts.content == nullptr) continue;
        struct stat st;
        const std::string path(view->shape->path(p));
        if (::fstatat(root_fd_.get(), path.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || !same_stat(facts, st)) {
            differ.push_back(path);
        }
    }
    if (differ.empty()) return;
    std::lock_guard<std::timed_mutex> lock(mutex_);
    if (state_.load() != TreeState::kLive) return;
    wake();
    for (const std::string& path : differ) {
        const Node* node = find_node(path);
        if (node != nullptr && node->parent != nullptr) box_->mark(node->parent->dir->id, node->name);
    }
}

}  // namespace curserve
