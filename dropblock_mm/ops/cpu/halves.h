/* The kernels of apply.h for numbers of 16 bits, in vector instructions by name:
 * compilers do not find them. Included once for AVX2 and once for AVX-512.
 *
 * A vector of them becomes two of 32 bits. For bfloat16 those are of its even and of its
 * odd numbers, which lie in the halves of 32 bits: nothing moves from lane to lane.
 */

#if HAS_X86_VECTORS >= 2
enum { FOR(LANES) = 32 };
typedef __m512 FOR(Wide);
typedef __m512i FOR(Narrow);

INLINE FOR(Wide) FOR(all)(float value) { return _mm512_set1_ps(value); }
INLINE FOR(Narrow) FOR(load)(const uint16_t *at) { return _mm512_loadu_si512(at); }
INLINE void FOR(store)(uint16_t *at, FOR(Narrow) x) { _mm512_storeu_si512(at, x); }
INLINE FOR(Narrow) FOR(cleared)(FOR(Narrow) x, uint64_t bits) {
    return _mm512_maskz_mov_epi16((__mmask32)~bits, x);
}
INLINE FOR(Wide) FOR(made)(FOR(Wide) x, FOR(Wide) by, int divides) {
    return divides ? _mm512_div_ps(x, by) : _mm512_mul_ps(x, by);
}
INLINE FOR(Narrow) FOR(make_float16)(FOR(Narrow) x, FOR(Wide) by, int divides) {
    const FOR(Wide) low = _mm512_cvtph_ps(_mm512_castsi512_si256(x));
    const FOR(Wide) high = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(x, 1));
#define NARROW(wide) _mm512_cvtps_ph(FOR(made)(wide, by, divides), _MM_FROUND_TO_NEAREST_INT)
    return _mm512_inserti64x4(_mm512_castsi256_si512(NARROW(low)), NARROW(high), 1);
#undef NARROW
}
/* In the upper half of 32 bits. */
INLINE __m512i FOR(round_bfloat16)(FOR(Wide) x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
    const __mmask16 is_number = _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);
    return _mm512_mask_add_epi32(_mm512_set1_epi32(0x7FC00000), is_number, bits, half);
}
INLINE FOR(Narrow) FOR(make_bfloat16)(FOR(Narrow) x, FOR(Wide) by, int divides) {
    const __m512i upper = _mm512_set1_epi32((int)0xFFFF0000);
    const FOR(Wide) even = _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
    const FOR(Wide) odd = _mm512_castsi512_ps(_mm512_and_si512(x, upper));
    const __m512i low = _mm512_srli_epi32(FOR(round_bfloat16)(FOR(made)(even, by, divides)), 16);
    const __m512i high = FOR(round_bfloat16)(FOR(made)(odd, by, divides));
    return _mm512_mask_blend_epi16(0xAAAAAAAA, low, high);
}
#else
enum { FOR(LANES) = 16 };
typedef __m256 FOR(Wide);
typedef __m256i FOR(Narrow);

INLINE FOR(Wide) FOR(all)(float value) { return _mm256_set1_ps(value); }
INLINE FOR(Narrow) FOR(load)(const uint16_t *at) {
    return _mm256_loadu_si256((const __m256i *)at);
}
INLINE void FOR(store)(uint16_t *at, FOR(Narrow) x) { _mm256_storeu_si256((__m256i *)at, x); }
INLINE FOR(Narrow) FOR(cleared)(FOR(Narrow) x, uint64_t bits) {
    const __m256i ones = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048,
                                           4096, 8192, 16384, (short)32768);
    const __m256i lanes = _mm256_and_si256(_mm256_set1_epi16((short)(bits & 0xFFFF)), ones);
    return _mm256_andnot_si256(_mm256_cmpeq_epi16(lanes, ones), x);
}
INLINE FOR(Wide) FOR(made)(FOR(Wide) x, FOR(Wide) by, int divides) {
    return divides ? _mm256_div_ps(x, by) : _mm256_mul_ps(x, by);
}
INLINE FOR(Narrow) FOR(make_float16)(FOR(Narrow) x, FOR(Wide) by, int divides) {
    const FOR(Wide) low = _mm256_cvtph_ps(_mm256_castsi256_si128(x));
    const FOR(Wide) high = _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1));
#define NARROW(wide) _mm256_cvtps_ph(FOR(made)(wide, by, divides), _MM_FROUND_TO_NEAREST_INT)
    return _mm256_inserti128_si256(_mm256_castsi128_si256(NARROW(low)), NARROW(high), 1);
#undef NARROW
}
/* In the upper half of 32 bits. */
INLINE __m256i FOR(round_bfloat16)(FOR(Wide) x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(_mm256_add_epi32(bits, half), _mm256_set1_epi32(0x7FC00000),
                              is_nan);
}
INLINE FOR(Narrow) FOR(make_bfloat16)(FOR(Narrow) x, FOR(Wide) by, int divides) {
    const __m256i upper = _mm256_set1_epi32((int)0xFFFF0000);
    const FOR(Wide) even = _mm256_castsi256_ps(_mm256_slli_epi32(x, 16));
    const FOR(Wide) odd = _mm256_castsi256_ps(_mm256_and_si256(x, upper));
    const __m256i low = _mm256_srli_epi32(FOR(round_bfloat16)(FOR(made)(even, by, divides)), 16);
    const __m256i high = FOR(round_bfloat16)(FOR(made)(odd, by, divides));
    return _mm256_blend_epi16(low, high, 0xAA);
}
#endif

/* `n` numbers, fewer than a vector: what is left behind whole ones is not, for the last
 * vector begins where it ends with the row, and makes some numbers a second time. */
#define LOAD_SOME(rest, from, n)                                                       \
    uint16_t rest[FOR(LANES)] = {0};                                                   \
    memcpy(rest, from, (size_t)(n) * sizeof(uint16_t))

#define HALVES(name)                                                                   \
    static void FOR(scale_##name)(char *to, const char *from, Int n, double factor,    \
                                  int divides) {                                       \
        const FOR(Wide) by = FOR(all)((float)factor);                                  \
        uint16_t *out = (uint16_t *)to;                                                \
        const uint16_t *x = (const uint16_t *)from;                                    \
        Int k = 0;                                                                     \
        for (; k + FOR(LANES) <= n; k += FOR(LANES))                                   \
            FOR(store)(out + k, FOR(make_##name)(FOR(load)(x + k), by, divides));      \
        if (k == n) return;                                                            \
        if (k > 0) {                                                                   \
            k = n - FOR(LANES);                                                        \
            FOR(store)(out + k, FOR(make_##name)(FOR(load)(x + k), by, divides));      \
            return;                                                                    \
        }                                                                              \
        LOAD_SOME(rest, x, n);                                                         \
        FOR(store)(rest, FOR(make_##name)(FOR(load)(rest), by, divides));              \
        memcpy(out, rest, (size_t)n * sizeof(uint16_t));                               \
    }                                                                                  \
    static void FOR(drop_##name)(char *to, const char *from, Int n,                    \
                                 const uint64_t *mask, Int bit, double factor) {       \
        const FOR(Wide) by = FOR(all)((float)factor);                                  \
        uint16_t *out = (uint16_t *)to;                                                \
        const uint16_t *x = (const uint16_t *)from;                                    \
        uint64_t word = 0;                                                             \
        Int k = 0;                                                                     \
        for (; k + FOR(LANES) <= n; k += FOR(LANES), word >>= FOR(LANES)) {            \
            if (k % 64 == 0) word = word_at(mask, bit + k);                            \
            const FOR(Narrow) made = FOR(make_##name)(FOR(load)(x + k), by, 0);        \
            FOR(store)(out + k, FOR(cleared)(made, word));                             \
        }                                                                              \
        if (k == n) return;                                                            \
        if (k > 0) {                                                                   \
            k = n - FOR(LANES);                                                        \
            const FOR(Narrow) made = FOR(make_##name)(FOR(load)(x + k), by, 0);        \
            FOR(store)(out + k, FOR(cleared)(made, word_at(mask, bit + k)));           \
            return;                                                                    \
        }                                                                              \
        LOAD_SOME(rest, x, n);                                                         \
        const FOR(Narrow) made = FOR(make_##name)(FOR(load)(rest), by, 0);             \
        FOR(store)(rest, FOR(cleared)(made, word_at(mask, bit)));                      \
        memcpy(out, rest, (size_t)n * sizeof(uint16_t));                               \
    }

HALVES(float16)
HALVES(bfloat16)
#undef HALVES
#undef LOAD_SOME
