#include "order.h"

#include <algorithm>
#include <dirent.h>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "declined.h"

namespace curserve {

namespace {

// The order in which ripgrep's walk of one thread meets files.
class WalkOrder {
  public:
    using Key = std::vector<uint32_t>;  // the places of a path's components in their folders' listings
    WalkOrder(const View& view, const std::vector<Start>& starts) : view_(view), starts_(starts) {}
    // Of what was found from starts[start]. False: not known.
    bool key(Position position, uint32_t start, Key* out);
    // The path argument that this was found from in the end.
    uint32_t first(uint32_t start) const {
        while (starts_[start].link != kNowhere) start = starts_[start].met_in;
        return start;
    }

  private:
    using Listed = std::unordered_map<std::string, uint32_t>;  // a folder's names, numbered as they come; empty: unknown
    const Listed& listed(const Shape& shape, Position folder);

    const View& view_;
    const std::vector<Start>& starts_;
    std::unordered_map<const Shape*, std::unordered_map<Position, Listed>> folders_;
};

bool WalkOrder::key(Position position, uint32_t start, Key* out) {
    out->clear();
    for (Position p = position;;) {
        const Start& from = starts_[start];
        const bool followed = from.link != kNowhere;
        const Shape& shape = *view_of(from, view_).shape;
        for (const Position top = followed ? from.position : 0; p != top; p = shape.parent[p]) {
            const Listed& folder = listed(shape, shape.parent[p]);
            const auto found = folder.find(std::string(shape.name(p)));
            if (found == folder.end()) return false;
            out->push_back(found->second);
        }
        if (!followed) break;
        p = from.link;
        start = from.met_in;
    }
    std::reverse(out->begin(), out->end());
    return true;
}

const WalkOrder::Listed& WalkOrder::listed(const Shape& shape, Position folder) {
    auto& folders = folders_[&shape];
    const auto known = folders.find(folder);
    if (known != folders.end()) return known->second;
    Listed& names = folders[folder];
    if (DIR* const dir = ::opendir(shape.absolute(folder).c_str())) {
        while (const dirent* entry = ::readdir(dir)) names.emplace(entry->d_name, static_cast<uint32_t>(names.size()));
        ::closedir(dir);
    }
    return names;
}

// Rust's order of paths: by components, where empty ones and a "." within do not count; the root comes before a leading
// ".", that before "..", and names last.
bool path_less(std::string_view a, std::string_view b) {
    const auto next = [](std::string_view whole, size_t* at, std::string_view* name) {  // the rank of a component; -1: none
        if (*at == 0 && !whole.empty() && whole[0] == '/') return *at = 1, 0;
        for (;;) {
            while (*at < whole.size() && whole[*at] == '/') ++*at;
            if (*at >= whole.size()) return -1;
            const size_t start = *at;
            *at = std::min(whole.find('/', start), whole.size());
            *name = whole.substr(start, *at - start);
            if (*name == "." && start > 0) continue;
            return *name == "." ? 1 : *name == ".." ? 2 : 3;
        }
    };
    for (size_t i = 0, j = 0;;) {
        std::string_view name, other;
        const int rank = next(a, &i, &name), other_rank = next(b, &j, &other);
        if (rank != other_rank) return rank < other_rank;
        if (rank < 0) return false;
        if (rank == 3 && name != other) return name < other;
    }
}

// By time; what has the same time, as ripgrep's walk meets it.
void sort_by_modified(std::vector<Selected>& files, const View& view, const std::vector<Start>& starts, bool reverse) {
    const auto mtime = [&](const Selected& file) { return view_of(starts[file.start], view).facts(file.position).mtime_ns; };
    std::stable_sort(files.begin(), files.end(), [&](const Selected& a, const Selected& b) {
        return reverse ? mtime(a) > mtime(b) : mtime(a) < mtime(b);
    });
    WalkOrder order(view, starts);
    for (auto first = files.begin(); first != files.end();) {
        const auto last = std::find_if(first, files.end(), [&](const Selected& file) { return mtime(file) != mtime(*first); });
        if (last - first > 1) {
            std::vector<std::pair<WalkOrder::Key, Selected>> tied;
            for (auto file = first; file != last; ++file) {
                tied.emplace_back(WalkOrder::Key(), *file);
                if (!order.key(file->position, file->start, &tied.back().first)) throw Declined{"sort_ties"};
            }
            std::sort(tied.begin(), tied.end(), [&](const auto& a, const auto& b) {
                const uint32_t from = order.first(a.second.start), other = order.first(b.second.start);
                return from != other ? from < other : a.first < b.first;
            });
            std::transform(tied.begin(), tied.end(), first, [](const auto& one) { return one.second; });
        }
        first = last;
    }
}

}  // namespace

SelectionRef in_order(const SelectionRef& selection, const View& view, const std::vector<Start>& starts, Sort sort,
                      bool reverse) {
    if (sort == Sort::kPath && !reverse) return selection;
    if (sort == Sort::kCreated) throw Declined{"sort_created"};
    auto ordered = std::make_shared<Selection>(*selection);
    auto& files = ordered->files;
    if (sort == Sort::kModified) {
        sort_by_modified(files, view, starts, reverse);
    } else if (starts.size() < 2 || starts[1].link != kNowhere) {
        std::reverse(files.begin(), files.end());
    } else {  // only this order is one of all files, wherever they were found
        std::vector<std::pair<std::string, Selected>> named;
        for (const Selected& file : files) named.emplace_back(printed_path(view, starts, file), file);
        std::stable_sort(named.begin(), named.end(), [](const auto& a, const auto& b) { return path_less(b.first, a.first); });
        std::transform(named.begin(), named.end(), files.begin(), [](const auto& one) { return one.second; });
    }
    return ordered;
}

std::vector<Complaint> in_order_of_walk(const Selection& selection, const View& view, const std::vector<Start>& starts,
                                        bool by_name) {
    std::vector<Complaint> complaints = selection.complaints;
    if (by_name || complaints.size() < 2) return complaints;
    WalkOrder order(view, starts);
    std::vector<std::pair<WalkOrder::Key, Complaint>> keyed;
    for (Complaint& complaint : complaints) {
        keyed.emplace_back(WalkOrder::Key(), std::move(complaint));
        const Complaint& one = keyed.back().second;
        if (!order.key(one.link, one.start, &keyed.back().first)) throw Declined{"sort_ties"};
        keyed.back().first.insert(keyed.back().first.begin(), order.first(one.start));
    }
    std::stable_sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::transform(keyed.begin(), keyed.end(), complaints.begin(), [](auto& one) { return std::move(one.second); });
    return complaints;
}

}  // namespace curserve
