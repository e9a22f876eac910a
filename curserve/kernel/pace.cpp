#include "pace.h"

#include <ctime>

namespace curserve {

bool Pace::look() {
    if (over_ || patience_ == nullptr) {
        left_ = over_ ? 0 : kLookEvery;
        return !over_;
    }
    left_ = kLookEvery;
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    const uint64_t now_ns = static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
    if (asked_ns_ == 0) asked_ns_ = now_ns;  // what is done sooner never asks
    if (now_ns - asked_ns_ < kAskNs) return true;
    asked_ns_ = now_ns;
    over_ = !patience_->lasts();
    if (over_) left_ = 0;
    return !over_;
}

}  // namespace curserve
