#include "crew.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "cores.h"
#include "long_slice.h"

namespace curserve {

struct Crew::Task {
    const Rank* rank;
    const Work* work;
    unsigned wanted;       // helpers that may still begin
    unsigned running = 0;  // helpers inside
    bool open = true;      // the search's own thread is still at work
    std::condition_variable left;
};

struct Crew::Helper {
    std::thread thread;
    pid_t id = 0;
    bool called = false;  // by a search, which has held it to some cores
    std::condition_variable wake;
};

Crew& Crew::instance() {
    static Crew crew;
    return crew;
}

Crew::Crew() {
    const unsigned cores = std::max(2u, std::thread::hardware_concurrency());
    helpers_ = std::vector<Helper>(cores - 1);
    for (Helper& helper : helpers_) helper.thread = std::thread([this, &helper] { run(helper); });
}

Crew::~Crew() {
    {
        std::lock_guard<std::mutex> lock(mutex_);
        ending_ = true;
    }
    for (Helper& helper : helpers_) {
        helper.wake.notify_one();
        helper.thread.join();
    }
}

void Crew::run(Helper& self) {
    const LongSlice aside;
    self.id = static_cast<pid_t>(::syscall(SYS_gettid));
    bool called = false, held = false;  // for what comes next; to some cores
    std::unique_lock<std::mutex> lock(mutex_);
    while (!ending_) {
        if (tasks_.empty()) {
            idle_.push_back(&self);
            self.wake.wait(lock, [&] { return ending_ || self.called; });
            self.called = false;
            called = held = true;
            continue;
        }
        const std::shared_ptr<Task> task = next_locked();
        if (--task->wanted == 0) tasks_.erase(std::find(tasks_.begin(), tasks_.end(), task));
        waiting_.store(tasks_.size(), std::memory_order_relaxed);
        ++task->running;
        lock.unlock();
        if (held && !called) {  // it found the task by itself: that search may be on any core
            Cores::of_process().hold(0);
            held = false;
        }
        called = false;
        const Loan loan(*this, *task);
        const bool more = (*task->work)(&loan);
        lock.lock();
        if (more && task->open && task->wanted++ == 0) tasks_.push_back(task);
        waiting_.store(tasks_.size(), std::memory_order_relaxed);
        if (--task->running == 0) task->left.notify_all();
    }
}

// Wakes helpers, as many as are idle and wanted, on cores that are not this search's nor each other's.
void Crew::call(unsigned wanted) {
    std::vector<Helper*> called;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        while (called.size() < wanted && !idle_.empty()) {
            called.push_back(idle_.back());
            idle_.pop_back();
        }
    }
    if (called.empty()) return;
    const Cores others = Cores::of_process().others();
    const auto parts = static_cast<unsigned>(called.size());
    for (unsigned part = 0; part < parts; ++part) {
        others.share(part, parts).hold(called[part]->id);
        std::lock_guard<std::mutex> lock(mutex_);
        called[part]->called = true;
        called[part]->wake.notify_one();
    }
}

// Ranks change while searches wait, and few do: no order is kept.
std::shared_ptr<Crew::Task> Crew::next_locked() const {
    std::shared_ptr<Task> next;
    uint32_t lowest = 0;
    for (const auto& task : tasks_) {
        const uint32_t rank = (*task->rank)();
        if (next != nullptr && rank >= lowest) continue;
        next = task;
        lowest = rank;
    }
    return next;
}

bool Crew::Loan::is_recalled() const {
    if (crew_.waiting_.load(std::memory_order_relaxed) == 0) return false;
    const uint32_t own = (*task_.rank)();
    std::lock_guard<std::mutex> lock(crew_.mutex_);
    return std::any_of(crew_.tasks_.begin(), crew_.tasks_.end(), [&](const std::shared_ptr<Task>& task) {
        return task.get() != &task_ && (*task->rank)() <= own;
    });
}

void Crew::help(unsigned helpers, const Rank& rank, const Work& work) {
    const unsigned lent = std::min<unsigned>(helpers, static_cast<unsigned>(helpers_.size()));
    if (lent == 0) {
        work(nullptr);
        return;
    }
    auto task = std::make_shared<Task>();
    task->rank = &rank;
    task->work = &work;
    task->wanted = lent;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        tasks_.push_back(task);
        waiting_.store(tasks_.size(), std::memory_order_relaxed);
    }
    call(lent);
    work(nullptr);
    std::unique_lock<std::mutex> lock(mutex_);
    task->open = false;
    const auto mine = std::find(tasks_.begin(), tasks_.end(), task);
    if (mine != tasks_.end()) tasks_.erase(mine);  // those that never came are not waited for
    waiting_.store(tasks_.size(), std::memory_order_relaxed);
    task->left.wait(lock, [&task] { return task->running == 0; });
}

size_t OrderedJobs::claim() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (stopped_ || next_ >= done_.size()) return kNoJob;
    const size_t job = next_++;
    // The head was claimed before us and is being worked on, so it moves.
    moved_.wait(lock, [this, job] { return stopped_ || job - head_ < kWindow; });
    return stopped_ ? kNoJob : job;
}

bool OrderedJobs::offer(size_t job, std::vector<char>& buffer, bool* streaming) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (stopped_) return false;
    if (head_ != job || emitting_) {
        if (buffer.size() < kSpill) return true;
        moved_.wait(lock, [this, job] { return stopped_ || (head_ == job && !emitting_); });
        if (stopped_) return false;
    }
    // Only the head's own thread gets here, and finish() emits only finished heads: no lock is needed to send.
    lock.unlock();
    const bool wanted = emit_(buffer, job, !*streaming);
    *streaming = true;
    buffer.clear();
    if (!wanted) stop();
    return wanted;
}

void OrderedJobs::finish(size_t job, std::vector<char>&& buffer, bool streaming) {
    std::unique_lock<std::mutex> lock(mutex_);
    done_[job].buffer = std::move(buffer);
    done_[job].streamed = streaming;
    done_[job].done = true;
    while (!emitting_ && !stopped_ && head_ < done_.size() && done_[head_].done) {
        emitting_ = true;
        Slot slot = std::move(done_[head_]);
        lock.unlock();
        const bool wanted = slot.buffer.empty() || emit_(slot.buffer, head_, !slot.streamed);
        lock.lock();
        ++head_;
        emitting_ = false;
        if (!wanted) stopped_ = true;
        moved_.notify_all();
    }
}

void OrderedJobs::stop() {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    moved_.notify_all();
}

bool OrderedJobs::stopped() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return stopped_;
}

}  // namespace curserve
