#include "walk_order.h"

#include <algorithm>
#include <dirent.h>

namespace curserve {

bool WalkOrder::key(Position position, Key* out) {
    out->clear();
    for (Position p = position; p != 0; p = shape_.parent[p]) {
        const Listed& folder = listed(shape_.parent[p]);
        const auto found = folder.find(std::string(shape_.name(p)));
        if (found == folder.end()) return false;
        out->push_back(found->second);
    }
    std::reverse(out->begin(), out->end());
    return true;
}

const WalkOrder::Listed& WalkOrder::listed(Position folder) {
    const auto known = folders_.find(folder);
    if (known != folders_.end()) return known->second;
    Listed& names = folders_[folder];
    std::string path = shape_.root;
    if (path != "/") path += '/';
    path += shape_.path(folder);
    if (DIR* const dir = ::opendir(path.c_str())) {
        while (const dirent* entry = ::readdir(dir)) names.emplace(entry->d_name, static_cast<uint32_t>(names.size()));
        ::closedir(dir);
    }
    return names;
}

}  // namespace curserve
