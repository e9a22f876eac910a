// plain_word.h: what a pattern that is one plain word comes to, without Python.
//
// In: a word of ASCII letters, digits and '_', and the options that its meaning depends on. Out: what curserve/regex/
// translate.py makes of it, field by field: the tests compare the two for any word and options, and plan.py compares
// them for a word of each shape of request before it lets the desk use this. Does not know: other patterns, -x.
#ifndef CURSERVE_PLAIN_WORD_H
#define CURSERVE_PLAIN_WORD_H
#include <cstdint>
#include <memory>
#include <string_view>

#include "gram_query.h"
#include "matcher.h"

namespace curserve {

struct WordRules {
    enum class Case : uint8_t { kSensitive, kInsensitive, kSmart };
    Case letters = Case::kSensitive;
    bool bounded = false;    // -w
    bool unicode = true;
    bool null_data = false;
    bool multi_line = false;  // -U
};

// Whether `text` is such a word: three letters at least, so that grams tell of it, and 64 at most (arbitrary).
bool is_plain_word(std::string_view text);

struct WordQuestion {
    std::shared_ptr<const Matcher> matcher;
    std::shared_ptr<const GramQuery> grams;
};
// word: is_plain_word.
WordQuestion ask_for_word(std::string_view word, const WordRules& rules);
// Whether the translation at hand is what ask_for_word says.
bool word_agrees(std::string_view word, const WordRules& rules, const MatcherSpec& spec, const GramQuery& grams);

}  // namespace curserve
#endif
