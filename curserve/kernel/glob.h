// glob.h: one glob pattern, compiled: the pattern language of ripgrep's ignore files, -g and -t.
//
// In: the text of a glob (UTF-8). Out: a list of Globs, any of which matching means that the glob matches, or the
// message that ripgrep prints for a bad one. Semantics are those of the globset crate as ripgrep 15.2.0 uses it: `*`, `?`
// and `**` as usual with a literal separator, backslash escapes, {a,b} nested (empty alternatives dropped), classes that
// match single *bytes* and, quirk kept, may match `/`. Folding is of ASCII letters; a folded Glob wants a lowered path.
// Matching never backtracks exponentially: a wildcard scan of one component, or a bit-parallel position automaton.
// Does not know: gitignore lines, negation, directories.
#ifndef CURSERVE_GLOB_H
#define CURSERVE_GLOB_H
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace curserve {

using ByteSet = std::bitset<256>;

// A path prepared for many globs. ext: from the last '.' of the name on, empty if there is none.
struct Subject {
    std::string_view path, name, ext;
    uint64_t name_hash = 0, ext_hash = 0;
};
uint64_t hash_bytes(std::string_view bytes);
Subject subject_of(std::string_view path);
Subject subject_of(std::string_view path, size_t name_at);  // where the last component begins

// One step of a wildcard scan; `set` is used by kClass.
struct WildStep {
    enum Kind : uint8_t { kByte, kAny, kClass, kStar } kind;
    uint8_t byte;
    uint16_t set;
};

// Which positions may follow which, as bit masks: runs in O(length × positions set).
class PositionAutomaton;

class Glob {
  public:
    enum class Form : uint8_t {
        kEverything,  // any path
        kName,        // the last component equals `text`
        kExtension,   // the last component's extension equals `text` (with its dot)
        kPath,        // the whole path equals `text`
        kTail,        // the last components equal `text` (it contains a slash)
        kNameWild,    // the last component matches the wildcards
        kPathWild,    // the path is `text` (a literal prefix that ends in '/', or empty), then wildcards
        kGeneral,     // the automaton; `text` must occur in the path (may be empty)
    };
    struct Options {
        bool fold = false;                  // ASCII letters match either case
        bool allow_unclosed_class = false;  // a `[` that is never closed is a literal
    };

    // What an automaton costs grows with the square of a glob, and the depth of a parse with its groups, so there is an
    // end to both. Arbitrary: no path is longer, and nobody nests so deep. ripgrep goes on to some 250 groups in each
    // other, where it gives up the whole file, and to some 400,000 bytes; far beyond, its stack ends.
    static constexpr size_t kMostBytes = 4096;
    static constexpr std::ptrdiff_t kMostGroups = 200;
    static bool is_too_large(std::string_view glob);

    // Appends to *out. False on a bad glob: *error is ripgrep's word for what is wrong, *out is as before. False also for
    // one that is too large, which only ripgrep can judge.
    static bool parse(std::string_view glob, Options options, std::vector<Glob>* out, std::string* error);

    bool matches(const Subject& subject) const;
    size_t bytes() const;

    Form form;
    std::string text;

  private:
    friend class GlobCompiler;
    std::vector<WildStep> steps_;
    std::vector<ByteSet> sets_;
    std::shared_ptr<const PositionAutomaton> automaton_;
};

}  // namespace curserve
#endif
