// holdings.h: what each workspace holds of the memory they share, and giving up one workspace's caches or index.
//
// In: the latest Views of all workspaces, the index. Out: sums of bytes. A content that k workspaces hold counts as a k-th
// for each of them (share), and as a whole for one that holds it alone (own: what would be freed if that one went). So the
// shares of all workspaces come to what the store and the index hold of them. Walks everything: for people and monitors,
// not for requests.
#ifndef CURSERVE_HOLDINGS_H
#define CURSERVE_HOLDINGS_H
#include <cstdint>
#include <vector>

#include "index.h"
#include "view.h"

namespace curserve {

struct Holding {
    uint64_t index_bytes = 0;  // the index of its text, whoever shares that
    uint64_t own_bytes = 0;    // text and index that no other workspace holds
    uint64_t share_bytes = 0;  // text and index, divided by the number of workspaces that hold them
    uint64_t table_bytes = 0;  // names, facts, places in the index: its own
};

// Of each view, in order; null views hold nothing.
std::vector<Holding> holdings(const std::vector<ViewRef>& views, const Snapshot& snapshot);

// What was computed before and can be again: chosen files, places in the index.
void drop_caches(const View& view);

}  // namespace curserve
#endif
