// ignore.h: which paths ripgrep would pass over.
//
// In: the bytes of ignore files, the rules' switches, a path with the directories above it. Out: a Verdict per path, as
// ripgrep 15.2.0 (ignore, globset crates) decides it. Pure: reads no file, knows no tree.
#ifndef CURSERVE_IGNORE_H
#define CURSERVE_IGNORE_H
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace curserve {

struct Subject;  // glob.h

enum class Verdict : uint8_t { kNone = 0, kIgnore = 1, kWhitelist = 2 };

// One ignore file (.gitignore, .ignore, .rgignore, info/exclude, core.excludesFile, --ignore-file): its globs in order.
class IgnoreRules {
  public:
    // Bad lines are dropped, as ripgrep drops them; `errors` (may be null) receives ripgrep's messages for them without
    // the file's path: "line 3: error parsing glob ...".
    // A line that is not UTF-8 ends the file: see cut_short().
    static std::shared_ptr<const IgnoreRules> parse(std::string_view bytes, bool case_insensitive,
                                                    std::vector<std::string>* errors);
    virtual ~IgnoreRules() = default;
    // path: relative to the rules' base directory, no leading "./".
    virtual Verdict matched(std::string_view path, bool is_dir) const = 0;
    // The same for a path prepared by subject_of().
    virtual Verdict matched(const Subject& subject, bool is_dir) const = 0;
    virtual bool empty() const = 0;
    // A line was dropped for a bad glob: ripgrep says so on stderr.
    virtual bool faulty() const = 0;
    // The file was not read to its end, because of bytes that are not UTF-8: ripgrep says so of an --ignore-file only.
    virtual bool cut_short() const = 0;
    // A line, or all of them, are more than is kept here: what the file says is only ripgrep's to judge.
    virtual bool too_large() const = 0;
    // The same file as --ignore-file-case-insensitive reads it: made from the bytes kept, once, when first asked for.
    virtual std::shared_ptr<const IgnoreRules> folded() const = 0;
};
using RulesRef = std::shared_ptr<const IgnoreRules>;

// -g / --iglob, in order: the last that matches wins; with any whitelist glob, an unmatched file is ignored.
class Overrides {
  public:
    struct Glob {
        std::string text;
        bool case_insensitive;
    };
    // Returns null and sets *error on a bad glob (the caller declines).
    static std::shared_ptr<const Overrides> parse(const std::vector<Glob>& globs, std::string* error);
    virtual ~Overrides() = default;
    // path_from_cwd: as ripgrep has it after stripped_of_base().
    virtual Verdict matched(std::string_view path_from_cwd, bool is_dir) const = 0;
};

// -t / -T: file name globs selected and negated.
class TypeFilter {
  public:
    struct Selection {
        bool negated;
        std::vector<std::string> globs;
    };
    static std::shared_ptr<const TypeFilter> parse(const std::vector<Selection>& selections, std::string* error);
    virtual ~TypeFilter() = default;
    virtual Verdict matched(std::string_view path, bool is_dir) const = 0;
};

// What one directory contributes. Null members: no such file there (or an empty one).
struct DirRules {
    RulesRef gitignore, ignore, rgignore, exclude;  // exclude: the git directory's info/exclude
    bool has_git = false;                           // stat(".git") or stat(".jj") succeeds, whatever kind it is
    // `.git` is a regular file: `exclude` was found by its "gitdir: " line and that directory's `commondir`. Without
    // require_git ripgrep does not look there.
    bool git_is_file = false;
    // The file's gitdir is this relative path, which ripgrep reads relative to its own cwd: what its exclude file says
    // is found out for each request (relative_git.h), and `exclude` is null.
    std::string relative_git_dir;
    // Nothing can be said of the exclude file, because ripgrep would complain or look where we do not (leave `exclude`
    // null).
    bool exclude_unknown = false;
    bool empty() const { return !gitignore && !ignore && !rgignore && !exclude && !has_git && !exclude_unknown; }
};
using DirRulesRef = std::shared_ptr<const DirRules>;

// The switches that decide which rules count (flags -u, --no-ignore-*, --hidden ...).
struct IgnoreSwitches {
    bool hidden = false;          // search hidden files
    bool dot = true;              // .ignore and .rgignore
    bool vcs = true;              // .gitignore
    bool exclude = true;          // .git/info/exclude
    bool global = true;           // core.excludesFile
    bool parent = true;           // rules of directories above the starting point
    bool files = true;            // --ignore-file
    bool require_git = true;
};

// ripgrep's idea of a hidden name: it begins with a dot and, since a path that ends with a dot has no file name for
// ripgrep, does not end with one.
inline bool is_hidden_name(std::string_view name) { return !name.empty() && name[0] == '.' && name.back() != '.'; }

// What ripgrep matches against rules that belong to a base directory (overrides, global excludes, --ignore-file) for a
// path as it was typed and walked: without leading "./" (two at most), and without `base` if the *bytes* begin with it
// (its quirk: "/a/bc/x" for base "/a/b" is "c/x"), unless the path has no slash.
std::string_view stripped_of_base(std::string_view walked, std::string_view base);

// One directory of the way down to a path. dir: absolute, "/" or without a trailing slash. rules may be null.
struct ChainLink {
    std::string dir;
    const DirRules* rules;
};

// What the ignore files of `chain` ("/" first, the parent of `path` last) and the hidden rule say of one path.
// path: absolute. Judges this path alone: the caller has already pruned ignored directories above it. No overrides,
// types, global excludes or --ignore-file here (select.h has those); every link counts as if the walk began at "/".
Verdict verdict(const IgnoreSwitches& switches, const std::vector<ChainLink>& chain, std::string_view path,
                bool is_dir);

}  // namespace curserve
#endif
