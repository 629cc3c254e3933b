/* test-random.c - Philox4x32-10 against Random123's known answers (kat_vectors of its distribution), and what is drawn from it. */
#include "base/random.h"
#include "../tap.h"

static void answer_is(uint64_t key, const uint32_t c[4], const uint32_t want[4])
{
    struct ft_philox got = ft_philox(key, c[0], c[1], c[2], c[3]);

    ok(memcmp(got.word, want, sizeof got.word) == 0, "philox4x32-10 of counter %08x ..., key %016llx: %08x %08x %08x %08x", c[0],
       (unsigned long long)key, got.word[0], got.word[1], got.word[2], got.word[3]);
}

static void check_known_answers(void)
{
    answer_is(0, (const uint32_t[]){0, 0, 0, 0}, (const uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    answer_is(UINT64_MAX, (const uint32_t[]){~0u, ~0u, ~0u, ~0u}, (const uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    answer_is(0x299f31d0a4093822, (const uint32_t[]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
              (const uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

static void check_sequence(void)
{
    struct ft_random a = ft_random_start(3, 0x500000004), b = ft_random_start(3, 0x500000004), other = ft_random_start(3, 0x500000005);
    struct ft_philox block = ft_philox(3, 1, 0, 4, 5);
    bool same = true, differs = false, words = true;

    for (int i = 0; i < 1000; i++) {
        uint32_t x = ft_random_word(&a);

        same &= x == ft_random_word(&b);
        differs |= x != ft_random_word(&other);
        if (i >= 4 && i < 8)
            words &= x == block.word[i - 4];
    }
    ok(same, "the same key and stream give the same sequence");
    ok(differs, "another stream gives another one");
    ok(words, "word n of stream s is word n %% 4 at counter (n / 4, s)");
}

static void check_below(void)
{
    static const uint64_t bounds[] = {1, 2, 3, 7, 1000, (uint64_t)1 << 32, ((uint64_t)1 << 63) + 1, UINT64_MAX};
    struct ft_random random = ft_random_start(1, 1);
    size_t seen[7] = {0};
    bool inside = true, even = true;

    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        for (int k = 0; k < 1000; k++)
            inside &= ft_random_below(&random, bounds[i]) < bounds[i];
    ok(inside, "numbers are below their bound");
    for (int k = 0; k < 70000; k++)
        seen[ft_random_below(&random, 7)]++;
    for (int i = 0; i < 7; i++)
        even &= seen[i] > 9600 && seen[i] < 10400;   /* 4 standard deviations are 370 */
    ok(even, "and even");
}

static void check_uniform_and_normal(void)
{
    struct ft_random random = ft_random_start(2, 0);
    double sum = 0, squares = 0, fourth = 0, least = 1, most = 0, uniform = 0;
    const int n = 200000;

    for (int i = 0; i < n; i++) {
        double u = ft_random_uniform(&random), x = ft_random_normal(&random);

        least = u < least ? u : least;
        most = u > most ? u : most;
        uniform += u;
        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
    }
    ok(least >= 0 && most < 1 && least < 1e-4 && most > 1 - 1e-4, "uniform numbers lie in [0, 1) and reach its ends");
    is_close(uniform / n, .5, .003, "their mean is a half");
    is_close(sum / n, 0, .01, "normal numbers: mean 0");
    is_close(squares / n, 1, .015, "variance 1");
    is_close(fourth / n, 3, .1, "fourth moment 3");
}

static void check_shuffle(void)
{
    struct ft_random random = ft_random_start(5, 5);
    size_t places[4][4] = {{0}};
    bool whole = true, even = true;

    for (int k = 0; k < 24000; k++) {
        uint32_t items[4] = {0, 1, 2, 3};
        unsigned seen = 0;

        ft_random_shuffle(&random, items, 4);
        for (int i = 0; i < 4; i++) {
            seen |= 1u << items[i];
            places[i][items[i]]++;
        }
        whole &= seen == 15;
    }
    for (int i = 0; i < 16; i++)
        even &= places[i / 4][i % 4] > 5700 && places[i / 4][i % 4] < 6300;
    ok(whole, "a shuffle loses nothing");
    ok(even, "every item comes to every place equally often");
    ft_random_shuffle(&random, NULL, 0);
    ft_random_shuffle(&random, (uint32_t[]){1}, 1);
    ok(true, "nothing and one thing are shuffled too");
}

int main(void)
{
    check_known_answers();
    check_sequence();
    check_below();
    check_uniform_and_normal();
    check_shuffle();
    return done();
}
