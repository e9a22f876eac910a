// rule_stack.cpp: see rule_stack.h. Source of the precedence: ripgrep 15.2.0, crates/ignore/src/dir.rs.
#include "rule_stack.h"

namespace curserve {

void RuleStack::push(Layers* to, const RulesRef& rules, size_t base, bool above) {
    if (!rules) return;
    too_large_ |= rules->too_large();
    if (rules->faulty()) (above ? faulty_above_ : faulty_) = true;
    // ripgrep reads (and complains about) the files above even when they have no say.
    if (rules->empty() || (above && !switches_.parent)) return;
    to->push_back({fold_ ? rules->folded().get() : rules.get(), base});
}

void RuleStack::enter(const DirRules& rules, size_t base, bool above) {
    now_.rgignore = rgignore_.size();
    now_.ignore = ignore_.size();
    now_.gitignore = gitignore_.size();
    now_.exclude = exclude_.size();
    marks_.push_back(now_);
    // With neither parents nor git wanted, ripgrep does not look above at all.
    if (above && !switches_.parent && !switches_.vcs) return;
    if (rules.has_git && switches_.require_git && switches_.vcs) {
        now_.any_git = true;
        now_.gitignore_from = gitignore_.size();
        now_.exclude_from = exclude_.size();
    }
    if (switches_.dot) {
        push(&rgignore_, rules.rgignore, base, above);
        push(&ignore_, rules.ignore, base, above);
    }
    if (!switches_.vcs) return;
    push(&gitignore_, rules.gitignore, base, above);
    if (!switches_.exclude || (!switches_.require_git && rules.git_is_file)) return;
    push(&exclude_, rules.exclude, base, above);
    unknown_ |= rules.exclude_unknown;
    if (rules.relative_git_dir.empty()) return;
    if (relative_ != nullptr)
        for (const auto& [found, exclude] : *relative_) {
            if (found.git_dir != rules.relative_git_dir) continue;
            unknown_ |= found.unknown;
            return push(&exclude_, exclude, base, above);
        }
    unknown_ = true;
}

void RuleStack::leave() {
    now_ = marks_.back();
    marks_.pop_back();
    rgignore_.resize(now_.rgignore);
    ignore_.resize(now_.ignore);
    gitignore_.resize(now_.gitignore);
    exclude_.resize(now_.exclude);
}

Verdict RuleStack::matched(const Layers& layers, size_t from, const Subject& subject, bool is_dir) {
    Subject relative = subject;
    for (size_t i = layers.size(); i-- > from;) {
        relative.path = subject.path.substr(layers[i].base);
        const Verdict v = layers[i].rules->matched(relative, is_dir);
        if (v != Verdict::kNone) return v;
    }
    return Verdict::kNone;
}

Verdict RuleStack::verdict(const Subject& subject, bool is_dir) const {
    Verdict v = matched(rgignore_, 0, subject, is_dir);
    if (v == Verdict::kNone) v = matched(ignore_, 0, subject, is_dir);
    if (v != Verdict::kNone || !any_git()) return v;
    v = matched(gitignore_, now_.gitignore_from, subject, is_dir);
    if (v == Verdict::kNone) v = matched(exclude_, now_.exclude_from, subject, is_dir);
    return v;
}

}  // namespace curserve
