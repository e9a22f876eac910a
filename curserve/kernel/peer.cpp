#include "peer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <system_error>
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

// A client writes its request right after connecting. Who is not that quick does not hold a thread (fair.h).
constexpr int kRequestPatienceMs = 2;

constexpr size_t kUsualBytes = 1000;  // of a request's payload; arbitrary, and more is no trouble
constexpr uint64_t kSpinNs = 50'000;  // what it sends is there sooner than a sleeping thread would be back

// What decides what a process may see, but for some lines of its /proc/PID/status.
struct Sight {
    uint64_t mounts = 0;  // the mount namespace's inode
    int32_t parent = 0;
    bool has_one_cpu = false;  // ripgrep does without threads then, and that shows: see cpus.py
    bool ok = false;
};

constexpr std::array<std::string_view, 7> kWanted{"Uid:",        "Gid:",     "Groups:",         "CapEff:",
                                                  "NoNewPrivs:", "Seccomp:", "Seccomp_filters:"};

bool is_wanted(std::string_view line) {
    return std::any_of(kWanted.begin(), kWanted.end(),
                       [&](std::string_view want) { return line.substr(0, want.size()) == want; });
}

// "/proc/PID" (0: our own), and more behind it.
class ProcPath {
  public:
    explicit ProcPath(int32_t pid) {
        add("/proc/");
        if (pid == 0) add("self");
        else end_ = std::to_chars(end_, text_ + sizeof text_, pid).ptr;
    }
    const char* operator()(std::string_view behind) {
        char* const end = end_;
        add(behind);
        *end_ = 0;
        end_ = end;
        return text_;
    }

  private:
    void add(std::string_view part) { end_ = std::copy(part.begin(), part.end(), end_); }
    char text_[48];
    char* end_ = text_;
};

// A mask in hexadecimal, as in /proc/PID/status.
bool has_one_bit(std::string_view mask) {
    int count = 0;
    for (const char digit : mask) {
        if (digit == '1' || digit == '2' || digit == '4' || digit == '8') count += 1;
        else if (digit != '0' && std::isxdigit(static_cast<unsigned char>(digit)) != 0) count += 2;
    }
    return count == 1;
}

// Descriptors that the client need not wait for the end of: what closes them last frees what the kernel made for them.
class Later {
  public:
    ~Later() { close(); }
    void add(int fd) {
        if (count_ == fds_.size()) close();
        fds_[count_++] = fd;
    }
    void close() {
        while (count_ > 0) ::close(fds_[--count_]);
    }

  private:
    std::array<int, 4> fds_{};  // one look's, and our own the first time
    size_t count_ = 0;
};
thread_local Later later;

// In the headers since Linux 6.5 and 6.11.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
constexpr unsigned long kGetMountNamespace = _IO(0xFF, 3);  // PIDFD_GET_MNT_NAMESPACE

// The inode of the mount namespace of who connected. 0: unknown, as it always is before Linux 6.11. What the kernel makes
// to look up a name in /proc/PID is freed while the process ends, and its parent waits for that: this costs it nothing.
uint64_t mounts_by_socket(int fd) {
    static std::atomic<bool> can{true};
    if (!can.load(std::memory_order_relaxed)) return 0;
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) != 0 || pidfd < 0) {
        if (errno == ENOPROTOOPT) can.store(false, std::memory_order_relaxed);
        return 0;
    }
    later.add(pidfd);
    const int space = ::ioctl(pidfd, kGetMountNamespace, 0);
    if (space < 0) {
        if (errno == ENOTTY || errno == EINVAL) can.store(false, std::memory_order_relaxed);
        return 0;
    }
    later.add(space);
    struct stat st{};
    return ::fstat(space, &st) == 0 ? st.st_ino : 0;
}

// The same by the name: "mnt:[4026531841]".
uint64_t mounts_by_name(ProcPath& proc) {
    char name[64];
    const ssize_t size = ::readlink(proc("/ns/mnt"), name, sizeof name - 1);  // cheaper than a stat of what it leads to
    if (size <= 0) return 0;
    name[size] = 0;
    static constexpr char kBefore[] = "mnt:[";
    if (std::strncmp(name, kBefore, sizeof kBefore - 1) != 0) return 0;
    return std::strtoull(name + sizeof kBefore - 1, nullptr, 10);
}

// Those lines of our own, each with its newline.
struct OurLines {
    std::string text;
    void operator()(std::string_view line) { text.append(line).push_back('\n'); }
};

// Whether those of another process are ours.
class SameLines {
  public:
    explicit SameLines(std::string_view ours) : left_(ours) {}
    void operator()(std::string_view line) {
        const bool same = left_.size() > line.size() && left_.substr(0, line.size()) == line && left_[line.size()] == '\n';
        differ_ = differ_ || !same;
        if (same) left_.remove_prefix(line.size() + 1);
    }
    bool all() const { return !differ_ && left_.empty(); }

  private:
    std::string_view left_;  // to come
    bool differ_ = false;
};

// pid: 0 for our own, else the process at the other end of `connection`. see(line): those lines, in their order.
template <typename See>
Sight sight_of(int32_t pid, int connection, See& see) {
    Sight sight;
    ProcPath proc(pid);
    const int fd = ::open(proc("/status"), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return sight;
    char text[8192];
    size_t size = 0;
    const ssize_t n = ::read(fd, text, sizeof text);  // the kernel makes all of it at once, some 1,400 bytes
    if (n > 0) size = static_cast<size_t>(n);
    later.add(fd);
    std::string_view rest(text, size);
    bool any = false;
    while (!rest.empty()) {
        const size_t end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        if (is_wanted(line)) {
            any = true;
            see(line);
        }
        if (line.substr(0, 13) == "Cpus_allowed:") sight.has_one_cpu = has_one_bit(line.substr(13));
        if (line.substr(0, 5) == "PPid:") sight.parent = std::atoi(line.data() + 5);  // ended by its newline
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
    }
    if (connection >= 0) sight.mounts = mounts_by_socket(connection);
    if (sight.mounts == 0) sight.mounts = mounts_by_name(proc);
    sight.ok = any && sight.mounts != 0;
    return sight;
}

// connection: with pid. parent: receives that of pid, 0 if it is not known.
const char* distrust_of(int connection, int32_t pid, bool trust_sandbox, int32_t* parent) {
    if (pid <= 0) return "pid_namespace";
    static OurLines our_lines;
    static const Sight ours = sight_of(0, -1, our_lines);
    SameLines same(our_lines.text);
    const Sight theirs = sight_of(pid, connection, same);
    *parent = theirs.parent;
    if (!ours.ok || !theirs.ok) return "peer_unknown";
    if (theirs.mounts != ours.mounts) return "mount_namespace";
    if (!same.all() && !trust_sandbox) return "sandbox";
    return theirs.has_one_cpu == ours.has_one_cpu ? nullptr : "cpus";
}

void fill_peer(const Incoming& client, const char* distrust, Peer* out) {
    out->fd = client.fd;
    out->pid = client.pid;
    out->parent = client.parent;
    out->received_ns = monotonic_ns();
    out->payload = client.payload;
    out->payload_size = client.head.size;
    out->distrust = distrust;
}

}  // namespace

std::string own_sight() {
    OurLines lines;
    const Sight sight = sight_of(0, -1, lines);
    later.close();
    return sight.ok ? lines.text + "mnt:[" + std::to_string(sight.mounts) + "]" : std::string();
}

Doorbell::Doorbell(int listen_fd) : listen_fd_(listen_fd), epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)) {
    // What rings is there to be taken; should it not be, a thread must not be stuck.
    const timeval patience{0, 1000};
    ::setsockopt(listen_fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (epoll_fd_ >= 0 && arm(EPOLL_CTL_ADD)) return;
    const int error = errno;
    if (epoll_fd_ >= 0) ::close(epoll_fd_);
    throw std::system_error(error, std::generic_category(), "the listening socket");
}

Doorbell::~Doorbell() {
    ::close(epoll_fd_);
    if (closed_fd_ >= 0) ::close(closed_fd_);
}

void Doorbell::close() {
    if (closed_.exchange(true)) return;
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, listen_fd_, nullptr);
    closed_fd_ = ::eventfd(1, EFD_CLOEXEC);  // rings for ever
    epoll_event want{};
    want.events = EPOLLIN;
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, closed_fd_, &want);
}

// One event wakes one thread, and none more until that one has taken its connection. Arming looks again: what came
// meanwhile wakes the next thread at once.
bool Doorbell::arm(int operation) {
    epoll_event want{};
    want.events = EPOLLIN | EPOLLONESHOT;
    return ::epoll_ctl(epoll_fd_, operation, listen_fd_, &want) == 0;
}

int Doorbell::wait(int timeout_ms) {
    epoll_event ring{};
    const int rings = ::epoll_wait(epoll_fd_, &ring, 1, timeout_ms);
    if (closed_.load()) return -2;
    if (rings < 1) {
        int listening = 0;
        socklen_t size = sizeof listening;
        return ::getsockopt(listen_fd_, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0 ? -1 : -2;
    }
    const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
    const int error = errno;
    // Out of descriptors: wait a little, or the loop would spin on the same connection.
    if (fd < 0 && (error == EMFILE || error == ENFILE)) ::usleep(10'000);
    const bool armed = arm(EPOLL_CTL_MOD);
    if (fd >= 0) return fd;
    return !armed || error == EBADF || error == EINVAL || error == ENOTSOCK ? -2 : -1;
}

int accept_peer(Doorbell& bell, int timeout_ms, bool trust_sandbox, Peer* out, Incoming* silent) {
    later.close();  // what this thread saw last was answered
    const int fd = bell.wait(timeout_ms);
    if (fd < 0) return fd == -2 ? -1 : 0;
    ucred who{};
    socklen_t who_size = sizeof who;
    static const uid_t us = ::geteuid();
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_size) != 0 || who.uid != us) {
        ::close(fd);
        return 0;
    }
    // While the client, which connects first, is still putting its question together.
    Incoming client;
    const char* const distrust = distrust_of(fd, who.pid, trust_sandbox, &client.parent);
    client.fd = fd;
    client.pid = who.pid;
    const uint64_t spin_until_ns = monotonic_ns() + kSpinNs;
    for (;;) {
        switch (read_more(client)) {
        case Reading::kDone:
            fill_peer(client, distrust, out);
            return 1;
        case Reading::kBad:
            ::close(fd);
            std::free(client.payload);
            return 0;
        case Reading::kMore: break;
        }
        if (monotonic_ns() < spin_until_ns) {
            ::sched_yield();
            continue;
        }
        pollfd wait{fd, POLLIN, 0};
        if (::poll(&wait, 1, kRequestPatienceMs) == 0) {
            *silent = client;
            return 2;
        }
    }
}

Reading read_more(Incoming& client) {
    if (client.payload == nullptr) {
        client.room = kUsualBytes;
        client.payload = static_cast<uint8_t*>(std::malloc(client.room));
        if (client.payload == nullptr) return Reading::kBad;
    }
    for (;;) {
        if (client.got >= sizeof client.head) {
            const cs_wire_head& head = client.head;
            if (head.magic != CS_WIRE_MAGIC) return Reading::kBad;
            if (head.version != CS_WIRE_VERSION || head.type != CS_WIRE_REQUEST || head.size > CS_WIRE_MAX_REQUEST) {
                Reply(client.fd).decline(head.version != CS_WIRE_VERSION ? "version" : "bad_frame");
                return Reading::kBad;
            }
            if (client.got >= sizeof head + head.size) {  // nobody has asked for anything behind it
                if (request_is_sound(client.payload, head.size)) return Reading::kDone;
                Reply(client.fd).decline("bad_frame");
                return Reading::kBad;
            }
            if (head.size > client.room) {
                auto* const larger = static_cast<uint8_t*>(std::realloc(client.payload, head.size));
                if (larger == nullptr) return Reading::kBad;
                client.payload = larger;
                client.room = head.size;
            }
        }
        // Head and payload at once: mostly both are there.
        const size_t of_head = std::min(client.got, sizeof client.head), of_payload = client.got - of_head;
        iovec to[2] = {{reinterpret_cast<uint8_t*>(&client.head) + of_head, sizeof client.head - of_head},
                       {client.payload + of_payload, client.room - of_payload}};
        msghdr message{};
        message.msg_iov = to;
        message.msg_iovlen = 2;
        const ssize_t n = ::recvmsg(client.fd, &message, MSG_DONTWAIT);
        if (n > 0) {
            client.got += static_cast<size_t>(n);
        } else if (n == 0) {
            return Reading::kBad;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return Reading::kMore;
        } else if (errno != EINTR) {
            return Reading::kBad;
        }
    }
}

// What such a client is may have changed since it connected.
void finish_peer(const Incoming& client, bool trust_sandbox, Peer* out) {
    Incoming now = client;
    const char* const distrust = distrust_of(client.fd, client.pid, trust_sandbox, &now.parent);
    later.close();
    fill_peer(now, distrust, out);
}

void close_peer(Peer& peer) {
    if (peer.fd >= 0) ::close(peer.fd);
    std::free(peer.payload);
    peer = Peer{};
}

}  // namespace curserve
