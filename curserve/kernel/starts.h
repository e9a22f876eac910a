// starts.h: where a search begins: what the paths on its command line name.
//
// In: paths as typed, the client's resolved cwd, a View. Out: positions. A name through symbolic links means what the file
// system says now; everything else is the View's. Throws Declined for what only the real rg can say.
#ifndef CURSERVE_STARTS_H
#define CURSERVE_STARTS_H
#include <string>
#include <vector>

#include "select.h"
#include "view.h"

namespace curserve {

// Where a search begins, what was named but is not there, and directories above a name that must be listed first.
struct Starts {
    std::vector<Start> there;
    struct Missing {
        std::string shown;  // as messages show it
        size_t before;      // so many of `there` were named before it
    };
    std::vector<Missing> missing;
    std::vector<Position> unlisted;
};

// Messages are text: what is no UTF-8 in a path is shown as U+FFFD.
std::string in_messages(const std::string& path);

// No paths: the cwd, implicitly.
Starts locate_starts(const View& view, const std::vector<std::string>& paths, const std::string& cwd);

}  // namespace curserve
#endif
