// view.h: one workspace, frozen: the sorted paths of a root, what they hold, and what ignore files say there.
//
// Data: a View is a Shape (names and nesting, replaced as a whole when a name comes or goes or an ignore file changes)
// and Facts per slot (replaced in chunks when a file's content changes). The Shape says which slot a position has; a
// slot stays a file's own while positions shift around it, so a new Shape shares all chunks but those of what changed.
// Everything here is immutable once published and shared between generations; readers hold a ViewRef, take no lock.
// Positions number the entries in depth-first order with the names of each directory sorted by bytes, directories and
// files mixed: the order of `rg --sort path`. Position 0 is the root itself. A directory's subtree is [pos, end(pos)).
#ifndef CURSERVE_VIEW_H
#define CURSERVE_VIEW_H
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "content.h"
#include "ignore.h"
#include "table.h"

namespace curserve {

using Position = uint32_t;
constexpr Position kNowhere = 0xffffffffu;

enum class Kind : uint8_t { kFile, kDirectory, kSymlink, kOther };

// A directory that the loader did not list (an ignored one, or a `.git`): listed when a search first needs it.
enum class Listing : uint8_t { kListed, kUnlisted, kFailed };

class SelectionCache;  // select.h: what a filter chose in this shape

// What a Shape is made of, in the making: a value per position unless said otherwise.
struct Laid {
    std::vector<char> names;            // all paths, one after the other
    std::vector<uint64_t> path_start;   // size() + 1
    std::vector<uint32_t> name_start;   // offset of the last component in path(p)
    std::vector<Position> parent;       // kNowhere for the root
    std::vector<Position> end;          // one past the subtree
    std::vector<Kind> kind;
    std::vector<Listing> listing;       // of directories
    std::vector<int> error;             // errno of a failed listing or stat, 0 otherwise
    std::vector<uint32_t> slot;         // where a position's Facts are; empty: each at its own number
    Position size() const { return static_cast<Position>(parent.size()); }
};

class Shape {
  public:
    Position size() const { return static_cast<Position>(parent.size()); }
    uint32_t slot_of(Position p) const { return slot.empty() ? p : slot[p]; }
    // Root-relative path, no leading slash; "" for the root.
    std::string_view path(Position p) const {
        return std::string_view(names.data() + path_start[p], path_start[p + 1] - path_start[p]);
    }
    std::string_view name(Position p) const { return path(p).substr(name_start[p]); }
    std::string absolute(Position p) const;
    // Finds the entry of a root-relative path ("" is the root) or kNowhere; no "." or ".." components, no double slash.
    Position find(std::string_view path) const;

    // Takes over what was laid. alike: where another Shape has the same, they share it (worktrees of one repository).
    void take(Laid laid, bool alike);

    Table<char> names;                  // what these are: see Laid
    Table<uint64_t> path_start;
    Table<uint32_t> name_start;
    Table<Position> parent, end;
    Table<Kind> kind;
    Table<Listing> listing;
    Table<int> error;
    Table<uint32_t> slot;
    std::unordered_map<Position, DirRulesRef> rules;  // of directories that contribute any
    // The directories above the root, from "/" down to the root's parent: their absolute path and rules (never null).
    std::vector<std::pair<std::string, DirRulesRef>> above;
    std::string root;                   // absolute path, as resolved when the workspace was opened
    std::unique_ptr<SelectionCache> selections;  // has its own lock
    Shape();
    ~Shape();
};

// What is known of the thing at a position. content: null = not held (ignored, not yet loaded, unreadable, not a file).
struct Facts {
    ContentRef content;
    uint64_t size_bytes = 0, dev = 0, ino = 0;
    int64_t mtime_ns = 0, ctime_ns = 0;
    uint32_t mode = 0, nlink = 0;
    int error = 0;                      // errno of the last read, 0 if it was read or never tried
    bool seasoned = false;              // the stat vouches for the content even over a restart (loader.cpp)
};

class Locations;  // index.h: where the contents of a View stand in the index

// A pointer that several readers of one View may replace; a copy begins with what the original had.
class LocationsSlot {
  public:
    LocationsSlot() = default;
    LocationsSlot(const LocationsSlot& other) : held_(other.load()) {}
    LocationsSlot& operator=(const LocationsSlot&) = delete;
    std::shared_ptr<const Locations> load() const { return std::atomic_load(&held_); }
    void store(std::shared_ptr<const Locations> locations) { std::atomic_store(&held_, std::move(locations)); }

  private:
    std::shared_ptr<const Locations> held_;
};

class View {
  public:
    static constexpr uint32_t kChunk = 256;
    using Chunk = std::array<Facts, kChunk>;
    const Facts& facts(Position p) const { return facts_at(shape->slot_of(p)); }
    const Facts& facts_at(uint32_t slot) const { return (*chunks[slot / kChunk])[slot % kChunk]; }

    std::shared_ptr<const Shape> shape;
    std::vector<std::shared_ptr<const Chunk>> chunks;
    uint64_t generation = 0;
    mutable LocationsSlot locations;
};
using ViewRef = std::shared_ptr<const View>;

}  // namespace curserve
#endif
