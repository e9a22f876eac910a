#include "crash.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace curserve {
namespace {

constexpr size_t kPlaces = 64;       // arbitrary; more searches than this are seldom under way
constexpr size_t kTextBytes = 480;   // of a search's folder and arguments; what is longer is cut

struct Place {
    std::atomic<int32_t> pid{0};     // 0: free; -1: being filled
    size_t size = 0, count = 0;
    char text[kTextBytes];
};

std::array<Place, kPlaces> places;
std::atomic<size_t> hint{0};
int report_fd = -1;
char report_version[32];
std::array<struct sigaction, 65> before;

class Line {
  public:
    void text(const char* words) { bytes(words, std::strlen(words)); }
    void bytes(const char* data, size_t size) {
        while (size-- > 0 && used_ < sizeof line_ - 1) line_[used_++] = *data++;
    }
    void number(uint64_t value) {
        char digits[20];
        size_t count = 0;
        do digits[count++] = static_cast<char>('0' + value % 10);
        while ((value /= 10) != 0);
        while (count > 0) bytes(&digits[--count], 1);
    }
    void write() {
        line_[used_++] = '\n';
        if (::write(report_fd, line_, used_) < 0) {
            // Nobody can be told.
        }
        used_ = 0;
    }

  private:
    char line_[1024];
    size_t used_ = 0;
};

void on_crash(int number, siginfo_t*, void*) {
    static std::atomic<bool> begun{false};
    if (!begun.exchange(true)) {
        timespec now{};
        ::clock_gettime(CLOCK_REALTIME, &now);
        Line line;
        line.text("crash: curserve ");
        line.text(report_version);
        line.text(", signal ");
        line.number(static_cast<uint64_t>(number));
        line.text(", pid ");
        line.number(static_cast<uint64_t>(::getpid()));
        line.text(", time ");
        line.number(static_cast<uint64_t>(now.tv_sec));
        line.write();
        for (const Place& place : places) {
            const int32_t pid = place.pid.load(std::memory_order_acquire);
            if (pid <= 0) continue;
            line.text("served: pid ");
            line.number(static_cast<uint64_t>(pid));
            line.text(", in ");
            size_t ended = 0;
            for (size_t at = 0; at < place.size && at < kTextBytes && ended < place.count; ++at) {
                const auto byte = static_cast<unsigned char>(place.text[at]);
                if (byte == 0) line.text(++ended < place.count ? " | " : "");
                else if (byte < 32 || byte == 127) line.text("?");
                else line.bytes(&place.text[at], 1);
            }
            line.write();
        }
    }
    ::sigaction(number, &before[static_cast<size_t>(number)], nullptr);
    ::raise(number);
}

}  // namespace

Serving::Serving(int32_t pid, const char* strings, size_t size, size_t count) : place_(-1) {
    const size_t start = hint.load(std::memory_order_relaxed);
    for (size_t i = 0; i < kPlaces; ++i) {
        Place& place = places[(start + i) % kPlaces];
        int32_t free = 0;
        if (place.pid.load(std::memory_order_relaxed) != 0 ||
            !place.pid.compare_exchange_strong(free, -1, std::memory_order_acquire)) continue;
        place_ = static_cast<int>((start + i) % kPlaces);
        hint.store((start + i + 1) % kPlaces, std::memory_order_relaxed);
        place.size = size < kTextBytes ? size : kTextBytes;
        place.count = count;
        std::memcpy(place.text, strings, place.size);
        place.pid.store(pid > 0 ? pid : 1, std::memory_order_release);
        return;
    }
}

Serving::~Serving() {
    if (place_ >= 0) places[static_cast<size_t>(place_)].pid.store(0, std::memory_order_release);
}

int report_crashes(int fd, const char* version) {
    report_fd = fd;
    std::strncpy(report_version, version, sizeof report_version - 1);
    struct sigaction action{};
    action.sa_sigaction = on_crash;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
        if (::sigaction(number, &action, &before[static_cast<size_t>(number)]) != 0) return errno;
    }
    return 0;
}

}  // namespace curserve
