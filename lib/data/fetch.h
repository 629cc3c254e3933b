/* fetch.h - bytes from the web, through libcurl, which is loaded when first needed; a build without it says so.
 *
 * http and https, and redirects to these only, at most 5; at most FT_FETCH_MOST bytes; 10 seconds to connect, 30 without a byte, 120 in all. Proxies are
 * those of curl's environment variables. */
#ifndef FT_DATA_FETCH_H
#define FT_DATA_FETCH_H

#include "base/memory.h"

enum { FT_FETCH_MOST = 32 << 20 };

/* FT_USAGE where this build, or this machine, has no libcurl. Before the first ft_fetch, on one thread. */
int ft_fetch_begin(void);

/* A connection that is kept between fetches; one thread at a time. Zero-initialised is closed; ft_fetch opens it. */
struct ft_fetcher {
    void *curl;
};
void ft_fetch_end(struct ft_fetcher *fetcher);

/* Append what is at `address`. FT_BAD: no answer, an answer that is an error (its status), too much. */
int ft_fetch(struct ft_fetcher *fetcher, const char *address, struct ft_buffer *bytes);

#endif
