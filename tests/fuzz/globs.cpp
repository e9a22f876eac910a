// globs.cpp: ignore files, -g and -t: any text as rules, any bytes as a path.
//
// Input: a byte of switches, the rules, a NUL, a path. Beside coming back, the rules must say of a path what their lines,
// each read alone, say of it: the last one that says anything.
#include "bytes.h"
#include "glob.h"
#include "ignore.h"

using namespace curserve;

namespace {

void check_lines(std::string_view text, const Subject& path, bool fold, bool is_dir, Verdict all) {
    Verdict last = Verdict::kNone;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end == std::string_view::npos ? end : end + 1);
        text.remove_prefix(line.size());
        const RulesRef rules = IgnoreRules::parse(line, fold, nullptr);
        if (rules->cut_short()) break;
        const Verdict one = rules->matched(path, is_dir);
        if (one != Verdict::kNone) last = one;
    }
    HOLDS(last == all);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Bytes in(data, size);
    const uint8_t switches = in.byte();
    const bool fold = (switches & 1) != 0, is_dir = (switches & 2) != 0;
    const std::vector<uint8_t> text = in.until(0), path = in.take(in.left());
    const Subject subject = subject_of(view(path));

    std::vector<std::string> errors;
    const RulesRef rules = IgnoreRules::parse(view(text), fold, &errors);
    const Verdict verdict = rules->matched(subject, is_dir);
    HOLDS(errors.empty() == !(rules->faulty() || rules->cut_short()));
    HOLDS(rules->folded()->matched(subject, is_dir) == IgnoreRules::parse(view(text), true, nullptr)->matched(subject, is_dir));
    // A mark at the start of any line but the first is text, so lines alone would be read otherwise.
    if (!rules->too_large() && view(text).find("\n\xef\xbb\xbf") == std::string_view::npos)
        check_lines(view(text), subject, fold, is_dir, verdict);

    std::string error;
    std::vector<Overrides::Glob> globs;
    std::vector<TypeFilter::Selection> types(2);
    types[1].negated = true;
    std::string_view rest = view(text);
    while (!rest.empty()) {
        const size_t end = rest.find('\n');
        globs.push_back({std::string(rest.substr(0, end)), globs.size() % 2 == 1});
        types[globs.size() % 2].globs.push_back(globs.back().text);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    if (const auto overrides = Overrides::parse(globs, &error)) (void)overrides->matched(view(path), is_dir);
    else HOLDS(!error.empty());
    error.clear();
    if (const auto filter = TypeFilter::parse(types, &error)) (void)filter->matched(view(path), is_dir);
    else HOLDS(!error.empty());
    return 0;
}
