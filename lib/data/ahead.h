/* ahead.h - rows a window ahead of the writer: the pictures that they name are opened and decoded on all threads, order is kept.
 *
 * Memory is the window: at most FT_AHEAD_ROWS rows and, where bytes travel along, about FT_AHEAD_BYTES of these, or one picture; and what each
 * thread decodes. Of the web, whose sizes are not known before, 32 pictures are in the window, of at most FT_FETCH_MOST bytes. One that several rows of
 * the window name, as an image with several captions, is opened once. Rows that name no picture pass through at once. */
#ifndef FT_DATA_AHEAD_H
#define FT_DATA_AHEAD_H

#include "data/media.h"
#include "data/rows.h"

enum { FT_AHEAD_ROWS = 256, FT_AHEAD_BYTES = 64 << 20 };

struct ft_ahead;

/* Rows whose share (ft_row_share) lies in [low, high). Both must outlive it. */
struct ft_ahead *ft_ahead_open(struct ft_rows *rows, const struct ft_media *media, double low, double high);
void ft_ahead_close(struct ft_ahead *ahead);

/* As ft_rows_next; no more than `most` rows are read ahead, this one among them. What is wrong with a picture is a bad row. */
int ft_ahead_next(struct ft_ahead *ahead, size_t most, struct ft_row *row);

/* How many rows were passed until the one in hand, those of another share included. */
unsigned long ft_ahead_passed(const struct ft_ahead *ahead);

#endif
