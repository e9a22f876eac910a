#include "desk.h"

#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include "reply.h"

namespace curserve {

namespace {

// What an answer depends on: the strings and the kinds of descriptors, not which files they are.
std::string key_of(const Peer& peer) {
    cs_wire_request facts;
    std::memcpy(&facts, peer.payload, sizeof facts);
    std::string key;
    key.reserve(peer.payload_size);
    for (const cs_wire_fd& fd : facts.fd) key.push_back(static_cast<char>(fd.kind));
    key.append(reinterpret_cast<const char*>(peer.payload) + sizeof facts, peer.payload_size - sizeof facts);
    return key;
}

void close_peer(Peer& peer) {
    ::close(peer.fd);
    std::free(peer.payload);
    peer = Peer{};
}

size_t bucket_of(uint32_t us) {
    size_t bits = 0;
    for (; us != 0; us >>= 1) ++bits;
    return bits < Desk::kBuckets ? bits : Desk::kBuckets - 1;
}

}  // namespace

int Desk::next(int timeout_ms, bool trust_sandbox, Peer* out) {
    const uint64_t until_ns = monotonic_ns() + static_cast<uint64_t>(timeout_ms) * 1'000'000u;
    do {
        Peer peer;
        const int got = accept_peer(listen_fd_, timeout_ms, trust_sandbox, &peer);
        if (got != 1) return got;
        if (peer.distrust != nullptr) {
            decline(peer, peer.distrust);
            close_peer(peer);
            continue;
        }
        Known known;
        {
            std::shared_lock<std::shared_mutex> lock(known_mutex_);
            const auto found = known_.find(key_of(peer));
            if (found != known_.end()) known = found->second;
        }
        if (known.query == nullptr) {
            *out = peer;
            return 1;
        }
        remembered_.fetch_add(1, std::memory_order_relaxed);
        // A workspace that is gone must be looked for anew, which is Python's to do.
        if (answer(*known.site, *known.query, peer, 0).reason == "gone") forget();
        close_peer(peer);
    } while (monotonic_ns() < until_ns);
    return 0;
}

Outcome Desk::answer(Site& site, const Query& query, const Peer& peer, uint32_t plan_us) {
    site.requests.fetch_add(1, std::memory_order_relaxed);
    Asker asker;
    asker.fd = peer.fd;
    asker.received_ns = peer.received_ns;
    std::memcpy(&asker.facts, peer.payload, sizeof asker.facts);
    asker.cwd = reinterpret_cast<const char*>(peer.payload + sizeof asker.facts);
    Outcome outcome = curserve::answer(*site.tree, site.index.get(), query, asker, plan_us);
    count(outcome, plan_us);
    return outcome;
}

void Desk::decline(const Peer& peer, const char* reason) {
    Reply(peer.fd).decline(reason);
    count_decline(reason);
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
    count(outcome, plan_us);
    return !reply.gone();
}

void Desk::remember(const Peer& peer, std::shared_ptr<const Query> query, std::shared_ptr<Site> site) {
    std::string key = key_of(peer);
    std::unordered_map<std::string, Known> dropped;  // freed after the lock is
    std::unique_lock<std::shared_mutex> lock(known_mutex_);
    if (known_.size() >= kMostKnown) dropped.swap(known_);
    known_[std::move(key)] = Known{std::move(query), std::move(site)};
}

void Desk::forget() {
    std::unordered_map<std::string, Known> dropped;
    std::unique_lock<std::shared_mutex> lock(known_mutex_);
    dropped.swap(known_);
}

void Desk::count(const Outcome& outcome, uint32_t plan_us) {
    if (!outcome.served) {
        count_decline(outcome.reason);
        return;
    }
    served_.fetch_add(1, std::memory_order_relaxed);
    bytes_out_.fetch_add(outcome.bytes_out, std::memory_order_relaxed);
    if (outcome.client_gone) clients_gone_.fetch_add(1, std::memory_order_relaxed);
    const uint32_t us[kStages] = {plan_us, outcome.barrier_us, outcome.search_us, outcome.total_us};
    for (size_t stage = 0; stage < kStages; ++stage) us_[stage][bucket_of(us[stage])].fetch_add(1, std::memory_order_relaxed);
}

void Desk::count_decline(const std::string& reason) {
    declined_.fetch_add(1, std::memory_order_relaxed);
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
    for (size_t stage = 0; stage < kStages; ++stage)
        for (size_t bucket = 0; bucket < kBuckets; ++bucket) n.us[stage][bucket] = us_[stage][bucket].load();
    return n;
}

std::map<std::string, uint64_t> Desk::reasons() const {
    std::lock_guard<std::mutex> lock(reasons_mutex_);
    return reasons_;
}

}  // namespace curserve
