/* pager.c - a stretch of addresses, and what of it is filled. */
#include "model/run/pager.h"
#include "base/error.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct ft_pager {
    const struct ft_model *model;
    const struct ft_content *content;
    size_t count, each;          /* images; of a window */
    bool varies;
    struct ft_variation varied;
    uint8_t *pixel;
    size_t size;                 /* bytes of the stretch */
    size_t from, to;             /* images that are there */
    struct ft_images *images;    /* those from `to` on, being read, or NULL */
};

struct ft_pager *ft_pager_open(const struct ft_model *model, const struct ft_content *content, size_t count, const struct ft_variation *varied)
{
    struct ft_pager *p = calloc(1, sizeof *p);
    void *map = MAP_FAILED;

    if (p) {
        *p = (struct ft_pager){.model = model, .content = content, .count = count, .each = ft_images_window(model), .varies = varied,
                               .size = count * ft_item_bytes(model) + 1};
        if (varied)
            p->varied = *varied;
        map = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    if (map == MAP_FAILED) {
        free(p);
        ft_fail(FT_SYSTEM, "no room for the pixels of %zu images", count);
        return NULL;
    }
    p->pixel = map;
    return p;
}

void ft_pager_close(struct ft_pager *p)
{
    if (!p)
        return;
    ft_images_drop(p->images);
    munmap(p->pixel, p->size);
    free(p);
}

const uint8_t *ft_pager_pixel(const struct ft_pager *p)
{
    return p->pixel;
}

/* Memory goes by pages: the one that image `to` begins in stays. */
static void let_go(struct ft_pager *p, size_t to)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), each = ft_item_bytes(p->model);
    size_t start = p->from * each / page * page, end = to * each / page * page;

    if (end > start)
        madvise(p->pixel + start, end - start, MADV_DONTNEED);
    p->from = to;
}

static size_t window_end(const struct ft_pager *p)
{
    return p->count - p->to < p->each ? p->count : p->to + p->each;
}

static int begin(struct ft_pager *p)
{
    size_t to = p->to;
    struct ft_variation varied = p->varied;

    varied.first += to;
    p->images = ft_images_begin(p->model, p->content + to, window_end(p) - to, p->varies ? &varied : NULL, p->pixel + to * ft_item_bytes(p->model));
    return p->images ? 0 : -1;
}

/* Without an address an image is known by its number in the batch. */
static int tell_bad(void *pager, size_t item)
{
    const struct ft_pager *p = pager;

    return p->content[p->to + item].uri.size ? -1 : ft_error_prefix("item %zu: ", p->to + item + 1);
}

void ft_pager_hide(struct ft_pager *p)
{
    ft_images_drop(p->images);
    p->images = NULL;
    madvise(p->pixel, p->size, MADV_DONTNEED);
    p->from = p->to = 0;
}

int ft_pager_show(struct ft_pager *p, size_t first, size_t count)
{
    if (first < p->from || first > p->to) {
        ft_pager_hide(p);
        p->from = p->to = first;
    }
    let_go(p, first);
    while (p->to < first + count) {
        struct ft_images *images;

        if (!p->images && begin(p) < 0)
            return -1;
        images = p->images;
        p->images = NULL;
        if (ft_images_end(images, tell_bad, p) < 0)
            return -1;
        p->to = window_end(p);
    }
    return p->to < p->count && !p->images ? begin(p) : 0;
}
