// vectorscan_bench.cpp: MB/s of Vectorscan as a finder of lines, to be held against our own engines on the same tree.
//
// Usage: vectorscan_bench FILE-OF-NAMES PATTERN... (names end with NUL: rg --files --null). Reads all files without a NUL
// byte, then scans each pattern over all of them on one thread, in block mode, twice; the better time counts. A pattern
// that begins with (?i) ignores case. One line per pattern: what compiling cost, MB/s, lines with a match.
// Not part of the build: see "Decisions" in ARCHITECTURE.md for what it said.
// Build: g++ -std=c++17 -O2 bench/kernel/vectorscan_bench.cpp -lhs   (Debian: libvectorscan-dev)
#include <hs/hs.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begun) { return std::chrono::duration<double>(Clock::now() - begun).count(); }

// The lines of one text in which a match ended so far. Matches come in the order of their ends.
struct Lines {
    const std::string& text;
    size_t count = 0;
    size_t counted_to = 0;  // no line that ends before this is counted again
    bool any = false;
};

int on_match(unsigned, unsigned long long, unsigned long long to, unsigned, void* context) {
    Lines& lines = *static_cast<Lines*>(context);
    if (lines.any && to <= lines.counted_to) return 0;
    const size_t end = lines.text.find('\n', static_cast<size_t>(to));
    lines.counted_to = end == std::string::npos ? lines.text.size() : end;
    lines.any = true;
    ++lines.count;
    return 0;
}

std::vector<std::string> texts(const char* names) {
    std::vector<std::string> found;
    std::ifstream list(names);
    for (std::string name; std::getline(list, name, '\0');) {
        std::ifstream file(name, std::ios::binary);
        std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        if (file && text.find('\0') == std::string::npos) found.push_back(std::move(text));
    }
    return found;
}

void measure(const char* pattern, const std::vector<std::string>& files, double total_mb) {
    const bool fold = std::strncmp(pattern, "(?i)", 4) == 0;
    const unsigned flags = HS_FLAG_MULTILINE | HS_FLAG_ALLOWEMPTY | (fold ? HS_FLAG_CASELESS : 0u);
    hs_database_t* database = nullptr;
    hs_compile_error_t* error = nullptr;
    const Clock::time_point compiling = Clock::now();
    if (hs_compile(pattern + (fold ? 4 : 0), flags, HS_MODE_BLOCK, nullptr, &database, &error) != HS_SUCCESS) {
        std::printf("%-40s %s\n", pattern, error->message);
        hs_free_compile_error(error);
        return;
    }
    const double compile_ms = seconds_since(compiling) * 1e3;
    hs_scratch_t* scratch = nullptr;
    if (hs_alloc_scratch(database, &scratch) != HS_SUCCESS) return;
    size_t count = 0;
    double best_s = 1e9;
    for (int turn = 0; turn < 2; ++turn) {
        count = 0;
        const Clock::time_point begun = Clock::now();
        for (const std::string& text : files) {
            Lines lines{text};
            hs_scan(database, text.data(), static_cast<unsigned>(text.size()), 0, scratch, on_match, &lines);
            count += lines.count;
        }
        best_s = std::min(best_s, seconds_since(begun));
    }
    std::printf("%-40s compiled in %5.1f ms %8.0f MB/s %9zu lines\n", pattern, compile_ms, total_mb / best_s, count);
    hs_free_scratch(scratch);
    hs_free_database(database);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: vectorscan_bench FILE-OF-NAMES PATTERN...\n");
        return 2;
    }
    const std::vector<std::string> files = texts(argv[1]);
    double total_mb = 0;
    for (const std::string& text : files) total_mb += static_cast<double>(text.size()) / 1e6;
    std::printf("%zu files, %.0f MB\n", files.size(), total_mb);
    for (int i = 2; i < argc; ++i) measure(argv[i], files, total_mb);
    return 0;
}
