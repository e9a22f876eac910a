// watch.h: the one inotify instance of the process, and the letter box each tree reads from.
//
// In: inotify events. Out: Marks: which names in which watched directories may have changed, and what is known of
// writers that still hold them. Invariant: when drain() returns, every event the kernel had queued before it was called
// is in the letter boxes. Only marks: opens no file, decides nothing. Does not know: nodes, views.
#ifndef CURSERVE_WATCH_H
#define CURSERVE_WATCH_H
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "brief_mutex.h"

namespace curserve {

// What the events say of writers that may hold the name open under another name (see the head of tree.cpp).
enum class Settle : uint8_t {
    kKeep,     // nothing new: as the node is
    kOpen,     // the name was made, and nobody closed a writer under it since
    kClosed,   // it was made, and a writer closed it under this name before anybody looked
    kArrived,  // it came from a directory that is not watched: who closes it tells nothing of others
    kInherit,  // it was renamed from (from_dir, from_name), about which nothing new was known
};

struct Mark {
    uint32_t mask = 0;  // inotify bits seen, or'ed
    Settle settle = Settle::kKeep;
    uint64_t from_dir = 0;
    std::string from_name;
    uint8_t carried = 0;  // for the tree: what is known of the node at (from_dir, from_name)
};

using Names = std::unordered_map<std::string, Mark>;

class LetterBox {
  public:
    struct Mail {
        std::unordered_map<uint64_t, Names> names;  // by the directory's id
        std::unordered_set<uint64_t> lost;          // directories whose watch is gone (deleted, unmounted)
        std::unordered_set<uint64_t> moved;         // directories that were renamed themselves
        bool overflow = false;                      // events were lost: everything may have changed
        bool empty() const { return names.empty() && lost.empty() && moved.empty() && !overflow; }
    };
    Mail take();
    void mark(uint64_t dir, const std::string& name);  // "look at this name again"
    uint64_t size() const { return count_.load(std::memory_order_relaxed); }
    uint64_t overflows() const { return overflows_.load(std::memory_order_relaxed); }

  private:
    friend class Watch;
    struct Move {
        uint32_t cookie;
        uint64_t dir;
        std::string name;
        Settle settle;
    };
    void deliver(uint64_t dir, uint32_t mask, uint32_t cookie, const char* name);
    void overflow();
    void overflow_locked();
    std::mutex mutex_;
    Mail mail_;                 // under mutex_
    std::deque<Move> moves_;    // under mutex_: the latest MOVED_FROMs, waiting for their MOVED_TO
    std::atomic<uint64_t> count_{0}, overflows_{0};
    static constexpr uint64_t kMost = 100000;  // marks; beyond, a rescan is cheaper
    static constexpr size_t kMoves = 64;       // arbitrary; the pair is queued within one rename(2)
};

class Watch {
  public:
    // Throws std::runtime_error with one line for people when inotify cannot be had.
    // nap_ms: what its reader rests between two reads (a test that wants an overflow lets it oversleep).
    static std::shared_ptr<Watch> open(int nap_ms = kNapMs);
    static constexpr int kNapMs = 2;  // the queue holds 16,384 events, so churn of up to 8 events/us is kept up with
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    static const uint32_t kTreeMask;      // directories of a tree
    static const uint32_t kAncestorMask;  // directories above a root: names only

    // Watches the directory open at dir_fd. Events go to `box` as marks of `dir`. Returns the watch descriptor or -errno.
    // The same directory may be watched for several boxes and ids.
    int add(int dir_fd, uint32_t mask, const std::shared_ptr<LetterBox>& box, uint64_t dir);
    void remove(int wd, const LetterBox* box, uint64_t dir);
    void drain();
    uint64_t watches() const { return watches_.load(std::memory_order_relaxed); }

  private:
    struct Target {
        LetterBox* box = nullptr;  // of boxes_
        uint64_t dir = 0;
    };
    // Watch descriptors are handed out in ascending order, a tree's one after the other: a page of targets costs a
    // quarter of what a node of a hash table for each would.
    struct Page {
        static constexpr int kSize = 256;
        std::array<Target, kSize> first;            // null: not watched
        uint32_t used = 0;                          // of them
    };
    template <typename Visit>
    void each_target(int wd, Visit visit);
    void forget(int wd);
    Watch(int fd, int stop_fd, int nap_ms);
    void drain_locked();
    void distribute(const char* buffer, size_t size);
    void run();

    const int fd_, stop_fd_, nap_ms_;
    BriefMutex mutex_;                                      // before any LetterBox's
    std::unordered_map<int, std::unique_ptr<Page>> pages_;  // under mutex_: by wd / kSize
    std::unordered_map<int, std::vector<Target>> more_;     // under mutex_: of directories watched more than once
    struct Box {
        std::shared_ptr<LetterBox> box;
        uint64_t targets;
    };
    std::unordered_map<const LetterBox*, Box> boxes_;       // under mutex_: of all targets
    std::atomic<uint64_t> removals_{0};                     // changes under mutex_
    std::vector<char> buffer_;                              // under mutex_
    std::atomic<uint64_t> watches_{0};
    std::thread reader_;
};

}  // namespace curserve
#endif
