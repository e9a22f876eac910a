// room.h: whether there is room for more in memory, asked by whoever is about to grow: a load, an index in the making.
//
// In: a limit of resident bytes. Out: passage, or the knowledge that the work was cancelled. Who finds no room sleeps
// until there is some: the daemon's ceiling thread makes it (ceiling.py) by giving something up, perhaps the sleeper's own
// work. So memory does not grow by itself while that thread does not get a processor. Not asked by searches, whose memory
// is bounded otherwise. The system is asked for the resident memory once per kLookBytes of growth (some 10 us).
#ifndef CURSERVE_ROOM_H
#define CURSERVE_ROOM_H
#include <atomic>
#include <cstdint>

namespace curserve {

class Room {
  public:
    static Room& instance();
    void limit(uint64_t most_bytes) { most_bytes_.store(most_bytes, std::memory_order_relaxed); }  // 0: none
    // Returns once what has grown fits, and so many bytes more. False: *cancel was set meanwhile.
    bool wait(uint64_t more, const std::atomic<bool>& cancel);
    void grew(uint64_t bytes) { grown_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
    uint32_t waiting() const { return waiting_.load(std::memory_order_relaxed); }
    static uint64_t resident_bytes();
    static constexpr uint64_t kLookBytes = 1u << 20;

  private:
    static constexpr int kPauseUs = 2000;
    std::atomic<uint64_t> most_bytes_{0};
    std::atomic<uint64_t> grown_bytes_{kLookBytes};  // since the last look
    std::atomic<uint32_t> waiting_{0};
};

}  // namespace curserve
#endif
