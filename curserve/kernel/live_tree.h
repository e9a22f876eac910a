// live_tree.h: the one kind of Tree there is, split over tree.cpp (life and barrier), refresh.cpp (what a change does to
// the nodes), loader.cpp (listing and reading, on several threads) and publish.cpp (nodes to Views). Private to them.
#ifndef CURSERVE_LIVE_TREE_H
#define CURSERVE_LIVE_TREE_H
#include <sys/stat.h>

#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "archive.h"
#include "brief_mutex.h"
#include "git_index.h"
#include "node.h"
#include "rule_stack.h"
#include "tree.h"
#include "walk.h"
#include "watch.h"

namespace curserve {

class LiveTree final : public Tree {
  public:
    LiveTree(std::shared_ptr<Store> store, std::shared_ptr<Watch> watch, const std::string& root,
             std::shared_ptr<Archive> archive);
    ~LiveTree() override;
    int load(unsigned threads, Progress& progress) override;
    ViewRef barrier(const char** reason) override;
    ViewRef extend(const ViewRef& view, const std::vector<Position>& list, const std::vector<Position>& load,
                   uint64_t budget_bytes, const char** reason) override;
    void sweep() override;
    TreeState state() const override { return state_.load(); }
    std::string why() const override;
    Numbers numbers() const override;
    ViewRef latest() const override {
        std::lock_guard<std::mutex> lock(view_mutex_);
        return view_;
    }
    const std::string& root() const override { return root_; }
    Identity identity() const override { return identity_; }
    void rest(bool anyway) override;
    void close() override;

    static constexpr uint64_t kTopId = 1;                            // the root's directory
    static constexpr int64_t kTickNs = 20 * 1000 * 1000;             // a stat vouches for reads later than this
    static constexpr int64_t kYoungNs = 10LL * 1000 * 1000 * 1000;   // how long kYoung lasts after the last change
    static constexpr int64_t kAppearedNs = 600LL * 1000 * 1000 * 1000;  // the same for kAppeared
    // One lstat each at every barrier, 1 to 2 us (ripgrep takes four times that for a file); beyond: "unsettled".
    static constexpr size_t kUnsettledMost = 200000;
    static constexpr uint64_t kLargestFile = 128u << 20;             // bytes; larger text is loaded on demand only
    static constexpr uint64_t kMostListed = 200000;                  // entries of one extend()

  private:
    struct Above {  // a directory above the root
        std::string path;
        uint64_t id = 0;
        int wd = -1;
        DirRulesRef rules;
        std::vector<Source> sources;
    };
    // One round of work on the nodes: filled by refresh.cpp, carried out by loader.cpp.
    struct Pass {
        std::unordered_set<Node*> reads;      // files to read
        std::unordered_set<Node*> walks;      // directories to list
        std::vector<Node*> fresh;             // new nodes, not yet judged by the ignore rules
        std::unordered_set<Node*> rules;      // directories whose rules must be read again
        std::unordered_set<Node*> reconsider; // directories below which verdicts may have changed
        std::unordered_set<Node*> deep;       // directories to compare with the disk, all the way down
        std::vector<std::unique_ptr<Node>> grave;  // detached; buried at the end unless adopted
        std::unordered_set<uint64_t> linked;  // inodes that have gained a hard link
        std::unordered_set<Node*> changed;    // facts differ from the View's
        bool shape = false;                   // names, kinds, listings or rules differ from the Shape's
    };
    struct Walking {  // what the jobs of one gang share
        Gang gang;
        Progress* progress = nullptr;
        std::atomic<uint64_t> listed{0};
        uint64_t most_listed = ~uint64_t{0};
        std::atomic<bool> overrun{false};
        uint64_t largest_file = kLargestFile;
        const GitIndex* git = nullptr;  // of the first walk: what is proven by it need not be read
        const SavedTree* saved = nullptr;  // of the first walk: nor what has the stat it had when it was saved
        std::mutex mutex;
        std::unordered_set<uint64_t> linked;  // under mutex: inodes of new files with more than one link
        std::vector<Node*> again;  // under mutex: what was no longer there, or no longer what it was
    };

    // tree.cpp
    void set_state(TreeState state, const std::string& why);
    void open_above();
    bool root_is_there();
    bool refresh_above(const LetterBox::Mail& mail);
    void apply(LetterBox::Mail& mail, Pass& pass);
    void check_unsettled(Pass& pass);
    void settle_pass(Pass& pass, unsigned threads, Progress* progress, uint64_t largest_file);
    void close_locked();
    void release();

    // refresh.cpp
    std::string path_of(const Node* node) const;
    std::string absolute_of(const Node* node) const;
    bool attached(const Node* node) const;
    Node* find_node(std::string_view path) const;
    Node* add_child(Node* dir, const std::string& name, Kind kind);
    void examine(Pass& pass, int dir_fd, Node* dir, const std::string& name, const Mark& mark);
    void detach(Pass& pass, Node* node);
    Node* adopt(Pass& pass, Node* dir, const std::string& name, const struct stat& st);
    void bury(Node* node);
    void compare_below(Pass& pass, Node* dir);
    void find_links(Pass& pass, Node* dir);
    void drop_children(Pass& pass, Node* dir);
    void reload_rules(Pass& pass, Node* dir);
    void consider(Pass& pass, Node* node, const std::vector<ChainLink>& chain);
    void reconsider(Pass& pass, Node* dir, std::vector<ChainLink>& chain);
    std::vector<ChainLink> chain_of(const Node* dir) const;
    static void touch(Node* node);
    static void take_stat(Facts* facts, const struct stat& st);
    static bool same_stat(const Facts& facts, const struct stat& st);
    void settle(Node* node, uint8_t set, uint8_t clear);
    void note_directory(Node* dir, const struct stat& st);

    // rest.cpp
    struct Resting;
    void wake();
    bool resting_in_doubt() const;
    void release_resting();

    // Marks that were taken must be acted upon. Where that fails in the middle (no memory), nothing held is believed again.
    struct Acting {
        LiveTree& tree;
        const int before = std::uncaught_exceptions();
        ~Acting() {
            if (std::uncaught_exceptions() > before) tree.set_state(TreeState::kPoisoned, "no memory to take in a change");
        }
    };

    // loader.cpp
    struct Step {  // a directory to be listed
        Node* node = nullptr;
        std::string path;                        // root-relative
        std::shared_ptr<const RuleStack> above;  // what the ignore files above it say
        GitIndex::Range git;                     // of the index's files that lie in it
        uint32_t saved = SavedTree::kNowhere;    // what was saved of it
    };
    struct Wanted {  // a file to be read, and what was saved of that name (SavedTree::kNowhere: nothing)
        Node* node;
        uint32_t saved;
    };
    struct Folder {  // where files are read
        int fd;
        std::string_view path;  // root-relative
        GitIndex::Range git;
    };
    Step step_to(const Walking& walking, Node* dir) const;
    void walk_directory(Walking& walking, const Step& step);
    void read_files(Walking& walking, const std::string& path, GitIndex::Range git, const std::vector<Wanted>& files);
    void read_one(Walking& walking, const Folder& folder, const Wanted& wanted);
    int64_t seasoned_ns() const { return archive_ != nullptr ? archive_->seasoned_ns() : 0; }
    bool take_saved(Walking& walking, int dir_fd, const Wanted& wanted, int64_t begun);
    bool take_known(Walking& walking, int dir_fd, Node* file, const GitIndex::Entry& entry, int64_t begun);
    void note_read(Walking& walking, Node* file, int64_t begun, uint64_t held_bytes);
    void run_reads(Walking& walking, const std::unordered_set<Node*>& reads);
    int watch_directory(Node* dir, int fd);

    // publish.cpp
    void publish(const Pass& pass);
    void publish_shape(const std::unordered_set<Node*>& changed, size_t expected = 0);  // entries of a first View
    void publish_facts(const std::unordered_set<Node*>& changed);

    const std::shared_ptr<Store> store_;
    const std::shared_ptr<Watch> watch_;
    const std::shared_ptr<Archive> archive_;  // may be null
    const std::string root_;
    Identity identity_{0, 0, 0};
    Descriptor root_fd_, mountinfo_fd_;
    const std::shared_ptr<LetterBox> box_ = std::make_shared<LetterBox>();

    mutable std::timed_mutex mutex_;       // everything below but the atomics and what why_mutex_ guards
    std::unique_ptr<Node> top_;            // the root's node; null while the tree rests
    std::shared_ptr<const Resting> resting_;  // instead of the nodes; null: they are there
    uint64_t busy_generation_ = 0;         // the latest one when rest() was last asked for
    std::vector<Above> above_;             // "/" first
    ViewRef view_;
    std::string mounts_;
    uint64_t generation_ = 0;
    unsigned threads_ = 1;
    uint32_t slots_ = 0;                   // handed out so far: the Views' chunks have room for as many
    std::vector<uint32_t> free_slots_;     // empty in the latest View
    std::vector<uint32_t> left_slots_;     // of nodes buried since

    BriefMutex index_mutex_;               // the four below, while a gang works
    std::unordered_map<uint64_t, Node*> directories_;              // by id
    std::unordered_map<uint64_t, std::unordered_map<uint64_t, Node*>> by_inode_;  // dev, ino -> directory
    std::unordered_set<Node*> unsettled_;  // files compared by stat at each barrier
    std::unordered_set<Node*> sourced_;    // directories with sources
    uint64_t next_id_ = 1;                 // under index_mutex_

    std::atomic<TreeState> state_{TreeState::kLoading};
    std::atomic<bool> closing_{false}, rests_{false};
    std::atomic<uint64_t> reads_{0}, known_{0}, unsettled_count_{0}, watch_count_{0};
    mutable std::mutex why_mutex_;
    std::string why_;
    mutable std::mutex view_mutex_;        // view_ for numbers() and sweep(), which must not wait for a barrier
    mutable Numbers counted_{};            // under it: of the View of that generation
};

}  // namespace curserve
#endif
