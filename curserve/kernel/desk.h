// desk.h: where clients come in, and where a question that was asked before is answered without Python.
//
// In: the listening socket; the answers to "what does this request come to" that Python gave (remember()). Out: answers,
// declines, and the requests that need a decision. Keeps the counts of all of them. A remembered question is found by the
// request's strings and the kinds of its descriptors; a remembered shape answers all requests that differ from one in
// their pattern only, if that is a plain word (plain_word.h). Both are forgotten when the set of workspaces changes.
// Every method may be called from many threads at once.
#ifndef CURSERVE_DESK_H
#define CURSERVE_DESK_H
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "census.h"
#include "execute.h"
#include "fair.h"
#include "peer.h"
#include "plain_word.h"

namespace curserve {

// A tree with what goes along with it in every search.
struct Site {
    std::shared_ptr<Tree> tree;
    std::shared_ptr<const GramIndex> index;
    std::atomic<uint64_t> requests{0}, served{0};
};

class Desk {
  public:
    explicit Desk(int listen_fd) : bell_(listen_fd) {}

    // Serves until a request needs a decision. 1: *out is that request; 0: timeout_ms went by; -1: the listener is gone.
    int next(int timeout_ms, bool trust_sandbox, Peer* out);
    // The same for those that had to wait (fair.h), on threads of their own.
    int next_waiting(int timeout_ms, bool trust_sandbox, Peer* out);

    // Answers or declines one request, and counts it; or lets it wait, and then takes the peer.
    Outcome answer(std::shared_ptr<Site> site, std::shared_ptr<const Query> query, Peer& peer, uint32_t plan_us);
    FairQueue& queue() { return queue_; }
    const FairQueue& queue() const { return queue_; }
    Census& census() { return census_; }
    const Census& census() const { return census_; }
    void decline(const Peer& peer, const char* reason);
    bool say(const Peer& peer, const void* out, size_t size, int exit_code, uint32_t plan_us);

    // From now on an equal request is answered so.
    void remember(const Peer& peer, std::shared_ptr<const Query> query, std::shared_ptr<Site> site);
    // From now on requests that differ from it only in argv[slot], a plain word in all of them, are answered as it is, with
    // what the word means by these rules.
    void remember_shape(const Peer& peer, std::shared_ptr<const Query> query, std::shared_ptr<Site> site, uint32_t slot,
                        const WordRules& rules);
    void forget();
    // next() takes nobody from now on; what has come in is answered.
    void close() { bell_.close(); }

    static constexpr size_t kStages = 4;    // plan, barrier, search, total
    static constexpr size_t kBuckets = 28;  // powers of two of microseconds
    struct Numbers {
        uint64_t served = 0, declined = 0, remembered = 0, bytes_out = 0, clients_gone = 0;
        uint64_t files = 0, candidates = 0, candidate_bytes = 0, repeated = 0;
        std::array<std::array<uint64_t, kBuckets>, kStages> us{};
        std::array<uint64_t, kStages> us_sum{};
    };
    Numbers numbers() const;
    std::map<std::string, uint64_t> reasons() const;

  private:
    struct Known {
        std::shared_ptr<const Query> query;
        std::shared_ptr<Site> site;
    };
    struct Shape {
        Known known;
        WordRules rules;
    };
    static constexpr size_t kMostShapes = 1024;  // arbitrary; a folder searched by an agent has some five
    static constexpr size_t kMostKnown = 8192;  // arbitrary: some 80 MB if all of them were large

    class Slot;
    Known recall(const Peer& peer) const;
    // The question that a shape and this request's word make; remembers nothing.
    Known derive(const Peer& peer) const;
    // True: answered or declined. False: *out needs a decision.
    bool answer_known(Peer& peer, Peer* out);
    Outcome answer_in(Slot& slot, std::shared_ptr<Site> site, std::shared_ptr<const Query> query, Peer& peer,
                      uint32_t plan_us);
    void count(const Peer& peer, const Outcome& outcome, uint32_t plan_us, const std::string& root,
               const Mentioned& mentioned);
    void count_decline(const Peer& peer, const std::string& reason, const std::string& root);

    Doorbell bell_;
    FairQueue queue_;
    Census census_;
    mutable std::shared_mutex known_mutex_;
    std::unordered_map<std::string, Known> known_;
    std::unordered_map<std::string, Shape> shapes_;
    mutable std::mutex reasons_mutex_;
    std::map<std::string, uint64_t> reasons_;
    std::atomic<uint64_t> served_{0}, declined_{0}, remembered_{0}, bytes_out_{0}, clients_gone_{0};
    std::atomic<uint64_t> files_{0}, candidates_{0}, candidate_bytes_{0}, repeated_{0};
    std::array<std::array<std::atomic<uint64_t>, kBuckets>, kStages> us_{};
    std::array<std::atomic<uint64_t>, kStages> us_sum_{};
};

}  // namespace curserve
#endif
