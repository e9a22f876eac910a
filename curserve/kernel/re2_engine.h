// re2_engine.h: one RE2 in byte mode.
//
// In: an RE2 text that the translator vouches for. Out: spans in a window of a haystack. Invariant: never writes to
// stderr, never throws while searching. The only file that includes RE2 is re2_engine.cpp.
#ifndef CURSERVE_RE2_ENGINE_H
#define CURSERVE_RE2_ENGINE_H
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace curserve {

class Re2Engine {
  public:
    // Throws std::runtime_error with RE2's message when the text does not compile.
    explicit Re2Engine(const std::string& text);
    ~Re2Engine();

    // The leftmost-first match that starts at or after `at` and ends at or before `limit`; anchors and boundaries see
    // text[0, size). False: none. at <= limit <= size.
    bool find(const uint8_t* text, size_t size, size_t at, size_t limit, size_t* start, size_t* end) const;
    // Whether there is such a match; cheaper.
    bool matches(const uint8_t* text, size_t size, size_t at, size_t limit) const;

  private:
    struct Impl;
    std::unique_ptr<const Impl> impl_;
};

}  // namespace curserve
#endif
