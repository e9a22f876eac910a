// relative_git.cpp: see relative_git.h.
#include "relative_git.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace curserve {
namespace {

constexpr size_t kMaxBytes = 1u << 20;  // no exclude file is longer (arbitrary): beyond, it is ripgrep's to judge

enum class Read { kAbsent, kBytes, kFailed };

std::string joined(const std::string& base, const std::string& path) {
    if (!path.empty() && path.front() == '/') return path;
    return !base.empty() && base.back() == '/' ? base + path : base + "/" + path;
}

Read slurp(const std::string& path, std::string* bytes) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return errno == ENOENT || errno == ENOTDIR ? Read::kAbsent : Read::kFailed;
    struct stat st {};
    bool good = ::fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    char buffer[16384];
    ssize_t got = 0;
    while (good && bytes->size() <= kMaxBytes && (got = ::read(fd, buffer, sizeof buffer)) > 0)
        bytes->append(buffer, static_cast<size_t>(got));
    ::close(fd);
    return good && got == 0 ? Read::kBytes : Read::kFailed;
}

}  // namespace

RelativeExclude read_relative_exclude(const std::string& git_dir, const std::string& cwd) {
    RelativeExclude found;
    found.git_dir = git_dir;
    const auto unknown = [&] {
        found.unknown = true;
        return found;
    };
    std::string bytes;
    switch (slurp(joined(cwd, joined(git_dir, "commondir")), &bytes)) {
        case Read::kAbsent: return found;  // as in every submodule: ripgrep looks no further
        case Read::kFailed: return unknown();
        case Read::kBytes: break;
    }
    if (bytes.empty()) return found;
    std::string line = bytes.substr(0, bytes.find('\n'));
    if (line.size() < bytes.size() && !line.empty() && line.back() == '\r') line.pop_back();
    // Beyond ASCII, and a NUL: whether that is a path is ripgrep's to judge.
    if (std::any_of(line.begin(), line.end(), [](char c) { return c == '\0' || static_cast<unsigned char>(c) >= 0x80; }))
        return unknown();
    const std::string common = !line.empty() && line.front() == '.' ? joined(git_dir, line) : line;
    // An empty line is ripgrep's cwd itself.
    const std::string exclude = joined(cwd, common.empty() ? "info/exclude" : joined(common, "info/exclude"));
    switch (slurp(exclude, &found.bytes)) {
        case Read::kAbsent: break;
        case Read::kFailed: return unknown();
        case Read::kBytes: found.exists = true;
    }
    return found;
}

std::vector<RelativeExclude> read_relative_excludes(const std::vector<std::string>& git_dirs, const std::string& cwd) {
    std::vector<RelativeExclude> found;
    for (const std::string& git_dir : git_dirs) found.push_back(read_relative_exclude(git_dir, cwd));
    return found;
}

}  // namespace curserve
