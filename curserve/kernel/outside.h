// outside.h: what lies outside of a workspace where a followed link leads, as a View of its own.
//
// In: a link. Out: a View whose root is the directory that the link leads to, or the directory of the file, with nothing
// else in it; listed now, with the rules of its ignore files, texts on demand. Nothing watches it: it is true for the
// request that asked, as ripgrep's own walk would be.
#ifndef CURSERVE_OUTSIDE_H
#define CURSERVE_OUTSIDE_H
#include <cstdint>
#include <vector>

#include "symlink.h"
#include "view.h"

namespace curserve {

class Outside {
  public:
    // Null: too large, or where a file means another thing to each process. position: of what the link leads to.
    ViewRef view(const Symlink& link, Position* position);

  private:
    static constexpr uint32_t kMostEntries = 20'000;  // some 30 ms; beyond it ripgrep's own threads are quicker
    uint32_t entries_ = 0;                            // of all Views together
};

// The same View with the texts of these files. Null: one cannot be read, or they are more than the budget, which
// shrinks.
ViewRef with_texts(const View& view, const std::vector<Position>& files, uint64_t* budget_bytes);

}  // namespace curserve
#endif
