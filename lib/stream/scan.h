/* scan.h - the walk over msgpack bytes that finds where an object ends, for the reader.
 *
 * Lengths in msgpack are promises of the sender. The scanner follows headers only, allocates nothing and refuses what is beyond
 * the limits, so that the decoder (decode.c), which allocates what an array's header claims, sees complete and bounded objects only.
 * Its state is kept between calls: a large record that arrives in small pieces is walked once. */
#ifndef FT_STREAM_SCAN_H
#define FT_STREAM_SCAN_H

#include "stream/stream.h"

struct ft_scan {
    size_t at;                        /* bytes of the object walked; past the end while a string's body is awaited */
    uint64_t items;                   /* entries claimed by all its maps and arrays */
    bool started;
    int depth;
    uint32_t left[FT_LIMIT_DEPTH];    /* objects still to come in each open container */
};

/* Ready for an object. What is in `left` need not be cleared, which would take longer than a short record. */
static inline void ft_scan_begin(struct ft_scan *scan)
{
    scan->at = 0;
    scan->items = 0;
    scan->started = false;
    scan->depth = 0;
}

/* 1: the object is whole and `at` bytes long; 0: more bytes are needed; -1: FT_BAD. `bytes` begins with the object's first byte
 * at every call and may have grown or moved since the last. */
int ft_scan_step(struct ft_scan *scan, const void *bytes, size_t size);

#endif
