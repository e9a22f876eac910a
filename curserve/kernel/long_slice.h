// long_slice.h: while one lives, its thread steps aside for any that wakes up, and loses nothing of its share for it.
//
// Facts: since Linux 6.12 a thread may say how long it wants to run at a time (sched_setattr), from 0.1 to 100 ms, and one
// that wakes up with a shorter wish takes the processor at once (EEVDF, PREEMPT_SHORT); among equal wishes it waits for
// the end of a slice or the next tick, up to 4 ms. A search that is answered from memory takes 0.4 ms in all, in three
// processes that wake each other. So threads that compute for milliseconds wish for long slices. The share of the
// processor stays as it was, also beside other programs, which a lower priority would change. Older kernels ignore it.
#ifndef CURSERVE_LONG_SLICE_H
#define CURSERVE_LONG_SLICE_H
#include <cstdint>

namespace curserve {

class LongSlice {
  public:
    LongSlice();   // for this thread; does nothing where the kernel does not know of it
    ~LongSlice();  // on the same one
    LongSlice(const LongSlice&) = delete;
    LongSlice& operator=(const LongSlice&) = delete;

  private:
    uint64_t before_ns_ = 0;  // 0: nothing was changed
};

}  // namespace curserve
#endif
