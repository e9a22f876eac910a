// matcher_test.cpp: every engine against a backtracker written here, on random patterns and random bytes.
//
// Usage: matcher_test [SEED [ROUNDS]]. Prints the seed and, on the first difference, what it takes to see it again. Built and
// run by test_matcher.py.
#include "matcher.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "class_finder.h"
#include "dfa.h"
#include "literal.h"
#include "vm.h"

using namespace curserve;

namespace {

std::mt19937_64 rng;
uint64_t checks = 0;

size_t below(size_t n) { return n == 0 ? 0 : static_cast<size_t>(rng() % n); }
bool chance(size_t percent) { return below(100) < percent; }

std::string shown(const std::string& s) {
    std::string out;
    for (const char c : s) {
        char buffer[8];
        const unsigned b = static_cast<uint8_t>(c);
        if (b >= 0x20 && b < 0x7F && b != '\\') {
            out.push_back(c);
        } else {
            std::snprintf(buffer, sizeof buffer, "\\x%02X", b);
            out += buffer;
        }
    }
    return out;
}

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "FAIL: %s\n", what.c_str());
    std::exit(1);
}

void check(bool ok, const std::function<std::string()>& what) {
    ++checks;
    if (!ok) fail(what());
}

// A haystack whose end is the end of its memory, so that the sanitizer sees every byte read too far.
struct Text {
    explicit Text(const std::string& s) : bytes(new uint8_t[s.size()]), size(s.size()) {
        std::copy(s.begin(), s.end(), bytes.get());
    }
    std::unique_ptr<uint8_t[]> bytes;
    size_t size;
};

// ---- a tiny assembler: trees to programs and to RE2's syntax

struct Node {
    enum Kind { kEmpty, kClass, kConcat, kAlternate, kRepeat, kLook, kGroup } kind = kEmpty;
    uint8_t lo = 0, hi = 0;  // class
    int min = 0, max = -1;   // repeat; -1: no end
    bool lazy = false;
    Look look = Look::kStart;
    std::vector<Node> kids;
};

struct Assembler {
    std::vector<Inst> code;
    uint32_t groups = 0;
    bool re2_says_it = true;   // anchors and boundaries that RE2 has
    bool unicode = false;      // a look-around whose RE2 form is right for ASCII only
    bool hollow_loop = false;  // a loop over what may be empty: RE2's spans are its own there

    uint32_t emit(Op op, uint32_t x, uint32_t y = 0, uint8_t lo = 0, uint8_t hi = 0) {
        code.push_back({static_cast<uint8_t>(op), lo, hi, 0, x, y});
        return static_cast<uint32_t>(code.size() - 1);
    }
    uint32_t here() const { return static_cast<uint32_t>(code.size()); }

    static bool nullable(const Node& n) {
        switch (n.kind) {
            case Node::kEmpty:
            case Node::kLook: return true;
            case Node::kClass: return false;
            case Node::kConcat: return std::all_of(n.kids.begin(), n.kids.end(), nullable);
            case Node::kAlternate: return std::any_of(n.kids.begin(), n.kids.end(), nullable);
            case Node::kRepeat: return n.min == 0 || nullable(n.kids[0]);
            case Node::kGroup: return nullable(n.kids[0]);
        }
        return true;
    }

    void fork(uint32_t split, uint32_t into, uint32_t past, bool lazy) {
        code[split].x = lazy ? past : into;
        code[split].y = lazy ? into : past;
    }

    void assemble(const Node& n) {
        switch (n.kind) {
            case Node::kEmpty: break;
            case Node::kClass: emit(Op::kByte, here() + 1, 0, n.lo, n.hi); break;
            case Node::kConcat:
                for (const Node& k : n.kids) assemble(k);
                break;
            case Node::kAlternate: {
                std::vector<uint32_t> ends;
                for (size_t i = 0; i < n.kids.size(); ++i) {
                    const bool last = i + 1 == n.kids.size();
                    const uint32_t split = last ? 0 : emit(Op::kSplit, 0);
                    assemble(n.kids[i]);
                    if (last) break;
                    ends.push_back(emit(Op::kJump, 0));
                    fork(split, split + 1, here(), false);
                }
                for (const uint32_t e : ends) code[e].x = here();
                break;
            }
            case Node::kRepeat: {
                if (nullable(n.kids[0])) hollow_loop = true;
                const uint32_t before = groups;
                for (int i = 0; i < n.min; ++i) {
                    groups = before;
                    assemble(n.kids[0]);
                }
                if (n.max < 0) {
                    groups = before;
                    const uint32_t split = emit(Op::kSplit, 0);
                    assemble(n.kids[0]);
                    emit(Op::kJump, split);
                    fork(split, split + 1, here(), n.lazy);
                } else {
                    std::vector<uint32_t> splits;
                    for (int i = n.min; i < n.max; ++i) {
                        groups = before;
                        splits.push_back(emit(Op::kSplit, 0));
                        assemble(n.kids[0]);
                    }
                    for (const uint32_t s : splits) fork(s, s + 1, here(), n.lazy);
                }
                break;
            }
            case Node::kLook: emit(Op::kLook, here() + 1, 0, static_cast<uint8_t>(n.look)); break;
            case Node::kGroup: {
                const uint32_t g = ++groups;
                emit(Op::kSave, here() + 1, 2 * g);
                assemble(n.kids[0]);
                emit(Op::kSave, here() + 1, 2 * g + 1);
                break;
            }
        }
    }

    std::string re2(const Node& n) {
        char buffer[32];
        switch (n.kind) {
            case Node::kEmpty: return "(?:)";
            case Node::kClass: std::snprintf(buffer, sizeof buffer, "[\\x%02X-\\x%02X]", n.lo, n.hi); return buffer;
            case Node::kConcat: {
                std::string s;
                for (const Node& k : n.kids) s += re2(k);
                return "(?:" + s + ")";
            }
            case Node::kAlternate: {
                std::string s;
                for (const Node& k : n.kids) s += (s.empty() ? "" : "|") + re2(k);
                return "(?:" + s + ")";
            }
            case Node::kRepeat: {
                std::string s = "(?:" + re2(n.kids[0]) + "){" + std::to_string(n.min) + ",";
                if (n.max >= 0) s += std::to_string(n.max);
                return s + "}" + (n.lazy ? "?" : "");
            }
            case Node::kGroup: return "(" + re2(n.kids[0]) + ")";
            case Node::kLook: break;
        }
        switch (n.look) {
            case Look::kStart: return "\\A";
            case Look::kEnd: return "\\z";
            case Look::kStartLF: return "(?m:^)";
            case Look::kEndLF: return "(?m:$)";
            case Look::kWordUnicode: unicode = true; return "\\b";
            case Look::kWordUnicodeNegate: unicode = true; return "\\B";
            case Look::kWordAscii: return "\\b";
            case Look::kWordAsciiNegate: return "\\B";
            default: re2_says_it = false; return "(?:)";
        }
    }
};

// Bytes that make look-around and UTF-8 interesting.
const std::vector<std::string> kAtoms = {"a", "b", "k", "K", "s", "S", "_", " ", "-", "0", "\r", "\xC3\xA9", "\xE2\x84\xAA",
                                         "\xC5\xBF", "\xF0\x9D\x92\x9C", "\xE2\x80\x94", "\xFF", "\xC3", "\x84", "\xE2\x84"};

std::string random_text(size_t atoms, bool ascii, uint8_t terminator, size_t per_line = 8) {
    std::string s;
    for (size_t i = 0; i < atoms; ++i) {
        if (below(per_line) == 0) {
            s.push_back(static_cast<char>(terminator));
        } else {
            s += kAtoms[below(ascii ? 11 : kAtoms.size())];
        }
    }
    return s;
}

Node random_node(int depth, bool looks, bool lines, uint8_t terminator) {
    Node n;
    const size_t pick = below(depth <= 0 ? 3 : 10);
    if (pick == 9 || (depth <= 0 && pick == 2 && !looks)) return n;
    if (pick <= 1 || (pick == 2 && !looks)) {
        n.kind = Node::kClass;
        if (chance(15)) {
            n.lo = static_cast<uint8_t>(below(256));
            n.hi = static_cast<uint8_t>(n.lo + below(256u - n.lo));
        } else if (chance(20)) {
            n.lo = 'a';
            n.hi = 'z';
        } else {
            const std::string& a = kAtoms[below(chance(70) ? 10 : kAtoms.size())];
            n.lo = n.hi = static_cast<uint8_t>(a[below(a.size())]);
        }
        if (lines && n.lo <= terminator && terminator <= n.hi) n.lo = n.hi = 'a';
        return n;
    }
    if (pick == 2) {
        n.kind = Node::kLook;
        n.look = static_cast<Look>(below(18));
        return n;
    }
    if (pick <= 5) {
        n.kind = Node::kConcat;
        for (size_t i = 1 + below(4); i > 0; --i) n.kids.push_back(random_node(depth - 1, looks, lines, terminator));
    } else if (pick == 6) {
        n.kind = Node::kAlternate;
        for (size_t i = 2 + below(3); i > 0; --i) n.kids.push_back(random_node(depth - 1, looks, lines, terminator));
    } else if (pick == 7) {
        n.kind = Node::kRepeat;
        n.min = static_cast<int>(below(3));
        n.max = chance(60) ? -1 : n.min + static_cast<int>(below(3));
        if (n.max == 0) n.max = 1;
        n.lazy = chance(30);
        n.kids.push_back(random_node(depth - 1, looks, lines, terminator));
    } else {
        n.kind = Node::kGroup;
        n.kids.push_back(random_node(depth - 1, looks, lines, terminator));
    }
    return n;
}

MatcherSpec make_spec(const Node& tree, uint8_t terminator, bool multi_line) {
    Assembler a;
    a.emit(Op::kSave, 1, 0);
    a.assemble(tree);
    a.emit(Op::kSave, a.here() + 1, 1);
    a.emit(Op::kMatch, 0);
    const std::string text = a.re2(tree);
    MatcherSpec spec;
    spec.program = a.code;
    spec.capture_slots = 2 * (a.groups + 1);
    spec.line_terminator = terminator;
    spec.multi_line = multi_line;
    if (a.re2_says_it && terminator == '\n') {
        spec.re2_ascii = text;
        if (!a.unicode) spec.re2_bytes = text;
    }
    spec.re2_spans = !a.hollow_loop;
    return spec;
}

std::string listing(const MatcherSpec& spec) {
    std::string s = "re2_ascii=" + spec.re2_ascii + " spans=" + std::to_string(spec.re2_spans) + "\n";
    for (size_t i = 0; i < spec.program.size(); ++i) {
        const Inst& in = spec.program[i];
        s += std::to_string(i) + ": op " + std::to_string(in.op) + " " + std::to_string(in.lo) + "-" +
             std::to_string(in.hi) + " x " + std::to_string(in.x) + " y " + std::to_string(in.y) + "\n";
    }
    return s;
}

// ---- the reference: depth first, each (instruction, position) tried once per start

struct Backtracker {
    const MatcherSpec& spec;
    const Text& text;
    size_t limit;
    std::vector<char> seen;
    std::vector<size_t> slots;

    bool go(uint32_t i, size_t at) {
        char& mark = seen[i * (text.size + 1) + at];
        if (mark != 0) return false;
        mark = 1;
        const Inst& in = spec.program[i];
        switch (static_cast<Op>(in.op)) {
            case Op::kFail: return false;
            case Op::kByte:
                return at < limit && in.lo <= text.bytes[at] && text.bytes[at] <= in.hi && go(in.x, at + 1);
            case Op::kSplit: return go(in.x, at) || go(in.y, at);
            case Op::kSave: {
                const size_t old = slots[in.y];
                slots[in.y] = at;
                if (go(in.x, at)) return true;
                slots[in.y] = old;
                return false;
            }
            case Op::kLook:
                return look_holds(static_cast<Look>(in.lo), text.bytes.get(), text.size, at) &&
                       go(in.x, at);
            case Op::kJump: return go(in.x, at);
            case Op::kMatch: return true;
        }
        return false;
    }

    bool search(size_t at) {
        seen.assign(spec.program.size() * (text.size + 1), 0);
        for (size_t start = at; start <= limit; ++start) {
            slots.assign(spec.capture_slots, kNone);
            if (go(0, start)) return true;
        }
        return false;
    }
};

// ---- tests

void test_bytes() {
    for (int round = 0; round < 400; ++round) {
        std::string s = random_text(below(200), chance(50), '\n');
        const Text t(s);
        const size_t from = below(s.size() + 1);
        const uint8_t byte = static_cast<uint8_t>(s.empty() ? 'a' : s[below(s.size())]);
        check(count_byte(t.bytes.get(), t.size, byte) ==
                  static_cast<size_t>(std::count(s.begin(), s.end(), static_cast<char>(byte))),
              [&] { return "count_byte " + shown(s); });
        size_t high = kNotFound, fold = kNotFound;
        for (size_t i = s.size(); i-- > from;) {
            if (static_cast<uint8_t>(s[i]) >= 0x80) high = i;
            if (s.compare(i, 3, "\xE2\x84\xAA") == 0 || s.compare(i, 2, "\xC5\xBF") == 0) fold = i;
        }
        check(find_non_ascii(t.bytes.get(), t.size, from) == high, [&] { return "find_non_ascii " + shown(s); });
        check(find_ascii_fold(t.bytes.get(), t.size, from) == fold, [&] { return "find_ascii_fold " + shown(s); });
        size_t end = s.find(static_cast<char>(byte), from);
        if (end == std::string::npos) end = s.size();
        check(find_terminator(t.bytes.get(), t.size, from, byte) == end, [&] { return "find_terminator " + shown(s); });
        ByteSet set;
        for (size_t k = below(4); k > 0 && !s.empty(); --k) set.add(static_cast<uint8_t>(s[below(s.size())]));
        size_t member = from;
        while (member < s.size() && !set.has[static_cast<uint8_t>(s[member])]) ++member;
        check(find_in_set(t.bytes.get(), t.size, from, set) == member, [&] { return "find_in_set " + shown(s); });
        const size_t at = from + below(s.size() - from + 1);
        size_t start = at;
        while (start > from && static_cast<uint8_t>(s[start - 1]) != byte) --start;
        check(find_line_start(t.bytes.get(), from, at, byte) == start, [&] { return "find_line_start " + shown(s); });
    }
    std::string many(100000, 'x');
    check(count_byte(reinterpret_cast<const uint8_t*>(many.data()), many.size(), 'x') == many.size(),
          [] { return std::string("count_byte: lanes overflow"); });
}

char fold_case(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

void test_literals() {
    for (int round = 0; round < 4000; ++round) {
        const size_t letters = 2 + below(4);
        const auto letter = [&] {
            static const char kAll[] = "abAB\x80\n";
            return kAll[below(letters)];
        };
        const size_t size = below(chance(20) ? 2000 : 150);
        std::string s;
        const char filler = chance(50) ? 'z' : letter();
        for (size_t i = 0; i < size; ++i) s.push_back(chance(60) ? filler : letter());
        std::vector<std::string> lits;
        const size_t count = chance(40) ? 1 : 1 + below(chance(10) ? 100 : 6);
        const size_t longest = 1 + below(6);
        for (size_t i = 0; i < count; ++i) {
            std::string lit;
            for (size_t k = chance(1) ? 0 : 1 + below(longest); k > 0; --k) lit.push_back(letter());
            lits.push_back(lit);
        }
        const bool fold = chance(40);
        const auto same = [&](char a, char b) { return fold ? fold_case(a) == fold_case(b) : a == b; };
        const Text t(s);
        const LiteralFinder with(lits, fold, true), without(lits, fold, false);
        for (size_t at = 0; at <= s.size(); at += 1 + below(20)) {
            LiteralHit want;
            for (size_t i = at; i <= s.size() && want.start == kNotFound; ++i) {
                for (uint32_t k = 0; k < lits.size(); ++k) {
                    if (lits[k].size() > s.size() - i) continue;
                    if (!std::equal(lits[k].begin(), lits[k].end(), s.begin() + static_cast<ptrdiff_t>(i), same)) continue;
                    want = {i, k};
                    break;
                }
            }
            for (const LiteralFinder* f : {&with, &without}) {
                const LiteralHit got = f->find(t.bytes.get(), t.size, at);
                check(got.start == want.start && (got.start == kNotFound || got.which == want.which), [&] {
                    std::string w = "literals, at " + std::to_string(at) + " in " + shown(s) + ":";
                    for (const std::string& l : lits) w += " '" + shown(l) + "'";
                    return w + " fold " + std::to_string(fold) + " want " + std::to_string(want.start) + " got " +
                           std::to_string(got.start);
                });
            }
        }
    }
}

void test_vm(int rounds) {
    Pace pace;
    VmScratch scratch;
    for (int round = 0; round < rounds; ++round) {
        const uint8_t terminator = chance(80) ? '\n' : '\0';
        const MatcherSpec spec = make_spec(random_node(4, true, false, terminator), terminator, true);
        if (spec.program.size() > 600) continue;
        const Vm vm(spec.program, spec.capture_slots);
        for (int k = 0; k < 6; ++k) {
            const std::string s = random_text(below(14), chance(40), terminator);
            const Text t(s);
            const size_t at = below(t.size + 1), limit = chance(70) ? t.size : at + below(t.size - at + 1);
            Backtracker reference{spec, t, limit, {}, {}};
            const bool want = reference.search(at);
            std::vector<size_t> slots(spec.capture_slots, 0);
            const bool got = vm.search(t.bytes.get(), t.size, at, limit, scratch, pace, slots.data(), slots.size());
            const auto what = [&] {
                return "vm at " + std::to_string(at) + " limit " + std::to_string(limit) + " in '" + shown(s) + "'\n" +
                       listing(spec);
            };
            check(got == want && (!want || slots == reference.slots), what);
            check(vm.search(t.bytes.get(), t.size, at, limit, scratch, pace, nullptr, 0) == want, what);
            // The automaton answers the same, or asks.
            Dfa::Cache cache;
            const Dfa dfa(spec.program, terminator);
            const Dfa::Result r = dfa.walk(t.bytes.get(), t.size, at, limit, cache, pace);
            check(r.outcome == Dfa::Outcome::kAsk || (r.outcome == Dfa::Outcome::kFound) == want, what);
            if (!is_ascii(t.bytes.get(), t.size)) continue;
            const Dfa ascii(spec.program, terminator, true);
            const Dfa::Result a = ascii.walk(t.bytes.get(), t.size, at, limit, cache, pace);
            check(a.outcome == (want ? Dfa::Outcome::kFound : Dfa::Outcome::kNone), what);
        }
    }
}

const EngineChoice kChoices[] = {EngineChoice::kAuto, EngineChoice::kDfa, EngineChoice::kRe2};

// Lines found many at a time against those found one by one. Gives how many there were, 0 if they are not found so.
size_t compare_batches(const Matcher& matcher, const std::string& s, bool ascii, Scratch& scratch) {
    const Text t(s);
    const size_t most = chance(50) ? LineBatch::kMost : 1 + below(5);
    size_t found = 0;
    for (size_t from = 0; from < t.size;) {
        LineBatch batch;
        if (!matcher.find_lines(t.bytes.get(), t.size, from, ascii, scratch, most, &batch)) return 0;
        const auto what = [&] {
            return "find_lines from " + std::to_string(from) + ", at most " + std::to_string(most) + ", in '" + shown(s) +
                   "'\n" + listing(matcher.spec());
        };
        const auto terminators = [&](size_t end) {
            const char byte = static_cast<char>(matcher.spec().line_terminator);
            return static_cast<uint64_t>(std::count(s.data() + from, s.data() + end, byte));
        };
        size_t at = from;
        for (size_t i = 0; i < batch.count; ++i) {
            const Line& line = batch.lines[i];
            const Span want = matcher.find_line(t.bytes.get(), t.size, at, ascii, scratch);
            check(want.start == line.start && std::min(want.end + 1, t.size) == line.end, what);
            check(line.before == terminators(line.start), what);
            at = line.end;
        }
        check(batch.count <= most && batch.upto == (batch.count == most ? at : t.size), what);
        check(batch.terminators == terminators(batch.upto), what);
        check(batch.count == most || at >= t.size ||
                  matcher.find_line(t.bytes.get(), t.size, at, ascii, scratch).start == kNone, what);
        found += batch.count;
        from = batch.upto;
    }
    return found;
}

// All engines against the simulation: all lines, and all spans from random places.
void compare(const MatcherSpec& spec, const std::string& s, Scratch* scratches, size_t spans,
             const std::shared_ptr<const Matcher>* engines) {
    const Text t(s);
    const bool ascii = is_ascii(t.bytes.get(), t.size);
    const auto what = [&](const char* kind, size_t k, size_t at, Span want, Span got) {
        std::string w = std::string(kind) + ", engine " + std::to_string(k) + " (" + engines[k + 1]->engine() + ") from " +
                        std::to_string(at) + ": want " + std::to_string(static_cast<ptrdiff_t>(want.start)) + ".." +
                        std::to_string(static_cast<ptrdiff_t>(want.end)) + " got " +
                        std::to_string(static_cast<ptrdiff_t>(got.start)) + ".." +
                        std::to_string(static_cast<ptrdiff_t>(got.end)) + " in '" + shown(s.substr(0, 400)) + "'\n";
        for (const std::string& l : spec.literals) w += "literal '" + shown(l) + "' ";
        for (const std::string& l : spec.required) w += "required '" + shown(l) + "' ";
        return w + listing(spec);
    };
    for (size_t from = 0; !spec.multi_line;) {
        const Span want = engines[0]->find_line(t.bytes.get(), t.size, from, ascii, scratches[0]);
        for (size_t k = 0; k < 3; ++k) {
            const Span got = engines[k + 1]->find_line(t.bytes.get(), t.size, from, ascii, scratches[k + 1]);
            check(got.start == want.start && got.end == want.end, [&] { return what("find_line", k, from, want, got); });
        }
        if (want.start == kNone) break;
        from = want.end + 1;
    }
    if (!spec.multi_line) compare_batches(*engines[1], s, ascii, scratches[1]);
    std::vector<size_t> places(spans);
    for (size_t& at : places) at = below(t.size + 1);
    std::sort(places.begin(), places.end());
    LineAhead ahead[3];
    for (const size_t at : places) {
        std::vector<size_t> wanted(spec.capture_slots), slots(spec.capture_slots);
        const Span want = engines[0]->find(t.bytes.get(), t.size, at, ascii, scratches[0], wanted.data());
        for (size_t k = 0; k < 3; ++k) {
            const bool captures = chance(50);
            const Span got =
                engines[k + 1]->find(t.bytes.get(), t.size, at, ascii, scratches[k + 1], captures ? slots.data() : nullptr);
            check(got.start == want.start && got.end == want.end && (!captures || got.start == kNone || slots == wanted),
                  [&] { return what("find", k, at, want, got); });
            const Span next = engines[k + 1]->find(t.bytes.get(), t.size, at, ascii, scratches[k + 1], nullptr, &ahead[k]);
            check(next.start == want.start && next.end == want.end, [&] { return what("find on", k, at, want, next); });
        }
    }
}

void compile_all(const MatcherSpec& spec, std::shared_ptr<const Matcher>* engines) {
    engines[0] = Matcher::compile(spec, EngineChoice::kVm);
    for (size_t k = 0; k < 3; ++k) engines[k + 1] = Matcher::compile(spec, kChoices[k]);
}

void test_engines(int rounds) {
    Scratch scratches[4];
    for (int round = 0; round < rounds; ++round) {
        const uint8_t terminator = chance(85) ? '\n' : '\0';
        const bool multi_line = chance(30);
        const MatcherSpec spec = make_spec(random_node(4, chance(60), !multi_line || chance(50), terminator), terminator,
                                           multi_line);
        if (spec.program.size() > 600) continue;
        std::shared_ptr<const Matcher> engines[4];
        compile_all(spec, engines);
        for (int k = 0; k < 3; ++k) {
            compare(spec, random_text(below(chance(10) ? 2500 : 60), chance(40), terminator), scratches, 6, engines);
        }
    }
}

// Literal lists (the pattern is the list) and required literals, folded or not, with U+212A and U+017F about.
Node folded(const std::string& lit, bool fold) {
    Node n;
    n.kind = Node::kConcat;
    for (const char c : lit) {
        Node alternatives;
        alternatives.kind = Node::kAlternate;
        std::vector<std::string> ways{std::string(1, c)};
        const char l = fold_case(c);
        if (fold && l >= 'a' && l <= 'z') ways = {std::string(1, l), std::string(1, static_cast<char>(l - 32))};
        if (fold && l == 'k') ways.push_back("\xE2\x84\xAA");
        if (fold && l == 's') ways.push_back("\xC5\xBF");
        for (const std::string& w : ways) {
            Node bytes;
            bytes.kind = Node::kConcat;
            for (const char b : w) {
                Node one;
                one.kind = Node::kClass;
                one.lo = one.hi = static_cast<uint8_t>(b);
                bytes.kids.push_back(one);
            }
            alternatives.kids.push_back(bytes);
        }
        n.kids.push_back(alternatives);
    }
    return n;
}

void test_filters(int rounds) {
    Scratch scratches[4];
    for (int round = 0; round < rounds; ++round) {
        const bool fold = chance(60);
        std::vector<std::string> lits;
        for (size_t i = chance(50) ? 1 : 2 + below(4); i > 0; --i) {
            std::string lit;
            for (size_t k = 1 + below(4); k > 0; --k) lit += kAtoms[below(chance(90) ? 10 : 12)];
            lits.push_back(lit);
        }
        if (fold) {  // a literal outside ASCII folds in ways this test does not spell out
            lits.erase(std::remove_if(lits.begin(), lits.end(),
                                      [](const std::string& l) {
                                          return !is_ascii(reinterpret_cast<const uint8_t*>(l.data()), l.size());
                                      }),
                       lits.end());
            if (lits.empty()) continue;
        }
        Node list;
        list.kind = Node::kAlternate;
        for (const std::string& l : lits) list.kids.push_back(folded(l, fold));
        Node tree = list;
        const bool exactly = chance(50);
        if (!exactly) {
            tree = Node();
            tree.kind = Node::kConcat;
            tree.kids = {random_node(2, true, true, '\n'), list, random_node(2, true, true, '\n')};
        } else if (chance(30)) {
            tree = Node();
            tree.kind = Node::kGroup;
            tree.kids = {list};
        }
        MatcherSpec spec = make_spec(tree, '\n', chance(20));
        if (spec.program.size() > 800) continue;
        if (exactly) {
            spec.literals = lits;
            spec.literals_fold_ascii = fold;
        } else {
            spec.required = lits;
            spec.required_fold_ascii = fold;
        }
        std::shared_ptr<const Matcher> engines[4];
        compile_all(spec, engines);
        for (int k = 0; k < 3; ++k) {
            compare(spec, random_text(below(chance(10) ? 3000 : 120), chance(30), '\n'), scratches, 6, engines);
        }
    }
}

// Alternatives that begin with the same byte >= 0x80: RE2 in byte mode gets them wrong unless they are spelled with care.
void test_common_beginnings() {
    for (const bool spell_as_class : {false, true}) {
        const auto byte = [&](const char* hex) { return std::string(spell_as_class ? "[\\x" : "\\x") + hex + (spell_as_class ? "]" : ""); };
        Node a = folded("\xFF\xC3" "a", false), b = folded("\xFF\xC3" "b", false), tree;
        tree.kind = Node::kAlternate;
        tree.kids = {a, b};
        MatcherSpec spec = make_spec(tree, '\n', false);
        spec.re2_bytes = byte("FF") + byte("C3") + "a|" + byte("FF") + byte("C3") + "b";
        spec.re2_ascii.clear();
        std::shared_ptr<const Matcher> engines[4];
        Scratch scratches[4];
        compile_all(spec, engines);
        for (int k = 0; k < 50; ++k) compare(spec, "z\xFF\xC3" "b\n\xFF\xC3\n\xC3\xBF" "a\n\xFF\xC3" "a\n", scratches, 4, engines);
    }
}

// Long texts with few matches, for the four walkers; patterns with more states than the table holds.
void test_long(int rounds) {
    Scratch scratches[4];
    for (int round = 0; round < rounds; ++round) {
        MatcherSpec spec;
        if (chance(25)) {
            Node ab, x, many, tail;
            ab.kind = Node::kClass;
            ab.lo = 'a';
            ab.hi = 'b';
            x = ab;
            x.hi = 'a';
            tail.kind = Node::kRepeat;
            tail.min = tail.max = 18;
            tail.kids = {ab};
            Node end;
            end.kind = Node::kClass;
            end.lo = end.hi = 'Q';
            many.kind = Node::kConcat;
            many.kids = {x, tail, end};
            spec = make_spec(many, '\n', false);
            if (chance(50)) spec.re2_bytes.clear();
            if (chance(50)) spec.re2_ascii.clear();
        } else {
            spec = make_spec(random_node(4, chance(60), true, '\n'), '\n', false);
        }
        if (spec.program.size() > 300) continue;
        std::string s;
        const size_t size = 20000 + below(150000);
        const bool ascii = chance(50);
        const bool dense = chance(20);
        while (s.size() < size) {
            if (dense) {
                for (size_t k = below(60); k > 0; --k) s.push_back(chance(50) ? 'a' : 'b');
                s.push_back('\n');
            } else {
                s += std::string(below(70), chance(50) ? 'z' : '=') + "\n";
                if (chance(1)) s += random_text(10, ascii, '\n');
            }
        }
        if (chance(50)) s += "ab aabb";
        std::shared_ptr<const Matcher> engines[4];
        compile_all(spec, engines);
        // Patterns that match everywhere would take long to list.
        const Text probe(s.substr(0, 2000));
        size_t hits = 0;
        for (size_t from = 0; hits < 30;) {
            const Span line = engines[0]->find_line(probe.bytes.get(), probe.size, from, false, scratches[0]);
            if (line.start == kNone) break;
            from = line.end + 1;
            ++hits;
        }
        if (hits >= 30) s.resize(3000);
        compare(spec, s, scratches, 2, engines);
    }
}

Node class_of(const std::vector<std::pair<uint8_t, uint8_t>>& ranges) {
    Node any;
    any.kind = Node::kAlternate;
    for (const auto& range : ranges) {
        Node one;
        one.kind = Node::kClass;
        one.lo = range.first;
        one.hi = range.second;
        any.kids.push_back(one);
    }
    return any;
}

// Runs of a class and lines of a class: the rules found in a program, with and without vectors, and the matcher that
// uses them, against the simulation.
void test_classes(int rounds) {
    Scratch scratches[2];
    size_t exact = 0, counted = 0, batched = 0;
    for (int round = 0; round < rounds; ++round) {
        Node inside = chance(60) ? class_of({{'A', 'D'}, {0, 2}})
                      : chance(50) ? class_of({{' ', ' '}, {'\t', '\t'}, {'\r', '\r'}})
                                   : class_of({{0, 9}, {11, 255}});
        if (chance(30)) inside.kids.push_back(class_of({{0xC3, 0xC4}}));
        Node repeat;
        repeat.kind = Node::kRepeat;
        const size_t lengths[] = {0, 1, 1, 2, 3, 5, 12, 31, 32, 33, 63, 64, 65};
        repeat.min = static_cast<int>(lengths[below(13)]);
        repeat.max = chance(50) ? -1 : repeat.min + static_cast<int>(below(3));
        repeat.kids.push_back(inside);
        Node all;
        all.kind = Node::kConcat;
        const bool anchored = chance(50);
        const auto look = [&](Look which) {
            Node node;
            node.kind = Node::kLook;
            node.look = which;
            all.kids.push_back(node);
        };
        if (anchored) look(Look::kStartLF);
        all.kids.push_back(repeat);
        if (anchored && chance(90)) look(Look::kEndLF);
        if (!anchored && chance(20)) look(Look::kWordAscii);
        if (!anchored && chance(20)) all.kids.push_back(class_of({{'B', 'Z'}}));

        const bool ascii = chance(60);
        std::string s;
        const size_t size = below(400);
        while (s.size() < size) {
            const size_t length = chance(40) ? below(3) : chance(80) ? below(14) : 30 + below(70);
            for (size_t k = 0; k < length; ++k) {
                const char* const bytes = "ABCDABCDABCDABCD  \t\r\0\1x\xC3\xA9\xFF";
                s.push_back(chance(2) ? bytes[below(ascii ? 23 : 26)] : k == 0 || chance(3) ? bytes[below(19)] : s.back());
            }
            s += chance(70) ? "\n" : chance(50) ? "\r\n" : "\n\n";
        }
        if (chance(50)) s += "AAAAAAAAAAAAAAAA";
        if (chance(20)) s += "  ";
        MatcherSpec spec;
        Assembler assembler;
        assembler.emit(Op::kSave, 1, 0);
        assembler.assemble(all);
        assembler.emit(Op::kSave, assembler.here() + 1, 1);
        assembler.emit(Op::kMatch, 0);
        spec.program = assembler.code;
        const Text text(s);
        const auto vm = Matcher::compile(spec, EngineChoice::kVm), automatic = Matcher::compile(spec);
        const ClassFinder vectors(spec.program, '\n', ascii), plain(spec.program, '\n', ascii, false);
        exact += vectors.exact();
        uint64_t lines = 0;
        for (size_t from = 0; from <= text.size;) {
            const Span want = vm->find_line(text.bytes.get(), text.size, from, ascii, scratches[0]);
            const Span got = automatic->find_line(text.bytes.get(), text.size, from, ascii, scratches[1]);
            const auto what = [&] { return "classes, from " + std::to_string(from) + " in '" + shown(s) + "'"; };
            check(want.start == got.start && (want.start == kNone || want.end == got.end), what);
            if (vectors.rule() != ClassFinder::Rule::kNone) {
                const auto a = vectors.find(text.bytes.get(), text.size, from);
                const auto b = plain.find(text.bytes.get(), text.size, from);
                check(a.start == b.start && (a.start == kNotFound || a.end == b.end), what);
                check(want.start == kNone || (a.start != kNotFound && a.start <= want.end), what);
                if (vectors.exact()) {
                    check((want.start == kNone) == (a.start == kNotFound), what);
                    check(want.start == kNone || (want.start <= a.start && a.end <= want.end), what);
                }
            }
            if (want.start == kNone) break;
            ++lines;
            from = want.end + 1;
        }
        batched += compare_batches(*automatic, s, ascii, scratches[1]);
        uint64_t got = 0, other = 0;
        if (automatic->count_lines(text.bytes.get(), text.size, 0, ascii, &got)) {
            ++counted;
            other = plain.count(text.bytes.get(), text.size, 0);
            check(got == lines && other == lines, [&] {
                return "counted " + std::to_string(got) + " and " + std::to_string(other) + " of " +
                       std::to_string(lines) + " lines in '" + shown(s) + "'";
            });
        }
    }
    check(rounds < 500 || (exact > 20 && counted > 20 && batched > 20), [&] { return "rules exact: " + std::to_string(exact) + ", counting: " + std::to_string(counted) +
                                    ", lines in batches: " + std::to_string(batched); });
}

// Each instruction set of line_pass.h against the obvious loops.
void test_line_pass(int rounds) {
    const auto lower = [](char c) { return fold_case(c); };
    for (int round = 0; round < rounds; ++round) {
        std::string s = random_text(below(chance(50) ? 700 : 100), chance(20), '\n');
        const bool fold = chance(50);
        std::string word = s.substr(s.empty() ? 0 : below(s.size()), 1 + below(chance(20) ? 33 : 4));
        word.erase(std::remove(word.begin(), word.end(), '\n'), word.end());
        for (size_t k = below(20); k > 0 && !s.empty(); --k) s.insert(below(s.size()), word);
        ByteSet of;
        for (const char c : word) of.add(static_cast<uint8_t>(c));
        LiteralProbe probe;
        const bool probed = LiteralFinder({word}, fold).probe(&probe);
        check(probed == (!word.empty() && word.size() <= LiteralProbe::kMostBytes), [] { return std::string("probe"); });
        const size_t most = chance(50) ? LineBatch::kMost : 1 + below(3);
        size_t from = s.empty() ? 0 : below(s.size());
        while (from > 0 && s[from - 1] != '\n') --from;
        const Text t(s);
        for (const bool by_class : {false, true}) {
            if (!by_class && !probed) continue;
            LineBatch want{};
            want.upto = s.size();
            uint64_t before = 0;
            for (size_t at = from; at < s.size() && want.count < most;) {
                const size_t hit = s.find('\n', at), end = hit == std::string::npos ? s.size() : hit + 1;
                std::string line = s.substr(at, (hit == std::string::npos ? s.size() : hit) - at), wanted = word;
                bool matches = line.find_first_not_of(word) == std::string::npos;
                if (!by_class) {
                    if (fold) std::transform(line.begin(), line.end(), line.begin(), lower);
                    if (fold) std::transform(wanted.begin(), wanted.end(), wanted.begin(), lower);
                    matches = line.find(wanted) != std::string::npos;
                }
                if (matches) want.lines[want.count++] = {at, end, before};
                before += hit != std::string::npos;
                if (matches && want.count == most) want.upto = end;
                at = end;
            }
            want.terminators = before;
            for (const LineSet set : {LineSet::kAvx2, LineSet::kAvx512}) {
                if (set > best_line_set()) continue;
                LineBatch got;
                if (by_class) {
                    lines_of_class(t.bytes.get(), t.size, from, '\n', of, most, &got, set);
                } else {
                    lines_with_literal(t.bytes.get(), t.size, from, '\n', probe, most, &got, set);
                }
                const auto what = [&] {
                    return "line_pass, set " + std::to_string(static_cast<int>(set)) + ", '" + shown(word) + "' from " +
                           std::to_string(from) + " in '" + shown(s) + "'";
                };
                check(got.count == want.count && got.upto == want.upto && got.terminators == want.terminators, what);
                for (size_t i = 0; i < std::min(got.count, want.count); ++i) {
                    const Line &a = got.lines[i], &b = want.lines[i];
                    check(a.start == b.start && a.end == b.end && a.before == b.before, what);
                }
            }
        }
    }
}

// Facts about look-around that are easy to get wrong, as ripgrep 15.2.0 answers them.
void test_looks() {
    struct Case {
        Look look;
        const char* text;
        size_t size, at;
        bool holds;
    };
    const Case cases[] = {
        {Look::kWordUnicode, "\xFF" "a", 2, 1, true},           {Look::kWordUnicodeNegate, "\xFF" "-", 2, 1, false},
        {Look::kWordUnicodeNegate, "\xC3\xA9", 2, 1, false},    {Look::kWordUnicode, "\xC3\xA9", 2, 0, true},
        {Look::kWordAscii, "\xC3\xA9", 2, 0, false},            {Look::kWordUnicodeNegate, "", 0, 0, true},
        {Look::kWordUnicodeNegate, "\n\n", 2, 1, true},         {Look::kWordStartHalfUnicode, "\xFF" "a", 2, 1, false},
        {Look::kWordEndHalfUnicode, "a\xFF", 2, 1, false},      {Look::kWordStartHalfAscii, "\xFF" "a", 2, 1, true},
        {Look::kStartCRLF, "\r\n", 2, 1, false},                {Look::kStartCRLF, "\r\n", 2, 2, true},
        {Look::kEndCRLF, "\r\n", 2, 1, false},                  {Look::kEndCRLF, "\r\n", 2, 0, true},
        {Look::kStartCRLF, "\r", 1, 1, true},                   {Look::kEndLF, "a\n", 2, 1, true},
        {Look::kEndLF, "a\n", 2, 2, true},                      {Look::kEnd, "a\n", 2, 1, false},
        {Look::kWordUnicode, "a\xC3\xA9\xA9" "b", 5, 4, false}, {Look::kWordUnicode, "\xED\xA0\x80" "a", 4, 3, true},
    };
    for (const Case& c : cases) {
        const bool got = look_holds(c.look, reinterpret_cast<const uint8_t*>(c.text), c.size, c.at);
        check(got == c.holds, [&] {
            return "look " + std::to_string(static_cast<int>(c.look)) + " at " + std::to_string(c.at) + " in '" +
                   shown(std::string(c.text, c.size)) + "'";
        });
    }
    check(is_word_scalar(0xE9) && is_word_scalar(0x2E2F) && is_word_scalar(0x203F) && !is_word_scalar(0xD7),
          [] { return std::string("word table"); });
}

void test_malformed() {
    for (const std::vector<Inst>& program :
         {std::vector<Inst>{}, std::vector<Inst>{{1, 0, 255, 0, 1, 0}}, std::vector<Inst>{{9, 0, 0, 0, 0, 0}},
          std::vector<Inst>{{3, 0, 0, 0, 0, 2}}, std::vector<Inst>{{4, 99, 0, 0, 0, 0}}}) {
        MatcherSpec spec;
        spec.program = program;
        bool threw = false;
        try {
            Matcher::compile(spec);
        } catch (const std::runtime_error&) {
            threw = true;
        }
        check(threw, [] { return std::string("a malformed program was taken"); });
    }
}

}  // namespace

int main(int argc, char** argv) {
    const uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::random_device()();
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 1000;
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    rng.seed(seed);
    test_looks();
    test_malformed();
    test_classes(rounds);
    test_line_pass(rounds);
    test_bytes();
    test_literals();
    test_vm(rounds);
    test_engines(rounds);
    test_filters(rounds);
    test_common_beginnings();
    test_long(rounds / 20);
    std::printf("ok, %llu checks\n", static_cast<unsigned long long>(checks));
    return 0;
}
