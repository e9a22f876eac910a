// glob_set.h: many globs in order, and the last of them that matches a path.
//
// In: globs with their numbers (ascending), a Subject. Out: the highest number that matches. Literal names, extensions
// and paths are found by hash, however many there are; only globs with wildcards are tried one by one, from the last.
// Does not know: what a number means.
#ifndef CURSERVE_GLOB_SET_H
#define CURSERVE_GLOB_SET_H
#include <cstdint>
#include <string>
#include <vector>

#include "glob.h"

namespace curserve {

class GlobSet {
  public:
    // Parses `glob` and enters it as the next number. False on a bad glob: *error says why, and no number is used. False
    // also where it is too large, or all of them are; see is_too_large().
    bool add(std::string_view glob, Glob::Options options, bool only_directories, std::string* error);
    // To be called once after the last add().
    void finish();

    // The number of the last glob that matches, or -1.
    int last(const Subject& subject, bool is_dir) const;
    // A glob was refused for its size, or because all of them had come to kMostBytes.
    bool is_too_large() const { return too_large_; }
    int size() const { return size_; }
    bool empty() const { return size_ == 0; }

  private:
    struct Item {
        Glob glob;
        int number;
        bool only_directories;
        uint32_t next;  // in Table::items: another with the same key and a lower number
    };
    // The globs of one case mode. Keys of slots: hashes of a name or of an extension.
    struct Table {
        void add(Glob glob, int number, bool only_directories);
        void finish();
        int last(const Subject& subject, bool is_dir, int best) const;
        int probe(uint64_t hash, const Subject& subject, bool is_dir, int best) const;

        struct Slot {
            uint64_t hash = 0;
            uint32_t head = kNoItem;
        };
        static constexpr uint32_t kNoItem = 0xffffffffu;
        std::vector<Item> items;   // found by key
        std::vector<Item> others;  // by number, tried from the last
        std::vector<Slot> slots;   // open addressing, a power of two, at most half full
        bool names = false, extensions = false;
    };
    static constexpr size_t kMostBytes = size_t{16} << 20;  // arbitrary: an ignore file of 1,000 lines comes to 100 KB

    Table exact_, folded_;
    int size_ = 0;
    size_t bytes_ = 0;
    bool too_large_ = false;
};

// ASCII letters lowered.
std::string lowered(std::string_view bytes);

}  // namespace curserve
#endif
