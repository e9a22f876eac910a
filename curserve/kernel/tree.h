// tree.h: one workspace, alive: it walks a root once, follows its changes, and publishes Views.
//
// In: a root, inotify events (through Watch), the barrier. Out: a ViewRef that contains every change which finished
// before the barrier began, or the reason why none can be given. Invariant: a published View is never touched again.
// Does not know: requests, patterns, filters beyond "what is worth loading".
#ifndef CURSERVE_TREE_H
#define CURSERVE_TREE_H
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "view.h"

namespace curserve {

class Archive;  // archive.h: what was kept of earlier processes
class Watch;  // watch.h: the one inotify instance of the process and its reader thread

struct Progress {
    std::atomic<uint64_t> directories{0}, files{0}, bytes{0}, total_files{0};
    std::atomic<bool> cancel{false};
};

enum class TreeState : int { kLoading = 0, kLive = 1, kStale = 2, kPoisoned = 3, kGone = 4 };

class Tree : public std::enable_shared_from_this<Tree> {
  public:
    // root: absolute, resolved (realpath). Watches the root's ancestors too. Never blocks for long; load() works.
    // archive: may be null.
    static std::shared_ptr<Tree> open(std::shared_ptr<Store> store, std::shared_ptr<Watch> watch,
                                      const std::string& root, std::shared_ptr<Archive> archive = nullptr);
    virtual ~Tree() = default;

    // Walks, watches and reads everything worth having, on `threads` threads; returns when the first View is published.
    // Returns 0 or an errno. Lists a directory only after its watch is in place.
    virtual int load(unsigned threads, Progress&) = 0;

    // Everything that changed before this call is in the View returned. Null: *reason is a decline reason word
    // ("loading", "stale", "poisoned", "gone", "busy", "unsettled").
    virtual ViewRef barrier(const char** reason) = 0;

    // Lists unlisted directories and/or loads files not held, then publishes. Returns the new View; null and a reason
    // ("too_much") when it would take more than budget_bytes of reading or 200,000 entries (the work is not begun).
    virtual ViewRef extend(const ViewRef& view, const std::vector<Position>& list, const std::vector<Position>& load,
                           uint64_t budget_bytes, const char** reason) = 0;

    virtual TreeState state() const = 0;
    virtual std::string why() const = 0;  // one line for people when the state is not live

    struct Numbers {
        uint64_t generation, entries, files, files_held, text_bytes, watches, dirty, unsettled, overflows, reads;
        uint64_t known;  // files of the first walk that were not read: their content was held, or kept on disk
        bool resting;
    };
    virtual Numbers numbers() const = 0;
    virtual ViewRef latest() const = 0;  // what was published last, without a barrier; null: nothing
    virtual const std::string& root() const = 0;
    // Identity of the root: stat device and inode, and statx mount id. The session compares them with the client's.
    struct Identity {
        uint64_t dev, ino, mnt;
    };
    virtual Identity identity() const = 0;
    // Compares every file held with its stat and marks what differs for the next barrier: what no event tells (stores
    // into shared mappings, writes through unknown links). To be called every 30 s or so; keeps no barrier waiting.
    virtual void sweep() = 0;
    // To be called now and then: needs less memory until the next change, if nothing has changed since the last call
    // and no file must be compared by stat at each barrier; or anyway (for tests).
    virtual void rest(bool anyway = false) = 0;
    virtual void close() = 0;  // removes the watches; barrier() gives "gone" from then on
};

}  // namespace curserve
#endif
