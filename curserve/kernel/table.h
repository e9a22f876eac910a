// table.h: an array that does not change any more, and who keeps it: some vector that others may share, or one of our own
// files on disk, mapped. A reader does not know the difference.
#ifndef CURSERVE_TABLE_H
#define CURSERVE_TABLE_H
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "mapped_file.h"

namespace curserve {

template <typename T>
class Table {
  public:
    Table() = default;
    Table(std::vector<T> own) : Table(std::make_shared<const std::vector<T>>(std::move(own))) {}
    explicit Table(std::shared_ptr<const std::vector<T>> shared) : data_(shared->data()), size_(shared->size()) {
        keep_ = std::move(shared);
    }
    Table(const T* mapped, size_t size, std::shared_ptr<const MappedFile> file)
        : data_(mapped), size_(size), file_(file.get()), keep_(std::move(file)) {}
    const T* data() const { return data_; }
    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    const T& operator[](size_t i) const { return data_[i]; }
    const T& back() const { return data_[size_ - 1]; }
    const T* begin() const { return data_; }
    const T* end() const { return data_ + size_; }
    const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(data_); }
    const MappedFile* file() const { return file_; }  // null: none

  private:
    const T* data_ = nullptr;
    size_t size_ = 0;
    const MappedFile* file_ = nullptr;
    std::shared_ptr<const void> keep_;
};

}  // namespace curserve
#endif
