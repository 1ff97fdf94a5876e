/* Transposes squares of 64 x 64 bits, eight of them side by side in vectors. */

#define TILES 8 /* squares: as many as a vector has words */

#if HAS_X86_VECTORS >= 2
/* In each lane of 128 bits the numbers of the lower halves take turns, and those of the
 * upper halves. */
#define ZIP(bits)                                                                      \
    INLINE void FOR(zip_##bits)(__m512i *one, __m512i *other) {                        \
        const __m512i lower = _mm512_unpacklo_epi##bits(*one, *other);                 \
        *other = _mm512_unpackhi_epi##bits(*one, *other);                              \
        *one = lower;                                                                  \
    }
ZIP(8)
ZIP(16)
ZIP(32)
ZIP(64)
#undef ZIP

/* Lanes 0 and 2 of both vectors become one, and lanes 1 and 3. */
INLINE void FOR(zip_lanes)(__m512i *one, __m512i *other) {
    const __m512i even = _mm512_shuffle_i64x2(*one, *other, 0x88);
    *other = _mm512_shuffle_i64x2(*one, *other, 0xDD);
    *one = even;
}

/* Word k of vector i becomes word i of vector k. */
INLINE void FOR(transpose_words)(__m512i *rows) {
    for (int k = 0; k < 8; k += 2) FOR(zip_64)(rows + k, rows + k + 1);
    for (int k = 0; k < 8; ++k)
        if (!(k & 2)) FOR(zip_lanes)(rows + k, rows + k + 2);
    for (int k = 0; k < 4; ++k) FOR(zip_lanes)(rows + k, rows + k + 4);
}
#endif

#if HAS_X86_VECTORS == 3
/* Byte k of every word comes from vector k. Its place before is told by its place now:
 * which word of the lane by bit 0 of the vector's number; which byte of the word, from the
 * upper bit on, by bits 1 and 2 of the vector's number and by the word of the lane. */
INLINE void FOR(zip_bytes)(__m512i *rows) {
    for (int k = 0; k < 8; k += 2) FOR(zip_8)(rows + k, rows + k + 1);
    for (int k = 0; k < 8; ++k)
        if (!(k & 2)) FOR(zip_16)(rows + k, rows + k + 2);
    for (int k = 0; k < 4; ++k) FOR(zip_32)(rows + k, rows + k + 4);
}

/* Bit k of row i becomes bit i of row k, in each tile.
 *
 * A byte of each of eight rows, from the last to the first, becomes a word, in which one
 * instruction transposes 8 x 8 bits: it multiplies matrices, and takes the rows of one of
 * them from the last on. Then a byte of each of eight such words becomes a row, and the
 * two words of a lane are put back where they were. */
INLINE void FOR(transpose)(uint64_t (*rows)[TILES]) {
    const __m512i unit = _mm512_set1_epi64((long long)FIRST_TO_LAST);
    __m512i bytes[64], pair[2][8];
    for (int group = 0; group < 64; group += 8) {
        for (int k = 0; k < 8; ++k)
            bytes[group + 7 - k] = _mm512_loadu_si512(rows[group + k]);
        FOR(zip_bytes)(bytes + group);
        for (int k = 0; k < 8; ++k)
            bytes[group + k] = _mm512_gf2p8affine_epi64_epi8(unit, bytes[group + k], 0);
    }
    for (int from = 0; from < 8; from += 2) {
        uint64_t(*to)[TILES] = rows + (from & 2) * 16 + (from & 4) * 4;
        for (int word = 0; word < 2; ++word) {
            for (int k = 0; k < 8; ++k) pair[word][k] = bytes[8 * k + from + word];
            FOR(zip_bytes)(pair[word]);
        }
        for (int k = 0; k < 8; ++k) {
            const int row = (k & 1) * 8 + (k & 2) * 2 + (k & 4) / 2;
            FOR(zip_64)(pair[0] + k, pair[1] + k);
            _mm512_storeu_si512(to[row], pair[0][k]);
            _mm512_storeu_si512(to[row + 1], pair[1][k]);
        }
    }
}
#else
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
#endif
