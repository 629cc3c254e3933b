/* hash.c - CRC-32C (the CPU's instruction where it has one) and SipHash-2-4-128. */
#include "base/hash.h"

#include <pthread.h>
#include <string.h>

static uint32_t crc_table[8][256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_table_fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        crc_table[0][i] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (int i = 0; i < 256; i++)
            crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 255];
}

/* Eight bytes a step ("slicing by eight", Kounavis and Berry 2005). */
static uint32_t crc_plain(uint32_t crc, const unsigned char *p, size_t size)
{
    pthread_once(&crc_once, crc_table_fill);
    for (; size >= 8; p += 8, size -= 8) {
        crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        crc = crc_table[7][crc & 255] ^ crc_table[6][crc >> 8 & 255] ^ crc_table[5][crc >> 16 & 255] ^
              crc_table[4][crc >> 24] ^ crc_table[3][p[4]] ^ crc_table[2][p[5]] ^ crc_table[1][p[6]] ^
              crc_table[0][p[7]];
    }
    for (; size; p++, size--)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 255];
    return crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>

enum { LANE = 512 };

static uint32_t crc_far[4][256];   /* [byte of a CRC][its value]: what it adds to the CRC after LANE bytes more */
static pthread_once_t crc_far_once = PTHREAD_ONCE_INIT;

__attribute__((target("sse4.2"))) static uint32_t crc_short(uint32_t crc, const unsigned char *p, size_t size)
{
    uint64_t c = crc, word;

    for (; size >= 8; p += 8, size -= 8) {
        memcpy(&word, p, 8);
        c = _mm_crc32_u64(c, word);
    }
    for (; size; p++, size--)
        c = _mm_crc32_u8((uint32_t)c, *p);
    return (uint32_t)c;
}

/* A CRC is linear in what it began with: the sum of what each of its bits becomes. */
static void crc_far_fill(void)
{
    static const unsigned char zeros[LANE];

    for (int k = 0; k < 4; k++)
        for (uint32_t i = 1; i < 256; i++)
            crc_far[k][i] = i & (i - 1) ? crc_far[k][i & (i - 1)] ^ crc_far[k][i & -i] : crc_short(i << 8 * k, zeros, LANE);
}

static inline uint32_t crc_move(uint32_t crc)
{
    return crc_far[0][crc & 255] ^ crc_far[1][crc >> 8 & 255] ^ crc_far[2][crc >> 16 & 255] ^ crc_far[3][crc >> 24];
}

/* The instruction takes three cycles and may begin in each: three lanes at a time, put together by the table. */
__attribute__((target("sse4.2"))) static uint32_t crc_fast(uint32_t crc, const unsigned char *p, size_t size)
{
    if (size >= 3 * LANE)
        pthread_once(&crc_far_once, crc_far_fill);
    for (; size >= 3 * LANE; p += 3 * LANE, size -= 3 * LANE) {
        uint64_t a = crc, b = 0, c = 0, word[3];

        for (size_t i = 0; i < LANE; i += 8) {
            memcpy(&word[0], p + i, 8);
            memcpy(&word[1], p + i + LANE, 8);
            memcpy(&word[2], p + i + 2 * LANE, 8);
            a = _mm_crc32_u64(a, word[0]);
            b = _mm_crc32_u64(b, word[1]);
            c = _mm_crc32_u64(c, word[2]);
        }
        crc = crc_move(crc_move((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
    }
    return crc_short(crc, p, size);
}
#endif

uint32_t ft_crc32c(uint32_t crc, const void *data, size_t size)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_fast(~crc, data, size);
#endif
    return ~crc_plain(~crc, data, size);
}

static inline uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static inline uint64_t load_little(const unsigned char *p, size_t size)
{
    uint64_t word = 0;

    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)p[i] << (8 * i);
    return word;
}

struct ft_hash ft_hash_bytes(const void *data, size_t size)
{
    uint64_t v[4] = {0x736f6d6570736575u, 0x646f72616e646f6du ^ 0xee, 0x6c7967656e657261u, 0x7465646279746573u};
    const unsigned char *p = data;
    uint64_t last = (uint64_t)size << 56, word;
    size_t left = size;
    struct ft_hash hash;

    for (; left >= 8; p += 8, left -= 8) {
        word = load_little(p, 8);
        v[3] ^= word;
        sip_round(v), sip_round(v);
        v[0] ^= word;
    }
    last |= load_little(p, left);
    v[3] ^= last;
    sip_round(v), sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xee;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    hash.low = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    hash.high = v[0] ^ v[1] ^ v[2] ^ v[3];
    return hash;
}

int ft_hash_compare(struct ft_hash a, struct ft_hash b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return a.low < b.low ? -1 : a.low > b.low;
}
