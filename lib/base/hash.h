/* hash.h - CRC-32C for streams and files, SipHash-2-4 with a 128-bit result for contents.
 *
 * CRC-32C (Castagnoli, RFC 3720 appendix B) finds damage; SipHash (Aumasson and Bernstein, 2012) tells
 * whether two contents are the same: at 128 bits no two texts of any corpus collide by chance. */
#ifndef FT_BASE_HASH_H
#define FT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Continue `crc` (0 to begin) over `size` bytes. */
uint32_t ft_crc32c(uint32_t crc, const void *data, size_t size);

struct ft_hash {
    uint64_t low, high;
};

/* Key zero; the same on every machine. */
struct ft_hash ft_hash_bytes(const void *data, size_t size);

/* The order of hashes, for sorting: below, at or above 0. */
int ft_hash_compare(struct ft_hash a, struct ft_hash b);

#endif
