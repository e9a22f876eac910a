#include "question.h"

#include <cstring>

namespace curserve {

Question::Question(const uint8_t* payload, size_t size)
    : strings_(reinterpret_cast<const char*>(payload) + sizeof facts_, size - sizeof facts_) {
    std::memcpy(&facts_, payload, sizeof facts_);
}

std::string Question::key() const {
    std::string key;
    key.reserve(sizeof facts_ + strings_.size());
    for (const cs_wire_fd& fd : facts_.fd) key.push_back(static_cast<char>(fd.kind));
    key.append(reinterpret_cast<const char*>(&facts_.argc), sizeof facts_.argc);
    key.append(strings_);
    return key;
}

std::string Question::shape_key(uint32_t slot, std::string_view argument) const {
    std::string key = this->key();
    const auto at = static_cast<size_t>(argument.data() - strings_.data());
    key.erase(key.size() - strings_.size() + at, argument.size());
    key.append(reinterpret_cast<const char*>(&slot), sizeof slot);
    return key;
}

}  // namespace curserve
