// glob.cpp: compiles a glob's tokens to the cheapest form that decides the same, and runs it.
//
// In: tokens (glob_token.h). Out: Globs. Invariant: the alternatives made from one glob match, together, exactly the
// paths that globset's regex `(?-u)^...$` for that glob matches: `**/` is (?:/?|.*/), `/**/` is (?:/|/.*/), `/**` is
// /.*, `*` is [^/]*, `?` is [^/], a class is a byte class that may include '/'.
#include "glob.h"

#include <algorithm>
#include <cstring>

#include "glob_token.h"

namespace curserve {

uint64_t hash_bytes(std::string_view bytes) {
    // Eight bytes a step, multiply and fold; not for strangers' input at scale: tables are as small as ignore files.
    uint64_t h = 0x9e3779b97f4a7c15u ^ bytes.size();
    size_t i = 0;
    for (; i + 8 <= bytes.size(); i += 8) {
        uint64_t word;
        std::memcpy(&word, bytes.data() + i, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    uint64_t word = 0;
    if (i < bytes.size()) std::memcpy(&word, bytes.data() + i, bytes.size() - i);
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    return h ^ (h >> 29);
}

Subject subject_of(std::string_view path) {
    return subject_of(path, path.rfind('/') + 1);  // npos + 1 is 0
}

Subject subject_of(std::string_view path, size_t name_at) {
    Subject s;
    s.path = path;
    s.name = path.substr(name_at);
    s.name_hash = hash_bytes(s.name);
    const size_t dot = s.name.rfind('.');
    if (dot != std::string_view::npos) {
        s.ext = s.name.substr(dot);
        s.ext_hash = hash_bytes(s.ext);
    }
    return s;
}

class PositionAutomaton {
  public:
    explicit PositionAutomaton(const GlobTokens& tokens) {
        Fragment all = concat(tokens);
        words_ = (set_of_.size() + 63) / 64;
        if (words_ == 0) words_ = 1;
        nullable_ = all.nullable;
        first_ = widen(all.first);
        last_ = widen(all.last);
        follow_.resize(set_of_.size() * words_);
        for (size_t p = 0; p < follow_lists_.size(); ++p)
            for (size_t q : follow_lists_[p]) follow_[p * words_ + q / 64] |= uint64_t{1} << (q % 64);
        accept_.resize(256 * words_);
        for (size_t p = 0; p < set_of_.size(); ++p)
            for (size_t b = 0; b < 256; ++b)
                if (set_of_[p][b]) accept_[b * words_ + p / 64] |= uint64_t{1} << (p % 64);
        follow_lists_.clear();
        set_of_.clear();
    }

    size_t bytes() const { return sizeof(uint64_t) * (first_.size() + last_.size() + follow_.size() + accept_.size()); }

    bool matches(std::string_view text) const {
        if (text.empty()) return nullable_;
        return words_ == 1 ? run_small(text) : run_wide(text);
    }

  private:
    struct Fragment {
        bool nullable = true;
        std::vector<size_t> first, last;
    };

    std::vector<uint64_t> widen(const std::vector<size_t>& positions) const {
        std::vector<uint64_t> mask(words_);
        for (size_t p : positions) mask[p / 64] |= uint64_t{1} << (p % 64);
        return mask;
    }
    static void merge(std::vector<size_t>* to, const std::vector<size_t>& from) {
        to->insert(to->end(), from.begin(), from.end());
        std::sort(to->begin(), to->end());
        to->erase(std::unique(to->begin(), to->end()), to->end());
    }

    Fragment one(const ByteSet& set) {
        set_of_.push_back(set);
        follow_lists_.emplace_back();
        const size_t p = set_of_.size() - 1;
        return {false, {p}, {p}};
    }
    Fragment star(const ByteSet& set) {
        Fragment f = one(set);
        follow_lists_[f.first[0]].push_back(f.first[0]);
        f.nullable = true;
        return f;
    }
    Fragment then(const Fragment& a, const Fragment& b) {
        for (size_t p : a.last) merge(&follow_lists_[p], b.first);
        Fragment f{a.nullable && b.nullable, a.first, b.last};
        if (a.nullable) merge(&f.first, b.first);
        if (b.nullable) merge(&f.last, a.last);
        return f;
    }
    static Fragment either(const Fragment& a, const Fragment& b) {
        Fragment f = a;
        f.nullable = a.nullable || b.nullable;
        merge(&f.first, b.first);
        merge(&f.last, b.last);
        return f;
    }

    Fragment concat(const GlobTokens& tokens) {
        Fragment all;
        for (const GlobToken& token : tokens) all = then(all, token_fragment(token));
        return all;
    }
    Fragment token_fragment(const GlobToken& token) {
        ByteSet any, slash, not_slash;
        any.set();
        slash.set('/');
        not_slash = ~slash;
        switch (token.kind) {
            case GlobToken::kLiteral: {
                Fragment f;
                for (char c : token.bytes) {
                    ByteSet set;
                    set.set(static_cast<unsigned char>(c));
                    f = then(f, one(set));
                }
                return f;
            }
            case GlobToken::kAny: return one(not_slash);
            case GlobToken::kStar: return star(not_slash);
            case GlobToken::kClass: return one(token.set);
            case GlobToken::kRecursivePrefix: {
                Fragment f = either(one(slash), then(star(any), one(slash)));
                f.nullable = true;
                return f;
            }
            case GlobToken::kRecursiveSuffix: {
                const Fragment head = one(slash);
                return then(head, star(any));
            }
            case GlobToken::kRecursiveMiddle: {
                const Fragment head = one(slash), middle = star(any), tail = one(slash);
                return either(one(slash), then(then(head, middle), tail));
            }
            case GlobToken::kAlternates: {
                // Alternatives that say nothing at all are dropped; if none is left the group says nothing.
                Fragment f;
                bool some = false;
                for (const GlobTokens& branch : token.branches) {
                    if (says_nothing(branch)) continue;
                    const Fragment g = concat(branch);
                    f = some ? either(f, g) : g;
                    some = true;
                }
                return f;
            }
        }
        return {};
    }

  public:
    static bool says_nothing(const GlobTokens& tokens) {
        return std::all_of(tokens.begin(), tokens.end(), [](const GlobToken& token) {
            return token.kind == GlobToken::kAlternates &&
                   std::all_of(token.branches.begin(), token.branches.end(), says_nothing);
        });
    }

  private:
    bool run_small(std::string_view text) const {
        uint64_t now = first_[0] & accept_[static_cast<unsigned char>(text[0])];
        for (size_t i = 1; i < text.size() && now; ++i) {
            uint64_t next = 0;
            for (uint64_t rest = now; rest; rest &= rest - 1)
                next |= follow_[static_cast<size_t>(__builtin_ctzll(rest))];
            now = next & accept_[static_cast<unsigned char>(text[i])];
        }
        return (now & last_[0]) != 0;
    }
    bool run_wide(std::string_view text) const {
        std::vector<uint64_t> now = first_, next(words_);
        for (size_t i = 0; i < text.size(); ++i) {
            if (i) {
                std::fill(next.begin(), next.end(), 0);
                for (size_t w = 0; w < words_; ++w)
                    for (uint64_t rest = now[w]; rest; rest &= rest - 1) {
                        const size_t p = w * 64 + static_cast<size_t>(__builtin_ctzll(rest));
                        for (size_t v = 0; v < words_; ++v) next[v] |= follow_[p * words_ + v];
                    }
                now.swap(next);
            }
            const uint64_t* accept = &accept_[static_cast<unsigned char>(text[i]) * words_];
            for (size_t w = 0; w < words_; ++w) now[w] &= accept[w];
        }
        for (size_t w = 0; w < words_; ++w)
            if (now[w] & last_[w]) return true;
        return false;
    }

    size_t words_ = 1;
    bool nullable_ = true;
    std::vector<uint64_t> first_, last_, follow_, accept_;
    std::vector<ByteSet> set_of_;                     // while building
    std::vector<std::vector<size_t>> follow_lists_;  // while building
};

class GlobCompiler {
  public:
    // Alternatives are written out when that gives at most this many globs (arbitrary); beyond, the automaton has them.
    static constexpr size_t kMaxWrittenOut = 64;
    // ... nor tokens in all of them.
    static constexpr size_t kMaxTokens = 8192;

    static void compile(const GlobTokens& tokens, std::vector<Glob>* out) {
        if (tokens.size() == 1 && tokens[0].kind == GlobToken::kRecursivePrefix) {
            out->emplace_back();
            out->back().form = Glob::Form::kEverything;
            return;
        }
        std::vector<GlobTokens> flat(1);
        if (!write_out(tokens, &flat) || token_count(flat) > kMaxTokens) flat.assign(1, tokens);
        for (const GlobTokens& alternative : flat) out->push_back(compile_flat(alternative));
    }

  private:
    static size_t token_count(const std::vector<GlobTokens>& globs) {
        size_t count = 0;
        for (const GlobTokens& tokens : globs) count += tokens.size();
        return count;
    }
    static bool write_out(const GlobTokens& tokens, std::vector<GlobTokens>* flat) {
        for (const GlobToken& token : tokens) {
            if (token.kind != GlobToken::kAlternates) {
                for (GlobTokens& to : *flat) to.push_back(token);
                continue;
            }
            std::vector<GlobTokens> grown;
            bool some = false;
            for (const GlobTokens& branch : token.branches) {
                if (PositionAutomaton::says_nothing(branch)) continue;
                some = true;
                std::vector<GlobTokens> with = *flat;
                if (!write_out(branch, &with) || grown.size() + with.size() > kMaxWrittenOut) return false;
                grown.insert(grown.end(), std::make_move_iterator(with.begin()), std::make_move_iterator(with.end()));
            }
            if (some) *flat = std::move(grown);
        }
        return true;
    }

    static bool is_slash(const GlobToken& token) { return token.kind == GlobToken::kLiteral && token.bytes == "/"; }
    // Within one component: nothing here can match a '/'.
    static bool in_component(const GlobToken& token) {
        return (token.kind == GlobToken::kLiteral && token.bytes != "/") || token.kind == GlobToken::kAny ||
               token.kind == GlobToken::kStar || (token.kind == GlobToken::kClass && !token.set['/']);
    }
    static bool all_literal(const GlobTokens& tokens, size_t from) {
        return std::all_of(tokens.begin() + static_cast<std::ptrdiff_t>(from), tokens.end(),
                           [](const GlobToken& token) { return token.kind == GlobToken::kLiteral; });
    }
    static std::string literal(const GlobTokens& tokens, size_t from, size_t to) {
        std::string text;
        for (size_t i = from; i < to; ++i) text += tokens[i].bytes;
        return text;
    }

    static Glob compile_flat(const GlobTokens& tokens) {
        Glob glob{};
        const size_t count = tokens.size();
        const bool anywhere = count && tokens[0].kind == GlobToken::kRecursivePrefix;
        const size_t body = anywhere ? 1 : 0;
        if (body < count && all_literal(tokens, body)) {
            glob.text = literal(tokens, body, count);
            const bool one_component = glob.text.find('/') == std::string::npos;
            glob.form = !anywhere ? Glob::Form::kPath : one_component ? Glob::Form::kName : Glob::Form::kTail;
            return glob;
        }
        // The last component's tokens, and whether what is before them is literal.
        size_t tail = count;
        while (tail > body && in_component(tokens[tail - 1])) --tail;
        const bool below_literal = !anywhere && tail > 0 && is_slash(tokens[tail - 1]) && literal_until(tokens, tail);
        if (tail < count && (tail == body || below_literal)) {
            if (anywhere && std::all_of(tokens.begin() + 1, tokens.end(),
                                        [](const GlobToken& token) { return token.kind == GlobToken::kStar; })) {
                glob.form = Glob::Form::kEverything;
                return glob;
            }
            if (anywhere && is_extension(tokens)) {
                glob.form = Glob::Form::kExtension;
                glob.text = literal(tokens, 2, count);
                return glob;
            }
            glob.form = anywhere ? Glob::Form::kNameWild : Glob::Form::kPathWild;
            if (!anywhere) glob.text = literal(tokens, 0, tail);
            for (size_t i = tail; i < count; ++i) add_steps(tokens[i], &glob);
            return glob;
        }
        glob.form = Glob::Form::kGeneral;
        glob.automaton_ = std::make_shared<PositionAutomaton>(tokens);
        std::string run;
        for (const GlobToken& token : tokens) {
            if (token.kind == GlobToken::kLiteral) run += token.bytes;
            else run.clear();
            if (run.size() > glob.text.size()) glob.text = run;
        }
        return glob;
    }
    static bool literal_until(const GlobTokens& tokens, size_t end) {
        return std::all_of(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(end),
                           [](const GlobToken& token) { return token.kind == GlobToken::kLiteral; });
    }
    // **/*.ext with one dot
    static bool is_extension(const GlobTokens& tokens) {
        if (tokens.size() < 3 || tokens[1].kind != GlobToken::kStar || tokens[2].bytes != ".") return false;
        return all_literal(tokens, 2) && literal(tokens, 3, tokens.size()).find('.') == std::string::npos;
    }
    static void add_steps(const GlobToken& token, Glob* glob) {
        switch (token.kind) {
            case GlobToken::kLiteral:
                for (char c : token.bytes) glob->steps_.push_back({WildStep::kByte, static_cast<uint8_t>(c), 0});
                break;
            case GlobToken::kAny: glob->steps_.push_back({WildStep::kAny, 0, 0}); break;
            case GlobToken::kClass:
                glob->sets_.push_back(token.set);
                glob->steps_.push_back({WildStep::kClass, 0, static_cast<uint16_t>(glob->sets_.size() - 1)});
                break;
            default:
                if (glob->steps_.empty() || glob->steps_.back().kind != WildStep::kStar)
                    glob->steps_.push_back({WildStep::kStar, 0, 0});
        }
    }
};

namespace {

// One component: only the last star need be tried again, since nothing in the text bounds a star.
bool scan(const std::vector<WildStep>& steps, const std::vector<ByteSet>& sets, std::string_view text) {
    const size_t count = steps.size();
    if (count && steps[0].kind == WildStep::kByte &&
        (text.empty() || static_cast<uint8_t>(text[0]) != steps[0].byte))
        return false;
    if (count && steps[count - 1].kind == WildStep::kByte &&
        (text.empty() || static_cast<uint8_t>(text.back()) != steps[count - 1].byte))
        return false;
    constexpr size_t kNever = ~size_t{0};
    size_t i = 0, s = 0, star = kNever, retry = 0;
    while (i < text.size()) {
        const auto c = static_cast<uint8_t>(text[i]);
        if (s < count && steps[s].kind == WildStep::kStar) {
            star = s++;
            retry = i;
        } else if (s < count && (steps[s].kind == WildStep::kAny ||
                                 (steps[s].kind == WildStep::kByte ? steps[s].byte == c : sets[steps[s].set][c]))) {
            ++s;
            ++i;
        } else if (star != kNever) {
            s = star + 1;
            i = ++retry;
        } else {
            return false;
        }
    }
    while (s < count && steps[s].kind == WildStep::kStar) ++s;
    return s == count;
}

}  // namespace

bool Glob::matches(const Subject& subject) const {
    switch (form) {
        case Form::kEverything: return true;
        case Form::kName: return subject.name == text;
        case Form::kExtension: return subject.ext == text;
        case Form::kPath: return subject.path == text;
        case Form::kTail: {
            const std::string_view path = subject.path;
            if (path.size() < text.size() || path.substr(path.size() - text.size()) != text) return false;
            return path.size() == text.size() || path[path.size() - text.size() - 1] == '/';
        }
        case Form::kNameWild: return scan(steps_, sets_, subject.name);
        case Form::kPathWild:
            return subject.path.size() - subject.name.size() == text.size() &&
                   subject.path.compare(0, text.size(), text) == 0 && scan(steps_, sets_, subject.name);
        case Form::kGeneral:
            return subject.path.size() >= text.size() &&
                   (text.empty() || memmem(subject.path.data(), subject.path.size(), text.data(), text.size())) &&
                   automaton_->matches(subject.path);
    }
    return false;
}

size_t Glob::bytes() const {
    return sizeof *this + text.size() + steps_.size() * sizeof(WildStep) + sets_.size() * sizeof(ByteSet) +
           (automaton_ != nullptr ? automaton_->bytes() : 0);
}

bool Glob::is_too_large(std::string_view glob) {
    return glob.size() > kMostBytes || std::count(glob.begin(), glob.end(), '{') > kMostGroups;
}

bool Glob::parse(std::string_view glob, Options options, std::vector<Glob>* out, std::string* error) {
    if (is_too_large(glob)) {
        if (error) *error = "too large";
        return false;
    }
    GlobTokens tokens;
    if (!parse_glob(glob, options, &tokens, error)) return false;
    GlobCompiler::compile(tokens, out);
    return true;
}

}  // namespace curserve
