#include "answers.h"

#include <atomic>

namespace curserve {

namespace {

std::atomic<size_t> bytes_of_all{0};

template <typename Left, typename Right>
bool are_one(const Left& left, const Right& right) {
    return !left.owner_before(right) && !right.owner_before(left);
}

}  // namespace

Answers::~Answers() { bytes_of_all.fetch_sub(bytes_, std::memory_order_relaxed); }

size_t Answers::all_bytes() { return bytes_of_all.load(std::memory_order_relaxed); }

std::shared_ptr<const Answer> Answers::find(const std::shared_ptr<const View>& view, uint64_t query) const {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto kept = kept_.rbegin(); kept != kept_.rend(); ++kept)
        if (kept->query == query && are_one(kept->view, view)) return kept->answer;
    return nullptr;
}

void Answers::keep(const std::shared_ptr<const View>& view, uint64_t query, std::shared_ptr<const Answer> answer,
                   size_t size_bytes) {
    size_bytes += sizeof(Kept);
    std::lock_guard<std::mutex> lock(mutex_);
    // Those of an earlier View will never be asked for again.
    while (!kept_.empty() && (!are_one(kept_.front().view, view) || bytes_ + size_bytes > kMost)) drop_oldest();
    if (all_bytes() + size_bytes > kMostOfAll) return;
    kept_.push_back(Kept{view, query, std::move(answer), size_bytes});
    bytes_ += size_bytes;
    bytes_of_all.fetch_add(size_bytes, std::memory_order_relaxed);
}

void Answers::drop_oldest() {
    bytes_ -= kept_.front().size_bytes;
    bytes_of_all.fetch_sub(kept_.front().size_bytes, std::memory_order_relaxed);
    kept_.pop_front();
}

}  // namespace curserve
