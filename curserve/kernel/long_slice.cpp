#include "long_slice.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace curserve {

namespace {

// Three times the default slice is nearly as good; 100 ms gained nothing more.
constexpr uint64_t kSliceNs = 10'000'000;

// The kernel's struct sched_attr, first version; glibc 2.41 is the first to have it.
struct Attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t slice_ns, deadline_ns, period_ns;
};
static_assert(sizeof(Attributes) == 48, "SCHED_ATTR_SIZE_VER0");

bool get(Attributes* to) { return ::syscall(SYS_sched_getattr, 0, to, sizeof *to, 0) == 0; }
bool set(Attributes* from) {
    from->size = sizeof *from;
    return ::syscall(SYS_sched_setattr, 0, from, 0) == 0;
}

}  // namespace

LongSlice::LongSlice() {
    Attributes attributes{};
    if (!get(&attributes) || attributes.slice_ns == 0 || attributes.slice_ns >= kSliceNs) return;
    const uint64_t before_ns = attributes.slice_ns;
    attributes.slice_ns = kSliceNs;
    if (set(&attributes)) before_ns_ = before_ns;
}

LongSlice::~LongSlice() {
    Attributes attributes{};
    if (before_ns_ == 0 || !get(&attributes)) return;
    attributes.slice_ns = before_ns_;
    set(&attributes);
}

}  // namespace curserve
