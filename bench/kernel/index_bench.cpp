// index_bench.cpp: what an index of a folder's files costs and what it saves.
//
// Usage: index_bench FOLDER [BLOCK_BYTES [THREADS [WORD…]]]. Reads every regular file below FOLDER (nothing is ignored),
// builds the index and asks for each word. One line per word: time of the answer, contents and bytes left to look at.
// Build: g++ -std=c++17 -O2 -Icurserve/kernel bench/kernel/index_bench.cpp
//        curserve/kernel/{index,index_build,gram_query,content,decode,multi_byte,view,select,ignore,rule_stack,glob,
//        glob_parse,glob_set,global_rules}.cpp -lre2 -lpthread
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "index.h"

using namespace curserve;

namespace {

// Processor time of all threads: what the build costs on a busy machine, too.
double spent_ms() { return static_cast<double>(std::clock()) * 1e3 / CLOCKS_PER_SEC; }

double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

uint64_t resident_bytes() {
    FILE* file = std::fopen("/proc/self/statm", "r");
    unsigned long size = 0, resident = 0;
    if (file == nullptr || std::fscanf(file, "%lu %lu", &size, &resident) != 2) std::exit(1);
    std::fclose(file);
    return resident * 4096ul;
}

std::string packed(const std::string& word) {
    std::string out = "\x01L";
    for (int i = 0; i < 4; ++i) out += static_cast<char>(word.size() >> (8 * i) & 0xff);
    for (const char c : word) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    GramIndex::Options options;
    if (argc > 2) options.block_bytes = std::strtoull(argv[2], nullptr, 10);
    const unsigned threads = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 1;
    std::vector<std::string> words(argv + std::min(argc, 4), argv + argc);
    if (words.empty()) words = {"kmalloc_array", "return", "zqxjkvbw", "schedule_timeout_uninterruptible", "QuerySet"};

    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[1])) {
        if (entry.is_regular_file() && !entry.is_symlink()) paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    Store store;
    auto view = std::make_shared<View>();
    auto shape = std::make_shared<Shape>();
    for (const std::string& path : paths) {
        std::vector<uint8_t> bytes;
        struct stat st;
        bool beginning = false;
        if (read_text(AT_FDCWD, path.c_str(), 128u << 20, &bytes, &st, &beginning) != 0) continue;
        if (shape->parent.size() % View::kChunk == 0) view->chunks.push_back(std::make_shared<View::Chunk>());
        auto& chunk = const_cast<View::Chunk&>(*view->chunks.back());
        chunk[shape->parent.size() % View::kChunk].content =
            store.put(std::move(bytes), false, beginning ? static_cast<uint64_t>(st.st_size) : Store::kAsRaw);
        shape->parent.push_back(kNowhere);
    }
    view->shape = shape;
    const double text_mb = static_cast<double>(store.bytes()) / 1e6;
    const uint64_t before = resident_bytes();
    std::printf("%zu files, %.1f MB of text, resident %.3f of it\n", paths.size(), text_mb,
                static_cast<double>(before) / 1e6 / text_mb);

    GramIndex index(options);
    const std::atomic<bool> cancel{false};
    double begun = now_ms();
    const double spent = spent_ms();
    index.update(view, {1, 0, threads, true}, cancel);
    const double took = now_ms() - begun;
    const GramIndex::Numbers n = index.numbers();
    std::printf("blocks of %zu bytes: built in %.0f ms on %u threads, %.0f MB/s of processor time; %llu segments, index / text %.3f, "
                "resident %.3f\n",
                options.block_bytes, took, threads, text_mb / (spent_ms() - spent) * 1e3, static_cast<unsigned long long>(n.segments),
                static_cast<double>(n.index_bytes) / 1e6 / text_mb,
                static_cast<double>(resident_bytes()) / 1e6 / text_mb);
    view->locations.store(nullptr);
    begun = now_ms();
    index.candidates(*view, GramQuery::unpack(packed("xyz")), {});
    std::printf("places of %u entries: %.2f ms\n", view->shape->size(), now_ms() - begun);

    for (const std::string& word : words) {
        std::vector<double> times, scans;
        uint64_t contents = 0, bytes = 0;
        for (int repeat = 0; repeat < 15; ++repeat) {
            begun = now_ms();
            const auto found = index.candidates(*view, GramQuery::unpack(packed(word)), {});
            times.push_back(now_ms() - begun);
            begun = now_ms();
            contents = bytes = 0;
            if (found == nullptr) break;
            for (Position p = 0; p < view->shape->size(); ++p) contents += found->may_match(p);
            scans.push_back(now_ms() - begun);
            for (Position p = 0; p < view->shape->size(); ++p) {
                const uint64_t some = found->candidate_bytes(p, view->facts(p).content->data.size());
                bytes += some;
            }
        }
        if (scans.empty()) {
            std::printf("%-34s too short for the index\n", word.c_str());
            continue;
        }
        std::sort(times.begin(), times.end());
        std::sort(scans.begin(), scans.end());
        std::printf("%-34s asked %.3f ms, looked through in %.3f ms: %llu contents, %.2f MB\n", word.c_str(),
                    times[times.size() / 2], scans[scans.size() / 2], static_cast<unsigned long long>(contents),
                    static_cast<double>(bytes) / 1e6);
    }
    return 0;
}
