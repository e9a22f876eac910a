// git_index.h: what git's index proves about the files of a working tree, so that they need not be read.
//
// In: a root with a `.git`. Out: for a path, the object id that git found in that file, and whether the file's lstat now
// proves that it still holds it; else nothing. What the ids stand for is the store's matter (content.h). Invariant: never a wrong id for the
// bytes that are there; when in doubt, none. The index is read as a stranger's bytes: every offset is checked.
#ifndef CURSERVE_GIT_INDEX_H
#define CURSERVE_GIT_INDEX_H
#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "content.h"

namespace curserve {

class GitIndex {
  public:
    // Reads the index that belongs to a root. False, and it proves nothing: there is none, it is not this user's or not
    // understood, or the configuration may make git convert what it stores.
    bool load(const std::string& root);
    // What the index says of one file; null: nothing that could be proof. Owned by the GitIndex.
    struct Entry {
        uint32_t path_start, path_size;  // in paths_
        uint32_t ctime_s, ctime_ns, mtime_s, mtime_ns, dev, ino, mode, uid, gid, size;
        uint8_t id[ObjectId::kMost];
    };
    // Neighbours in the index, half open. A walk goes from a folder's to those of the folders in it: each look-up is then
    // among few.
    struct Range {
        uint32_t from = 0, to = 0;
    };
    Range all() const { return {0, static_cast<uint32_t>(entries_.size())}; }
    // Of `among`, all of a folder, those below the folder `path` ("" is the root): root-relative, without a slash at its end.
    Range below(Range among, std::string_view path) const;
    // Of `among`, all of a folder, the file at a root-relative path.
    const Entry* find(Range among, std::string_view path) const;
    // What git calls the bytes of that file when it looked at it.
    ObjectId id(const Entry& entry) const;
    // Whether a file with this lstat still has those bytes.
    bool proves(const Entry& entry, const struct stat& st) const;
    size_t size() const { return entries_.size(); }

    // An index file's bytes (id_bytes: 20 or 32). False: damaged, or of a kind not used. Public for tests.
    bool parse(std::string_view bytes, size_t id_bytes);

  private:
    std::string_view path(const Entry& entry) const {
        return std::string_view(paths_).substr(entry.path_start, entry.path_size);
    }

    std::string paths_;
    std::vector<Entry> entries_;   // by path; only regular files without conflicts, flags or promises
    uint8_t id_bytes_ = 0;
    uint32_t reader_ = 0;          // who we are
    int64_t written_ns_ = 0;       // the index file's mtime
};

// Whether an attributes file says anything that makes a file's bytes differ from its object's. True where it cannot be read.
bool converts(int dir_fd, const char* name);

}  // namespace curserve
#endif
