#include "plain_word.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "vm.h"

namespace curserve {

namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
char lower(char c) { return is_upper(c) ? static_cast<char>(c | 0x20) : c; }
char upper(char c) { return is_letter(c) ? static_cast<char>(c & 0x5f) : c; }

// The character beyond ASCII that folds to this lower-case letter: KELVIN SIGN, LATIN SMALL LETTER LONG S.
std::string_view far_fold(char letter) {
    return letter == 'k' ? std::string_view("\xe2\x84\xaa") : letter == 's' ? std::string_view("\xc5\xbf") : std::string_view();
}

// The bytes of a character beyond ASCII as RE2's text spells them.
std::string escaped(std::string_view bytes) {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) {
        const auto byte = static_cast<uint8_t>(c);
        out += "\\x";
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
    }
    return out;
}

class Program {
  public:
    explicit Program(size_t letters) { code.reserve(7 * letters + 5); }  // of the largest there can be
    [[gnu::noinline]] void add(Op op, uint8_t byte, uint32_t x, uint32_t y = 0) {
        Inst in{};
        in.op = static_cast<uint8_t>(op);
        in.lo = byte;
        in.hi = op == Op::kByte ? byte : uint8_t{0};
        in.x = x;
        in.y = y;
        code.push_back(in);
    }
    uint32_t here() const { return static_cast<uint32_t>(code.size()); }
    void byte(char c) { add(Op::kByte, static_cast<uint8_t>(c), here() + 1); }
    // Upper case, then lower, then the character beyond ASCII: a tree of two-armed choices, all of which go on behind it.
    void folded(char letter, std::string_view far) {
        const uint32_t behind = here() + (far.empty() ? 3 : 4 + static_cast<uint32_t>(far.size()));
        add(Op::kSplit, 0, here() + 1, here() + 2);
        add(Op::kByte, static_cast<uint8_t>(upper(letter)), behind);
        if (!far.empty()) add(Op::kSplit, 0, here() + 1, here() + 2);
        add(Op::kByte, static_cast<uint8_t>(letter), behind);
        for (const char c : far) byte(c);
    }
    std::vector<Inst> code;
};

MatcherSpec spec_of(std::string_view word, const WordRules& rules) {
    using Case = WordRules::Case;
    const bool fold = rules.letters == Case::kInsensitive ||
                      (rules.letters == Case::kSmart && std::none_of(word.begin(), word.end(), is_upper));
    MatcherSpec spec;
    spec.re2_ascii.reserve(4 * word.size() + 4);
    spec.re2_bytes.reserve(8 * word.size() + 16);
    spec.line_terminator = rules.null_data ? 0 : '\n';
    spec.told_terminator = !rules.multi_line;
    Program program(word.size());
    program.add(Op::kSave, 0, 1, 0);
    const auto look = [&](Look unicode, Look ascii) {
        program.add(Op::kLook, static_cast<uint8_t>(rules.unicode ? unicode : ascii), program.here() + 1);
        spec.re2_ascii += "\\b";
        spec.re2_bytes += "\\b";
    };
    if (rules.bounded) look(Look::kWordStartHalfUnicode, Look::kWordStartHalfAscii);
    std::string literal;
    bool letters = false;
    for (const char c : word) {
        if (!fold || !is_letter(c)) {
            program.byte(c);
            spec.re2_ascii += c;
            spec.re2_bytes += c;
            literal += c;
            continue;
        }
        letters = true;
        const char small = lower(c);
        const std::string_view far = rules.unicode ? far_fold(small) : std::string_view();
        program.folded(small, far);
        const char both[4] = {'[', upper(c), small, ']'};
        const std::string_view pair(both, sizeof both);
        spec.re2_ascii += pair;
        if (far.empty()) spec.re2_bytes += pair;
        else spec.re2_bytes.append("(?:").append(pair).append("|").append(escaped(far)).append(")");
        literal += small;
    }
    if (rules.bounded) look(Look::kWordEndHalfUnicode, Look::kWordEndHalfAscii);
    program.add(Op::kSave, 0, program.here() + 1, 1);
    program.add(Op::kMatch, 0, 0);
    spec.program = std::move(program.code);
    if (rules.bounded && rules.unicode) spec.re2_bytes.clear();  // RE2 knows ASCII's words only
    (rules.bounded ? spec.required : spec.literals) = {literal};
    (rules.bounded ? spec.required_fold_ascii : spec.literals_fold_ascii) = letters;
    return spec;
}

GramQuery grams_of(std::string_view word) {
    std::string packed = "\x01L";
    for (size_t shift = 0; shift < 32; shift += 8) packed += static_cast<char>((word.size() >> shift) & 0xff);
    for (const char c : word) packed += lower(c);
    return GramQuery::unpack(packed);
}

}  // namespace

bool is_plain_word(std::string_view text) {
    return text.size() >= 3 && text.size() <= 64 &&
           std::all_of(text.begin(), text.end(), [](char c) { return is_word_byte(static_cast<uint8_t>(c)); });
}

WordQuestion ask_for_word(std::string_view word, const WordRules& rules) {
    return {Matcher::compile(spec_of(word, rules)), std::make_shared<const GramQuery>(grams_of(word))};
}

bool word_agrees(std::string_view word, const WordRules& rules, const MatcherSpec& spec, const GramQuery& grams) {
    const MatcherSpec ours = spec_of(word, rules);
    const GramQuery::Node& root = grams.root();
    const GramQuery our_grams = grams_of(word);
    return ours.program.size() == spec.program.size() &&
           std::memcmp(ours.program.data(), spec.program.data(), ours.program.size() * sizeof(Inst)) == 0 &&
           ours.capture_slots == spec.capture_slots && ours.line_terminator == spec.line_terminator &&
           ours.multi_line == spec.multi_line && ours.told_terminator == spec.told_terminator &&
           ours.re2_ascii == spec.re2_ascii && ours.re2_bytes == spec.re2_bytes &&
           ours.re2_spans == spec.re2_spans && ours.literals == spec.literals &&
           ours.literals_fold_ascii == spec.literals_fold_ascii && ours.required == spec.required &&
           ours.required_fold_ascii == spec.required_fold_ascii && root.kind == our_grams.root().kind &&
           root.grams == our_grams.root().grams && root.subs.empty();
}

}  // namespace curserve
