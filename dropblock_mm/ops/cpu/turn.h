/* Turns the bits of a mask, whose planes lie behind each other, for inputs whose channels
 * do. */

#include "transpose.h"

#define SLAB 4096 /* channels whose bits are turned at once, and words of them */

/* How many of the tiles are of other channels, a power of two; the rest are of other
 * units. So all channels of few units are turned, and memory is read in its order. */
INLINE Int FOR(tiles_across)(Int channels) {
    Int across = 1;
    while (across < TILES && across * 64 < channels) across *= 2;
    return across;
}

/* Of how many groups of 64 units the bits are turned at once: those of a line of the mask
 * are read together, and what they become stays in the cache. */
INLINE Int FOR(groups_at_once)(Int channels) {
    const Int along = TILES / FOR(tiles_across)(channels), words = (channels + 63) / 64;
    return words < SLAB / 64 ? SLAB / 64 / words / along * along : 1;
}

/* Bits of 64 units, and of 64 channels or fewer, into a tile. */
INLINE void FOR(read_tile)(uint64_t (*rows)[TILES], Int tile, const Apply *apply, Int bit,
                           Int channels) {
    for (Int k = 0; k < channels; ++k)
        rows[k][tile] = word_at(apply->mask, bit + k * apply->bits[1]);
}

/* Into all tiles, `across` of them of other channels, where each channel has whole words:
 * by rows, for a row is a vector. */
INLINE void FOR(read_rows)(uint64_t (*restrict rows)[TILES], const Apply *apply, Int bit,
                           int across) {
    const Int step = apply->bits[1] >> 6;
    const uint64_t *restrict from = apply->mask + (bit >> 6);
    for (Int k = 0; k < 64; ++k, from += step)
        for (int tile = 0; tile < TILES; ++tile)
            rows[k][tile] = from[tile % across * 64 * step + tile / across];
}

/* Bits of some units and channels, at most 64 for each tile that lies along them. */
INLINE void FOR(read_tiles)(uint64_t (*rows)[TILES], const Apply *apply, Int bit, Int units,
                            Int channels, Int across) {
    const Int step = apply->bits[1];
    const int is_full = channels >= across * 64 && units > (TILES / across - 1) * 64;
    if (!is_full || (bit | step) & 63) {
        if (!is_full) memset(rows, 0, 64 * sizeof *rows);
        for (Int n = 0; n * 64 < channels; ++n, bit += 64 * step)
            for (Int k = 0; k * 64 < units; ++k)
                FOR(read_tile)(rows, n + k * across, apply, bit + k * 64,
                               least(channels - n * 64, 64));
    } else if (across == 8) {
        FOR(read_rows)(rows, apply, bit, 8);
    } else if (across == 4) {
        FOR(read_rows)(rows, apply, bit, 4);
    } else if (across == 2) {
        FOR(read_rows)(rows, apply, bit, 2);
    } else {
        FOR(read_rows)(rows, apply, bit, 1);
    }
}

/* The tiles from one on, of the same units and so many words of channels. */
INLINE void FOR(write_tiles)(uint64_t *to, Int stride, uint64_t (*rows)[TILES], Int tile,
                             Int words, Int units) {
#define WRITE(number)                                                                  \
    for (Int k = 0; k < units; ++k)                                                    \
    memcpy(to + k * stride, rows[k] + tile, (size_t)(number) * sizeof *to)
    switch (words) {
        case 8: WRITE(8); break;
        case 4: WRITE(4); break;
        case 2: WRITE(2); break;
        case 1: WRITE(1); break;
        default: WRITE(words);
    }
#undef WRITE
}

#if HAS_X86_VECTORS >= 2
#define SQUARE 512 /* channels, and units at most: eight tiles each way */

/* Turn a square in which each channel has whole words. A vector has those of one channel:
 * to read them one by one takes as long as all else. */
static void FOR(turn_square)(const uint64_t *from, Int step, uint64_t *to, Int stride,
                             Int units) {
    const Int groups = (units + 63) / 64;
    const __mmask8 some = (__mmask8)(0xFF >> (8 - groups));
    uint64_t rows[8][64][TILES];
    for (Int k = 0; k < 64; ++k, from += step) {
        __m512i words[TILES];
        for (int tile = 0; tile < TILES; ++tile)
            words[tile] = _mm512_maskz_loadu_epi64(some, from + tile * 64 * step);
        FOR(transpose_words)(words);
        for (Int group = 0; group < groups; ++group)
            _mm512_storeu_si512(rows[group][k], words[group]);
    }
    for (Int group = 0; group < groups; ++group, to += 64 * stride) {
        FOR(transpose)(rows[group]);
        FOR(write_tiles)(to, stride, rows[group], 0, TILES, least(units - group * 64, 64));
    }
}
#endif

/* Turn the bits of some units and some channels: `stride` words for each unit. */
INLINE void FOR(turn)(const Apply *apply, uint64_t *turned, Int stride, Int bit, Int units,
                      Int channels) {
    const Int across = FOR(tiles_across)(channels), along = TILES / across;
    uint64_t rows[64][TILES];
    for (Int channel = 0; channel < channels; channel += across * 64)
        for (Int unit = 0; unit < units; unit += along * 64) {
            const Int first = bit + channel * apply->bits[1] + unit;
            const Int some = least(channels - channel, across * 64);
            const Int left = least(units - unit, along * 64);
            uint64_t *to = turned + unit * stride + channel / 64;
#if HAS_X86_VECTORS >= 2
            if (some == SQUARE && units - unit > SQUARE / 2 &&
                !((first | apply->bits[1]) & 63)) {
                FOR(turn_square)(apply->mask + (first >> 6), apply->bits[1] >> 6, to,
                                 stride, least(units - unit, SQUARE));
                unit += SQUARE - along * 64;
                continue;
            }
#endif
            FOR(read_tiles)(rows, apply, first, left, some, across);
            FOR(transpose)(rows);
            for (Int k = 0; k * 64 < left; ++k, to += 64 * stride)
                FOR(write_tiles)(to, stride, rows, k * across, (some + 63) / 64,
                                 least(left - k * 64, 64));
        }
}

/* The turned bits of a slab, `stride` words for each unit: there where they are kept, or
 * `here`. Of its last word a reader may have the one behind too, and not use it. */
INLINE const uint64_t *FOR(turned_slab)(const Apply *apply, const Slab *slab,
                                        uint64_t *here, Int *stride) {
    const Int *b = apply->bits, words = (apply->channels + 63) / 64;
    uint64_t *turned = here;
    *stride = (slab->channels + 63) / 64;
    if (apply->turned) {
        turned = apply->turned + (slab->image * apply->units + slab->unit) * words;
        turned += slab->channel / 64;
        *stride = words;
    }
    if (apply->mask)
        FOR(turn)(apply, turned, *stride,
                  slab->image * b[0] + slab->channel * b[1] + slab->unit, slab->units,
                  slab->channels);
    return turned;
}

/* All of a member's slabs, each of so many groups of 64 units at most. */
INLINE void FOR(work_by_slabs)(const Apply *apply, Int most, int member, int members,
                               void (*work)(const Apply *, const Slab *)) {
    const Int groups = (apply->units + 63) / 64, all = apply->images * groups;
    const Int to = part(all, member + 1, members);
    for (Int group = part(all, member, members), more; group < to; group += more) {
        const Int unit = group % groups * 64;
        more = least(most, least(groups - group % groups, to - group));
        Slab slab = {group / groups, unit, least(apply->units - unit, more * 64), 0, 0};
        for (; slab.channel < apply->channels; slab.channel += SLAB) {
            slab.channels = least(apply->channels - slab.channel, SLAB);
            work(apply, &slab);
        }
    }
}

INLINE void FOR(turn_slab)(const Apply *apply, const Slab *slab) {
    Int stride;
    FOR(turned_slab)(apply, slab, NULL, &stride);
}

/* All of a member's bits are turned, where they are kept, before the first are used: what
 * they are used for goes through the caches, and the mask would be there no more. */
INLINE Apply FOR(turned_first)(const Apply *apply, int member, int members) {
    Apply turned = *apply;
    if (apply->turned && apply->mask) {
        FOR(work_by_slabs)(apply, apply->units, member, members, FOR(turn_slab));
        turned.mask = NULL;
    }
    return turned;
}
