// census.h: who asks what, gathered only while somebody looks.
//
// In: requests that were answered or declined, each with what its answer spoke of. Out: report(), for `curserve top`.
// Looking is a lease of some seconds, renewed by each look; without one a request costs a single comparison. Bounded:
// each list holds kMost entries, and the coldest makes room for a new one, which inherits its heat (Metwally's
// space-saving): what is asked often is never missed, what is asked rarely may be shown as asked a little more often.
// Heat halves every half a minute, so the lists tell of the present. The daemon's own questions are not counted.
// Every method may be called from many threads at once.
#ifndef CURSERVE_CENSUS_H
#define CURSERVE_CENSUS_H
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "execute.h"
#include "peer.h"

namespace curserve {

class Census {
  public:
    // Somebody looks, for so long. After a pause everything begins anew.
    void look(uint32_t seconds);
    bool is_open(uint64_t now_ns) const { return now_ns < until_ns_.load(std::memory_order_relaxed); }

    // A request that was served or declined. root: of the workspace, empty if none was found.
    void note(const Peer& peer, const std::string& root, const Outcome& outcome, const Mentioned& mentioned) noexcept;

    // Records of NUL-ended strings, each beginning with its kind:
    //   "since" SECONDS
    //   "query" ROOT CWD HEAT SERVED DECLINED US_SUM US_MAX BYTES ARGC ARG…
    //   "file" ROOT PATH HEAT ANSWERS
    //   "caller" PID START_TICKS ROOT HEAT SERVED DECLINED US_SUM BYTES
    std::string report() const;

    // One served request, each since the last call with equal chance; its payload is empty if there was none.
    struct Sample {
        std::string payload, root;
    };
    Sample take_sample();

    static constexpr size_t kMost = 128;          // entries of a list; arbitrary, several screens
    static constexpr size_t kMostKey = 1024;      // bytes of a question that are kept; longer ones are cut
    static constexpr size_t kMostPayload = 65536;  // longer requests are not sampled
    static constexpr double kHalfLifeS = 30;

  private:
    struct Heated {
        double heat = 0;
    };
    struct QueryCount : Heated {
        std::string root, cwd, words;  // words: each ended by a NUL
        uint64_t argc = 0, served = 0, declined = 0, us_sum = 0, us_max = 0, bytes = 0;
    };
    struct FileCount : Heated {
        std::string root, path;
        uint64_t answers = 0;
    };
    struct CallerCount : Heated {
        int32_t pid = 0;
        uint64_t start_ticks = 0, served = 0, declined = 0, us_sum = 0, bytes = 0;
        std::string root;  // of the last request
    };
    template <typename Count>
    using Hottest = std::unordered_map<std::string, Count>;
    template <typename Count>
    static Count& heat(Hottest<Count>& list, const std::string& key);
    template <typename Count>
    static void cool(Hottest<Count>& list, double factor);
    void enter(const Peer& peer, const std::string& root, const Outcome& outcome, const Mentioned& mentioned);
    void draw_sample(const Peer& peer, const std::string& root, const Outcome& outcome);

    std::atomic<uint64_t> until_ns_{0};
    mutable std::mutex mutex_;
    uint64_t since_ns_ = 0, cooled_ns_ = 0;
    Hottest<QueryCount> queries_;
    Hottest<FileCount> files_;
    Hottest<CallerCount> callers_;
    Sample sample_;
    uint64_t sampled_from_ = 0, random_ = 0x9E3779B97F4A7C15u;
};

}  // namespace curserve
#endif
