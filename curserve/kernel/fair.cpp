#include "fair.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <poll.h>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

#include "process.h"

namespace curserve {

namespace {

constexpr int kTickMs = 10;  // how often somebody looks at waiting turns although nothing moved: limits per second refill

uint32_t cores() { return std::max(1u, std::thread::hardware_concurrency()); }

void drop(Incoming& client) {
    if (client.fd >= 0) ::close(client.fd);
    std::free(client.payload);
    client = Incoming{};
}

}  // namespace

uint64_t session_of(int32_t pid) {
    const Process asker = process_of(pid);
    if (!asker.ok) return static_cast<uint32_t>(pid);
    if (asker.session <= 0) return uint64_t{1} << 32;  // led from outside of our pid namespace: all of those are one
    Process leader = asker.session == pid ? asker : process_of(asker.session);
    int32_t session = asker.session;
    // A session that is not a second older than the asker was made for this one command (spawn with detached: true,
    // setsid sh -c): it belongs to the session that made it.
    const uint64_t second = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
    if (leader.ok && leader.parent > 1 && asker.start_ticks < leader.start_ticks + second) {
        const Process maker = process_of(leader.parent);
        if (maker.ok && maker.session > 0 && maker.start_ticks + second <= asker.start_ticks) session = maker.session;
    }
    return static_cast<uint32_t>(session);
}

bool Limits::any() const {
    for (size_t scope = 0; scope < kScopes; ++scope)
        if (concurrency[scope] != 0 || per_second[scope] > 0) return true;
    return false;
}

// One heavy search keeps all cores busy by itself (crew.h), so few at once cost no throughput.
FairQueue::FairQueue() : slots_(std::max(8u, cores())), slots_each_(std::max(1u, cores() / 4)) {}

FairQueue::~FairQueue() {
    {
        std::lock_guard<std::mutex> lock(silent_mutex_);
        ending_ = true;
    }
    if (watcher_.joinable()) {
        const uint64_t one = 1;
        if (::write(wake_fd_, &one, sizeof one) < 0) {
            // It is awake already.
        }
        watcher_.join();
    }
    for (auto& [fd, silent] : silent_) drop(silent.client);
    for (Incoming& client : ready_) drop(client);
    for (auto& [key, session] : sessions_)
        for (Turn& turn : session.waiting) close_peer(turn.peer);
    for (Turn& turn : gone_) close_peer(turn.peer);
    if (poll_fd_ >= 0) ::close(poll_fd_);
    if (wake_fd_ >= 0) ::close(wake_fd_);
}

void FairQueue::set_limits(const Limits& limits) {
    std::lock_guard<std::mutex> lock(mutex_);
    limits_ = limits;
    accounts_.clear();  // who runs now is forgotten, and leaves an account that does not know him
    limited_.store(limits.any());
    deadline_ns_.store(limits.deadline_ns, std::memory_order_relaxed);
}

// ---- limits and slots

bool FairQueue::enter_limits(uint64_t session, const Site* site) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = sessions_.find(session);
    if (found != sessions_.end() && !found->second.waiting.empty()) return false;  // not past those who wait
    return enter_limits_locked(session, site);
}

bool FairQueue::enter_limits_locked(uint64_t session, const Site* site) {
    const uint64_t keys[Limits::kScopes] = {session, reinterpret_cast<uintptr_t>(site), 0};
    const uint64_t now = monotonic_ns();
    if (accounts_.size() > 4096) {  // arbitrary; sessions that ended long ago
        for (auto it = accounts_.begin(); it != accounts_.end();)
            it = it->second.running == 0 && now - it->second.filled_ns > 10'000'000'000u ? accounts_.erase(it) : std::next(it);
    }
    Account* accounts[Limits::kScopes];
    for (size_t scope = 0; scope < Limits::kScopes; ++scope) {
        Account& account = *(accounts[scope] = &accounts_[{scope, keys[scope]}]);
        const double rate = limits_.per_second[scope];
        if (limits_.concurrency[scope] != 0 && account.running >= limits_.concurrency[scope]) return false;
        if (rate <= 0) continue;
        const double most = std::max(1.0, rate);  // a second's worth at once
        const double since_s = static_cast<double>(now - account.filled_ns) / 1e9;
        account.tokens = account.tokens < 0 ? most : std::min(most, account.tokens + since_s * rate);
        account.filled_ns = now;
        if (account.tokens < 1) return false;
    }
    for (size_t scope = 0; scope < Limits::kScopes; ++scope) {
        ++accounts[scope]->running;
        if (limits_.per_second[scope] > 0) accounts[scope]->tokens -= 1;
    }
    return true;
}

void FairQueue::leave_limits(uint64_t session, const Site* site) {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        const uint64_t keys[Limits::kScopes] = {session, reinterpret_cast<uintptr_t>(site), 0};
        for (size_t scope = 0; scope < Limits::kScopes; ++scope) {
            const auto found = accounts_.find({scope, keys[scope]});
            if (found != accounts_.end() && found->second.running > 0) --found->second.running;
        }
        if (waiting_ == 0) return;
    }
    moved_.notify_one();
}

bool FairQueue::enter_heavy(uint64_t session) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = sessions_.find(session);
    if (found != sessions_.end() && (found->second.heavy >= slots_each_ || !found->second.waiting.empty())) return false;
    if (heavy_ >= slots_) return false;
    Session& own = sessions_[session];
    ++own.heavy;
    ++heavy_;
    own.served_ns = monotonic_ns();
    return true;
}

void FairQueue::leave_heavy(uint64_t session) {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        --heavy_;
        --sessions_[session].heavy;
        forget_idle_locked(session);
        if (waiting_ == 0) return;
    }
    moved_.notify_one();
}

uint32_t FairQueue::behind(uint64_t session) const {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = sessions_.find(session);
    return found != sessions_.end() ? static_cast<uint32_t>(found->second.waiting.size()) : 0;
}

void FairQueue::forget_idle_locked(uint64_t session) {
    const auto found = sessions_.find(session);
    if (found != sessions_.end() && found->second.heavy == 0 && found->second.waiting.empty()) sessions_.erase(found);
}

bool FairQueue::push(Turn& turn) {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        Session& session = sessions_[turn.session];
        if (session.waiting.size() >= limits_.waiting) {
            ++overflowed_;
            forget_idle_locked(turn.session);
            return false;
        }
        turn.since_ns = monotonic_ns();
        session.waiting.push_back(std::move(turn));
        ++waiting_;
        ++waited_;
    }
    moved_.notify_one();
    return true;
}

// ---- whose turn it is

FairQueue::Taken FairQueue::take(int timeout_ms, Incoming* client, Turn* turn) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
        const Taken taken = take_locked(client, turn);
        if (taken != Taken::kNothing) return taken;
        const auto now = std::chrono::steady_clock::now();
        if (now >= until) return Taken::kNothing;
        moved_.wait_until(lock, waiting_ == 0 ? until : std::min(until, now + std::chrono::milliseconds(kTickMs)));
    }
}

FairQueue::Taken FairQueue::take_locked(Incoming* client, Turn* turn) {
    if (!ready_.empty()) {
        *client = ready_.front();
        ready_.pop_front();
        return Taken::kClient;
    }
    if (waiting_ != 0) part_with_the_gone_locked();
    if (!gone_.empty()) {
        *turn = std::move(gone_.front());
        gone_.pop_front();
        return Taken::kGone;
    }
    if (waiting_ == 0) return Taken::kNothing;
    const uint64_t late_ns = monotonic_ns() - std::min(uint64_t{limits_.wait_ms} * 1'000'000u, limits_.deadline_ns);
    uint64_t next = 0;
    Session* chosen = nullptr;
    for (auto& [key, session] : sessions_) {
        if (session.waiting.empty()) continue;
        Turn& front = session.waiting.front();
        if (front.since_ns <= late_ns) {
            *turn = std::move(front);
            session.waiting.pop_front();
            --waiting_;
            ++expired_;
            forget_idle_locked(key);
            return Taken::kExpired;
        }
        if (chosen != nullptr && session.served_ns >= chosen->served_ns) continue;
        if (front.heavy && (heavy_ >= slots_ || session.heavy >= slots_each_)) continue;
        if (!front.counted) {
            if (!enter_limits_locked(key, front.site.get())) continue;
            front.counted = true;  // stays so if another session is chosen now: it is next
        }
        chosen = &session;
        next = key;
    }
    if (chosen == nullptr) return Taken::kNothing;
    *turn = std::move(chosen->waiting.front());
    chosen->waiting.pop_front();
    --waiting_;
    chosen->served_ns = monotonic_ns();
    if (turn->heavy) {
        ++chosen->heavy;
        ++heavy_;
    } else {
        forget_idle_locked(next);
    }
    return Taken::kTurn;
}

// A client that went away keeps no place in the queue from the next ones.
void FairQueue::part_with_the_gone_locked() {
    const uint64_t now = monotonic_ns();
    if (now - looked_ns_ < kGoneLookNs) return;
    looked_ns_ = now;
    std::vector<pollfd> ask;
    ask.reserve(waiting_);
    for (const auto& [key, session] : sessions_)
        for (const Turn& turn : session.waiting) ask.push_back(pollfd{turn.peer.fd, POLLRDHUP, 0});
    if (::poll(ask.data(), ask.size(), 0) <= 0) return;
    size_t at = 0;
    for (auto& [key, session] : sessions_) {
        for (auto turn = session.waiting.begin(); turn != session.waiting.end();) {
            if ((ask[at++].revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) {
                ++turn;
                continue;
            }
            gone_.push_back(std::move(*turn));
            turn = session.waiting.erase(turn);
            --waiting_;
        }
    }
    for (const Turn& turn : gone_) forget_idle_locked(turn.session);
}

// ---- silent clients

void FairQueue::add_silent(Incoming&& client) {
    bool kept = false;
    {
        std::lock_guard<std::mutex> lock(silent_mutex_);
        if (poll_fd_ < 0) {
            poll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
            wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.fd = wake_fd_;
            ::epoll_ctl(poll_fd_, EPOLL_CTL_ADD, wake_fd_, &event);
            watcher_ = std::thread([this] { watch(); });
        }
        const uint64_t bytes = client.room;
        if (!ending_ && silent_.size() < kSilentMost && silent_bytes_ + bytes <= kSilentBytesMost) {
            epoll_event event{};
            event.events = EPOLLIN | EPOLLRDHUP;
            event.data.fd = client.fd;
            const bool first = silent_.empty();
            silent_[client.fd] = Silent{client, monotonic_ns() + kSilentPatienceNs};
            silent_bytes_ += bytes;
            kept = ::epoll_ctl(poll_fd_, EPOLL_CTL_ADD, client.fd, &event) == 0;
            if (!kept) {
                silent_.erase(client.fd);
                silent_bytes_ -= bytes;
            } else if (first) {
                const uint64_t one = 1;
                if (::write(wake_fd_, &one, sizeof one) < 0) {
                    // It is awake already.
                }
            }
        }
    }
    if (kept) return;
    Reply(client.fd).decline("busy");
    drop(client);
}

void FairQueue::watch() {
    std::array<epoll_event, 64> events;
    for (;;) {
        int patience_ms = -1;
        {
            std::lock_guard<std::mutex> lock(silent_mutex_);
            if (ending_) return;
            if (!silent_.empty()) patience_ms = 100;
        }
        const int count = ::epoll_wait(poll_fd_, events.data(), static_cast<int>(events.size()), patience_ms);
        std::deque<Incoming> complete, bad;
        {
            std::lock_guard<std::mutex> lock(silent_mutex_);
            for (int i = 0; i < count; ++i) {
                const int fd = events[static_cast<size_t>(i)].data.fd;
                if (fd == wake_fd_) {
                    uint64_t ignored;
                    if (::read(wake_fd_, &ignored, sizeof ignored) < 0) continue;
                    continue;
                }
                const auto found = silent_.find(fd);
                if (found == silent_.end()) continue;
                Incoming& client = found->second.client;
                const uint64_t before = client.room;
                const Reading reading = read_more(client);
                const uint64_t after = client.room;
                silent_bytes_ += after - before;
                if (reading == Reading::kMore && silent_bytes_ <= kSilentBytesMost) continue;
                silent_bytes_ -= after;
                ::epoll_ctl(poll_fd_, EPOLL_CTL_DEL, fd, nullptr);
                (reading == Reading::kDone ? complete : bad).push_back(client);
                silent_.erase(found);
            }
            const uint64_t now = monotonic_ns();
            for (auto it = silent_.begin(); it != silent_.end();) {
                if (it->second.until_ns > now) {
                    ++it;
                    continue;
                }
                const Incoming& client = it->second.client;
                silent_bytes_ -= client.room;
                ::epoll_ctl(poll_fd_, EPOLL_CTL_DEL, client.fd, nullptr);
                bad.push_back(client);
                it = silent_.erase(it);
            }
        }
        for (Incoming& client : bad) drop(client);
        if (complete.empty()) continue;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            ready_.insert(ready_.end(), complete.begin(), complete.end());
        }
        moved_.notify_all();
    }
}

FairQueue::Numbers FairQueue::numbers() const {
    Numbers numbers{};
    {
        std::lock_guard<std::mutex> lock(silent_mutex_);
        numbers.silent = silent_.size();
    }
    std::lock_guard<std::mutex> lock(mutex_);
    numbers.silent += ready_.size();
    numbers.waiting = waiting_ + gone_.size();
    numbers.waited = waited_;
    numbers.expired = expired_;
    numbers.overflowed = overflowed_;
    numbers.heavy = heavy_;
    return numbers;
}

}  // namespace curserve
