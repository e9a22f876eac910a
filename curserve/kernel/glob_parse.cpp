// glob_parse.cpp: the text of a glob to its tokens.
//
// In: UTF-8 text. Out: GlobTokens or ripgrep's description of the fault. The rules for `**` look at the *previous
// character read* and at whether the current alternative is still empty, as globset's do; so do we, for its quirks'
// sake (`{**}` is two stars, `a/{**/b}` begins with a recursive prefix).
#include <algorithm>
#include <iterator>
#include <utility>

#include "glob_token.h"

namespace curserve {
namespace {

constexpr char32_t kNone = 0xffffffff;

size_t utf8_length(unsigned char lead) {
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

char32_t code_point(std::string_view bytes) {
    const auto at = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(bytes[i])); };
    switch (bytes.size()) {
        case 1: return at(0);
        case 2: return (at(0) & 0x1f) << 6 | (at(1) & 0x3f);
        case 3: return (at(0) & 0x0f) << 12 | (at(1) & 0x3f) << 6 | (at(2) & 0x3f);
        default: return (at(0) & 0x07) << 18 | (at(1) & 0x3f) << 12 | (at(2) & 0x3f) << 6 | (at(3) & 0x3f);
    }
}

class Parser {
  public:
    Parser(std::string_view glob, Glob::Options options) : glob_(glob), options_(options) { branches_.emplace_back(); }

    bool run(GlobTokens* out, std::string* error) {
        bool fine = true;
        while (fine && bump()) {
            switch (cur_) {
                case '?': push(GlobToken::kAny); break;
                case '*': star(); break;
                case '[':
                    if (found_unclosed_class_) push_literal(text_);
                    else fine = parse_class();
                    break;
                case '{':
                    open_.push_back(branches_.size());
                    branches_.emplace_back();
                    break;
                case '}': fine = close(); break;
                case ',':
                    if (open_.empty()) push_literal(text_);
                    else branches_.emplace_back();
                    break;
                case '\\':
                    if (bump()) push_literal(text_);
                    else fine = fail("dangling '\\'");
                    break;
                default: push_literal(text_);
            }
        }
        if (fine && branches_.size() > 1)
            fine = fail("unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)");
        if (!fine) {
            if (error) *error = error_;
            return false;
        }
        *out = std::move(branches_.back());
        return true;
    }

  private:
    bool bump() {
        prev_ = cur_;
        if (next_ >= glob_.size()) {
            cur_ = kNone;
            return false;
        }
        const size_t length = std::min(utf8_length(static_cast<unsigned char>(glob_[next_])), glob_.size() - next_);
        text_ = glob_.substr(next_, length);
        cur_ = code_point(text_);
        next_ += length;
        return true;
    }
    // ASCII only: every character that the callers compare with is.
    char32_t peek() const { return next_ < glob_.size() ? static_cast<unsigned char>(glob_[next_]) : kNone; }

    bool fail(std::string what) {
        error_ = std::move(what);
        return false;
    }
    GlobToken& push(GlobToken::Kind kind) {
        branches_.back().push_back(GlobToken{kind, {}, {}, {}});
        return branches_.back().back();
    }
    void push_literal(std::string_view bytes) {
        std::string& to = push(GlobToken::kLiteral).bytes;
        to.assign(bytes);
        if (options_.fold)
            for (char& c : to)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    void push_two_stars() {
        push(GlobToken::kStar);
        push(GlobToken::kStar);
    }

    bool close() {
        if (open_.empty()) return fail("unopened alternate group; missing '{' (maybe escape '}' with '[}]'?)");
        const auto start = static_cast<std::ptrdiff_t>(open_.back());
        open_.pop_back();
        std::vector<GlobTokens> taken(std::make_move_iterator(branches_.begin() + start),
                                      std::make_move_iterator(branches_.end()));
        branches_.erase(branches_.begin() + start, branches_.end());
        push(GlobToken::kAlternates).branches = std::move(taken);
        return true;
    }

    void star() {
        const char32_t before = prev_;
        if (peek() != '*') {
            push(GlobToken::kStar);
            return;
        }
        bump();
        GlobTokens& tokens = branches_.back();
        if (tokens.empty()) {
            if (peek() != kNone && peek() != '/') return push_two_stars();
            push(GlobToken::kRecursivePrefix);
            bump();
            return;
        }
        if (before != '/' && (branches_.size() <= 1 || (before != ',' && before != '{'))) return push_two_stars();
        bool suffix = false;
        if (peek() == kNone) {
            bump();
            suffix = true;
        } else if ((peek() == ',' || peek() == '}') && branches_.size() >= 2) {
            suffix = true;
        } else if (peek() == '/') {
            bump();
        } else {
            return push_two_stars();
        }
        const GlobToken::Kind last = tokens.back().kind;
        tokens.pop_back();
        if (last == GlobToken::kRecursivePrefix || last == GlobToken::kRecursiveSuffix) push(last);
        else push(suffix ? GlobToken::kRecursiveSuffix : GlobToken::kRecursiveMiddle);
    }

    bool parse_class() {
        const size_t saved_next = next_;
        const char32_t saved_prev = prev_, saved_cur = cur_;
        struct Range {
            std::string low, high;
        };
        std::vector<Range> ranges;
        bool negated = false, first = true, in_range = false;
        if (peek() == '!' || peek() == '^') {
            bump();
            negated = true;
        }
        for (;; first = false) {
            if (!bump()) {
                if (!options_.allow_unclosed_class) return fail("unclosed character class; missing ']'");
                next_ = saved_next;
                prev_ = saved_prev;
                cur_ = saved_cur;
                found_unclosed_class_ = true;
                push_literal("[");
                return true;
            }
            if (cur_ == ']' && !first) break;
            if (cur_ == '-' && !first && !in_range) {
                in_range = true;
                continue;
            }
            if (in_range) {
                Range& range = ranges.back();
                range.high.assign(text_);
                if (code_point(range.high) < code_point(range.low))
                    return fail("invalid range; '" + range.low + "' > '" + range.high + "'");
                in_range = false;
            } else {
                ranges.push_back({std::string(text_), std::string(text_)});
            }
        }
        if (in_range) ranges.push_back({"-", "-"});
        // The class is one of bytes: a range contributes the bytes of its low end but the last, the range from there to
        // the first byte of its high end, and the rest of the high end (what the non-Unicode regex reads).
        ByteSet set;
        for (const Range& range : ranges) {
            for (char c : range.low) set.set(static_cast<unsigned char>(c));
            if (range.low == range.high) continue;
            for (unsigned b = static_cast<unsigned char>(range.low.back());
                 b <= static_cast<unsigned char>(range.high.front()); ++b)
                set.set(b);
            for (char c : range.high) set.set(static_cast<unsigned char>(c));
        }
        if (options_.fold) {
            for (unsigned b = 'a'; b <= 'z'; ++b) {
                const bool either = set[b] || set[b - 'a' + 'A'];
                set[b] = either;
                set[b - 'a' + 'A'] = either;
            }
        }
        push(GlobToken::kClass).set = negated ? ~set : set;
        return true;
    }

    std::string_view glob_;
    Glob::Options options_;
    size_t next_ = 0;
    std::string_view text_;
    char32_t prev_ = kNone, cur_ = kNone;
    bool found_unclosed_class_ = false;
    std::vector<size_t> open_;          // where each open group's alternatives begin in branches_
    std::vector<GlobTokens> branches_;  // tokens go to the last
    std::string error_;
};

}  // namespace

bool parse_glob(std::string_view glob, Glob::Options options, GlobTokens* out, std::string* error) {
    return Parser(glob, options).run(out, error);
}

}  // namespace curserve
