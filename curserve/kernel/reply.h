// reply.h: the frames that answer one client.
//
// In: bytes for stdout or stderr, then an exit code or a decline. Out: frames on the client's socket, through one large
// buffer, so that a short answer leaves in a single send together with its EXIT. A larger one waits in a memory file, if
// the client may have it so, and leaves in a single send as well, up to kMostHeld: then what is there is sent, and the
// rest as it comes. Invariant: once any byte was sent, no DECLINE follows. Waits for a slow client at most kPatience
// without progress, and not beyond the request's deadline, then gives it up. Used by one thread at a time, but for what
// is said to be any thread's.
#ifndef CURSERVE_REPLY_H
#define CURSERVE_REPLY_H
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <sys/uio.h>
#include <vector>

#include "../../shims/wire.h"

namespace curserve {

// When the answer to one request must have ended. What is allowed is read anew each time: it may be configured meanwhile.
struct Deadline {
    uint64_t received_ns = 0;
    const std::atomic<uint64_t>* allowed_ns = nullptr;  // null: for ever
    bool is_over() const;
};

class Reply {
  public:
    // may_hold: the client takes files (CS_ASKS_FILE).
    explicit Reply(int fd, Deadline deadline = {}, bool may_hold = false)
        : fd_(fd), deadline_(deadline), may_hold_(may_hold) {
        buffer_.reserve(4096);
    }
    ~Reply() { drop_file(); }
    Reply(const Reply&) = delete;
    Reply& operator=(const Reply&) = delete;
    // Both false when the client is gone: stop working for it.
    bool out(const void* data, size_t size) { return frame_bytes(CS_WIRE_STDOUT, data, size); }
    bool err(const void* data, size_t size) { return frame_bytes(CS_WIRE_STDERR, data, size); }
    bool exit(const cs_wire_exit& last);
    // The exit code of a client whose stdout loses its reader from here on (0 unless told otherwise).
    bool broken_pipe_exit(uint32_t code);
    // Only before anything was sent; what was buffered is dropped.
    void decline(const char* reason);
    bool sent_any() const { return sent_any_; }
    bool gone() const { return gone_.load(std::memory_order_relaxed); }  // any thread's
    // True when the client hung up, asked of the socket itself: for long searches that print nothing. Any thread's.
    bool hung_up();
    bool is_late() const { return deadline_.is_over(); }  // any thread's
    uint64_t bytes() const { return bytes_; }
    // Clients of the process that read so slowly that a thread waits for them now.
    static uint32_t stalled();

  private:
    static constexpr size_t kBuffer = 256 * 1024;
    static constexpr size_t kDirect = 32 * 1024;  // so much at once is sent from where it lies
    static constexpr size_t kOneSend = 128 * 1024;  // fits what a socket takes at once, with the kernel's own overhead
    static constexpr size_t kMostHeld = 8 * 1024 * 1024;
    static constexpr int kPatienceMs = 30'000;  // arbitrary: longer than any pager's pause is not wanted in RAM
    static constexpr int kStallMs = 50;         // after so long a client counts as stalled
    static constexpr int kLookMs = 200;         // how often the deadline is looked at meanwhile
    static constexpr uint32_t kStalledMost = 96;  // more than that, and a stalled client is given up (session.py)

    bool frame_bytes(uint16_t type, const void* data, size_t size);
    void close_frame();
    bool flush();
    bool send_direct(uint16_t type, const uint8_t* data, size_t size);
    bool deliver(iovec* pieces, size_t count);
    bool hold(const iovec* pieces, size_t count);
    bool send_file(iovec last);
    void drop_file();
    bool send_all(iovec* pieces, size_t count);
    int wait_stalled();

    int fd_;
    const Deadline deadline_;
    bool may_hold_;
    int file_ = -1;         // while something is held
    size_t held_ = 0;       // bytes in it: whole frames
    std::vector<uint8_t> buffer_;
    size_t frame_at_ = kNoFrame;  // where the open frame's head lies in buffer_
    uint16_t frame_type_ = 0;
    bool sent_any_ = false;
    bool roomy_ = false;  // the socket has a larger buffer
    std::atomic<bool> gone_{false};
    uint64_t bytes_ = 0;
    static constexpr size_t kNoFrame = static_cast<size_t>(-1);
};

}  // namespace curserve
#endif
