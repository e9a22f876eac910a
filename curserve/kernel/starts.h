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
    std::vector<std::string> missing;  // as messages show them
    std::vector<Position> unlisted;
};

// No paths: the cwd, implicitly.
Starts locate_starts(const View& view, const std::vector<std::string>& paths, const std::string& cwd);

}  // namespace curserve
#endif
