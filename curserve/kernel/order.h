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

// starts: all that the files were found from, those of followed links behind the others.
SelectionRef in_order(const SelectionRef& selection, const View& view, const std::vector<Start>& starts, Sort sort,
                      bool reverse);

// The selection's complaints as a ripgrep of one thread comes to them. by_name: it walks in the order of names.
std::vector<Complaint> in_order_of_walk(const Selection& selection, const View& view, const std::vector<Start>& starts,
                                        bool by_name);

}  // namespace curserve
#endif
