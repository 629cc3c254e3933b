/* test-room.c - the largest batch that fits: never more than the memory, never less than would fit. */
#include "base/error.h"
#include "tune/room.h"
#include "../tap.h"

#include <stdlib.h>

enum { DOCUMENTS = 3000 };

static struct ft_arena arena;

/* Documents of 1 to 17 words, in no order. */
static struct ft_room *fill(const struct ft_settings *s, size_t memory)
{
    static const char words[] = "the cat sat on mat dog bird edit photo music play web what is my balance can you";
    struct ft_room *room = ft_room_open(s, memory);
    int bad = !room;

    for (size_t i = 0; !bad && i < DOCUMENTS; i++) {
        const struct ft_document d = {.content.text = {words, 3 + i * 7919 % 76}, .role = FT_NO_ROLE};

        bad = ft_room_add(room, &d) < 0;
    }
    if (bad)
        printf("# %s\n", ft_error());
    return room;
}

static void check(const struct ft_settings *s, size_t memory, uint64_t documents, uint64_t each)
{
    struct ft_room *room = fill(s, memory);
    uint64_t rows = ft_room_rows(room, documents, each), step = each && 8 % each ? each : 8;
    size_t bytes = ft_room_bytes(room, rows), more = ft_room_bytes(room, rows + step);
    bool least = rows == (each ? 2 * each > step ? 2 * each : step : step), most = (rows + step) * documents * 8 > DOCUMENTS;

    ok(rows && rows % (each ? each : 8) == 0 && (bytes <= memory || least) && (more > memory || most) && rows == ft_room_chosen(room),
       "%zu kB, %d documents a row, %d each: %d rows of %zu kB", memory >> 10, (int)documents, (int)each, (int)rows, bytes >> 10);
    ft_room_close(room);
}

int main(void)
{
    char *model = realpath("tests/golden/model/mean", NULL);
    const struct ft_settings s = {.model = model, .optimizer = "adamw", .precision = "fp32"};
    struct ft_room *room = fill(&s, 1 << 20);
    size_t before = 0;
    bool rising = ft_room_rows(room, 1, 0) > 0;

    for (uint64_t rows = 8; rows < 400; rows += 8) {
        rising &= ft_room_bytes(room, rows) > before;
        before = ft_room_bytes(room, rows);
    }
    ok(rising, "more rows take more");
    ft_room_close(room);
    for (size_t memory = 1 << 18; memory <= (size_t)1 << 30; memory *= 2)
        check(&s, memory, 1, 0);
    check(&s, 1 << 22, 2, 0);
    check(&s, 1 << 22, 3, 0);
    check(&s, 1 << 22, 1, 4);
    check(&s, 1 << 22, 1, 7);
    check(&s, 1, 1, 0);
    check(&s, 1, 1, 6);
    free(model);
    ft_arena_free(&arena);
    return done();
}
