// tree_test.cpp: a live tree against the disk: after every change, at once, the View must be what a fresh walk sees.
//
// Built and run by tests/test_tree.py: tree_test [SEED [ROUNDS]]
// In: a scratch directory under TMPDIR. Out: "ok" and exit 0, or the first difference and exit 1. Assert-style: one
// process, no framework. Compares names, kinds, listings, content, stat facts, rules present, positions; not verdicts
// (those are ignore_test's).
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "../../curserve/kernel/archive.h"
#include "../../curserve/kernel/tree.h"
#include "../../curserve/kernel/watch.h"

using namespace curserve;

namespace {

std::string scratch;
std::string doing = "start";

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "FAILED after %s: %s\n", doing.c_str(), what.c_str());
    std::exit(1);
}

void check(bool ok, const std::string& what) {
    if (!ok) fail(what);
}

std::string slurp(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

void write_file(const std::string& path, const std::string& text, int flags = O_TRUNC) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    if (fd < 0) return;
    check(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()), "write");
    ::close(fd);
}

void make_dir(const std::string& path) { ::mkdir(path.c_str(), 0755); }

void remove_all(const std::string& path) {
    struct stat st;
    if (::lstat(path.c_str(), &st) != 0) return;
    if (!S_ISDIR(st.st_mode)) {
        ::unlink(path.c_str());
        return;
    }
    DIR* d = ::opendir(path.c_str());
    if (d != nullptr) {
        while (const dirent* e = ::readdir(d)) {
            if (std::strcmp(e->d_name, ".") != 0 && std::strcmp(e->d_name, "..") != 0) remove_all(path + "/" + e->d_name);
        }
        ::closedir(d);
    }
    ::rmdir(path.c_str());
}

int64_t nanoseconds(const timespec& t) { return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec; }

// Walks the disk beside the shape, in its order. `listed_only`: what the shape says is unlisted is not entered.
void compare(const View& view, const std::string& root) {
    const Shape& shape = *view.shape;
    Position at = 0;
    std::function<void(const std::string&, Position)> visit = [&](const std::string& rel, Position parent) {
        const std::string path = rel.empty() ? root : root + "/" + rel;
        struct stat st;
        check(::lstat(path.c_str(), &st) == 0, "lstat " + path);
        check(at < shape.size(), "the view lacks " + rel + " and what follows");
        const Position me = at++;
        check(shape.path(me) == rel, "expected " + rel + ", the view has " + std::string(shape.path(me)));
        check(shape.parent[me] == parent, "parent of " + rel);
        check(shape.find(rel) == me, "find " + rel);
        const Facts& facts = view.facts(me);
        const Kind kind = S_ISREG(st.st_mode)   ? Kind::kFile
                          : S_ISDIR(st.st_mode) ? Kind::kDirectory
                          : S_ISLNK(st.st_mode) ? Kind::kSymlink
                                                : Kind::kOther;
        check(shape.kind[me] == kind, "kind of " + rel);
        check(facts.ino == st.st_ino, "inode of " + rel);
        if (kind == Kind::kFile) {
            check(facts.size_bytes == static_cast<uint64_t>(st.st_size), "size of " + rel);
            check(facts.mtime_ns == nanoseconds(st.st_mtim), "mtime of " + rel);
            check(facts.ctime_ns == nanoseconds(st.st_ctim), "ctime of " + rel);
            check(facts.mode == st.st_mode && facts.nlink == st.st_nlink, "mode or links of " + rel);
        }
        if (kind == Kind::kFile) {
            check(facts.content != nullptr, "not held: " + rel);
            const std::string text = slurp(path);
            const auto& data = facts.content->data;
            check(text.size() == data.size() && std::equal(text.begin(), text.end(), data.begin(),
                      [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; }),
                  "content of " + rel);
        }
        if (kind != Kind::kDirectory || shape.listing[me] == Listing::kUnlisted) {
            check(shape.end[me] == me + 1, "end of " + rel);
            return;
        }
        check(shape.listing[me] == Listing::kListed, "listing of " + rel);
        std::set<std::string> names;
        DIR* d = ::opendir(path.c_str());
        check(d != nullptr, "opendir " + path);
        while (const dirent* e = ::readdir(d)) names.insert(e->d_name);
        ::closedir(d);
        names.erase(".");
        names.erase("..");
        const auto rules = shape.rules.find(me);
        const bool git = rules != shape.rules.end() && rules->second->has_git;
        check(git == (names.count(".git") != 0 || names.count(".jj") != 0), "has_git of " + rel);
        for (const std::string& name : names) visit(rel.empty() ? name : rel + "/" + name, me);
        check(shape.end[me] == at, "end of " + rel);
    };
    visit("", kNowhere);
    check(at == shape.size(), "the view has more: " + (at < shape.size() ? std::string(shape.path(at)) : ""));
}

struct World {
    std::shared_ptr<Store> store = std::make_shared<Store>();
    std::shared_ptr<Watch> watch = Watch::open();
    std::vector<std::shared_ptr<Tree>> trees;
    ViewRef last;

    std::shared_ptr<Tree> open(const std::string& root, unsigned threads = 2) {
        std::shared_ptr<Tree> tree = Tree::open(store, watch, root, archive);
        Progress progress;
        const int error = tree->load(threads, progress);
        check(error == 0, "load: " + std::string(std::strerror(error)) + " " + tree->why());
        trees.push_back(tree);
        return tree;
    }
    ViewRef look(const std::shared_ptr<Tree>& tree) {
        const char* reason = nullptr;
        ViewRef view = tree->barrier(&reason);
        check(view != nullptr, std::string("barrier: ") + (reason == nullptr ? "?" : reason) + " " + tree->why());
        compare(*view, tree->root());
        last = view;
        tree->rest(true);
        rested += tree->numbers().resting ? 1 : 0;
        return view;
    }
    static inline int rested = 0;

    // As if the process ended in order and another one began: all that is left of the tree is on disk.
    std::shared_ptr<Tree> restart(std::shared_ptr<Tree> tree, const std::function<void()>& meanwhile) {
        const std::string root = tree->root(), folder = scratch + "/archive";
        std::string why;
        if (archive == nullptr) {
            ::mkdir(folder.c_str(), 0700);
            archive = Archive::open(store, folder, {1 << 30, 0}, &why);
            check(archive != nullptr, why);
        }
        const std::atomic<bool> cancel{false};
        const ViewRef view = look(tree);
        index->update(view, {INT64_MAX, 0, 1, true}, cancel);
        check(archive->save(root, *view, *index, false, cancel) == 0, "save");
        archive->tidy();
        trees.clear();
        tree->close();
        tree = nullptr;
        last = nullptr;
        archive = nullptr;
        store = std::make_shared<Store>();
        index = std::make_shared<GramIndex>();
        meanwhile();
        archive = Archive::open(store, folder, {1 << 30, 0}, &why);
        check(archive != nullptr, why);
        std::shared_ptr<Tree> next = open(root);
        archive->restore_index(*index);
        check(archive->take_words().empty(), "the archive has something to tell");
        const ViewRef now = look(next);
        const SnapshotRef segments = index->snapshot();
        for (Position p = 0; p < now->shape->size(); p++) {
            const ContentRef& content = now->facts(p).content;
            if (content == nullptr || content->index_place.load() == 0) continue;
            const uint64_t place = content->index_place.load();
            const size_t slot = segments->slot_of(static_cast<uint32_t>(place >> 32));
            check(slot < segments->segments.size(), "a place in no segment");
            check(segments->segments[slot]->held[static_cast<uint32_t>(place)].lock() == content, "another's place");
            placed++;
        }
        known += next->numbers().known;
        return next;
    }
    std::shared_ptr<Archive> archive;
    std::shared_ptr<GramIndex> index = std::make_shared<GramIndex>();
    static inline uint64_t known = 0, placed = 0;
    void look_all() {
        for (auto& tree : trees) look(tree);
    }
};

// ---- the cases events alone do not tell

void unusual_writers() {
    const std::string root = scratch + "/unusual", outside = scratch + "/elsewhere";
    make_dir(root);
    make_dir(outside);
    make_dir(root + "/a");
    write_file(root + "/a/x", "one\n");
    World world;
    auto tree = world.open(root);
    world.look(tree);
    doing = "a write through a hard link from outside";
    ::link((root + "/a/x").c_str(), (outside + "/x").c_str());
    world.look(tree);
    for (int i = 0; i < 5; i++) {
        write_file(outside + "/x", "link" + std::to_string(i) + "\n");
        world.look(tree);
    }
    doing = "a hard link made in the tree to a file outside";
    write_file(outside + "/y", "outside\n");
    ::link((outside + "/y").c_str(), (root + "/y").c_str());
    world.look(tree);
    write_file(outside + "/y", "outside, changed\n", O_TRUNC);
    world.look(tree);
    doing = "link, unlink, write with the descriptor still open";
    int fd = ::open((root + "/z1").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    ::link((root + "/z1").c_str(), (root + "/z2").c_str());
    ::unlink((root + "/z1").c_str());
    world.look(tree);
    for (int i = 0; i < 5; i++) {
        check(::write(fd, "more\n", 5) == 5, "write");
        world.look(tree);
    }
    ::close(fd);
    world.look(tree);
    doing = "the same, and another writer closes the new name in between";
    fd = ::open((outside + "/z3").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    ::link((outside + "/z3").c_str(), (root + "/z4").c_str());
    ::unlink((outside + "/z3").c_str());
    world.look(tree);
    write_file(root + "/z4", "by another\n", O_APPEND);
    world.look(tree);
    check(::write(fd, "OLD", 3) == 3, "write");
    world.look(tree);
    ::close(fd);
    doing = "O_TMPFILE, linkat, write with the descriptor still open";
    fd = ::open(root.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
    if (fd >= 0) {
        const std::string self = "/proc/self/fd/" + std::to_string(fd);
        check(::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, (root + "/tmpfile").c_str(), AT_SYMLINK_FOLLOW) == 0, "linkat");
        world.look(tree);
        for (int i = 0; i < 5; i++) {
            check(::write(fd, "anonymous\n", 10) == 10, "write");
            world.look(tree);
        }
        ::close(fd);
    }
    doing = "a directory moved out, written, moved back";
    ::rename((root + "/a").c_str(), (outside + "/a").c_str());
    world.look(tree);
    write_file(outside + "/a/x", "written outside\n");
    write_file(outside + "/a/new", "new outside\n");
    ::rename((outside + "/a").c_str(), (root + "/a").c_str());
    world.look(tree);
    doing = "the same between two barriers";
    ::rename((root + "/a").c_str(), (outside + "/a").c_str());
    write_file(outside + "/a/x", "written outside again\n");
    make_dir(outside + "/a/sub");
    write_file(outside + "/a/sub/f", "deep\n");
    ::rename((outside + "/a").c_str(), (root + "/a").c_str());
    world.look(tree);
    doing = "a file moved out, written, moved back, written through the old descriptor";
    fd = ::open((root + "/a/x").c_str(), O_RDWR | O_CLOEXEC);
    ::rename((root + "/a/x").c_str(), (outside + "/mx").c_str());
    world.look(tree);
    check(::write(fd, "WRITTEN", 7) == 7, "write");
    ::rename((outside + "/mx").c_str(), (root + "/a/x").c_str());
    world.look(tree);
    check(::write(fd, "AGAIN", 5) == 5, "write");
    world.look(tree);
    ::close(fd);
    world.look(tree);
    doing = "an mmap store, then msync and munmap";
    fd = ::open((root + "/a/x").c_str(), O_RDWR | O_CLOEXEC);
    char* map = static_cast<char*>(::mmap(nullptr, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    ::close(fd);
    world.look(tree);
    map[0] = 'M';
    tree->sweep();  // what the sweep is for
    world.look(tree);
    ::munmap(map, 4);
    world.look(tree);
    doing = "an editor's rename-over";
    for (int i = 0; i < 5; i++) {
        write_file(root + "/a/.x.swp", "edited " + std::to_string(i) + "\n");
        ::rename((root + "/a/.x.swp").c_str(), (root + "/a/x").c_str());
        world.look(tree);
    }
    doing = "a directory removed and made again";
    for (int i = 0; i < 20; i++) {
        remove_all(root + "/a/sub");
        make_dir(root + "/a/sub");
        write_file(root + "/a/sub/g" + std::to_string(i % 3), "again\n");
        if (i % 2 == 0) world.look(tree);
    }
    world.look(tree);
    doing = "names that are not UTF-8, and deep trees";
    write_file(root + "/\xff\xfe name\n\x01", "odd\n");
    std::string deep = root;
    for (int i = 0; i < 300; i++) {
        deep += "/d";
        make_dir(deep);
    }
    write_file(deep + "/bottom", "bottom\n");
    world.look(tree);
    write_file(deep + "/bottom", "bottom, changed\n");
    world.look(tree);
    doing = "the root moved away";
    ::rename(root.c_str(), (outside + "/root").c_str());
    const char* reason = nullptr;
    check(tree->barrier(&reason) == nullptr && std::strcmp(reason, "gone") == 0, "should be gone");
    world.trees.clear();
    tree->close();
    tree = nullptr;
    world.last = nullptr;
    check(world.store->contents() == 0 && world.store->bytes() == 0, "contents left in the store");
    check(world.watch->watches() == 0, "watches left");
}

void rules_and_git() {
    doing = "rules";
    const std::string above = scratch + "/above", root = above + "/repo";
    make_dir(above);
    make_dir(root);
    make_dir(root + "/.git");
    make_dir(root + "/.git/info");
    make_dir(root + "/build");
    write_file(root + "/build/out.txt", "out\n");
    write_file(root + "/keep.txt", "keep\n");
    write_file(root + "/skip.log", "log\n");
    World world;
    auto tree = world.open(root);
    const char* reason = nullptr;
    const auto held = [&](const std::string& path) {
        ViewRef view = tree->barrier(&reason);
        check(view != nullptr, "barrier");
        const Position p = view->shape->find(path);
        return p != kNowhere && view->facts(p).content != nullptr;
    };
    const auto root_rules = [&] { return tree->barrier(&reason)->shape->rules.at(0); };
    const auto same_until_changed = [&] {
        const ViewRef a = tree->barrier(&reason), b = tree->barrier(&reason);
        check(a == b, "no change, but another view");
    };
    check(held("keep.txt") && held("skip.log") && held("build/out.txt"), "all held");
    check(root_rules()->has_git && root_rules()->exclude == nullptr, "no exclude");
    doing = "info/exclude appears";
    write_file(root + "/.git/info/exclude", "*.tmp\n");
    check(root_rules()->exclude != nullptr, "exclude seen");
    write_file(root + "/.git/info/exclude", "# nothing\n");
    check(root_rules()->exclude == nullptr, "exclude emptied");
    doing = ".gitignore appears";
    write_file(root + "/.gitignore", "*.log\nnew/\n");
    check(root_rules()->gitignore != nullptr, "gitignore seen");
    make_dir(root + "/new");
    write_file(root + "/new/f", "f\n");
    write_file(root + "/other.log", "l\n");
    check(!held("new/f") && !held("other.log") && held("keep.txt"), "new ignored names are not held");
    ViewRef view = tree->barrier(&reason);
    const Position unlisted = view->shape->find("new");
    check(view->shape->listing[unlisted] == Listing::kUnlisted, "unlisted");
    doing = "extend";
    view = tree->extend(view, {unlisted}, {}, 1000000, &reason);
    check(view != nullptr && view->shape->find("new/f") != kNowhere, "listed on demand");
    check(view->facts(view->shape->find("new/f")).content == nullptr, "not loaded yet");
    check(tree->extend(view, {}, {view->shape->find("new/f")}, 1, &reason) == nullptr, "too much");
    check(std::strcmp(reason, "too_much") == 0, "reason");
    view = tree->extend(view, {}, {view->shape->find("new/f")}, 1000, &reason);
    check(view != nullptr && view->facts(view->shape->find("new/f")).content != nullptr, "loaded on demand");
    write_file(root + "/new/f", "changed\n");
    view = tree->barrier(&reason);
    check(view->facts(view->shape->find("new/f")).content->data.size() == 8, "followed after extend");
    write_file(root + "/new/g", "g\n");
    check(!held("new/g"), "a new name in a lazy directory is not loaded");
    doing = ".gitignore goes";
    ::unlink((root + "/.gitignore").c_str());
    check(held("new/g") && held("other.log"), "un-ignored names are loaded");
    doing = "rules above";
    check(tree->barrier(&reason)->shape->above.back().second->gitignore == nullptr, "none above");
    write_file(above + "/.gitignore", "abc\n");
    check(tree->barrier(&reason)->shape->above.back().second->gitignore != nullptr, "seen above");
    check(tree->barrier(&reason)->shape->above.back().first == above, "its path");
    write_file(above + "/.gitignore", "\n");
    check(tree->barrier(&reason)->shape->above.back().second->gitignore == nullptr, "emptied above");
    make_dir(above + "/.git");
    check(tree->barrier(&reason)->shape->above.back().second->has_git, "git above");
    ::rmdir((above + "/.git").c_str());
    check(!tree->barrier(&reason)->shape->above.back().second->has_git, "no git above");
    doing = "a worktree";
    make_dir(root + "/wt");
    make_dir(root + "/.git/worktrees");
    make_dir(root + "/.git/worktrees/wt");
    write_file(root + "/.git/worktrees/wt/commondir", "../..\n");
    write_file(root + "/wt/.git", "gitdir: " + root + "/.git/worktrees/wt\n");
    write_file(root + "/.git/info/exclude", "secret\n");
    view = tree->barrier(&reason);
    check(view->shape->rules.at(view->shape->find("wt"))->exclude != nullptr, "exclude through commondir");
    check(held("wt/.git"), ".git file is a file");
    const auto worktree = [&] { return tree->barrier(&reason)->shape->rules.at(view->shape->find("wt")); };
    check(worktree()->git_is_file && !worktree()->exclude_unknown, "a worktree's rules");
    doing = "paths of git files that depend on ripgrep's cwd";
    const auto unknown = [&] { return worktree()->exclude_unknown && worktree()->exclude == nullptr; };
    write_file(root + "/.git/worktrees/wt/commondir", "somewhere/else\n");
    check(unknown(), "a relative commondir");
    write_file(root + "/.git/worktrees/wt/commondir", root + "/.git\n");
    check(!unknown() && worktree()->exclude != nullptr, "an absolute commondir");
    write_file(root + "/wt/.git", "gitdir: ../.git/worktrees/wt\n");
    check(!unknown() && worktree()->relative_git_dir == "../.git/worktrees/wt", "a relative gitdir is kept as written");
    write_file(root + "/wt/.git", "gitdir: \n");
    check(unknown(), "an empty gitdir");
    write_file(root + "/wt/.git", "gitdir: /\xff\n");
    check(unknown(), "a gitdir that is not UTF-8");
    write_file(root + "/wt/.git", "nothing of the kind\n");
    check(!unknown() && worktree()->exclude == nullptr && worktree()->git_is_file, "no gitdir");
    doing = "a symlinked ignore file";
    write_file(scratch + "/shared-ignore", "q\n");
    check(::symlink((scratch + "/shared-ignore").c_str(), (root + "/.ignore").c_str()) == 0, "symlink");
    check(root_rules()->ignore != nullptr, "followed");
    write_file(scratch + "/shared-ignore", "\n");
    check(root_rules()->ignore == nullptr, "its target is compared");
    std::this_thread::sleep_for(std::chrono::milliseconds(60));  // past every clock tick: nothing is racy then
    tree->barrier(&reason);
    doing = "nothing";
    same_until_changed();
}

void overflow_and_nested() {
    doing = "nested roots";
    const std::string root = scratch + "/nested", inner = root + "/in/ner";
    make_dir(root);
    make_dir(root + "/in");
    make_dir(inner);
    write_file(inner + "/f", "f\n");
    World world;
    world.watch = Watch::open(60000);
    auto outer_tree = world.open(root), inner_tree = world.open(inner);
    write_file(inner + "/f", "changed\n");
    write_file(inner + "/g", "new\n");
    world.look_all();
    doing = "an overflow of the queue";
    for (int i = 0; i < 40; i++) make_dir(inner + "/d" + std::to_string(i));
    world.look_all();
    // Faster than the reader empties it: many short-lived names at once.
    std::vector<std::thread> writers;
    for (int t = 0; t < 4; t++) {
        writers.emplace_back([&, t] {
            for (int i = 0; i < 12000; i++) {
                const std::string dir = inner + "/d" + std::to_string((i + t) % 40);
                const std::string path = dir + "/f" + std::to_string(t) + "_" + std::to_string(i % 300);
                write_file(path, std::to_string(i), O_TRUNC);
                if (i % 7 == 0) ::unlink(path.c_str());
            }
        });
    }
    for (std::thread& t : writers) t.join();
    ::rename((inner + "/d1").c_str(), (root + "/moved").c_str());
    write_file(root + "/moved/after", "after\n");
    ::rename((inner + "/d2").c_str(), (inner + "/d3/moved").c_str());
    remove_all(inner + "/d4");
    make_dir(inner + "/d4");
    write_file(inner + "/d4/f", "again\n");
    world.look_all();
    write_file(inner + "/d4/f", "and followed\n");
    write_file(inner + "/d3/moved/g", "and followed\n");
    world.look_all();
    check(outer_tree->numbers().overflows != 0, "there was to be an overflow");
    std::fprintf(stderr, "overflows seen: %llu\n", static_cast<unsigned long long>(outer_tree->numbers().overflows));
    doing = "closing the inner tree";
    inner_tree->close();
    world.trees.pop_back();
    write_file(inner + "/f", "still followed\n");
    world.look_all();
    doing = "bulk change";
    for (int i = 0; i < 40; i++) remove_all(inner + "/d" + std::to_string(i));
    for (int i = 0; i < 3000; i++) write_file(root + "/bulk" + std::to_string(i), "x" + std::to_string(i));
    const auto begun = std::chrono::steady_clock::now();
    world.look_all();
    std::fprintf(stderr, "3000 new files seen and compared in %lld ms\n", static_cast<long long>(
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count()));
}

// ---- random operations

class Dice {
  public:
    explicit Dice(uint64_t seed) : engine_(seed) {}
    size_t roll(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(engine_); }
    template <class T>
    const T& pick(const std::vector<T>& v) {
        return v[roll(v.size())];
    }

  private:
    std::mt19937_64 engine_;
};

void collect(const std::string& path, std::vector<std::string>* files, std::vector<std::string>* dirs) {
    dirs->push_back(path);
    DIR* d = ::opendir(path.c_str());
    if (d == nullptr) return;
    std::set<std::string> names;
    while (const dirent* e = ::readdir(d)) names.insert(e->d_name);
    ::closedir(d);
    for (const std::string& name : names) {
        if (name == "." || name == ".." || name == ".git") continue;
        struct stat st;
        if (::lstat((path + "/" + name).c_str(), &st) != 0) continue;
        if (S_ISDIR(st.st_mode)) {
            collect(path + "/" + name, files, dirs);
        } else {
            files->push_back(path + "/" + name);
        }
    }
}

void random_operations(uint64_t seed, int rounds, bool restarts) {
    Dice dice(seed);
    const std::string root = scratch + "/random", outside = scratch + "/outside";
    make_dir(root);
    make_dir(outside);
    World world;
    auto tree = world.open(root);
    std::vector<int> open_fds;
    for (int round = 0; round < rounds; round++) {
        doing = "seed " + std::to_string(seed) + " round " + std::to_string(round) + ":";
        const size_t operations = dice.roll(4) == 0 ? 1 + dice.roll(30) : 1;
        for (size_t o = 0; o < operations; o++) {
            std::vector<std::string> files, dirs, out_files, out_dirs;
            collect(root, &files, &dirs);
            collect(outside, &out_files, &out_dirs);
            if (files.empty()) files.push_back(root + "/first");
            const std::string name = std::string(1, static_cast<char>('a' + dice.roll(6))) + (dice.roll(3) ? "" : "\xe9");
            const std::string target = dice.pick(dirs) + "/" + name;
            const std::string text(dice.roll(200), static_cast<char>('a' + dice.roll(26)));
            const size_t what = dice.roll(24);
            doing += " " + std::to_string(what);
            switch (what) {
                case 0: case 1: case 2: write_file(target, text); break;
                case 3: write_file(dice.pick(files), text, O_APPEND); break;
                case 4: if (::truncate(dice.pick(files).c_str(), static_cast<off_t>(dice.roll(50)))) {} break;
                case 5: {
                    const std::string temp = target + "~";
                    write_file(temp, text);
                    ::rename(temp.c_str(), dice.pick(files).c_str());
                    break;
                }
                case 6: case 7: make_dir(target); break;
                case 8: ::rename(dice.pick(dirs).c_str(), target.c_str()); break;      // may fail: fine
                case 9: if (dirs.size() > 1) ::rename(dirs[1 + dice.roll(dirs.size() - 1)].c_str(), (outside + "/" + name).c_str()); break;
                case 10: if (out_dirs.size() > 1) ::rename(out_dirs[1 + dice.roll(out_dirs.size() - 1)].c_str(), target.c_str()); break;
                case 11: if (!out_files.empty()) ::rename(dice.pick(out_files).c_str(), target.c_str()); break;
                case 12: ::unlink(dice.pick(files).c_str()); break;
                case 13: if (dirs.size() > 8) remove_all(dirs[1 + dice.roll(dirs.size() - 1)]); break;
                case 14: ::chmod(dice.pick(files).c_str(), dice.roll(2) ? 0600 : 0644); break;
                case 15: if (::symlink("somewhere", target.c_str())) {} break;
                case 16: {
                    write_file(outside + "/" + name, text);
                    ::link((outside + "/" + name).c_str(), target.c_str());
                    world.look_all();
                    break;
                }
                case 17: if (!out_files.empty()) write_file(dice.pick(out_files), text); break;
                case 18:  // seen at once: a link that comes and goes between two barriers tells nothing (tree.cpp's head)
                    ::link(dice.pick(files).c_str(), target.c_str());
                    world.look_all();
                    break;
                case 19: {  // keep a descriptor open, write through it later
                    const int fd = ::open(dice.pick(files).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
                    if (fd >= 0) open_fds.push_back(fd);
                    break;
                }
                case 20: if (!open_fds.empty()) if (::write(dice.pick(open_fds), text.data(), text.size())) {} break;
                case 21: if (!open_fds.empty()) { ::close(open_fds.back()); open_fds.pop_back(); } break;
                case 22: {  // create a tree
                    std::string path = target;
                    for (size_t depth = dice.roll(5) + 1; depth > 0; depth--) {
                        make_dir(path);
                        write_file(path + "/f", text);
                        path += "/" + name;
                    }
                    break;
                }
                default: ::rename(dice.pick(files).c_str(), target.c_str()); break;
            }
            if (dirs.size() > 60) remove_all(dirs[1 + dice.roll(dirs.size() - 1)]);
        }
        if (dice.roll(3) != 0) world.look_all();
        if (!restarts || dice.roll(8) != 0) continue;
        doing += " restart";
        for (const int fd : open_fds) ::close(fd);  // through them, what was there before a walk may change unseen
        open_fds.clear();
        tree = world.restart(std::move(tree), [&] {
            for (size_t changes = dice.roll(3); changes > 0; changes--) {
                std::vector<std::string> files, dirs;
                collect(root, &files, &dirs);
                if (files.empty()) continue;
                const std::string file = dice.pick(files), target = dice.pick(dirs) + "/while-down";
                struct stat st;
                switch (dice.roll(5)) {
                    case 0: ::unlink(file.c_str()); break;
                    case 1: ::rename(file.c_str(), target.c_str()); break;
                    case 2: make_dir(target); break;
                    case 3: remove_all(dice.pick(dirs) + "/while-down"); break;
                    default:  // the same size, the same mtime
                        if (::lstat(file.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) break;
                        write_file(file, std::string(static_cast<size_t>(st.st_size), '#'));
                        const timespec times[2] = {st.st_atim, st.st_mtim};
                        ::utimensat(AT_FDCWD, file.c_str(), times, AT_SYMLINK_NOFOLLOW);
                }
            }
        });
    }
    for (const int fd : open_fds) ::close(fd);
    world.look_all();
}

// Views share what did not change; what was left by removed files is taken by new ones, and numbered anew when much is.
void slots() {
    doing = "many files come and go";
    const std::string root = scratch + "/slots";
    make_dir(root);
    const auto name = [&](int i) { return root + "/d" + std::to_string(i % 40) + "/f" + std::to_string(i); };
    for (int i = 0; i < 40; i++) make_dir(root + "/d" + std::to_string(i));
    for (int i = 0; i < 9000; i++) write_file(name(i), "text " + std::to_string(i) + "\n");
    World world;
    auto tree = world.open(root);
    const ViewRef first = world.look(tree);
    write_file(root + "/d7/new", "new\n");
    const ViewRef second = world.look(tree);
    size_t shared = 0;
    for (const auto& chunk : second->chunks) {
        shared += std::count(first->chunks.begin(), first->chunks.end(), chunk) != 0 ? 1 : 0;
    }
    check(shared + 2 >= first->chunks.size(), "chunks copied for nothing");
    for (int i = 0; i < 3000; i++) ::unlink(name(i).c_str());
    world.look(tree);
    for (int i = 0; i < 1000; i++) write_file(name(i), "again " + std::to_string(i) + "\n");
    check(world.look(tree)->chunks.size() <= second->chunks.size() + 1, "empty places not taken");
    for (int i = 0; i < 8000; i++) ::unlink(name(i).c_str());
    world.look(tree);
    write_file(root + "/d8/new", "new\n");
    check(world.look(tree)->chunks.size() < second->chunks.size() / 2, "not numbered anew");
    ::rename((root + "/d8").c_str(), (root + "/d9/moved").c_str());
    world.look(tree);
    check(first->facts(first->shape->find("d0/f0")).content->data.size() == 7, "an old view was touched");
    world.last = nullptr;
}

// Barriers while others change things: no crash, no hang, and the truth once they stop.
void churn(uint64_t seed) {
    doing = "churn";
    const std::string root = scratch + "/churn";
    make_dir(root);
    World world;
    std::atomic<bool> stop{false};
    std::vector<std::thread> writers;
    for (int t = 0; t < 2; t++) {
        writers.emplace_back([&, t] {
            Dice dice(seed + static_cast<uint64_t>(t));
            while (!stop.load()) {
                const std::string dir = root + "/" + std::string(1, static_cast<char>('a' + dice.roll(4)));
                switch (dice.roll(6)) {
                    case 0: make_dir(dir); break;
                    case 1: remove_all(dir); break;
                    case 2: make_dir(dir); make_dir(dir + "/s"); write_file(dir + "/s/f", "x"); break;
                    case 3: ::rename(dir.c_str(), (root + "/" + std::string(1, static_cast<char>('a' + dice.roll(4)))).c_str()); break;
                    case 4: write_file(dir + "/g", std::string(dice.roll(100), 'g')); break;
                    default: write_file(dir + "/.gitignore", dice.roll(2) ? "zzz\n" : "\n"); break;
                }
            }
        });
    }
    auto tree = world.open(root);
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
    uint64_t barriers = 0;
    while (std::chrono::steady_clock::now() < end) {
        const char* reason = nullptr;
        check(tree->barrier(&reason) != nullptr, std::string("barrier: ") + (reason ? reason : ""));
        barriers++;
        if (barriers % 100 == 0) tree->sweep();
    }
    stop.store(true);
    for (std::thread& t : writers) t.join();
    doing = "churn has stopped";
    world.look(tree);
    std::fprintf(stderr, "%llu barriers under churn\n", static_cast<unsigned long long>(barriers));
}

}  // namespace

int main(int argc, char** argv) {
    const uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 400;
    const char* base = std::getenv("TMPDIR");
    std::string pattern = std::string(base == nullptr ? "/tmp" : base) + "/tree_test.XXXXXX";
    check(::mkdtemp(pattern.data()) != nullptr, "mkdtemp");
    char real[4096];
    check(::realpath(pattern.c_str(), real) != nullptr, "realpath");
    scratch = real;
    unusual_writers();
    rules_and_git();
    overflow_and_nested();
    slots();
    churn(seed);
    random_operations(seed, rounds, false);
    random_operations(seed + 1000, rounds, false);
    random_operations(seed + 2000, rounds, true);
    std::fprintf(stderr, "%llu files taken from the archive, %llu with their place in the index\n",
                 static_cast<unsigned long long>(World::known), static_cast<unsigned long long>(World::placed));
    check(World::known > 100 && World::placed > 100, "the archive hardly ever helps");
    check(World::rested > 100, "hardly ever at rest");
    std::fprintf(stderr, "%d times at rest\n", World::rested);
    remove_all(scratch);
    std::puts("ok");
    return 0;
}
