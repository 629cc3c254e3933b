/* vote.h - labels by their neighbours: each of a query's matches that has a label has a vote.
 *
 * The label that most have is predicted; of labels with equally many the one whose nearest member is nearest (knn@k of metrics.h). Its
 * score is its share of the votes. */
#ifndef FT_EVAL_VOTE_H
#define FT_EVAL_VOTE_H

#include "eval/matches.h"

struct ft_votes {
    struct ft_contents *contents;      /* whose label names are kept */
    struct ft_vote {
        uint32_t label, votes;
    } *vote;                           /* [count] most votes first */
    size_t count, capacity, voters;
};

/* Count those of the matches; the room is kept from call to call. */
int ft_votes_count(struct ft_votes *votes, const struct ft_matches *matches);
void ft_votes_free(struct ft_votes *votes);

/* "score<TAB>label" a line, most votes first. */
int ft_votes_text(struct ft_buffer *out, const struct ft_votes *votes);

/* "label": "x", "confidence": 0.7, "labels": {"x": 0.7, ...}; without votes "label": null, "confidence": 0, "labels": {}. */
int ft_votes_json(struct ft_buffer *out, const struct ft_votes *votes);

/* A document's tags (a map, or NULL) with predicted_label and predicted_score, which it has not where nobody voted. */
int ft_votes_pack(msgpack_packer *pk, const msgpack_object *tags, const struct ft_votes *votes);

#endif
