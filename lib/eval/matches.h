/* matches.h - what a search found, as people, programs and the next filter read it. */
#ifndef FT_EVAL_MATCHES_H
#define FT_EVAL_MATCHES_H

#include "eval/collection.h"
#include "eval/nearest.h"

/* One query's matches. Scores are shown as ft_distance_shown gives them. */
struct ft_matches {
    enum ft_distance distance;
    struct ft_collection *index;       /* with `kept` */
    const struct ft_match *match;      /* [k], ends early at FT_NO_ITEM */
    size_t k;
};

/* "score<TAB>id<TAB>text" a line, of images the address; tabs, line ends and other controls in texts become blanks. `width` columns
 * at most, 0 = no bound. */
int ft_matches_text(struct ft_buffer *out, const struct ft_matches *matches, size_t width);

/* {"query": text, "matches": [{"id": ..., "score": ..., "text": ...}]} and a newline, of images "uri" for "text", with what `votes` (NULL: nothing; vote.h) says
 * between. Bytes that are no UTF-8 become U+FFFD. */
struct ft_votes;
int ft_matches_json(struct ft_buffer *out, struct ft_string query, const struct ft_votes *votes, const struct ft_matches *matches);

/* The array for a document's `matches`, as DocArray has it: [{"id", "text" or "uri", "scores": {"cosine":
 * {"value": x}}}]. */
int ft_matches_pack(msgpack_packer *pk, const struct ft_matches *matches);

/* A text as a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD. */
int ft_text_json(struct ft_buffer *out, struct ft_string text);

/* A text on one line: controls and runs of blanks as one blank, cut to `width` columns (0 = no bound) with an
 * ellipsis. */
int ft_line_add(struct ft_buffer *out, struct ft_string text, size_t width);

#endif
