#include "starts.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "declined.h"
#include "decode.h"

namespace curserve {

namespace {

// The root-relative name of what a path argument names. Every component before a ".." must be a real directory of the
// view, so that ".." means what it means on disk; anything else is left to the real rg.
std::string below_root(const Shape& shape, const std::string& cwd, const std::string& typed) {
    std::vector<std::string_view> parts;  // of both texts
    parts.reserve(32);
    const auto add = [&parts](std::string_view text, bool checked, const Shape* in, const std::string& root) {
        size_t at = 0;
        while (at <= text.size()) {
            size_t end = text.find('/', at);
            if (end == std::string_view::npos) end = text.size();
            const std::string_view part = text.substr(at, end - at);
            at = end + 1;
            if (part.empty() || part == ".") continue;
            if (part != "..") {
                parts.push_back(part);
                continue;
            }
            if (checked) {
                std::string so_far;
                for (const std::string_view p : parts) so_far.append("/").append(p);
                if (so_far.size() >= root.size() && so_far.compare(0, root.size(), root) == 0 &&
                    (so_far.size() == root.size() || root == "/" || so_far[root.size()] == '/')) {
                    const size_t skip = root == "/" ? 1 : root.size() + 1;
                    const Position p = in->find(so_far.size() < skip ? std::string_view() : std::string_view(so_far).substr(skip));
                    if (p == kNowhere || in->kind[p] != Kind::kDirectory) throw Declined{"symlink_argument"};
                }
                // Above the root: a prefix of the root's or the cwd's resolved name, a real directory by construction.
                else if (root.compare(0, so_far.size(), so_far) != 0)
                    throw Declined{"outside"};
            }
            if (!parts.empty()) parts.pop_back();
        }
    };
    if (typed.empty() || typed[0] != '/') add(cwd, false, nullptr, shape.root);
    add(typed, true, &shape, shape.root);
    std::string absolute;
    absolute.reserve(cwd.size() + typed.size() + 2);
    for (const std::string_view part : parts) absolute.append("/").append(part);
    const std::string& root = shape.root;
    if (absolute == root || (root == "/" && absolute.empty())) return std::string();
    const size_t skip = root == "/" ? 1 : root.size() + 1;
    if (absolute.size() <= skip || (root != "/" && (absolute.compare(0, root.size(), root) != 0 || absolute[root.size()] != '/')))
        throw Declined{"outside"};
    return absolute.substr(skip);
}

// The directory above `below` that the view does not look into yet; kNowhere when the view knows all of the way.
Position unlisted_above(const Shape& shape, std::string_view below) {
    for (;;) {
        const size_t slash = below.rfind('/');
        below = slash == std::string_view::npos ? std::string_view() : below.substr(0, slash);
        const Position at = shape.find(below);
        if (at == kNowhere) continue;  // ends at the root at the latest
        if (shape.kind[at] == Kind::kSymlink) throw Declined{"symlink_argument"};
        if (shape.kind[at] != Kind::kDirectory) throw Declined{"no_such_path"};
        return shape.listing[at] == Listing::kUnlisted ? at : kNowhere;
    }
}

// The root-relative name of what a path argument names where links are on the way: as the file system has it now. False:
// there is nothing.
bool below_root_on_disk(const Shape& shape, const std::string& cwd, const std::string& typed, std::string* below) {
    const std::string path = typed[0] == '/' ? typed : cwd + "/" + typed;
    std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
    if (real == nullptr) {
        if (errno == ENOENT) return false;
        throw Declined{"symlink_argument"};
    }
    const std::string_view found(real.get()), root(shape.root);
    if (found == root) {
        below->clear();
        return true;
    }
    const size_t skip = root == "/" ? 1 : root.size() + 1;
    if (found.size() <= skip || found.compare(0, root.size(), root) != 0 || found[skip - 1] != '/')
        throw Declined{"outside"};
    below->assign(found.substr(skip));
    return true;
}

// Whether a symbolic link is on the way to a root-relative name, or is what it names.
bool through_link(const Shape& shape, std::string_view below) {
    for (;;) {
        const Position at = shape.find(below);
        if (at != kNowhere) return shape.kind[at] == Kind::kSymlink;
        below = below.substr(0, std::min(below.size(), below.rfind('/') == std::string_view::npos ? 0 : below.rfind('/')));
    }
}

}  // namespace

std::string in_messages(const std::string& path) {
    const std::vector<uint8_t> shown = decode_utf8(reinterpret_cast<const uint8_t*>(path.data()), path.size()).text;
    return std::string(shown.begin(), shown.end());
}

Starts locate_starts(const View& view, const std::vector<std::string>& paths, const std::string& cwd) {
    const Shape& shape = *view.shape;
    Starts starts;
    const auto add = [&](const std::string& typed, bool implicit) {
        std::string below;
        bool linked = false;
        try {
            below = below_root(shape, cwd, typed);
            linked = through_link(shape, below);
        } catch (const Declined& declined) {
            if (declined.reason != "symlink_argument") throw;
            linked = true;  // with ".." behind it
        }
        if (linked && !below_root_on_disk(shape, cwd, typed, &below)) {
            starts.missing.push_back({in_messages(typed), starts.there.size()});
            return;
        }
        const Position at = shape.find(below);
        if (at == kNowhere) {
            const Position unlisted = unlisted_above(shape, below);
            if (unlisted != kNowhere)
                starts.unlisted.push_back(unlisted);
            else if (implicit || linked)
                throw Declined{"no_such_path"};
            else
                starts.missing.push_back({in_messages(typed), starts.there.size()});
            return;
        }
        const Kind kind = shape.kind[at];
        if (kind == Kind::kSymlink) throw Declined{"symlink_argument"};
        if (kind == Kind::kOther) throw Declined{"special_file"};
        // `FILE/` is an error for rg.
        if (kind == Kind::kFile && !typed.empty() && typed.back() == '/') throw Declined{"no_such_path"};
        Start start;
        start.position = at;
        start.typed = typed;
        start.implicit = implicit;
        starts.there.push_back(std::move(start));
    };
    if (paths.empty()) add(std::string(), true);
    for (const std::string& typed : paths) add(typed, false);
    return starts;
}

}  // namespace curserve
