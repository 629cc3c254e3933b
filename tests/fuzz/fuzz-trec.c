/* fuzz-trec.c - any bytes as judgements, as a run, and as a line of a BEIR folder. */
#include "base/error.h"
#include "eval/beir.h"
#include "eval/trec.h"
#include "mutate.h"

static struct ft_bytes copy(struct ft_arena *arena, const void *data, size_t size)
{
    struct ft_bytes bytes = {ft_arena_take(arena, size + 1), size};

    memcpy(bytes.text, data, size);
    bytes.text[size] = '\0';
    return bytes;
}

/* What is right stays right: figures of a query are between 0 and 1. */
static void check(const struct ft_judged *judged, const struct ft_measures *measures)
{
    for (size_t i = 0; i < judged->queries * measures->count; i++)
        if (measures->item[i % measures->count].metric != FT_METRIC_DCG && !(judged->each[i] >= 0 && judged->each[i] <= 1 + 1e-9))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char qrels[] = "q1 0 d1 2\nq1 0 d2 1\nq2 0 d1 1\nq3 0 d9 0\n", run[] = "q1 Q0 d2 1 .5 t\nq1 Q0 d1 2 .5 t\nq2 Q0 d3 1 1 t\n";
    struct ft_measures measures = {.count = 0};
    struct ft_arena arena = {NULL};
    struct ft_judged judged;
    struct ft_string id, text;

    if (ft_measures_add(&measures, "precision,recall,f1,hit,mrr,map,rprecision,ndcg,dcg,map@3", 5) < 0)
        abort();
    if (ft_run_parse(&arena, "run", copy(&arena, data, size), "qrels", copy(&arena, qrels, sizeof qrels - 1), &measures, &judged) == 0)
        check(&judged, &measures);
    if (ft_run_parse(&arena, "run", copy(&arena, run, sizeof run - 1), "qrels", copy(&arena, data, size), &measures, &judged) == 0)
        check(&judged, &measures);
    if (ft_beir_line(&arena, (struct ft_string){(const char *)data, size}, &id, &text) == 0 && id.size == 0)
        abort();
    ft_arena_free(&arena);
    return 0;
}

static const char *const seeds[] = {
    "q1 Q0 d1 1 0.9 tag\nq1 Q0 d2 2 0.5 tag\nq2\tQ0\td1\t1\t-3e2\tx\r\n",
    "q1 0 d1 2\nq1 0 d2 1\nq2 0 d1 1\n",
    "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td 2\t0.5\n",
    "{\"_id\": \"d1\", \"title\": \"a\", \"text\": \"b\\u00e9\", \"metadata\": {\"x\": [1]}}",
    "{\"_id\": 17, \"text\": \"\"}",
};
FUZZ_MAIN(seeds, " \t\n\r{}\":,\\.-e01")
