// walk_order.h: the order in which ripgrep's walk of one thread meets files: folder by folder, as the disk lists them.
//
// It shows where files are sorted by time and have the same one: ripgrep's sorts are stable. In: a Shape, positions. Out:
// keys, of which the lesser one's file is met first. No view holds this order, so the folders are listed when it is asked
// for; one that cannot be listed, or does not list what the view holds, gives no key (the search is declined).
#ifndef CURSERVE_WALK_ORDER_H
#define CURSERVE_WALK_ORDER_H
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "view.h"

namespace curserve {

class WalkOrder {
  public:
    using Key = std::vector<uint32_t>;  // the places of a path's components in their folders' listings
    explicit WalkOrder(const Shape& shape) : shape_(shape) {}
    // False: not known.
    bool key(Position position, Key* out);

  private:
    using Listed = std::unordered_map<std::string, uint32_t>;  // a folder's names, numbered as they come; empty: unknown
    const Listed& listed(Position folder);

    const Shape& shape_;
    std::unordered_map<Position, Listed> folders_;
};

}  // namespace curserve
#endif
