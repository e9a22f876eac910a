// masks_simd.h: what 64 bytes of text are, as bit masks (bit i: byte i). Written once, included once per instruction set.
//
// In: CURSERVE_SIMD names the namespace; CURSERVE_SIMD_AVX512 is 1 or 0 (AVX2). No include guard: line_pass.cpp includes
// it twice. Invariant: every load lies inside the 64 bytes at p. Does not dispatch.
namespace curserve {
namespace CURSERVE_SIMD {

#if CURSERVE_SIMD_AVX512

// A byte with some of its bits set (`fold`) before it is compared.
class ByteProbe {
  public:
    explicit ByteProbe(uint8_t byte, uint8_t fold = 0)
        : byte_(_mm512_set1_epi8(static_cast<char>(byte))), fold_(_mm512_set1_epi8(static_cast<char>(fold))) {}
    uint64_t mask(const uint8_t* p) const { return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(p), byte_); }
    uint64_t folded_mask(const uint8_t* p) const {
        return _mm512_cmpeq_epi8_mask(_mm512_or_si512(_mm512_loadu_si512(p), fold_), byte_);
    }

  private:
    __m512i byte_, fold_;
};

class ClassProbe {
  public:
    explicit ClassProbe(const ByteSet& set) : low_(spread(set.low)), high_(spread(set.high)) {}
    uint64_t mask(const uint8_t* p) const {
        const __m512i bit = _mm512_set1_epi64(static_cast<int64_t>(0x8040201008040201u));
        const __m512i v = _mm512_loadu_si512(p);
        // A shuffle gives 0 where the top bit of its index is set: each table sees only its half of the bytes.
        const __m512i row = _mm512_or_si512(_mm512_shuffle_epi8(low_, v),
                                            _mm512_shuffle_epi8(high_, _mm512_xor_si512(v, _mm512_set1_epi8(-128))));
        const __m512i nibble = _mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(7));
        return _mm512_test_epi8_mask(row, _mm512_shuffle_epi8(bit, nibble));
    }

  private:
    static __m512i spread(const uint8_t* row) {
        // (GCC 12 takes the plain broadcast for a use of something uninitialized.)
        return _mm512_maskz_broadcast_i32x4(0xffff, _mm_load_si128(reinterpret_cast<const __m128i*>(row)));
    }
    __m512i low_, high_;
};

// Whether p begins with the `size` bytes, at most 32, after the bits of `fold` were set. Reads p[0, size).
inline bool begins(const uint8_t* p, size_t, const uint8_t* bytes, const uint8_t* fold, size_t size) {
    const __mmask32 some = static_cast<__mmask32>((uint64_t{1} << size) - 1);
    const __m256i v = _mm256_or_si256(_mm256_maskz_loadu_epi8(some, p),
                                      _mm256_load_si256(reinterpret_cast<const __m256i*>(fold)));
    return _mm256_mask_cmpneq_epi8_mask(some, v, _mm256_load_si256(reinterpret_cast<const __m256i*>(bytes))) == 0;
}

#else

class ByteProbe {
  public:
    explicit ByteProbe(uint8_t byte, uint8_t fold = 0)
        : byte_(_mm256_set1_epi8(static_cast<char>(byte))), fold_(_mm256_set1_epi8(static_cast<char>(fold))) {}
    uint64_t mask(const uint8_t* p) const { return half(load(p)) | (half(load(p + 32)) << 32); }
    uint64_t folded_mask(const uint8_t* p) const {
        return half(_mm256_or_si256(load(p), fold_)) | (half(_mm256_or_si256(load(p + 32), fold_)) << 32);
    }

  private:
    static __m256i load(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
    uint64_t half(__m256i v) const {
        return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, byte_)));
    }
    __m256i byte_, fold_;
};

class ClassProbe {
  public:
    explicit ClassProbe(const ByteSet& set) : low_(spread(set.low)), high_(spread(set.high)) {}
    uint64_t mask(const uint8_t* p) const { return ~(others(p) | (others(p + 32) << 32)); }

  private:
    static __m256i spread(const uint8_t* row) {
        return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(row)));
    }
    uint64_t others(const uint8_t* p) const {
        const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201u));
        const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
        // A shuffle gives 0 where the top bit of its index is set: each table sees only its half of the bytes.
        const __m256i row = _mm256_or_si256(_mm256_shuffle_epi8(low_, v),
                                            _mm256_shuffle_epi8(high_, _mm256_xor_si256(v, _mm256_set1_epi8(-128))));
        const __m256i nibble = _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(7));
        const __m256i out = _mm256_and_si256(row, _mm256_shuffle_epi8(bit, nibble));
        return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(out, _mm256_setzero_si256())));
    }
    __m256i low_, high_;
};

// Whether p, of which `room` >= size bytes may be read, begins with the `size` bytes, at most 32, after the bits of
// `fold` were set.
inline bool begins(const uint8_t* p, size_t room, const uint8_t* bytes, const uint8_t* fold, size_t size) {
    if (room < 32) {
        for (size_t i = 0; i < size; ++i) {
            if ((p[i] | fold[i]) != bytes[i]) return false;
        }
        return true;
    }
    const __m256i v = _mm256_or_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                                      _mm256_load_si256(reinterpret_cast<const __m256i*>(fold)));
    const __m256i same = _mm256_cmpeq_epi8(v, _mm256_load_si256(reinterpret_cast<const __m256i*>(bytes)));
    const uint64_t some = (uint64_t{1} << size) - 1;
    return (static_cast<uint32_t>(_mm256_movemask_epi8(same)) & some) == some;
}

#endif

// The rest of a text in 64 bytes of our own: nothing outside of it is read.
struct Tail {
    uint8_t bytes[64] = {};
    uint64_t valid;
    Tail(const uint8_t* p, size_t size) : valid((uint64_t{1} << size) - 1) {
        if (size != 0) std::memcpy(bytes, p, size);
    }
};

// Terminators of lines made of a class alone, from masks in the order of the text, beginning at a line's start.
class WholeEnds {
  public:
    uint64_t next(uint64_t in_class, uint64_t terminators) {
        const uint64_t starts = (terminators << 1) | starts_here_;
        uint64_t sum, out;
        const bool over = __builtin_add_overflow(in_class, starts, &sum);
        const bool more = __builtin_add_overflow(sum, rippling_, &out);
        starts_here_ = terminators >> 63;
        rippling_ = over || more;
        return out & terminators;
    }

  private:
    uint64_t starts_here_ = 1;  // the next mask begins with a line's start
    uint64_t rippling_ = 0;     // ... or in a line that is of the class so far
};

}  // namespace CURSERVE_SIMD
}  // namespace curserve
