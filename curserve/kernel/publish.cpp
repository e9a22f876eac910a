// publish.cpp: from nodes to an immutable View.
//
// Facts stay in their slots whatever comes and goes around them, so a View shares all chunks of the last one but those
// of what changed (copying the facts of 84,000 entries costs 15 ms, nearly all of it the counters of their contents).
// A change of names or rules lays out a new Shape: directories touched since the last one are laid anew from their
// nodes, everything between them is copied in runs from the last Shape, shifted.
#include <algorithm>

#include "live_tree.h"

namespace curserve {
namespace {

constexpr size_t kPathBytes = 48;  // of a path, to begin with; Django's have 42, those of Linux 37

// A Shape in the making, entry after entry in depth-first order.
class Layout {
  public:
    // size: how many entries to expect. place: gives the slot of a node that is laid.
    Layout(const Shape* last, size_t size, std::function<uint32_t(Node*)> place) : last_(last), place_(std::move(place)) {
        laid.names.reserve(last_ == nullptr ? size * kPathBytes : last_->names.size() + 4096);
        laid.path_start.reserve(size + 1);
        laid.name_start.reserve(size);
        laid.parent.reserve(size);
        laid.end.reserve(size);
        laid.kind.reserve(size);
        laid.listing.reserve(size);
        laid.error.reserve(size);
        laid.slot.reserve(size);
        if (last_ == nullptr) return;
        for (const auto& [position, rules] : last_->rules) old_rules_.push_back(position);
        std::sort(old_rules_.begin(), old_rules_.end());
    }

    // old: where the last Shape has this very path and node, or kNowhere. Recursion is bounded by PATH_MAX / 2 levels.
    void lay(Node* node, Position parent, Position old) {
        const Position position = laid.size();
        const size_t before = path_.size();
        if (!path_.empty()) path_.push_back('/');
        laid.path_start.push_back(laid.names.size());
        laid.name_start.push_back(static_cast<uint32_t>(path_.size()));
        path_ += node->name;
        laid.names.insert(laid.names.end(), path_.begin(), path_.end());
        laid.parent.push_back(parent);
        laid.end.push_back(position + 1);
        laid.kind.push_back(node->kind);
        laid.listing.push_back(node->is_directory() ? node->dir->listing : Listing::kListed);
        laid.error.push_back(node->error);
        laid.slot.push_back(place_(node));
        node->laid = true;
        node->touched = false;
        if (node->is_directory()) {
            if (node->dir->rules != nullptr) shape->rules.emplace(position, node->dir->rules);
            lay_children(node, position, old);
            laid.end[position] = laid.size();
        }
        path_.resize(before);
    }

    std::shared_ptr<Shape> shape = std::make_shared<Shape>();
    Laid laid;

  private:
    void lay_children(Node* node, Position position, Position old) {
        Position at = old == kNowhere ? 0 : old + 1, stop = old == kNowhere ? 0 : last_->end[old];
        Position run = 0, run_end = 0;  // in the last Shape: siblings to be copied as they are
        const auto flush = [&] {
            if (run != run_end) copy(run, run_end, position);
            run = run_end = 0;
        };
        for (const auto& [name, child] : node->dir->children) {
            while (at < stop && last_->name(at) < name) at = last_->end[at];
            const bool known = at < stop && child->laid && last_->name(at) == name;
            if (known && !child->touched) {
                if (run_end != at) flush();
                if (run == run_end) run = at;
                run_end = last_->end[at];
                continue;
            }
            flush();
            lay(child.get(), position, known ? at : kNowhere);
        }
        flush();
    }

    // Appends entries [first, stop) of the last Shape, children of what is now at `parent` and all below them.
    void copy(Position first, Position stop, Position parent) {
        const Shape& old = *last_;
        const Position begin = laid.size();
        const uint64_t text = laid.names.size(), old_text = old.path_start[first];
        laid.names.insert(laid.names.end(), old.names.begin() + old_text, old.names.begin() + old.path_start[stop]);
        const auto take = [&](auto& to, const auto& source) {
            to.insert(to.end(), source.begin() + first, source.begin() + stop);
        };
        take(laid.path_start, old.path_start);
        take(laid.parent, old.parent);
        take(laid.end, old.end);
        take(laid.name_start, old.name_start);
        take(laid.kind, old.kind);
        take(laid.listing, old.listing);
        take(laid.error, old.error);
        if (old.slot.empty()) {
            for (Position p = first; p < stop; p++) laid.slot.push_back(p);
        } else {
            take(laid.slot, old.slot);
        }
        // Loops that a compiler makes wide; the differences may wrap around, which adds up again.
        const uint64_t text_shift = text - old_text;
        const Position shift = begin - first, count = stop - first;
        uint64_t* starts = laid.path_start.data() + begin;
        Position* ends = laid.end.data() + begin;
        Position* parents = laid.parent.data() + begin;
        for (Position i = 0; i < count; i++) starts[i] += text_shift;
        for (Position i = 0; i < count; i++) ends[i] += shift;
        for (Position i = 0; i < count; i++) parents[i] = parents[i] >= first ? parents[i] + shift : parent;
        for (auto it = std::lower_bound(old_rules_.begin(), old_rules_.end(), first);
             it != old_rules_.end() && *it < stop; ++it) {
            shape->rules.emplace(*it - first + begin, old.rules.at(*it));
        }
    }

    const Shape* last_;
    const std::function<uint32_t(Node*)> place_;
    std::vector<Position> old_rules_;  // where the last Shape has rules, sorted
    std::string path_;
};

// The chunks of a View in the making: those that are written to are copies of the last View's.
class Chunks {
  public:
    explicit Chunks(std::vector<std::shared_ptr<const View::Chunk>> from) : chunks_(std::move(from)) {}

    Facts& at(uint32_t slot) {
        const size_t index = slot / View::kChunk;
        if (index >= chunks_.size()) chunks_.resize(index + 1);
        if (index >= own_.size()) own_.resize(chunks_.size());
        std::shared_ptr<View::Chunk>& own = own_[index];
        if (own == nullptr) {
            own = chunks_[index] == nullptr ? std::make_shared<View::Chunk>()
                                            : std::make_shared<View::Chunk>(*chunks_[index]);
            chunks_[index] = own;
        }
        return (*own)[slot % View::kChunk];
    }
    std::vector<std::shared_ptr<const View::Chunk>> take() { return std::move(chunks_); }

  private:
    std::vector<std::shared_ptr<const View::Chunk>> chunks_;
    std::vector<std::shared_ptr<View::Chunk>> own_;  // by the same index; null: shared
};

constexpr size_t kFreeLeast = 4096;  // empty slots worth a new numbering; arbitrary
constexpr size_t kRoom = 64;         // for entries that came since

}  // namespace

void LiveTree::publish(const Pass& pass) {
    if (pass.shape || view_ == nullptr) {
        publish_shape(pass.changed);
    } else if (!pass.changed.empty()) {
        publish_facts(pass.changed);
    }
}

void LiveTree::publish_shape(const std::unordered_set<Node*>& changed, size_t expected) {
    const bool anew = view_ == nullptr || (free_slots_.size() > kFreeLeast && free_slots_.size() > slots_ / 2);
    Chunks chunks(anew ? std::vector<std::shared_ptr<const View::Chunk>>() : view_->chunks);
    if (anew) {
        slots_ = 0;
        free_slots_.clear();
    } else {
        for (const uint32_t slot : left_slots_) chunks.at(slot) = Facts();
        free_slots_.insert(free_slots_.end(), left_slots_.begin(), left_slots_.end());
    }
    left_slots_.clear();
    const size_t size = (view_ == nullptr ? expected : view_->shape->size()) + kRoom;
    Layout layout(anew ? nullptr : view_->shape.get(), size, [&](Node* node) {
        if (!anew && node->slot != kNoSlot) return node->slot;  // what changed in it is in `changed`
        if (free_slots_.empty()) {
            node->slot = slots_++;
        } else {
            node->slot = free_slots_.back();
            free_slots_.pop_back();
        }
        chunks.at(node->slot) = node->facts;
        return node->slot;
    });
    layout.lay(top_.get(), kNowhere, anew ? kNowhere : 0);
    Shape& shape = *layout.shape;
    layout.laid.path_start.push_back(layout.laid.names.size());
    if (anew) layout.laid.slot.clear();  // handed out in the order of positions
    shape.take(std::move(layout.laid), anew);
    shape.root = root_;
    for (const Above& above : above_) shape.above.emplace_back(above.path, above.rules);
    for (const Node* node : changed) {
        if (node->slot != kNoSlot && attached(node)) chunks.at(node->slot) = node->facts;
    }
    auto view = std::make_shared<View>();
    view->shape = std::move(layout.shape);
    view->chunks = chunks.take();
    view->generation = ++generation_;
    if (view_ != nullptr) view->locations.store(view_->locations.load());
    std::lock_guard<std::mutex> lock(view_mutex_);
    view_ = std::move(view);
}

void LiveTree::publish_facts(const std::unordered_set<Node*>& changed) {
    auto view = std::make_shared<View>(*view_);
    Chunks chunks(std::move(view->chunks));
    for (const Node* node : changed) {
        if (node->slot != kNoSlot && attached(node)) chunks.at(node->slot) = node->facts;
    }
    view->chunks = chunks.take();
    view->generation = ++generation_;
    std::lock_guard<std::mutex> lock(view_mutex_);
    view_ = std::move(view);
}

}  // namespace curserve
