/* memory.c - arenas, growable bytes, strings. */
#include "base/memory.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGN = 64, SMALLEST_BLOCK = 1 << 16 };

/* A block's bytes follow its header at the next multiple of ALIGN. */
struct ft_arena_block {
    struct ft_arena_block *previous;
    size_t size, used;
};

struct ft_string ft_string_of(const char *text)
{
    return (struct ft_string){text ? text : "", text ? strlen(text) : 0};
}

bool ft_string_equal(struct ft_string a, struct ft_string b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool ft_string_is(struct ft_string a, const char *text)
{
    return ft_string_equal(a, ft_string_of(text));
}

int ft_string_order(struct ft_string a, struct ft_string b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;

    return order ? order : a.size < b.size ? -1 : a.size > b.size;
}

static size_t round_up(size_t size)
{
    return (size + ALIGN - 1) / ALIGN * ALIGN;
}

static int arena_grow(struct ft_arena *arena, size_t size)
{
    size_t want = arena->last ? arena->last->size * 2 : SMALLEST_BLOCK;
    struct ft_arena_block *block;

    if (want > (size_t)64 << 20)   /* doubling past this would waste more than it saves */
        want = (size_t)64 << 20;
    if (want < size)
        want = size;
    if (size > SIZE_MAX / 2 || !(block = aligned_alloc(ALIGN, ALIGN + round_up(want))))
        return ft_fail(FT_SYSTEM, "out of memory for %zu bytes", size);
    block->previous = arena->last;
    block->size = round_up(want);
    block->used = 0;
    arena->last = block;
    return 0;
}

void *ft_arena_take(struct ft_arena *arena, size_t size)
{
    size_t rounded = round_up(size ? size : 1);
    struct ft_arena_block *block;
    char *bytes;

    if (size > SIZE_MAX / 2) {
        ft_fail(FT_SYSTEM, "out of memory for %zu bytes", size);
        return NULL;
    }
    if ((!arena->last || arena->last->size - arena->last->used < rounded) && arena_grow(arena, rounded) < 0)
        return NULL;
    block = arena->last;
    bytes = (char *)block + ALIGN + block->used;
    block->used += rounded;
    return bytes;
}

void *ft_arena_zero(struct ft_arena *arena, size_t count, size_t size)
{
    void *bytes;

    if (size && count > SIZE_MAX / 2 / size) {
        ft_fail(FT_SYSTEM, "out of memory for %zu times %zu bytes", count, size);
        return NULL;
    }
    if ((bytes = ft_arena_take(arena, count * size)))
        memset(bytes, 0, count * size);
    return bytes;
}

char *ft_arena_text(struct ft_arena *arena, struct ft_string text)
{
    char *copy = ft_arena_take(arena, text.size + 1);

    if (copy) {
        if (text.size)
            memcpy(copy, text.data, text.size);
        copy[text.size] = '\0';
    }
    return copy;
}

char *ft_arena_print(struct ft_arena *arena, const char *format, ...)
{
    va_list args, again;
    int length;
    char *text;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    text = length < 0 ? NULL : ft_arena_take(arena, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void ft_arena_reset(struct ft_arena *arena)
{
    struct ft_arena_block *keep = arena->last, *block;

    for (block = arena->last; block; block = block->previous)
        if (block->size > keep->size)
            keep = block;
    while ((block = arena->last)) {
        arena->last = block->previous;
        if (block != keep)
            free(block);
    }
    if (keep) {
        keep->previous = NULL;
        keep->used = 0;
    }
    arena->last = keep;
}

void ft_arena_free(struct ft_arena *arena)
{
    struct ft_arena_block *block;

    while ((block = arena->last)) {
        arena->last = block->previous;
        free(block);
    }
}

int ft_buffer_reserve(struct ft_buffer *buffer, size_t more)
{
    size_t want = buffer->capacity ? buffer->capacity : 256;
    char *data;

    if (more <= buffer->capacity - buffer->size)
        return 0;
    if (more > SIZE_MAX / 4 - buffer->size)
        return ft_fail(FT_SYSTEM, "out of memory for %zu bytes", more);
    while (want - buffer->size < more)
        want *= 2;
    if (!(data = realloc(buffer->data, want)))
        return ft_fail(FT_SYSTEM, "out of memory for %zu bytes", want);
    buffer->data = data;
    buffer->capacity = want;
    return 0;
}

int ft_buffer_add(struct ft_buffer *buffer, const void *data, size_t size)
{
    if (ft_buffer_reserve(buffer, size) < 0)
        return -1;
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return 0;
}

int ft_buffer_write(void *buffer, const char *data, size_t size)
{
    return ft_buffer_add(buffer, data, size);
}

int ft_buffer_print(struct ft_buffer *buffer, const char *format, ...)
{
    va_list args, again;
    int length, result = -1;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    if (length >= 0 && ft_buffer_reserve(buffer, (size_t)length + 1) == 0) {
        vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, again);
        buffer->size += (size_t)length;
        result = 0;
    }
    va_end(again);
    va_end(args);
    return result;
}

void ft_buffer_free(struct ft_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct ft_buffer){0};
}

void *ft_resize(void *pointer, size_t count, size_t size)
{
    void *grown = size && count > SIZE_MAX / 2 / size ? NULL : realloc(pointer, count * size + !(count && size));

    if (!grown)
        ft_fail(FT_SYSTEM, "out of memory for %zu times %zu bytes", count, size);
    return grown;
}

int ft_grow(void *array, size_t *capacity, size_t count, size_t size)
{
    void **place = array, *larger;
    size_t want = *capacity ? *capacity * 2 : 256;

    if (count <= *capacity)
        return 0;
    if (want < count)
        want = count;
    if (!(larger = ft_resize(*place, want, size)))
        return -1;
    *place = larger;
    *capacity = want;
    return 0;
}

size_t ft_memory_held(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t pages = 0;
    long page = sysconf(_SC_PAGESIZE);

    if (!file)
        return 0;
    if (fscanf(file, "%*u %zu", &pages) != 1)
        pages = 0;
    fclose(file);
    return page > 0 ? pages * (size_t)page : 0;
}

size_t ft_memory_available(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t kib = 0;
    char line[128];

    while (file && !kib && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %zu", &kib) != 1)
            kib = 0;
    if (file)
        fclose(file);
    return kib ? kib * 1024 : pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
}
