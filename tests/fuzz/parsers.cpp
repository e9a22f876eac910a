// parsers.cpp: random bytes for what reads bytes of others: request frames, ignore files, globs, git's index.
//
// In: a seed and a number of rounds. Out: exit 0, or what the sanitizers say. A mutation of sound input finds more than
// noise, so every input begins with one. Checks nothing but that they come back: what they answer is other tests' matter.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "git_index.h"
#include "glob.h"
#include "ignore.h"
#include "peer.h"
#include "wire.h"

namespace {

using namespace curserve;

class Source {
  public:
    explicit Source(uint32_t seed) : random_(seed) {}
    size_t below(size_t n) { return random_() % n; }
    std::string mutated(std::string text) {
        static const char kOdd[] = "*?[]{}!/\\\n\r ,-#a.\xff\xc3";
        for (size_t k = below(6); k > 0; --k) {
            const size_t at = below(text.size() + 1);
            switch (below(4)) {
                case 0: text.insert(at, 1, kOdd[below(sizeof kOdd)]); break;
                case 1: if (at < text.size()) text[at] = static_cast<char>(below(256)); break;
                case 2: text.erase(at, below(4)); break;
                default: text.insert(at, text.substr(below(text.size() + 1), below(12)));
            }
        }
        return text;
    }

  private:
    std::mt19937 random_;
};

std::string sound_request() {
    cs_wire_request head{};
    head.argc = 2;
    head.envc = 1;
    const char strings[] = "/home/me\0-n\0word\0HOME=/home/me";
    head.strings_size = sizeof strings;
    std::string text(reinterpret_cast<const char*>(&head), sizeof head);
    return text.append(strings, sizeof strings);
}

void frame(Source& source) {
    const std::string text = source.mutated(sound_request());
    std::vector<uint8_t> exact(text.begin(), text.end());  // of its very size, so that reading on is seen
    exact.shrink_to_fit();
    (void)request_is_sound(exact.data(), exact.size());
}

void ignore_file(Source& source) {
    static const char* const kFiles[] = {"*.c\nbuild/\n!a\n", "/sub/**/x\n\\#y \n[a-c]*\n", "{a,b{c,d}}\n**/q/**\n", "\xef\xbb\xbfz\n"};
    const RulesRef rules = IgnoreRules::parse(source.mutated(kFiles[source.below(4)]), source.below(2) != 0, nullptr);
    const std::string path = source.mutated("a/b.c/build/x");
    (void)rules->matched(subject_of(path), source.below(2) != 0);
    (void)rules->folded()->matched(subject_of(path), false);
}

void glob(Source& source) {
    static const char* const kGlobs[] = {"**/*.{py,c}", "[!a-z]?\\*", "a/**/b/*c*d", "{,a,{b,c}*}x"};
    std::vector<Glob> globs;
    std::string error;
    const Glob::Options options{source.below(2) != 0, source.below(2) != 0};
    if (!Glob::parse(source.mutated(kGlobs[source.below(4)]), options, &globs, &error)) return;
    const std::string path = source.mutated("a/x/y/b/zcxd.py");
    for (const Glob& one : globs) (void)one.matches(subject_of(path));
}

void put32(std::string* to, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) to->push_back(static_cast<char>(value >> shift));
}

// Two entries and an extension, of the version asked for.
std::string sound_index(uint32_t version) {
    std::string index = "DIRC", last;
    put32(&index, version);
    put32(&index, 2);
    for (const std::string name : {"dir/a.c", "dir/bc.c"}) {
        const size_t begin = index.size();
        for (int field = 0; field < 10; ++field) put32(&index, field == 6 ? 0100644u : 7u);
        index.append(20, 'i');
        const bool extended = version > 2 && name.size() == 8;
        index.push_back(static_cast<char>(extended ? 0x40 : 0));
        index.push_back(static_cast<char>(name.size()));
        if (extended) index.append(2, '\0');
        if (version == 4) {
            index.push_back(static_cast<char>(last.empty() ? 0 : 3));
            index += last.empty() ? name : name.substr(last.size() - 3);
            index.push_back('\0');
        } else {
            index += name;
            do index.push_back('\0');
            while ((index.size() - begin) % 8 != 0);
        }
        last = name;
    }
    index += "TREE";
    put32(&index, 4);
    index += "abcd";
    return index.append(20, 's');
}

void git_index(Source& source) {
    GitIndex index;
    const std::string sound = sound_index(2 + static_cast<uint32_t>(source.below(3)));
    if (!index.parse(sound, 20) || index.size() != 2) std::abort();
    const std::string text = source.mutated(sound);
    std::vector<char> exact(text.begin(), text.end());
    exact.shrink_to_fit();
    (void)index.parse(std::string_view(exact.data(), exact.size()), source.below(4) == 0 ? 32 : 20);
    struct stat st{};
    (void)index.proven("dir/a.c", st);
}

}  // namespace

int main(int argc, char** argv) {
    Source source(argc > 1 ? static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10)) : 1u);
    const long rounds = argc > 2 ? std::strtol(argv[2], nullptr, 10) : 100000;
    for (long round = 0; round < rounds; ++round) {
        frame(source);
        ignore_file(source);
        glob(source);
        git_index(source);
    }
    std::printf("%ld rounds\n", rounds);
    return 0;
}
