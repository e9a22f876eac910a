// peer.h: who is asking, and the request they sent.
//
// In: the listening socket. Out: a connected client with one complete, checked request, and whether it sees the same
// files as we do. Trust: same uid, and the lines of /proc/PID/status that say what a process may see (ids, groups,
// capabilities, no_new_privs, seccomp) equal to ours, and the same mount namespace: a sandbox may hide files, and
// nobody may read through us what they could not read themselves. Facts come from the kernel, not from the client.
#ifndef CURSERVE_PEER_H
#define CURSERVE_PEER_H
#include <cstddef>
#include <cstdint>

namespace curserve {

struct Peer {
    int fd = -1;
    int32_t pid = 0;
    uint64_t received_ns = 0;
    uint8_t* payload = nullptr;  // malloc'ed, owned by the caller
    size_t payload_size = 0;
    const char* distrust = nullptr;  // static decline reason, or null
};

// As cs_accept() in kernel.h.
int accept_peer(int listen_fd, int timeout_ms, bool trust_sandbox, Peer* out);

// Whether the bytes are a well-formed REQUEST payload: counts and sizes agree, every string is ended.
bool request_is_sound(const uint8_t* payload, size_t size);

uint64_t monotonic_ns();

}  // namespace curserve
#endif
