// vm.cpp: the simulation. Threads advance together, one byte at a time, in order of priority; the first to reach an
// instruction at a position keeps it, which is what bounds the work and ends empty loops.
#include "vm.h"

#include <algorithm>
#include <stdexcept>

#include "unicode_word.h"

namespace curserve {
namespace {

constexpr size_t kUnset = static_cast<size_t>(-1);
constexpr uint32_t kRestore = static_cast<uint32_t>(-1);
constexpr size_t kStrideBytes = 4096;  // between two looks at the pace

struct Decoded {
    bool valid = false;
    uint32_t scalar = 0;
};

// The UTF-8 character that begins at p[0] within p[0, room); room > 0.
Decoded decode(const uint8_t* p, size_t room) {
    const uint8_t a = p[0];
    if (a < 0x80) return {true, a};
    const auto tail = [&](size_t i) { return (p[i] & 0xC0) == 0x80; };
    const auto low = [&](size_t i) { return static_cast<uint32_t>(p[i] & 0x3F); };
    if (a >= 0xC2 && a <= 0xDF) {
        if (room < 2 || !tail(1)) return {};
        return {true, (static_cast<uint32_t>(a & 0x1F) << 6) | low(1)};
    }
    if (a >= 0xE0 && a <= 0xEF) {
        if (room < 3 || !tail(1) || !tail(2)) return {};
        const uint32_t c = (static_cast<uint32_t>(a & 0x0F) << 12) | (low(1) << 6) | low(2);
        if (c < 0x800 || (c >= 0xD800 && c <= 0xDFFF)) return {};
        return {true, c};
    }
    if (a >= 0xF0 && a <= 0xF4) {
        if (room < 4 || !tail(1) || !tail(2) || !tail(3)) return {};
        const uint32_t c = (static_cast<uint32_t>(a & 0x07) << 18) | (low(1) << 12) | (low(2) << 6) | low(3);
        if (c < 0x10000 || c > 0x10FFFF) return {};
        return {true, c};
    }
    return {};
}

Decoded decode_after(const uint8_t* text, size_t size, size_t at) {
    return at < size ? decode(text + at, size - at) : Decoded{};
}

// The character before `at`: goes back over at most three continuation bytes and decodes from there. Like Rust's
// decode_last it does not ask whether that character reaches up to `at`.
Decoded decode_before(const uint8_t* text, size_t at) {
    if (at == 0) return {};
    const size_t limit = at >= 4 ? at - 4 : 0;
    size_t start = at - 1;
    while (start > limit && (text[start] & 0xC0) == 0x80) --start;
    return decode(text + start, at - start);
}

bool is_word(const Decoded& d) { return d.valid && is_word_scalar(d.scalar); }

}  // namespace

bool is_word_scalar(uint32_t scalar) {
    if (scalar < 0x80) return is_word_byte(static_cast<uint8_t>(scalar));
    const ScalarRange* const end = kUnicodeWord + sizeof(kUnicodeWord) / sizeof(kUnicodeWord[0]);
    const ScalarRange* r =
        std::lower_bound(kUnicodeWord, end, scalar, [](const ScalarRange& a, uint32_t c) { return a.last < c; });
    return r != end && r->first <= scalar;
}

bool look_holds(Look look, const uint8_t* text, size_t size, size_t at) {
    const auto ascii_before = [&] { return at > 0 && is_word_byte(text[at - 1]); };
    const auto ascii_after = [&] { return at < size && is_word_byte(text[at]); };
    const auto before = [&] { return is_word(decode_before(text, at)); };
    const auto after = [&] { return is_word(decode_after(text, size, at)); };
    switch (look) {
        case Look::kStart: return at == 0;
        case Look::kEnd: return at == size;
        case Look::kStartLF: return at == 0 || text[at - 1] == '\n';
        case Look::kEndLF: return at == size || text[at] == '\n';
        case Look::kStartCRLF:
            return at == 0 || text[at - 1] == '\n' || (text[at - 1] == '\r' && (at >= size || text[at] != '\n'));
        case Look::kEndCRLF:
            return at == size || text[at] == '\r' || (text[at] == '\n' && (at == 0 || text[at - 1] != '\r'));
        case Look::kWordAscii: return ascii_before() != ascii_after();
        case Look::kWordAsciiNegate: return ascii_before() == ascii_after();
        case Look::kWordUnicode: return before() != after();
        case Look::kWordUnicodeNegate: {
            const Decoded b = decode_before(text, at), a = decode_after(text, size, at);
            if ((at > 0 && !b.valid) || (at < size && !a.valid)) return false;
            return is_word(b) == is_word(a);
        }
        case Look::kWordStartAscii: return !ascii_before() && ascii_after();
        case Look::kWordEndAscii: return ascii_before() && !ascii_after();
        case Look::kWordStartUnicode: return !before() && after();
        case Look::kWordEndUnicode: return before() && !after();
        case Look::kWordStartHalfAscii: return !ascii_before();
        case Look::kWordEndHalfAscii: return !ascii_after();
        case Look::kWordStartHalfUnicode: {
            const Decoded b = decode_before(text, at);
            return (at == 0 || b.valid) && !is_word(b);
        }
        case Look::kWordEndHalfUnicode: {
            const Decoded a = decode_after(text, size, at);
            return (at == size || a.valid) && !is_word(a);
        }
    }
    return false;
}

struct Vm::Run {
    const uint8_t* text;
    size_t size;
    size_t slot_count;
    VmScratch& scratch;
    bool matched = false;  // with slot_count 0: kMatch was reached
};

Vm::Vm(const std::vector<Inst>& program, uint32_t capture_slots)
    : program_(program) {
    if (program_.empty()) throw std::runtime_error("program: empty");
    for (const Inst& in : program_) {
        const bool jumps = in.op != static_cast<uint8_t>(Op::kFail) && in.op != static_cast<uint8_t>(Op::kMatch);
        if (in.op > static_cast<uint8_t>(Op::kMatch) || (jumps && in.x >= program_.size()) ||
            (in.op == static_cast<uint8_t>(Op::kSplit) && in.y >= program_.size()) ||
            (in.op == static_cast<uint8_t>(Op::kSave) && in.y >= capture_slots) ||
            (in.op == static_cast<uint8_t>(Op::kLook) && in.lo > static_cast<uint8_t>(Look::kWordEndHalfUnicode))) {
            throw std::runtime_error("program: malformed instruction");
        }
    }
    std::vector<bool> seen(program_.size());
    std::vector<uint32_t> todo;
    todo.reserve(program_.size() + 1);
    todo.push_back(0);
    while (!todo.empty()) {
        const uint32_t i = todo.back();
        todo.pop_back();
        if (seen[i]) continue;
        seen[i] = true;
        const Inst& in = program_[i];
        switch (static_cast<Op>(in.op)) {
            case Op::kFail: break;
            case Op::kByte:
                for (unsigned b = in.lo; b <= in.hi; ++b) first_bytes_.set(b);
                break;
            case Op::kSplit: todo.push_back(in.y); todo.push_back(in.x); break;
            case Op::kSave:
            case Op::kLook:
            case Op::kJump: todo.push_back(in.x); break;
            case Op::kMatch: matches_empty_ = true; break;
        }
    }
}

// Adds what is reachable from `inst` without a byte, in order of priority. scratch.slots holds the captures on the way.
void Vm::close(Run& run, VmScratch::Threads& threads, uint32_t inst, size_t at) const {
    std::vector<VmScratch::Frame>& stack = run.scratch.stack;
    std::vector<size_t>& slots = run.scratch.slots;
    stack.clear();
    stack.push_back({inst, 0, 0});
    while (!stack.empty()) {
        const VmScratch::Frame frame = stack.back();
        stack.pop_back();
        if (frame.inst == kRestore) {
            slots[frame.slot] = frame.position;
            continue;
        }
        uint32_t i = frame.inst;
        for (;;) {
            const uint32_t seat = threads.sparse[i];
            if (seat < threads.count && threads.dense[seat] == i) break;
            threads.sparse[i] = static_cast<uint32_t>(threads.count);
            threads.dense[threads.count++] = i;
            const Inst& in = program_[i];
            const Op op = static_cast<Op>(in.op);
            if (op == Op::kSplit) {
                stack.push_back({in.y, 0, 0});
                i = in.x;
            } else if (op == Op::kJump) {
                i = in.x;
            } else if (op == Op::kSave) {
                if (in.y < run.slot_count) {
                    stack.push_back({kRestore, in.y, slots[in.y]});
                    slots[in.y] = at;
                }
                i = in.x;
            } else if (op == Op::kLook) {
                if (!look_holds(static_cast<Look>(in.lo), run.text, run.size, at)) break;
                i = in.x;
            } else {
                if (op == Op::kMatch) run.matched = true;
                if (op != Op::kFail && run.slot_count != 0) {
                    std::copy_n(slots.data(), run.slot_count, threads.slots.data() + i * run.slot_count);
                }
                break;
            }
        }
    }
}

bool Vm::search(const uint8_t* text, size_t size, size_t at, size_t limit, VmScratch& scratch, Pace& pace,
                size_t* slots, size_t slot_count) const {
    VmScratch::Threads* now = &scratch.now;
    VmScratch::Threads* next = &scratch.next;
    for (VmScratch::Threads* t : {now, next}) {
        if (t->dense.size() < program_.size()) {
            t->dense.resize(program_.size());
            t->sparse.resize(program_.size());
        }
        if (t->slots.size() < program_.size() * slot_count) t->slots.resize(program_.size() * slot_count);
        t->count = 0;
    }
    scratch.slots.assign(slot_count, kUnset);
    Run run{text, size, slot_count, scratch, false};
    bool found = false;
    size_t look_at = at + kStrideBytes;
    for (size_t pos = at;; ++pos) {
        if (pos >= look_at) {
            if (!pace.spend(kStrideBytes * Pace::kOfVmByte)) return false;
            look_at = pos + kStrideBytes;
        }
        if (now->count == 0) {
            if (found) break;
            if (!matches_empty_) {
                while (pos < limit && !first_bytes_[text[pos]]) ++pos;
                if (pos == limit) break;
            }
        }
        if (!found) close(run, *now, 0, pos);
        if (slot_count == 0 && run.matched) return true;
        for (size_t k = 0; k < now->count; ++k) {
            const uint32_t i = now->dense[k];
            const Inst& in = program_[i];
            if (in.op == static_cast<uint8_t>(Op::kMatch)) {
                found = true;
                std::copy_n(now->slots.data() + i * slot_count, slot_count, slots);
                break;  // what follows has lower priority
            }
            if (in.op != static_cast<uint8_t>(Op::kByte) || pos >= limit) continue;
            const uint8_t b = text[pos];
            if (b < in.lo || b > in.hi) continue;
            if (slot_count != 0) {
                std::copy_n(now->slots.data() + i * slot_count, slot_count, scratch.slots.data());
            }
            close(run, *next, in.x, pos + 1);
            if (slot_count == 0 && run.matched) return true;
        }
        if (slot_count != 0 && !found) std::fill(scratch.slots.begin(), scratch.slots.end(), kUnset);
        std::swap(now, next);
        next->count = 0;
        if (pos >= limit) break;
    }
    return found;
}

}  // namespace curserve
