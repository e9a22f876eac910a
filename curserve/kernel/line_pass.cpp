// line_pass.cpp: see line_pass.h. The choice of the instruction set.
#include "line_pass.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt")
#define CURSERVE_SIMD masks_avx2
#define CURSERVE_SIMD_AVX512 0
#include "masks_simd.h"
#include "line_pass_simd.h"
#undef CURSERVE_SIMD
#undef CURSERVE_SIMD_AVX512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512vl,avx512dq")
#define CURSERVE_SIMD masks_avx512
#define CURSERVE_SIMD_AVX512 1
#include "masks_simd.h"
#include "line_pass_simd.h"
#undef CURSERVE_SIMD
#undef CURSERVE_SIMD_AVX512
#pragma GCC pop_options

namespace curserve {
namespace {

LineSet find_best() {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("popcnt")) {
        return LineSet::kNone;
    }
    // VBMI is not needed: who has it does not clock down for vectors of 64 bytes.
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vbmi");
    return wide ? LineSet::kAvx512 : LineSet::kAvx2;
}

}  // namespace

LineSet best_line_set() {
    static const LineSet best = find_best();
    return best;
}

void lines_with_literal(const uint8_t* text, size_t size, size_t from, uint8_t terminator, const LiteralProbe& probe,
                        size_t most, LineBatch* batch, LineSet set) {
    if (set == LineSet::kAvx512) {
        masks_avx512::lines_with_literal(text, size, from, terminator, probe, most, batch);
    } else {
        masks_avx2::lines_with_literal(text, size, from, terminator, probe, most, batch);
    }
}

void lines_of_class(const uint8_t* text, size_t size, size_t from, uint8_t terminator, const ByteSet& of, size_t most,
                    LineBatch* batch, LineSet set) {
    if (set == LineSet::kAvx512) {
        masks_avx512::lines_of_class(text, size, from, terminator, of, most, batch);
    } else {
        masks_avx2::lines_of_class(text, size, from, terminator, of, most, batch);
    }
}

}  // namespace curserve
