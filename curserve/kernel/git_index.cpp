// git_index.cpp: see git_index.h. Format: git's Documentation/gitformat-index.txt, versions 2, 3 and 4.
//
// An entry is proof when git looked at these very bytes: all of the file's stat is what git wrote down, and that happened
// more than a clock tick after the file's last change (kTickNs; git's own rule against racy entries, made stricter).
// Conversions (line ends, filters, encodings, idents) would make the object differ from the file: with configuration
// that may cause them nothing is used, and folders under such attributes are left out by the walk (loader.cpp). The
// store compares sizes besides, and every conversion of line ends or idents changes the size.
#include "git_index.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace curserve {
namespace {

constexpr int64_t kTickNs = 20 * 1000 * 1000;
constexpr size_t kStatBytes = 40;
constexpr size_t kLargestIndex = size_t{1} << 30;

uint32_t big32(const char* p) {
    const auto* b = reinterpret_cast<const unsigned char*>(p);
    return (uint32_t{b[0]} << 24) | (uint32_t{b[1]} << 16) | (uint32_t{b[2]} << 8) | b[3];
}

uint32_t big16(const char* p) {
    const auto* b = reinterpret_cast<const unsigned char*>(p);
    return (uint32_t{b[0]} << 8) | b[1];
}

// False where it is not there; *text is empty then. A file that is there but unreadable gives one that is refused.
bool slurp(int dir_fd, const std::string& path, std::string* text, struct stat* st) {
    std::vector<uint8_t> bytes;
    text->clear();
    const int error = read_file(dir_fd, path.c_str(), true, &bytes, st);
    if (error == ENOENT || error == ENOTDIR) return false;
    if (error != 0) {
        *text = "[include]";
        return true;
    }
    text->assign(bytes.begin(), bytes.end());
    return true;
}

// Lower case, for words that git takes in any case.
std::string folded(std::string text) {
    for (char& c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

// Whether a configuration may make git convert, or say so in a file we would not see.
bool config_converts(const std::string& path) {
    std::string text;
    struct stat st;
    if (!slurp(AT_FDCWD, path, &text, &st)) return false;
    text = folded(std::move(text));
    for (const char* word : {"autocrlf", "safecrlf", "eol", "attributesfile", "include", "roundtripencoding"}) {
        if (text.find(word) != std::string::npos) return true;
    }
    return false;
}

bool attributes_convert(std::string_view text) {
    // Any of the words anywhere, in comments too: a folder too many is read, which is always right. "crlf" is the old
    // name of text; macros ([attr]) can only be made of these words, or of "binary", which turns conversion off.
    for (const char* word : {"text", "eol", "crlf", "filter", "ident", "encoding"}) {
        if (text.find(word) != std::string_view::npos) return true;
    }
    return false;
}

bool file_converts(const std::string& path) { return converts(AT_FDCWD, path.c_str()); }

std::string first_line(const std::string& path) {
    std::string text;
    struct stat st;
    if (!slurp(AT_FDCWD, path, &text, &st)) return std::string();
    return text.substr(0, text.find_first_of("\r\n"));
}

std::string joined(const std::string& dir, const std::string& path) {
    return !path.empty() && path[0] == '/' ? path : dir + "/" + path;
}

}  // namespace

bool converts(int dir_fd, const char* name) {
    std::string text;
    struct stat st;
    std::vector<uint8_t> bytes;
    const int error = read_file(dir_fd, name, true, &bytes, &st);
    if (error == ENOENT || error == ENOTDIR) return false;
    if (error != 0) return true;
    return attributes_convert(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

bool GitIndex::load(const std::string& root) {
    entries_.clear();
    paths_.clear();
    std::string git = root + "/.git";
    struct stat st;
    if (::lstat(git.c_str(), &st) != 0) return false;
    if (S_ISREG(st.st_mode)) {  // a worktree or submodule
        const std::string line = first_line(git);
        if (line.compare(0, 8, "gitdir: ") != 0) return false;
        git = joined(root, line.substr(8));
    } else if (!S_ISDIR(st.st_mode)) {
        return false;
    }
    const std::string pointer = first_line(git + "/commondir");
    const std::string common = pointer.empty() ? git : joined(git, pointer);
    std::string config;
    if (!slurp(AT_FDCWD, common + "/config", &config, &st)) return false;
    for (const std::string& path : {common + "/config", git + "/config.worktree", std::string("/etc/gitconfig")}) {
        if (config_converts(path)) return false;
    }
    const char* home = std::getenv("HOME");
    const char* xdg = std::getenv("XDG_CONFIG_HOME");
    std::string user = xdg != nullptr && xdg[0] != '\0' ? std::string(xdg) : std::string();
    if (user.empty() && home != nullptr) user = std::string(home) + "/.config";
    if (home != nullptr && config_converts(std::string(home) + "/.gitconfig")) return false;
    if (!user.empty() && (config_converts(user + "/git/config") || file_converts(user + "/git/attributes"))) return false;
    if (file_converts(common + "/info/attributes") || file_converts("/etc/gitattributes")) return false;
    const size_t id_bytes = folded(config).find("sha256") != std::string::npos ? 32 : 20;

    std::vector<uint8_t> bytes;
    if (::stat((git + "/index").c_str(), &st) != 0 || static_cast<uint64_t>(st.st_size) > kLargestIndex) return false;
    if (read_file(AT_FDCWD, (git + "/index").c_str(), true, &bytes, &st) != 0 || st.st_uid != ::geteuid()) return false;
    written_ns_ = static_cast<int64_t>(st.st_mtim.tv_sec) * 1000000000 + st.st_mtim.tv_nsec;
    return parse(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), id_bytes);
}

bool GitIndex::parse(std::string_view bytes, size_t id_bytes) {
    entries_.clear();
    paths_.clear();
    id_bytes_ = static_cast<uint8_t>(id_bytes);
    reader_ = ::geteuid();
    const auto refuse = [&] {
        entries_.clear();
        return false;
    };
    if ((id_bytes != 20 && id_bytes != 32) || bytes.size() < 12 + id_bytes || bytes.size() > kLargestIndex) return false;
    if (bytes.substr(0, 4) != "DIRC") return false;
    const uint32_t version = big32(bytes.data() + 4), count = big32(bytes.data() + 8);
    if (version < 2 || version > 4) return false;
    const size_t stop = bytes.size() - id_bytes;  // the checksum, which newer gits may leave empty
    size_t at = 12;
    if (count > (stop - at) / (kStatBytes + id_bytes + 2)) return false;
    entries_.reserve(count);
    paths_.reserve(stop - at - count * (kStatBytes + id_bytes + 2));  // of version 4, whose names are shorter here, less
    std::string name;
    for (uint32_t i = 0; i < count; ++i) {
        const size_t begin = at;
        if (stop - at < kStatBytes + id_bytes + 2) return refuse();
        const char* p = bytes.data() + at;
        Entry entry;
        entry.ctime_s = big32(p);
        entry.ctime_ns = big32(p + 4);
        entry.mtime_s = big32(p + 8);
        entry.mtime_ns = big32(p + 12);
        entry.dev = big32(p + 16);
        entry.ino = big32(p + 20);
        entry.mode = big32(p + 24);
        entry.uid = big32(p + 28);
        entry.gid = big32(p + 32);
        entry.size = big32(p + 36);
        std::memset(entry.id, 0, sizeof entry.id);
        std::memcpy(entry.id, p + kStatBytes, id_bytes);
        const uint32_t flags = big16(p + kStatBytes + id_bytes);
        at += kStatBytes + id_bytes + 2;
        uint32_t more = 0;
        if ((flags & 0x4000u) != 0) {
            if (version < 3 || stop - at < 2) return refuse();
            more = big16(bytes.data() + at);
            at += 2;
        }
        if (version == 4) {  // so many bytes less of the last name, then what follows
            size_t cut = 0;
            for (unsigned n = 0;; ++n) {
                if (at >= stop || n > 4) return refuse();
                const auto byte = static_cast<unsigned char>(bytes[at++]);
                cut = (cut << 7) | (byte & 0x7fu);
                if ((byte & 0x80u) == 0) break;
                ++cut;
            }
            if (cut > name.size()) return refuse();
            name.resize(name.size() - cut);
        } else {
            name.clear();
        }
        const size_t end = bytes.substr(0, stop).find('\0', at);
        if (end == std::string_view::npos) return refuse();
        if (name.size() + (end - at) > 65536) return refuse();
        name.append(bytes, at, end - at);
        at = end + 1;
        if (version != 4) {
            at = begin + ((at - begin + 7) & ~size_t{7});  // names end on a multiple of eight, with one NUL at least
            if (at > stop) return refuse();
        }
        // assume-valid, stages of a conflict; skip-worktree, intent-to-add; symlinks, submodules, sparse folders
        if ((flags & 0xb000u) != 0 || (more & 0x6000u) != 0 || (entry.mode & 0170000u) != 0100000u) continue;
        if (paths_.size() + name.size() > 0xffffffffu) return refuse();
        entry.path_start = static_cast<uint32_t>(paths_.size());
        entry.path_size = static_cast<uint32_t>(name.size());
        paths_ += name;
        entries_.push_back(entry);
    }
    while (stop - at >= 8) {  // extensions
        const std::string_view kind = bytes.substr(at, 4);
        const size_t size = big32(bytes.data() + at + 4);
        at += 8;
        if (size > stop - at) return refuse();
        if (kind == "link") return refuse();  // a split index: half of the entries are elsewhere
        at += size;
    }
    if (at != stop) return refuse();
    const auto before = [this](const Entry& a, const Entry& b) { return path(a) < path(b); };
    if (!std::is_sorted(entries_.begin(), entries_.end(), before)) std::sort(entries_.begin(), entries_.end(), before);
    return true;
}

GitIndex::Range GitIndex::below(Range among, std::string_view folder) const {
    if (folder.empty()) return among;
    // Names that go on with a byte below the slash come before the folder's files, all others behind them.
    const auto first = entries_.begin() + among.from, last = entries_.begin() + among.to;
    const auto under = [&](const Entry& e) {  // <0: before all that is below the folder; 0: below it; >0: behind
        const std::string_view own = path(e);
        const int order = own.compare(0, folder.size(), folder);
        if (order != 0) return order;
        return own.size() == folder.size() ? -1 : static_cast<unsigned char>(own[folder.size()]) - '/';
    };
    const auto from = std::partition_point(first, last, [&](const Entry& e) { return under(e) < 0; });
    const auto to = std::partition_point(from, last, [&](const Entry& e) { return under(e) == 0; });
    return {static_cast<uint32_t>(from - entries_.begin()), static_cast<uint32_t>(to - entries_.begin())};
}

const GitIndex::Entry* GitIndex::find(Range among, std::string_view wanted) const {
    const auto last = entries_.begin() + among.to;
    const auto found = std::lower_bound(entries_.begin() + among.from, last, wanted,
                                        [this](const Entry& e, std::string_view p) { return path(e) < p; });
    if (found == last || path(*found) != wanted) return nullptr;
    if (found + 1 != last && path(found[1]) == wanted) return nullptr;  // two opinions
    return &*found;
}

ObjectId GitIndex::id(const Entry& entry) const {
    ObjectId id;
    id.size = id_bytes_;
    std::memcpy(id.bytes, entry.id, id_bytes_);
    return id;
}

bool GitIndex::proves(const Entry& e, const struct stat& st) const {
    const auto cut = [](auto value) { return static_cast<uint32_t>(value); };  // git keeps 32 bits of each
    if (!S_ISREG(st.st_mode) || e.ctime_s != cut(st.st_ctim.tv_sec) || e.ctime_ns != cut(st.st_ctim.tv_nsec) ||
        e.mtime_s != cut(st.st_mtim.tv_sec) || e.mtime_ns != cut(st.st_mtim.tv_nsec) || e.dev != cut(st.st_dev) ||
        e.ino != cut(st.st_ino) || e.uid != cut(st.st_uid) || e.gid != cut(st.st_gid) ||
        static_cast<uint64_t>(st.st_size) != e.size || ((e.mode ^ st.st_mode) & S_IXUSR) != 0) {
        return false;
    }
    const int64_t changed_ns = std::max(static_cast<int64_t>(st.st_mtim.tv_sec) * 1000000000 + st.st_mtim.tv_nsec,
                                        static_cast<int64_t>(st.st_ctim.tv_sec) * 1000000000 + st.st_ctim.tv_nsec);
    if (changed_ns + kTickNs > written_ns_) return false;
    // Whoever may not read the file learns nothing of it here either.
    return st.st_uid == reader_ && (st.st_mode & S_IRUSR) != 0;
}

}  // namespace curserve
