// dfa.cpp: subset construction on demand.
//
// A state is a set of instructions that wait for a byte or for a look-around whose truth the next byte decides, plus
// what the byte before was (only as far as those look-arounds ask). A match that ends before the byte at hand is an
// event of that byte's transition (kBefore), as look-around may need the byte; one known without it is an event of the
// transition that led there (kAfter).
#include "dfa.h"

#include <algorithm>
#include <atomic>

#include "literal.h"
#include "vm.h"

namespace curserve {
namespace {

// Tagged table entries.
constexpr uint32_t kTag = 0x80000000;
constexpr uint32_t kUnknown = kTag;
constexpr uint32_t kBefore = kTag | 1;  // a match ends before this byte, at the latest
constexpr uint32_t kAfter = kTag | 2;   // a match ends behind this byte, at the latest
constexpr uint32_t kAskVm = kTag | 3;
constexpr uint32_t kNothing = kTag | 4;  // end of the text, no match
constexpr uint32_t kFull = kTag | 5;     // never stored: the table is full

constexpr uint32_t kSkip = 0x40000000;  // on a transition to the same state: look for what leaves it
constexpr uint32_t kState = kSkip - 1;
constexpr uint32_t kUndecidedSkip = static_cast<uint32_t>(-1);
constexpr double kSkipShareMax = 0.05;             // of bytes that leave; oftener, the search costs more than the walk
constexpr size_t kSkipWorkMax = size_t{1} << 16;   // classes * instructions: what deciding may cost

// The byte before a position.
constexpr uint8_t kAtStart = 1, kNewline = 2, kReturn = 4, kWord = 8, kHigh = 16;

constexpr int kUndecided = -2, kTextEnd = -1;  // for `next` of truth()
constexpr size_t kTableMax = size_t{1} << 20;  // entries: 4 MiB; beyond, cache misses eat what the table saves
constexpr size_t kSetsMax = 1 << 14;           // states: bounds the sets
constexpr uint64_t kBytesPerState = 16;        // fewer than that walked for each state built: building is the work
constexpr int kStrikesMax = 3;

constexpr size_t kFirstWindow = 1024;   // walked alone: where hits are dense, work on later lines would be lost
constexpr size_t kWindowMax = 32768;    // per walker
constexpr size_t kStrideBytes = 1u << 16;  // of one line, between two looks at the pace

std::atomic<uint64_t> next_id{1};

bool is_unicode(Look look) {
    switch (look) {
        case Look::kWordUnicode:
        case Look::kWordUnicodeNegate:
        case Look::kWordStartUnicode:
        case Look::kWordEndUnicode:
        case Look::kWordStartHalfUnicode:
        case Look::kWordEndHalfUnicode: return true;
        default: return false;
    }
}

bool is_word_look(Look look) { return look >= Look::kWordAscii; }

}  // namespace

Dfa::Dfa(const std::vector<Inst>& program, uint8_t line_terminator, bool ascii_only)
    : line_terminator_(line_terminator), id_(next_id.fetch_add(1)) {
    keep_useful(program, ascii_only);
    find_classes();
}

// Copies to program_ what can still lead to a match, without jumps, captures and forks that are none.
void Dfa::keep_useful(const std::vector<Inst>& program, bool ascii_only) {
    const size_t n = program.size();
    const auto op = [&](size_t i) { return static_cast<Op>(program[i].op); };
    // Which can lead to a match: backwards from kMatch.
    std::vector<uint32_t> first_edge(n + 1), edges;
    const auto each_target = [&](size_t i, const auto& visit) {
        if (op(i) == Op::kFail || op(i) == Op::kMatch) return;
        if (op(i) == Op::kByte && (program[i].lo > program[i].hi || (ascii_only && program[i].lo >= 0x80))) return;
        visit(program[i].x);
        if (op(i) == Op::kSplit) visit(program[i].y);
    };
    for (size_t i = 0; i < n; ++i) each_target(i, [&](uint32_t t) { ++first_edge[t]; });
    uint32_t sum = 0;
    for (uint32_t& e : first_edge) e = sum += e;
    edges.resize(sum);
    for (size_t i = 0; i < n; ++i) {
        each_target(i, [&](uint32_t t) { edges[--first_edge[t]] = static_cast<uint32_t>(i); });
    }
    std::vector<char> useful(n);
    std::vector<uint32_t> todo;
    for (size_t i = 0; i < n; ++i) {
        if (op(i) != Op::kMatch) continue;
        useful[i] = 1;
        todo.push_back(static_cast<uint32_t>(i));
    }
    while (!todo.empty()) {
        const uint32_t i = todo.back();
        todo.pop_back();
        for (uint32_t e = first_edge[i]; e < first_edge[i + 1]; ++e) {
            if (useful[edges[e]]) continue;
            useful[edges[e]] = 1;
            todo.push_back(edges[e]);
        }
    }
    if (!useful[0]) {
        program_.push_back({static_cast<uint8_t>(Op::kFail), 0, 0, 0, 0, 0});
        return;
    }
    // A useful instruction leads somewhere, so this ends.
    const auto skip = [&](uint32_t i) {
        for (;;) {
            if (op(i) == Op::kJump || op(i) == Op::kSave) {
                i = program[i].x;
            } else if (op(i) == Op::kSplit && !useful[program[i].x]) {
                i = program[i].y;
            } else if (op(i) == Op::kSplit && !useful[program[i].y]) {
                i = program[i].x;
            } else {
                return i;
            }
        }
    };
    constexpr uint32_t kNew = static_cast<uint32_t>(-1);
    std::vector<uint32_t> place(n, kNew), from;
    const auto placed = [&](uint32_t i) {
        i = skip(i);
        if (place[i] == kNew) {
            place[i] = static_cast<uint32_t>(from.size());
            from.push_back(i);
        }
        return place[i];
    };
    placed(0);
    for (size_t k = 0; k < from.size(); ++k) {
        Inst in = program[from[k]];
        if (in.op != static_cast<uint8_t>(Op::kMatch)) in.x = placed(in.x);
        if (in.op == static_cast<uint8_t>(Op::kSplit)) in.y = placed(in.y);
        program_.push_back(in);
    }
}

void Dfa::find_classes() {
    std::bitset<257> edges;  // a class begins here
    edges.set(0);
    const auto cut = [&](unsigned first, unsigned last) {
        edges.set(first);
        edges.set(last + 1);
    };
    cut(line_terminator_, line_terminator_);
    follows_.resize(program_.size());
    follows_nothing_.resize(program_.size());
    for (size_t n = 0; n < program_.size(); ++n) {
        const Inst& in = program_[n];
        if (in.op == static_cast<uint8_t>(Op::kByte) && in.lo <= in.hi) cut(in.lo, in.hi);
        if (in.op != static_cast<uint8_t>(Op::kLook)) continue;
        const Look look = static_cast<Look>(in.lo);
        if (look == Look::kStartCRLF || look == Look::kEndCRLF) cut('\r', '\r');
        if (look >= Look::kStartLF && look <= Look::kEndCRLF) cut('\n', '\n');
        if (is_word_look(look)) {
            cut('0', '9');
            cut('A', 'Z');
            cut('a', 'z');
            cut('_', '_');
            cut(0x80, 0xFF);
        }
        if (!is_unicode(look)) continue;
        std::vector<bool> seen(program_.size());
        std::vector<uint32_t> todo{in.x};
        while (!todo.empty()) {
            const uint32_t i = todo.back();
            todo.pop_back();
            if (seen[i]) continue;
            seen[i] = true;
            const Inst& on = program_[i];
            switch (static_cast<Op>(on.op)) {
                case Op::kFail: break;
                case Op::kByte:
                    for (unsigned b = on.lo; b <= on.hi; ++b) follows_[n].set(b);
                    break;
                case Op::kMatch: follows_nothing_[n] = true; break;
                case Op::kSplit: todo.push_back(on.y); todo.push_back(on.x); break;
                case Op::kSave:
                case Op::kLook:
                case Op::kJump: todo.push_back(on.x); break;
            }
        }
    }
    unsigned c = 0;
    for (unsigned b = 0; b < 256; ++b) {
        if (b != 0 && edges[b]) ++c;
        if (b == 0 || edges[b]) examples_[c] = static_cast<uint8_t>(b);
        classes_[b] = static_cast<uint8_t>(c);
    }
    class_count_ = c + 1;
    stride_ = class_count_ + 1;
}

// `next`: the byte after, kTextEnd, or kUndecided (then kLater if it matters).
Dfa::Truth Dfa::truth(Look look, uint8_t before, int next) const {
    const auto say = [](bool b) { return b ? Truth::kYes : Truth::kNo; };
    const bool open = next == kUndecided;
    const bool high_before = (before & kHigh) != 0, word_before = (before & kWord) != 0;
    const bool high_after = next >= 0x80;
    const bool word_after = next >= 0 && is_word_byte(static_cast<uint8_t>(next));
    switch (look) {
        case Look::kStart: return say((before & kAtStart) != 0);
        case Look::kEnd: return open ? Truth::kLater : say(next == kTextEnd);
        case Look::kStartLF: return say((before & kNewline) != 0);
        case Look::kEndLF: return open ? Truth::kLater : say(next == kTextEnd || next == '\n');
        case Look::kStartCRLF:
            if ((before & kNewline) != 0) return Truth::kYes;
            if ((before & kReturn) == 0) return Truth::kNo;
            return open ? Truth::kLater : say(next != '\n');
        case Look::kEndCRLF:
            if (open) return Truth::kLater;
            return say(next == kTextEnd || next == '\r' || (next == '\n' && (before & kReturn) == 0));
        case Look::kWordAscii: return open ? Truth::kLater : say(word_before != word_after);
        case Look::kWordAsciiNegate: return open ? Truth::kLater : say(word_before == word_after);
        case Look::kWordStartAscii:
            if (word_before) return Truth::kNo;
            return open ? Truth::kLater : say(word_after);
        case Look::kWordEndAscii:
            if (!word_before) return Truth::kNo;
            return open ? Truth::kLater : say(!word_after);
        case Look::kWordStartHalfAscii: return say(!word_before);
        case Look::kWordEndHalfAscii: return open ? Truth::kLater : say(!word_after);
        case Look::kWordUnicode:
        case Look::kWordUnicodeNegate:
            if (open) return Truth::kLater;
            if (high_before || high_after) return Truth::kAsk;
            return say((word_before != word_after) == (look == Look::kWordUnicode));
        case Look::kWordStartUnicode:
            if (word_before) return Truth::kNo;
            if (open) return Truth::kLater;
            if (!high_after && !word_after) return Truth::kNo;
            return high_before || high_after ? Truth::kAsk : Truth::kYes;
        case Look::kWordEndUnicode:
            if (!word_before && !high_before) return Truth::kNo;
            if (open) return Truth::kLater;
            if (word_after) return Truth::kNo;
            return high_before || high_after ? Truth::kAsk : Truth::kYes;
        case Look::kWordStartHalfUnicode:
            if (!high_before) return say(!word_before);
            return open ? Truth::kLater : Truth::kAsk;
        case Look::kWordEndHalfUnicode:
            if (open) return Truth::kLater;
            return high_after ? Truth::kAsk : say(!word_after);
    }
    return Truth::kAsk;
}

uint8_t Dfa::context_after(uint8_t byte) const {
    uint8_t c = 0;
    if (byte == '\n') c |= kNewline;
    if (byte == '\r') c |= kReturn;
    if (is_word_byte(byte)) c |= kWord;
    if (byte >= 0x80) c |= kHigh;
    return c;
}

uint8_t Dfa::context_of(const uint8_t* text, size_t at) const {
    return at == 0 ? kAtStart | kNewline : context_after(text[at - 1]);
}

void Dfa::empty(Cache& cache) const {
    cache.table.clear();
    cache.sets.clear();
    cache.contexts.clear();
    cache.skips.clear();
    cache.leaving.clear();
    cache.index.clear();
    std::fill(std::begin(cache.starts), std::end(cache.starts), kUnknown);
    cache.walked_bytes = 0;
    ++cache.epoch;
}

void Dfa::prepare(Cache& cache) const {
    // The id tells a Dfa from a dead one whose address it took over.
    if (cache.owner == this && cache.owner_id == id_) return;
    empty(cache);
    cache.marks.assign(program_.size(), 0);
    cache.generation = 0;
    cache.strikes = 0;
    cache.owner = this;
    cache.owner_id = id_;
}

// Adds to cache.work what waits for something, reachable from `inst` at a position behind `context`.
void Dfa::close(Cache& cache, uint32_t inst, uint8_t context) const {
    cache.todo.push_back(inst);
    while (!cache.todo.empty()) {
        const uint32_t i = cache.todo.back();
        cache.todo.pop_back();
        if (cache.marks[i] == cache.generation) continue;
        cache.marks[i] = cache.generation;
        const Inst& in = program_[i];
        switch (static_cast<Op>(in.op)) {
            case Op::kFail: break;
            case Op::kByte:
            case Op::kMatch: cache.work.push_back(i); break;
            case Op::kSplit:
                cache.todo.push_back(in.y);
                cache.todo.push_back(in.x);
                break;
            case Op::kSave:
            case Op::kJump: cache.todo.push_back(in.x); break;
            case Op::kLook:
                switch (truth(static_cast<Look>(in.lo), context, kUndecided)) {
                    case Truth::kNo: break;
                    case Truth::kYes: cache.todo.push_back(in.x); break;
                    default: cache.work.push_back(i); break;
                }
                break;
        }
    }
}

// The state for cache.work, or kAfter if that holds a match already, or kFull.
uint32_t Dfa::intern(Cache& cache, uint8_t context) const {
    std::vector<uint32_t>& set = cache.work;
    bool looks = false;
    for (const uint32_t i : set) {
        if (program_[i].op == static_cast<uint8_t>(Op::kMatch)) return kAfter;
        looks = looks || program_[i].op == static_cast<uint8_t>(Op::kLook);
    }
    if (!looks) context = 0;
    std::sort(set.begin(), set.end());
    std::string key(reinterpret_cast<const char*>(set.data()), set.size() * sizeof(uint32_t));
    key.push_back(static_cast<char>(context));
    const auto found = cache.index.find(key);
    if (found != cache.index.end()) return found->second;
    if (cache.table.size() + stride_ > kTableMax || cache.sets.size() >= kSetsMax) return kFull;
    const uint32_t state = static_cast<uint32_t>(cache.table.size());
    cache.table.resize(cache.table.size() + stride_, kUnknown);
    cache.sets.push_back(set);
    cache.contexts.push_back(context);
    cache.skips.push_back(kUndecidedSkip);
    cache.index.emplace(std::move(key), state);
    return state;
}

uint32_t Dfa::start_state(Cache& cache, uint8_t context) const {
    uint32_t& state = cache.starts[context];
    if (state == kUnknown) {
        ++cache.generation;
        cache.work.clear();
        close(cache, 0, context);
        const uint32_t made = intern(cache, context);
        if (made == kFull) return kFull;
        state = made;
    }
    return state;
}

// The transition of `state` at `symbol` (a class; class_count_: the end of the text), entered into the table.
uint32_t Dfa::step(Cache& cache, uint32_t state, unsigned symbol) const {
    const size_t row = state / stride_;
    const uint8_t before = cache.contexts[row];
    const bool at_end = symbol == class_count_;
    const uint8_t byte = at_end ? 0 : examples_[symbol];
    const int next = at_end ? kTextEnd : byte;
    uint32_t& entry = cache.table[state + symbol];
    // Everything that holds at this position, now that the next byte is known.
    ++cache.generation;
    std::vector<uint32_t> ready;
    std::vector<uint32_t> todo(cache.sets[row]);
    while (!todo.empty()) {
        const uint32_t i = todo.back();
        todo.pop_back();
        if (cache.marks[i] == cache.generation) continue;
        cache.marks[i] = cache.generation;
        const Inst& in = program_[i];
        switch (static_cast<Op>(in.op)) {
            case Op::kFail: break;
            case Op::kByte: ready.push_back(i); break;
            case Op::kMatch: return entry = kBefore;
            case Op::kSplit:
                todo.push_back(in.y);
                todo.push_back(in.x);
                break;
            case Op::kSave:
            case Op::kJump: todo.push_back(in.x); break;
            case Op::kLook: {
                Truth t = truth(static_cast<Look>(in.lo), before, next);
                if (t == Truth::kAsk && !follows_nothing_[i] && (at_end || !follows_[i][byte])) t = Truth::kNo;
                if (t == Truth::kAsk) return entry = kAskVm;
                if (t == Truth::kYes) todo.push_back(in.x);
                break;
            }
        }
    }
    if (at_end) return entry = kNothing;
    const uint8_t context = context_after(byte);
    ++cache.generation;
    cache.work.clear();
    for (const uint32_t i : ready) {
        const Inst& in = program_[i];
        if (in.lo <= byte && byte <= in.hi) close(cache, in.x, context);
    }
    close(cache, 0, context);  // a match may begin anywhere
    const uint32_t to = intern(cache, context);
    if (to == kFull) return kFull;
    cache.table[state + symbol] = to;  // intern may have moved the table
    if (to == state && cache.skips[row] == kUndecidedSkip) decide_skip(cache, state);
    return to;
}

// Makes out which bytes leave `state`; if they are few, marks its transitions to itself with kSkip.
void Dfa::decide_skip(Cache& cache, uint32_t state) const {
    const size_t row = state / stride_;
    cache.skips[row] = 0;
    if (class_count_ * program_.size() > kSkipWorkMax) return;
    ByteSet leaving;
    double share = 0;
    for (unsigned b = 0; b < 256; ++b) {
        const unsigned c = classes_[b];
        if (cache.table[state + c] == kUnknown && step(cache, state, c) == kFull) return;
        if (cache.table[state + c] == state) continue;
        leaving.add(static_cast<uint8_t>(b));
        share += byte_share(static_cast<uint8_t>(b));
        if (share > kSkipShareMax) return;
    }
    cache.leaving.push_back(leaving);
    cache.skips[row] = static_cast<uint32_t>(cache.leaving.size());
    for (unsigned c = 0; c < class_count_; ++c) {
        if (cache.table[state + c] == state) cache.table[state + c] |= kSkip;
    }
}

// As step; a full table is emptied and *state made anew in it. kFull then means: give up.
uint32_t Dfa::step_or_empty(Cache& cache, uint32_t* state, unsigned symbol) const {
    uint32_t to = step(cache, *state, symbol);
    if (to != kFull) return to;
    const std::vector<uint32_t> set = cache.sets[*state / stride_];
    const uint8_t context = cache.contexts[*state / stride_];
    if (cache.walked_bytes < kBytesPerState * cache.sets.size() && ++cache.strikes >= kStrikesMax) return kFull;
    empty(cache);
    cache.work = set;
    *state = intern(cache, context);
    return step(cache, *state, symbol);
}

// Walks text[at, limit) from *state. kNone: *state is where it ended.
Dfa::Result Dfa::run(const uint8_t* text, size_t at, size_t limit, uint32_t* state, Cache& cache) const {
    uint32_t s = *state;
    size_t i = at, counted = at;
    while (i < limit) {
        const uint32_t* table = cache.table.data();
        uint32_t to = 0;
        while (i < limit) {
            to = table[s + classes_[text[i]]];
            if ((to & (kTag | kSkip)) != 0) break;
            s = to;
            ++i;
        }
        if (i >= limit) break;
        if ((to & kTag) == 0) {
            s = to & kState;
            i = find_in_set(text, limit, i + 1, cache.leaving[cache.skips[s / stride_] - 1]);
            continue;
        }
        if (to == kUnknown) {
            cache.walked_bytes += i - counted;
            counted = i;
            to = step_or_empty(cache, &s, classes_[text[i]]);
        }
        if (to == kFull) return {Outcome::kGaveUp, i};
        if (to == kBefore) return {Outcome::kFound, i};
        if (to == kAfter) return {Outcome::kFound, i + 1};
        if (to == kAskVm) return {Outcome::kAsk, i};
        s = to;
        ++i;
    }
    cache.walked_bytes += i - counted;
    *state = s;
    return {Outcome::kNone, limit};
}

// Matches that end at `limit`, given the state there.
Dfa::Result Dfa::finish(const uint8_t* text, size_t size, size_t limit, uint32_t state, Cache& cache) const {
    const unsigned symbol = limit < size ? classes_[text[limit]] : class_count_;
    uint32_t to = cache.table[state + symbol];
    if (to == kUnknown) to = step_or_empty(cache, &state, symbol);
    if (to == kFull) return {Outcome::kGaveUp, limit};
    if (to == kBefore) return {Outcome::kFound, limit};
    if (to == kAskVm) return {Outcome::kAsk, limit};
    return {Outcome::kNone, limit};
}

Dfa::Result Dfa::walk(const uint8_t* text, size_t size, size_t at, size_t limit, Cache& cache, Pace& pace) const {
    prepare(cache);
    if (cache.strikes >= kStrikesMax) return {Outcome::kGaveUp, at};
    uint32_t state = start_state(cache, context_of(text, at));
    if (state == kFull) {
        empty(cache);
        state = start_state(cache, context_of(text, at));
    }
    if (state == kAfter) return {Outcome::kFound, at};
    while (limit - at > kStrideBytes) {
        const Result r = run(text, at, at + kStrideBytes, &state, cache);
        if (r.outcome != Outcome::kNone) return r;
        at += kStrideBytes;
        if (!pace.spend(kStrideBytes)) return {Outcome::kNone, limit};
    }
    const Result r = run(text, at, limit, &state, cache);
    if (r.outcome != Outcome::kNone) return r;
    return finish(text, size, limit, state, cache);
}

// Walks [bounds[k], bounds[k + 1]) for k = 0..3, each piece whole lines; the first event in text order. kGaveUp here
// only says that the table is full; what lies before its `at` (a line's start) does not match.
Dfa::Result Dfa::run_four(const uint8_t* text, const size_t* bounds, Cache& cache) const {
    uint32_t s[4];
    size_t at[4];
    const uint64_t epoch = cache.epoch;
    const uint32_t first = start_state(cache, context_after(line_terminator_));
    if ((first & kTag) != 0) return {first == kFull ? Outcome::kGaveUp : Outcome::kFound, bounds[0]};
    for (size_t k = 0; k < 4; ++k) {
        s[k] = first;
        at[k] = bounds[k];
    }
    // In step while all four have bytes left and none has an event.
    for (;;) {
        size_t room = bounds[1] - at[0];
        for (size_t k = 1; k < 4; ++k) room = std::min(room, bounds[k + 1] - at[k]);
        if (room == 0) break;
        const uint32_t* const table = cache.table.data();
        const uint8_t *p0 = text + at[0], *p1 = text + at[1], *p2 = text + at[2], *p3 = text + at[3];
        uint32_t s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3];
        uint32_t t0 = 0, t1 = 0, t2 = 0, t3 = 0;
        size_t i = 0;
        for (; i < room; ++i) {
            t0 = table[s0 + classes_[p0[i]]];
            t1 = table[s1 + classes_[p1[i]]];
            t2 = table[s2 + classes_[p2[i]]];
            t3 = table[s3 + classes_[p3[i]]];
            if (__builtin_expect(((t0 | t1 | t2 | t3) & kTag) != 0, 0)) break;
            s0 = t0 & kState;
            s1 = t1 & kState;
            s2 = t2 & kState;
            s3 = t3 & kState;
        }
        s[0] = s0;
        s[1] = s1;
        s[2] = s2;
        s[3] = s3;
        for (size_t& a : at) a += i;
        cache.walked_bytes += 4 * i;
        if (i == room) break;
        // Some transition is an event: settle the unknown ones, leave at a real one.
        bool event = false;
        for (size_t k = 0; k < 4; ++k) {
            const unsigned symbol = classes_[text[at[k]]];
            uint32_t to = cache.table[s[k] + symbol];
            if (to == kUnknown) to = step(cache, s[k], symbol);
            if (to == kFull) return {Outcome::kGaveUp, bounds[0]};
            event = event || (to & kTag) != 0;
        }
        if (event) break;
    }
    // The rest piece by piece; the earliest piece with an event wins.
    for (size_t k = 0; k < 4; ++k) {
        // An emptied table leaves the other pieces' states without a meaning.
        if (cache.epoch != epoch) return {Outcome::kGaveUp, bounds[k]};
        const Result r = run(text, at[k], bounds[k + 1], &s[k], cache);
        if (r.outcome != Outcome::kNone) return r;
    }
    return {Outcome::kNone, bounds[4]};
}

// Whether the state at a line's start is sat out: then one walker is faster than four.
bool Dfa::sits_out(Cache& cache) const {
    const uint32_t first = start_state(cache, context_after(line_terminator_));
    if ((first & kTag) != 0) return false;
    const uint32_t skip = cache.skips[first / stride_];
    return skip != 0 && skip != kUndecidedSkip;
}

Dfa::Result Dfa::walk_lines(const uint8_t* text, size_t size, size_t from, Cache& cache, Pace& pace) const {
    // One piece alone first.
    size_t pos = from;
    size_t window = kFirstWindow;
    while (pos < size) {
        if (!pace.spend(4 * window)) break;
        if (size - pos <= 4 * window) {
            if (size - pos <= 2 * kFirstWindow) return walk(text, size, pos, size, cache, pace);
            window = std::max<size_t>((size - pos) / 5, 64);
        }
        size_t bounds[5] = {pos, 0, 0, 0, 0};
        if (pos == from) {
            const size_t end = std::min(size, find_terminator(text, size, pos + window, line_terminator_) + 1);
            if (end == size) return walk(text, size, pos, size, cache, pace);
            const Result r = walk(text, size, pos, end, cache, pace);
            if (r.outcome != Outcome::kNone) return r;
            pos = end;
            continue;
        }
        bool whole = true;
        for (size_t k = 1; k <= 4; ++k) {
            const size_t end = find_terminator(text, size, std::min(size, bounds[k - 1] + window), line_terminator_);
            whole = whole && end < size;
            bounds[k] = std::min(size, end + 1);
        }
        Result r{Outcome::kGaveUp, pos};
        prepare(cache);
        if (whole && !sits_out(cache)) r = run_four(text, bounds, cache);
        if (r.outcome == Outcome::kGaveUp) r = walk(text, size, r.at, whole ? bounds[4] : size, cache, pace);
        if (r.outcome != Outcome::kNone) return r;
        pos = whole ? bounds[4] : size;
        window = std::min(window * 2, kWindowMax);
    }
    return {Outcome::kNone, size};
}

}  // namespace curserve
