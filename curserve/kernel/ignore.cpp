// ignore.cpp: ignore files, -g and -t as lists of globs.
//
// In: lines. Out: IgnoreRules, Overrides, TypeFilter. The treatment of a line is that of ripgrep 15.2.0's ignore crate
// (gitignore.rs): what is trimmed, what anchors it, which glob it stands for.
#include "ignore.h"

#include <algorithm>
#include <mutex>

#include "glob_set.h"
#include "rule_stack.h"

namespace curserve {
namespace {

bool is_utf8(std::string_view s) {
    size_t i = 0;
    const auto at = [&](size_t k) { return static_cast<unsigned char>(s[k]); };
    while (i < s.size()) {
        const unsigned lead = at(i);
        if (lead < 0x80) {
            ++i;
            continue;
        }
        if (lead < 0xc2 || lead > 0xf4) return false;
        const size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (s.size() - i < length) return false;
        const unsigned second = at(i + 1);
        const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        if (second < low || second > high) return false;
        for (size_t k = 2; k < length; ++k)
            if ((at(i + k) & 0xc0) != 0x80) return false;
        i += length;
    }
    return true;
}

bool ends_with(std::string_view s, std::string_view tail) {
    return s.size() >= tail.size() && s.substr(s.size() - tail.size()) == tail;
}
bool starts_with(std::string_view s, std::string_view head) { return s.substr(0, head.size()) == head; }

// Unicode's White_Space, from the end of valid UTF-8.
std::string_view trimmed_right(std::string_view s) {
    static constexpr std::string_view kWide[] = {"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xa8",
                                                 "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
    for (;;) {
        if (s.empty()) return s;
        const auto c = static_cast<unsigned char>(s.back());
        if (c == ' ' || (c >= 9 && c <= 13)) {
            s.remove_suffix(1);
            continue;
        }
        if (c < 0x80) return s;
        // U+2000 to U+200A are e2 80 80 to e2 80 8a.
        if (s.size() >= 3 && s.substr(s.size() - 3, 2) == "\xe2\x80" && c <= 0x8a) {
            s.remove_suffix(3);
            continue;
        }
        const auto wide =
            std::find_if(std::begin(kWide), std::end(kWide), [&](std::string_view w) { return ends_with(s, w); });
        if (wide == std::end(kWide)) return s;
        s.remove_suffix(wide->size());
    }
}

// The globs of one source with their signs, in order.
struct SignedGlobs {
    GlobSet set;
    std::vector<bool> whitelist;  // by number: the line began with '!'
    int whitelists = 0;

    // One line without its terminator. False on a bad glob, *error as ripgrep words it.
    bool add_line(std::string_view line, Glob::Options options, std::string* error) {
        if (starts_with(line, "#")) return true;
        if (!ends_with(line, "\\ ")) line = trimmed_right(line);
        if (line.empty()) return true;
        const std::string_view original = line;
        bool negated = false, anchored = false, only_directories = false;
        if (starts_with(line, "\\!") || starts_with(line, "\\#")) {
            line.remove_prefix(1);
        } else {
            if (starts_with(line, "!")) {
                negated = true;
                line.remove_prefix(1);
            }
            if (starts_with(line, "/")) {
                anchored = true;
                line.remove_prefix(1);
            }
        }
        if (ends_with(line, "/")) {
            only_directories = true;
            line.remove_suffix(1);
            if (ends_with(line, "\\")) line.remove_suffix(1);
        }
        std::string glob(line);
        if (!anchored && line.find('/') == std::string_view::npos && line != "**") glob.insert(0, "**/");
        if (ends_with(glob, "/**")) glob += "/*";
        std::string what;
        if (!set.add(glob, options, only_directories, &what)) {
            if (error) *error = "error parsing glob '" + std::string(original) + "': " + what;
            return false;
        }
        whitelist.push_back(negated);
        whitelists += negated;
        return true;
    }

    // kIgnore for a plain line, kWhitelist for one with '!'.
    Verdict matched(const Subject& subject, bool is_dir) const {
        const int number = set.last(subject, is_dir);
        if (number < 0) return Verdict::kNone;
        return whitelist[static_cast<size_t>(number)] ? Verdict::kWhitelist : Verdict::kIgnore;
    }
};

class FileRules final : public IgnoreRules {
  public:
    FileRules(std::string_view bytes, bool fold, std::vector<std::string>* errors) : fold_(fold) {
        Glob::Options options;
        options.fold = fold;
        options.allow_unclosed_class = true;
        std::string_view rest = bytes;
        for (size_t number = 1; !rest.empty(); ++number) {
            const size_t end = rest.find('\n');
            std::string_view line = rest.substr(0, end);
            rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
            if (end != std::string_view::npos && ends_with(line, "\r")) line.remove_suffix(1);
            const std::string where = errors ? "line " + std::to_string(number) + ": " : std::string();
            if (!is_utf8(line)) {
                if (errors) errors->push_back(where + "stream did not contain valid UTF-8");
                cut_short_ = true;
                break;
            }
            if (number == 1)
                while (starts_with(line, "\xef\xbb\xbf")) line.remove_prefix(3);
            std::string error;
            if (globs_.add_line(line, options, &error)) continue;
            if (globs_.set.is_too_large()) break;
            faulty_ = true;
            if (errors) errors->push_back(where + error);
        }
        globs_.set.finish();
        if (!fold) bytes_.assign(bytes);
    }

    Verdict matched(std::string_view path, bool is_dir) const override { return matched(subject_of(path), is_dir); }
    Verdict matched(const Subject& subject, bool is_dir) const override { return globs_.matched(subject, is_dir); }
    bool empty() const override { return globs_.set.empty(); }
    bool faulty() const override { return faulty_; }
    bool cut_short() const override { return cut_short_; }
    bool too_large() const override { return globs_.set.is_too_large(); }
    RulesRef folded() const override {
        if (fold_) return RulesRef(RulesRef(), this);  // owned by whoever holds this
        std::call_once(once_, [this] { folded_ = std::make_shared<FileRules>(bytes_, true, nullptr); });
        return folded_;
    }

  private:
    SignedGlobs globs_;
    bool fold_;
    bool faulty_ = false, cut_short_ = false;
    std::string bytes_;  // for folded(); empty in a folded one
    mutable std::once_flag once_;
    mutable RulesRef folded_;
};

class GlobOverrides final : public Overrides {
  public:
    bool add(const Glob& glob, std::string* error) {
        if (!is_utf8(glob.text)) {
            if (error) *error = "glob is not valid UTF-8";
            return false;
        }
        curserve::Glob::Options options;
        options.fold = glob.case_insensitive;
        return globs_.add_line(glob.text, options, error);
    }
    void finish() { globs_.set.finish(); }

    Verdict matched(std::string_view path, bool is_dir) const override {
        if (globs_.set.empty()) return Verdict::kNone;
        switch (globs_.matched(subject_of(path), is_dir)) {
            case Verdict::kIgnore: return Verdict::kWhitelist;
            case Verdict::kWhitelist: return Verdict::kIgnore;
            default: break;
        }
        const bool selects = globs_.set.size() > globs_.whitelists;
        return selects && !is_dir ? Verdict::kIgnore : Verdict::kNone;
    }

  private:
    SignedGlobs globs_;
};

class GlobTypes final : public TypeFilter {
  public:
    bool add(const Selection& selection, std::string* error) {
        selects_ |= !selection.negated;
        for (const std::string& glob : selection.globs) {
            if (!set_.add(glob, {}, false, error)) return false;
            negated_.push_back(selection.negated);
        }
        return true;
    }
    void finish() { set_.finish(); }

    Verdict matched(std::string_view path, bool is_dir) const override {
        if (is_dir || set_.empty()) return Verdict::kNone;
        const Verdict unmatched = selects_ ? Verdict::kIgnore : Verdict::kNone;
        // ripgrep knows no file name in a path that ends with a dot.
        if (path.empty() || path.back() == '.') return unmatched;
        const int number = set_.last(subject_of(path.substr(path.rfind('/') + 1)), false);
        if (number < 0) return unmatched;
        return negated_[static_cast<size_t>(number)] ? Verdict::kIgnore : Verdict::kWhitelist;
    }

  private:
    GlobSet set_;
    std::vector<bool> negated_;
    bool selects_ = false;
};

}  // namespace

RulesRef IgnoreRules::parse(std::string_view bytes, bool case_insensitive, std::vector<std::string>* errors) {
    return std::make_shared<FileRules>(bytes, case_insensitive, errors);
}

std::shared_ptr<const Overrides> Overrides::parse(const std::vector<Glob>& globs, std::string* error) {
    auto overrides = std::make_shared<GlobOverrides>();
    for (const Glob& glob : globs)
        if (!overrides->add(glob, error)) return nullptr;
    overrides->finish();
    return overrides;
}

std::shared_ptr<const TypeFilter> TypeFilter::parse(const std::vector<Selection>& selections, std::string* error) {
    auto types = std::make_shared<GlobTypes>();
    for (const Selection& selection : selections)
        if (!types->add(selection, error)) return nullptr;
    types->finish();
    return types;
}

std::string_view stripped_of_base(std::string_view walked, std::string_view base) {
    for (int i = 0; i < 2; ++i)
        if (starts_with(walked, "./")) walked.remove_prefix(2);
    if (walked.find('/') == std::string_view::npos || !starts_with(walked, base)) return walked;
    walked.remove_prefix(base.size());
    if (starts_with(walked, "/")) walked.remove_prefix(1);
    return walked;
}

Verdict verdict(const IgnoreSwitches& switches, const std::vector<ChainLink>& chain, std::string_view path,
                bool is_dir) {
    RuleStack stack(switches, false);
    for (const ChainLink& link : chain)
        if (link.rules) stack.enter(*link.rules, link.dir == "/" ? 1 : link.dir.size() + 1, false);
    const Subject subject = subject_of(path);
    const Verdict v = stack.verdict(subject, is_dir);
    if (v == Verdict::kNone && !switches.hidden && is_hidden_name(subject.name)) return Verdict::kIgnore;
    return v;
}

}  // namespace curserve
