/* What is to be drawn, and what it is applied to. */
#ifndef DROPBLOCK_JOBS_H
#define DROPBLOCK_JOBS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"
#include "threads.h"

/* Places that a stream of random gaps runs along: as in torch_loops.py. */
#define STREAM 8192

/* A plane of the mask, and a block on it. Maps have depth 1, and lines height 1. */
typedef struct {
    Int depth, height, width, block_depth, block_height, block_width;
} Volume;

enum Way { BY_GAPS, BY_BITS, GIVEN };

/* A mask has a bit for each unit, set where it is dropped. Bits of units that are drawn
 * alone (`planes` is 0) lie one behind the other, `units` of them; those of a plane with
 * blocks begin with a word. */
typedef struct {
    uint64_t *mask;
    Int words;           /* of the mask, or of each plane */
    Int planes, units;   /* units of the mask, or of each plane */
    Volume map;
    enum Way way;
    uint64_t key, share; /* probability of a seed, in 2^-64 */
    double gap;          /* mean distance of seeds, in places */
    int certain;         /* the probability is 1 */
    const uint8_t *seeds; /* that are given */
    const uint64_t *corners; /* of a plane: where whole blocks fit */
    const uint64_t *stamps;  /* of a slice of a block, at each bit of a word */
    Int stamp_words;         /* 0 where rows are fewer */
    Int streams, planes_per_stream;
    Int dropped;
    Int order[3];        /* images, channels, units; zeros unless they are to be turned */
    uint64_t *turned;    /* the bits so, where they are kept, or NULL */
} Draw;

/* out = x * factor, or x / factor, and 0 where the mask says so.
 *
 * Strides are of images, channels and units, of tensors in units of theirs and of the
 * mask in bits: 0 where these share one bit. Those of `out` and of `x` are 1 either for
 * units or for channels. */
typedef struct {
    char *out;
    const char *x;
    int dtype;
    Int images, channels, units;
    Int out_steps[3], x_steps[3], bits[3];
    const uint64_t *mask; /* or NULL, if all bits are turned */
    uint64_t *turned;     /* where they are to be, or are: words for each unit; or NULL */
    double factor;
    int divides;
    int is_flat; /* one image, and nothing lies between its planes */
    int streams; /* past the caches */
    int reads;   /* short runs of what is dropped too */
} Apply;

/* Some units of an image, and some channels. */
typedef struct {
    Int image, unit, units, channel, channels;
} Slab;

#define LINE 64    /* bytes of a cache line */
#define SLICE 4096 /* bytes that are made at once, of what goes past the caches */

/* Set `length` bits from one on. */
INLINE void set_row(uint64_t *plane, Int bit, Int length) {
    for (const Int end = bit + length; bit < end;) {
        const Int stop = (bit | 63) + 1 < end ? (bit | 63) + 1 : end;
        plane[bit >> 6] |= ~0ULL >> (64 - (stop - bit)) << (bit & 63);
        bit = stop;
    }
}

/* The bits 0 to 7 of bytes in the order of memory. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FIRST_TO_LAST 0x0102040810204080ULL
#else
#define FIRST_TO_LAST 0x8040201008040201ULL
#endif

INLINE Int least(Int one, Int other) { return one < other ? one : other; }

INLINE Int part(Int whole, Int member, Int members) { return whole * member / members; }

INLINE int bit_at(const uint64_t *mask, Int bit) {
    return (int)(mask[bit >> 6] >> (bit & 63)) & 1;
}

/* 64 bits from any bit on; there is a word behind the mask. */
INLINE uint64_t word_at(const uint64_t *mask, Int bit) {
    const uint64_t *word = mask + (bit >> 6);
    const int shift = (int)(bit & 63);
    return shift ? word[0] >> shift | word[1] << (64 - shift) : word[0];
}

#endif
