// table.h: an array that does not change any more: owned, or a part of one of our own files on disk, mapped.
//
// A reader does not know the difference; the file stays mapped as long as a table lies in it.
#ifndef CURSERVE_TABLE_H
#define CURSERVE_TABLE_H
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace curserve {

class MappedFile;

template <typename T>
class Table {
  public:
    Table() = default;
    Table(std::vector<T> own) : own_(std::move(own)), size_(own_.size()) {}
    Table(const T* mapped, size_t size, std::shared_ptr<const MappedFile> file)
        : mapped_(mapped), size_(size), file_(std::move(file)) {}
    Table(const Table& other) = default;
    Table& operator=(const Table& other) = default;
    Table(Table&& other) noexcept : Table() { swap(other); }
    Table& operator=(Table&& other) noexcept {
        Table taken(std::move(other));
        swap(taken);
        return *this;
    }
    const T* data() const { return file_ != nullptr ? mapped_ : own_.data(); }
    size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    const T& operator[](size_t i) const { return data()[i]; }
    const T& back() const { return data()[size_ - 1]; }
    const T* begin() const { return data(); }
    const T* end() const { return data() + size_; }
    const std::shared_ptr<const MappedFile>& file() const { return file_; }  // null: owned

  private:
    void swap(Table& other) noexcept {
        std::swap(own_, other.own_);
        std::swap(mapped_, other.mapped_);
        std::swap(size_, other.size_);
        std::swap(file_, other.file_);
    }
    std::vector<T> own_;
    const T* mapped_ = nullptr;
    size_t size_ = 0;
    std::shared_ptr<const MappedFile> file_;
};

}  // namespace curserve
#endif
