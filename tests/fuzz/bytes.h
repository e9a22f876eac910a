// bytes.h: an input taken apart: the small decisions a harness needs, then the bytes its parser gets.
//
// In: what the fuzzer made up. Out: numbers and texts, zeros and empty ones past the end. Texts are copies of their very
// size, so that the sanitizer sees a parser that reads on.
#ifndef CURSERVE_TESTS_BYTES_H
#define CURSERVE_TESTS_BYTES_H
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// What holds whatever the input is.
#define HOLDS(what)                                                               \
    do {                                                                          \
        if (!(what)) {                                                            \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            std::abort();                                                         \
        }                                                                         \
    } while (0)

class Bytes {
  public:
    Bytes(const uint8_t* data, size_t size) : at_(data), left_(size) {}
    uint8_t byte() { return left_ == 0 ? uint8_t{0} : (--left_, *at_++); }
    size_t left() const { return left_; }
    std::vector<uint8_t> take(size_t size) {
        size = size < left_ ? size : left_;
        std::vector<uint8_t> taken(at_, at_ + size);
        taken.shrink_to_fit();
        at_ += size;
        left_ -= size;
        return taken;
    }
    // Up to a byte, which is passed over; all that is left where there is none.
    std::vector<uint8_t> until(uint8_t end) {
        const void* const found = left_ == 0 ? nullptr : std::memchr(at_, end, left_);
        std::vector<uint8_t> taken =
            take(found == nullptr ? left_ : static_cast<size_t>(static_cast<const uint8_t*>(found) - at_));
        byte();
        return taken;
    }

  private:
    const uint8_t* at_;
    size_t left_;
};

// A folder of its own, in memory if that can be.
inline std::string new_folder() {
    char name[] = "/dev/shm/curserve-fuzz-XXXXXX", other[] = "/tmp/curserve-fuzz-XXXXXX";
    const char* const made = ::mkdtemp(name);
    const char* const instead = made != nullptr ? made : ::mkdtemp(other);
    HOLDS(instead != nullptr);
    return instead;
}

inline std::string_view view(const std::vector<uint8_t>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

#endif
