#include "peer.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "../../shims/wire.h"
#include "reply.h"

namespace curserve {

uint64_t monotonic_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

bool request_is_sound(const uint8_t* payload, size_t size) {
    if (size < sizeof(cs_wire_request)) return false;
    cs_wire_request request;
    std::memcpy(&request, payload, sizeof request);
    const size_t strings = size - sizeof request;
    if (request.strings_size != strings || strings == 0) return false;
    const uint8_t* text = payload + sizeof request;
    if (text[strings - 1] != 0) return false;
    size_t ends = 0;
    for (const uint8_t* p = text; (p = static_cast<const uint8_t*>(
             std::memchr(p, 0, static_cast<size_t>(text + strings - p)))) != nullptr;) {
        ++ends;
        if (++p == text + strings) break;
    }
    return ends == uint64_t{1} + request.argc + request.envc && text[0] == '/';
}

namespace {

constexpr int kRequestPatienceMs = 1000;  // a client writes its request right after connecting

constexpr uint64_t kSpinNs = 50'000;      // what it sends is there sooner than a sleeping thread would be back

// Reads exactly size bytes before the deadline.
bool receive(int fd, void* to, size_t size, uint64_t deadline_ns) {
    auto* at = static_cast<uint8_t*>(to);
    const uint64_t spin_until_ns = monotonic_ns() + kSpinNs;
    while (size > 0) {
        const ssize_t n = ::recv(fd, at, size, MSG_DONTWAIT);
        if (n > 0) {
            at += n;
            size -= static_cast<size_t>(n);
            continue;
        }
        if (n == 0) return false;
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
        const uint64_t now = monotonic_ns();
        if (now >= deadline_ns) return false;
        if (now < spin_until_ns) {
            ::sched_yield();
            continue;
        }
        pollfd wait{fd, POLLIN, 0};
        const int left_ms = static_cast<int>((deadline_ns - now) / 1'000'000u) + 1;
        if (::poll(&wait, 1, left_ms) < 0 && errno != EINTR) return false;
    }
    return true;
}

// The parts of /proc/PID/status and ns/mnt that decide what a process may see.
struct Sight {
    std::string lines;
    dev_t ns_dev = 0;
    ino_t ns_ino = 0;
    bool ok = false;
};

Sight sight_of(const char* proc) {
    static constexpr std::array<std::string_view, 7> kWanted{"Uid:",    "Gid:",        "Groups:", "CapEff:",
                                                             "NoNewPrivs:", "Seccomp:", "Seccomp_filters:"};
    Sight sight;
    char path[64];
    std::snprintf(path, sizeof path, "%s/status", proc);
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return sight;
    char text[8192];
    size_t size = 0;
    const ssize_t n = ::read(fd, text, sizeof text);  // the kernel makes all of it at once, some 1,400 bytes
    if (n > 0) size = static_cast<size_t>(n);
    ::close(fd);
    std::string_view rest(text, size);
    while (!rest.empty()) {
        const size_t end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        for (const std::string_view want : kWanted)
            if (line.substr(0, want.size()) == want) sight.lines.append(line).push_back('\n');
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
    }
    std::snprintf(path, sizeof path, "%s/ns/mnt", proc);
    struct stat st{};
    if (::stat(path, &st) != 0) return sight;
    sight.ns_dev = st.st_dev;
    sight.ns_ino = st.st_ino;
    sight.ok = !sight.lines.empty();
    return sight;
}

const char* distrust_of(int32_t pid, bool trust_sandbox) {
    if (pid <= 0) return "pid_namespace";
    static const Sight ours = sight_of("/proc/self");
    char proc[32];
    std::snprintf(proc, sizeof proc, "/proc/%d", pid);
    const Sight theirs = sight_of(proc);
    if (!ours.ok || !theirs.ok) return "peer_unknown";
    if (theirs.ns_dev != ours.ns_dev || theirs.ns_ino != ours.ns_ino) return "mount_namespace";
    if (theirs.lines != ours.lines && !trust_sandbox) return "sandbox";
    return nullptr;
}

}  // namespace

int accept_peer(int listen_fd, int timeout_ms, bool trust_sandbox, Peer* out) {
    // A blocking accept wakes one of the waiting threads; a poll before it would wake them all.
    const timeval patience{timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    ::setsockopt(listen_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const int fd = ::accept4(listen_fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) {
        // Out of descriptors: wait a little, or the loop would spin on the same connection.
        if (errno == EMFILE || errno == ENFILE) ::usleep(10'000);
        return errno == EBADF || errno == EINVAL || errno == ENOTSOCK ? -1 : 0;
    }
    ucred who{};
    socklen_t who_size = sizeof who;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_size) != 0 || who.uid != ::geteuid()) {
        ::close(fd);
        return 0;
    }
    // While the client, which connects first, is still putting its question together.
    const char* const distrust = distrust_of(who.pid, trust_sandbox);
    const uint64_t deadline_ns = monotonic_ns() + uint64_t{kRequestPatienceMs} * 1'000'000u;
    cs_wire_head head{};
    if (!receive(fd, &head, sizeof head, deadline_ns) || head.magic != CS_WIRE_MAGIC) {
        ::close(fd);
        return 0;
    }
    if (head.version != CS_WIRE_VERSION || head.type != CS_WIRE_REQUEST || head.size > CS_WIRE_MAX_REQUEST) {
        Reply(fd).decline(head.version != CS_WIRE_VERSION ? "version" : "bad_frame");
        ::close(fd);
        return 0;
    }
    auto* payload = static_cast<uint8_t*>(std::malloc(head.size > 0 ? head.size : 1));
    if (payload == nullptr || !receive(fd, payload, head.size, deadline_ns) || !request_is_sound(payload, head.size)) {
        Reply(fd).decline("bad_frame");
        std::free(payload);
        ::close(fd);
        return 0;
    }
    out->fd = fd;
    out->pid = who.pid;
    out->received_ns = monotonic_ns();
    out->payload = payload;
    out->payload_size = head.size;
    out->distrust = distrust;
    return 1;
}

}  // namespace curserve
