// process.h: what /proc says of another process, and which long-lived process a short-lived one works for.
#ifndef CURSERVE_PROCESS_H
#define CURSERVE_PROCESS_H
#include <cstdint>

namespace curserve {

// Of /proc/PID/stat. ok: it was there.
struct Process {
    int32_t parent = 0, session = 0;
    uint64_t start_ticks = 0;  // since boot
    bool ok = false;
};
Process process_of(int32_t pid);

// Who asks, as people see it: the nearest process at or above `pid` that was not made for this one command, that is, has
// lived for a second. `parent` is taken for pid's own if that has ended by now. pid 0: all of them have ended.
struct Caller {
    int32_t pid = 0;
    uint64_t start_ticks = 0;
};
Caller caller_of(int32_t pid, int32_t parent);

}  // namespace curserve
#endif
