/* Turns the bits of a mask, whose planes lie behind each other, for inputs whose channels
 * do. Eight squares of 64 x 64 bits are turned at a time, side by side in vectors. */

#define TILES 8 /* of 64 x 64 bits, side by side: as many as a vector has words */

/* Exchange the bits of rows that are `apart`, as far apart in the rows. */
INLINE void FOR(swap)(uint64_t (*rows)[TILES], int apart, uint64_t low) {
    for (int from = 0; from < 64; from += 2 * apart)
        for (int k = from; k < from + apart; ++k)
            SIMD for (int tile = 0; tile < TILES; ++tile) {
                const uint64_t upper = rows[k][tile] >> apart;
                const uint64_t swapped = (upper ^ rows[k + apart][tile]) & low;
                rows[k][tile] ^= swapped << apart;
                rows[k + apart][tile] ^= swapped;
            }
}

/* Bit k of row i becomes bit i of row k, in each tile. */
INLINE void FOR(transpose)(uint64_t (*rows)[TILES]) {
    FOR(swap)(rows, 32, 0x00000000FFFFFFFFULL);
    FOR(swap)(rows, 16, 0x0000FFFF0000FFFFULL);
    FOR(swap)(rows, 8, 0x00FF00FF00FF00FFULL);
    FOR(swap)(rows, 4, 0x0F0F0F0F0F0F0F0FULL);
    FOR(swap)(rows, 2, 0x3333333333333333ULL);
    FOR(swap)(rows, 1, 0x5555555555555555ULL);
}

#define SLAB 4096 /* channels whose bits are turned at once */

/* How many of the tiles are of other channels, a power of two; the rest are of other
 * units. So all channels of few units are turned, and memory is read in its order. */
INLINE Int FOR(tiles_across)(Int channels) {
    Int across = 1;
    while (across < TILES && across * 64 < channels) across *= 2;
    return across;
}

/* Bits of 64 units, and of 64 channels or fewer, into a tile. */
INLINE void FOR(read_tile)(uint64_t (*rows)[TILES], Int tile, const Apply *apply, Int bit,
                           Int channels) {
    for (Int k = 0; k < channels; ++k)
        rows[k][tile] = word_at(apply->mask, bit + k * apply->bits[1]);
}

/* The same into some tiles, where each channel's bits are so many whole words. */
INLINE void FOR(read_words)(uint64_t (*rows)[TILES], Int tile, const Apply *apply, Int bit,
                            Int channels, int words) {
    const uint64_t *from = apply->mask + (bit >> 6);
    const Int step = apply->bits[1] >> 6;
    for (Int k = 0; k < channels; ++k)
        memcpy(rows[k] + tile, from + k * step, (size_t)words * sizeof *from);
}

/* Bits of some units, and of 64 channels or fewer, into the tiles from one on. */
INLINE void FOR(read_tiles)(uint64_t (*rows)[TILES], Int tile, const Apply *apply, Int bit,
                            Int units, Int channels, Int along) {
    if (channels > 64) channels = 64;
    if ((bit | apply->bits[1]) & 63 || units <= (along - 1) * 64)
        for (Int k = 0; k * 64 < units; ++k)
            FOR(read_tile)(rows, tile + k, apply, bit + k * 64, channels);
    else if (along == 8)
        FOR(read_words)(rows, tile, apply, bit, channels, 8);
    else if (along == 4)
        FOR(read_words)(rows, tile, apply, bit, channels, 4);
    else if (along == 2)
        FOR(read_words)(rows, tile, apply, bit, channels, 2);
    else
        FOR(read_words)(rows, tile, apply, bit, channels, 1);
}

/* A word of each of some tiles, `along` apart, for each of 64 units or fewer. */
INLINE void FOR(write_tiles)(uint64_t *to, Int stride, uint64_t (*rows)[TILES], Int tile,
                             Int along, Int number, Int units) {
    if (number == TILES)
        for (Int k = 0; k < units; ++k) memcpy(to + k * stride, rows[k], sizeof rows[k]);
    else
        for (Int n = 0; n < number; ++n)
            for (Int k = 0; k < units; ++k) to[k * stride + n] = rows[k][tile + n * along];
}

/* Turn the bits of some units, at most 64 for each tile that is not of other channels, and
 * of some channels, at most a slab: `stride` words for each unit. */
INLINE void FOR(turn)(const Apply *apply, uint64_t *turned, Int stride, Int bit, Int units,
                      Int channels) {
    const Int across = FOR(tiles_across)(channels), along = TILES / across;
    uint64_t rows[64][TILES];
    for (Int channel = 0; channel < channels; channel += across * 64) {
        const Int left = channels - channel, words = (left + 63) / 64;
        const Int number = words < across ? words : across;
        if (left < across * 64 || units <= (along - 1) * 64) memset(rows, 0, sizeof rows);
        for (Int n = 0; n < number; ++n)
            FOR(read_tiles)(rows, n * along, apply, bit + (channel + n * 64) * apply->bits[1],
                            units, left - n * 64, along);
        FOR(transpose)(rows);
        for (Int k = 0; k * 64 < units; ++k)
            FOR(write_tiles)(turned + k * 64 * stride + channel / 64, stride, rows, k, along,
                             number, units - k * 64 < 64 ? units - k * 64 : 64);
    }
}
