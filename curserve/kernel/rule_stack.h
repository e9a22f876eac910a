// rule_stack.h: the ignore files that have a say at one point of a walk, and what they say together.
//
// In: DirRules entered on the way down and left on the way up; an absolute path. Out: what .rgignore, .ignore,
// .gitignore and info/exclude say in ripgrep's order of precedence (a kind beats the next kind whatever their directories;
// within a kind the nearest directory wins; git's kinds stop at the nearest repository and need one somewhere).
// Does not know: overrides, global excludes, --ignore-file, types, hidden.
#ifndef CURSERVE_RULE_STACK_H
#define CURSERVE_RULE_STACK_H
#include <utility>
#include <vector>

#include "glob.h"
#include "ignore.h"
#include "relative_git.h"

namespace curserve {

class RuleStack {
  public:
    // fold: use the rules' folded() twins. The rules entered must outlive the stack.
    RuleStack(const IgnoreSwitches& switches, bool fold) : switches_(switches), fold_(fold) {}

    // base: length of the directory's absolute path with a slash at its end: where paths relative to it begin.
    // above: the directory lies above the walk's starting point (switches.parent).
    void enter(const DirRules& rules, size_t base, bool above);
    // Before the first enter: what this request finds by relative `.git` files. The rules must outlive the stack.
    using RelativeRules = std::vector<std::pair<RelativeExclude, RulesRef>>;
    void know(const RelativeRules* relative) { relative_ = relative; }
    void leave();

    // subject: of an absolute path below every directory entered.
    Verdict verdict(const Subject& subject, bool is_dir) const;
    bool silent() const { return rgignore_.empty() && ignore_.empty() && gitignore_.empty() && exclude_.empty(); }
    // Git's rules count here: a repository was entered, or none is required. Global excludes ask this too.
    bool any_git() const { return !switches_.require_git || now_.any_git; }

    // Of everything entered so far, left or not: rules with dropped lines; an exclude file that could not be known; rules
    // that only ripgrep can judge.
    bool faulty() const { return faulty_; }
    bool faulty_above() const { return faulty_above_; }
    bool unknown() const { return unknown_; }
    bool too_large() const { return too_large_; }

  private:
    struct Layer {
        const IgnoreRules* rules;
        size_t base;
    };
    using Layers = std::vector<Layer>;
    struct Mark {
        size_t rgignore = 0, ignore = 0, gitignore = 0, exclude = 0;  // sizes
        size_t gitignore_from = 0, exclude_from = 0;                  // layers before these lie beyond the repository
        bool any_git = false;
    };
    void push(Layers* to, const RulesRef& rules, size_t base, bool above);
    static Verdict matched(const Layers& layers, size_t from, const Subject& subject, bool is_dir);

    const IgnoreSwitches switches_;
    const bool fold_;
    const RelativeRules* relative_ = nullptr;
    Layers rgignore_, ignore_, gitignore_, exclude_;
    Mark now_;
    std::vector<Mark> marks_;
    bool faulty_ = false, faulty_above_ = false, unknown_ = false, too_large_ = false;
};

}  // namespace curserve
#endif
