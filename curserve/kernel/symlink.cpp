#include "symlink.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace curserve {

Symlink::Symlink(const std::string& path) {
    struct open_how how;
    std::memset(&how, 0, sizeof how);
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_NO_MAGICLINKS;
    const long fd = ::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how);
    if (fd >= 0) {
        there_.reset(static_cast<int>(fd));
        known_ = ::fstat(there_.get(), &stat_) == 0;
        return;
    }
    error_ = errno;
    // Anything else: an old kernel, a seccomp filter, one of /proc's links (ELOOP), or what each libc words in its own way.
    known_ = error_ == ENOENT || error_ == ENOTDIR;
}

bool Symlink::may_be_listed(const std::string& path) const {
    return ::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0;
}

std::string Symlink::path() const {
    char self[sizeof "/proc/self/fd/" + 10], path[PATH_MAX];
    std::snprintf(self, sizeof self, "/proc/self/fd/%d", there_.get());
    const ssize_t size = ::readlink(self, path, sizeof path);
    if (size <= 0 || static_cast<size_t>(size) == sizeof path) return std::string();
    return std::string(path, static_cast<size_t>(size));
}

Position Symlink::place(const View& view, Position* unlisted) const {
    *unlisted = kNowhere;
    const Shape& shape = *view.shape;
    const std::string path = this->path();
    if (path.empty()) return kNowhere;
    std::string_view below(path);
    if (shape.root != "/") {
        if (below.substr(0, shape.root.size()) != shape.root) return kNowhere;
        below.remove_prefix(shape.root.size());
        if (!below.empty() && below[0] != '/') return kNowhere;
    }
    if (!below.empty()) below.remove_prefix(1);
    const Position at = shape.find(below);
    if (at != kNowhere) return is(view.facts(at)) ? at : kNowhere;
    while (!below.empty()) {
        const size_t slash = below.rfind('/');
        below = below.substr(0, slash == std::string_view::npos ? 0 : slash);
        const Position above = shape.find(below);
        if (above == kNowhere) continue;
        if (shape.kind[above] == Kind::kDirectory && shape.listing[above] == Listing::kUnlisted) *unlisted = above;
        break;
    }
    return kNowhere;
}

}  // namespace curserve
