// rest.cpp: a tree at rest is only its View.
//
// The nodes of a directory tree take three times what its View takes, and are looked at only when something changes. A
// tree in which nothing is in doubt lets go of them and keeps what the View does not say: watches, wanted files, sources
// of rules. The first change makes them anew from the View, 5 ms for Django's 10,000 entries; so trees larger than
// kRestMost stay as they are, for whose text the nodes are small change anyway.
#include <algorithm>

#include "live_tree.h"

namespace curserve {
namespace {
constexpr Position kRestMost = 40000;  // entries; arbitrary
}  // namespace

// What a View does not say of nodes in which nothing is in doubt. By position of the View they came from.
struct LiveTree::Resting {
    struct Directory {
        uint64_t id;
        Position position;
        int wd;
        bool lazy;
    };
    struct Rules {
        Position position;
        std::vector<Source> sources;
    };
    std::vector<Directory> directories;
    std::vector<Rules> rules;
    std::vector<bool> wanted, racy;
    std::vector<std::pair<Position, uint8_t>> unsettled;  // only where rest() was told to do it anyway
};

void LiveTree::rest(bool anyway) {
    std::unique_lock<std::timed_mutex> lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock() || resting_ != nullptr || state_.load() != TreeState::kLive || view_ == nullptr) return;
    const Shape& shape = *view_->shape;
    if (shape.size() > kRestMost || !left_slots_.empty()) return;
    if (!anyway && (!unsettled_.empty() || busy_generation_ != generation_)) {  // it changed lately: it may again
        busy_generation_ = generation_;
        return;
    }
    auto resting = std::make_shared<Resting>();
    resting->wanted.resize(shape.size());
    resting->racy.resize(shape.size());
    Position next = 0;
    // Whether the View says the same as this node and all below it.
    const std::function<bool(const Node*)> fold = [&](const Node* node) {
        const Position p = next++;
        if (p >= shape.size() || !node->laid || node->touched) return false;
        if (node->slot != shape.slot_of(p) || node->kind != shape.kind[p] || node->name != shape.name(p)) return false;
        const Facts &is = node->facts, &said = view_->facts(p);
        if (is.content != said.content || is.size_bytes != said.size_bytes || is.dev != said.dev ||
            is.ino != said.ino || is.mtime_ns != said.mtime_ns || is.ctime_ns != said.ctime_ns ||
            is.mode != said.mode || is.nlink != said.nlink || is.error != said.error) {
            return false;
        }
        resting->wanted[p] = node->want;
        resting->racy[p] = node->racy;
        if (node->unsettled != 0) resting->unsettled.emplace_back(p, node->unsettled);
        if (!node->is_directory()) return true;
        const DirPart& dir = *node->dir;
        if (dir.lost || dir.listing != shape.listing[p]) return false;
        resting->directories.push_back({dir.id, p, dir.wd, dir.lazy});
        if (!dir.sources.empty()) resting->rules.push_back({p, dir.sources});
        for (const auto& [name, child] : dir.children) {
            if (!fold(child.get())) return false;
        }
        return next == shape.end[p];
    };
    if (!fold(top_.get()) || next != shape.size()) return;
    resting->directories.shrink_to_fit();
    resting_ = std::move(resting);
    sourced_ = {};
    directories_ = {};
    by_inode_ = {};
    unsettled_ = {};
    top_.reset();
    rests_.store(true);
}

// The nodes, from the latest View.
void LiveTree::wake() {
    if (resting_ == nullptr) return;
    const std::shared_ptr<const Resting> resting = std::move(resting_);
    resting_ = nullptr;
    rests_.store(false);
    const Shape& shape = *view_->shape;
    std::vector<Node*> at(shape.size());
    auto directory = resting->directories.begin();
    auto rules = resting->rules.begin();
    std::lock_guard<BriefMutex> lock(index_mutex_);
    for (Position p = 0; p < shape.size(); p++) {
        auto owned = std::make_unique<Node>();
        Node* node = owned.get();
        at[p] = node;
        node->name = shape.name(p);
        node->kind = shape.kind[p];
        node->facts = view_->facts(p);
        node->error = shape.error[p];
        node->slot = shape.slot_of(p);
        node->laid = true;
        node->want = resting->wanted[p];
        node->racy = resting->racy[p];
        if (node->kind == Kind::kDirectory) {
            node->dir = std::make_unique<DirPart>();
            DirPart& dir = *node->dir;
            dir.listing = shape.listing[p];
            dir.id = directory->id;
            dir.wd = directory->wd;
            dir.lazy = directory->lazy;
            ++directory;
            const auto found = shape.rules.find(p);
            if (found != shape.rules.end()) dir.rules = found->second;
            directories_[dir.id] = node;
            by_inode_[node->facts.dev][node->facts.ino] = node;
            if (rules != resting->rules.end() && rules->position == p) {
                dir.sources = rules->sources;
                sourced_.insert(node);
                ++rules;
            }
        }
        if (p == 0) {
            top_ = std::move(owned);
            continue;
        }
        node->parent = at[shape.parent[p]];
        Children& children = node->parent->dir->children;
        children.emplace_hint(children.end(), std::string_view(node->name), std::move(owned));
    }
    for (const auto& [p, doubts] : resting->unsettled) {
        at[p]->unsettled = doubts;
        if (at[p]->want) unsettled_.insert(at[p]);
    }
}

// Whether more than events tells of changes: rules from outside, files to be compared.
bool LiveTree::resting_in_doubt() const {
    if (!resting_->unsettled.empty()) return true;
    return std::any_of(resting_->rules.begin(), resting_->rules.end(), [](const Resting::Rules& rules) {
        return std::any_of(rules.sources.begin(), rules.sources.end(), [](const Source& s) { return s.changed(); });
    });
}

void LiveTree::release_resting() {
    if (resting_ == nullptr) return;
    for (const Resting::Directory& dir : resting_->directories) {
        if (dir.wd >= 0) watch_->remove(dir.wd, box_.get(), dir.id);
    }
    resting_ = nullptr;
}

}  // namespace curserve
