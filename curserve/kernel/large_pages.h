// large_pages.h: what was loaded, moved into pages of 2 MB.
//
// Texts lie in the heap in the order in which they were read, page behind page. In pages of 4 KB a search of a gigabyte
// asks for 300,000 translations of addresses, in a virtual machine each through two tables, and the processor reads
// ahead no further than such a page. The kernel makes large pages by itself only of memory that it may also fill up
// where it is empty, which would take back what was given up; so they are asked for once, where nothing is missing.
#ifndef CURSERVE_LARGE_PAGES_H
#define CURSERVE_LARGE_PAGES_H
#include <atomic>
#include <cstddef>

namespace curserve {

// Has the kernel put large pages (MADV_COLLAPSE, Linux 6.1) under all of the heap that is there in full, unless whoever
// runs the machine wants none. Some 1.5 s for each GB, once; searches go on. Gives how many large pages there are then.
size_t use_large_pages(const std::atomic<bool>& cancelled);

}  // namespace curserve
#endif
