// fair.h: who goes next when not everybody can: clients that have not finished asking, and searches that must wait.
//
// In: clients that said nothing yet (add_silent), searches that found no room (push). Out: take(), for a few threads that
// do nothing else, so that neither kind ever holds one of the threads that accept. Heavy searches need a slot: an agent
// has few, so that the searches of others run beside its burst, and the agent served least lately comes first. Limits
// (requests under way, requests per second) hold per agent's session, per workspace and per user; what exceeds one waits,
// and is declined when that takes too long or too many wait. A light search under no limit never comes here.
// Every method may be called from many threads at once.
#ifndef CURSERVE_FAIR_H
#define CURSERVE_FAIR_H
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "execute.h"
#include "peer.h"
#include "reply.h"

namespace curserve {

struct Site;

struct Limits {
    enum Scope : size_t { kSession = 0, kWorkspace = 1, kUser = 2, kScopes = 3 };
    std::array<uint32_t, kScopes> concurrency{};  // 0: none
    std::array<double, kScopes> per_second{};     // 0: none
    uint32_t waiting = 64;                        // of one session
    uint32_t wait_ms = 2000;                      // the shim waits 4 s for the first byte: its rg needs the rest
    uint64_t deadline_ns = 600'000'000'000u;      // of one request, from its arrival to its answer's last byte
    bool any() const;
};

// A search that waits. Owns the peer.
struct Turn {
    Peer peer;
    std::shared_ptr<const Query> query;
    std::shared_ptr<Site> site;
    uint32_t plan_us = 0;
    uint64_t session = 0, since_ns = 0;
    bool counted = false;  // the limits know it
    bool heavy = false;    // it needs, or has, a slot
};

class FairQueue {
  public:
    FairQueue();
    ~FairQueue();
    void set_limits(const Limits& limits);
    Deadline deadline(uint64_t received_ns) const { return {received_ns, &deadline_ns_}; }
    bool limited() const { return limited_.load(std::memory_order_relaxed); }

    // Room for one search now: under the limits, and for a heavy one. What was entered must be left.
    bool enter_limits(uint64_t session, const Site* site);
    void leave_limits(uint64_t session, const Site* site);
    bool enter_heavy(uint64_t session);
    void leave_heavy(uint64_t session);
    uint32_t behind(uint64_t session) const;  // how many of its searches wait
    // False: too many wait already; the turn is untouched.
    bool push(Turn& turn);

    // A client that has sent nothing, or not all of it. Declined at once when too many are like that.
    void add_silent(Incoming&& client);

    enum class Taken { kNothing, kClient, kTurn, kExpired, kGone };
    // kTurn: what it needs has been entered. kExpired: it waited for too long. kGone: its client went away.
    Taken take(int timeout_ms, Incoming* client, Turn* turn);

    struct Numbers {
        uint64_t silent, waiting, waited, expired, overflowed, heavy;
    };
    Numbers numbers() const;

    static constexpr size_t kSilentMost = 8192;
    static constexpr uint64_t kSilentBytesMost = 64u << 20;  // of requests half sent
    static constexpr uint64_t kSilentPatienceNs = 1'000'000'000u;
    static constexpr uint64_t kGoneLookNs = 100'000'000u;  // how often those who wait are looked at; one poll for all

  private:
    struct Session {
        std::deque<Turn> waiting;
        uint32_t heavy = 0;
        uint64_t served_ns = 0;  // when it last got a slot
    };
    struct Account {
        uint32_t running = 0;
        double tokens = -1;      // -1: full
        uint64_t filled_ns = 0;
    };
    struct Silent {
        Incoming client;
        uint64_t until_ns;
    };
    void watch();
    bool enter_limits_locked(uint64_t session, const Site* site);
    void forget_idle_locked(uint64_t session);
    Taken take_locked(Incoming* client, Turn* turn);
    void part_with_the_gone_locked();

    mutable std::mutex mutex_;
    std::condition_variable moved_;
    Limits limits_;
    std::atomic<bool> limited_{false};
    std::atomic<uint64_t> deadline_ns_{Limits().deadline_ns};
    const uint32_t slots_, slots_each_;
    uint32_t heavy_ = 0;
    std::unordered_map<uint64_t, Session> sessions_;
    std::map<std::pair<size_t, uint64_t>, Account> accounts_;
    size_t waiting_ = 0;
    std::deque<Turn> gone_;  // of clients that went away, to be closed
    uint64_t looked_ns_ = 0;
    uint64_t waited_ = 0, expired_ = 0, overflowed_ = 0;
    std::deque<Incoming> ready_;

    // The watcher of silent clients, started with the first of them.
    mutable std::mutex silent_mutex_;
    std::unordered_map<int, Silent> silent_;
    uint64_t silent_bytes_ = 0;
    int poll_fd_ = -1, wake_fd_ = -1;
    bool ending_ = false;
    std::thread watcher_;
};

// The session that a process's searches are counted for. See ARCHITECTURE.md for why it is this one.
uint64_t session_of(int32_t pid);

}  // namespace curserve
#endif
