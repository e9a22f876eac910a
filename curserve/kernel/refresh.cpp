// refresh.cpp: what a change on disk does to the nodes.
//
// examine() compares one name with the disk and is the only judge of what became of it; events, rescans and doubts all
// end there, so their order does not matter. It reads nothing: it fills a Pass, which settle_pass (tree.cpp) carries out.
#include <fcntl.h>
#include <sys/inotify.h>

#include <cerrno>
#include <utility>

#include "live_tree.h"

namespace curserve {
namespace {
int64_t nanoseconds(const struct timespec& t) { return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec; }
}  // namespace

void LiveTree::take_stat(Facts* facts, const struct stat& st) {
    facts->size_bytes = static_cast<uint64_t>(st.st_size);
    facts->dev = static_cast<uint64_t>(st.st_dev);
    facts->ino = static_cast<uint64_t>(st.st_ino);
    facts->mtime_ns = nanoseconds(st.st_mtim);
    facts->ctime_ns = nanoseconds(st.st_ctim);
    facts->mode = st.st_mode;
    facts->nlink = static_cast<uint32_t>(st.st_nlink);
}

bool LiveTree::same_stat(const Facts& facts, const struct stat& st) {
    return facts.size_bytes == static_cast<uint64_t>(st.st_size) && facts.dev == static_cast<uint64_t>(st.st_dev) &&
           facts.ino == static_cast<uint64_t>(st.st_ino) && facts.mtime_ns == nanoseconds(st.st_mtim) &&
           facts.ctime_ns == nanoseconds(st.st_ctim) && facts.mode == st.st_mode &&
           facts.nlink == static_cast<uint32_t>(st.st_nlink);
}

void LiveTree::touch(Node* node) {
    for (; node != nullptr && !node->touched; node = node->parent) node->touched = true;
}

std::string LiveTree::path_of(const Node* node) const {
    if (node->parent == nullptr) return std::string();
    std::string path = path_of(node->parent);
    if (!path.empty()) path.push_back('/');
    return path += node->name;
}

std::string LiveTree::absolute_of(const Node* node) const {
    const std::string path = path_of(node);
    if (path.empty()) return root_;
    return root_ == "/" ? "/" + path : root_ + "/" + path;
}

bool LiveTree::attached(const Node* node) const {
    while (node->parent != nullptr) node = node->parent;
    return node == top_.get();
}

Node* LiveTree::find_node(std::string_view path) const {
    Node* node = top_.get();
    while (node != nullptr && !path.empty()) {
        const size_t slash = path.find('/');
        if (!node->is_directory()) return nullptr;
        node = node->child(path.substr(0, slash));
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    }
    return node;
}

Node* LiveTree::add_child(Node* dir, const std::string& name, Kind kind) {
    auto owned = std::make_unique<Node>();
    Node* node = owned.get();
    node->name = name;
    node->parent = dir;
    node->kind = kind;
    if (kind == Kind::kDirectory) {
        node->dir = std::make_unique<DirPart>();
        std::lock_guard<BriefMutex> lock(index_mutex_);
        node->dir->id = next_id_++;
        directories_[node->dir->id] = node;
    }
    Children& children = dir->dir->children;
    // Mostly made in their order. One that has the name already goes; its key looks into it.
    const auto at = children.try_emplace(children.end(), std::string_view(node->name), std::move(owned));
    if (at->second.get() != node) {
        children.erase(at);
        children.emplace(std::string_view(node->name), std::move(owned));
    }
    return node;
}

void LiveTree::settle(Node* node, uint8_t set, uint8_t clear) {
    const uint8_t before = node->unsettled;
    node->unsettled = static_cast<uint8_t>((before & ~clear) | set);
    if (before == 0 && node->unsettled == 0) return;
    std::lock_guard<BriefMutex> lock(index_mutex_);
    if (node->unsettled != 0 && node->want) {
        unsettled_.insert(node);
    } else {
        unsettled_.erase(node);
    }
    unsettled_count_.store(unsettled_.size(), std::memory_order_relaxed);
}

void LiveTree::detach(Pass& pass, Node* node) {
    Node* dir = node->parent;
    const auto it = dir->dir->children.find(std::string_view(node->name));
    if (decides_rules(node->name)) pass.rules.insert(dir);
    std::unique_ptr<Node> owned = std::move(it->second);
    dir->dir->children.erase(it);
    owned->parent = nullptr;
    touch(dir);
    pass.grave.push_back(std::move(owned));
    pass.shape = true;
}

void LiveTree::drop_children(Pass& pass, Node* dir) {
    while (!dir->dir->children.empty()) detach(pass, dir->dir->children.begin()->second.get());
}

void LiveTree::bury(Node* node) {
    if (node->slot != kNoSlot) left_slots_.push_back(node->slot);
    {
        std::lock_guard<BriefMutex> lock(index_mutex_);
        unsettled_.erase(node);
        unsettled_count_.store(unsettled_.size(), std::memory_order_relaxed);
        if (node->is_directory()) {
            sourced_.erase(node);
            directories_.erase(node->dir->id);
            const auto device = by_inode_.find(node->facts.dev);
            if (device != by_inode_.end()) {
                const auto it = device->second.find(node->facts.ino);
                if (it != device->second.end() && it->second == node) device->second.erase(it);
            }
        }
    }
    if (!node->is_directory()) return;
    if (node->dir->wd >= 0) {
        watch_->remove(node->dir->wd, box_.get(), node->dir->id);
        watch_count_.fetch_sub(1, std::memory_order_relaxed);
    }
    for (auto& [name, child] : node->dir->children) bury(child.get());
}

// A directory that was moved keeps its inode, its watch and (as its events went on arriving) all that is known below it.
// Null: this one is new to us.
Node* LiveTree::adopt(Pass& pass, Node* dir, const std::string& name, const struct stat& st) {
    const auto device = by_inode_.find(static_cast<uint64_t>(st.st_dev));
    if (device == by_inode_.end()) return nullptr;
    const auto it = device->second.find(static_cast<uint64_t>(st.st_ino));
    if (it == device->second.end()) return nullptr;
    Node* node = it->second;
    if (node->dir->lost || node->dir->listing != Listing::kListed || node == top_.get()) return nullptr;
    for (const Node* up = dir; up != nullptr; up = up->parent) {
        if (up == node) return nullptr;
    }
    if (node->parent != nullptr) {
        if (!attached(node)) return nullptr;  // inside something detached: simply list it again
        struct stat old;
        if (::fstatat(root_fd_.get(), path_of(node).c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0 &&
            old.st_ino == st.st_ino && old.st_dev == st.st_dev) {
            return nullptr;  // in both places: a bind mount
        }
        detach(pass, node);
    }
    for (auto grave = pass.grave.begin(); grave != pass.grave.end(); ++grave) {
        if (grave->get() != node) continue;
        std::unique_ptr<Node> owned = std::move(*grave);
        pass.grave.erase(grave);
        node->name = name;
        node->parent = dir;
        node->laid = false;
        node->touched = false;
        touch(node);
        dir->dir->children[std::string_view(node->name)] = std::move(owned);
        pass.reconsider.insert(node);
        return node;
    }
    return nullptr;
}

void LiveTree::examine(Pass& pass, int dir_fd, Node* dir, const std::string& name, const Mark& mark) {
    Node* node = dir->child(name);
    struct stat st;
    if (::fstatat(dir_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        const int error = errno;
        if (error == ENOENT || error == ENOTDIR) {
            if (node != nullptr) detach(pass, node);
            return;
        }
        // There, but nobody may look (a directory without x): ripgrep lists it and fails to open it.
        if (node != nullptr && node->error == error) return;
        if (node != nullptr) detach(pass, node);
        node = add_child(dir, name, Kind::kFile);
        node->error = node->facts.error = error;
        touch(dir);
        pass.shape = true;
        return;
    }
    const Kind kind = kind_of(st.st_mode);
    if (kind == Kind::kFile && st.st_nlink > 1 && (node == nullptr || node->facts.nlink != st.st_nlink)) {
        pass.linked.insert(static_cast<uint64_t>(st.st_ino));
    }
    if (node != nullptr) {
        const bool same_directory = kind != Kind::kDirectory ||
                                    (node->is_directory() && !node->dir->lost &&
                                     node->facts.ino == static_cast<uint64_t>(st.st_ino) &&
                                     node->facts.dev == static_cast<uint64_t>(st.st_dev));
        if (node->kind != kind || !same_directory || (kind == Kind::kFile && node->error != 0)) {
            detach(pass, node);
            node = nullptr;
        }
    }
    if (node == nullptr) {
        if (kind == Kind::kDirectory) node = adopt(pass, dir, name, st);
        if (node == nullptr) node = add_child(dir, name, kind);
        take_stat(&node->facts, st);
        if (kind == Kind::kDirectory) {
            by_inode_[node->facts.dev][node->facts.ino] = node;
            if (node->dir->listing == Listing::kUnlisted) node->dir->lazy = dir->dir->lazy;
        }
        if (mark.settle == Settle::kOpen || mark.settle == Settle::kArrived) node->unsettled |= kAppeared;
        node->unsettled |= mark.carried;
        node->told = mark.settle != Settle::kKeep;
        if (decides_rules(name)) pass.rules.insert(dir);
        pass.fresh.push_back(node);
        touch(dir);
        pass.shape = true;
        return;
    }
    if (kind == Kind::kDirectory) {
        // Its times move whenever a name in it does, and mean nothing to a search: only rights matter.
        const bool rights = node->facts.mode != st.st_mode;
        if (rights) {
            take_stat(&node->facts, st);
            pass.changed.insert(node);
        }
        if ((mark.mask & IN_ATTRIB) != 0 || rights) pass.deep.insert(node);
        return;
    }
    if (mark.settle == Settle::kOpen || mark.settle == Settle::kArrived) settle(node, kAppeared, 0);
    if (mark.settle == Settle::kInherit) settle(node, mark.carried, 0xff);  // another file by now: its own doubts count
    if (mark.settle == Settle::kClosed) settle(node, 0, kAppeared | kYoung | kSurvivor);  // another file as well
    // A rewrite within one clock tick may leave the stat as it was; the content held has `racy` for that, rules have not.
    if (mark.mask != 0 && decides_rules(name)) pass.rules.insert(dir);
    const bool same = same_stat(node->facts, st);
    // A store into a mapping need not move any time (tmpfs never does); its unmapping raises a CLOSE_WRITE.
    const bool vouched = same && !node->racy && (mark.mask & (IN_MODIFY | IN_CLOSE_WRITE)) == 0;
    if (vouched && node->facts.error == 0) return;
    if (decides_rules(name)) pass.rules.insert(dir);
    if (node->want) {
        pass.reads.insert(node);
        return;
    }
    if (same) return;
    take_stat(&node->facts, st);
    node->facts.content = nullptr;
    pass.changed.insert(node);
}

void LiveTree::compare_below(Pass& pass, Node* dir) {
    if (dir->dir->listing == Listing::kUnlisted || dir->dir->lost) return;
    const int opened = open_directory(root_fd_.get(), path_of(dir));
    if (opened == -ENOENT || opened == -ENOTDIR || opened == -ELOOP) return;  // its own name tells (and has its event)
    const auto fail = [&](int error) {
        drop_children(pass, dir);
        dir->dir->listing = Listing::kFailed;
        dir->error = error;
        dir->dir->rules = nullptr;
        dir->dir->sources.clear();
        sourced_.erase(dir);
        touch(dir);
        pass.shape = true;
    };
    if (opened < 0) return fail(-opened);
    const Descriptor fd(opened);
    struct stat own;
    if (::fstat(fd.get(), &own) != 0 || static_cast<uint64_t>(own.st_ino) != dir->facts.ino ||
        static_cast<uint64_t>(own.st_dev) != dir->facts.dev) {
        return;  // swapped this moment: its event comes
    }
    if (watch_directory(dir, fd.get()) != 0) return;  // after an overflow the old watch may be dead unnoticed
    std::vector<Listed> names;
    if (const int error = list_directory(fd.get(), &names)) return fail(error);
    if (dir->dir->listing == Listing::kFailed) {
        dir->dir->listing = Listing::kListed;
        dir->error = 0;
        touch(dir);
        pass.shape = true;
    }
    std::unordered_set<std::string_view> there;
    for (const Listed& listed : names) there.insert(listed.name);
    std::vector<Node*> gone;
    for (const auto& [name, child] : dir->dir->children) {
        if (there.count(name) == 0) gone.push_back(child.get());
    }
    for (Node* child : gone) detach(pass, child);
    const Mark nothing;
    std::vector<Node*> below;
    for (const Listed& listed : names) {
        const Node* before = dir->child(listed.name);
        examine(pass, fd.get(), dir, listed.name, nothing);
        Node* after = dir->child(listed.name);
        if (after == nullptr || !after->is_directory()) continue;
        // A new one will be listed; one that was moved here is known, but only as of before the events were lost.
        if (after == before || after->dir->listing != Listing::kUnlisted) below.push_back(after);
    }
    for (Node* child : below) {
        // A later examination may have adopted it away.
        if (child->parent == dir) compare_below(pass, child);
    }
}

// link(2) tells only of the new name. The other names of those inodes have another stat now, and are unsettled.
void LiveTree::find_links(Pass& pass, Node* dir) {
    for (const auto& [name, child] : dir->dir->children) {
        if (child->is_directory()) {
            find_links(pass, child.get());
        } else if (child->want && pass.linked.count(child->facts.ino) != 0 && child->facts.content != nullptr) {
            struct stat st;  // (an inode of another device may come along: it only costs this)
            if (::fstatat(root_fd_.get(), path_of(child.get()).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                !same_stat(child->facts, st)) {
                pass.reads.insert(child.get());
            }
        }
    }
}

// From "/" down to this directory; to the root's parent for null.
std::vector<ChainLink> LiveTree::chain_of(const Node* dir) const {
    std::vector<ChainLink> chain;
    for (const Above& above : above_) chain.push_back(ChainLink{above.path, above.rules.get()});
    std::vector<const Node*> down;
    for (const Node* node = dir; node != nullptr; node = node->parent) down.push_back(node);
    std::string path = root_;
    for (auto it = down.rbegin(); it != down.rend(); ++it) {
        if ((*it)->parent != nullptr) {
            if (path != "/") path.push_back('/');
            path += (*it)->name;
        }
        chain.push_back(ChainLink{path, (*it)->dir->rules.get()});
    }
    return chain;
}

void LiveTree::reload_rules(Pass& pass, Node* dir) {
    const int opened = open_directory(root_fd_.get(), path_of(dir));
    if (opened < 0) return;  // its own event comes
    const Descriptor fd(opened);
    RulesFound found = read_rules(fd.get(), absolute_of(dir), false);
    dir->dir->rules = found.rules->empty() ? nullptr : found.rules;
    dir->dir->sources = std::move(found.sources);
    if (dir->dir->sources.empty()) {
        sourced_.erase(dir);
    } else {
        sourced_.insert(dir);
    }
    pass.reconsider.insert(dir);
    touch(dir);
    pass.shape = true;
}

void LiveTree::consider(Pass& pass, Node* node, const std::vector<ChainLink>& chain) {
    if (node->kind != Kind::kDirectory && node->kind != Kind::kFile) return;
    if (node->error != 0 && node->kind == Kind::kFile) return;
    const Node* dir = node->parent;
    IgnoreSwitches switches;
    switches.hidden = true;
    std::string path = chain.back().dir;
    if (path != "/") path.push_back('/');
    path += node->name;
    const bool ignored = (node->is_directory() && node->name == ".git") ||
                         verdict(switches, chain, path, node->is_directory()) == Verdict::kIgnore;
    if (ignored) return;  // what is held already stays held
    if (!node->is_directory()) {
        if (dir->dir->lazy || node->want) return;
        node->want = true;
        pass.reads.insert(node);
        return;
    }
    if (!dir->dir->lazy) node->dir->lazy = false;
    if (node->dir->listing == Listing::kUnlisted) pass.walks.insert(node);
}

void LiveTree::reconsider(Pass& pass, Node* dir, std::vector<ChainLink>& chain) {
    if (dir->dir->listing != Listing::kListed) return;
    for (const auto& [name, child] : dir->dir->children) {
        consider(pass, child.get(), chain);
        if (!child->is_directory() || child->dir->listing != Listing::kListed) continue;
        std::string path = chain.back().dir;
        if (path != "/") path.push_back('/');
        chain.push_back(ChainLink{path + child->name, child->dir->rules.get()});
        reconsider(pass, child.get(), chain);
        chain.pop_back();
    }
}

}  // namespace curserve
