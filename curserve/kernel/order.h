// order.h: in which order files are searched and told of: --sort and --sortr.
//
// In: a Selection, which is in the order of `--sort path`. Out: one in the order asked for. ripgrep's sorts are stable, so
// files of the same time come as its walk of one thread meets them, folder by folder as the disk lists them; no View
// knows that, so then the folders are listed now. Throws Declined where the order cannot be known.
#ifndef CURSERVE_ORDER_H
#define CURSERVE_ORDER_H
#include <vector>

#include "select.h"
#include "view.h"

namespace curserve {

enum class Sort : int { kPath = 0, kModified = 1, kCreated = 2 };

SelectionRef in_order(const SelectionRef& selection, const View& view, const std::vector<Start>& starts, Sort sort,
                      bool reverse);

}  // namespace curserve
#endif
