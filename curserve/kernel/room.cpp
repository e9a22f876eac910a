#include "room.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

namespace curserve {

Room& Room::instance() {
    static Room room;
    return room;
}

uint64_t Room::resident_bytes() {
    static const uint64_t page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    char text[128];
    const int fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    const ssize_t n = ::read(fd, text, sizeof text - 1);
    ::close(fd);
    unsigned long long all = 0, resident = 0;
    if (n <= 0) return 0;
    text[n] = '\0';
    return std::sscanf(text, "%llu %llu", &all, &resident) == 2 ? resident * page : 0;
}

bool Room::wait(uint64_t more, const std::atomic<bool>& cancel) {
    const uint64_t most = most_bytes_.load(std::memory_order_relaxed);
    if (most == 0 || grown_bytes_.load(std::memory_order_relaxed) + more < kLookBytes) return !cancel.load();
    grown_bytes_.store(0, std::memory_order_relaxed);
    if (resident_bytes() + more <= most) return !cancel.load();
    waiting_.fetch_add(1, std::memory_order_relaxed);
    while (!cancel.load() && resident_bytes() + more > most_bytes_.load(std::memory_order_relaxed)) ::usleep(kPauseUs);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return !cancel.load();
}

}  // namespace curserve
