// cores.cpp: see cores.h.
#include "cores.h"

#include <unistd.h>

namespace curserve {

Cores::Cores() { CPU_ZERO(&set_); }

Cores Cores::of_process() {
    Cores cores;
    if (::sched_getaffinity(::getpid(), sizeof cores.set_, &cores.set_) != 0) CPU_ZERO(&cores.set_);
    return cores;
}

Cores Cores::others() const {
    Cores left = *this;
    const int here = ::sched_getcpu();
    if (here >= 0 && here < CPU_SETSIZE) CPU_CLR(static_cast<size_t>(here), &left.set_);
    return CPU_COUNT(&left.set_) == 0 ? *this : left;
}

Cores Cores::share(unsigned part, unsigned parts) const {
    if (static_cast<unsigned>(CPU_COUNT(&set_)) < parts) return *this;
    Cores own;
    unsigned rank = 0;
    for (size_t core = 0; core < CPU_SETSIZE; core++) {
        if (CPU_ISSET(core, &set_) && rank++ % parts == part) CPU_SET(core, &own.set_);
    }
    return own;
}

void Cores::hold(pid_t thread) const {
    if (CPU_COUNT(&set_) != 0) ::sched_setaffinity(thread, sizeof set_, &set_);
}

}  // namespace curserve
