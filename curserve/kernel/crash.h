// crash.h: what was being served when the process crashed.
//
// In: each search's beginning and end (Serving). Out: on SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT, lines in a file: when,
// which signal, and of every search under way its pid, folder and arguments. The table is fixed and written before it is
// needed, since a handler may only do what is async-signal-safe: no allocation, no lock, write(2). A search that finds no
// free place is not listed. Python's faulthandler, which is installed later, has written the threads' stacks before.
#ifndef CURSERVE_CRASH_H
#define CURSERVE_CRASH_H
#include <cstddef>
#include <cstdint>

namespace curserve {

class Serving {
  public:
    // strings: so many, each ended by a NUL, as in a request: the cwd and the arguments.
    Serving(int32_t pid, const char* strings, size_t size, size_t count);
    ~Serving();
    Serving(const Serving&) = delete;
    Serving& operator=(const Serving&) = delete;

  private:
    int place_;
};

// From now on a crash is written to fd, which stays open. version: one word, kept. 0, or an errno.
int report_crashes(int fd, const char* version);

}  // namespace curserve
#endif
