// gram.h: a folded trigram as a number.
//
// In: three bytes. Out: a key below kGramKeys, the same for bytes that differ only in ASCII case; or kNoGram where one of
// them is '\n'. Bytes are ranked by how common they are in source text, and the low six bits of the three ranks come
// last: so the grams of plain lower-case code share the lowest 2^18 keys, and the tables that count them stay in cache.
// U+212A and U+017F are not folded here: whoever reads a text rewrites them first (fold_beyond_ascii).
#ifndef CURSERVE_GRAM_H
#define CURSERVE_GRAM_H
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace curserve {

using GramKey = uint32_t;
constexpr GramKey kGramKeys = 1u << 24;
constexpr GramKey kNoGram = (1u << 25) - 1;

struct GramTables {
    // key = first[a] | second[b] | third[c]
    std::array<uint32_t, 256> first{}, second{}, third{};
};

constexpr GramTables make_gram_tables() {
    constexpr std::string_view common = "etaoinsrl cdumpfhgbyvkwxzjq_\t0123456789()=,.;*->/\"'&<:[]{}#+|!";
    std::array<int, 256> rank{};
    for (int& r : rank) r = -1;
    int next = 0;
    for (const char c : common) rank[static_cast<uint8_t>(c)] = next++;
    for (size_t b = 0; b < 256; ++b) {
        if (rank[b] >= 0 || (b >= 'A' && b <= 'Z')) continue;
        rank[b] = next++;
    }
    for (size_t b = 'A'; b <= 'Z'; ++b) rank[b] = rank[b | 0x20];
    GramTables tables;
    for (size_t b = 0; b < 256; ++b) {
        const auto low = static_cast<uint32_t>(rank[b]) & 63u, high = static_cast<uint32_t>(rank[b]) >> 6;
        tables.first[b] = low << 12 | high << 22;
        tables.second[b] = low << 6 | high << 20;
        tables.third[b] = low | high << 18;
    }
    tables.first['\n'] = tables.second['\n'] = tables.third['\n'] = kNoGram;
    return tables;
}

inline constexpr GramTables kGramTables = make_gram_tables();

inline GramKey gram_key(const uint8_t* text) {
    return kGramTables.first[text[0]] | kGramTables.second[text[1]] | kGramTables.third[text[2]];
}

}  // namespace curserve
#endif
