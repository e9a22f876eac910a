// index_test.cpp: indexed answers held to brute ones: random texts, random queries, small blocks.
//
// Build: g++ -std=c++17 -O2 -Icurserve/kernel tests/kernel/index_test.cpp
//        curserve/kernel/{index,index_build,gram_query,content,decode,multi_byte,room,view}.cpp -lpthread
// Usage: index_test [CASES [SEED]]. A case is one query asked of one content. Prints the number of cases, or what went
// wrong first (exit code 1). A content that is told apart wrongly is an error only where it matches; how much the index
// leaves over is counted and bounded, too: an index that never says no would pass otherwise.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "index.h"

using namespace curserve;

namespace {

std::mt19937_64 rng;

size_t below(size_t n) { return static_cast<size_t>(rng() % n); }

// ---- a query, kept in both forms

struct Query {
    char kind = '*';
    std::string literal;
    std::vector<Query> subs;
};

std::string packed_number(size_t n) {
    std::string out;
    for (int i = 0; i < 4; ++i) out += static_cast<char>(n >> (8 * i) & 0xff);
    return out;
}

std::string pack(const Query& q) {
    std::string out(1, q.kind);
    if (q.kind == 'L') out += packed_number(q.literal.size()) + q.literal;
    if (q.kind == '&' || q.kind == '|') {
        out += packed_number(q.subs.size());
        for (const Query& sub : q.subs) out += pack(sub);
    }
    return out;
}

bool holds(const Query& q, const std::string& folded) {
    switch (q.kind) {
        case '*': return true;
        case '-': return false;
        case 'L': return folded.find(q.literal) != std::string::npos;
        case '&': return std::all_of(q.subs.begin(), q.subs.end(), [&](const Query& s) { return holds(s, folded); });
        default: return std::any_of(q.subs.begin(), q.subs.end(), [&](const Query& s) { return holds(s, folded); });
    }
}

// As curserve/regex/grams.py has it.
std::string fold(const std::string& text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text.compare(i, 3, "\xe2\x84\xaa") == 0) {
            out += 'k';
            i += 2;
        } else if (text.compare(i, 2, "\xc5\xbf") == 0) {
            out += 's';
            i += 1;
        } else {
            const char c = text[i];
            out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        }
    }
    return out;
}

// ---- random things

std::string random_text(size_t size, int flavour) {
    static const char* const words[] = {"key",  "Key",    "\xe2\x84\xaa" "ey", "KEYS",   "task", "ta\xc5\xbfk", "mask", "ma\xc5\xbf\xe2\x84\xaa",
                                        "\xc5", "\xbf",   "\xe2\x84",          "\xaa",   "\n",   "\n\n",        "\r\n", " ",
                                        "foo",  "foobar", "\xc3\xa9t\xc3\xa9", "\xff\xfe", "0x1f", "a",           "b",    "_"};
    std::string out;
    while (out.size() < size) {
        if (flavour == 0) {
            out += static_cast<char>("abcK\nsS"[below(7)]);
        } else if (flavour == 1) {
            out += words[below(sizeof words / sizeof words[0])];
        } else if (flavour == 2) {
            out += static_cast<char>(below(256));
        } else {
            out += below(200) == 0 ? '\n' : static_cast<char>("abcdekss\0AB"[below(11)]);
        }
    }
    if (below(2) == 0 && !out.empty()) out.back() = '\n';
    return out;
}

Query random_literal(const std::vector<std::string>& texts) {
    Query q;
    q.kind = 'L';
    std::string source = fold(below(8) == 0 ? random_text(40, static_cast<int>(below(4))) : texts[below(texts.size())]);
    const size_t size = 1 + below(9);
    if (source.size() > size) source = source.substr(below(source.size() - size + 1), size);
    q.literal = source.substr(0, size);
    return q;
}

Query random_query(const std::vector<std::string>& texts, int depth) {
    const size_t pick = below(10);
    if (depth > 2 || pick < 5) return random_literal(texts);
    Query q;
    if (pick == 5 && below(6) == 0) q.kind = below(2) == 0 ? '*' : '-';
    if (q.kind == '-' || (q.kind == '*' && pick == 5)) return q;
    q.kind = pick < 8 ? '&' : '|';
    for (size_t n = 1 + below(4); n > 0; --n) q.subs.push_back(random_query(texts, depth + 1));
    return q;
}

ViewRef view_of(const std::vector<ContentRef>& contents) {
    auto view = std::make_shared<View>();
    auto shape = std::make_shared<Shape>();
    for (size_t i = 0; i < contents.size(); ++i) {
        if (i % View::kChunk == 0) view->chunks.push_back(std::make_shared<View::Chunk>());
        auto& chunk = const_cast<View::Chunk&>(*view->chunks.back());
        chunk[i % View::kChunk].content = contents[i];
    }
    Laid laid;
    laid.parent.assign(contents.size(), kNowhere);
    shape->take(std::move(laid), false);
    view->shape = std::move(shape);
    return view;
}

struct Counts {
    uint64_t cases = 0, matching = 0, let_through = 0, block_lines = 0;
};

[[noreturn]] void fail(const char* what, const Query& q, const std::string& text) {
    std::printf("%s\nquery: ", what);
    for (const char c : pack(q)) std::printf(c >= ' ' && c <= '~' ? "%c" : "\\x%02x", static_cast<uint8_t>(c));
    std::printf("\ntext: ");
    for (const char c : text) std::printf(c >= ' ' && c <= '~' ? "%c" : "\\x%02x", static_cast<uint8_t>(c));
    std::printf("\n");
    std::exit(1);
}

void check(const Query& q, const Candidates* found, Position p, std::string text, GramIndex::Scope scope,
           Counts* counts) {
    ++counts->cases;
    if (found == nullptr) return;
    const bool may = found->may_match(p);
    std::vector<ByteRange> ranges;
    const bool narrowed = may && found->ranges(p, &ranges);
    for (const ByteRange& r : ranges) {
        if ((r.start > 0 && text[r.start - 1] != '\n') || r.start > text.size()) fail("a range within a line", q, text);
        if (r.end < text.size() && text[r.end - 1] != '\n') fail("a range that ends within a line", q, text);
    }
    const bool plain = text.find('\0') == std::string::npos;
    if (!plain && !scope.past_nul) {
        text.resize(text.find('\0'));  // what the search looks at
    }
    const uint64_t size = found->plain_size_bytes(p);
    if (size != Candidates::kUnknown && (!plain || size != text.size())) fail("a wrong size", q, text);
    bool matches = false;
    if (scope.by_content) {
        // Where matches span lines, what is certain of a literal is its grams without '\n': a match is simulated as
        // the text that holds all literals.
        matches = holds(q, fold(text));
        if (matches && !may) fail("a content that matches was left out", q, text);
    } else {
        for (size_t at = 0; at < text.size();) {
            size_t end = text.find('\n', at);
            end = end == std::string::npos ? text.size() : end + 1;
            std::string line = text.substr(at, end - at);
            if (line.back() == '\n') line.pop_back();
            if (holds(q, fold(line))) {
                matches = true;
                if (!may) fail("a line that matches was left out", q, text);
                const bool in = !narrowed || std::any_of(ranges.begin(), ranges.end(), [&](const ByteRange& r) {
                    return r.start <= at && end <= r.end;
                });
                if (!in) fail("a line that matches is in no range", q, text);
            }
            at = end;
        }
    }
    counts->matching += matches;
    counts->let_through += may;
}

// One store, one index, some contents, many queries; contents come and go in between.
void round(Counts* counts) {
    Store store;
    GramIndex::Options options;
    const size_t sizes[] = {1, 16, 64, 300, 8192};
    options.block_bytes = sizes[below(5)];
    options.segment_bytes = below(2) == 0 ? 2000 : 1u << 20;
    options.small_bytes = below(2) == 0 ? 1500 : 100000;
    GramIndex index(options);
    const std::atomic<bool> cancel{false};
    std::vector<std::string> texts;
    std::vector<ContentRef> contents;
    const auto put = [&](std::string text) {
        ContentRef content = store.put(std::vector<uint8_t>(text.begin(), text.end()));
        const auto* data = reinterpret_cast<const char*>(content->data.data());
        texts.emplace_back(data, content->data.size());
        contents.push_back(std::move(content));
    };
    const int flavour = static_cast<int>(below(4));
    for (size_t n = 1 + below(40); n > 0; --n) put(random_text(below(8) == 0 ? below(20000) : below(600), flavour));
    ViewRef view = view_of(contents);
    index.update(view, {1, 0, static_cast<unsigned>(1 + below(2)), true}, cancel);
    for (int step = 0; step < 12; ++step) {
        for (int n = 0; n < 40; ++n) {
            const Query q = random_query(texts, 0);
            const GramIndex::Scope scope{below(3) == 0, below(3) == 0};
            const auto found = index.candidates(*view, GramQuery::unpack("\x01" + pack(q)), scope);
            for (size_t i = 0; i < texts.size(); ++i)
                check(q, found.get(), static_cast<Position>(i), texts[i], scope, counts);
        }
        // Some contents change; a View that shares chunks with the last one, or a new one.
        const size_t changes = below(4);
        auto next = std::make_shared<View>(*view);
        for (size_t n = 0; n < changes; ++n) {
            const size_t i = below(texts.size());
            put(random_text(below(600), flavour));
            texts[i] = std::move(texts.back());
            contents[i] = std::move(contents.back());
            texts.pop_back();
            contents.pop_back();
            auto chunk = std::make_shared<View::Chunk>(*next->chunks[i / View::kChunk]);
            (*chunk)[i % View::kChunk].content = contents[i];
            next->chunks[i / View::kChunk] = chunk;
        }
        view = std::move(next);
        if (below(3) == 0) {
            put(random_text(below(600), flavour));
            view = view_of(contents);
        }
        if (below(2) == 0) index.update(view, {1, below(2) * 500, 2, true}, cancel);
    }
}

// Searches while an index is built, merged and thrown away.
void at_the_same_time() {
    Store store;
    GramIndex::Options options;
    options.block_bytes = 64;
    options.segment_bytes = 20000;
    options.small_bytes = 30000;
    GramIndex index(options);
    const std::atomic<bool> cancel{false};
    std::vector<ContentRef> contents;
    for (int i = 0; i < 400; ++i) {
        const std::string text = "number " + std::to_string(i) + "\nand more\n" + random_text(200, 0);
        contents.push_back(store.put(std::vector<uint8_t>(text.begin(), text.end())));
    }
    const ViewRef view = view_of(contents);
    std::atomic<bool> done{false};
    std::thread reader([&] {
        for (int i = 0; !done.load(); i = (i + 7) % 400) {
            const std::string word = "number " + std::to_string(i);
            const Query q{'L', word, {}};
            const auto found = index.candidates(*view, GramQuery::unpack("\x01" + pack(q)), {});
            if (found != nullptr && !found->may_match(static_cast<Position>(i))) fail("lost while building", q, word);
        }
    });
    for (size_t n = 5; n <= contents.size(); n += 5) {
        index.update(view_of({contents.begin(), contents.begin() + static_cast<std::ptrdiff_t>(n)}), {1, 0, 2, true}, cancel);
    }
    done.store(true);
    reader.join();
    if (index.numbers().segments > 12) fail("segments were not merged", Query(), std::to_string(index.numbers().segments));
}

void bad_queries() {
    for (const char* text : {"\x02*", "\x01", "\x01L\x05", "\x01&", "\x01**", "\x01?"}) {
        bool refused = false;
        try {
            GramQuery::unpack(text);
        } catch (const std::runtime_error&) {
            refused = true;
        }
        if (!refused) fail("a bad query was taken", Query(), text);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const uint64_t cases = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
    rng.seed(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
    bad_queries();
    at_the_same_time();
    Counts counts;
    while (counts.cases < cases) round(&counts);
    std::printf("%llu cases, %llu match, %llu let through\n", static_cast<unsigned long long>(counts.cases),
                static_cast<unsigned long long>(counts.matching), static_cast<unsigned long long>(counts.let_through));
    return 0;
}
