// cores.h: threads that compute beside each other, each on cores of its own.
//
// Facts: a kernel that wakes a thread puts it on a core it takes for idle, else on the waker's. A guest's kernel takes no
// halted core for idle, for the host may have given it away (vcpu_is_preempted), so there the thread waits behind its waker,
// until the next balancing moves one of the two: 4 to 30 ms were seen, as long as many a search or a whole walk. Only where
// it may run, the kernel can be told. All of them together may run wherever the process may, as it is asked each time.
#ifndef CURSERVE_CORES_H
#define CURSERVE_CORES_H
#include <sched.h>
#include <sys/types.h>

namespace curserve {

class Cores {
  public:
    // Those of the process's first thread; none where the kernel has more than a cpu_set_t tells.
    static Cores of_process();
    // Without the one this thread is on; all where there is no other.
    Cores others() const;
    // The `part`th of `parts` shares, none of them empty or with a core in common; all where they are too few for that.
    Cores share(unsigned part, unsigned parts) const;
    // From now on a thread of this process (0: this one) runs there, and the threads it makes. None: as it was.
    void hold(pid_t thread) const;

  private:
    Cores();
    cpu_set_t set_;
};

}  // namespace curserve
#endif
