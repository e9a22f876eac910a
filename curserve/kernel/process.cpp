#include "process.h"

#include <cstdio>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

namespace curserve {

namespace {

constexpr int kMostAncestors = 16;  // arbitrary: shells in shells end long before

uint64_t ticks_per_second() { return static_cast<uint64_t>(::sysconf(_SC_CLK_TCK)); }

uint64_t ticks_now() {
    timespec t{};
    ::clock_gettime(CLOCK_BOOTTIME, &t);
    return static_cast<uint64_t>(t.tv_sec) * ticks_per_second() +
           static_cast<uint64_t>(t.tv_nsec) * ticks_per_second() / 1'000'000'000u;
}

}  // namespace

Process process_of(int32_t pid) {
    Process process;
    char path[32];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return process;
    char text[1024];
    const ssize_t n = ::read(fd, text, sizeof text - 1);
    ::close(fd);
    if (n <= 0) return process;
    text[n] = '\0';
    const char* after = std::strrchr(text, ')');  // the name before it may hold anything
    if (after == nullptr) return process;
    char state = 0;
    int group = 0;
    unsigned long long start = 0;
    const int got = std::sscanf(after + 1,
                                " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &state,
                                &process.parent, &group, &process.session, &start);
    process.start_ticks = start;
    process.ok = got == 5;
    return process;
}

Caller caller_of(int32_t pid, int32_t parent) {
    const uint64_t now = ticks_now();
    for (int step = 0; step < kMostAncestors && pid > 0; ++step) {
        const Process process = process_of(pid);
        if (process.ok && (process.start_ticks + ticks_per_second() <= now || process.parent <= 1))
            return Caller{pid, process.start_ticks};
        if (!process.ok && step > 0) break;
        pid = process.ok ? process.parent : parent;
    }
    return Caller{};
}

}  // namespace curserve
