// matcher.cpp: any program as the kernel may be given one, on any bytes: refused, or run by every engine alike; and any
// text as a pattern for RE2.
//
// Input: a byte of switches. Bit 0: then a text for RE2, a NUL, a haystack. Else a count of instructions, four bytes for
// each (jumps are relative, so that a mutation elsewhere leaves them sound; bit 1: they are absolute, and may be
// anything), and a haystack. The engines' contract is kept: a program saves where it begins and ends, as all of the
// translator's do, and but with -U no byte of it is a line's end.
#include <algorithm>
#include <stdexcept>

#include "bytes.h"
#include "matcher.h"
#include "re2_engine.h"
#include "vm.h"

using namespace curserve;

namespace {

constexpr size_t kMostInstructions = 96;  // programs of a megabyte are slow, not interesting
constexpr uint32_t kSlots = 6;

std::vector<Inst> raw_program(Bytes& in) {
    std::vector<Inst> program(1 + in.byte() % kMostInstructions);
    for (Inst& inst : program) inst = {in.byte(), in.byte(), in.byte(), 0, in.byte(), in.byte()};
    return program;
}

// Of `count` instructions from the input, one before them and two behind.
std::vector<Inst> program_of(Bytes& in, bool multi_line, uint8_t terminator) {
    const size_t count = 1 + in.byte() % kMostInstructions;
    const auto end = static_cast<uint32_t>(count + 1);
    std::vector<Inst> program(count + 3);
    program[0] = {static_cast<uint8_t>(Op::kSave), 0, 0, 0, 1, 0};
    program[end] = {static_cast<uint8_t>(Op::kSave), 0, 0, 0, end + 1, 1};
    program[end + 1] = {static_cast<uint8_t>(Op::kMatch), 0, 0, 0, 0, 0};
    for (size_t i = 1; i <= count; ++i) {
        const uint8_t kind = in.byte(), second = in.byte(), third = in.byte(), step = in.byte();
        Inst& inst = program[i];
        inst.op = kind % 7;
        const auto target = [&](uint8_t by) {
            return static_cast<uint32_t>(1 + (i + count + static_cast<size_t>(static_cast<int8_t>(by))) % count);
        };
        inst.x = target(step);
        const Op op = static_cast<Op>(inst.op);
        if (op == Op::kMatch) {
            inst.op = static_cast<uint8_t>(Op::kJump);
            inst.x = end;
        }
        if (op == Op::kSplit) inst.y = target(second);
        if (op == Op::kSave) inst.y = 2 + second % (kSlots - 2);
        if (op == Op::kLook) inst.lo = second % 18;
        if (op != Op::kByte) continue;
        inst.lo = std::min(second, third);
        inst.hi = std::max(second, third);
        if (multi_line || inst.lo > terminator || inst.hi < terminator) continue;
        if (inst.hi > terminator) inst.lo = static_cast<uint8_t>(terminator + 1);
        else if (inst.lo < terminator) inst.hi = static_cast<uint8_t>(terminator - 1);
        else inst.op = static_cast<uint8_t>(Op::kFail);
    }
    return program;
}

bool same(const Span& a, const Span& b) { return a.start == b.start && (a.start == kNone || a.end == b.end); }

void compare(const Matcher& left, const Matcher& right, const std::vector<uint8_t>& text) {
    const bool ascii = std::all_of(text.begin(), text.end(), [](uint8_t byte) { return byte < 0x80; });
    const uint8_t* const p = text.data();
    static thread_local Scratch scratches[2];
    if (!left.spec().multi_line) {
        uint64_t lines = 0, counted = 0;
        for (size_t from = 0; from <= text.size();) {
            const Span a = left.find_line(p, text.size(), from, ascii, scratches[0]);
            HOLDS(same(a, right.find_line(p, text.size(), from, ascii, scratches[1])));
            if (a.start == kNone) break;
            HOLDS(from <= a.start && a.start <= a.end && a.end <= text.size());
            ++lines;
            from = a.end + 1;
        }
        LineBatch batch;
        uint64_t batched = 0;
        for (size_t from = 0; from < text.size(); from = batch.upto) {
            if (!right.find_lines(p, text.size(), from, ascii, scratches[1], LineBatch::kMost, &batch)) break;
            HOLDS(from < batch.upto && batch.upto <= text.size());
            batched += batch.count;
            if (batch.upto == text.size()) HOLDS(batched == lines);
        }
        if (right.count_lines(p, text.size(), 0, ascii, &counted)) HOLDS(counted == lines);
    }
    LineAhead ahead;
    size_t at = 0;
    for (int round = 0; round < 16 && at <= text.size(); ++round) {
        size_t slots[2][kSlots];
        const Span a = left.find(p, text.size(), at, ascii, scratches[0], slots[0]);
        HOLDS(same(a, right.find(p, text.size(), at, ascii, scratches[1], slots[1], &ahead)));
        if (a.start == kNone) break;
        HOLDS(at <= a.start && a.start <= a.end && a.end <= text.size());
        HOLDS(std::equal(slots[0], slots[0] + kSlots, slots[1]));
        at = std::max(a.end, at + 1);
    }
}

void re2(Bytes& in) {
    const std::vector<uint8_t> text = in.until(0), haystack = in.take(in.left());
    try {
        const Re2Engine engine{std::string(view(text))};
        size_t start = 0, end = 0;
        const bool found = engine.find(haystack.data(), haystack.size(), 0, haystack.size(), &start, &end);
        HOLDS(found == engine.matches(haystack.data(), haystack.size(), 0, haystack.size()));
        if (found) HOLDS(start <= end && end <= haystack.size());
    } catch (const std::runtime_error&) {  // not a pattern
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Bytes in(data, size);
    const uint8_t switches = in.byte();
    if ((switches & 1) != 0) {
        re2(in);
        return 0;
    }
    const bool raw = (switches & 2) != 0;
    MatcherSpec spec;
    spec.multi_line = (switches & 4) != 0;
    spec.line_terminator = (switches & 8) != 0 ? 0 : '\n';
    spec.told_terminator = !spec.multi_line;
    spec.capture_slots = kSlots;
    if (raw) {
        spec.program = raw_program(in);
        const std::vector<uint8_t> text = in.take(in.left());
        try {
            const Vm vm(spec.program, kSlots);
            VmScratch scratch;
            Pace pace;
            size_t slots[kSlots];
            (void)vm.search(text.data(), text.size(), 0, text.size(), scratch, pace, slots, kSlots);
            (void)Matcher::compile(spec);
        } catch (const std::runtime_error&) {  // malformed
        }
        return 0;
    }
    spec.program = program_of(in, spec.multi_line, spec.line_terminator);
    const std::vector<uint8_t> text = in.take(in.left());
    const auto exact = Matcher::compile(spec, EngineChoice::kVm);
    compare(*exact, *Matcher::compile(spec), text);
    compare(*exact, *Matcher::compile(spec, EngineChoice::kDfa), text);
    return 0;
}
