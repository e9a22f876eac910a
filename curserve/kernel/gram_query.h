// gram_query.h: what a matching line must contain, as the index is asked it: AND and OR over literals.
//
// In: the packed tree that curserve/regex/grams.py makes. Out: an immutable tree of gram keys. Conservative: every line
// that matches satisfies it; a line that satisfies it need not match. Grams with '\n' are left out, so the tree holds
// for a whole content, too, where a match may span lines. Does not know: the index.
#ifndef CURSERVE_GRAM_QUERY_H
#define CURSERVE_GRAM_QUERY_H
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gram.h"

namespace curserve {

class GramQuery {
  public:
    enum class Kind : uint8_t { kAny, kNothing, kAll, kOne };
    struct Node {
        Kind kind = Kind::kAny;
        std::vector<GramKey> grams;  // of kAll: all of these, each once; may be empty if subs are not
        std::vector<Node> subs;      // kAll: and all of these; kOne: one of these
    };

    // Throws std::runtime_error where the text is not such a tree. An empty one is "anything".
    static GramQuery unpack(std::string_view packed);
    // Nothing is known: the index need not be asked.
    bool any() const { return root_.kind == Kind::kAny; }
    const Node& root() const { return root_; }
    std::string text() const;        // for tests: "&(3 grams |(…))"

  private:
    Node root_;
};

}  // namespace curserve
#endif
