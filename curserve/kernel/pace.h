// pace.h: how a thread deep inside of one file notices that nobody waits for the answer any more.
//
// In: work, told as it is done (spend()). Out: over(): true for good once the Patience has ended. From then on everything
// that is computed may be wrong and must be thrown away: engines give up in the middle, and say "no match". spend() only
// counts; once in a while it looks at the clock (25 ns), and every kAskNs it asks the Patience (a system call).
#ifndef CURSERVE_PACE_H
#define CURSERVE_PACE_H
#include <cstddef>
#include <cstdint>

namespace curserve {

// Whether an answer is still waited for. Asked by many threads.
class Patience {
  public:
    virtual ~Patience() = default;
    virtual bool lasts() = 0;
};

// One thread's.
class Pace {
  public:
    // A byte counts as one where vector code or an automaton looks at it.
    static constexpr size_t kOfCall = 1024;  // a look for one match, which may be of any length
    static constexpr size_t kOfVmByte = 16;

    // null: for ever. Must outlive what is worked for it.
    void keep_to(Patience* patience) { patience_ = patience; }
    // False: over.
    bool spend(size_t work) {
        if (work < left_) {
            left_ -= work;
            return true;
        }
        return look();
    }
    bool over() const { return over_; }

  private:
    static constexpr size_t kLookEvery = 1u << 16;    // 8 us at the speed of memory
    static constexpr uint64_t kAskNs = 1'000'000u;
    bool look();

    Patience* patience_ = nullptr;
    size_t left_ = kLookEvery;
    uint64_t asked_ns_ = 0;
    bool over_ = false;
};

}  // namespace curserve
#endif
