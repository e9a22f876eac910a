// select.h: which files of a View a search looks at, in order.
//
// In: a View, a Filter (ignore switches, overrides, types, depth, size), starting points. Out: positions of files in
// the order of `rg --sort path`, and what must be listed first; or `uncertain`, where ripgrep would have complained.
// Decides as ripgrep 15.2.0's walk would, but reads no file system (GlobalRules and relative_git.h apart, which are
// asked once per call; with --follow symlink.h, which is asked of each link met, and outside.h).
#ifndef CURSERVE_SELECT_H
#define CURSERVE_SELECT_H
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "answers.h"
#include "ignore.h"
#include "view.h"

namespace curserve {

// core.excludesFile and friends for one (HOME, XDG_CONFIG_HOME, GIT_CONFIG_GLOBAL,
// GIT_CONFIG_SYSTEM): compared by stat at each refresh.
class GlobalRules {
  public:
    // No HOME, or an empty one: the home directory of the process's uid, as in ripgrep. An empty git_config_global or
    // XDG_CONFIG_HOME counts as unset.
    static std::shared_ptr<GlobalRules> open(const std::string& home, bool has_home, const std::string& xdg_config_home,
                                             bool has_xdg, const std::string& git_config_global = std::string(),
                                             const std::string& git_config_system = std::string());
    virtual ~GlobalRules() = default;
    struct Now {
        RulesRef rules;         // null: there are none
        uint64_t version = 0;   // another when the rules are
        bool unknown = false;   // a path here is relative, to whatever ripgrep's cwd is: decline
    };
    // Re-reads what changed on disk. Thread-safe.
    virtual Now refresh() = 0;
};

struct Filter {
    IgnoreSwitches switches;
    bool fold_case = false;                         // --ignore-file-case-insensitive
    std::shared_ptr<const Overrides> overrides;     // null: none
    std::shared_ptr<const TypeFilter> types;        // null: none
    std::vector<RulesRef> ignore_files;             // --ignore-file, in order given
    std::string ignore_files_base;                  // the cwd: what their patterns are relative to
    std::shared_ptr<GlobalRules> global;            // null: none
    std::string cwd;                                // absolute; overrides and global excludes are relative to it
    bool ignore_messages = true;                    // false with --no-messages, --no-ignore-messages
    bool follow = false;                            // symbolic links
    int64_t max_depth = -1;                         // -1: no limit
    int64_t max_filesize = -1;                      // bytes, -1: no limit
    uint64_t id = 0;                                // unique per Filter object: the key of the cache
};

// Where files are found: a path argument, that is an entry of the view (a symbolic link already resolved by the caller) and
// how it was written; or what a link led to that a walk followed.
struct Start {
    Position position;
    std::string typed;      // the argument's bytes ("" when implicit); of a followed link: its path as printed
    bool implicit = false;
    Position link = kNowhere;  // the link that was followed, and the start that it was met in
    uint32_t met_in = 0;
    ViewRef view;              // where that position is, if not in the View that is searched (outside.h)

    // The file was named on the command line, rather than found.
    bool names(Position file) const { return file == position && link == kNowhere; }
};

struct Selected {
    Position position;      // in the start's view
    uint32_t start;         // index into the starts, and on into Selection::followed
};

class Shortlist;  // shortlist.h

// What searches found out about a Selection in its tree's latest views, so that the next one need not look at each file
// again. A copy of the Selection may hold other files, and begins without. Safe in every thread.
class SelectionMemo {
  public:
    SelectionMemo() = default;
    SelectionMemo(const SelectionMemo&) {}
    SelectionMemo& operator=(const SelectionMemo&) = delete;

    // Every file's text is held in the view of this generation.
    bool is_held(uint64_t generation) const { return held_in_.load(std::memory_order_acquire) == generation + 1; }
    void set_held(uint64_t generation) { held_in_.store(generation + 1, std::memory_order_release); }

    // What `fits` says yes to, or null.
    template <typename Fits>
    std::shared_ptr<const Shortlist> find(Fits fits) const {
        std::lock_guard<std::mutex> lock(mutex_);
        for (const auto& kept : shortlists_)
            if (kept != nullptr && fits(*kept)) return kept;
        return nullptr;
    }
    void keep(std::shared_ptr<const Shortlist> shortlist) {
        std::lock_guard<std::mutex> lock(mutex_);
        for (auto& kept : shortlists_) kept.swap(shortlist);  // the oldest is left over
    }
    // True from the second time in a row on: what is asked once need not be prepared for.
    bool asked_again(const void* locations) {
        return asked_of_.exchange(locations, std::memory_order_relaxed) == locations;
    }
    // What was printed of just these files.
    Answers answers;

  private:
    std::atomic<uint64_t> held_in_{0};
    std::atomic<const void*> asked_of_{nullptr};
    mutable std::mutex mutex_;
    std::array<std::shared_ptr<const Shortlist>, 2> shortlists_;  // under mutex_
};

// What a followed link led to when it was asked.
struct Followed {
    Position link, target;  // kNowhere: nothing there counts
    int error;
    Kind kind;
    uint64_t dev, ino;
};

// A link that cannot be followed, which ripgrep tells.
struct Complaint {
    std::string path;      // of the link, as walked
    int error;             // errno; 0: it leads to a directory that the walk is in, which as walked is `ancestor`
    std::string ancestor;
    Position link;
    uint32_t start;        // as in Selected
};

struct Selection {
    std::vector<Selected> files;       // in order; a file reachable from two starts appears twice, as in ripgrep
    std::vector<Position> unlisted;    // directories that must be listed before this Selection is true
    std::vector<Start> followed;       // what links led to
    std::vector<Followed> links;       // all that were met: while they lead where they led, this Selection is true
    std::vector<Complaint> complaints; // in the order of the walk
    bool outside = false;              // some links led out of the view
    bool uncertain = false;            // something here cannot be decided exactly: decline
    const char* why_uncertain = nullptr;
    mutable SelectionMemo memo;
};
using SelectionRef = std::shared_ptr<const Selection>;

// Cached per Shape by (filter.id, global version, starts) (size-dependent filters also by generation). Thread-safe.
// Where ripgrep would complain of anything but links (bad globs, unreadable directories), the answer is `uncertain`.
SelectionRef select(const ViewRef& view, const Filter& filter, const std::vector<Start>& starts);

// Forgets what was chosen in this shape; it is chosen anew when it is asked for.
void forget_selections(const Shape& shape);

inline const View& view_of(const Start& start, const View& searched) {
    return start.view != nullptr ? *start.view : searched;
}

// The paths ripgrep prints for the files found from some starts. separator: --path-separator's, or '/'. The starts must
// outlive it, and are best asked of one after the other.
class PrintedPaths {
  public:
    PrintedPaths(const View& searched, const std::vector<Start>& starts, char separator)
        : searched_(searched), starts_(starts), separator_(separator) {}
    std::string_view of(const Selected& file);  // good until the next call

  private:
    void begin(const Start& start);

    const View& searched_;
    const std::vector<Start>& starts_;
    const char separator_;
    const Start* start_ = nullptr;  // the one asked of last, and what is known of it
    const Shape* shape_ = nullptr;
    std::string path_;  // begins with what stands before the path below the start, before_ bytes
    std::string separated_;
    size_t before_ = 0, skip_ = 0;
};
std::string printed_path(const View& searched, const std::vector<Start>& starts, const Selected& file);

}  // namespace curserve
#endif
