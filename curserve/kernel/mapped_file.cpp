// mapped_file.cpp: see mapped_file.h.
#include "mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace curserve {
namespace {

constexpr size_t kReleaseLeast = 16384;  // bytes that are worth a system call

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(int dir_fd, const std::string& name, std::string* why) {
    const int fd = ::openat(dir_fd, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    void* data = MAP_FAILED;
    if (fd < 0 || ::fstat(fd, &st) != 0) {
        *why = std::strerror(errno);
    } else if (!S_ISREG(st.st_mode) || st.st_uid != ::geteuid() || (st.st_mode & 022) != 0) {
        *why = "it is not a file of this user's alone";
    } else if (st.st_size <= 0) {
        *why = "it is empty";
    } else {
        data = ::mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED) *why = std::strerror(errno);
    }
    if (fd >= 0) ::close(fd);
    if (data == MAP_FAILED) return nullptr;
    return std::shared_ptr<const MappedFile>(
        new MappedFile(static_cast<const uint8_t*>(data), static_cast<size_t>(st.st_size)));
}

MappedFile::~MappedFile() { ::munmap(const_cast<uint8_t*>(data_), size_); }

void MappedFile::release(const uint8_t* bytes, size_t size) const {
    static const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const uintptr_t first = (reinterpret_cast<uintptr_t>(bytes) + page - 1) / page * page;
    const uintptr_t end = (reinterpret_cast<uintptr_t>(bytes) + size) / page * page;
    if (first + kReleaseLeast <= end) ::madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

}  // namespace curserve
