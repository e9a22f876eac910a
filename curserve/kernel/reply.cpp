#include "reply.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

namespace curserve {

namespace {
cs_wire_head head_of(uint16_t type, size_t size) {
    return cs_wire_head{CS_WIRE_MAGIC, CS_WIRE_VERSION, type, static_cast<uint32_t>(size)};
}

std::atomic<uint32_t> stalled_clients{0};
}  // namespace

uint32_t Reply::stalled() { return stalled_clients.load(std::memory_order_relaxed); }

bool Deadline::is_over() const {
    return allowed_ns != nullptr && monotonic_ns() >= received_ns + allowed_ns->load(std::memory_order_relaxed);
}

bool Reply::frame_bytes(uint16_t type, const void* data, size_t size) {
    if (gone_) return false;
    const auto* from = static_cast<const uint8_t*>(data);
    bytes_ += size;
    while (size > 0) {
        // The first bytes wait for as long as they can: until they leave, the search may still be declined.
        if (size >= kDirect && (sent_any_ || buffer_.size() + size >= kBuffer)) {
            const size_t piece = size < kBuffer ? size : kBuffer;
            if (!send_direct(type, from, piece)) return false;
            from += piece;
            size -= piece;
            continue;
        }
        if (frame_at_ != kNoFrame && frame_type_ != type) close_frame();
        if (buffer_.size() >= kBuffer && !flush()) return false;
        if (frame_at_ == kNoFrame) {
            frame_at_ = buffer_.size();
            frame_type_ = type;
            buffer_.resize(buffer_.size() + sizeof(cs_wire_head));
        }
        // A frame never outgrows the buffer, which is below CS_WIRE_MAX_REPLY.
        size_t take = size < kBuffer ? size : kBuffer;
        if (buffer_.size() + take > kBuffer + sizeof(cs_wire_head)) take = kBuffer + sizeof(cs_wire_head) - buffer_.size();
        if (take == 0) {
            if (!flush()) return false;
            continue;
        }
        buffer_.insert(buffer_.end(), from, from + take);
        from += take;
        size -= take;
    }
    return true;
}

void Reply::close_frame() {
    if (frame_at_ == kNoFrame) return;
    const cs_wire_head head = head_of(frame_type_, buffer_.size() - frame_at_ - sizeof(cs_wire_head));
    std::memcpy(buffer_.data() + frame_at_, &head, sizeof head);
    frame_at_ = kNoFrame;
}

bool Reply::flush() {
    close_frame();
    if (buffer_.empty()) return !gone_;
    iovec piece{buffer_.data(), buffer_.size()};
    const bool ok = deliver(&piece, 1);
    buffer_.clear();
    return ok;
}

// What is buffered, and then this as a frame of its own.
bool Reply::send_direct(uint16_t type, const uint8_t* data, size_t size) {
    close_frame();
    cs_wire_head head = head_of(type, size);
    iovec pieces[] = {{buffer_.data(), buffer_.size()},
                      {&head, sizeof head},
                      {const_cast<uint8_t*>(data), size}};  // only read from
    const bool ok = deliver(pieces, 3);
    buffer_.clear();
    return ok;
}

// Whole frames, on their way.
bool Reply::deliver(iovec* pieces, size_t count) {
    if (may_hold_ && !sent_any_) {
        if (hold(pieces, count)) return held_ < kMostHeld || send_file({});
        may_hold_ = false;
        if (file_ >= 0 && !send_file({})) return false;
    }
    return send_all(pieces, count);
}

// Adds to the file. False when it cannot be: nothing is added then.
bool Reply::hold(const iovec* pieces, size_t count) {
    constexpr unsigned kNoExec = 0x0008;  // MFD_NOEXEC_SEAL, Linux 6.3
    if (file_ < 0) file_ = ::memfd_create("answer", MFD_CLOEXEC | MFD_ALLOW_SEALING | kNoExec);
    if (file_ < 0 && errno == EINVAL) file_ = ::memfd_create("answer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file_ < 0) return false;
    size_t size = held_;
    for (size_t i = 0; i < count; ++i) {
        const auto* from = static_cast<const uint8_t*>(pieces[i].iov_base);
        for (size_t left = pieces[i].iov_len; left > 0;) {
            const ssize_t n = ::pwrite(file_, from, left, static_cast<off_t>(size));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) {
                if (held_ == 0) drop_file();
                return false;  // what was written behind held_ is not spoken of
            }
            from += n;
            left -= static_cast<size_t>(n);
            size += static_cast<size_t>(n);
        }
    }
    held_ = size;
    return true;
}

// Sends what is held, and behind it these bytes, at once: where the one arrives, the other does.
bool Reply::send_file(iovec last) {
    struct {
        cs_wire_head head;
        uint64_t size;
    } __attribute__((packed)) frame{head_of(CS_WIRE_FILE, sizeof(uint64_t)), held_};
    ::fcntl(file_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);  // the client looks whether they are there
    iovec pieces[] = {{&frame, sizeof frame}, last};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof file_)] = {};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof file_);
    std::memcpy(CMSG_DATA(rights), &file_, sizeof file_);
    ssize_t n;
    do n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    drop_file();
    sent_any_ = true;
    // Nothing was sent before, so the socket has room for so little.
    if (n != static_cast<ssize_t>(sizeof frame + last.iov_len)) gone_ = true;
    return !gone_;
}

void Reply::drop_file() {
    if (file_ >= 0) ::close(file_);
    file_ = -1;
    held_ = 0;
}

bool Reply::send_all(iovec* pieces, size_t count) {
    while (count > 0 && !gone_) {
        if (pieces->iov_len == 0) {
            ++pieces;
            --count;
            continue;
        }
        msghdr message{};
        message.msg_iov = pieces;
        message.msg_iovlen = count;
        const ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            sent_any_ = true;
            auto sent = static_cast<size_t>(n);
            for (; count > 0 && sent >= pieces->iov_len; ++pieces, --count) sent -= pieces->iov_len;
            if (count > 0) {
                pieces->iov_base = static_cast<uint8_t*>(pieces->iov_base) + sent;
                pieces->iov_len -= sent;
            }
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (!roomy_) {
                // Whose turn it is to run should not be settled 100 KB by 100 KB. The system may allow less.
                static constexpr int kRoom = 2 << 20;
                roomy_ = true;
                ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &kRoom, sizeof kRoom);
                continue;
            }
            pollfd wait{fd_, POLLOUT, 0};
            int ready = ::poll(&wait, 1, kStallMs);
            if (ready == 0) ready = wait_stalled();
            if (is_late()) gone_ = true;  // who keeps up is told why (execute.cpp)
            if (ready == 0 || (ready < 0 && errno != EINTR)) gone_ = true;
        } else {
            gone_ = true;
        }
    }
    return !gone_;
}

// As poll() does. 0: the client has lost our patience.
int Reply::wait_stalled() {
    pollfd wait{fd_, POLLOUT, 0};
    const bool many = stalled_clients.fetch_add(1, std::memory_order_relaxed) >= kStalledMost;
    int ready = 0;
    for (int left_ms = many ? kStallMs : kPatienceMs; left_ms > 0 && ready == 0; left_ms -= kLookMs) {
        if (is_late()) break;
        ready = ::poll(&wait, 1, std::min(left_ms, kLookMs));
    }
    stalled_clients.fetch_sub(1, std::memory_order_relaxed);
    return ready;
}

bool Reply::exit(const cs_wire_exit& last) {
    if (may_hold_ && !sent_any_ && (held_ > 0 || buffer_.size() > kOneSend) && !flush()) return false;
    close_frame();
    const cs_wire_head head = head_of(CS_WIRE_EXIT, sizeof last);
    const auto* h = reinterpret_cast<const uint8_t*>(&head);
    const auto* p = reinterpret_cast<const uint8_t*>(&last);
    buffer_.insert(buffer_.end(), h, h + sizeof head);
    buffer_.insert(buffer_.end(), p, p + sizeof last);
    iovec all{buffer_.data(), buffer_.size()};
    const bool ok = file_ >= 0 ? send_file(all) : send_all(&all, 1);
    buffer_.clear();
    return ok;
}

bool Reply::broken_pipe_exit(uint32_t code) {
    close_frame();
    const cs_wire_head head = head_of(CS_WIRE_PIPE, sizeof code);
    const auto* h = reinterpret_cast<const uint8_t*>(&head);
    const auto* c = reinterpret_cast<const uint8_t*>(&code);
    buffer_.insert(buffer_.end(), h, h + sizeof head);
    buffer_.insert(buffer_.end(), c, c + sizeof code);
    return !gone_;
}

void Reply::decline(const char* reason) {
    buffer_.clear();
    frame_at_ = kNoFrame;
    drop_file();
    may_hold_ = false;
    if (sent_any_ || gone_) return;
    size_t size = std::strlen(reason);
    if (size > CS_WIRE_MAX_REASON) size = CS_WIRE_MAX_REASON;
    const cs_wire_head head = head_of(CS_WIRE_DECLINE, size);
    const auto* h = reinterpret_cast<const uint8_t*>(&head);
    const auto* r = reinterpret_cast<const uint8_t*>(reason);
    buffer_.insert(buffer_.end(), h, h + sizeof head);
    buffer_.insert(buffer_.end(), r, r + size);
    flush();
}

bool Reply::hung_up() {
    if (gone_) return true;
    pollfd ask{fd_, POLLRDHUP, 0};
    if (::poll(&ask, 1, 0) > 0 && (ask.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) gone_ = true;
    return gone_;
}

}  // namespace curserve
