// cores_test.cpp: who is held to which cores. Waits for conditions only; ends with status 0 when all held.
#include "cores.h"

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "crew.h"
#include "walk.h"

using namespace curserve;

namespace {

void check(bool holds, const std::string& what) {
    if (holds) return;
    std::fprintf(stderr, "cores_test: %s\n", what.c_str());
    std::exit(1);
}

cpu_set_t mine() {
    cpu_set_t set;
    CPU_ZERO(&set);
    check(::sched_getaffinity(0, sizeof set, &set) == 0, "sched_getaffinity");
    return set;
}

// Whether the sets have no core in common, and are together what the process may use, or that without one core.
bool divided(const std::vector<cpu_set_t>& sets, int without) {
    const cpu_set_t all = mine();
    cpu_set_t together;
    CPU_ZERO(&together);
    int sum = 0;
    for (const cpu_set_t& set : sets) {
        if (CPU_COUNT(&set) == 0) return false;
        sum += CPU_COUNT(&set);
        CPU_OR(&together, &together, &set);
    }
    if (sum != CPU_COUNT(&together) || sum != CPU_COUNT(&all) - without) return false;
    CPU_AND(&together, &together, &all);
    return CPU_COUNT(&together) == sum;
}

// A place where so many threads meet, each with the cores it is held to.
class Meeting {
  public:
    explicit Meeting(size_t wanted) : wanted_(wanted) {}
    void come() {
        std::unique_lock<std::mutex> lock(mutex_);
        sets_.push_back(mine());
        all_here_.notify_all();
        all_here_.wait(lock, [this] { return sets_.size() >= wanted_; });
    }
    void await(size_t count) {
        std::unique_lock<std::mutex> lock(mutex_);
        all_here_.wait(lock, [this, count] { return sets_.size() >= count; });
    }
    const std::vector<cpu_set_t>& sets() const { return sets_; }

  private:
    const size_t wanted_;
    std::mutex mutex_;
    std::condition_variable all_here_;
    std::vector<cpu_set_t> sets_;
};

std::vector<cpu_set_t> shares(unsigned parts) {
    std::vector<cpu_set_t> sets;
    for (unsigned part = 0; part < parts; part++) {
        std::thread([&, part] {
            Cores::of_process().share(part, parts).hold(0);
            sets.push_back(mine());
        }).join();
    }
    return sets;
}

void test_shares(unsigned cores) {
    for (unsigned parts = 1; parts <= cores; parts++) check(divided(shares(parts), 0), "shares that are none");
    const cpu_set_t all = mine();
    for (const cpu_set_t& set : shares(cores + 1)) check(CPU_EQUAL(&set, &all), "too few cores, and yet held");
}

void test_gang(unsigned cores) {
    const cpu_set_t all = mine();
    for (const bool roaming : {true, false}) {
        Meeting meeting(cores);
        Gang gang;
        for (unsigned i = 0; i < cores; i++) gang.add([&] { meeting.come(); });
        if (roaming) gang.roam(cores);
        else gang.run(cores);
        std::vector<cpu_set_t> sets;
        bool own = false;  // of the thread that called run(): it stays free
        for (const cpu_set_t& set : meeting.sets()) {
            if (!roaming && !own && CPU_EQUAL(&set, &all)) own = true;
            else sets.push_back(set);
        }
        check(roaming || own, "run() holds its own thread");
        check(divided(sets, roaming ? 0 : 1), roaming ? "roam(): cores in common" : "run(): cores in common");
    }
    const cpu_set_t after = mine();
    check(CPU_EQUAL(&after, &all), "a gang left its caller held");
}

std::vector<cpu_set_t> held_of(const Meeting& meeting) {
    std::vector<cpu_set_t> sets;
    const cpu_set_t all = mine();
    for (const cpu_set_t& set : meeting.sets()) {
        if (!CPU_EQUAL(&set, &all)) sets.push_back(set);
    }
    return sets;
}

// Helpers that were asleep are called to other cores than the search's own. At first they may still be on their way.
void test_crew(unsigned helpers) {
    for (;;) {
        Meeting meeting(helpers + 1);
        Crew::instance().help(helpers, [] { return 0u; }, [&](const Crew::Loan*) {
            meeting.come();
            return false;
        });
        const std::vector<cpu_set_t> sets = held_of(meeting);
        if (sets.size() == helpers && divided(sets, 1)) return;
        std::this_thread::yield();
    }
}

// Helpers that go from one search to the next without a call may run anywhere.
void test_crew_in_a_row(unsigned helpers) {
    Meeting first(helpers + 2), second(helpers + 1);
    const auto search = [helpers](Meeting& meeting, const std::function<void()>& own) {
        Crew::instance().help(helpers, [] { return 0u; }, [&](const Crew::Loan* loan) {
            if (loan == nullptr) own();
            meeting.come();
            return false;
        });
    };
    std::thread other([&] { search(first, [] {}); });
    first.await(helpers + 1);
    search(second, [&] { first.come(); });  // ends the first one, when the second one waits for helpers
    other.join();
    check(held_of(second).empty(), "a helper stays held");
}

}  // namespace

int main() {
    const cpu_set_t all = mine();
    const auto cores = static_cast<unsigned>(CPU_COUNT(&all));
    test_shares(cores);
    if (cores < 2) return 0;  // nobody to be told from
    test_gang(cores);
    // With fewer cores than the crew has threads, nobody is held.
    if (std::thread::hardware_concurrency() == cores) {
        test_crew(cores - 1);
        test_crew_in_a_row(cores - 1);
    }
    return 0;
}
