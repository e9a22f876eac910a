// peer.h: who is asking, and the request they sent.
//
// In: the listening socket. Out: a connected client with one complete, checked request, and whether it sees the same
// files as we do. Trust: same uid, and the lines of /proc/PID/status that say what a process may see (ids, groups,
// capabilities, no_new_privs, seccomp) equal to ours, and the same mount namespace: a sandbox may hide files, and
// nobody may read through us what they could not read themselves. Facts come from the kernel, not from the client.
#ifndef CURSERVE_PEER_H
#define CURSERVE_PEER_H
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "../../shims/wire.h"

namespace curserve {

struct Peer {
    int fd = -1;
    int32_t pid = 0;
    int32_t parent = 0;  // pid's, while it connected
    uint64_t received_ns = 0;
    uint8_t* payload = nullptr;  // malloc'ed, owned by the caller
    size_t payload_size = 0;
    const char* distrust = nullptr;  // static decline reason, or null
};

// A client of our own uid whose request is not complete yet. Plain data: whoever has it last closes and frees.
struct Incoming {
    int fd = -1;
    int32_t pid = 0, parent = 0;
    cs_wire_head head{};
    size_t got = 0;              // bytes of the frame, the head's first
    uint8_t* payload = nullptr;  // malloc'ed; null at first
    size_t room = 0;             // payload's
};
enum class Reading { kMore, kDone, kBad };  // kBad: told what is wrong with it if that can be said
// Reads what has come; never waits.
Reading read_more(Incoming& client);

// Where threads wait for clients. The thread that came last is woken first: its stack and its heap are still in the
// caches, while a blocking accept() lets all threads take turns.
class Doorbell {
  public:
    explicit Doorbell(int listen_fd);  // throws std::system_error
    ~Doorbell();
    Doorbell(const Doorbell&) = delete;
    Doorbell& operator=(const Doorbell&) = delete;
    // The next connection (close-on-exec), one for each thread that waits. -1: none came within timeout_ms, or it could
    // not be taken; -2: the listener is gone.
    int wait(int timeout_ms);
    // From now on nobody takes a connection here, though the listener goes on (another process may have it); who waits is
    // woken, and told that it is gone. The connection that a thread is just taking is still taken.
    void close();

  private:
    bool arm(int operation);
    const int listen_fd_;
    int epoll_fd_ = -1, closed_fd_ = -1;
    std::atomic<bool> closed_{false};
};

// As cs_desk_next() in kernel.h; 2: *silent is a client whose request did not come at once.
int accept_peer(Doorbell& bell, int timeout_ms, bool trust_sandbox, Peer* out, Incoming* silent);
// A complete client as a Peer.
void finish_peer(const Incoming& client, bool trust_sandbox, Peer* out);
void close_peer(Peer& peer);

// Whether the bytes are a well-formed REQUEST payload: counts and sizes agree, every string is ended.
bool request_is_sound(const uint8_t* payload, size_t size);

// What this process may see, in the words that are compared with a peer's. Empty: unknown.
std::string own_sight();

uint64_t monotonic_ns();

}  // namespace curserve
#endif
