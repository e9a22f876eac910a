// watch.cpp: see watch.h.
//
// inotify queues an event inside the system call that causes it, so one non-blocking read after a request arrived sees
// every change that finished before. A reader thread empties the queue all the time (it holds 16,384 events by default,
// a checkout of 10,000 files makes four times as many); it naps between two reads, so churn costs wakeups by time, not
// by event.
#include "watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "walk.h"

namespace curserve {
namespace {
constexpr size_t kBuffer = 128 * 1024;   // bytes: some 3,000 events
constexpr size_t kLargestEvent = sizeof(struct inotify_event) + 256;
}  // namespace

// Never OPEN, ACCESS or CLOSE_NOWRITE: reading would flood us. EXCL_UNLINK: a name already removed cannot be searched.
const uint32_t Watch::kTreeMask = IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM |
                                  IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;
const uint32_t Watch::kAncestorMask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                      IN_MOVE_SELF | IN_ONLYDIR;

LetterBox::Mail LetterBox::take() {
    std::lock_guard<std::mutex> lock(mutex_);
    Mail mail = std::move(mail_);
    mail_ = Mail();
    count_.store(0, std::memory_order_relaxed);
    return mail;
}

void LetterBox::mark(uint64_t dir, const std::string& name) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (mail_.names[dir].try_emplace(name).second) count_.fetch_add(1, std::memory_order_relaxed);
}

void LetterBox::overflow() {
    std::lock_guard<std::mutex> lock(mutex_);
    overflow_locked();
}

void LetterBox::overflow_locked() {
    mail_.names.clear();  // the rescan will look at everything; `lost` and `moved` stay true
    mail_.overflow = true;
    moves_.clear();
    count_.store(1, std::memory_order_relaxed);
    overflows_.fetch_add(1, std::memory_order_relaxed);
}

void LetterBox::deliver(uint64_t dir, uint32_t mask, uint32_t cookie, const char* name) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (name == nullptr) {
        if ((mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF)) != 0) mail_.lost.insert(dir);
        if ((mask & IN_MOVE_SELF) != 0) mail_.moved.insert(dir);
        if ((mask & IN_ATTRIB) != 0) mail_.names[dir][std::string()].mask |= mask;
        return;
    }
    if (mail_.overflow) return;
    const auto [it, added] = mail_.names[dir].try_emplace(name);
    if (added && count_.fetch_add(1, std::memory_order_relaxed) >= kMost) {
        overflow_locked();
        return;
    }
    Mark& mark = it->second;
    mark.mask |= mask;
    if ((mask & IN_CREATE) != 0) {
        mark.settle = Settle::kOpen;
    } else if ((mask & IN_CLOSE_WRITE) != 0) {
        // The writer of a file just made. Of what was there before, others may hold another name: their doubts stay.
        if (mark.settle == Settle::kOpen) mark.settle = Settle::kClosed;
    } else if ((mask & IN_MOVED_FROM) != 0) {
        Move move{cookie, dir, name, mark.settle};
        if (mark.settle == Settle::kInherit) {
            move.dir = mark.from_dir;
            move.name = mark.from_name;
        }
        moves_.push_back(std::move(move));
        if (moves_.size() > kMoves) moves_.pop_front();
        mark.settle = Settle::kKeep;
    } else if ((mask & IN_MOVED_TO) != 0) {
        mark.settle = Settle::kArrived;  // from outside, unless its other half is known
        for (const Move& move : moves_) {
            if (move.cookie != cookie) continue;
            mark.settle = move.settle == Settle::kKeep ? Settle::kInherit : move.settle;
            mark.from_dir = move.dir;
            mark.from_name = move.name;
            break;
        }
    } else if ((mask & IN_DELETE) != 0) {
        mark.settle = Settle::kKeep;
    }
}

std::shared_ptr<Watch> Watch::open(int nap_ms) {
    const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
        throw std::runtime_error(std::string("inotify is not to be had: ") + std::strerror(errno) +
                                 (errno == EMFILE ? " (fs.inotify.max_user_instances)" : ""));
    }
    const int stop_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd < 0) {
        const int error = errno;
        ::close(fd);
        throw std::runtime_error(std::string("eventfd: ") + std::strerror(error));
    }
    return std::shared_ptr<Watch>(new Watch(fd, stop_fd, nap_ms));
}

Watch::Watch(int fd, int stop_fd, int nap_ms) : fd_(fd), stop_fd_(stop_fd), nap_ms_(nap_ms), buffer_(kBuffer) {
    reader_ = std::thread([this] { run(); });
}

Watch::~Watch() {
    const uint64_t one = 1;
    // An eventfd that takes no more has been signalled already.
    if (::write(stop_fd_, &one, sizeof one) < 0) {}
    reader_.join();
    ::close(fd_);
    ::close(stop_fd_);
}

void Watch::run() {
    struct pollfd waits[2] = {{fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    for (;;) {
        if (::poll(waits, 2, -1) < 0 && errno != EINTR) return;
        if ((waits[1].revents & POLLIN) != 0) return;
        drain();
        if (::poll(&waits[1], 1, nap_ms_) > 0) return;
    }
}

int Watch::add(int dir_fd, uint32_t mask, const std::shared_ptr<LetterBox>& box, uint64_t dir) {
    // Through the open descriptor: exactly the directory that is listed, whatever happens to its name meanwhile.
    char path[48] = ".";
    if (!move_into(dir_fd)) std::snprintf(path, sizeof path, "/proc/self/fd/%d", dir_fd);
    // Outside of the lock, for two threads that load spend a third of their time here. What happens before the target is
    // noted is lost, and happened before the directory is listed. Only a removal meanwhile may have ended this very watch.
    const auto watch = [&] { return ::inotify_add_watch(fd_, path, mask | IN_MASK_ADD); };
    const uint64_t removals = removals_.load();
    int wd = watch();
    if (wd < 0) return -errno;
    std::lock_guard<BriefMutex> lock(mutex_);
    if (removals != removals_.load()) wd = watch();
    if (wd < 0) return -errno;
    bool known = false;
    each_target(wd, [&](const Target& target) { known = known || (target.box == box.get() && target.dir == dir); });
    if (known) return wd;
    Box& mine = boxes_.try_emplace(box.get(), Box{box, 0}).first->second;
    mine.targets++;
    std::unique_ptr<Page>& page = pages_[wd / Page::kSize];
    if (page == nullptr) page = std::make_unique<Page>();
    Target& first = page->first[static_cast<size_t>(wd % Page::kSize)];
    if (first.box != nullptr) {
        more_[wd].push_back(Target{box.get(), dir});
        return wd;
    }
    first = Target{box.get(), dir};
    page->used++;
    watches_.fetch_add(1, std::memory_order_relaxed);
    return wd;
}

template <typename Visit>
void Watch::each_target(int wd, Visit visit) {
    const auto page = pages_.find(wd / Page::kSize);
    if (page == pages_.end()) return;
    const Target& first = page->second->first[static_cast<size_t>(wd % Page::kSize)];
    if (first.box == nullptr) return;
    visit(first);
    if (more_.empty()) return;
    const auto more = more_.find(wd);
    if (more == more_.end()) return;
    for (const Target& target : more->second) visit(target);
}

// All targets of a watch that has ended.
void Watch::forget(int wd) {
    each_target(wd, [&](const Target& target) {
        const auto box = boxes_.find(target.box);
        if (--box->second.targets == 0) boxes_.erase(box);
    });
    more_.erase(wd);
    const auto page = pages_.find(wd / Page::kSize);
    if (page == pages_.end() || page->second->first[static_cast<size_t>(wd % Page::kSize)].box == nullptr) return;
    page->second->first[static_cast<size_t>(wd % Page::kSize)] = Target();
    if (--page->second->used == 0) pages_.erase(page);
    watches_.fetch_sub(1, std::memory_order_relaxed);
}

void Watch::remove(int wd, const LetterBox* box, uint64_t dir) {
    std::lock_guard<BriefMutex> lock(mutex_);
    std::vector<Target> left;
    bool found = false;
    each_target(wd, [&](const Target& target) {
        if (target.box == box && target.dir == dir) {
            found = true;
        } else {
            left.push_back(target);
        }
    });
    if (!found) return;
    if (left.empty()) {
        forget(wd);
        removals_++;
        ::inotify_rm_watch(fd_, wd);  // its IN_IGNORED finds no target; descriptors are not handed out again
        return;
    }
    const auto mine = boxes_.find(box);
    if (--mine->second.targets == 0) boxes_.erase(mine);
    pages_[wd / Page::kSize]->first[static_cast<size_t>(wd % Page::kSize)] = left.front();
    left.erase(left.begin());
    if (left.empty()) {
        more_.erase(wd);
    } else {
        more_[wd] = std::move(left);
    }
}

void Watch::drain() {
    std::lock_guard<BriefMutex> lock(mutex_);
    drain_locked();
}

void Watch::drain_locked() {
    ssize_t owed = -1;  // bytes that were queued when we came; later events are not ours to wait for
    for (;;) {
        const ssize_t n = ::read(fd_, buffer_.data(), buffer_.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        distribute(buffer_.data(), static_cast<size_t>(n));
        if (static_cast<size_t>(n) + kLargestEvent < buffer_.size()) return;  // that was all
        if (owed < 0) {
            int queued = 0;
            if (::ioctl(fd_, FIONREAD, &queued) != 0) queued = 0;
            owed = queued;
        } else {
            owed -= n;
        }
        if (owed <= 0) return;
    }
}

void Watch::distribute(const char* buffer, size_t size) {
    size_t at = 0;
    while (at + sizeof(struct inotify_event) <= size) {
        struct inotify_event event;
        std::memcpy(&event, buffer + at, sizeof event);
        const char* name = event.len != 0 ? buffer + at + sizeof event : nullptr;
        at += sizeof event + event.len;
        if ((event.mask & IN_Q_OVERFLOW) != 0) {
            for (auto& [key, box] : boxes_) box.box->overflow();
            continue;
        }
        each_target(event.wd, [&](const Target& target) {
            target.box->deliver(target.dir, event.mask, event.cookie, name);
        });
        if ((event.mask & IN_IGNORED) != 0) forget(event.wd);
    }
}

}  // namespace curserve
