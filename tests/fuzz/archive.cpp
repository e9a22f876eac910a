// archive.cpp: snapshots as somebody may have left them: any sections under sound hashes, or a sound file with damage.
//
// Input: what kind of file (bit 0; bit 1: contents get their true hashes), what damage (0: none) and where, then sections:
// number, two bytes of size, bytes. Sound hashes need the folder's key, which is its owner's alone: what they vouch for
// must not crash the reader all the same. An index that was taken up is not asked: its tables are believed from then on.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "bytes.h"
#include "index.h"
#include "segment_file.h"

using namespace curserve;

namespace {

constexpr char kRoot[] = "/r";
constexpr HashKey kKey{1, 2, 3, 4};

struct Folder {
    std::string path;
    int fd;
    std::string tree;
    static constexpr const char* kTexts = "texts-0000000000000001";
    Folder() {
        path = new_folder();
        fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        HOLDS(fd >= 0);
        const int key = ::openat(fd, "key", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        HOLDS(::write(key, kKey.data(), sizeof kKey) == sizeof kKey);
        ::close(key);
        const Hash128 hash = hash_bytes(kRoot, sizeof kRoot - 1, 0, kKey);
        char words[64];
        std::snprintf(words, sizeof words, "tree-%016llx%016llx", static_cast<unsigned long long>(hash.low),
                      static_cast<unsigned long long>(hash.high));
        tree = words;
    }
    ~Folder() {
        clear();
        for (const char* name : {"key", "lock"}) ::unlinkat(fd, name, 0);
        ::rmdir(path.c_str());
    }
    void clear() const {
        ::unlinkat(fd, kTexts, 0);
        ::unlinkat(fd, tree.c_str(), 0);
    }
};

const Folder& folder() {
    static const Folder made;
    return made;
}

void damage(const char* name, uint8_t kind, uint8_t where) {
    struct stat st;
    HOLDS(::fstatat(folder().fd, name, &st, 0) == 0);
    const int fd = ::openat(folder().fd, name, O_RDWR | O_CLOEXEC);
    const off_t at = st.st_size * where / 256;
    if (kind % 2 == 0) {
        HOLDS(::ftruncate(fd, at) == 0);
    } else {
        uint8_t byte = 0;
        HOLDS(::pread(fd, &byte, 1, at) == 1);
        byte ^= kind;
        HOLDS(::pwrite(fd, &byte, 1, at) == 1);
    }
    ::close(fd);
}

void walk(const SavedTree& tree) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < tree.size(); ++i) {
        bytes += tree.name(i).size();
        const SavedTree::Entry& entry = tree.at(i);
        if (entry.content != SavedTree::kNoContent) bytes += tree.hash(entry).low & 1;
    }
    HOLDS(bytes <= size_t{1} << 32);
}

// The table of contents with the hashes and facts that the texts have. Offsets: struct Kept in archive.h.
void make_true(std::vector<uint8_t>* table, const std::vector<uint8_t>& texts) {
    constexpr size_t kRecord = 88, kStart = 16, kSize = 24, kFileSize = 32, kFirstNul = 40, kCoding = 48;
    Store store;
    store.set_key(kKey);
    for (size_t at = 0; at + kRecord <= table->size(); at += kRecord) {
        uint8_t* const record = table->data() + at;
        uint64_t start, size;
        std::memcpy(&start, record + kStart, sizeof start);
        std::memcpy(&size, record + kSize, sizeof size);
        if (start > texts.size() || size > texts.size() - start) continue;
        const auto* const text = texts.data() + start;
        const ContentRef content = store.put(std::vector<uint8_t>(text, text + size));
        if (content->data.size() != size) continue;  // UTF-16: what is held is other bytes
        std::memcpy(record, &content->hash, sizeof content->hash);
        std::memcpy(record + kFileSize, &content->file_size_bytes, 8);
        std::memcpy(record + kFirstNul, &content->first_nul, 8);
        const uint8_t facts[] = {static_cast<uint8_t>(content->coding), content->ascii, content->whole, 1};
        std::memcpy(record + kCoding, facts, sizeof facts);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Bytes in(data, size);
    const uint8_t switches = in.byte(), harm = in.byte(), where = in.byte();
    const ArchiveKind kind = (switches & 1) == 0 ? ArchiveKind::kTree : ArchiveKind::kTexts;
    const std::string name = kind == ArchiveKind::kTree ? folder().tree : std::string(Folder::kTexts);
    std::vector<std::vector<uint8_t>> sections(ArchiveHead::kSections);
    while (in.left() > 0) {
        std::vector<uint8_t>& section = sections[in.byte() % sections.size()];
        const size_t wanted = in.byte();
        section = in.take(wanted | static_cast<size_t>(in.byte() << 8));
    }
    if (kind == ArchiveKind::kTexts && (switches & 2) != 0) make_true(&sections[0], sections[1]);
    std::vector<Hash128> hashes;  // of contents, should the first section be their table
    for (size_t at = 0; at + sizeof(Hash128) <= sections[0].size() && hashes.size() < 64; at += 8) {
        hashes.emplace_back();
        std::memcpy(&hashes.back(), sections[0].data() + at, sizeof(Hash128));
    }
    {
        ArchiveWriter out(folder().fd, kind, kKey);
        for (size_t i = 0; i < sections.size(); ++i)
            if (!sections[i].empty()) out.add(i, sections[i].data(), sections[i].size());
        HOLDS(out.commit(name) == 0);
    }
    if (harm != 0) damage(name.c_str(), harm, where);

    std::string why;
    const auto store = std::make_shared<Store>();
    const auto archive = Archive::open(store, folder().path, Archive::Options{1 << 30, 0}, &why);
    HOLDS(archive != nullptr);
    if (const auto tree = archive->tree(kRoot)) walk(*tree);
    std::vector<ContentRef> contents;
    for (const Hash128& hash : hashes) contents.push_back(archive->content(hash));
    GramIndex index;
    archive->restore_index(index);
    (void)archive->take_words();
    (void)archive->numbers();
    folder().clear();
    return 0;
}
