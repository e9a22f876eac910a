// global_rules.cpp: git's core.excludesFile, kept fresh by stat.
//
// In: HOME, XDG_CONFIG_HOME, GIT_CONFIG_GLOBAL, GIT_CONFIG_SYSTEM. Out: the rules of the file that ripgrep 15.2.0 would
// read as the global excludes (crates/ignore/src/gitignore.rs, and what it opens under strace: git's global file if
// named, ~/.gitconfig, the XDG one, the system's; the first that says excludesfile; GIT_CONFIG_NOSYSTEM is not asked). Invariant: every file looked at for the answer is compared by stat
// (device, inode, size, mtime, ctime) at each refresh, and read again while its times are too young to vouch for it.
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "select.h"

namespace curserve {
namespace {

// A write within one tick of the clock after our read could leave the same mtime; 20 ms covers HZ=100 twice.
constexpr int64_t kTickNs = 20'000'000;
// No configuration or ignore file is longer (arbitrary): beyond, the rules are unknown.
constexpr size_t kMaxBytes = 16u << 20;
constexpr size_t kMostPath = 4096;  // Linux's PATH_MAX

int64_t nanoseconds(const timespec& t) { return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; }

int64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(now);
}

struct Stamp {
    bool exists = false, regular = false, directory = false;
    bool null = false;  // /dev/null, which reads as an empty file always
    uint64_t dev = 0, ino = 0;
    int64_t size = 0, mtime_ns = 0, ctime_ns = 0;

    explicit Stamp(const std::string& path) {
        struct stat st{};
        if (stat(path.c_str(), &st) != 0) return;
        exists = true;
        regular = S_ISREG(st.st_mode);
        directory = S_ISDIR(st.st_mode);
        null = S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
        dev = st.st_dev;
        ino = st.st_ino;
        size = st.st_size;
        mtime_ns = nanoseconds(st.st_mtim);
        ctime_ns = nanoseconds(st.st_ctim);
    }
    Stamp() = default;
    bool operator==(const Stamp& o) const {
        return exists == o.exists && regular == o.regular && dev == o.dev && ino == o.ino && size == o.size &&
               mtime_ns == o.mtime_ns && ctime_ns == o.ctime_ns;
    }
};

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// What follows a value may be blanks, a quote, blanks, and must then be the end of a line.
bool ends_line(std::string_view text, size_t at) {
    for (int quotes = 0;; ++quotes) {
        for (; at < text.size() && is_blank(text[at]); ++at)
            if (text[at] == '\n') return true;
        if (at == text.size()) return true;
        if (quotes || text[at] != '"') return false;
        ++at;
    }
}

// The first line that says `excludesfile = value`, whatever the section: ripgrep looks no closer.
bool find_excludes(std::string_view text, std::string* value) {
    constexpr std::string_view kKey = "excludesfile";
    for (size_t line = 0; line <= text.size();) {
        size_t at = line;
        // Blanks may be newlines; the lines that begin among them would come to the same place.
        while (at < text.size() && is_blank(text[at])) ++at;
        const size_t newline = text.find('\n', at);
        line = newline == std::string_view::npos ? text.size() + 1 : newline + 1;
        if (text.size() - at < kKey.size()) continue;
        bool same = true;
        for (size_t i = 0; i < kKey.size(); ++i) {
            const char c = text[at + i];
            same &= (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == kKey[i];
        }
        if (!same) continue;
        at += kKey.size();
        while (at < text.size() && is_blank(text[at])) ++at;
        if (at == text.size() || text[at] != '=') continue;
        ++at;
        while (at < text.size() && is_blank(text[at])) ++at;
        size_t starts[2] = {at, at};
        if (at < text.size() && text[at] == '"') {
            ++starts[0];
            while (starts[0] < text.size() && is_blank(text[starts[0]])) ++starts[0];
        }
        for (size_t start : starts)
            for (size_t end = start + 1; end <= text.size() && !is_blank(text[end - 1]); ++end)
                if (ends_line(text, end)) {
                    value->assign(text.substr(start, end - start));
                    return true;
                }
    }
    return false;
}

std::string home_of_uid() {
    std::vector<char> buffer(16384);
    passwd entry{}, *found = nullptr;
    if (getpwuid_r(getuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found || !found->pw_dir) return {};
    return found->pw_dir;
}

std::string joined(const std::string& directory, const char* rest) {
    return !directory.empty() && directory.back() == '/' ? directory + rest : directory + "/" + rest;
}

class StatRules final : public GlobalRules {
  public:
    StatRules(std::string home, std::string xdg, std::string git_config, std::string git_system)
        : home_(std::move(home)), git_config_(std::move(git_config)),
          git_system_(git_system.empty() ? "/etc/gitconfig" : std::move(git_system)) {
        config_ = !xdg.empty() ? std::move(xdg) : !home_.empty() ? joined(home_, ".config") : std::string();
    }

    Now refresh() override {
        std::lock_guard<std::mutex> lock(mutex_);
        if (!read_once_ || changed()) {
            seen_.clear();
            unknown_ = false;
            read_once_ = true;
            read_all();
        }
        return {rules_, version_, unknown_};
    }

  private:
    struct Seen {
        std::string path;
        Stamp stamp;
        int64_t read_ns;
    };

    bool changed() const {
        return std::any_of(seen_.begin(), seen_.end(), [](const Seen& seen) {
            if (seen.stamp.exists &&
                std::max(seen.stamp.mtime_ns, seen.stamp.ctime_ns) + kTickNs > seen.read_ns)
                return true;
            return !(Stamp(seen.path) == seen.stamp);
        });
    }

    // False: there is no such file, or it cannot be read.
    bool read(const std::string& path, std::string* bytes) {
        if (path.front() != '/') {
            unknown_ = true;
            return false;
        }
        // Stamped before it is read: a change in between shows at the next refresh.
        seen_.push_back({path, Stamp(path), now_ns()});
        if (seen_.back().stamp.null) {
            bytes->clear();
            return true;
        }
        if (!seen_.back().stamp.regular) {
            // A pipe or a device would be read by ripgrep, once: not something to answer from memory.
            unknown_ |= seen_.back().stamp.exists && !seen_.back().stamp.directory;
            return false;
        }
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) return false;
        bytes->clear();
        char buffer[16384];
        ssize_t got;
        while ((got = ::read(fd, buffer, sizeof buffer)) > 0 && bytes->size() <= kMaxBytes)
            bytes->append(buffer, static_cast<size_t>(got));
        ::close(fd);
        unknown_ |= got > 0;
        return got == 0;
    }

    // core.excludesFile as one configuration file gives it.
    bool excludes_of(const std::string& config, std::string* path) {
        std::string text, value;
        if (config.empty() || !read(config, &text) || !find_excludes(text, &value)) return false;
        // ripgrep passes over a value that is not UTF-8; beyond ASCII we leave it to judge.
        const auto beyond_ascii = [](char c) { return static_cast<unsigned char>(c) >= 0x80; };
        // So we do with one that is no path any more, before each ~ in it becomes longer.
        unknown_ |= value.size() > kMostPath || std::any_of(value.begin(), value.end(), beyond_ascii);
        if (unknown_) return true;
        if (!home_.empty()) {
            for (size_t at = 0; (at = value.find('~', at)) != std::string::npos; at += home_.size())
                value.replace(at, 1, home_);
        }
        *path = value;
        return true;
    }

    void read_all() {
        std::string path, bytes;
        const bool named = excludes_of(git_config_, &path) ||
                           excludes_of(home_.empty() ? std::string() : joined(home_, ".gitconfig"), &path) ||
                           excludes_of(config_.empty() ? std::string() : joined(config_, "git/config"), &path) ||
                           excludes_of(git_system_, &path);
        if (!named && !config_.empty()) path = joined(config_, "git/ignore");
        bool there = false;
        if (!path.empty() && !unknown_) {
            if (path.front() != '/') unknown_ = true;
            else if (Stamp(path).regular) there = read(path, &bytes);
            else seen_.push_back({path, Stamp(path), now_ns()});
        }
        if (!there) bytes.clear();
        if (there == (rules_ != nullptr) && bytes == bytes_) return;
        bytes_ = bytes;
        rules_ = there ? IgnoreRules::parse(bytes_, false, nullptr) : nullptr;
        ++version_;
    }

    const std::string home_, git_config_, git_system_;
    std::string config_;  // where git/config and git/ignore are
    std::mutex mutex_;
    // Under mutex_:
    std::vector<Seen> seen_;
    std::string bytes_;
    RulesRef rules_;
    uint64_t version_ = 1;
    bool read_once_ = false, unknown_ = false;
};

}  // namespace

std::shared_ptr<GlobalRules> GlobalRules::open(const std::string& home, bool has_home,
                                               const std::string& xdg_config_home, bool has_xdg,
                                               const std::string& git_config_global,
                                               const std::string& git_config_system) {
    return std::make_shared<StatRules>(has_home && !home.empty() ? home : home_of_uid(),
                                       has_xdg ? xdg_config_home : std::string(), git_config_global,
                                       git_config_system);
}

}  // namespace curserve
