#include "outside.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "content.h"

namespace curserve {

namespace {

// A Shape and its Facts in the making, entry by entry in the order of positions.
class Laying {
  public:
    Laying(const std::string& root, uint32_t* entries, uint32_t most) : entries_(entries), most_(most) {
        shape_->root = root;
    }

    Position add(const std::string& path, Position parent, Kind kind, const struct stat& st) {
        const Position p = laid_.size();
        ++*entries_;
        laid_.path_start.push_back(laid_.names.size());
        laid_.names.insert(laid_.names.end(), path.begin(), path.end());
        const size_t slash = path.rfind('/');
        laid_.name_start.push_back(static_cast<uint32_t>(slash == std::string::npos ? 0 : slash + 1));
        laid_.parent.push_back(parent);
        laid_.end.push_back(p + 1);
        laid_.kind.push_back(kind);
        laid_.listing.push_back(Listing::kListed);
        laid_.error.push_back(0);
        Facts facts;
        facts.size_bytes = static_cast<uint64_t>(st.st_size);
        facts.dev = static_cast<uint64_t>(st.st_dev);
        facts.ino = static_cast<uint64_t>(st.st_ino);
        facts.mtime_ns = int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec;
        facts.mode = st.st_mode;
        facts_.push_back(facts);
        return p;
    }

    // Lists the directory at p, and all below it. False: not here.
    bool fill(int root_fd, const std::string& path, Position p) {
        std::vector<Listed> names;
        std::vector<struct stat> stats;
        {
            const int opened = open_directory(root_fd, path);
            if (opened < 0) {
                laid_.listing[p] = Listing::kFailed;
                return true;
            }
            const Descriptor fd(opened);
            if (deaf_file_system(fd.get()) != nullptr || list_directory(fd.get(), &names) != 0) return false;
            if (names.size() > most_ || *entries_ + names.size() > most_) return false;
            std::sort(names.begin(), names.end(), [](const Listed& a, const Listed& b) { return a.name < b.name; });
            if (std::any_of(names.begin(), names.end(), [](const Listed& one) { return decides_rules(one.name); })) {
                const std::string absolute = shape_->root + (path.empty() || shape_->root == "/" ? "" : "/") + path;
                const DirRulesRef rules = read_rules(fd.get(), absolute, false).rules;
                if (!rules->empty()) shape_->rules.emplace(p, rules);
            }
            stats.resize(names.size());
            for (size_t i = 0; i < names.size(); ++i)
                if (::fstatat(fd.get(), names[i].name.c_str(), &stats[i], AT_SYMLINK_NOFOLLOW) != 0) return false;
        }
        for (size_t i = 0; i < names.size(); ++i) {
            const std::string below = path.empty() ? names[i].name : path + "/" + names[i].name;
            const Kind kind = kind_of(stats[i].st_mode);
            const Position child = add(below, p, kind, stats[i]);
            if (kind != Kind::kDirectory) continue;
            if (names[i].name == ".git") laid_.listing[child] = Listing::kUnlisted;
            else if (!fill(root_fd, below, child)) return false;
            laid_.end[child] = laid_.size();
        }
        laid_.end[p] = laid_.size();
        return true;
    }

    ViewRef made() {
        auto view = std::make_shared<View>();
        for (size_t first = 0; first < facts_.size(); first += View::kChunk) {
            auto chunk = std::make_shared<View::Chunk>();
            const size_t count = std::min<size_t>(View::kChunk, facts_.size() - first);
            std::copy_n(facts_.begin() + static_cast<std::ptrdiff_t>(first), count, chunk->begin());
            view->chunks.push_back(std::move(chunk));
        }
        laid_.end[0] = laid_.size();
        laid_.path_start.push_back(laid_.names.size());
        shape_->take(std::move(laid_), false);
        view->shape = std::move(shape_);
        return view;
    }

  private:
    std::shared_ptr<Shape> shape_ = std::make_shared<Shape>();
    Laid laid_;
    std::vector<Facts> facts_;
    uint32_t* const entries_;
    const uint32_t most_;
};

}  // namespace

ViewRef Outside::view(const Symlink& link, Position* position) {
    const std::string path = link.path();
    if (path.empty() || path[0] != '/' || deaf_file_system(link.descriptor()) != nullptr) return nullptr;
    const bool is_dir = link.kind() == Kind::kDirectory;
    const size_t slash = path.rfind('/');
    Laying listing(is_dir ? path : slash == 0 ? "/" : path.substr(0, slash), &entries_, kMostEntries);
    struct stat above{};
    above.st_mode = S_IFDIR;
    listing.add(std::string(), kNowhere, Kind::kDirectory, is_dir ? link.stat() : above);
    *position = 0;
    if (!is_dir) *position = listing.add(path.substr(slash + 1), 0, Kind::kFile, link.stat());
    else if (!listing.fill(link.descriptor(), std::string(), 0)) return nullptr;
    return entries_ > kMostEntries ? nullptr : listing.made();
}

ViewRef with_texts(const View& view, const std::vector<Position>& files, uint64_t* budget_bytes) {
    static Store transient;  // keep_whole: entered into no store
    auto made = std::make_shared<View>();
    made->shape = view.shape;
    std::vector<std::shared_ptr<View::Chunk>> chunks;
    for (const auto& chunk : view.chunks) chunks.push_back(std::make_shared<View::Chunk>(*chunk));
    for (const Position p : files) {
        std::vector<uint8_t> raw;
        struct stat st{};
        if (view.facts(p).size_bytes > *budget_bytes) return nullptr;
        if (read_file(AT_FDCWD, view.shape->absolute(p).c_str(), false, &raw, &st) != 0) return nullptr;
        if (raw.size() > *budget_bytes) return nullptr;
        *budget_bytes -= raw.size();
        const uint32_t slot = view.shape->slot_of(p);
        (*chunks[slot / View::kChunk])[slot % View::kChunk].content = transient.put(std::move(raw), true);
    }
    made->chunks.assign(chunks.begin(), chunks.end());
    return made;
}

}  // namespace curserve
