// symlink.h: what a symbolic link of a tree leads to, now.
//
// In: the absolute path of a link that a View has; the View. Out: what ripgrep's stat of that path would say, and where in
// the View that is. No View holds this (a link's text decides, and all that it names), so it is found out for each
// request: three system calls. A link through one of /proc's own, which mean another thing to each process, stays unknown.
#ifndef CURSERVE_SYMLINK_H
#define CURSERVE_SYMLINK_H
#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "view.h"
#include "walk.h"

namespace curserve {

class Symlink {
  public:
    explicit Symlink(const std::string& path);

    bool known() const { return known_; }
    int error() const { return error_; }  // an errno; 0: it leads somewhere, and the rest is true
    Kind kind() const { return kind_of(stat_.st_mode); }
    uint64_t dev() const { return static_cast<uint64_t>(stat_.st_dev); }
    uint64_t ino() const { return static_cast<uint64_t>(stat_.st_ino); }
    const struct stat& stat() const { return stat_; }
    int descriptor() const { return there_.get(); }  // O_PATH, of what it leads to
    std::string path() const;                        // of that, absolute and resolved; empty: not known
    bool may_be_listed(const std::string& path) const;  // a directory; path: as before
    bool is(const Facts& facts) const { return facts.dev == dev() && facts.ino == ino(); }

    // Where it leads. kNowhere: out of the View, or to what the View has not seen; unless it will when the directory
    // *unlisted has been listed (kNowhere else).
    Position place(const View& view, Position* unlisted) const;

  private:
    Descriptor there_;
    struct stat stat_{};
    int error_ = 0;
    bool known_ = false;
};

}  // namespace curserve
#endif
