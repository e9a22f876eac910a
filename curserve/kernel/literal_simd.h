// literal_simd.h: the vector loops of literal.cpp, written once and included once per instruction set.
//
// In: CURSERVE_SIMD names the namespace; CURSERVE_SIMD_AVX2 is 1 or 0. No include guard: literal.cpp includes it twice.
// Invariant: every load lies inside the text; the caller gives bounds that make it so. Does not dispatch.
namespace curserve {
namespace CURSERVE_SIMD {

#if CURSERVE_SIMD_AVX2
using Vec = __m256i;
constexpr size_t kWidth = 32;
inline Vec load(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline Vec splat(uint8_t b) { return _mm256_set1_epi8(static_cast<char>(b)); }
inline Vec equal(Vec a, Vec b) { return _mm256_cmpeq_epi8(a, b); }
inline Vec both(Vec a, Vec b) { return _mm256_and_si256(a, b); }
inline Vec either(Vec a, Vec b) { return _mm256_or_si256(a, b); }
inline Vec subtract(Vec a, Vec b) { return _mm256_sub_epi8(a, b); }
inline uint32_t bits(Vec a) { return static_cast<uint32_t>(_mm256_movemask_epi8(a)); }
inline Vec zero() { return _mm256_setzero_si256(); }
inline uint64_t sum_bytes(Vec a) {
    const Vec s = _mm256_sad_epu8(a, zero());
    alignas(32) uint64_t parts[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(parts), s);
    return parts[0] + parts[1] + parts[2] + parts[3];
}
#else
using Vec = __m128i;
constexpr size_t kWidth = 16;
inline Vec load(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
inline Vec splat(uint8_t b) { return _mm_set1_epi8(static_cast<char>(b)); }
inline Vec equal(Vec a, Vec b) { return _mm_cmpeq_epi8(a, b); }
inline Vec both(Vec a, Vec b) { return _mm_and_si128(a, b); }
inline Vec either(Vec a, Vec b) { return _mm_or_si128(a, b); }
inline Vec subtract(Vec a, Vec b) { return _mm_sub_epi8(a, b); }
inline uint32_t bits(Vec a) { return static_cast<uint32_t>(_mm_movemask_epi8(a)); }
inline Vec zero() { return _mm_setzero_si128(); }
inline uint64_t sum_bytes(Vec a) {
    const Vec s = _mm_sad_epu8(a, zero());
    alignas(16) uint64_t parts[2];
    _mm_store_si128(reinterpret_cast<__m128i*>(parts), s);
    return parts[0] + parts[1];
}
#endif

inline size_t count(const uint8_t* text, size_t size, uint8_t byte) {
    const Vec wanted = splat(byte);
    uint64_t total = 0;
    size_t i = 0;
    while (size - i >= kWidth) {
        // A lane holds at most 255 before it has to be added up.
        const size_t vectors = std::min<size_t>((size - i) / kWidth, 255);
        Vec lanes = zero();
        for (size_t k = 0; k < vectors; ++k, i += kWidth) lanes = subtract(lanes, equal(load(text + i), wanted));
        total += sum_bytes(lanes);
    }
    if (i < size && size >= kWidth) {
        // The last vector of the text; what was counted already is shifted out.
        const uint32_t hits = bits(equal(load(text + size - kWidth), wanted));
        return static_cast<size_t>(total) + static_cast<size_t>(__builtin_popcount(hits >> (kWidth - (size - i))));
    }
    for (; i < size; ++i) total += text[i] == byte;
    return static_cast<size_t>(total);
}

inline size_t non_ascii(const uint8_t* text, size_t size, size_t from) {
    size_t i = from;
    for (; i + 4 * kWidth <= size; i += 4 * kWidth) {
        const Vec a = either(load(text + i), load(text + i + kWidth));
        const Vec b = either(load(text + i + 2 * kWidth), load(text + i + 3 * kWidth));
        if (bits(either(a, b)) != 0) break;
    }
    for (; i + kWidth <= size; i += kWidth) {
        const uint32_t m = bits(load(text + i));
        if (m != 0) return i + static_cast<size_t>(__builtin_ctz(m));
    }
    for (; i < size; ++i) {
        if (text[i] >= 0x80) return i;
    }
    return kNotFound;
}

inline bool is_fold_at(const uint8_t* p, size_t room) {
    return (room >= 2 && p[0] == 0xC5 && p[1] == 0xBF) || (room >= 3 && p[0] == 0xE2 && p[1] == 0x84 && p[2] == 0xAA);
}

inline size_t ascii_fold(const uint8_t* text, size_t size, size_t from) {
    const Vec s0 = splat(0xC5), s1 = splat(0xBF), k0 = splat(0xE2), k1 = splat(0x84);
    size_t i = from;
    for (; i + kWidth + 1 <= size; i += kWidth) {
        const Vec a = load(text + i);
        if (bits(a) == 0) continue;
        const Vec b = load(text + i + 1);
        uint32_t m = bits(either(both(equal(a, s0), equal(b, s1)), both(equal(a, k0), equal(b, k1))));
        for (; m != 0; m &= m - 1) {
            const size_t at = i + static_cast<size_t>(__builtin_ctz(m));
            if (is_fold_at(text + at, size - at)) return at;
        }
    }
    for (; i < size; ++i) {
        if (is_fold_at(text + i, size - i)) return i;
    }
    return kNotFound;
}

// Two bytes at fixed distances from a start. Calls check(start) for each start in [at, starts) where both are there,
// ascending, until check says true; gives that start or kNotFound. Bytes up to starts - 1 + far must be readable.
template <bool kFold, typename Check>
inline size_t find_pair(const uint8_t* text, size_t at, size_t starts, size_t near, size_t far, uint8_t near_byte,
                        uint8_t far_byte, uint8_t near_mask, uint8_t far_mask, const Check& check) {
    const Vec nb = splat(near_byte), fb = splat(far_byte), nm = splat(near_mask), fm = splat(far_mask);
    const uint8_t* const n = text + near;
    const uint8_t* const f = text + far;
    const auto test = [&](size_t i) __attribute__((always_inline)) {
        Vec a = load(n + i), b = load(f + i);
        if (kFold) {
            a = either(a, nm);
            b = either(b, fm);
        }
        return both(equal(a, nb), equal(b, fb));
    };
    size_t i = at;
    for (; i + 4 * kWidth <= starts; i += 4 * kWidth) {
        const Vec v0 = test(i), v1 = test(i + kWidth), v2 = test(i + 2 * kWidth), v3 = test(i + 3 * kWidth);
        if (__builtin_expect(bits(either(either(v0, v1), either(v2, v3))) == 0, 1)) continue;
        const uint32_t masks[4] = {bits(v0), bits(v1), bits(v2), bits(v3)};
        for (size_t k = 0; k < 4; ++k) {
            for (uint32_t m = masks[k]; m != 0; m &= m - 1) {
                const size_t start = i + k * kWidth + static_cast<size_t>(__builtin_ctz(m));
                if (check(start)) return start;
            }
        }
    }
    for (; i + kWidth <= starts; i += kWidth) {
        for (uint32_t m = bits(test(i)); m != 0; m &= m - 1) {
            const size_t start = i + static_cast<size_t>(__builtin_ctz(m));
            if (check(start)) return start;
        }
    }
    for (; i < starts; ++i) {
        const uint8_t a = n[i], b = f[i];
        if ((kFold ? (a | near_mask) : a) != near_byte || (kFold ? (b | far_mask) : b) != far_byte) continue;
        if (check(i)) return i;
    }
    return kNotFound;
}

#if CURSERVE_SIMD_AVX2
// Nibble tables over kBytes (1 to 3) bytes: a start passes if some bucket's bit survives all of its bytes. Calls
// check(start) as above; text[starts - 1 + kBytes - 1] must be readable. Only whole vectors; *done receives where it
// stopped.
template <size_t kBytes, typename Check>
inline size_t find_nibbles(const uint8_t* text, size_t at, size_t starts, const uint8_t (*low)[16],
                           const uint8_t (*high)[16], const Check& check, size_t* done) {
    Vec lo[kBytes], hi[kBytes];
    for (size_t k = 0; k < kBytes; ++k) {
        lo[k] = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(low[k])));
        hi[k] = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(high[k])));
    }
    const Vec nibble = splat(0x0F);
    const auto test = [&](size_t i) __attribute__((always_inline)) {
        Vec all = splat(0xFF);
        for (size_t k = 0; k < kBytes; ++k) {
            const Vec v = load(text + i + k);
            const Vec l = _mm256_shuffle_epi8(lo[k], both(v, nibble));
            const Vec h = _mm256_shuffle_epi8(hi[k], both(_mm256_srli_epi16(v, 4), nibble));
            all = both(all, both(l, h));
        }
        return all;
    };
    size_t i = at;
    for (; i + 2 * kWidth <= starts; i += 2 * kWidth) {
        const Vec v0 = test(i), v1 = test(i + kWidth);
        const Vec any = either(v0, v1);
        if (__builtin_expect(_mm256_testz_si256(any, any), 1)) continue;
        const uint64_t clear = bits(equal(v0, zero())) | (static_cast<uint64_t>(bits(equal(v1, zero()))) << 32);
        for (uint64_t m = ~clear; m != 0; m &= m - 1) {
            const size_t start = i + static_cast<size_t>(__builtin_ctzll(m));
            if (check(start)) return start;
        }
    }
    *done = i;
    return kNotFound;
}

// ByteSet's tables; kNotFound with *done = where whole vectors ended.
inline size_t in_set(const uint8_t* text, size_t size, size_t from, const uint8_t* low, const uint8_t* high, size_t* done) {
    const Vec lo = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(low)));
    const Vec hi = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(high)));
    const Vec bit = _mm256_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64,
                                     -128, 1, 2, 4, 8, 16, 32, 64, -128);
    const Vec top = splat(0x80), three = splat(0x07);
    size_t i = from;
    for (; i + kWidth <= size; i += kWidth) {
        const Vec v = load(text + i);
        // A shuffle gives 0 where the top bit of its index is set: each table sees only its half of the bytes.
        const Vec row = either(_mm256_shuffle_epi8(lo, v), _mm256_shuffle_epi8(hi, _mm256_xor_si256(v, top)));
        const Vec wanted = _mm256_shuffle_epi8(bit, both(_mm256_srli_epi16(v, 4), three));
        const uint32_t clear = bits(equal(both(row, wanted), zero()));
        if (clear != 0xFFFFFFFFu) return i + static_cast<size_t>(__builtin_ctz(~clear));
    }
    *done = i;
    return kNotFound;
}
#endif

}  // namespace CURSERVE_SIMD
}  // namespace curserve
