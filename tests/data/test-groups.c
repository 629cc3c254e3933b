/* test-groups.c - union-find over contents: FINETUNER's examples, chains, and random unions against a plain reference. */
#include "base/random.h"
#include "data/groups.h"
#include "../tap.h"

#include <stdlib.h>

static uint32_t node(struct ft_groups *groups, const char *text)
{
    uint32_t number = UINT32_MAX;

    ft_groups_add(groups, ft_hash_bytes(text, strlen(text)), &number);
    return number;
}

static void pair(struct ft_groups *groups, const char *a, const char *b)
{
    uint32_t first = node(groups, a), second = node(groups, b);

    ft_groups_unite(groups, first, second);
}

static void test_examples(void)
{
    struct ft_groups groups = {0};

    pair(&groups, "q1", "d1");
    pair(&groups, "q2", "d1");
    ok(groups.count == 3, "q1,d1 / q2,d1: three contents");
    ok(ft_groups_number(&groups) == 1, "q1,d1 / q2,d1: one group, d1 is never its own negative");
    ft_groups_free(&groups);

    pair(&groups, "q1", "d1");
    pair(&groups, "q2", "d2");
    pair(&groups, "q1", "d2");
    ok(ft_groups_number(&groups) == 1, "q1,d1 / q2,d2 / q1,d2: the third row joins the first two");
    ok(ft_groups_number(&groups) == 1, "numbering twice gives the same");
    ft_groups_free(&groups);

    pair(&groups, "q1", "d1");
    pair(&groups, "q2", "d2");
    pair(&groups, "q3", "d3");
    pair(&groups, "d3", "d1");
    ok(ft_groups_number(&groups) == 2 && ft_groups_of(&groups, 0) == 0 && ft_groups_of(&groups, 1) == 0 &&
       ft_groups_of(&groups, 2) == 1 && ft_groups_of(&groups, 3) == 1 && ft_groups_of(&groups, 4) == 0 &&
       ft_groups_of(&groups, 5) == 0, "numbers are dense, in the order of first appearance");
    ft_groups_free(&groups);
    ok(ft_groups_number(&groups) == 0, "no contents, no groups");
    ft_groups_free(&groups);
}

static void test_seek(void)
{
    struct ft_groups groups = {0};
    uint32_t number = 7;

    ok(!ft_groups_seek(&groups, ft_hash_bytes("a", 1), &number), "an empty table knows nothing");
    node(&groups, "a");
    ok(ft_groups_seek(&groups, ft_hash_bytes("a", 1), &number) && number == 0, "a content is found again");
    ok(!ft_groups_seek(&groups, ft_hash_bytes("b", 1), &number), "another is not");
    ft_groups_number(&groups);
    ok(ft_groups_add(&groups, ft_hash_bytes("b", 1), &number) < 0, "nothing may be added after numbering");
    ft_groups_free(&groups);
}

/* A reference that anybody sees is right: relabel all of one component on each union. */
static void test_random(void)
{
    enum { N = 2000, UNIONS = 1500 };
    struct ft_random random = ft_random_start(5, 0);
    static uint32_t component[N], first[N];
    struct ft_groups groups = {0};
    uint32_t count = 0, number, wrong = 0;

    for (uint32_t i = 0; i < N; i++) {
        component[i] = i;
        ft_groups_add(&groups, ft_hash_bytes(&i, sizeof i), &number);
        wrong += number != i;
    }
    for (int u = 0; u < UNIONS; u++) {
        uint32_t a = (uint32_t)ft_random_below(&random, N), b = (uint32_t)ft_random_below(&random, N);
        uint32_t from = component[a], to = component[b];

        ft_groups_unite(&groups, a, b);
        for (uint32_t i = 0; i < N; i++)
            component[i] = component[i] == from ? to : component[i];
    }
    ok(wrong == 0, "nodes count up in the order of appearance");
    memset(first, 0xff, sizeof first);
    number = ft_groups_number(&groups);
    for (uint32_t i = 0; i < N; i++) {
        if (first[component[i]] == UINT32_MAX)
            first[component[i]] = count++;
        wrong += first[component[i]] != ft_groups_of(&groups, i);
    }
    ok(count == number && wrong == 0, "%u random unions: %u groups as in the reference", UNIONS, count);
    ft_groups_free(&groups);
}

/* A chain united from its far end is the worst case for trees without ranks. */
static void test_chain(void)
{
    enum { N = 200000 };
    struct ft_groups groups = {0};
    uint32_t number;
    size_t bytes;

    for (uint32_t i = 0; i < N; i++)
        ft_groups_add(&groups, ft_hash_bytes(&i, sizeof i), &number);
    bytes = groups.count * (sizeof *groups.content + sizeof *groups.parent) + groups.slots * sizeof *groups.slot;
    ok(bytes / groups.count <= 30, "%zu bytes a content", bytes / groups.count);
    for (uint32_t i = N - 1; i > 0; i--)
        ft_groups_unite(&groups, i, i - 1);
    ok(ft_groups_number(&groups) == 1, "a chain of %d is one group", N);
    ft_groups_free(&groups);
}

int main(void)
{
    test_examples();
    test_seek();
    test_random();
    test_chain();
    return done();
}
