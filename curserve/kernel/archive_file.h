// archive_file.h: one file of the archive: a few sections of bytes, and how one knows that they are what was written.
//
// Layout: a page with the head, then the sections, each at a multiple of 64 bytes. The head holds what kind of file this
// is, its format (kFormat and a fingerprint of the tables that the index is built with), and for each section its place
// and its keyed hash; the head's own hash comes last. A file is written under another name, then renamed, and never
// changed again; it is ours alone (owner, rights), so it may be mapped. It is not synced: what a crash of the machine
// leaves is found by the hashes. Texts are too large to be hashed at each start: each has its own hash (archive.h).
// Anything wrong gives a reason in words, never a crash: every offset is checked.
#ifndef CURSERVE_ARCHIVE_FILE_H
#define CURSERVE_ARCHIVE_FILE_H
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "hash.h"
#include "mapped_file.h"
#include "table.h"

namespace curserve {

enum class ArchiveKind : uint32_t { kTexts = 1, kTree = 2 };

struct ArchiveHead {
    static constexpr size_t kSections = 16;
    static constexpr uint32_t kFormat = 1;  // to be raised with every change of what is written, the index included
    struct Section {
        uint64_t start, size;
        Hash128 hash;
    };
    char magic[8];
    uint32_t format, kind;
    uint64_t fingerprint, file_size;
    Section sections[kSections];
    Hash128 hash;  // of everything above
};
constexpr size_t kArchiveHeadBytes = 4096;
static_assert(sizeof(ArchiveHead) <= kArchiveHeadBytes, "the head is one page");

// What of this program decides the meaning of the bytes, beside kFormat: byte order, the tables that grams come from.
uint64_t archive_fingerprint();

class ArchiveReader {
  public:
    // False, and *why: this is not a whole file of this kind, format and key.
    bool open(int dir_fd, const std::string& name, ArchiveKind kind, const HashKey& key, std::string* why);
    // Whether a section's bytes are those written. Reads all of them.
    bool intact(size_t section) const;
    bool has(size_t section) const { return head_.sections[section].size != 0; }
    uint64_t start(size_t section) const { return head_.sections[section].start; }
    uint64_t size(size_t section) const { return head_.sections[section].size; }
    // A section as an array. Empty where its size is no multiple of T's.
    template <typename T>
    Table<T> table(size_t section) const {
        const ArchiveHead::Section& s = head_.sections[section];
        if (s.size % sizeof(T) != 0) return Table<T>();
        return Table<T>(reinterpret_cast<const T*>(file_->data() + s.start), s.size / sizeof(T), file_);
    }
    const std::shared_ptr<const MappedFile>& file() const { return file_; }
    // The same file, mapped once more: unmapped when the last table in it goes, whatever becomes of this one.
    ArchiveReader through(std::shared_ptr<const MappedFile> other) const {
        ArchiveReader reader(*this);
        reader.file_ = std::move(other);
        return reader;
    }

  private:
    std::shared_ptr<const MappedFile> file_;
    ArchiveHead head_{};
    HashKey key_{};
};

// One file in the making. An error is kept, and told by commit().
class ArchiveWriter {
  public:
    ArchiveWriter(int dir_fd, ArchiveKind kind, const HashKey& key);
    ~ArchiveWriter();  // what was not committed is removed
    ArchiveWriter(const ArchiveWriter&) = delete;
    ArchiveWriter& operator=(const ArchiveWriter&) = delete;
    void add(size_t section, const void* bytes, size_t size);
    template <typename T>
    void add(size_t section, const Table<T>& table) {
        add(section, table.data(), table.size() * sizeof(T));
    }
    // A section in pieces, which has no hash of its own.
    void begin(size_t section);
    uint64_t append(const void* bytes, size_t size);  // gives where in the section they begin
    void end();
    bool ok() const { return error_ == 0; }
    int commit(const std::string& name);  // 0 or an errno

  private:
    void write(const void* bytes, size_t size);
    void flush();
    void align();
    const int dir_fd_;
    const HashKey key_;
    std::string temporary_;
    ArchiveHead head_{};
    int fd_ = -1, error_ = 0;
    uint64_t at_ = 0;      // where the next byte goes
    size_t open_ = ArchiveHead::kSections;
    std::vector<uint8_t> buffer_;
};

}  // namespace curserve
#endif
