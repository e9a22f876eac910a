#include "large_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace curserve {

namespace {

#ifndef MADV_COLLAPSE  // in glibc's headers since 2.37
#define MADV_COLLAPSE 25
#endif

constexpr uintptr_t kLarge = uintptr_t{2} << 20;
constexpr size_t kMostMissing = 1;  // in 64: what a large page may add to the memory in use

using File = std::unique_ptr<FILE, decltype(&std::fclose)>;

bool are_wanted() {
    const File file(std::fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re"), &std::fclose);
    char text[128];
    return file != nullptr && std::fgets(text, sizeof text, file.get()) != nullptr &&
           std::strstr(text, "[never]") == nullptr;
}

struct Region {
    uintptr_t start, end;
};

// Memory of the allocator's kind: private, writable, of no file.
std::vector<Region> heaps() {
    std::vector<Region> found;
    const File maps(std::fopen("/proc/self/maps", "re"), &std::fclose);
    char line[512];
    while (maps != nullptr && std::fgets(line, sizeof line, maps.get()) != nullptr) {
        uintptr_t start = 0, end = 0, offset = 0, inode = 0;
        char rights[8] = "", device[16] = "", name[256] = "";
        if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %7s %" SCNxPTR " %15s %" SCNuPTR " %255s", &start, &end, rights,
                        &offset, device, &inode, name) < 6)
            continue;
        const std::string_view called(name);
        if (std::string_view(rights) == "rw-p" && inode == 0 && (called.empty() || called == "[heap]"))
            found.push_back({start, end});
    }
    return found;
}

}  // namespace

size_t use_large_pages(const std::atomic<bool>& cancelled) {
    size_t made = 0;
    if (!are_wanted()) return made;
    const auto small = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> present(kLarge / small);
    for (const Region& region : heaps()) {
        for (uintptr_t at = (region.start + kLarge - 1) & ~(kLarge - 1); at + kLarge <= region.end; at += kLarge) {
            if (cancelled.load()) return made;
            auto* const page = reinterpret_cast<void*>(at);
            if (::mincore(page, kLarge, present.data()) != 0) break;  // given back meanwhile
            const auto missing = static_cast<size_t>(
                std::count_if(present.begin(), present.end(), [](unsigned char flags) { return (flags & 1) == 0; }));
            if (missing * 64 > kMostMissing * present.size()) continue;
            if (::madvise(page, kLarge, MADV_COLLAPSE) == 0) ++made;
            else if (errno == ENOMEM || errno == EBUSY) return made;  // no such page is to be had, or this group may not
        }
    }
    return made;
}

}  // namespace curserve
