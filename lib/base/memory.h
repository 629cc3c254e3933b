/* memory.h - arenas, growable bytes, and strings that know their length.
 *
 * An arena is a chain of blocks that is freed at once: one per model, per thread, per record. What is
 * taken from it is never freed alone; ft_arena_reset keeps the largest block for the next record.
 * All allocation failures are errors (NULL or -1 with ft_error set), never aborts. */
#ifndef FT_BASE_MEMORY_H
#define FT_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of bytes that somebody else owns; text is UTF-8 and not null-terminated. */
struct ft_string {
    const char *data;
    size_t size;
};

#define FT_STRING(literal) ((struct ft_string){literal, sizeof(literal) - 1})
struct ft_string ft_string_of(const char *text);                     /* NULL gives an empty string */
bool ft_string_equal(struct ft_string a, struct ft_string b);
bool ft_string_is(struct ft_string a, const char *text);
int ft_string_order(struct ft_string a, struct ft_string b);          /* by bytes, a beginning before what is longer: below, equal to, above 0 */

struct ft_arena_block;
struct ft_arena {
    struct ft_arena_block *last;
};

void *ft_arena_take(struct ft_arena *arena, size_t size);            /* 64-byte aligned, not zeroed; NULL on error */
void *ft_arena_zero(struct ft_arena *arena, size_t count, size_t size); /* zeroed; checks count * size */
char *ft_arena_text(struct ft_arena *arena, struct ft_string text);  /* a null-terminated copy */
char *ft_arena_print(struct ft_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ft_arena_reset(struct ft_arena *arena);                         /* all of it may be taken again */
void ft_arena_free(struct ft_arena *arena);                          /* leaves an empty, usable arena */

/* Bytes that grow. Zero-initialised is empty. */
struct ft_buffer {
    char *data;
    size_t size, capacity;
};

int ft_buffer_reserve(struct ft_buffer *buffer, size_t more);        /* room for `more` bytes past size */
int ft_buffer_add(struct ft_buffer *buffer, const void *data, size_t size);
int ft_buffer_write(void *buffer, const char *data, size_t size);    /* the same, as a msgpack packer calls it */
int ft_buffer_print(struct ft_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ft_buffer_free(struct ft_buffer *buffer);

/* realloc(pointer, count * size) that checks the product; NULL on error, with ft_error set. */
void *ft_resize(void *pointer, size_t count, size_t size);

/* Bytes that can be had now without pushing anything else out, what the kernel caches of files counted as free; 0: not known. */
size_t ft_memory_available(void);

/* Bytes that the process has in memory; 0: not known. */
size_t ft_memory_held(void);

/* Room for `count` elements in *(T **)array, doubling; -1 on error, and the array is as it was. */
int ft_grow(void *array, size_t *capacity, size_t count, size_t size);

#endif
