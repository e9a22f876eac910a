// select.h: which files of a View a search looks at, in order.
//
// In: a View, a Filter (ignore switches, overrides, types, depth, size), starting points. Out: positions of files in
// the order of `rg --sort path`, and what must be listed first; or `uncertain`, where ripgrep would have complained.
// Decides as ripgrep 15.2.0's walk would, but reads no file system (GlobalRules and relative_git.h apart, which are
// asked once per call).
#ifndef CURSERVE_SELECT_H
#define CURSERVE_SELECT_H
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

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
    bool follow = false;                            // where a walk meets a link, it is uncertain
    int64_t max_depth = -1;                         // -1: no limit
    int64_t max_filesize = -1;                      // bytes, -1: no limit
    uint64_t id = 0;                                // unique per Filter object: the key of the cache
};

// One path argument: an entry of the view (a symbolic link already resolved by the caller) and how it was written.
struct Start {
    Position position;
    std::string typed;      // the argument's bytes ("" when implicit)
    bool implicit = false;
};

struct Selected {
    Position position;
    uint32_t start;         // index into the starts
};

struct Selection {
    std::vector<Selected> files;       // in order; a file reachable from two starts appears twice, as in ripgrep
    std::vector<Position> unlisted;    // directories that must be listed before this Selection is true
    std::vector<std::string> messages; // what ripgrep would print on stderr (without "rg: "), in order; may be empty
    bool uncertain = false;            // something here cannot be decided exactly: decline
    const char* why_uncertain = nullptr;
};
using SelectionRef = std::shared_ptr<const Selection>;

// Cached per Shape by (filter.id, global version, starts) (size-dependent filters also by generation). Thread-safe.
// `messages` stays empty: where ripgrep would complain about the walk (bad globs, unreadable directories) its words
// depend on its threads, so the answer is `uncertain`.
SelectionRef select(const ViewRef& view, const Filter& filter, const std::vector<Start>& starts);

// Forgets what was chosen in this shape; it is chosen anew when it is asked for.
void forget_selections(const Shape& shape);

// The path ripgrep prints for a file found from `start` (separators not yet replaced by --path-separator).
std::string printed_path(const Shape& shape, const Start& start, Position file);

}  // namespace curserve
#endif
