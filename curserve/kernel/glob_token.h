// glob_token.h: the parts of a glob as written, between its parser and its compiler.
//
// In: nothing. Out: Token, the tree that glob_parse.cpp makes of a glob's text and glob.cpp compiles.
#ifndef CURSERVE_GLOB_TOKEN_H
#define CURSERVE_GLOB_TOKEN_H
#include <string>
#include <string_view>
#include <vector>

#include "glob.h"

namespace curserve {

struct GlobToken {
    enum Kind : uint8_t {
        kLiteral,           // `bytes`: one character (its UTF-8)
        kAny,               // ?
        kStar,              // *
        kRecursivePrefix,   // **/ at the beginning (or ** alone)
        kRecursiveSuffix,   // /** at the end
        kRecursiveMiddle,   // /**/
        kClass,             // [...]: `set`, negation and folding applied
        kAlternates,        // {a,b}
    } kind;
    std::string bytes;
    ByteSet set;
    std::vector<std::vector<GlobToken>> branches;
};
using GlobTokens = std::vector<GlobToken>;

// False: *error holds ripgrep's description of the fault.
bool parse_glob(std::string_view glob, Glob::Options options, GlobTokens* out, std::string* error);

}  // namespace curserve
#endif
