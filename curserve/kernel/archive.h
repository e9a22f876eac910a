// archive.h: what survives the daemon: texts, what is indexed of them, and how each root looked, in files of our own.
//
// In: Views and index segments, to be kept; after a restart, hashes and roots. Out: the contents and segments as they
// were, mapped, so that they cost neither a read nor a copy. Two kinds of files (archive_file.h): a *bundle* holds the
// texts of one index segment with its tables, or texts that no segment holds; a *saved tree* holds the names, stats and
// content hashes of one root. Invariants: no byte is served that does not have the hash it was stored under (checked
// when a content is restored; index tables before the first use); a saved tree claims a content for a stat only where
// that stat vouches for it for good (Facts::seasoned). Whatever is missing or damaged is read or built anew. One process
// at a time puts into a folder. Safe in every thread. Does not know: watches, nodes, requests.
#ifndef CURSERVE_ARCHIVE_H
#define CURSERVE_ARCHIVE_H
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "archive_file.h"
#include "content.h"
#include "index.h"
#include "view.h"

namespace curserve {

// One root as it was saved: its entries in the order of its View's positions.
class SavedTree {
  public:
    struct Entry {
        uint64_t size_bytes, dev, ino;
        int64_t mtime_ns, ctime_ns;
        uint32_t mode, nlink, name_start, end;  // end: one past the subtree
        uint32_t content;                       // in the hashes; kNoContent: nothing is known of its bytes
        uint16_t name_size;
        uint16_t kind;
    };
    static constexpr uint32_t kNoContent = 0xffffffffu;
    static constexpr uint32_t kNowhere = 0xffffffffu;
    uint32_t size() const { return static_cast<uint32_t>(entries_.size()); }
    const Entry& at(uint32_t i) const { return entries_[i]; }
    std::string_view name(uint32_t i) const {
        return std::string_view(names_.data() + entries_[i].name_start, entries_[i].name_size);
    }
    const Hash128& hash(const Entry& entry) const { return hashes_[entry.content]; }
    const Table<Hash128>& hashes() const { return hashes_; }

  private:
    friend class Archive;
    enum Section : size_t { kRoot = 0, kNames = 1, kEntries = 2, kHashes = 3 };
    bool read(const ArchiveReader& file, const std::string* root, std::string* why);
    Table<char> names_;
    Table<Entry> entries_;
    Table<Hash128> hashes_;
};

class Archive {
  public:
    struct Options {
        uint64_t most_bytes;    // of all files together
        // How long after a file's last change (ctime) it must have been read, for its stat to vouch for good. A store
        // into a shared mapping moves the times once, at the first store to a page that is clean; it becomes clean
        // again when the system writes it back, 35 s later by default. What was read later than that holds all stores
        // that its stat does not tell of, and if another comes, the stat changes.
        int64_t seasoned_ns;
    };
    // Null, and *why: the folder is not this user's alone, or cannot be used. Where another process has the folder,
    // what is there can be taken out all the same; saving begins when that process has ended.
    static std::shared_ptr<Archive> open(std::shared_ptr<Store> store, const std::string& folder, const Options& options,
                                         std::string* why);
    ~Archive();

    // How a root looked when it was last saved; null: not known.
    std::shared_ptr<const SavedTree> tree(const std::string& root);
    // The content of a hash; null: not here any more, or damaged.
    ContentRef content(const Hash128& hash);
    // Gives the index the segments on disk that it has not: of contents that were restored, or that had to do without.
    void restore_index(GramIndex& index);

    // Keeps a root as one View shows it, and what the index holds of it. Blocks; returns 0 or an errno (EBUSY: another
    // process has the folder), and nothing has changed then but that some texts may be kept already. idle: in nobody's way, however long it takes.
    // It gives up, with ECANCELED, once *cancel is set.
    int save(const std::string& root, const View& view, const GramIndex& index, bool idle,
             const std::atomic<bool>& cancel);
    // Removes what no saved tree needs, then the trees used least recently while there is more than most_bytes.
    void tidy();
    int64_t seasoned_ns() const { return options_.seasoned_ns; }
    void cancel() { cancel_.store(true); }  // a save that runs gives up, and none begins

    struct Numbers {
        uint64_t trees, bytes, contents;
    };
    Numbers numbers();
    std::string take_words();  // what happened since the last call that the log should tell, a line each

  private:
    struct Kept {              // one content in a bundle
        Hash128 hash;
        uint64_t start, size, file_size_bytes;  // start: in the texts
        int64_t first_nul;
        uint8_t coding, ascii, whole, there;    // there: 0: it was gone already when its segment was saved
        uint8_t object_size, object[ObjectId::kMost], pad[3];
    };
    struct Bundle {
        std::string name;
        uint64_t number = 0;                    // part of its name: the later, the higher
        ArchiveReader file;                     // of which only the table of contents is ever touched
        Table<Kept> contents;
        std::mutex mutex;                       // what follows
        std::weak_ptr<const MappedFile> lent;   // what texts and tables lie in: unmapped with the last of them
        std::vector<std::weak_ptr<const Content>> held;
        bool indexed = false;                   // it has tables, which are intact as far as we know
        bool fresh = false;                     // more is held than `segment` says
        std::weak_ptr<const Segment> segment;   // the index's, made from this or saved as this
    };
    struct Where {
        Hash128 hash;
        uint32_t bundle, number;
        bool operator<(const Where& other) const {  // the latest bundle first
            return hash != other.hash ? hash < other.hash : bundle > other.bundle;
        }
    };
    enum Section : size_t { kContents = 0, kTexts = 1 };  // and SegmentFile's

    Archive(std::shared_ptr<Store> store, int dir_fd, int lock_fd, const Options& options);
    bool own();                                 // under saving_: whether the folder is ours to write to, from now on
    bool prepare_key();
    void read_folder();
    std::shared_ptr<Bundle> read_bundle(const std::string& name, std::string* why);
    // The bundle's file to be lent out; under its mutex. False: it cannot be had.
    bool lend(Bundle& bundle, ArchiveReader* out);
    void know();                                // known_ anew; under mutex_, alone
    const Where* find(const Hash128& hash) const;  // under mutex_
    int save_now(const std::string& root, const View& view, const GramIndex& index, const std::atomic<bool>& cancel);
    int save_bundle(const std::vector<ContentRef>& contents, const SegmentRef& segment, const std::atomic<bool>& cancel);
    int save_tree(const std::string& root, const View& view);
    bool make_room(uint64_t bytes);
    uint64_t on_disk(std::vector<std::pair<int64_t, std::string>>* trees) const;
    std::vector<char> used() const;             // under mutex_: which of known_ a saved tree names
    void remove_unused();
    void gather_loose();
    std::string tree_name(const std::string& root) const;
    void say(const std::string& line);

    const std::shared_ptr<Store> store_;
    const int dir_fd_, lock_fd_;
    const Options options_;
    std::atomic<bool> cancel_{false};
    bool owned_ = false;                        // under saving_, once open
    std::mutex saving_;                         // one save or tidying at a time; before mutex_
    uint64_t unsaved_from_ = ~uint64_t{0};      // under saving_: bundles that the tree in the making may need
    mutable std::shared_mutex mutex_;           // the four below; before a bundle's
    std::unordered_set<std::string> in_use_;    // tree files of roots of this process
    std::vector<std::shared_ptr<Bundle>> bundles_;  // the latest last
    std::vector<Where> known_;                  // sorted, each hash once
    uint64_t next_number_ = 1;
    std::mutex words_mutex_;
    std::vector<std::string> words_;            // under it
};

}  // namespace curserve
#endif
