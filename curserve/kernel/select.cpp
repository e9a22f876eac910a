// select.cpp: see select.h. One depth-first pass over the positions of a Shape per starting point; an ignored directory
// is stepped over as a whole.
//
// Order of judgement, as in ripgrep 15.2.0 (crates/ignore/src/{dir,walk}.rs): overrides decide alone; then ignore files
// (RuleStack), global excludes, --ignore-file; then types; then hidden, which any whitelist above beats; then size.
// What is named on the command line is not judged at all.
#include "select.h"

#include <algorithm>
#include <atomic>
#include <list>
#include <mutex>

#include "glob.h"
#include "outside.h"
#include "rule_stack.h"
#include "symlink.h"

namespace curserve {

// What the ignore files along the way say of each position of a shape, for walks that begin at one place and let the same
// of them count; found out by whichever walk needs it first. Globs, types, depth and hidden names ask anew each time.
class RuleVerdicts {
  public:
    struct Key {
        Position start;
        bool dot, vcs, exclude, parent, require_git, fold;
        bool operator==(const Key& o) const {
            return start == o.start && dot == o.dot && vcs == o.vcs && exclude == o.exclude && parent == o.parent &&
                   require_git == o.require_git && fold == o.fold;
        }
    };
    RuleVerdicts(const Key& key, Position size) : key_(key), known_(new std::atomic<uint8_t>[size]()) {}
    const Key& key() const { return key_; }

    template <typename Find>
    Verdict at(Position p, Find find) {
        const uint8_t known = known_[p].load(std::memory_order_relaxed);
        if (known != 0) return static_cast<Verdict>(known - 1);
        const Verdict found = find();
        known_[p].store(static_cast<uint8_t>(static_cast<uint8_t>(found) + 1), std::memory_order_relaxed);
        return found;
    }

  private:
    const Key key_;
    const std::unique_ptr<std::atomic<uint8_t>[]> known_;  // 0: not known yet, else a Verdict + 1
};

class SelectionCache {
  public:
    struct Key {
        uint64_t filter, global, generation;  // generation: 0 unless the filter looks at sizes
        std::vector<Start> starts;
        std::vector<RelativeExclude> relative;
        bool operator==(const Key& o) const {
            return filter == o.filter && global == o.global && generation == o.generation && relative == o.relative &&
                   std::equal(starts.begin(), starts.end(), o.starts.begin(), o.starts.end(),
                              [](const Start& a, const Start& b) {
                                  return a.position == b.position && a.implicit == b.implicit && a.typed == b.typed;
                              });
        }
    };
    static constexpr size_t kKept = 32;  // selections per shape, least recently used out first (arbitrary)

    SelectionRef find(const Key& key) {
        std::lock_guard<std::mutex> lock(mutex_);
        for (auto it = kept_.begin(); it != kept_.end(); ++it) {
            if (!(it->first == key)) continue;
            kept_.splice(kept_.begin(), kept_, it);
            return kept_.front().second;
        }
        return nullptr;
    }
    void keep(Key key, SelectionRef selection) {
        std::lock_guard<std::mutex> lock(mutex_);
        // One whose links lead elsewhere now makes room for the new one.
        kept_.remove_if([&](const auto& kept) { return !kept.second->links.empty() && kept.first == key; });
        kept_.emplace_front(std::move(key), std::move(selection));
        if (kept_.size() > kKept) kept_.pop_back();
    }

    // For a shape of this size.
    std::shared_ptr<RuleVerdicts> verdicts(const RuleVerdicts::Key& key, Position size) {
        std::lock_guard<std::mutex> lock(mutex_);
        for (const auto& kept : verdicts_)
            if (kept->key() == key) return kept;
        if (verdicts_.size() >= kVerdictsKept) verdicts_.pop_back();
        verdicts_.push_front(std::make_shared<RuleVerdicts>(key, size));
        return verdicts_.front();
    }

    // The shape's `.git` files that name a relative directory: those directories, each once. Almost always none.
    const std::vector<std::string>& relative_git_dirs(const Shape& shape) {
        std::call_once(looked_, [&] {
            const auto note = [&](const DirRulesRef& rules) {
                if (rules && !rules->relative_git_dir.empty()) relative_git_dirs_.push_back(rules->relative_git_dir);
            };
            for (const auto& [directory, rules] : shape.above) note(rules);
            for (const auto& [position, rules] : shape.rules) note(rules);
            std::sort(relative_git_dirs_.begin(), relative_git_dirs_.end());
            relative_git_dirs_.erase(std::unique(relative_git_dirs_.begin(), relative_git_dirs_.end()),
                                     relative_git_dirs_.end());
        });
        return relative_git_dirs_;
    }

    void clear() {
        std::list<std::pair<Key, SelectionRef>> dropped;  // freed after the lock is
        std::list<std::shared_ptr<RuleVerdicts>> verdicts;
        std::lock_guard<std::mutex> lock(mutex_);
        dropped.swap(kept_);
        verdicts.swap(verdicts_);
    }

  private:
    std::once_flag looked_;
    std::vector<std::string> relative_git_dirs_;
    std::mutex mutex_;
    std::list<std::pair<Key, SelectionRef>> kept_;
    static constexpr size_t kVerdictsKept = 8;  // arbitrary; a byte per position each
    std::list<std::shared_ptr<RuleVerdicts>> verdicts_;  // under mutex_
};

Shape::Shape() : selections(std::make_unique<SelectionCache>()) {}
Shape::~Shape() = default;

void forget_selections(const Shape& shape) { shape.selections->clear(); }

namespace {

// Where a walk from `start` puts what it finds: what comes before the path relative to the start.
std::string walked_prefix(const Start& start) {
    if (start.implicit) return "./";
    std::string prefix;
    prefix.reserve(start.typed.size() + 128);  // mostly a path follows
    prefix = start.typed;
    if (!prefix.empty() && prefix.back() != '/') prefix += '/';
    return prefix;
}

// Bytes under the start's own name in the paths of a Shape.
size_t prefix_length(const Shape& shape, Position start) { return start == 0 ? 0 : shape.path(start).size() + 1; }

class Walk {
  public:
    // starts: how many there are.
    Walk(const View& view, const Filter& filter, const IgnoreRules* global,
         const std::vector<RelativeExclude>& relative, size_t starts, Selection* out)
        : view_(view), shape_(*view.shape), filter_(filter), starts_(starts), out_(out) {
        for (const RelativeExclude& found : relative)
            relative_.emplace_back(found, found.exists ? IgnoreRules::parse(found.bytes, false, nullptr) : nullptr);
        if (global && global->too_large()) unsure("ignore_file_size");
        if (global && !global->empty()) global_ = filter.fold_case ? global->folded().get() : global;
        if (filter.switches.files)
            for (const RulesRef& rules : filter.ignore_files) {
                if (!rules) continue;
                if (rules->too_large()) unsure("ignore_file_size");
                if (filter.ignore_messages && (rules->faulty() || rules->cut_short())) unsure("ignore_file_error");
                // Their case counts even with --ignore-file-case-insensitive.
                if (!rules->empty()) explicit_.push_back(rules.get());
            }
        needs_walked_ = filter.overrides || global_ || !explicit_.empty();
    }

    void run(const Start& start, uint32_t number) {
        const Position top = start.position;
        if (top >= shape_.size()) return unsure("no_such_path");
        switch (shape_.kind[top]) {
            case Kind::kFile: return out_->files.push_back({top, number});
            case Kind::kDirectory: break;
            case Kind::kSymlink: return unsure("symlink_argument");
            default: return unsure("special_file");
        }
        // ripgrep strips "./" twice from paths but once from the directories of ignore files; what is left of ".//x" is
        // an absolute path to it.
        const std::string typed = start.typed + "/";
        if (typed.compare(0, 4, "././") == 0 || start.typed.compare(0, 3, ".//") == 0)
            return unsure("dotted_argument");
        if (filter_.max_depth != 0 && !listed(view_, top)) return;
        RuleStack stack(filter_.switches, filter_.fold_case);
        stack.know(&relative_);
        stack_ = &stack;
        for (const auto& [directory, rules] : shape_.above)
            if (rules) stack.enter(*rules, directory == "/" ? 1 : directory.size() + 1, true);
        std::vector<Position> lineage;
        for (Position p = top; p != 0; p = shape_.parent[p]) lineage.push_back(shape_.parent[p]);
        const size_t root_length = shape_.root == "/" ? 1 : shape_.root.size() + 1;
        std::for_each(lineage.rbegin(), lineage.rend(), [&](Position p) {
            enter(shape_, p, root_length + prefix_length(shape_, p), true);
        });
        walked_ = walked_prefix(start);
        absolute_ = shape_.absolute(top);
        if (absolute_ != "/") absolute_ += '/';
        const IgnoreSwitches& on = filter_.switches;
        if (relative_.empty())  // what those say is found out for each request
            verdicts_ = shape_.selections->verdicts(
                {top, on.dot, on.vcs, on.exclude, on.parent, on.require_git, filter_.fold_case}, shape_.size());
        walk(Way{&view_, top, number, prefix_length(shape_, top), walked_.size(), absolute_.size(), 0, &start, nullptr, kNowhere});
        if (stack.faulty_above() || (stack.faulty() && filter_.ignore_messages)) unsure("ignore_file_error");
        if (stack.unknown()) unsure("git_file");
        if (stack.too_large()) unsure("ignore_file_size");
    }

  private:
    struct Open {
        Position end;
        bool entered;  // it has rules of its own
    };

    // A directory that is walked from the top: a start, or what a link led to. Its paths, as walked and absolute ones, are
    // those by which the walk came there.
    struct Way {
        const View* view;        // where the positions are
        Position top;
        uint32_t number;         // as in Selected
        size_t skip;             // what the top's own path takes of the paths below it
        size_t walked, absolute; // how much of walked_ and absolute_ leads to what is below the top
        int64_t depth;           // the top's
        const Start* start;      // null: the link `link`, met on the way `outer`, led here
        const Way* outer;
        Position link;
    };
    static constexpr size_t kLongestWay = 1024;           // bytes; the system's own limit must not be met
    static constexpr uint64_t kMostFollowed = 2'000'000;  // entries; links can multiply a tree without end. Arbitrary.
    static constexpr uint64_t kLinkCost = 100;            // what asking one link costs, in entries

    void unsure(const char* why) {
        out_->uncertain = true;
        if (!out_->why_uncertain) out_->why_uncertain = why;
    }

    bool enter(const Shape& shape, Position p, size_t base, bool above) {
        const auto found = shape.rules.find(p);
        if (found == shape.rules.end() || !found->second) return false;
        stack_->enter(*found->second, base, above);
        return true;
    }
    bool enter(const Way& way, Position p) {
        const Shape& shape = *way.view->shape;
        return enter(shape, p, way.absolute + (p == way.top ? 0 : shape.path(p).size() - way.skip + 1), false);
    }

    bool listed(const View& view, Position p) {
        const Listing listing = view.shape->listing[p];
        if (listing == Listing::kListed) return true;
        if (listing == Listing::kUnlisted && &view != &view_) unsure("follow_outside");
        else if (listing == Listing::kUnlisted) out_->unlisted.push_back(p);
        else unsure("unreadable_directory");
        return false;
    }

    void walk(const Way& way) {
        const Shape& shape = *way.view->shape;
        const Position top = way.top;
        std::vector<Open> open{{shape.end[top], enter(way, top)}};
        const Position end = filter_.max_depth == 0 ? top + 1 : shape.end[top];
        for (Position p = top + 1; p < end;) {
            while (p >= open.back().end) {
                if (open.back().entered) stack_->leave();
                open.pop_back();
            }
            const Kind kind = shape.kind[p];
            if (kind != Kind::kFile && kind != Kind::kDirectory) {
                // A link may be followed, but is not searched itself; the rest (pipes, sockets, devices) is not either.
                if (kind == Kind::kSymlink && filter_.follow) follow(way, p, way.depth + static_cast<int64_t>(open.size()));
                ++p;
                continue;
            }
            const bool is_dir = kind == Kind::kDirectory;
            if (needs_walked_) {
                walked_.resize(way.walked);
                walked_ += shape.path(p).substr(way.skip);
            }
            if (is_skipped(way, shape, p, is_dir)) {
                p = shape.end[p];
                continue;
            }
            if (!is_dir) {
                if (!is_too_large(*way.view, p)) out_->files.push_back({p, way.number});
                ++p;
                continue;
            }
            // open holds the directories from the top down to p's parent.
            const bool too_deep = is_too_deep(way.depth + static_cast<int64_t>(open.size()));
            if (too_deep || !listed(*way.view, p)) {
                // One thread of ripgrep reads the ignore files there all the same, and complains about them.
                if (too_deep && enter(way, p)) stack_->leave();
                p = shape.end[p];
                continue;
            }
            open.push_back({shape.end[p], enter(way, p)});
            ++p;
        }
        for (; !open.empty(); open.pop_back())
            if (open.back().entered) stack_->leave();
    }

    bool is_too_deep(int64_t depth) const { return filter_.max_depth >= 0 && depth >= filter_.max_depth; }
    bool is_too_large(const View& view, Position p) const {
        return filter_.max_filesize >= 0 && view.facts(p).size_bytes > static_cast<uint64_t>(filter_.max_filesize);
    }

    [[gnu::noinline]] void follow(const Way& way, Position p, int64_t depth) {
        std::shared_ptr<RuleVerdicts> set_aside;  // what rules say of what a link leads to depends on the way there
        set_aside.swap(verdicts_);
        if (!out_->uncertain) lead(way, p, depth);
        set_aside.swap(verdicts_);
    }

    // A link at p, at this depth. As in ripgrep, where it does not lead anywhere, or back, is told before rules are asked.
    void lead(const Way& way, Position p, int64_t depth) {
        const std::string_view below = way.view->shape->path(p).substr(way.skip);
        walked_.resize(way.walked);
        walked_ += below;
        cost_ += kLinkCost;
        if (walked_.size() > kLongestWay || cost_ > kMostFollowed) return unsure("follow_too_far");
        const std::string path = way.view->shape->absolute(p);
        const Symlink link(path);
        if (!link.known()) return unsure("follow_unknown");
        if (link.error() != 0) {
            out_->complaints.push_back({walked_, link.error(), std::string(), p, way.number});
            return note(p, link, kNowhere);
        }
        const bool is_dir = link.kind() == Kind::kDirectory;
        if (is_dir) {
            if (!link.may_be_listed(path)) return unsure("unreadable_directory");
            std::string ancestor;
            const Position top = open_ancestor(way, p, link, &ancestor);
            if (top != kNowhere) {
                out_->complaints.push_back({walked_, 0, std::move(ancestor), p, way.number});
                return note(p, link, top);
            }
        }
        if ((!is_dir && link.kind() != Kind::kFile) || is_skipped(way, *way.view->shape, p, is_dir)) return note(p, link, kNowhere);
        Position unlisted;
        Position target = link.place(view_, &unlisted);
        if (unlisted != kNowhere) return out_->unlisted.push_back(unlisted);
        note(p, link, target);
        ViewRef outside;  // null: in the view
        if (target == kNowhere) {
            outside = outside_.view(link, &target);
            if (outside == nullptr) return unsure("follow_outside");
            out_->outside = true;
        }
        const View& there = outside != nullptr ? *outside : view_;
        const auto number = static_cast<uint32_t>(starts_ + out_->followed.size());
        if (!is_dir) {
            if (is_too_large(there, target)) return;
            out_->followed.push_back(followed(outside, target, way, p));
            return out_->files.push_back({target, number});
        }
        absolute_.resize(way.absolute);
        absolute_ += below;
        absolute_ += '/';
        const Way inner{&there, target, number, prefix_length(*there.shape, target), walked_.size() + 1, absolute_.size(),
                        depth, nullptr, &way, p};
        if (is_too_deep(depth)) {
            if (enter(inner, target)) stack_->leave();
            return;
        }
        if (!listed(there, target)) return;
        cost_ += there.shape->end[target] - target;
        out_->followed.push_back(followed(outside, target, way, p));
        walked_ += '/';
        walk(inner);
    }

    void note(Position p, const Symlink& link, Position target) {
        out_->links.push_back({p, target, link.error(), link.kind(), link.dev(), link.ino()});
    }

    // The link at hand as one more start.
    Start followed(const ViewRef& outside, Position target, const Way& way, Position p) const {
        const Way* first = &way;
        while (first->start == nullptr) first = first->outer;
        Start start;
        start.view = outside;
        start.position = target;
        start.typed = first->start->implicit ? walked_.substr(2) : walked_;
        start.link = p;
        start.met_in = way.number;
        return start;
    }

    // The directory above p on the way there that the link is, and its path as walked; or kNowhere.
    Position open_ancestor(const Way& way, Position p, const Symlink& link, std::string* walked) const {
        for (const Way* at = &way; at != nullptr; p = at->link, at = at->outer) {
            for (Position above = p; above != at->top;) {
                above = at->view->shape->parent[above];
                if (!link.is(at->view->facts(above))) continue;
                if (above != at->top) {
                    *walked = walked_.substr(0, at->walked);
                    *walked += at->view->shape->path(above).substr(at->skip);
                } else if (at->start == nullptr) {
                    *walked = walked_.substr(0, at->walked - 1);
                } else {
                    *walked = at->start->implicit ? "./" : at->start->typed;
                }
                return above;
            }
        }
        return kNowhere;
    }

    // Inline, and so is what it asks: the loop over all entries must not pay for what only links need.
    [[gnu::always_inline]] bool is_skipped(const Way& way, const Shape& shape, Position p, bool is_dir) {
        std::string_view from_base;
        if (needs_walked_) from_base = stripped_of_base(walked_, filter_.cwd);
        if (filter_.overrides) {
            const Verdict v = filter_.overrides->matched(from_base, is_dir);
            if (v != Verdict::kNone) return v == Verdict::kIgnore;
        }
        const std::string_view path = shape.path(p), name = shape.name(p);
        Verdict v = rules_verdict(way, p, path, name, is_dir, from_base);
        if (v == Verdict::kIgnore) return true;
        if (filter_.types) {
            const Verdict t = filter_.types->matched(name, is_dir);
            if (t == Verdict::kIgnore) return true;
            if (t == Verdict::kWhitelist) v = t;
        }
        return v == Verdict::kNone && !filter_.switches.hidden && is_hidden_name(name);
    }

    [[gnu::always_inline]] Verdict rules_verdict(const Way& way, Position p, std::string_view path, std::string_view name,
                                                 bool is_dir, std::string_view from_base) {
        Verdict v = Verdict::kNone;
        if (!stack_->silent()) {
            const auto find = [&] {
                absolute_.resize(way.absolute);
                absolute_ += path.substr(way.skip);
                return stack_->verdict(subject_of(absolute_, absolute_.size() - name.size()), is_dir);
            };
            v = verdicts_ != nullptr ? verdicts_->at(p, find) : find();
        }
        if (v == Verdict::kNone && global_ && stack_->any_git()) v = global_->matched(from_base, is_dir);
        for (size_t i = explicit_.size(); v == Verdict::kNone && i-- > 0;) {
            v = explicit_[i]->matched(stripped_of_base(walked_, filter_.ignore_files_base), is_dir);
        }
        return v;
    }

    const View& view_;
    const Shape& shape_;
    const Filter& filter_;
    const size_t starts_;
    Selection* out_;
    const IgnoreRules* global_ = nullptr;
    std::vector<const IgnoreRules*> explicit_;
    RuleStack::RelativeRules relative_;
    bool needs_walked_ = false;
    RuleStack* stack_ = nullptr;
    std::shared_ptr<RuleVerdicts> verdicts_;  // null: not kept
    std::string absolute_, walked_;  // of the entry at hand, by the way the walk came
    uint64_t cost_ = 0;              // of following links
    Outside outside_;
};

// Whether the links that a Selection went through lead where they led.
bool holds(const Selection& selection, const View& view) {
    return std::all_of(selection.links.begin(), selection.links.end(), [&](const Followed& was) {
        const std::string path = view.shape->absolute(was.link);
        const Symlink now(path);
        if (!now.known() || now.error() != was.error) return false;
        if (now.error() != 0) return true;
        if (now.kind() != was.kind || now.dev() != was.dev || now.ino() != was.ino) return false;
        if (now.kind() == Kind::kDirectory && !now.may_be_listed(path)) return false;
        return was.target == kNowhere || now.is(view.facts(was.target));
    });
}

}  // namespace

SelectionRef select(const ViewRef& view, const Filter& filter, const std::vector<Start>& starts) {
    GlobalRules::Now global;
    if (filter.global && filter.switches.global && filter.switches.vcs) global = filter.global->refresh();
    SelectionCache::Key key{filter.id, global.version, filter.max_filesize >= 0 ? view->generation + 1 : 0, starts, {}};
    SelectionCache& cache = *view->shape->selections;
    if (filter.switches.vcs && filter.switches.exclude && filter.switches.require_git)
        key.relative = read_relative_excludes(cache.relative_git_dirs(*view->shape), filter.cwd);
    if (!global.unknown)
        if (SelectionRef found = cache.find(key); found != nullptr && holds(*found, *view)) return found;
    auto made = std::make_shared<Selection>();
    if (global.unknown) {
        made->uncertain = true;
        made->why_uncertain = "global_excludes";
        return made;
    }
    Walk walk(*view, filter, global.rules.get(), key.relative, starts.size(), made.get());
    for (uint32_t i = 0; i < starts.size(); ++i) walk.run(starts[i], i);
    made->files.shrink_to_fit();
    std::sort(made->unlisted.begin(), made->unlisted.end());
    made->unlisted.erase(std::unique(made->unlisted.begin(), made->unlisted.end()), made->unlisted.end());
    if (!filter.follow || (!made->uncertain && !made->outside)) cache.keep(std::move(key), made);  // links may lead elsewhere the next time
    return made;
}

void PrintedPaths::begin(const Start& start) {
    start_ = &start;
    shape_ = view_of(start, searched_).shape.get();
    path_ = start.implicit ? std::string() : walked_prefix(start);
    before_ = path_.size();
    skip_ = prefix_length(*shape_, start.position);
}

std::string_view PrintedPaths::of(const Selected& file) {
    if (start_ != &starts_[file.start]) begin(starts_[file.start]);
    std::string_view path = start_->typed;
    if (file.position != start_->position) {
        path_.resize(before_);
        path_ += shape_->path(file.position).substr(skip_);
        path = path_;
    }
    if (separator_ == '/') return path;
    separated_.assign(path);
    std::replace(separated_.begin(), separated_.end(), '/', separator_);
    return separated_;
}

std::string printed_path(const View& view, const std::vector<Start>& starts, const Selected& file) {
    return std::string(PrintedPaths(view, starts, '/').of(file));
}

}  // namespace curserve
