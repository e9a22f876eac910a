// question.h: a request's payload as the desk reads it: its arguments, and the keys that equal questions share.
//
// In: a payload that request_is_sound() (peer.h). Out: views into it, and keys. Invariant: requests with the same key have
// the same answer from the same view; with the same shape key, the same but for the word in that argument. Pure functions.
#ifndef CURSERVE_QUESTION_H
#define CURSERVE_QUESTION_H
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../../shims/wire.h"

namespace curserve {

class Question {
  public:
    // The payload is borrowed, and not changed.
    Question(const uint8_t* payload, size_t size);

    // argv[0] left out.
    uint32_t argument_count() const { return facts_.argc; }
    // Calls visit(slot, argument) for each argument, until it gives false.
    template <typename Visit>
    void each_argument(Visit visit) const {
        std::string_view rest = strings_;
        rest.remove_prefix(rest.find('\0') + 1);  // the cwd
        for (uint32_t slot = 0; slot < facts_.argc; ++slot) {
            const size_t end = rest.find('\0');
            if (!visit(slot, rest.substr(0, end))) return;
            rest.remove_prefix(end + 1);
        }
    }
    // What an answer depends on: the strings, which of them are arguments, and the kinds of descriptors, not which files
    // they are.
    std::string key() const;
    // The same without `argument`, which each_argument() gave with `slot`.
    std::string shape_key(uint32_t slot, std::string_view argument) const;

  private:
    cs_wire_request facts_;
    std::string_view strings_;  // the cwd, the arguments, the environment; each ends with a NUL
};

}  // namespace curserve
#endif
