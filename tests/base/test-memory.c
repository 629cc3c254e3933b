/* test-memory.c - arenas, buffers, strings; sizes that no machine has. */
#include "base/error.h"
#include "base/memory.h"
#include "../tap.h"

#include <stdlib.h>

static void check_arena(void)
{
    struct ft_arena arena = {0};
    unsigned char *pieces[400];
    bool aligned = true, kept = true;
    char *zero;

    for (size_t i = 0; i < 400; i++) {
        size_t size = i * i % 5000;

        pieces[i] = ft_arena_take(&arena, size);
        aligned &= pieces[i] && (uintptr_t)pieces[i] % 64 == 0;
        memset(pieces[i], (int)(i % 251), size);
    }
    ok(aligned, "pieces of any size, nothing included, begin at multiples of 64");
    for (size_t i = 0; i < 400; i++)
        for (size_t k = 0; k < i * i % 5000; k++)
            kept &= pieces[i][k] == i % 251;
    ok(kept, "none lies in another, whatever came after");
    ft_arena_reset(&arena);
    ok(ft_arena_take(&arena, 1 << 20) != NULL, "a piece larger than any block");
    ft_arena_reset(&arena);
    zero = ft_arena_zero(&arena, 1000, 8);
    ok(zero && zero[0] == 0 && memcmp(zero, zero + 1, 7999) == 0, "zeros are zero where something else was");
    is_text(ft_arena_text(&arena, (struct ft_string){"abcdef", 3}), "abc", "text ends where its size says");
    is_text(ft_arena_text(&arena, (struct ft_string){NULL, 0}), "", "no text is empty text");
    is_text(ft_arena_print(&arena, "%d %s", 5, "six"), "5 six", "printed");
    ft_arena_free(&arena);
    ok(ft_arena_take(&arena, 1) != NULL, "a freed arena is an empty one");
    ft_arena_free(&arena);
    ft_arena_free(&arena);
    ft_arena_reset(&arena);
    ok(arena.last == NULL, "freeing and emptying nothing");
}

#ifdef __SANITIZE_ADDRESS__
/* Its allocator would end the program rather than give NULL. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}
#endif

/* volatile, so that no compiler works out that this cannot be had */
static volatile size_t huge = SIZE_MAX - 10;

static void check_huge(void)
{
    struct ft_arena arena = {0};
    struct ft_buffer buffer = {0};

    ok(!ft_arena_take(&arena, huge) && ft_error_status() == FT_SYSTEM, "an arena that is asked for everything");
    ok(!ft_arena_take(&arena, huge / 2), "or for half of it");
    ok(!ft_arena_zero(&arena, huge / 4, 5) && !ft_arena_zero(&arena, huge, huge), "products that overflow");
    ok(ft_buffer_add(&buffer, "ab", 2) == 0 && ft_buffer_reserve(&buffer, huge) < 0 && ft_buffer_reserve(&buffer, huge / 4) < 0,
       "a buffer likewise");
    ok(buffer.size == 2 && memcmp(buffer.data, "ab", 2) == 0, "which keeps what it has");
    ok(!ft_resize(NULL, huge / 4, 8) && ft_error_status() == FT_SYSTEM, "an array likewise");
    ft_buffer_free(&buffer);
    ft_arena_free(&arena);
}

static void check_buffer(void)
{
    struct ft_buffer buffer = {0};
    bool same = true;
    int *array;

    for (int i = 0; i < 10000; i++)
        ft_buffer_add(&buffer, &i, sizeof i);
    for (int i = 0; i < 10000; i++)
        same &= memcmp(buffer.data + (size_t)i * sizeof i, &i, sizeof i) == 0;
    ok(same && buffer.size == 10000 * sizeof(int) && buffer.capacity >= buffer.size, "a buffer holds what was added");
    buffer.size = 0;
    ok(ft_buffer_add(&buffer, NULL, 0) == 0 && buffer.size == 0, "nothing may be added");
    ft_buffer_print(&buffer, "%s-%03d", "a", 7);
    ft_buffer_print(&buffer, "%s", "!");
    is_text(buffer.data, "a-007!", "printing adds, and ends in a null byte that does not count");
    ok(buffer.size == 6, "by the size too");
    ft_buffer_free(&buffer);
    ok(!buffer.data && !buffer.size && !buffer.capacity, "freed");
    array = ft_resize(NULL, 0, 8);
    ok(array != NULL, "an array of nothing is not an error");
    array = ft_resize(array, 100, sizeof *array);
    ok(array != NULL, "and grows");
    free(array);
}

static void check_strings(void)
{
    ok(ft_string_of("abc").size == 3 && ft_string_of(NULL).size == 0, "sizes");
    ok(ft_string_is(FT_STRING("abc"), "abc") && !ft_string_is(FT_STRING("abc"), "ab") && !ft_string_is(FT_STRING("ab"), "abc"), "equal or not");
    ok(ft_string_equal((struct ft_string){NULL, 0}, FT_STRING("")), "empty is empty");
    ok(!ft_string_is((struct ft_string){"a\0b", 3}, "a"), "a null byte is a byte");
}

int main(void)
{
    check_arena();
    check_huge();
    check_buffer();
    check_strings();
    return done();
}
