// archive_file.cpp: see archive_file.h.
#include "archive_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "gram.h"

namespace curserve {
namespace {

constexpr char kMagic[8] = {'c', 'u', 'r', 's', 'e', 'r', 'v', 'e'};
constexpr size_t kAlign = 64;
constexpr size_t kBuffer = 1 << 20;

Hash128 hash_of(const ArchiveHead& head, const HashKey& key) {
    return hash_bytes(&head, offsetof(ArchiveHead, hash), head.kind, key);
}

}  // namespace

uint64_t archive_fingerprint() {
    static const uint64_t print = [] {
        const HashKey key{1, 2, 3, 4};
        const uint64_t order = 0x0102030405060708ull;
        const Hash128 tables = hash_bytes(&kGramTables, sizeof kGramTables, sizeof(void*), key);
        return tables.low ^ hash_bytes(&order, sizeof order, 0, key).high;
    }();
    return print;
}

bool ArchiveReader::open(int dir_fd, const std::string& name, ArchiveKind kind, const HashKey& key, std::string* why) {
    file_ = MappedFile::open(dir_fd, name, why);
    if (file_ == nullptr) return false;
    const auto refuse = [&](const char* reason) {
        *why = reason;
        file_ = nullptr;
        return false;
    };
    if (file_->size() < kArchiveHeadBytes) return refuse("it was cut short");
    std::memcpy(&head_, file_->data(), sizeof head_);
    key_ = key;
    if (std::memcmp(head_.magic, kMagic, sizeof kMagic) != 0) return refuse("it is damaged");
    if (head_.format != ArchiveHead::kFormat || head_.fingerprint != archive_fingerprint())
        return refuse("another version wrote it");
    if (head_.kind != static_cast<uint32_t>(kind) || head_.hash != hash_of(head_, key)) return refuse("it is damaged");
    if (head_.file_size != file_->size()) return refuse("it was cut short");
    for (const ArchiveHead::Section& s : head_.sections) {
        if (s.start > head_.file_size || s.size > head_.file_size - s.start || s.start % kAlign != 0)
            return refuse("it is damaged");
    }
    return true;
}

bool ArchiveReader::intact(size_t section) const {
    const ArchiveHead::Section& s = head_.sections[section];
    return hash_bytes(file_->data() + s.start, s.size, section, key_) == s.hash;
}

ArchiveWriter::ArchiveWriter(int dir_fd, ArchiveKind kind, const HashKey& key) : dir_fd_(dir_fd), key_(key) {
    static std::atomic<unsigned> next{0};
    temporary_ = "new-" + std::to_string(::getpid()) + "-" + std::to_string(next.fetch_add(1));
    std::memcpy(head_.magic, kMagic, sizeof kMagic);
    head_.format = ArchiveHead::kFormat;
    head_.kind = static_cast<uint32_t>(kind);
    head_.fingerprint = archive_fingerprint();
    fd_ = ::openat(dir_fd_, temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd_ < 0) error_ = errno;
    buffer_.reserve(kBuffer);
    at_ = kArchiveHeadBytes;
    if (fd_ >= 0 && ::lseek(fd_, static_cast<off_t>(at_), SEEK_SET) < 0) error_ = errno;
}

ArchiveWriter::~ArchiveWriter() {
    if (fd_ < 0) return;
    ::close(fd_);
    ::unlinkat(dir_fd_, temporary_.c_str(), 0);
}

void ArchiveWriter::flush() {
    const uint8_t* p = buffer_.data();
    for (size_t left = buffer_.size(); left > 0 && error_ == 0;) {
        const ssize_t n = ::write(fd_, p, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            error_ = n < 0 ? errno : EIO;
            break;
        }
        p += n;
        left -= static_cast<size_t>(n);
    }
    buffer_.clear();
}

void ArchiveWriter::write(const void* bytes, size_t size) {
    const auto* p = static_cast<const uint8_t*>(bytes);
    at_ += size;
    while (size > 0 && error_ == 0) {
        const size_t part = std::min(size, kBuffer - buffer_.size());
        buffer_.insert(buffer_.end(), p, p + part);
        p += part;
        size -= part;
        if (buffer_.size() == kBuffer) flush();
    }
}

void ArchiveWriter::align() {
    static const uint8_t zeros[kAlign] = {0};
    write(zeros, static_cast<size_t>((kAlign - at_ % kAlign) % kAlign));
}

void ArchiveWriter::add(size_t section, const void* bytes, size_t size) {
    align();
    head_.sections[section] = {at_, size, hash_bytes(bytes, size, section, key_)};
    write(bytes, size);
}

void ArchiveWriter::begin(size_t section) {
    align();
    open_ = section;
    head_.sections[section] = {at_, 0, Hash128()};
}

uint64_t ArchiveWriter::append(const void* bytes, size_t size) {
    const uint64_t start = at_ - head_.sections[open_].start;
    write(bytes, size);
    return start;
}

void ArchiveWriter::end() { head_.sections[open_].size = at_ - head_.sections[open_].start; }

int ArchiveWriter::commit(const std::string& name) {
    flush();
    head_.file_size = at_;
    head_.hash = hash_of(head_, key_);
    std::vector<uint8_t> page(kArchiveHeadBytes);
    std::memcpy(page.data(), &head_, sizeof head_);
    if (error_ == 0 && ::pwrite(fd_, page.data(), page.size(), 0) != static_cast<ssize_t>(page.size())) error_ = ENOSPC;
    if (fd_ >= 0 && ::close(fd_) != 0 && error_ == 0) error_ = errno;
    if (error_ == 0 && ::renameat(dir_fd_, temporary_.c_str(), dir_fd_, name.c_str()) != 0) error_ = errno;
    if (fd_ >= 0 && error_ != 0) ::unlinkat(dir_fd_, temporary_.c_str(), 0);
    fd_ = -1;
    return error_;
}

}  // namespace curserve
