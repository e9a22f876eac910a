// walk.h: the file-system calls of a walk, and the threads that share one.
//
// In: descriptors and root-relative paths. Out: open directories, their names, the rules of their ignore files. Nothing
// here follows a symlink inside the tree. Does not know: nodes, watches, views.
#ifndef CURSERVE_WALK_H
#define CURSERVE_WALK_H
#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "brief_mutex.h"
#include "cores.h"
#include "ignore.h"
#include "view.h"

namespace curserve {

class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() { reset(-1); }
    Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) {
            reset(other.fd_);
            other.fd_ = -1;
        }
        return *this;
    }
    int get() const { return fd_; }
    void reset(int fd);

  private:
    int fd_ = -1;
};

// Opens the directory at a relative path below root_fd ("" is root_fd's own); no component may be a symlink.
// Returns a descriptor to list and to watch, or -errno.
int open_directory(int root_fd, const std::string& path);

// From here on this thread's working directory is its own, where the kernel allows that: inotify takes nothing but paths,
// and "." costs 2 us less than /proc/self/fd/N (watch.cpp). For threads that end soon: it keeps the last folder busy.
void roam();
// Moves this thread into an open directory. False: its working directory is not its own, or it may not go there.
bool move_into(int dir_fd);

struct Listed {
    std::string name;
    unsigned char type;  // DT_*, DT_UNKNOWN where the file system does not say
};
// The names in a directory just opened, without "." and "..", unsorted. Returns 0 or an errno.
int list_directory(int fd, std::vector<Listed>* out);

Kind kind_of(mode_t mode);
Kind kind_of_type(unsigned char type);  // DT_UNKNOWN gives kOther: stat it
int64_t now_ns();                       // CLOCK_REALTIME, the clock of ctime
uint64_t mount_id(int fd);              // statx; 0 where the kernel does not say
// Null where local events tell of every change; otherwise the name of a file system where they do not.
const char* deaf_file_system(int fd);
// Whether a file's stat may stay the same for good while a program stores into its shared mapping (tmpfs).
bool forgets_mapped_stores(int fd);
// The mount points at or below `root` with their ids, as one comparable text.
std::string mounts_below(int mountinfo_fd, const std::string& root);

// A file outside the reach of events that decides what a directory's rules are: compared by stat.
struct Source {
    std::string path;       // absolute; followed
    bool exists = false;
    bool racy = false;      // its stat does not vouch for what was read
    uint64_t dev = 0, ino = 0, size_bytes = 0;
    int64_t mtime_ns = 0, ctime_ns = 0;
    bool changed() const;   // one stat; true for a racy one
};

struct RulesFound {
    DirRulesRef rules;            // never null
    std::vector<Source> sources;  // what must be compared by stat to know that `rules` still hold
};
// Names whose coming, going or changing changes a directory's rules: .gitignore .ignore .rgignore .git .jj
bool decides_rules(std::string_view name);
// Reads the rules of one directory as ripgrep 15.2.0 does (I/O errors mean "no rules"). dir_fd: the directory, open;
// absolute: its path. by_stat: nobody watches it, so all five names become sources; otherwise only those that are
// symlinks, and what lies in the git directory.
RulesFound read_rules(int dir_fd, const std::string& absolute, bool by_stat);

// Jobs that may add jobs, on a few threads; run() returns when none is left. Newest first, so that a walk goes deep
// before it goes wide and its queue stays short. What a job throws ends the others' queue and is thrown by run().
class Gang {
  public:
    using Job = std::function<void()>;
    void add(Job job);
    void run(unsigned threads);    // this thread included
    void roam(unsigned threads);   // the same in as many new threads, which may move about (see roam above)
    bool empty() const { return jobs_.empty(); }

  private:
    void work();
    std::vector<std::thread> hire(unsigned threads, const Cores& cores, bool roaming);
    void part(std::vector<std::thread>& hired);
    BriefMutex mutex_;
    std::condition_variable_any wake_;
    size_t waiting_ = 0;    // under mutex_
    std::deque<Job> jobs_;  // under mutex_
    size_t running_ = 0;    // under mutex_
    std::exception_ptr failure_;  // under mutex_: the first
};

}  // namespace curserve
#endif
