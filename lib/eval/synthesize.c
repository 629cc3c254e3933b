/* synthesize.c - what the miner chose for a window of queries, scored at once, and written out pair by pair. */
#include "eval/synthesize.h"
#include "base/error.h"
#include "eval/mine-internal.h"

#include <math.h>
#include <stdlib.h>

enum { WINDOW_PAIRS = 2048 };

struct ft_synthesis {
    struct ft_mine *mine;
    struct ft_embedder *scorer;
    size_t each;                       /* texts scored of a query: the positive, then the negatives */

    /* The window: rows [first, first + rows). */
    size_t first, rows, row, negative; /* what is written next */
    struct ft_document *query;         /* [rows] */
    struct ft_document *text;          /* [rows][each] */
    float *score;                      /* [rows][each] */
};

struct ft_synthesis *ft_synthesis_open(const struct ft_mine_options *mining, struct ft_encoder *encoder, struct ft_embedder *scorer)
{
    struct ft_mine_options options = *mining;
    struct ft_synthesis *s = calloc(1, sizeof *s);

    if (!s) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    options.texts = options.random = true;
    s->scorer = scorer;
    s->each = options.negatives + 1;
    if ((s->mine = ft_mine_open(&options, encoder)))
        return s;
    free(s);
    return NULL;
}

void ft_synthesis_close(struct ft_synthesis *s)
{
    if (!s)
        return;
    ft_mine_close(s->mine);
    free(s);
}

int ft_synthesis_start(struct ft_synthesis *s, const struct ft_header *header)
{
    return ft_mine_start(s->mine, header);
}

int ft_synthesis_add(struct ft_synthesis *s, const struct ft_document *document, struct ft_string bytes)
{
    if (!document->content.text.data)
        return ft_fail(FT_BAD, "document %.*s: no text, and the cross-encoder reads text",
                       (int)(document->id.size < 200 ? document->id.size : 200), document->id.data ? document->id.data : "");
    return ft_mine_add(s->mine, document, bytes);
}

int ft_synthesis_run(struct ft_synthesis *s, const char *index)
{
    return ft_mine_run(s->mine, index);
}

/* ---- a window ---- */

static int load_row(struct ft_synthesis *s, size_t at)
{
    struct ft_mine *m = s->mine;
    uint32_t query = m->row[s->first + at].query;
    const struct ft_match *match = m->match + query * m->options.negatives;
    struct ft_document *text = s->text + at * s->each;

    if (ft_mine_decode(m, m->records, s->first + at, &s->query[at]) < 0)
        return -1;
    for (size_t i = 0; i < s->each; i++) {
        if (ft_mine_decode(m, m->index.kept, i ? match[i - 1].item : m->nearest[query], &text[i]) < 0)
            return -1;
        if (!text[i].content.text.data)
            return ft_fail(FT_BAD, "document %.*s of the index has no text, and the cross-encoder reads text",
                           (int)(text[i].id.size < 200 ? text[i].id.size : 200), text[i].id.data ? text[i].id.data : "");
    }
    return 0;
}

static int score_window(struct ft_synthesis *s)
{
    size_t pairs = s->rows * s->each;
    struct ft_string *a = ft_arena_take(&s->mine->record, pairs * sizeof *a), *b = ft_arena_take(&s->mine->record, pairs * sizeof *b);

    if (!a || !b)
        return -1;
    for (size_t i = 0; i < pairs; i++) {
        a[i] = s->query[i / s->each].content.text;
        b[i] = s->text[i].content.text;
    }
    if (ft_embedder_score(s->scorer, a, b, pairs, s->score) < 0)
        return -1;
    for (size_t i = 0; i < pairs; i++)
        if (!isfinite(s->score[i]))
            return ft_fail(FT_BAD, "a score of query %zu is not a finite number", s->first + i / s->each + 1);
    return 0;
}

static int next_window(struct ft_synthesis *s)
{
    struct ft_mine *m = s->mine;
    size_t most = WINDOW_PAIRS / s->each + 1;

    s->first += s->rows;
    s->rows = m->rows - s->first < most ? m->rows - s->first : most;
    s->row = s->negative = 0;
    if (!s->rows)
        return 0;
    ft_arena_reset(&m->record);
    msgpack_zone_clear(&m->zone);
    s->query = ft_arena_take(&m->record, s->rows * sizeof *s->query);
    s->text = ft_arena_take(&m->record, s->rows * s->each * sizeof *s->text);
    s->score = ft_arena_take(&m->record, s->rows * s->each * sizeof *s->score);
    if (!s->query || !s->text || !s->score)
        return -1;
    for (size_t i = 0; i < s->rows; i++)
        if (load_row(s, i) < 0)
            return -1;
    return score_window(s) < 0 ? -1 : 1;
}

/* ---- documents ---- */

static void pack_number(msgpack_packer *pk, const char *key, double value)
{
    ft_pack_text(pk, key);
    msgpack_pack_double(pk, value);
}

static void pack_chunk(msgpack_packer *pk, const struct ft_document *document, enum ft_role role, const float *score)
{
    static const char *const drop[] = {"tags", "embedding", "matches", NULL}, *const drop_tags[] = {"role", "finetuner_score", NULL};
    const msgpack_object *tags = ft_map_get(document->object, "tags");

    ft_document_copy(pk, document->object, drop, 1);
    ft_pack_text(pk, "tags");
    if (tags && tags->type == MSGPACK_OBJECT_MAP)
        ft_document_copy(pk, tags, drop_tags, score ? 2 : 1);
    else
        msgpack_pack_map(pk, score ? 2 : 1);
    ft_pack_text(pk, "role");
    ft_pack_text(pk, ft_role_name(role));
    if (score)
        pack_number(pk, "finetuner_score", (double)*score);
}

int ft_synthesis_next(struct ft_synthesis *s, msgpack_packer *pk)
{
    const struct ft_document *query, *text;
    const float *score;
    int more;

    if (s->row == s->rows && (more = next_window(s)) <= 0)
        return more;
    query = &s->query[s->row];
    text = s->text + s->row * s->each;
    score = s->score + s->row * s->each;
    if (++s->negative == s->each - 1) {
        s->row++;
        s->negative = 0;
    }
    more = s->negative ? (int)s->negative : (int)s->each - 1;
    msgpack_pack_map(pk, query->id.data ? 3 : 2);
    if (query->id.data) {
        ft_pack_text(pk, "id");
        ft_pack_string(pk, query->id);
    }
    ft_pack_text(pk, "tags");
    msgpack_pack_map(pk, 1);
    pack_number(pk, "finetuner_score", (double)score[0] - (double)score[more]);
    ft_pack_text(pk, "chunks");
    msgpack_pack_array(pk, 3);
    pack_chunk(pk, query, FT_ANCHOR, NULL);
    pack_chunk(pk, &text[0], FT_POSITIVE, &score[0]);
    pack_chunk(pk, &text[more], FT_NEGATIVE, &score[more]);
    return 1;
}
