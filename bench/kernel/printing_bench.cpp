// printing_bench.cpp: what one thread needs for the lines of a search, found and printed, over the files of a folder.
//
// Usage: printing_bench FOLDER [MIB [REPEAT [WORD]]]. One line per question: lines printed, ms (least of REPEAT), ns per
// line, a hash of the bytes, so that two builds can be compared. Every file goes through search_content, as in a search
// without the index; the output is copied once and dropped, where a search would send it.
// Build: g++ -std=c++17 -O3 -Icurserve/kernel bench/kernel/printing_bench.cpp curserve/kernel/{searcher,matcher,
//        class_finder,line_pass,dfa,vm,pace,literal,re2_engine,printer,json,summary,decode,content,room,mapped_file}.cpp
//        -lre2 -lpthread
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "content.h"
#include "matcher.h"
#include "searcher.h"

using namespace curserve;

namespace {

struct Dropped : Output {
    std::vector<char> buffer;
    uint64_t size = 0, lines = 0, hash = 0;
    bool judged = false;  // costs more than the search
    bool append(const void* data, size_t count) override {
        const auto* from = static_cast<const char*>(data);
        buffer.insert(buffer.end(), from, from + count);
        if (buffer.size() >= 128u << 10) drop();
        size += count;
        return true;
    }
    void drop() {
        if (judged) {
            for (const char c : buffer) {
                hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
                lines += c == '\n';
            }
        }
        buffer.clear();
    }
    uint64_t written() const override { return size; }
};

Inst inst(Op op, uint8_t lo, uint8_t hi, uint32_t x, uint32_t y) {
    return {static_cast<uint8_t>(op), lo, hi, 0, x, y};
}

MatcherSpec literal(const std::string& word) {
    MatcherSpec spec;
    spec.program = {inst(Op::kSave, 0, 0, 1, 0)};
    for (const char c : word) {
        const uint32_t next = static_cast<uint32_t>(spec.program.size()) + 1;
        spec.program.push_back(inst(Op::kByte, static_cast<uint8_t>(c), static_cast<uint8_t>(c), next, 0));
    }
    const uint32_t last = static_cast<uint32_t>(spec.program.size());
    spec.program.push_back(inst(Op::kSave, 0, 0, last + 1, 1));
    spec.program.push_back(inst(Op::kMatch, 0, 0, 0, 0));
    spec.literals = {word};
    return spec;
}

// ^[\t\v\f\r ]*$
MatcherSpec blank() {
    MatcherSpec spec;
    spec.program = {inst(Op::kSave, 0, 0, 1, 0),
                    inst(Op::kLook, static_cast<uint8_t>(Look::kStartLF), 0, 2, 0),
                    inst(Op::kSplit, 0, 0, 3, 9),
                    inst(Op::kSplit, 0, 0, 4, 6),
                    inst(Op::kByte, ' ', ' ', 5, 0),
                    inst(Op::kJump, 0, 0, 2, 0),
                    inst(Op::kSplit, 0, 0, 7, 8),
                    inst(Op::kByte, '\t', '\t', 5, 0),
                    inst(Op::kByte, '\v', '\r', 5, 0),
                    inst(Op::kLook, static_cast<uint8_t>(Look::kEndLF), 0, 10, 0),
                    inst(Op::kSave, 0, 0, 11, 1),
                    inst(Op::kMatch, 0, 0, 0, 0)};
    return spec;
}

struct File {
    ContentRef content;
    std::string path;
};

std::vector<File> files_of(const char* folder, size_t limit_bytes) {
    namespace fs = std::filesystem;
    std::vector<std::string> paths;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && !entry.is_symlink()) paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    static Store store;
    std::vector<File> files;
    size_t bytes = 0;
    for (const std::string& path : paths) {
        std::ifstream in(path, std::ios::binary);
        std::vector<uint8_t> raw{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
        bytes += raw.size();
        if (bytes > limit_bytes) break;
        files.push_back({store.put(std::move(raw)), path});
    }
    return files;
}

SearchSpec plain() {
    SearchSpec spec{};
    spec.with_filename = spec.line_number = spec.has_context_separator = 1;
    spec.context_separator = "--";
    spec.context_separator_size = 2;
    spec.field_match_separator = ":";
    spec.field_match_separator_size = 1;
    spec.field_context_separator = "-";
    spec.field_context_separator_size = 1;
    return spec;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    const size_t mib = argc > 2 ? static_cast<size_t>(std::atoi(argv[2])) : 100;
    const int repeat = argc > 3 ? std::atoi(argv[3]) : 5;
    const std::vector<File> files = files_of(argv[1], mib << 20);
    const auto ask = [&](const char* name, const MatcherSpec& asked, SearchSpec spec) {
        const auto matcher = Matcher::compile(asked);
        Scratch scratch;
        double least_ms = 0;
        Dropped judged;
        judged.judged = true;
        for (int round = -1; round < repeat; ++round) {
            Dropped dropped;
            Output& out = round < 0 ? judged : dropped;
            const auto begun = std::chrono::steady_clock::now();
            for (const File& file : files)
                search_content(spec, *matcher, *file.content, file.path, false, scratch, out);
            const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun;
            const double ms = took.count();
            if (round == 0 || (round > 0 && ms < least_ms)) least_ms = ms;
        }
        judged.drop();
        std::printf("%-12s %9llu lines  %8.2f ms  %6.1f ns/line  %016llx\n", name,
                    static_cast<unsigned long long>(judged.lines), least_ms,
                    least_ms * 1e6 / static_cast<double>(std::max<uint64_t>(judged.lines, 1)),
                    static_cast<unsigned long long>(judged.hash));
    };
    size_t bytes = 0;
    for (const File& file : files) bytes += file.content->data.size();
    std::printf("%zu files, %zu bytes\n", files.size(), bytes);
    if (argc > 4) {
        ask(argv[4], literal(argv[4]), plain());
        return 0;
    }
    for (const char* word : {"return", "static", "if (", "the", "e", "pinctrl_dev", "zqxabsent"})
        ask(word, literal(word), plain());
    ask("^\\s*$", blank(), plain());
    SearchSpec counted = plain();
    counted.mode = CS_MODE_COUNT;
    ask("-c return", literal("return"), counted);
    SearchSpec first = plain();
    first.has_max_count = 1;
    first.max_count = 3;
    ask("-m3 return", literal("return"), first);
    SearchSpec near = plain();
    near.before_context = near.after_context = 1;
    ask("-C1 return", literal("return"), near);
    return 0;
}
