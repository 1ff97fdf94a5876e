/* The kernels of apply.h for numbers of 16 bits, in vector instructions by name:
 * compilers do not find them. Included once for AVX2 and once for AVX-512. */

#if HAS_X86_VECTORS == 2
enum { FOR(LANES) = 16 };
typedef __m512 FOR(Wide);
typedef __m256i FOR(Narrow);

INLINE FOR(Wide) FOR(all)(float value) { return _mm512_set1_ps(value); }
INLINE FOR(Narrow) FOR(load)(const uint16_t *at) {
    return _mm256_loadu_si256((const __m256i *)at);
}
INLINE void FOR(store)(uint16_t *at, FOR(Narrow) x) {
    _mm256_storeu_si256((__m256i *)at, x);
}
INLINE FOR(Narrow) FOR(cleared)(FOR(Narrow) x, uint64_t bits) {
    return _mm256_maskz_mov_epi16((__mmask16)~bits, x);
}
INLINE FOR(Wide) FOR(times)(FOR(Wide) x, FOR(Wide) y) { return _mm512_mul_ps(x, y); }
INLINE FOR(Wide) FOR(by)(FOR(Wide) x, FOR(Wide) y) { return _mm512_div_ps(x, y); }
INLINE FOR(Wide) FOR(widen_float16)(FOR(Narrow) x) { return _mm512_cvtph_ps(x); }
INLINE FOR(Narrow) FOR(narrow_float16)(FOR(Wide) x) {
    return _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
}
INLINE FOR(Wide) FOR(widen_bfloat16)(FOR(Narrow) x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}
INLINE FOR(Narrow) FOR(narrow_bfloat16)(FOR(Wide) x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, half), 16);
    const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(
        _mm512_mask_mov_epi32(rounded, is_nan, _mm512_set1_epi32(0x7FC0)));
}
#else
enum { FOR(LANES) = 8 };
typedef __m256 FOR(Wide);
typedef __m128i FOR(Narrow);

INLINE FOR(Wide) FOR(all)(float value) { return _mm256_set1_ps(value); }
INLINE FOR(Narrow) FOR(load)(const uint16_t *at) {
    return _mm_loadu_si128((const __m128i *)at);
}
INLINE void FOR(store)(uint16_t *at, FOR(Narrow) x) { _mm_storeu_si128((__m128i *)at, x); }
INLINE FOR(Narrow) FOR(cleared)(FOR(Narrow) x, uint64_t bits) {
    const __m128i ones = _mm_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128);
    const __m128i lanes = _mm_and_si128(_mm_set1_epi16((short)(bits & 255)), ones);
    return _mm_andnot_si128(_mm_cmpeq_epi16(lanes, ones), x);
}
INLINE FOR(Wide) FOR(times)(FOR(Wide) x, FOR(Wide) y) { return _mm256_mul_ps(x, y); }
INLINE FOR(Wide) FOR(by)(FOR(Wide) x, FOR(Wide) y) { return _mm256_div_ps(x, y); }
INLINE FOR(Wide) FOR(widen_float16)(FOR(Narrow) x) { return _mm256_cvtph_ps(x); }
INLINE FOR(Narrow) FOR(narrow_float16)(FOR(Wide) x) {
    return _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
}
INLINE FOR(Wide) FOR(widen_bfloat16)(FOR(Narrow) x) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}
INLINE FOR(Narrow) FOR(narrow_bfloat16)(FOR(Wide) x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, half), 16);
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i all = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7FC0), is_nan);
    const __m256i pairs = _mm256_packus_epi32(all, all); /* within halves of the vector */
    return _mm256_castsi256_si128(_mm256_permute4x64_epi64(pairs, 0x08));
}
#endif

#define HALVES(name)                                                                   \
    static void FOR(scale_##name)(char *to, const char *from, Int n, double by,        \
                                  int divides) {                                       \
        const FOR(Wide) factor = FOR(all)((float)by);                                  \
        uint16_t *out = (uint16_t *)to;                                                \
        const uint16_t *x = (const uint16_t *)from;                                    \
        Int k = 0;                                                                     \
        for (; k + FOR(LANES) <= n; k += FOR(LANES)) {                                 \
            const FOR(Wide) wide = FOR(widen_##name)(FOR(load)(x + k));                \
            FOR(store)(out + k, FOR(narrow_##name)(divides ? FOR(by)(wide, factor)     \
                                                           : FOR(times)(wide, factor))); \
        }                                                                              \
        for (; k < n; ++k) {                                                           \
            const float wide = float_of_##name(x[k]);                                  \
            out[k] = name##_of_float(divides ? wide / (float)by : wide * (float)by);   \
        }                                                                              \
    }                                                                                  \
    static void FOR(drop_##name)(char *to, const char *from, Int n,                    \
                                 const uint64_t *mask, Int bit, double by) {           \
        const FOR(Wide) factor = FOR(all)((float)by);                                  \
        uint16_t *out = (uint16_t *)to;                                                \
        const uint16_t *x = (const uint16_t *)from;                                    \
        uint64_t word = 0;                                                             \
        Int k = 0;                                                                     \
        for (; k + FOR(LANES) <= n; k += FOR(LANES), word >>= FOR(LANES)) {            \
            if (k % 64 == 0) word = word_at(mask, bit + k);                            \
            const FOR(Wide) wide = FOR(widen_##name)(FOR(load)(x + k));                \
            FOR(store)(out + k, FOR(cleared)(FOR(narrow_##name)(FOR(times)(wide, factor)), \
                                             word));                                   \
        }                                                                              \
        for (; k < n; ++k) {                                                           \
            const uint16_t value = name##_of_float(float_of_##name(x[k]) * (float)by); \
            out[k] = bit_at(mask, bit + k) ? 0 : value;                                \
        }                                                                              \
    }

HALVES(float16)
HALVES(bfloat16)
#undef HALVES
