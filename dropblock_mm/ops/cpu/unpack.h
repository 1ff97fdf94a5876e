/* Makes a byte of each bit of a mask, as compilers take it. */

#if HAS_X86_VECTORS >= 2
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

/* Bits of channels that are one for all units, behind each other. */
INLINE void FOR(gather)(const Apply *apply, uint64_t *words, Int bit, Int channels) {
    for (Int k = 0; k < channels; ++k) {
        if (k % 64 == 0) words[k >> 6] = 0;
        words[k >> 6] |= (uint64_t)bit_at(apply->mask, bit + k * apply->bits[1]) << (k & 63);
    }
}

INLINE void FOR(unpack_slab)(const Apply *apply, const Slab *slab) {
    const Int *b = apply->bits, channels = slab->channels;
    uint64_t here[SLAB];
    const uint64_t *turned = here;
    Int stride = 0;
    if (b[2])
        turned = FOR(turned_slab)(apply, slab, here, &stride);
    else
        FOR(gather)(apply, here, slab->image * b[0] + slab->channel * b[1], channels);
    char *out = apply->out + slab->channel;
    out += (slab->image * apply->units + slab->unit) * apply->channels;
    if (channels == apply->channels && channels == stride * 64) {
        for (Int k = 0; k < slab->units * stride; ++k)
            FOR(unpack_word)(out + k * 64, turned[k], 64);
        return;
    }
    for (Int k = 0; k < slab->units; ++k, out += apply->channels, turned += stride)
        for (Int word = 0; word * 64 < channels; ++word)
            FOR(unpack_word)(out + word * 64, turned[word], channels - word * 64);
}

/* The same with channels behind each other. */
static void FOR(unpack_channels_last)(void *context, int member, int members) {
    const Apply *apply = (const Apply *)context;
    const Int most = FOR(groups_at_once)(apply->channels);
    FOR(work_by_slabs)(apply, most, member, members, FOR(unpack_slab));
}
