#include "census.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <unistd.h>

#include "../../shims/wire.h"
#include "process.h"

namespace curserve {

namespace {

void append(std::string& out, std::string_view field) { out.append(field).push_back('\0'); }
void append(std::string& out, uint64_t number) { append(out, std::to_string(number)); }
void append_heat(std::string& out, double heat) { append(out, std::to_string(heat)); }

// The strings of a sound request (peer.h): its cwd and its arguments, as many as fit.
struct Asked {
    std::string_view cwd, words;
    uint64_t argc = 0;
};

Asked asked_of(const Peer& peer) {
    cs_wire_request facts;
    std::memcpy(&facts, peer.payload, sizeof facts);
    const char* const text = reinterpret_cast<const char*>(peer.payload) + sizeof facts;
    Asked asked;
    asked.cwd = text;
    const char* const words = text + asked.cwd.size() + 1;
    size_t size = 0;
    for (; asked.argc < facts.argc; ++asked.argc) {
        const size_t word = std::strlen(words + size) + 1;
        if (size + word > Census::kMostKey) break;
        size += word;
    }
    asked.words = std::string_view(words, size);
    return asked;
}

}  // namespace

template <typename Count>
Count& Census::heat(Hottest<Count>& list, const std::string& key) {
    auto found = list.find(key);
    if (found == list.end()) {
        double inherited = 0;
        if (list.size() >= kMost) {
            const auto coldest = std::min_element(
                list.begin(), list.end(), [](const auto& a, const auto& b) { return a.second.heat < b.second.heat; });
            inherited = coldest->second.heat;
            list.erase(coldest);
        }
        found = list.emplace(key, Count{}).first;
        found->second.heat = inherited;
    }
    found->second.heat += 1;
    return found->second;
}

template <typename Count>
void Census::cool(Hottest<Count>& list, double factor) {
    for (auto& [key, count] : list) count.heat *= factor;
}

void Census::look(uint32_t seconds) {
    const uint64_t now = monotonic_ns();
    std::lock_guard<std::mutex> lock(mutex_);
    if (!is_open(now)) {
        queries_.clear();
        files_.clear();
        callers_.clear();
        sample_ = Sample{};
        sampled_from_ = 0;
        since_ns_ = cooled_ns_ = now;
    }
    const double factor = std::exp2(-static_cast<double>(now - cooled_ns_) / 1e9 / kHalfLifeS);
    cool(queries_, factor);
    cool(files_, factor);
    cool(callers_, factor);
    cooled_ns_ = now;
    // A shorter look does not cut a longer one short.
    until_ns_ = std::max(until_ns_.load(), now + uint64_t{seconds} * 1'000'000'000u);
}

void Census::note(const Peer& peer, const std::string& root, const Outcome& outcome,
                  const Mentioned& mentioned) noexcept {
    try {
        enter(peer, root, outcome, mentioned);
    } catch (const std::exception&) {
        // Out of memory: it is only not counted.
    }
}

void Census::enter(const Peer& peer, const std::string& root, const Outcome& outcome, const Mentioned& mentioned) {
    if (peer.payload == nullptr) return;
    const Caller caller = caller_of(peer.pid, peer.parent);
    if (caller.pid == ::getpid()) return;
    const Asked asked = asked_of(peer);
    std::string key(asked.cwd);
    key.push_back('\0');
    key.append(asked.words);
    std::lock_guard<std::mutex> lock(mutex_);
    QueryCount& query = heat(queries_, key);
    if (query.served + query.declined == 0) {
        query.root = root;
        query.cwd = asked.cwd;
        query.words = asked.words;
        query.argc = asked.argc;
    }
    CallerCount& teller = heat(callers_, std::to_string(caller.pid) + "@" + std::to_string(caller.start_ticks));
    teller.pid = caller.pid;
    teller.start_ticks = caller.start_ticks;
    if (!root.empty()) teller.root = root;
    query.served += outcome.served;
    query.declined += !outcome.served;
    teller.served += outcome.served;
    teller.declined += !outcome.served;
    if (!outcome.served) return;
    query.us_sum += outcome.total_us;
    query.us_max = std::max<uint64_t>(query.us_max, outcome.total_us);
    query.bytes += outcome.bytes_out;
    teller.us_sum += outcome.total_us;
    teller.bytes += outcome.bytes_out;
    for (const std::string& path : mentioned.paths) {
        FileCount& file = heat(files_, root + '\0' + path);
        file.root = root;
        file.path = path;
        ++file.answers;
    }
    draw_sample(peer, root, outcome);
}

// The n-th candidate takes the place with a chance of 1/n: in the end each had the same.
void Census::draw_sample(const Peer& peer, const std::string& root, const Outcome& outcome) {
    if (root.empty() || outcome.client_gone || peer.payload_size > kMostPayload) return;
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    if (random_ % ++sampled_from_ != 0) return;
    sample_.payload.assign(reinterpret_cast<const char*>(peer.payload), peer.payload_size);
    sample_.root = root;
}

Census::Sample Census::take_sample() {
    std::lock_guard<std::mutex> lock(mutex_);
    sampled_from_ = 0;
    Sample taken;
    std::swap(taken, sample_);
    return taken;
}

std::string Census::report() const {
    std::lock_guard<std::mutex> lock(mutex_);
    std::string out;
    append(out, "since");
    append(out, since_ns_ == 0 ? uint64_t{0} : (monotonic_ns() - since_ns_) / 1'000'000'000u);
    for (const auto& [key, query] : queries_) {
        append(out, "query");
        append(out, query.root);
        append(out, query.cwd);
        append_heat(out, query.heat);
        for (const uint64_t number : {query.served, query.declined, query.us_sum, query.us_max, query.bytes, query.argc})
            append(out, number);
        out.append(query.words);
    }
    for (const auto& [key, file] : files_) {
        append(out, "file");
        append(out, file.root);
        append(out, file.path);
        append_heat(out, file.heat);
        append(out, file.answers);
    }
    for (const auto& [key, caller] : callers_) {
        append(out, "caller");
        append(out, static_cast<uint64_t>(caller.pid));
        append(out, caller.start_ticks);
        append(out, caller.root);
        append_heat(out, caller.heat);
        for (const uint64_t number : {caller.served, caller.declined, caller.us_sum, caller.bytes}) append(out, number);
    }
    return out;
}

}  // namespace curserve
