// disk.cpp: what is read from a user's files, beside their text and ignore files: git's index, its configuration, what
// `.git` and `commondir` point to, and text in other encodings; and the packed question that goes to the index.
//
// Input: a byte that says which, then the file. Git's files are laid into a folder in memory, as they are read by name.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "bytes.h"
#include "decode.h"
#include "decoded_reads.h"
#include "git_index.h"
#include "gram_query.h"
#include "relative_git.h"
#include "select.h"
#include "single_byte.h"
#include "spec.h"
#include "walk.h"

using namespace curserve;

namespace {

// A working tree with its git directory beside it, and a home folder.
struct Folder {
    std::string path;
    Folder() {
        path = new_folder();
        for (const char* below : {"/git", "/git/info", "/tree"}) HOLDS(::mkdir((path + below).c_str(), 0700) == 0);
    }
    ~Folder() {
        for (const char* file : {"/git/commondir", "/git/config", "/git/index", "/git/info/exclude", "/tree/.git", "/.gitconfig"})
            ::unlink((path + file).c_str());
        for (const char* below : {"/git/info", "/git", "/tree", ""}) ::rmdir((path + below).c_str());
    }
    void put(const char* name, const std::vector<uint8_t>& bytes) const {
        const int fd = ::open((path + name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        HOLDS(fd >= 0 && ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
        ::close(fd);
    }
    void take(const char* name) const { ::unlink((path + name).c_str()); }
};

const Folder& folder() {
    static const Folder made;
    return made;
}

void index_of(const std::vector<uint8_t>& bytes, size_t id_bytes) {
    GitIndex index;
    if (!index.parse(view(bytes), id_bytes)) HOLDS(index.size() == 0);
    struct stat st{};
    st.st_mode = S_IFREG | 0644;
    const GitIndex::Range folder = index.below(index.all(), "dir");
    if (const GitIndex::Entry* entry = index.find(folder, "dir/a.c")) (void)index.proves(*entry, st);
}

// With the folder's path for the first '@'.
std::vector<uint8_t> placed(std::vector<uint8_t> text) {
    const auto at = std::find(text.begin(), text.end(), '@');
    if (at == text.end()) return text;
    const auto after = text.erase(at);
    text.insert(after, folder().path.begin(), folder().path.end());
    return text;
}

// `.git` (a file), `commondir` and `config`, in this order, separated by NULs.
void git_files(Bytes& in) {
    folder().put("/tree/.git", placed(in.until(0)));
    folder().put("/git/commondir", placed(in.until(0)));
    folder().put("/git/config", in.take(in.left()));
    GitIndex index;
    (void)index.load(folder().path + "/tree");
    const RelativeExclude found = read_relative_exclude("../git", folder().path + "/tree");
    HOLDS(found.exists || found.bytes.empty());
    const int tree = ::open((folder().path + "/tree").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const RulesFound rules = read_rules(tree, folder().path + "/tree", true);
    HOLDS(rules.rules == nullptr || rules.rules->has_git);
    ::close(tree);
    for (const char* name : {"/tree/.git", "/git/commondir", "/git/config"}) folder().take(name);
}

void global_rules(const std::vector<uint8_t>& config) {
    folder().put("/.gitconfig", config);
    const auto rules = GlobalRules::open(folder().path, true, "", false, "", "/dev/null");
    const GlobalRules::Now now = rules->refresh();
    if (now.rules != nullptr) (void)now.rules->matched("a/b.c", false);
}

bool is_utf8(const std::vector<uint8_t>& text) { return decode_utf8(text.data(), text.size()).text == text; }

void holds(const Decoded& decoded, size_t raw_size) {
    const std::vector<uint8_t>& text = decoded.text;
    HOLDS(text.size() <= 3 * raw_size);
    HOLDS(std::is_sorted(decoded.ends.begin(), decoded.ends.end()));
    HOLDS(decoded.ends.empty() ? text.empty() : decoded.ends.back() == text.size());
    for (const size_t error : decoded.errors) HOLDS(error + 3 <= text.size());
    // A second mark at the start stays, and would be dropped by a second reading.
    if (!(text.size() >= 3 && text[0] == 0xef && text[1] == 0xbb && text[2] == 0xbf)) HOLDS(is_utf8(text));
}

// Whatever room its reads find, they give all of it, but for what may be lost where the source ends within a character.
void reads_give_all(const uint8_t* raw, size_t size, size_t first, MultiByte encoding, size_t room) {
    constexpr size_t kMostLost = 6;
    const Decoded decoded = decode_multi_byte(raw, size, first, encoding);
    holds(decoded, size);
    MultiByteReads reads(raw, size, first, encoding, decoded);
    size_t at = 0;
    for (size_t got; (got = reads.next(at, room)) != 0; at += got) {
        HOLDS(got <= room && at + got <= decoded.text.size());
        room = 1 + (room * 7 + 3) % 61;
    }
    HOLDS(at + (decoded.cut_short ? kMostLost : 0) >= decoded.text.size());
}

void decoded(Bytes& in) {
    const size_t first = 1 + in.byte() % 16;
    const uint8_t encoding = in.byte();
    const std::vector<uint8_t> raw = in.take(in.left());
    const auto* p = raw.data();
    holds(decode_utf8(p, raw.size(), first), raw.size());
    holds(decode_utf16(p, raw.size(), first, false), raw.size());
    holds(decode_utf16(p, raw.size(), first, true), raw.size());
    if (raw.size() >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
        holds(decode_utf16_file(p, raw.size()), raw.size());
    const size_t row = encoding % std::size(kSingleBytes);
    holds(decode_single_byte(p, raw.size(), first, static_cast<uint8_t>(CS_ENCODING_SINGLE_BYTE + row)), raw.size());
    constexpr uint8_t kAsian = static_cast<uint8_t>(MultiByte::kUserDefined) + 1;
    reads_give_all(p, raw.size(), first, static_cast<MultiByte>(encoding % kAsian), encoding + size_t{1});
}

void grams(const std::vector<uint8_t>& packed) {
    try {
        (void)GramQuery::unpack(view(packed)).text();
    } catch (const std::runtime_error&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Bytes in(data, size);
    switch (in.byte() % 6) {
        case 0: index_of(in.take(in.left()), 20); break;
        case 1: index_of(in.take(in.left()), 32); break;
        case 2: git_files(in); break;
        case 3: global_rules(in.take(in.left())); break;
        case 4: decoded(in); break;
        default: grams(in.take(in.left()));
    }
    return 0;
}
