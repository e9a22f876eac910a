// content.cpp: the store of file texts, and the reading of files.
//
// A shard per low bits of the hash, each a multimap hash -> (Content, weak). Contents die with their last View: the
// deleter takes them out of their shard by address. The hash is keyed, by a key of the process's own or one that lies in
// the archive, so nobody can prepare collisions; a hit compares bytes all the same.
#include "content.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <random>
#include <unordered_map>

#include "decode.h"
#include "mapped_file.h"

namespace curserve {
namespace {

constexpr size_t kShards = 64;
constexpr size_t kFirstRead = 256 * 1024;  // bytes of the first read(2): nearly every source file fits

bool all_ascii(const uint8_t* p, size_t size) {
    uint64_t seen = 0;
    size_t at = 0;
    while (at + 4096 <= size) {  // a block at a time: vectorised inside, left early outside
        for (size_t i = 0; i < 4096; i += 8) seen |= hash_word(p + at + i);
        if ((seen & 0x8080808080808080ull) != 0) return false;
        at += 4096;
    }
    for (; at + 8 <= size; at += 8) seen |= hash_word(p + at);
    for (; at < size; at++) seen |= p[at];
    return (seen & 0x8080808080808080ull) == 0;
}

enum class Mark : uint8_t { kNone, kUtf8, kUtf16Little, kUtf16Big };

Mark byte_order_mark(const uint8_t* p, size_t size) {
    if (size >= 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf) return Mark::kUtf8;
    if (size >= 2 && p[0] == 0xff && p[1] == 0xfe) return Mark::kUtf16Little;
    if (size >= 2 && p[0] == 0xfe && p[1] == 0xff) return Mark::kUtf16Big;
    return Mark::kNone;
}

bool same(const Content& a, const Content& b) {
    return a.data.size() == b.data.size() && a.file_size_bytes == b.file_size_bytes && a.coding == b.coding &&
           a.whole == b.whole &&
           (a.data.empty() || std::memcmp(a.data.data(), b.data.data(), a.data.size()) == 0);
}

Hash128 hash_of(const Content& content, const HashKey& key) {
    const uint64_t seed =
        content.file_size_bytes * 8 + static_cast<uint64_t>(content.coding) * 2 + (content.whole ? 1 : 0);
    return hash_bytes(content.data.data(), content.data.size(), seed, key);
}

struct SpreadId {
    size_t operator()(const ObjectId& id) const { return static_cast<size_t>(hash_word(id.bytes)); }
};

}  // namespace

bool ObjectId::operator==(const ObjectId& other) const {
    return size == other.size && std::memcmp(bytes, other.bytes, kMost) == 0;
}

struct Store::State {
    struct Entry {
        const Content* content;
        std::weak_ptr<const Content> ref;
    };
    struct Shard {
        std::mutex mutex;
        std::unordered_multimap<uint64_t, Entry> entries;  // under the mutex
    };
    std::array<Shard, kShards> shards;
    std::atomic<uint64_t> bytes{0}, contents{0};
    HashKey key{};                  // fixed before the first content comes
    std::shared_mutex objects_mutex;       // taken alone
    std::unordered_map<ObjectId, std::weak_ptr<const Content>, SpreadId> objects;  // under it

    void forget(const Content* content) {
        Shard& shard = shards[content->hash.high % kShards];
        {
            std::lock_guard<std::mutex> lock(shard.mutex);
            const auto range = shard.entries.equal_range(content->hash.low);
            for (auto it = range.first; it != range.second; ++it) {
                if (it->second.content == content) {
                    shard.entries.erase(it);
                    break;
                }
            }
        }
        {
            std::lock_guard<std::shared_mutex> lock(objects_mutex);
            if (content->object) {
                const auto it = objects.find(content->object);
                // Another content may have taken the id over meanwhile.
                if (it != objects.end() && it->second.expired()) objects.erase(it);
            }
        }
        bytes.fetch_sub(content->data.size(), std::memory_order_relaxed);
        contents.fetch_sub(1, std::memory_order_relaxed);
        if (content->data.file() != nullptr) content->data.file()->release(content->data.data(), content->data.size());
        delete content;
    }
};

Store::Store() : state_(std::make_shared<State>()) {
    std::random_device device;
    for (uint64_t& k : state_->key) k = (static_cast<uint64_t>(device()) << 32) | device() | 1;
}

Store::~Store() = default;

const HashKey& Store::key() const { return state_->key; }
void Store::set_key(const HashKey& key) {
    if (contents() == 0) state_->key = key;
}

uint64_t Store::bytes() const { return state_->bytes.load(std::memory_order_relaxed); }
uint64_t Store::contents() const { return state_->contents.load(std::memory_order_relaxed); }

void Store::learn(const ObjectId& id, const ContentRef& content) {
    if (!id || content == nullptr) return;
    std::lock_guard<std::shared_mutex> lock(state_->objects_mutex);
    if (content->object) return;  // one id each: the first
    std::weak_ptr<const Content>& held = state_->objects[id];
    if (!held.expired()) return;
    held = content;
    content->object = id;
}

ObjectId Store::object_of(const Content& content) const {
    std::lock_guard<std::shared_mutex> lock(state_->objects_mutex);
    return content.object;
}

ContentRef Store::known(const ObjectId& id, uint64_t file_size_bytes) const {
    if (!id) return nullptr;
    ContentRef content;
    {
        std::shared_lock<std::shared_mutex> lock(state_->objects_mutex);
        const auto it = state_->objects.find(id);
        if (it != state_->objects.end()) content = it->second.lock();
    }
    // Another size: git converted one of the two files.
    return content == nullptr || content->file_size_bytes != file_size_bytes ? nullptr : content;
}

ContentRef Store::put(std::vector<uint8_t> raw, bool keep_whole, uint64_t file_size_bytes) {
    auto fresh = std::make_unique<Content>();
    const bool beginning = file_size_bytes != kAsRaw;
    fresh->file_size_bytes = beginning ? file_size_bytes : raw.size();
    fresh->whole = !beginning;
    const Mark mark = byte_order_mark(raw.data(), raw.size());
    std::vector<uint8_t> data;
    const bool utf16 = mark == Mark::kUtf16Little || mark == Mark::kUtf16Big;
    if (utf16 && !keep_whole) {
        fresh->coding = Coding::kUtf16;
        data = decode_utf16_file(raw.data(), raw.size()).text;
        raw = std::vector<uint8_t>();
    } else {
        fresh->coding = utf16 ? Coding::kUtf16Raw : mark == Mark::kUtf8 ? Coding::kUtf8Bom : Coding::kRaw;
        data = std::move(raw);
    }
    if (!data.empty()) {
        const void* nul = std::memchr(data.data(), 0, data.size());
        if (nul != nullptr) fresh->first_nul = static_cast<const uint8_t*>(nul) - data.data();
    }
    if (!keep_whole && fresh->first_nul != kNoNul && data.size() > kWholeBinaryMax) {
        data.resize(static_cast<size_t>(fresh->first_nul) + 1);
        data.shrink_to_fit();
        fresh->whole = false;
    }
    fresh->ascii = all_ascii(data.data(), data.size());
    fresh->data = std::move(data);
    fresh->hash = hash_of(*fresh, state_->key);
    if (keep_whole) return ContentRef(std::move(fresh));
    return enter(std::move(fresh));
}

ContentRef Store::restore(std::unique_ptr<Content> claimed) {
    if (hash_of(*claimed, state_->key) != claimed->hash) return nullptr;
    const ObjectId id = claimed->object;
    claimed->object = ObjectId();
    ContentRef content = enter(std::move(claimed));
    learn(id, content);
    return content;
}

ContentRef Store::enter(std::unique_ptr<Content> fresh) {
    State* state = state_.get();
    State::Shard& shard = state->shards[fresh->hash.high % kShards];
    std::vector<ContentRef> looked_at;  // released after the lock: letting go of the last reference locks the shard
    std::lock_guard<std::mutex> lock(shard.mutex);
    const auto range = shard.entries.equal_range(fresh->hash.low);
    for (auto it = range.first; it != range.second; ++it) {
        ContentRef held = it->second.ref.lock();
        if (held == nullptr) continue;  // dying: its deleter waits for our lock
        if (held->hash == fresh->hash && same(*held, *fresh)) return held;
        looked_at.push_back(std::move(held));
    }
    const uint64_t low = fresh->hash.low;
    const Content* content = fresh.get();
    ContentRef ref(fresh.release(), [kept = state_](const Content* dead) { kept->forget(dead); });
    state->bytes.fetch_add(content->data.size(), std::memory_order_relaxed);
    state->contents.fetch_add(1, std::memory_order_relaxed);
    shard.entries.emplace(low, State::Entry{content, ref});
    return ref;
}

namespace {

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

  private:
    int fd_;
};

int open_to_read(int dir_fd, const char* name, bool follow) {
    // O_NONBLOCK: a FIFO that took a file's place must not hang us. It does nothing to regular files.
    const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW);
    for (;;) {
        int fd = ::openat(dir_fd, name, flags | O_NOATIME);
        if (fd < 0 && errno == EPERM) fd = ::openat(dir_fd, name, flags);  // not ours: atime will move
        if (fd >= 0 || errno != EINTR) return fd;
    }
}

int read_any(int dir_fd, const char* name, bool follow, bool cut, uint64_t max_bytes, std::vector<uint8_t>* out,
             struct stat* st, bool* beginning) {
    out->clear();
    *beginning = false;
    const Descriptor fd(open_to_read(dir_fd, name, follow));
    if (fd.get() < 0) return errno;
    static thread_local std::vector<uint8_t> first;
    if (first.empty()) first.resize(kFirstRead);
    size_t got = 0;
    bool end = false;
    // The first part goes through a buffer of the thread, so that small files (nearly all) cost one allocation of
    // exactly their size. A short read of a regular file is its end.
    while (!end && got < first.size()) {
        const ssize_t n = ::read(fd.get(), first.data() + got, first.size() - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            const int error = errno;
            if (::fstat(fd.get(), st) == 0 && !S_ISREG(st->st_mode)) return EISDIR;
            return error;
        }
        got += static_cast<size_t>(n);
        end = got < first.size();
    }
    if (end) {
        if (::fstat(fd.get(), st) != 0) return errno;
        if (!S_ISREG(st->st_mode)) return EISDIR;
        out->assign(first.data(), first.data() + got);
        return 0;
    }
    if (::fstat(fd.get(), st) != 0) return errno;
    if (!S_ISREG(st->st_mode)) return EISDIR;
    const Mark mark = byte_order_mark(first.data(), got);
    if (cut && mark != Mark::kUtf16Little && mark != Mark::kUtf16Big) {
        const void* nul = std::memchr(first.data(), 0, got);
        if (nul != nullptr) {
            const uint8_t* bytes = first.data();
            out->assign(bytes, static_cast<const uint8_t*>(nul) + 1);
            *beginning = true;
            return 0;
        }
    }
    const uint64_t size = static_cast<uint64_t>(st->st_size);
    if (size > max_bytes) return EFBIG;
    out->reserve(static_cast<size_t>(size) + 1);  // one more, so that the end is seen without growing
    out->assign(first.data(), first.data() + got);
    for (;;) {
        const size_t at = out->size();
        if (at > max_bytes) return EFBIG;
        const size_t room = out->capacity() > at ? out->capacity() - at : at;
        out->resize(at + room);
        const ssize_t n = ::read(fd.get(), out->data() + at, room);
        out->resize(at + (n > 0 ? static_cast<size_t>(n) : 0));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        if (n == 0) break;
    }
    if (::fstat(fd.get(), st) != 0) return errno;
    return 0;
}

}  // namespace

int read_file(int dir_fd, const char* name, bool follow, std::vector<uint8_t>* out, void* st_out) {
    bool beginning = false;
    return read_any(dir_fd, name, follow, false, ~uint64_t{0}, out, static_cast<struct stat*>(st_out), &beginning);
}

int read_text(int dir_fd, const char* name, uint64_t max_bytes, std::vector<uint8_t>* out, void* st_out,
              bool* beginning) {
    return read_any(dir_fd, name, false, true, max_bytes, out, static_cast<struct stat*>(st_out), beginning);
}

}  // namespace curserve
