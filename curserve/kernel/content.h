// content.h: the text of files, stored once whoever has it.
//
// In: bytes as read from a file. Out: shared, immutable Content. Invariant: equal Content pointers <=> equal prepared
// bytes and equal facts (a hash hit compares bytes). Does not know: paths, workspaces, permissions: holding a Content
// grants nothing, every answer comes from a View.
#ifndef CURSERVE_CONTENT_H
#define CURSERVE_CONTENT_H
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hash.h"
#include "table.h"

namespace curserve {

constexpr int64_t kNoNul = -1;

// How the bytes held relate to the file's.
enum class Coding : uint8_t {
    kRaw = 0,      // the file's own bytes
    kUtf8Bom = 1,  // the file's own bytes, the first three are a UTF-8 byte order mark
    kUtf16 = 2,    // a UTF-16 file with a byte order mark: `data` is its UTF-8 transcoding, as ripgrep searches it
    kUtf16Raw = 3, // the same, as it is on the disk; in no store
};

// A piece of a content's data, half open.
struct ByteRange {
    size_t start, end;
};

// Where the index keeps a content: its segment's serial (high half) and its number in it; 0: not indexed. Set by whoever
// builds the index, while others read. A copy of a content is another content.
class IndexPlace {
  public:
    IndexPlace() = default;
    IndexPlace(const IndexPlace&) {}
    IndexPlace& operator=(const IndexPlace&) { return *this; }
    uint64_t load() const { return place_.load(std::memory_order_acquire); }
    void store(uint64_t place) { place_.store(place, std::memory_order_release); }

  private:
    std::atomic<uint64_t> place_{0};
};

// What git calls the bytes of a file: the hash of an object. Empty (size 0): not known.
struct ObjectId {
    static constexpr size_t kMost = 32;  // SHA-256; SHA-1's 20 bytes and zeros
    uint8_t size = 0;
    uint8_t bytes[kMost] = {0};
    explicit operator bool() const { return size != 0; }
    bool operator==(const ObjectId& other) const;
};

struct Content {
    Table<uint8_t> data;            // bytes held
    uint64_t file_size_bytes = 0;   // of the file itself
    int64_t first_nul = kNoNul;     // offset in data
    Coding coding = Coding::kRaw;
    bool ascii = false;             // all of data < 0x80
    bool whole = true;              // data is everything (false: a large binary file, held up to and with its first NUL)
    Hash128 hash;
    mutable IndexPlace index_place;
    mutable ObjectId object;        // of the whole file, once it was learned; under the store's lock
};
using ContentRef = std::shared_ptr<const Content>;

class Store {
  public:
    Store();
    ~Store();
    // Takes a file's raw bytes; gives the one Content that holds them. Large binary files are cut after their first NUL
    // (kWholeBinaryMax), and UTF-16 is transcoded; pass keep_whole to have all of the bytes as they are, which are then
    // not entered into the store.
    // file_size_bytes: of the file when `raw` is only its beginning (see read_text); kAsRaw: raw is all of it.
    ContentRef put(std::vector<uint8_t> raw, bool keep_whole = false, uint64_t file_size_bytes = kAsRaw);
    // Takes what the archive says of a content whose bytes are mapped: its facts, its hash. Gives the one Content with
    // them; null where the bytes are not those of the hash.
    ContentRef restore(std::unique_ptr<Content> claimed);
    // What hashes are keyed with: random, unless it was set while the store was empty.
    const HashKey& key() const;
    void set_key(const HashKey& key);
    // From now on `known` gives this content for the id. Only on proof, and of files that are this user's.
    void learn(const ObjectId& id, const ContentRef& content);
    ObjectId object_of(const Content& content) const;
    // The content of a file of so many bytes with this id, if one is held; null: read the file.
    ContentRef known(const ObjectId& id, uint64_t file_size_bytes) const;
    uint64_t bytes() const;     // text held, each content once
    uint64_t contents() const;
    static constexpr uint64_t kWholeBinaryMax = 65536;
    static constexpr uint64_t kAsRaw = ~uint64_t{0};

  private:
    struct State;                   // outlives the Store as long as a Content does
    ContentRef enter(std::unique_ptr<Content> fresh);
    std::shared_ptr<State> state_;
};

// Reads a whole regular file without following a final symlink unless asked, with O_NOATIME where allowed. Returns 0 or
// an errno (EISDIR: not a regular file). `st_out` (struct stat*) receives the fstat taken after the read, which vouches
// for the bytes only if its ctime lies more than a clock tick before the read began.
int read_file(int dir_fd, const char* name, bool follow, std::vector<uint8_t>* out, void* st_out);

// The same for the store: stops in a binary file larger than Store::kWholeBinaryMax after its first NUL when that lies
// in the first part read, and gives EFBIG (with st_out filled) for a file above max_bytes. *beginning tells that `out`
// is not the whole file.
int read_text(int dir_fd, const char* name, uint64_t max_bytes, std::vector<uint8_t>* out, void* st_out,
              bool* beginning);

}  // namespace curserve
#endif
