// answers.h: what was answered lately, so that a question asked again of what has not changed is not searched again.
//
// In: a View, a Query's serial, the answer. Out: the same answer, for that very View and Query only. Invariant: an
// entry is found by the identity of both objects, which are immutable, never by what they say; who asks has taken the
// barrier, so that the View is current. Forgets the oldest beyond its bounds. Any thread may call any method.
#ifndef CURSERVE_ANSWERS_H
#define CURSERVE_ANSWERS_H
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

namespace curserve {

class View;
struct Answer;  // execute.cpp

class Answers {
  public:
    static constexpr size_t kMostOne = 16u << 10;      // bytes of an answer that is kept; an agent reads no more
    static constexpr size_t kMost = 128u << 10;        // of all in here; and of all of the process:
    static constexpr size_t kMostOfAll = 32u << 20;

    Answers() = default;
    ~Answers();
    Answers(const Answers&) = delete;
    Answers& operator=(const Answers&) = delete;

    // Null: nothing is kept.
    std::shared_ptr<const Answer> find(const std::shared_ptr<const View>& view, uint64_t query) const;
    void keep(const std::shared_ptr<const View>& view, uint64_t query, std::shared_ptr<const Answer> answer,
              size_t size_bytes);
    static size_t all_bytes();  // of the process

  private:
    struct Kept {
        // Weak: a View is freed when it is no more the latest. Its address is not used again while this is here.
        std::weak_ptr<const View> view;
        uint64_t query;
        std::shared_ptr<const Answer> answer;
        size_t size_bytes;
    };
    void drop_oldest();
    mutable std::mutex mutex_;
    std::deque<Kept> kept_;    // under mutex_, the oldest first
    size_t bytes_ = 0;         // under mutex_
};

}  // namespace curserve
#endif
