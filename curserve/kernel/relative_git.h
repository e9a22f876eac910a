// relative_git.h: info/exclude of worktrees and submodules whose `.git` file names a relative directory.
//
// ripgrep 15.2.0 opens that directory, and what its `commondir` says, from its own cwd (crates/ignore/src/dir.rs,
// resolve_git_commondir): which rules count depends on the request, so no view can hold them. In: such a directory as
// written, the request's cwd. Out: the bytes of the exclude file, read now; they are few and small.
#ifndef CURSERVE_RELATIVE_GIT_H
#define CURSERVE_RELATIVE_GIT_H
#include <string>
#include <vector>

namespace curserve {

struct RelativeExclude {
    std::string git_dir;   // what follows "gitdir: "
    bool exists = false;   // there is an exclude file, whose bytes these are
    bool unknown = false;  // something stands there that only ripgrep can judge
    std::string bytes;
    bool operator==(const RelativeExclude& o) const {
        return git_dir == o.git_dir && exists == o.exists && unknown == o.unknown && bytes == o.bytes;
    }
};

// cwd: absolute. Reads at most two files.
RelativeExclude read_relative_exclude(const std::string& git_dir, const std::string& cwd);
std::vector<RelativeExclude> read_relative_excludes(const std::vector<std::string>& git_dirs, const std::string& cwd);

}  // namespace curserve
#endif
