// brief_mutex.h: a mutex for what takes less than a microsecond.
//
// Whoever finds it taken spins a little before it sleeps: to be put to sleep and woken on an idle core takes 25 us, and the
// kernel may wake the thread on its waker's core, where it stays for some 10 ms although another core has nothing to do.
#ifndef CURSERVE_BRIEF_MUTEX_H
#define CURSERVE_BRIEF_MUTEX_H
#include <pthread.h>

namespace curserve {

class BriefMutex {  // for std::lock_guard and std::unique_lock
  public:
    BriefMutex() {
        pthread_mutexattr_t kind;
        ::pthread_mutexattr_init(&kind);
        ::pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ADAPTIVE_NP);
        ::pthread_mutex_init(&mutex_, &kind);
        ::pthread_mutexattr_destroy(&kind);
    }
    ~BriefMutex() { ::pthread_mutex_destroy(&mutex_); }
    BriefMutex(const BriefMutex&) = delete;
    BriefMutex& operator=(const BriefMutex&) = delete;
    void lock() { ::pthread_mutex_lock(&mutex_); }
    void unlock() { ::pthread_mutex_unlock(&mutex_); }

  private:
    pthread_mutex_t mutex_;
};

}  // namespace curserve
#endif
