// mapped_file.h: a whole file of ours, mapped for reading.
//
// Only files of the archive, which are written once: a user's file may be cut short under our hands.
#ifndef CURSERVE_MAPPED_FILE_H
#define CURSERVE_MAPPED_FILE_H
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace curserve {

class MappedFile {
  public:
    // Null, and *why: it cannot be opened, or is not a regular file that is this user's alone.
    static std::shared_ptr<const MappedFile> open(int dir_fd, const std::string& name, std::string* why);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    const uint8_t* data() const { return data_; }
    size_t size() const { return size_; }
    // Nobody looks at these bytes for now: the whole pages among them need not be resident.
    void release(const uint8_t* bytes, size_t size) const;

  private:
    MappedFile(const uint8_t* data, size_t size) : data_(data), size_(size) {}
    const uint8_t* data_;
    size_t size_;
};

}  // namespace curserve
#endif
