// crew.h: the worker threads of the process, and output that keeps its order.
//
// Crew: a fixed set of threads; help() lends some of them to a search that its own thread has begun anyway, so a busy
// crew slows a search down but never blocks it. Searches of the lowest rank get them, in turn. OrderedJobs: jobs numbered in print order are claimed in order by
// whoever is free; what they print leaves in that order. Bounded: a job that is not the head may hold kSpill bytes, and
// at most kWindow jobs may be ahead of the head.
#ifndef CURSERVE_CREW_H
#define CURSERVE_CREW_H
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace curserve {

class Crew {
  public:
    // The process's crew: one thread fewer than there are cores (at least one), started at first use.
    static Crew& instance();
    struct Task;
    // Of a lent thread.
    class Loan {
      public:
        // Whether another search waits for it, of no higher rank: time to come back between two jobs.
        bool is_recalled() const;

      private:
        friend class Crew;
        Loan(Crew& crew, const Task& task) : crew_(crew), task_(task) {}
        Crew& crew_;
        const Task& task_;
    };
    using Rank = std::function<uint32_t()>;  // asked again and again, by any thread
    // Gives whether there is more to do. loan: null on the search's own thread.
    using Work = std::function<bool(const Loan* loan)>;
    // Runs `work` on this thread, and on up to `helpers` others that are free; returns when all that began have ended. A
    // lent thread that came back although there is more to do goes to the next search that wants one, and this search
    // takes its turn again behind it.
    void help(unsigned helpers, const Rank& rank, const Work& work);
    ~Crew();

  private:
    struct Helper;
    Crew();
    void run(Helper& self);
    void call(unsigned wanted);
    std::shared_ptr<Task> next_locked() const;
    std::mutex mutex_;
    std::deque<std::shared_ptr<Task>> tasks_;
    std::atomic<size_t> waiting_{0};  // tasks_.size(), for those without the mutex
    std::vector<Helper> helpers_;   // of the size it was made with
    std::vector<Helper*> idle_;     // under mutex_: asleep, and not called
    bool ending_ = false;
};

class OrderedJobs {
  public:
    // emit: sends bytes; called by one thread at a time, in job order. False: nobody wants more.
    using Emit = std::function<bool(const std::vector<char>&, size_t job, bool first_of_job)>;
    OrderedJobs(size_t jobs, Emit emit) : emit_(std::move(emit)), done_(jobs) {}

    static constexpr size_t kNoJob = static_cast<size_t>(-1);
    size_t claim();  // the next job, or kNoJob when there is none or everything was stopped
    // A job's output so far; sends it at once and empties it when the job is the head or has become too large.
    bool offer(size_t job, std::vector<char>& buffer, bool* streaming);
    void finish(size_t job, std::vector<char>&& buffer, bool streaming);
    void stop();
    bool stopped() const;

    static constexpr size_t kSpill = 1u << 20;
    static constexpr size_t kWindow = 64;

  private:
    struct Slot {
        std::vector<char> buffer;
        bool done = false, streamed = false;
    };
    Emit emit_;
    std::vector<Slot> done_;
    mutable std::mutex mutex_;
    std::condition_variable moved_;
    size_t next_ = 0, head_ = 0;
    bool emitting_ = false, stopped_ = false;
};

}  // namespace curserve
#endif
