#include "desk.h"

#include <cstring>
#include <unistd.h>

#include "crash.h"
#include "question.h"
#include "reply.h"

namespace curserve {

namespace {

Question question_of(const Peer& peer) { return Question(peer.payload, peer.payload_size); }

size_t bucket_of(uint32_t us) {
    size_t bits = 0;
    for (; us != 0; us >>= 1) ++bits;
    return bits < Desk::kBuckets ? bits : Desk::kBuckets - 1;
}

}  // namespace

// What one search holds of the queue's room, given back at the end of its life.
class Desk::Slot final : public Gate {
  public:
    Slot(FairQueue& queue, int32_t pid, const Site* site) : queue_(queue), pid_(pid), site_(site) {}
    // Of a turn that take() has entered already.
    Slot(FairQueue& queue, const Turn& turn)
        : queue_(queue), pid_(turn.peer.pid), site_(turn.site.get()), session_(turn.session), heavy_(turn.heavy),
          counted_(turn.counted) {}
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() override {
        if (heavy_) queue_.leave_heavy(session_);
        if (counted_) queue_.leave_limits(session_, site_);
    }
    bool enter() override { return heavy_ || (heavy_ = queue_.enter_heavy(session())); }
    uint32_t behind() const override { return heavy_ ? queue_.behind(session_) : 0; }
    bool enter_limits() { return counted_ || (counted_ = queue_.enter_limits(session(), site_)); }
    uint64_t session() {
        if (session_ == 0) session_ = session_of(pid_);
        return session_;
    }
    // What a turn takes over while it waits.
    bool give_count() {
        const bool counted = counted_;
        counted_ = false;
        return counted;
    }

  private:
    FairQueue& queue_;
    const int32_t pid_;
    const Site* const site_;
    uint64_t session_ = 0;
    bool heavy_ = false, counted_ = false;
};

int Desk::next(int timeout_ms, bool trust_sandbox, Peer* out) {
    const uint64_t until_ns = monotonic_ns() + static_cast<uint64_t>(timeout_ms) * 1'000'000u;
    do {
        Peer peer;
        Incoming silent;
        const int got = accept_peer(bell_, timeout_ms, trust_sandbox, &peer, &silent);
        if (got == 2) {
            queue_.add_silent(std::move(silent));
            continue;
        }
        if (got != 1) return got;
        if (!answer_known(peer, out)) return 1;
    } while (monotonic_ns() < until_ns);
    return 0;
}

int Desk::next_waiting(int timeout_ms, bool trust_sandbox, Peer* out) {
    Incoming client;
    Turn turn;
    switch (queue_.take(timeout_ms, &client, &turn)) {
    case FairQueue::Taken::kNothing: return 0;
    case FairQueue::Taken::kClient: {
        Peer peer;
        finish_peer(client, trust_sandbox, &peer);
        return answer_known(peer, out) ? 0 : 1;
    }
    case FairQueue::Taken::kExpired: {
        turn.heavy = false;  // it never got its slot
        const Slot slot(queue_, turn);
        decline(turn.peer, "busy");
        close_peer(turn.peer);
        return 0;
    }
    case FairQueue::Taken::kGone: {
        turn.heavy = false;
        const Slot slot(queue_, turn);
        clients_gone_.fetch_add(1, std::memory_order_relaxed);
        close_peer(turn.peer);
        return 0;
    }
    case FairQueue::Taken::kTurn: {
        Slot slot(queue_, turn);
        if (Reply(turn.peer.fd).hung_up()) {
            clients_gone_.fetch_add(1, std::memory_order_relaxed);
        } else {
            answer_in(slot, turn.site, turn.query, turn.peer, turn.plan_us);
        }
        close_peer(turn.peer);
        return 0;
    }
    }
    return 0;
}

bool Desk::answer_known(Peer& peer, Peer* out) {
    if (peer.distrust != nullptr) {
        decline(peer, peer.distrust);
        close_peer(peer);
        return true;
    }
    Known known = recall(peer);
    const bool derived = known.query == nullptr;
    if (derived) known = derive(peer);
    if (known.query == nullptr) {
        *out = peer;
        return false;
    }
    remembered_.fetch_add(1, std::memory_order_relaxed);
    const Outcome outcome = answer(known.site, known.query, peer, 0);
    // A workspace that is gone must be looked for anew, which is Python's to do.
    if (outcome.reason == "gone") forget();
    if (derived && outcome.served) remember(peer, std::move(known.query), std::move(known.site));
    close_peer(peer);
    return true;
}

Desk::Known Desk::recall(const Peer& peer) const {
    const std::string key = question_of(peer).key();
    std::shared_lock<std::shared_mutex> lock(known_mutex_);
    const auto found = known_.find(key);
    return found != known_.end() ? found->second : Known{};
}

Desk::Known Desk::derive(const Peer& peer) const {
    Shape shape;
    std::string_view word;
    const Question question = question_of(peer);
    question.each_argument([&](uint32_t slot, std::string_view argument) {
        if (!is_plain_word(argument)) return true;
        const std::string key = question.shape_key(slot, argument);
        std::shared_lock<std::shared_mutex> lock(known_mutex_);
        const auto found = shapes_.find(key);
        if (found == shapes_.end()) return true;
        shape = found->second;
        word = argument;
        return false;
    });
    if (shape.known.query == nullptr) return Known{};
    auto query = std::make_shared<Query>(*shape.known.query);
    query->kept.clear();
    query->base = shape.known.query;
    WordQuestion asked = ask_for_word(word, shape.rules);
    query->matcher = std::move(asked.matcher);
    query->grams = std::move(asked.grams);
    return Known{std::move(query), std::move(shape.known.site)};
}

Outcome Desk::answer(std::shared_ptr<Site> site, std::shared_ptr<const Query> query, Peer& peer, uint32_t plan_us) {
    Slot slot(queue_, peer.pid, site.get());
    return answer_in(slot, std::move(site), std::move(query), peer, plan_us);
}

Outcome Desk::answer_in(Slot& slot, std::shared_ptr<Site> site, std::shared_ptr<const Query> query, Peer& peer,
                        uint32_t plan_us) {
    Outcome outcome;
    Mentioned mentioned;
    bool heavy = false;
    if (queue_.limited() && !slot.enter_limits()) {
        outcome.postponed = true;
    } else {
        site->requests.fetch_add(1, std::memory_order_relaxed);
        Asker asker;
        asker.fd = peer.fd;
        asker.deadline = queue_.deadline(peer.received_ns);
        std::memcpy(&asker.facts, peer.payload, sizeof asker.facts);
        if (census_.is_open(peer.received_ns)) asker.mentioned = &mentioned;
        asker.cwd = reinterpret_cast<const char*>(peer.payload + sizeof asker.facts);
        const Serving serving(peer.pid, reinterpret_cast<const char*>(peer.payload + sizeof asker.facts),
                              peer.payload_size - sizeof asker.facts, size_t{1} + asker.facts.argc);
        outcome = curserve::answer(*site->tree, site->index.get(), *query, asker, plan_us, &slot);
        heavy = outcome.postponed;
    }
    if (!outcome.postponed) {
        if (outcome.served) site->served.fetch_add(1, std::memory_order_relaxed);
        count(peer, outcome, plan_us, site->tree->root(), mentioned);
        return outcome;
    }
    Turn turn;
    turn.peer = peer;
    turn.query = std::move(query);
    turn.site = std::move(site);
    turn.plan_us = plan_us;
    turn.session = slot.session();
    turn.heavy = heavy;
    turn.counted = slot.give_count();
    if (queue_.push(turn)) {
        peer = Peer{};
        return outcome;
    }
    if (turn.counted) queue_.leave_limits(turn.session, turn.site.get());
    outcome.postponed = false;
    outcome.reason = "busy";
    Reply(peer.fd).decline("busy");
    count(peer, outcome, plan_us, turn.site->tree->root(), mentioned);
    return outcome;
}

void Desk::decline(const Peer& peer, const char* reason) {
    Reply(peer.fd).decline(reason);
    count_decline(peer, reason, std::string());
}

bool Desk::say(const Peer& peer, const void* out, size_t size, int exit_code, uint32_t plan_us) {
    Reply reply(peer.fd);
    reply.out(out, size);
    Outcome outcome;
    outcome.served = true;
    outcome.total_us = static_cast<uint32_t>((monotonic_ns() - peer.received_ns) / 1000u);
    reply.exit(cs_wire_exit{static_cast<uint32_t>(exit_code), plan_us, 0, 0, outcome.total_us, 0});
    outcome.client_gone = reply.gone();
    outcome.bytes_out = reply.bytes();
    count(peer, outcome, plan_us, std::string(), Mentioned());
    return !reply.gone();
}

void Desk::remember(const Peer& peer, std::shared_ptr<const Query> query, std::shared_ptr<Site> site) {
    std::string key = question_of(peer).key();
    std::unordered_map<std::string, Known> dropped;  // freed after the lock is
    std::unique_lock<std::shared_mutex> lock(known_mutex_);
    if (known_.size() >= kMostKnown) dropped.swap(known_);
    known_[std::move(key)] = Known{std::move(query), std::move(site)};
}

void Desk::remember_shape(const Peer& peer, std::shared_ptr<const Query> query, std::shared_ptr<Site> site,
                          uint32_t slot, const WordRules& rules) {
    std::string key;
    const Question question = question_of(peer);
    question.each_argument([&](uint32_t at, std::string_view argument) {
        if (at == slot && is_plain_word(argument)) key = question.shape_key(slot, argument);
        return at < slot;
    });
    if (key.empty()) return;
    std::unordered_map<std::string, Shape> dropped;
    std::unique_lock<std::shared_mutex> lock(known_mutex_);
    if (shapes_.size() >= kMostShapes) dropped.swap(shapes_);
    shapes_[std::move(key)] = Shape{Known{std::move(query), std::move(site)}, rules};
}

void Desk::forget() {
    std::unordered_map<std::string, Known> dropped;
    std::unordered_map<std::string, Shape> shapes;
    std::unique_lock<std::shared_mutex> lock(known_mutex_);
    dropped.swap(known_);
    shapes.swap(shapes_);
}

void Desk::count(const Peer& peer, const Outcome& outcome, uint32_t plan_us, const std::string& root,
                 const Mentioned& mentioned) {
    if (!outcome.served) {
        count_decline(peer, outcome.reason, root);
        return;
    }
    served_.fetch_add(1, std::memory_order_relaxed);
    bytes_out_.fetch_add(outcome.bytes_out, std::memory_order_relaxed);
    if (outcome.client_gone) clients_gone_.fetch_add(1, std::memory_order_relaxed);
    if (outcome.repeated) repeated_.fetch_add(1, std::memory_order_relaxed);
    files_.fetch_add(outcome.files, std::memory_order_relaxed);
    candidates_.fetch_add(outcome.candidates, std::memory_order_relaxed);
    candidate_bytes_.fetch_add(outcome.candidate_bytes, std::memory_order_relaxed);
    const uint32_t us[kStages] = {plan_us, outcome.barrier_us, outcome.search_us, outcome.total_us};
    for (size_t stage = 0; stage < kStages; ++stage) {
        us_[stage][bucket_of(us[stage])].fetch_add(1, std::memory_order_relaxed);
        us_sum_[stage].fetch_add(us[stage], std::memory_order_relaxed);
    }
    if (census_.is_open(peer.received_ns)) census_.note(peer, root, outcome, mentioned);
}

void Desk::count_decline(const Peer& peer, const std::string& reason, const std::string& root) {
    declined_.fetch_add(1, std::memory_order_relaxed);
    if (census_.is_open(peer.received_ns)) census_.note(peer, root, Outcome(), Mentioned());
    std::lock_guard<std::mutex> lock(reasons_mutex_);
    ++reasons_[reason];
}

Desk::Numbers Desk::numbers() const {
    Numbers n;
    n.served = served_.load();
    n.declined = declined_.load();
    n.remembered = remembered_.load();
    n.bytes_out = bytes_out_.load();
    n.clients_gone = clients_gone_.load();
    n.files = files_.load();
    n.repeated = repeated_.load();
    n.candidates = candidates_.load();
    n.candidate_bytes = candidate_bytes_.load();
    for (size_t stage = 0; stage < kStages; ++stage) n.us_sum[stage] = us_sum_[stage].load();
    for (size_t stage = 0; stage < kStages; ++stage)
        for (size_t bucket = 0; bucket < kBuckets; ++bucket) n.us[stage][bucket] = us_[stage][bucket].load();
    return n;
}

std::map<std::string, uint64_t> Desk::reasons() const {
    std::lock_guard<std::mutex> lock(reasons_mutex_);
    return reasons_;
}

}  // namespace curserve
