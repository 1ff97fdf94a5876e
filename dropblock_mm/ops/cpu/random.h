/* Random numbers by their index: whoever asks for number i of a key gets the same one.
 *
 * So threads need no state, share no stream, and draw the same mask however many they
 * are; and torch_loops.py draws it too. The generator is SplitMix64 (Steele, Lea and
 * Flood, 2014): a 64-bit counter and a mixing function of two products. Philox has more
 * rounds and no better results here, and costs four times as much without AES.
 */
#ifndef DROPBLOCK_RANDOM_H
#define DROPBLOCK_RANDOM_H

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

/* Loops for vector instructions; -fopenmp-simd reads it, and needs no runtime. */
#define SIMD _Pragma("omp simd")

typedef long long Int; /* what the format "L" reads */

#define GOLDEN 0x9E3779B97F4A7C15ULL

INLINE uint64_t random_word(uint64_t key, uint64_t index) {
    uint64_t z = key + GOLDEN * (index + 1);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

/* The logarithm of a number in (0, 1], to the last digit or two.
 *
 * Written out, because compilers turn it into vector instructions, which they cannot do
 * with a call of the library's. With a mantissa m in [.7, 1.42) and s = (m-1) / (m+1),
 * log m is 2 (s + s^3 / 3 + s^5 / 5 ...), of which 11 terms are 53 bits.
 */
INLINE double log_of(double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    /* From here on an exponent counts for one more: .7 is about sqrt(.5). */
    const uint64_t shifted = bits - 0x3FE6666666666666ULL + (1ULL << 62);
    const double exponent = (double)((Int)(shifted >> 52) - 1024);
    bits = (shifted & 0xFFFFFFFFFFFFFULL) + 0x3FE6666666666666ULL;
    double mantissa, sum = 1.0 / 21;
    memcpy(&mantissa, &bits, 8);
    const double s = (mantissa - 1.0) / (mantissa + 1.0), square = s * s;
    for (int k = 19; k > 0; k -= 2) sum = sum * square + 1.0 / k;
    return 2.0 * s * sum + exponent * 0.69314718055994530942;
}

#define GAPS 16 /* that are drawn together */

/* Exponential gaps with a mean of -1: numbers first..first + GAPS of a stream. */
INLINE void random_gaps(double *out, uint64_t key, uint64_t stream, uint64_t first) {
    SIMD for (int k = 0; k < GAPS; ++k) {
        const uint64_t index = (stream << 32) + first + (uint64_t)k;
        const Int bits = (Int)(random_word(key, index) >> 11);
        out[k] = log_of((double)(bits + 1) * 0x1p-53);
    }
}

#define LEVELS 64    /* random bits of a unit, at most */
#define TOGETHER 32  /* words that are drawn together, by vector instructions */

/* Words each of whose bits is set with probability `share` / 2^64, by itself.
 *
 * A bit compares a random number with the share, digit by digit from the top. Half of
 * the bits are decided by each digit, so that of the 64 digits about 12 are drawn: a
 * fifth of a random word for each unit, and the same as if all had been.
 */
INLINE void random_bits(uint64_t *out, Int words, uint64_t key, uint64_t first,
                        uint64_t share) {
    for (Int from = 0; from < words; from += TOGETHER) {
        uint64_t below[TOGETHER], open[TOGETHER];
        for (int k = 0; k < TOGETHER; ++k) below[k] = 0, open[k] = ~0ULL;
        uint64_t rest = share;
        for (uint64_t level = 0; rest; ++level, rest <<= 1) {
            const uint64_t digit = 0 - (rest >> 63);
            uint64_t any = 0;
            SIMD for (int k = 0; k < TOGETHER; ++k) {
                const uint64_t index = (first + (uint64_t)(from + k)) * LEVELS + level;
                const uint64_t word = random_word(key, index);
                below[k] |= open[k] & digit & ~word;
                open[k] &= ~(digit ^ word);
                any |= open[k];
            }
            if (!any) break;
        }
        const Int count = words - from < TOGETHER ? words - from : TOGETHER;
        for (Int k = 0; k < count; ++k) out[from + k] = below[k];
    }
}

#endif
