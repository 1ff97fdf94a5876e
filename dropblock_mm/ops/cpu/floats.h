/* Numbers of 16 bits, widened and rounded as torch does: to nearest, ties to even. */
#ifndef DROPBLOCK_FLOATS_H
#define DROPBLOCK_FLOATS_H

#include <stdint.h>
#include <string.h>

#include "random.h"

INLINE uint32_t bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

INLINE uint64_t bits_of_double(double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

INLINE float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

INLINE float float_of_bfloat16(uint16_t bits) {
    return float_of_bits((uint32_t)bits << 16);
}

/* `yes` where the condition holds: without a branch, also to compilers. */
INLINE uint32_t choose(int condition, uint32_t yes, uint32_t no) {
    const uint32_t all = 0 - (uint32_t)condition;
    return (yes & all) | (no & ~all);
}

INLINE uint16_t bfloat16_of_float(float value) {
    const uint32_t bits = bits_of_float(value);
    const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    return (uint16_t)choose((bits & 0x7FFFFFFF) > 0x7F800000, 0x7FC0, rounded);
}

/* Exponents move by the difference of their biases, 112. */
INLINE float float_of_float16(uint16_t bits) {
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    const uint32_t magnitude = (uint32_t)(bits & 0x7FFF) << 13;
    /* A product with 2^112 also makes normal numbers of subnormal ones. */
    const uint32_t scaled = bits_of_float(float_of_bits(magnitude) * 0x1p112f);
    const uint32_t infinite = choose(magnitude >= 0x0F800000, 0x7F800000, 0);
    return float_of_bits(sign | scaled | infinite);
}

INLINE uint16_t float16_of_float(float value) {
    const uint32_t bits = bits_of_float(value), sign = bits >> 16 & 0x8000;
    const uint32_t magnitude = bits & 0x7FFFFFFF;
    /* Below 2^-14 the last digit is 2^-24, that of 0.5: the sum rounds there. */
    const uint32_t small = bits_of_float(float_of_bits(magnitude) + 0.5f) - 0x3F000000;
    const uint32_t normal = (magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1)) >> 13;
    uint32_t half = choose(magnitude < 0x38800000, small, normal);
    half = choose(magnitude >= 0x47800000, 0x7C00, half); /* 65,536 */
    half = choose(magnitude > 0x7F800000, 0x7E00, half);
    return (uint16_t)(sign | half);
}

#endif
