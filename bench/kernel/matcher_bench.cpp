// matcher_bench.cpp: MB/s of the matcher for a few kinds of question, over one file's text.
//
// Usage: matcher_bench FILE [REPEAT]. One line per question: engine, lines found, GB/s, ns per line found. Every question
// is a find_line loop over the text, as a search does it. Programs are assembled here from literals and byte classes.
// Build: g++ -std=c++17 -O2 -Icurserve/kernel bench/kernel/matcher_bench.cpp
//        curserve/kernel/{matcher,class_finder,dfa,vm,pace,line_pass,literal,re2_engine}.cpp -lre2
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "literal.h"
#include "matcher.h"

using namespace curserve;

namespace {

struct Builder {
    std::vector<Inst> code{{static_cast<uint8_t>(Op::kSave), 0, 0, 0, 1, 0}};

    uint32_t here() const { return static_cast<uint32_t>(code.size()); }
    void byte(uint8_t lo, uint8_t hi) { code.push_back({static_cast<uint8_t>(Op::kByte), lo, hi, 0, here() + 1, 0}); }
    void look(Look l) {
        code.push_back({static_cast<uint8_t>(Op::kLook), static_cast<uint8_t>(l), 0, 0, here() + 1, 0});
    }
    void literal(const std::string& s) {
        for (const char c : s) byte(static_cast<uint8_t>(c), static_cast<uint8_t>(c));
    }
    // One of several byte ranges.
    void any(const std::vector<std::pair<uint8_t, uint8_t>>& ranges) {
        std::vector<uint32_t> jumps;
        for (size_t i = 0; i < ranges.size(); ++i) {
            const bool last = i + 1 == ranges.size();
            if (!last) code.push_back({static_cast<uint8_t>(Op::kSplit), 0, 0, 0, here() + 1, here() + 3});
            byte(ranges[i].first, ranges[i].second);
            if (!last) {
                jumps.push_back(here());
                code.push_back({static_cast<uint8_t>(Op::kJump), 0, 0, 0, 0, 0});
            }
        }
        for (const uint32_t j : jumps) code[j].x = here();
    }
    void star(const std::vector<std::pair<uint8_t, uint8_t>>& ranges) {
        const uint32_t split = here();
        code.push_back({static_cast<uint8_t>(Op::kSplit), 0, 0, 0, split + 1, 0});
        any(ranges);
        code.push_back({static_cast<uint8_t>(Op::kJump), 0, 0, 0, split, 0});
        code[split].y = here();
    }
    MatcherSpec spec() {
        MatcherSpec s;
        code.push_back({static_cast<uint8_t>(Op::kSave), 0, 0, 0, here() + 1, 1});
        code.push_back({static_cast<uint8_t>(Op::kMatch), 0, 0, 0, 0, 0});
        s.program = code;
        return s;
    }
};

const std::vector<std::pair<uint8_t, uint8_t>> kWord = {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}};
const std::vector<std::pair<uint8_t, uint8_t>> kSpace = {{' ', ' '}, {'\t', '\t'}, {0x0B, '\r'}};

MatcherSpec literal(const std::vector<std::string>& lits, bool fold) {
    Builder b;
    std::vector<uint32_t> jumps;
    for (size_t i = 0; i < lits.size(); ++i) {
        uint32_t split = 0;
        if (i + 1 < lits.size()) {
            split = b.here();
            b.code.push_back({static_cast<uint8_t>(Op::kSplit), 0, 0, 0, split + 1, 0});
        }
        for (const char c : lits[i]) {
            const uint8_t u = static_cast<uint8_t>(c);
            if (fold && ((u | 0x20) >= 'a' && (u | 0x20) <= 'z')) {
                b.any({{static_cast<uint8_t>(u & 0xDF), static_cast<uint8_t>(u & 0xDF)},
                       {static_cast<uint8_t>(u | 0x20), static_cast<uint8_t>(u | 0x20)}});
            } else {
                b.byte(u, u);
            }
        }
        if (i + 1 < lits.size()) {
            jumps.push_back(b.here());
            b.code.push_back({static_cast<uint8_t>(Op::kJump), 0, 0, 0, 0, 0});
            b.code[split].y = b.here();
        }
    }
    for (const uint32_t j : jumps) b.code[j].x = b.here();
    MatcherSpec s = b.spec();
    s.literals = lits;
    s.literals_fold_ascii = fold;
    return s;
}

struct Question {
    const char* name;
    MatcherSpec spec;
    EngineChoice choice;
};

std::vector<Question> questions() {
    std::vector<Question> q;
    q.push_back({"xqzvkw_absent", literal({"xqzvkw_absent"}, false), EngineChoice::kAuto});
    q.push_back({"-i xqzvkw_absent", literal({"xqzvkw_absent"}, true), EngineChoice::kAuto});
    q.push_back({"instantiate_no", literal({"instantiate_no"}, false), EngineChoice::kAuto});
    q.push_back({"-i instantiate_no", literal({"instantiate_no"}, true), EngineChoice::kAuto});
    q.push_back({"foo_no|bar_no|quux_no|TODO_no", literal({"foo_no", "bar_no", "quux_no", "TODO_no"}, false),
                 EngineChoice::kAuto});
    q.push_back({"-i foo_no|bar_no|quux_no|TODO_no", literal({"foo_no", "bar_no", "quux_no", "TODO_no"}, true),
                 EngineChoice::kAuto});
    q.push_back({"return", literal({"return"}, false), EngineChoice::kAuto});
    q.push_back({"-i return", literal({"return"}, true), EngineChoice::kAuto});
    {
        Builder b;
        for (int i = 0; i < 12; ++i) b.byte('A', 'Z');
        MatcherSpec s = b.spec();
        s.re2_ascii = s.re2_bytes = "[A-Z]{12,}";
        q.push_back({"[A-Z]{12,}", s, EngineChoice::kAuto});
        q.push_back({"[A-Z]{12,} (re2)", s, EngineChoice::kRe2});
    }
    {
        Builder b;
        b.any(kWord);
        b.star(kWord);
        b.literal("_probe(");
        MatcherSpec s = b.spec();
        s.re2_ascii = s.re2_bytes = "\\w+_probe\\(";
        s.required = {"_probe("};
        q.push_back({"\\w+_probe\\(", s, EngineChoice::kAuto});
        q.push_back({"\\w+_probe\\( (dfa)", s, EngineChoice::kDfa});
        q.push_back({"\\w+_probe\\( (re2)", s, EngineChoice::kRe2});
    }
    {
        Builder b;
        b.look(Look::kStartLF);
        b.star(kSpace);
        b.look(Look::kEndLF);
        MatcherSpec s = b.spec();
        s.re2_ascii = s.re2_bytes = "(?m:^)[ \\t\\x0B-\\r]*(?m:$)";
        q.push_back({"^\\s*$", s, EngineChoice::kAuto});
    }
    {
        Builder b;
        b.look(Look::kWordUnicode);
        b.literal("return");
        b.look(Look::kWordUnicode);
        MatcherSpec s = b.spec();
        s.re2_ascii = "\\breturn\\b";
        s.required = {"return"};
        q.push_back({"\\breturn\\b", s, EngineChoice::kAuto});
        q.push_back({"\\breturn\\b (dfa)", s, EngineChoice::kDfa});
        q.push_back({"\\breturn\\b (re2)", s, EngineChoice::kRe2});
    }
    {
        Builder b;
        b.literal("fn");
        b.any(kSpace);
        b.star(kSpace);
        b.any(kWord);
        MatcherSpec s = b.spec();
        s.required = {"fn"};
        q.push_back({"fn\\s+\\w+", s, EngineChoice::kAuto});
    }
    return q;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    std::ifstream file(argv[1], std::ios::binary);
    const std::string held((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const int repeat = argc > 2 ? std::atoi(argv[2]) : 3;
    const uint8_t* text = reinterpret_cast<const uint8_t*>(held.data());
    const bool ascii = is_ascii(text, held.size());
    std::printf("%zu bytes, %s\n%-36s %-10s %9s %8s %9s\n", held.size(), ascii ? "ASCII" : "not ASCII", "question", "engine",
                "lines", "GB/s", "ns/line");
    for (const Question& q : questions()) {
        const auto matcher = Matcher::compile(q.spec, q.choice);
        Scratch scratch;
        double best_s = 1e9;
        size_t lines = 0;
        for (int r = 0; r < repeat; ++r) {
            const auto begin = std::chrono::steady_clock::now();
            lines = 0;
            for (size_t from = 0;;) {
                const Span line = matcher->find_line(text, held.size(), from, ascii, scratch);
                if (line.start == kNone) break;
                ++lines;
                from = line.end + 1;
            }
            best_s = std::min(best_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        }
        std::printf("%-36s %-10s %9zu %8.2f %9.1f\n", q.name, matcher->engine(), lines,
                    static_cast<double>(held.size()) / best_s * 1e-9,
                    lines == 0 ? 0.0 : best_s * 1e9 / static_cast<double>(lines));
    }
    const auto begin = std::chrono::steady_clock::now();
    const size_t newlines = count_byte(text, held.size(), '\n');
    const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%-36s %-10s %9zu %8.2f\n", "count of newlines", "", newlines, static_cast<double>(held.size()) / s * 1e-9);
    return 0;
}
