// crew_test.cpp: who gets a lent thread. Waits for conditions only; ends with status 0 when all held.
#include "crew.h"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace curserve;

namespace {

void check(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "crew_test: %s\n", what);
    std::exit(1);
}

// A number that threads raise and wait for.
class Count {
  public:
    void add(unsigned more = 1) {
        std::lock_guard<std::mutex> lock(mutex_);
        count_ += more;
        moved_.notify_all();
    }
    void wait(unsigned least) {
        std::unique_lock<std::mutex> lock(mutex_);
        moved_.wait(lock, [&] { return count_ >= least; });
    }
    // Waits for one, and takes it.
    void take() {
        std::unique_lock<std::mutex> lock(mutex_);
        moved_.wait(lock, [&] { return count_ > 0; });
        --count_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable moved_;
    unsigned count_ = 0;
};

// A search that wants threads, until its end.
class Search {
  public:
    Search(unsigned helpers, uint32_t rank, std::function<void(const Crew::Loan&)> lent)
        : thread_([this, helpers, rank, lent] {
              Crew::instance().help(helpers, [rank] { return rank; }, [&](const Crew::Loan* loan) {
                  if (loan != nullptr) {
                      lent(*loan);
                  } else {
                      queued_.add();
                      ending_.wait(1);
                  }
                  return false;
              });
          }) {
        queued_.wait(1);
    }
    ~Search() {
        ending_.add();
        thread_.join();
    }

  private:
    Count queued_, ending_;
    std::thread thread_;
};

}  // namespace

int main() {
    const unsigned all = std::max(2u, std::thread::hardware_concurrency()) - 1;
    Count busy, released, served;
    std::vector<const Crew::Loan*> loans;
    std::mutex mutex;
    std::string order;
    const auto hold = [&](const Crew::Loan& loan) {
        {
            std::lock_guard<std::mutex> lock(mutex);
            loans.push_back(&loan);
        }
        busy.add();
        released.take();
    };
    const auto note = [&](char name) {
        return [&, name](const Crew::Loan&) {
            {
                std::lock_guard<std::mutex> lock(mutex);
                order += name;
            }
            served.add();
        };
    };
    {
        const Search holder(all, 5, hold);
        busy.wait(all);
        check(!loans[0]->is_recalled(), "recalled although nobody waits");
        const Search late(1, 7, note('7'));
        check(!loans[0]->is_recalled(), "recalled by a search of a higher rank");
        const Search equal(1, 5, note('5'));
        check(loans[0]->is_recalled(), "not recalled by a search of the same rank");
        const Search first(1, 3, note('3'));
        const Search second(1, 3, note('4'));
        released.add();
        served.wait(4);
        released.add(all - 1);
    }
    check(order == "3457", ("served in another order: " + order).c_str());
    return 0;
}
