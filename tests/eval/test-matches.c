/* test-matches.c - texts on one line, cut to a width; metric names; the vote of neighbours. */
#include "base/error.h"
#include "eval/matches.h"
#include "eval/metrics.h"
#include "../tap.h"

static void line(const char *text, size_t width, const char *want, const char *what)
{
    struct ft_buffer out = {NULL, 0, 0};
    char got[256] = "";

    if (ft_line_add(&out, ft_string_of(text), width) == 0 && out.size < sizeof got && out.size)
        memcpy(got, out.data, out.size);
    is_text(got, want, what);
    ft_buffer_free(&out);
}

static void test_lines(void)
{
    line("a\tb\r\n  c", 0, "a b c", "controls and runs of blanks are one blank");
    line("  a b  ", 0, "a b", "none at the ends");
    line("\033[31mred", 0, "[31mred", "no escapes reach a terminal");
    line("a\xc2\xa0\xe2\x80\xa8" "b", 0, "a b", "no-break space and line separator are blanks");
    line("a\xff" "b", 0, "a\xef\xbf\xbd" "b", "bytes that are no UTF-8 become U+FFFD");
    line("abcdef", 6, "abcdef", "what fits is not cut");
    line("abcdefg", 6, "abcde\xe2\x80\xa6", "what does not ends in an ellipsis within the width");
    line("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 5, "\xe6\x97\xa5\xe6\x9c\xac\xe2\x80\xa6",
         "wide letters take two columns");
    line("", 5, "", "nothing is nothing");
}

static void test_names(void)
{
    struct ft_measure one = {FT_METRICS, 0};
    struct ft_measures all = {.count = 0}, seven = {.count = 0};
    char name[40];
    bool round = true;

    ok(ft_measure_parse("precision", 7, &one) == 0 && one.metric == FT_METRIC_PRECISION && one.k == 7, "a metric by its short name");
    ok(ft_measure_parse("knn@8", 7, &one) == 0 && one.metric == FT_METRIC_KNN && one.k == 8, "and by its whole name, with another k");
    ok(ft_measure_parse("mrr", 7, &one) == 0 && one.metric == FT_METRIC_MRR &&
       ft_measure_parse("mrr@7", 7, &one) == 0 && one.metric == FT_METRIC_MRR_AT, "mrr is of the whole ranking, mrr@7 another");
    ok(ft_measure_parse("knn@0", 7, &one) < 0 && strstr(ft_error(), "knn@7") && strstr(ft_error(), "dcg_at_k"), "what is unknown lists what is known");
    ok(ft_measures_add(&all, "all", 7) == 0 && all.count == FT_METRICS && ft_measures_add(&all, "usual,map@7", 7) == 0 &&
       all.count == FT_METRICS && ft_measures_add(&seven, "finetuner", 7) == 0 && seven.count == 7, "several by one name, none twice");
    for (size_t i = 0; i < all.count; i++) {
        ft_measure_name(&all.item[i], name);
        round &= ft_measure_parse(name, 7, &one) == 0 && one.metric == all.item[i].metric && one.k == 7;
    }
    ok(round, "a name that is printed is read again");
}

static uint32_t vote(const uint32_t *class, size_t k)
{
    struct ft_match match[8];
    uint32_t votes[4] = {0};
    uint32_t winner;

    for (size_t i = 0; i < 8; i++)
        match[i] = (struct ft_match){0, i < k ? (uint32_t)i : FT_NO_ITEM};
    winner = ft_metrics_vote(match, 8, class, votes);
    return votes[0] || votes[1] || votes[2] || votes[3] ? 99 : winner;
}

static void test_votes(void)
{
    ok(vote((const uint32_t[]){3, 1, 1}, 3) == 1, "the majority wins");
    ok(vote((const uint32_t[]){2, 1, 1, 2}, 4) == 2, "of equally many the nearest member's label");
    ok(vote((const uint32_t[]){FT_NO_CLASS, FT_NO_CLASS, 1}, 3) == 1, "those without a label have no vote");
    ok(vote((const uint32_t[]){FT_NO_CLASS}, 1) == FT_NO_CLASS && vote(NULL, 0) == FT_NO_CLASS,
       "nobody votes: no label");
}

int main(void)
{
    test_lines();
    test_names();
    test_votes();
    return done();
}
