// view.cpp: finding a path in a Shape.
//
// Depth-first order with sorted names is the order of paths compared byte by byte with '/' below every other byte
// (a name holds neither '/' nor NUL), so one binary search over positions finds any path.
#include "view.h"

#include <algorithm>

namespace curserve {
namespace {

// <0, 0, >0 in the order above; a prefix comes first.
int compare_paths(std::string_view a, std::string_view b) {
    const size_t common = std::min(a.size(), b.size());
    for (size_t i = 0; i < common; i++) {
        if (a[i] == b[i]) continue;
        const int left = a[i] == '/' ? 0 : static_cast<unsigned char>(a[i]);
        const int right = b[i] == '/' ? 0 : static_cast<unsigned char>(b[i]);
        return left - right;
    }
    return a.size() == b.size() ? 0 : (a.size() < b.size() ? -1 : 1);
}

}  // namespace

Position Shape::find(std::string_view wanted) const {
    Position low = 0, high = size();
    while (low < high) {
        const Position middle = low + (high - low) / 2;
        const int order = compare_paths(path(middle), wanted);
        if (order == 0) return middle;
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return kNowhere;
}

}  // namespace curserve
