// execute.h: one search, from a living tree to frames on a client's socket.
//
// In: a Tree, what is asked (Query), the client's facts. Out: the answer sent, or the reason why not, decided before the
// first byte. Order: the client means the same files -> barrier -> one View -> starts -> selection -> jobs -> bytes.
// Does not parse, does not decide what a pattern means, keeps nothing between two searches but answers (answers.h).
#ifndef CURSERVE_EXECUTE_H
#define CURSERVE_EXECUTE_H
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../../shims/wire.h"
#include "index.h"
#include "matcher.h"
#include "order.h"
#include "reply.h"
#include "searcher.h"
#include "select.h"
#include "tree.h"

namespace curserve {

// Another number for each Query, and each copy of one.
class Serial {
  public:
    Serial() : value_(next()) {}
    Serial(const Serial&) : Serial() {}
    Serial& operator=(const Serial&) = delete;
    uint64_t value() const { return value_; }

  private:
    static uint64_t next() {
        static std::atomic<uint64_t> last{0};
        return last.fetch_add(1, std::memory_order_relaxed) + 1;
    }
    const uint64_t value_;
};

struct Query {
    const Serial serial;
    std::shared_ptr<const Matcher> matcher;  // null: list files
    std::shared_ptr<const GramQuery> grams;  // what a matching line contains; null: nothing is known
    bool brute = false;                      // the index is not asked
    std::shared_ptr<const Filter> filter;
    SearchSpec spec{};                       // its byte strings point into `kept`, or to literals
    std::vector<std::string> kept;
    std::shared_ptr<const Query> base;       // ... or into that one's
    std::vector<std::string> paths;          // as typed; none: the cwd, implicitly
    Sort sort = Sort::kPath;
    bool sorted = false, reverse = false;    // sorted: an order was asked for; by path it is ours all the same
    bool with_filename_auto = false, mmap_auto = false, messages = true, one_file_system = false;
    unsigned threads = 2;
};

// The files that one answer has matches of, for whoever looks (census.h). An answer about more says little of any.
struct Mentioned {
    static constexpr uint32_t kMost = 32;
    void add(Position position) {  // of any worker thread
        const uint32_t at = count_.fetch_add(1, std::memory_order_relaxed);
        if (at < kMost) positions_[at] = position;
    }
    void name(const Shape& shape) {
        const uint32_t count = count_.load(std::memory_order_relaxed);
        for (uint32_t i = 0; i < count && count <= kMost; ++i) paths.emplace_back(shape.path(positions_[i]));
    }
    std::vector<std::string> paths;  // below the root

  private:
    std::atomic<uint32_t> count_{0};
    std::array<Position, kMost> positions_{};
};

struct Asker {
    int fd = -1;
    Deadline deadline;
    cs_wire_request facts{};
    std::string cwd;
    Mentioned* mentioned = nullptr;  // null: nobody looks
};

// Asked once by a search that will take long, before its first byte.
class Gate {
  public:
    virtual ~Gate() = default;
    virtual bool enter() = 0;  // false: not now; the whole search is begun anew later
    virtual uint32_t behind() const = 0;  // searches of the same agent that wait for this one's end; any thread's
};

struct Outcome {
    bool served = false, client_gone = false;
    bool repeated = false;   // served as it was before, without a search
    bool postponed = false;  // neither served nor declined: the gate was closed
    int exit_code = 0;
    uint32_t barrier_us = 0, search_us = 0, total_us = 0;
    uint64_t generation = 0, files = 0, bytes_scanned = 0, bytes_out = 0;
    uint64_t candidates = 0, candidate_bytes = 0;  // files that could not be left out, and their text
    std::string reason;
};

// index, gate: null if there is none.
Outcome answer(Tree& tree, const GramIndex* index, const Query& query, const Asker& asker, uint32_t plan_us,
               Gate* gate = nullptr);

}  // namespace curserve
#endif
