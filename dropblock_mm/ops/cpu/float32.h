/* The kernels of apply.h for float32, in instructions of AVX-512 by name: a product that is
 * zero where a bit is set is one of them, and so is what is left behind whole vectors. */

/* Sixteen numbers in a register. Without the barrier a compiler reads them within the
 * masked product: a masked read, which the prefetchers of AMD's Zen 5 do not follow, so
 * that a tensor which is not in the cache took 2.3 times as long. */
INLINE __m512 FOR(load_float32)(const float *x) {
    __m512 value = _mm512_loadu_ps(x);
    __asm__("" : "+v"(value));
    return value;
}

INLINE __m512 FOR(scaled)(__m512 x, __m512 by, int divides) {
    return divides ? _mm512_div_ps(x, by) : _mm512_mul_ps(x, by);
}

/* Four vectors at a time, and what is left. */
INLINE void FOR(scale_all)(float *out, const float *x, Int n, __m512 by, int divides) {
    Int k = 0;
    for (; k + 64 <= n; k += 64)
        for (int part = 0; part < 64; part += 16)
            _mm512_storeu_ps(out + k + part,
                             FOR(scaled)(_mm512_loadu_ps(x + k + part), by, divides));
    for (; k < n; k += 16) {
        const __mmask16 some = n - k < 16 ? (__mmask16)((1U << (n - k)) - 1) : 0xFFFF;
        _mm512_mask_storeu_ps(out + k, some,
                              FOR(scaled)(_mm512_maskz_loadu_ps(some, x + k), by, divides));
    }
}

static void FOR(scale_float32)(char *to, const char *from, Int n, double factor,
                               int divides) {
    const __m512 by = _mm512_set1_ps((float)factor);
    if (divides)
        FOR(scale_all)((float *)to, (const float *)from, n, by, 1);
    else
        FOR(scale_all)((float *)to, (const float *)from, n, by, 0);
}

/* Sixteen units, kept where a bit is set. */
INLINE void FOR(keep_float32)(float *out, const float *x, __m512 by, uint64_t kept) {
    _mm512_storeu_ps(out, _mm512_maskz_mul_ps((__mmask16)kept, by, FOR(load_float32)(x)));
}

static void FOR(drop_float32)(char *to, const char *from, Int n, const uint64_t *mask,
                              Int bit, double factor) {
    const __m512 by = _mm512_set1_ps((float)factor);
    float *out = (float *)to;
    const float *x = (const float *)from;
    Int k = 0;
    for (; k + 64 <= n; k += 64) {
        const uint64_t kept = ~word_at(mask, bit + k);
        FOR(keep_float32)(out + k, x + k, by, kept);
        FOR(keep_float32)(out + k + 16, x + k + 16, by, kept >> 16);
        FOR(keep_float32)(out + k + 32, x + k + 32, by, kept >> 32);
        FOR(keep_float32)(out + k + 48, x + k + 48, by, kept >> 48);
    }
    if (k == n) return;
    uint64_t kept = ~word_at(mask, bit + k);
    for (; k + 16 <= n; k += 16, kept >>= 16) FOR(keep_float32)(out + k, x + k, by, kept);
    const __mmask16 some = (__mmask16)((1U << (n - k)) - 1);
    if (some)
        _mm512_mask_storeu_ps(out + k, some,
                              _mm512_maskz_mul_ps((__mmask16)kept, by,
                                                  _mm512_maskz_loadu_ps(some, x + k)));
}
