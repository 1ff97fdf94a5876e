/* Applies masks. Included once for each instruction set, by which FOR() names it.
 *
 * Each kernel goes once over the memory: it reads a unit, scales it, and clears it if
 * its bit is set, without a branch. Bits are spread to lanes by a table of single bits,
 * which compilers turn into vector instructions.
 */

/* KERNELS(float32, ...) makes scale_float32 and drop_float32.
 *
 * Type: of a unit. Bits: an unsigned integer as wide. Wide: what is computed in.
 * LOAD(unit) -> Wide; STORE(wide) -> Bits */
#define KERNELS(name, Type, Bits, Wide, LOAD, STORE)                                   \
    static void FOR(scale_##name)(char *to, const char *from, Int n, double by,        \
                                  int divides) {                                       \
        Bits *restrict out = (Bits *)to;                                               \
        const Type *restrict x = (const Type *)from;                                   \
        const Wide factor = (Wide)by;                                                  \
        if (divides)                                                                   \
            for (Int k = 0; k < n; ++k) out[k] = STORE(LOAD(x[k]) / factor);           \
        else                                                                           \
            for (Int k = 0; k < n; ++k) out[k] = STORE(LOAD(x[k]) * factor);           \
    }                                                                                  \
    static void FOR(drop_##name)(char *to, const char *from, Int n,                    \
                                 const uint64_t *mask, Int bit, double by) {           \
        enum { WIDTH = 8 * (int)sizeof(Bits) };                                        \
        Bits *restrict out = (Bits *)to;                                               \
        const Type *restrict x = (const Type *)from;                                   \
        const Wide factor = (Wide)by;                                                  \
        Int k = 0;                                                                     \
        for (; k + 64 <= n; k += 64, bit += 64) {                                      \
            const uint64_t word = word_at(mask, bit);                                  \
            for (int part = 0; part < 64; part += WIDTH) {                             \
                const Bits lanes = (Bits)(word >> part);                               \
                SIMD for (int lane = 0; lane < WIDTH; ++lane) {                        \
                    const Bits value = STORE(LOAD(x[k + part + lane]) * factor);       \
                    const Bits one = (Bits)((Bits)1 << lane);                          \
                    out[k + part + lane] = value & (Bits)-(Bits)((lanes & one) == 0);  \
                }                                                                      \
            }                                                                          \
        }                                                                              \
        uint64_t word = k < n ? word_at(mask, bit) : 0;                                \
        for (; k + 8 <= n; k += 8, word >>= 8) {                                       \
            const Bits lanes = (Bits)(word & 255);                                     \
            SIMD for (int lane = 0; lane < 8; ++lane) {                                \
                const Bits value = STORE(LOAD(x[k + lane]) * factor);                  \
                const Bits one = (Bits)((Bits)1 << lane);                              \
                out[k + lane] = value & (Bits)-(Bits)((lanes & one) == 0);             \
            }                                                                          \
        }                                                                              \
        for (; k < n; ++k, word >>= 1) {                                               \
            const Bits value = STORE(LOAD(x[k]) * factor);                             \
            out[k] = value & (Bits)((word & 1) - 1);                                   \
        }                                                                              \
    }

#define AS_IT_IS(value) (value)
#if HAS_X86_VECTORS == 2
#include "float32.h"
#else
KERNELS(float32, float, uint32_t, float, AS_IT_IS, bits_of_float)
#endif
KERNELS(float64, double, uint64_t, double, AS_IT_IS, bits_of_double)
#ifdef HAS_X86_VECTORS
#include "halves.h"
#else
KERNELS(bfloat16, uint16_t, uint16_t, float, float_of_bfloat16, bfloat16_of_float)
KERNELS(float16, uint16_t, uint16_t, float, float_of_float16, float16_of_float)
#endif
#undef AS_IT_IS
#undef KERNELS

typedef void (*FOR(Scale))(char *, const char *, Int, double, int);
typedef void (*FOR(Drop))(char *, const char *, Int, const uint64_t *, Int, double);

static const struct {
    Int size;
    FOR(Scale) scale;
    FOR(Drop) drop;
} FOR(kernels)[] = {
    {4, FOR(scale_float32), FOR(drop_float32)},
    {8, FOR(scale_float64), FOR(drop_float64)},
    {2, FOR(scale_bfloat16), FOR(drop_bfloat16)},
    {2, FOR(scale_float16), FOR(drop_float16)},
};

INLINE void FOR(make_row)(const Apply *apply, char *to, const char *from, Int n, Int bit,
                          Int step) {
    if (step)
        FOR(kernels)[apply->dtype].drop(to, from, n, apply->mask, bit, apply->factor);
    else if (bit_at(apply->mask, bit))
        memset(to, 0, (size_t)(n * FOR(kernels)[apply->dtype].size));
    else
        FOR(kernels)[apply->dtype].scale(to, from, n, apply->factor, apply->divides);
}

#ifdef HAS_X86_VECTORS
/* Whole lines go to memory past the caches, which would read them first. */
INLINE void FOR(stream)(char *to, const char *from, Int bytes) {
    Int k = (Int)(-(uintptr_t)to & (LINE - 1));
    memcpy(to, from, (size_t)(k < bytes ? k : bytes));
    for (; k + LINE <= bytes; k += LINE)
        for (Int half = k; half < k + LINE; half += 32)
            _mm256_stream_si256((__m256i *)(to + half),
                                _mm256_loadu_si256((const __m256i *)(from + half)));
    if (k < bytes) memcpy(to + k, from + k, (size_t)(bytes - k));
}

/* Make slices of a row where they stay in the cache, each to the end of a line. */
static void FOR(stream_row)(const Apply *apply, char *to, const char *from, Int n, Int bit,
                            Int step) {
    const Int size = FOR(kernels)[apply->dtype].size;
    char slice[SLICE + LINE];
    for (Int k = 0, units; k < n; k += units) {
        units = (SLICE + (Int)(-(uintptr_t)(to + k * size) & (LINE - 1))) / size;
        if (n - k < units) units = n - k;
        FOR(make_row)(apply, slice, from + k * size, units, bit + k * step, step);
        FOR(stream)(to + k * size, slice, units * size);
    }
}
#endif

/* `n` units behind each other, whose bits are so too (step 1), or are one (step 0). */
INLINE void FOR(apply_row)(const Apply *apply, Int out, Int x, Int n, Int bit, Int step) {
    const Int size = FOR(kernels)[apply->dtype].size;
    char *to = apply->out + out * size;
    const char *from = apply->x + x * size;
#ifdef HAS_X86_VECTORS
    if (apply->streams) {
        FOR(stream_row)(apply, to, from, n, bit, step);
        return;
    }
#endif
    FOR(make_row)(apply, to, from, n, bit, step);
}

/* Others may read what went past the caches. */
INLINE void FOR(end_rows)(const Apply *apply) {
#ifdef HAS_X86_VECTORS
    if (apply->streams) _mm_sfence();
#endif
    (void)apply;
}

#define PIECE 4096 /* units; a multiple of 64, for the mask's words */

/* Nothing lies between the planes, and each has one bit: those that follow each other and
 * are kept, or dropped, are one row. */
INLINE void FOR(apply_whole_planes)(const Apply *apply, Int from, Int to) {
    const Int units = apply->units, step = apply->bits[1];
    for (Int plane = from / units, unit = from, end; unit < to; unit = end) {
        const Int bit = plane * step;
        const int is_dropped = bit_at(apply->mask, bit);
        while (++plane * units < to && bit_at(apply->mask, plane * step) == is_dropped) {}
        end = plane * units < to ? plane * units : to;
        FOR(apply_row)(apply, unit, unit, end - unit, bit, 0);
    }
}

/* Units lie behind each other, as in torch's contiguous format. */
static void FOR(apply_planes)(void *context, int member, int members) {
    const Apply *apply = (const Apply *)context;
    const Int *o = apply->out_steps, *x = apply->x_steps, *b = apply->bits;
    if (apply->is_flat) {
        const Int units = apply->channels * apply->units, pieces = (units + PIECE - 1) / PIECE;
        const Int from = part(pieces, member, members) * PIECE;
        const Int end = part(pieces, member + 1, members) * PIECE;
        const Int to = end < units ? end : units;
        if (!b[2])
            FOR(apply_whole_planes)(apply, from, to);
        else if (from < to)
            FOR(apply_row)(apply, from, from, to - from, from, 1);
        FOR(end_rows)(apply);
        return;
    }
    const Int pieces = (apply->units + PIECE - 1) / PIECE;
    const Int all = apply->images * apply->channels * pieces;
    const Int from = part(all, member, members), to = part(all, member + 1, members);
    Int piece = from % pieces, plane = from / pieces;
    Int channel = plane % apply->channels, image = plane / apply->channels;
    for (Int k = from; k < to; ++k) {
        const Int unit = piece * PIECE, left = apply->units - unit;
        FOR(apply_row)(apply, image * o[0] + channel * o[1] + unit,
                       image * x[0] + channel * x[1] + unit, left < PIECE ? left : PIECE,
                       image * b[0] + channel * b[1] + unit * b[2], b[2] != 0);
        if (++piece < pieces) continue;
        piece = 0;
        if (++channel < apply->channels) continue;
        channel = 0, ++image;
    }
    FOR(end_rows)(apply);
}

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

/* How many tiles lie side by side along channels, a power of two; the others follow them
 * along units. So all channels of few units are turned, and memory is read in its order. */
INLINE Int FOR(tiles_across)(Int channels) {
    Int across = 1;
    while (across < TILES && across * 64 < channels) across *= 2;
    return across;
}

/* Bits of 64 units, and of 64 channels or fewer, into a tile. */
INLINE void FOR(read_tile)(uint64_t (*rows)[TILES], int tile, const Apply *apply, Int bit,
                           Int channels) {
    const Int step = apply->bits[1], number = channels < 64 ? channels : 64;
    for (Int k = 0; k < number; ++k) rows[k][tile] = word_at(apply->mask, bit + k * step);
    for (Int k = number; k < 64; ++k) rows[k][tile] = 0;
}

/* The same into all tiles, where each channel's bits are words behind each other. */
INLINE void FOR(read_lines)(uint64_t (*rows)[TILES], const Apply *apply, Int bit,
                            Int channels) {
    const uint64_t *from = apply->mask + (bit >> 6);
    const Int step = apply->bits[1] >> 6, number = channels < 64 ? channels : 64;
    for (Int k = 0; k < number; ++k) memcpy(rows[k], from + k * step, sizeof rows[k]);
    for (Int k = number; k < 64; ++k) memset(rows[k], 0, sizeof rows[k]);
}

/* Words of some tiles, from one on, behind each other, for each of 64 units or fewer. */
INLINE void FOR(write_tiles)(uint64_t *to, Int stride, uint64_t (*rows)[TILES], Int tile,
                             Int number, Int units) {
    if (number == TILES)
        for (Int k = 0; k < units; ++k) memcpy(to + k * stride, rows[k], sizeof rows[k]);
    else
        for (Int n = 0; n < number; ++n)
            for (Int k = 0; k < units; ++k) to[k * stride + n] = rows[k][tile + n];
}

/* Turn the bits of some units, at most 64 for each row of tiles, and of some channels, at
 * most a slab: `stride` words for each unit. */
INLINE void FOR(turn)(const Apply *apply, uint64_t *turned, Int stride, Int bit, Int units,
                      Int channels) {
    const Int across = FOR(tiles_across)(channels), words = (channels + 63) / 64;
    const int are_lines =
        across == 1 && units > 64 * (TILES - 1) && !((bit | apply->bits[1]) & 63);
    uint64_t rows[64][TILES];
    for (Int word = 0; word < words; word += across) {
        const Int number = across < words - word ? across : words - word;
        const Int from = bit + word * 64 * apply->bits[1], left = channels - word * 64;
        if (are_lines)
            FOR(read_lines)(rows, apply, from, left);
        else
            for (Int tile = 0; tile < TILES; ++tile) {
                const Int channel = tile % across * 64, unit = tile / across * 64;
                const Int there = unit < units && channel < left ? left - channel : 0;
                FOR(read_tile)(rows, (int)tile, apply, from + unit + channel * apply->bits[1],
                               there);
            }
        FOR(transpose)(rows);
        for (Int unit = 0, tile = 0; unit < units; unit += 64, tile += across)
            FOR(write_tiles)(turned + unit * stride + word, stride, rows, tile, number,
                             units - unit < 64 ? units - unit : 64);
    }
}

/* Some units of an image, and some channels, as many as are turned at once. */
INLINE void FOR(apply_slab)(const Apply *apply, Int image, Int unit, Int units,
                            Int channel, Int channels) {
    const Int *o = apply->out_steps, *x = apply->x_steps, *b = apply->bits;
    const Int first = image * b[0] + channel * b[1] + unit * b[2];
    const int turns = b[1] && b[2];
    /* Nothing lies between the units, nor between the bits of whole words. */
    const int is_one_row = turns && o[2] == channels && x[2] == channels && channels % 64 == 0;
    const Int stride = (channels + 63) / 64 + !is_one_row;
    uint64_t turned[64 * (SLAB / 64 + 1)];
    Apply of_slab = *apply;
    if (turns) {
        FOR(turn)(apply, turned, stride, first, units, channels);
        of_slab.mask = turned;
    }
    const Int to = image * o[0] + channel + unit * o[2];
    const Int from = image * x[0] + channel + unit * x[2];
    if (is_one_row) {
        FOR(apply_row)(&of_slab, to, from, units * channels, 0, 1);
        return;
    }
    for (Int k = 0; k < units; ++k)
        FOR(apply_row)(&of_slab, to + k * o[2], from + k * x[2], channels,
                       turns ? k * stride * 64 : first + k * b[2], b[1] != 0);
}

/* Channels lie behind each other, as in torch's channels-last formats. */
static void FOR(apply_channels_last)(void *context, int member, int members) {
    const Apply *apply = (const Apply *)context;
    const Int groups = (apply->units + 63) / 64, all = apply->images * groups;
    const Int most = TILES / FOR(tiles_across)(apply->channels);
    const Int to = part(all, member + 1, members);
    for (Int group = part(all, member, members), more; group < to; group += more) {
        const Int unit = group % groups * 64, left = apply->units - unit;
        more = groups - group % groups < to - group ? groups - group % groups : to - group;
        if (more > most) more = most;
        for (Int channel = 0; channel < apply->channels; channel += SLAB) {
            const Int channels = apply->channels - channel;
            FOR(apply_slab)(apply, group / groups, unit, left < more * 64 ? left : more * 64,
                            channel, channels < SLAB ? channels : SLAB);
        }
    }
    FOR(end_rows)(apply);
}

#if HAS_X86_VECTORS == 2
/* The bits of a word become bytes of 0 and 1, of which the first `number` are stored. */
INLINE void FOR(unpack_word)(char *to, uint64_t word, Int number) {
    const __m512i bytes = _mm512_maskz_set1_epi8(word, 1);
    if (number >= 64)
        _mm512_storeu_si512(to, bytes);
    else
        _mm512_mask_storeu_epi8(to, (1ULL << number) - 1, bytes);
}
#else
/* Each bit of a byte becomes a byte, the lowest one first in memory. */
INLINE uint64_t FOR(spread_byte)(uint64_t byte) {
    const uint64_t apart = byte * 0x0101010101010101ULL & FIRST_TO_LAST;
    return (apart + 0x7F7F7F7F7F7F7F7FULL) >> 7 & 0x0101010101010101ULL;
}

/* The bits of a word become bytes of 0 and 1, of which the first `number` are stored. */
INLINE void FOR(unpack_word)(char *to, uint64_t word, Int number) {
    uint64_t bytes[8];
    for (int k = 0; k < 8; ++k, word >>= 8) bytes[k] = FOR(spread_byte)(word & 255);
    memcpy(to, bytes, (size_t)(number < 64 ? number : 64));
}
#endif

/* Bytes of 0 and 1 instead of bits; `out` is contiguous, and there is no `x`. */
static void FOR(unpack)(void *context, int member, int members) {
    const Apply *apply = (const Apply *)context;
    const Int all = apply->images * apply->channels, *b = apply->bits;
    const Int to = part(all, member + 1, members);
    for (Int plane = part(all, member, members); plane < to; ++plane) {
        Int bit = plane / apply->channels * b[0] + plane % apply->channels * b[1];
        char *restrict out = apply->out + plane * apply->units;
        if (!b[2]) {
            memset(out, bit_at(apply->mask, bit), (size_t)apply->units);
            continue;
        }
        for (Int unit = 0; unit < apply->units; unit += 64, bit += 64)
            FOR(unpack_word)(out + unit, word_at(apply->mask, bit), apply->units - unit);
    }
}
/* The same with channels behind each other. */
static void FOR(unpack_channels_last)(void *context, int member, int members) {
    const Apply *apply = (const Apply *)context;
    const Int *b = apply->bits, channels = apply->channels, units = apply->units;
    const Int groups = (units + TILES * 64 - 1) / (TILES * 64), all = apply->images * groups;
    const Int to = part(all, member + 1, members);
    for (Int group = part(all, member, members); group < to; ++group) {
        const Int image = group / groups, first = group % groups * TILES * 64;
        const Int left = units - first, number = left < TILES * 64 ? left : TILES * 64;
        char *out = apply->out + (image * units + first) * channels;
        for (Int channel = 0; channel < channels; channel += 64) {
            uint64_t words[TILES * 64];
            const Int more = channels - channel < 64 ? channels - channel : 64;
            const Int bit = image * b[0] + channel * b[1];
            if (b[2]) {
                FOR(turn)(apply, words, 1, bit + first, number, more);
            } else {
                words[0] = 0;
                for (Int k = 0; k < more; ++k)
                    words[0] |= (uint64_t)bit_at(apply->mask, bit + k * b[1]) << k;
            }
            for (Int k = 0; k < number; ++k)
                FOR(unpack_word)(out + k * channels + channel, words[b[2] ? k : 0], more);
        }
    }
}
#undef PIECE
#undef SLAB
#undef TILES
