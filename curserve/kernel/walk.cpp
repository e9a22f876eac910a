// walk.cpp: see walk.h.
#include "walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <system_error>
#include <utility>

#include "content.h"
#include "cores.h"
#include "json.h"

namespace curserve {

void Descriptor::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

int open_directory(int root_fd, const std::string& path) {
    const char* name = path.empty() ? "." : path.c_str();
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    static std::atomic<bool> modern{true};
    for (int noatime : {O_NOATIME, 0}) {
        if (modern.load(std::memory_order_relaxed)) {
            struct open_how how;
            std::memset(&how, 0, sizeof how);
            how.flags = static_cast<uint64_t>(flags | noatime);
            how.resolve = RESOLVE_NO_SYMLINKS;
            const long fd = ::syscall(SYS_openat2, root_fd, name, &how, sizeof how);
            if (fd >= 0) return static_cast<int>(fd);
            if (errno != ENOSYS) {
                if (errno == EPERM && noatime != 0) continue;  // not ours: atime will move
                if (errno != EPERM) return -errno;
            }
            modern.store(false, std::memory_order_relaxed);  // an old kernel, or a seccomp filter in the way
        }
        const int fd = ::openat(root_fd, name, flags | noatime);
        if (fd >= 0) return fd;
        if (errno != EPERM || noatime == 0) return -errno;
    }
    return -EPERM;
}

namespace {
thread_local bool roams = false;
}  // namespace

void roam() { roams = ::unshare(CLONE_FS) == 0; }

bool move_into(int dir_fd) { return roams && ::fchdir(dir_fd) == 0; }

int list_directory(int fd, std::vector<Listed>* out) {
    out->clear();
    static thread_local std::vector<char> buffer(64 * 1024);
    for (;;) {
        const long n = ::syscall(SYS_getdents64, fd, buffer.data(), buffer.size());
        if (n < 0) return errno;
        if (n == 0) return 0;
        for (long at = 0; at < n;) {
            const char* entry = buffer.data() + at;  // struct dirent64: u64 ino, s64 off, u16 reclen, u8 type, name
            uint16_t length;
            std::memcpy(&length, entry + 16, sizeof length);
            const char* name = entry + 19;
            at += length;
            if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'))) continue;
            out->push_back(Listed{name, static_cast<unsigned char>(entry[18])});
        }
    }
}

Kind kind_of(mode_t mode) {
    if (S_ISREG(mode)) return Kind::kFile;
    if (S_ISDIR(mode)) return Kind::kDirectory;
    return S_ISLNK(mode) ? Kind::kSymlink : Kind::kOther;
}

Kind kind_of_type(unsigned char type) {
    if (type == DT_REG) return Kind::kFile;
    if (type == DT_DIR) return Kind::kDirectory;
    return type == DT_LNK ? Kind::kSymlink : Kind::kOther;
}

int64_t now_ns() {
    struct timespec t;
    ::clock_gettime(CLOCK_REALTIME, &t);
    return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

uint64_t mount_id(int fd) {
#ifdef STATX_MNT_ID
    struct statx sx;
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) == 0 && (sx.stx_mask & STATX_MNT_ID) != 0) {
        return sx.stx_mnt_id;
    }
#endif
    return 0;
}

const char* deaf_file_system(int fd) {
    struct statfs fs;
    if (::fstatfs(fd, &fs) != 0) return "unknown";
    switch (static_cast<uint64_t>(fs.f_type) & 0xffffffffu) {
        case EXT4_SUPER_MAGIC:  // and ext2, ext3
        case XFS_SUPER_MAGIC:
        case BTRFS_SUPER_MAGIC:
        case TMPFS_MAGIC:
        case RAMFS_MAGIC:
        case F2FS_SUPER_MAGIC:
        case OVERLAYFS_SUPER_MAGIC:  // a change of its lower layer is undefined behaviour by its own documentation
        case REISERFS_SUPER_MAGIC:
        case SQUASHFS_MAGIC:
        case MSDOS_SUPER_MAGIC:
        case EXFAT_SUPER_MAGIC:
        case ISOFS_SUPER_MAGIC:
        case 0xe0f5e1e2u:  // EROFS
        case 0x2fc12fc1u:  // ZFS
        case 0xca451a4eu:  // bcachefs
        case 0x3153464au:  // JFS
        case 0xf15fu:      // ecryptfs
            return nullptr;
        case NFS_SUPER_MAGIC: return "NFS";
        case SMB_SUPER_MAGIC:
        case CIFS_SUPER_MAGIC:
        case SMB2_SUPER_MAGIC: return "SMB";
        case V9FS_MAGIC: return "9p";
        case FUSE_SUPER_MAGIC: return "FUSE";
        case CEPH_SUPER_MAGIC: return "Ceph";
        case AFS_SUPER_MAGIC: return "AFS";
        case PROC_SUPER_MAGIC: return "proc";
        case SYSFS_MAGIC: return "sysfs";
        default: return "an unknown file system";
    }
}

bool forgets_mapped_stores(int fd) {
    struct statfs fs;
    if (::fstatfs(fd, &fs) != 0) return true;
    const auto type = static_cast<uint64_t>(fs.f_type) & 0xffffffffu;
    return type == TMPFS_MAGIC || type == RAMFS_MAGIC;
}

std::string mounts_below(int mountinfo_fd, const std::string& root) {
    std::string text;
    char buffer[16384];
    if (::lseek(mountinfo_fd, 0, SEEK_SET) < 0) return text;
    for (;;) {
        const ssize_t n = ::read(mountinfo_fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        text.append(buffer, static_cast<size_t>(n));
    }
    std::string found;
    std::istringstream lines(text);
    std::string line;
    const std::string below = root == "/" ? root : root + "/";
    while (std::getline(lines, line)) {
        std::istringstream fields(line);
        std::string id, parent, device, inner, point;
        fields >> id >> parent >> device >> inner >> point;
        // Escapes (\040 and kin) stay: a root with a blank in its name is compared in the same spelling.
        std::string plain;
        for (size_t i = 0; i < point.size(); i++) {
            if (point[i] == '\\' && i + 3 < point.size()) {
                plain.push_back(static_cast<char>((point[i + 1] - '0') * 64 + (point[i + 2] - '0') * 8 +
                                                  (point[i + 3] - '0')));
                i += 3;
            } else {
                plain.push_back(point[i]);
            }
        }
        if (plain == root || plain.compare(0, below.size(), below) == 0) {
            found += id + " " + device + " " + inner + " " + plain + "\n";
        }
    }
    return found;
}

namespace {

constexpr int64_t kTickNs = 20 * 1000 * 1000;  // the kernel's coarse clock ticks at 100 Hz or faster; twice that

int64_t nanoseconds(const struct timespec& t) { return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec; }

// What there is, as a Source without its path.
Source stat_source(const std::string& path, int64_t read_at_ns) {
    Source source;
    struct stat st;
    if (::stat(path.c_str(), &st) != 0) return source;
    source.exists = true;
    source.dev = static_cast<uint64_t>(st.st_dev);
    source.ino = static_cast<uint64_t>(st.st_ino);
    if (S_ISDIR(st.st_mode)) return source;  // that it is there is all that counts (.git changes all the time)
    source.size_bytes = static_cast<uint64_t>(st.st_size);
    source.mtime_ns = nanoseconds(st.st_mtim);
    source.ctime_ns = nanoseconds(st.st_ctim);
    source.racy = source.ctime_ns + kTickNs > read_at_ns;
    return source;
}

Source source_of(const std::string& path, int64_t read_at_ns) {
    Source source = stat_source(path, read_at_ns);
    source.path = path;
    return source;
}

RulesRef parse_file(int dir_fd, const char* name) {
    std::vector<uint8_t> bytes;
    struct stat st;
    if (read_file(dir_fd, name, true, &bytes, &st) != 0) return nullptr;
    RulesRef rules = IgnoreRules::parse(
        std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), false, nullptr);
    const bool silent = rules->empty() && !rules->faulty() && !rules->too_large();
    return silent ? nullptr : rules;
}

enum class LineOf { kNone, kText, kFailed };  // no file or no line; a line; what ripgrep complains about

// The first line of a small file, as Rust's BufRead::lines gives it.
LineOf first_line(const std::string& path, std::string* line) {
    std::vector<uint8_t> bytes;
    struct stat st;
    const int error = read_file(AT_FDCWD, path.c_str(), true, &bytes, &st);
    if (error != 0) return error == ENOENT || error == ENOTDIR ? LineOf::kNone : LineOf::kFailed;
    if (bytes.empty()) return LineOf::kNone;
    const auto end = std::find(bytes.begin(), bytes.end(), '\n');
    line->assign(bytes.begin(), end);
    if (end != bytes.end() && !line->empty() && line->back() == '\r') line->pop_back();
    return is_utf8(reinterpret_cast<const uint8_t*>(line->data()), line->size()) ? LineOf::kText : LineOf::kFailed;
}

std::string join(const std::string& dir, const std::string& path) {
    if (!path.empty() && path[0] == '/') return path;
    return dir == "/" ? dir + path : dir + "/" + path;
}

}  // namespace

bool Source::changed() const {
    const Source now = stat_source(path, 0);
    return racy || now.exists != exists || now.dev != dev || now.ino != ino || now.size_bytes != size_bytes ||
           now.mtime_ns != mtime_ns || now.ctime_ns != ctime_ns;
}

bool decides_rules(std::string_view name) {
    return name == ".gitignore" || name == ".ignore" || name == ".rgignore" || name == ".git" || name == ".jj";
}

RulesFound read_rules(int dir_fd, const std::string& absolute, bool by_stat) {
    RulesFound found;
    auto rules = std::make_shared<DirRules>();
    const int64_t begun = now_ns();
    struct stat st;
    const auto look = [&](const char* name) {  // is it there, following symlinks? Notes it as a source where needed.
        const bool there = ::fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        const bool link = there && S_ISLNK(st.st_mode);
        if (by_stat || link) found.sources.push_back(source_of(join(absolute, name), begun));
        return there && (!link || ::fstatat(dir_fd, name, &st, 0) == 0);
    };
    if (look(".gitignore")) rules->gitignore = parse_file(dir_fd, ".gitignore");
    if (look(".ignore")) rules->ignore = parse_file(dir_fd, ".ignore");
    if (look(".rgignore")) rules->rgignore = parse_file(dir_fd, ".rgignore");
    if (look(".jj")) rules->has_git = true;
    if (look(".git")) {
        rules->has_git = true;
        std::string git_dir = join(absolute, ".git");
        bool known = true;
        if (S_ISREG(st.st_mode)) {  // a worktree or submodule: "gitdir: X", then X/commondir
            rules->git_is_file = true;
            std::string line;
            // ripgrep complains about a file it may not read or that is not text: as good as unknown.
            const LineOf first = first_line(git_dir, &line);
            rules->exclude_unknown = first == LineOf::kFailed;
            known = first == LineOf::kText && line.compare(0, 8, "gitdir: ") == 0;
            if (known && line.compare(8, 1, "/") != 0) {  // relative to ripgrep's cwd, whatever that will be
                if (line.size() > 8 && line.find('\0') == std::string::npos) rules->relative_git_dir = line.substr(8);
                else rules->exclude_unknown = true;
                known = false;
            }
            if (known) {
                const std::string real = line.substr(8);
                const std::string pointer = join(real, "commondir");
                found.sources.push_back(source_of(pointer, begun));
                const LineOf second = first_line(pointer, &line);
                known = second == LineOf::kText;
                if (known) git_dir = line.compare(0, 1, ".") == 0 ? join(real, line) : line;
                rules->exclude_unknown = second == LineOf::kFailed || (known && git_dir.compare(0, 1, "/") != 0);
                known = known && !rules->exclude_unknown;
            }
        }
        if (known) {
            const std::string exclude = join(git_dir, "info/exclude");
            found.sources.push_back(source_of(exclude, begun));
            if (found.sources.back().exists) rules->exclude = parse_file(AT_FDCWD, exclude.c_str());
        }
    }
    found.rules = std::move(rules);
    return found;
}

void Gang::add(Job job) {
    {
        std::lock_guard<BriefMutex> lock(mutex_);
        jobs_.push_back(std::move(job));
        if (waiting_ == 0) return;
    }
    wake_.notify_one();
}

void Gang::work() {
    std::unique_lock<BriefMutex> lock(mutex_);
    for (;;) {
        while (jobs_.empty() && running_ != 0) {
            waiting_++;
            wake_.wait(lock);
            waiting_--;
        }
        if (jobs_.empty()) break;
        Job job = std::move(jobs_.back());
        jobs_.pop_back();
        running_++;
        lock.unlock();
        std::exception_ptr failure;
        try {
            job();
        } catch (...) {
            failure = std::current_exception();
        }
        job = nullptr;
        lock.lock();
        running_--;
        if (failure != nullptr) {
            if (failure_ == nullptr) failure_ = failure;
            jobs_.clear();
        }
        if (running_ == 0 && jobs_.empty()) wake_.notify_all();
    }
}

// As many as there may be, when the system allows no more.
std::vector<std::thread> Gang::hire(unsigned threads, const Cores& cores, bool roaming) {
    std::vector<std::thread> hired;
    hired.reserve(threads);
    try {
        while (hired.size() < threads) {
            hired.emplace_back([this, roaming, own = cores.share(static_cast<unsigned>(hired.size()), threads)] {
                own.hold(0);
                if (roaming) curserve::roam();
                work();
            });
        }
    } catch (const std::system_error&) {
    }
    return hired;
}

void Gang::part(std::vector<std::thread>& hired) {
    for (std::thread& t : hired) t.join();
    if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Gang::run(unsigned threads) {
    std::vector<std::thread> others = hire(threads > 1 ? threads - 1 : 0, Cores::of_process().others(), false);
    work();
    part(others);
}

void Gang::roam(unsigned threads) {
    std::vector<std::thread> all = hire(threads, Cores::of_process(), true);
    if (all.empty()) work();
    part(all);
}

}  // namespace curserve
