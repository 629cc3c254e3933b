/* images.c - images decoded beside the model. */
#include "model/images.h"
#include "base/error.h"
#include "base/file.h"
#include "base/pool.h"
#include "data/image.h"
#include "data/uri.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WINDOW_BYTES = 24 << 20, LEAST_WINDOW = 16, MOST_WINDOW = 256 };

struct ft_images {
    const struct ft_model *model;
    const struct ft_content *content;
    size_t count;
    struct ft_variation varied;        /* augment NULL: not */
    uint8_t *pixel;
    atomic_size_t next;                /* item that nobody reads yet */
    struct ft_error_copy **error;      /* [count] of those that failed */
    atomic_bool lost;                  /* an error for which there was no memory */
    pthread_t *thread;
    int threads;
};

/* Neither a directory nor a pipe is an image, and a pipe would be waited for. What cannot be opened is bad input, not a failure of the system. */
static int read_file(struct ft_arena *arena, const char *path, struct ft_string *bytes)
{
    struct stat st;

    if (stat(path, &st) < 0 || access(path, R_OK) < 0)
        return ft_fail(FT_BAD, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ft_fail(FT_BAD, "no regular file");
    bytes->data = ft_file_read(arena, path, FT_LIMIT_BLOB, &bytes->size);
    return bytes->data ? 0 : -1;
}

static int read_data(struct ft_arena *arena, struct ft_string uri, struct ft_string *bytes)
{
    struct ft_buffer buffer = {0};
    int result = ft_uri_data(&buffer, uri);

    if (result == 0 && !(bytes->data = ft_arena_text(arena, (struct ft_string){buffer.data, buffer.size})))
        result = -1;
    bytes->size = buffer.size;
    ft_buffer_free(&buffer);
    return result;
}

int ft_image_bytes(struct ft_arena *arena, const struct ft_content *content, struct ft_string *bytes)
{
    const char *path;

    if (content->blob.data) {
        *bytes = content->blob;
        return 0;
    }
    switch (ft_uri_kind(content->uri)) {
    case FT_URI_WEB:
        return ft_fail(FT_BAD, "nothing is fetched from the web here: ft-ingest --fetch --blob brings the bytes along");
    case FT_URI_DATA:
        return read_data(arena, content->uri, bytes);
    case FT_URI_FILE:
        path = ft_uri_path(arena, content->uri);
        break;
    default:
        path = memchr(content->uri.data, '\0', content->uri.size) ? NULL : ft_arena_text(arena, content->uri);
        if (!path && memchr(content->uri.data, '\0', content->uri.size))
            ft_fail(FT_BAD, "a path with a null byte in it");
        break;
    }
    return path ? read_file(arena, path, bytes) : -1;
}

static int read_image(const struct ft_images *images, size_t item, struct ft_arena *scratch)
{
    const struct ft_model *model = images->model;
    const struct ft_content *content = &images->content[item];
    const struct ft_variation *varied = &images->varied;
    struct ft_image image = {0};
    uint8_t *out;
    struct ft_string bytes;
    int result;

    ft_arena_reset(scratch);
    if (ft_item_check(model, content) < 0 || ft_image_bytes(scratch, content, &bytes) < 0 || ft_image_decode(bytes, FT_IMAGE_PIXELS, &image) < 0)
        return -1;
    out = images->pixel + item * ft_item_bytes(model);
    result = varied->augment ? ft_augment_run(varied->augment, model->preprocess, varied->seed, varied->batch, varied->first + item, &image, scratch, out)
                             : ft_preprocess_run(model->preprocess, &image, scratch, out);
    ft_image_free(&image);
    return result;
}

static void keep_error(struct ft_images *images, size_t item)
{
    struct ft_error_copy *copy = malloc(sizeof *copy);

    ft_item_prefix(&images->content[item], 0);
    if (copy)
        ft_error_save(copy);
    else
        atomic_store(&images->lost, true);
    images->error[item] = copy;
    memset(images->pixel + item * ft_item_bytes(images->model), 0, ft_item_bytes(images->model));
}

/* Items one by one until none is left. */
static void read_images(struct ft_images *images)
{
    struct ft_arena scratch = {0};
    size_t item;

    while ((item = atomic_fetch_add(&images->next, 1)) < images->count)
        if (read_image(images, item, &scratch) < 0)
            keep_error(images, item);
    ft_arena_free(&scratch);
}

/* The model goes first: the pool's threads wait for each other, so that one that has to share its CPU holds up all. Merely nicer threads cost a third
 * of the speed on a busy machine. */
static void *read_beside(void *images)
{
    pthread_setschedparam(pthread_self(), SCHED_IDLE, &(struct sched_param){0});
    read_images(images);
    return NULL;
}

/* A thread that cannot be had is not an error: the pool reads what nobody has read. Signals are for the thread that waits for them. */
static void start_threads(struct ft_images *images)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (images->threads < ft_pool_threads() && pthread_create(&images->thread[images->threads], NULL, read_beside, images) == 0)
        images->threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct ft_images *ft_images_begin(const struct ft_model *model, const struct ft_content *content, size_t count, const struct ft_variation *varied,
                                  uint8_t *pixel)
{
    struct ft_images *images = calloc(1, sizeof *images);

    if (images) {
        *images = (struct ft_images){.model = model, .content = content, .count = count, .pixel = pixel};
        if (varied)
            images->varied = *varied;
        images->error = calloc(count + 1, sizeof *images->error);
        images->thread = calloc((size_t)ft_pool_threads(), sizeof *images->thread);
    }
    if (!images || !images->error || !images->thread) {
        ft_images_drop(images);
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    start_threads(images);
    return images;
}

static int help(void *images, size_t index, int worker)
{
    (void)index;
    (void)worker;
    read_images(images);
    return 0;
}

void ft_images_drop(struct ft_images *images)
{
    if (!images)
        return;
    atomic_store(&images->next, images->count);
    for (int i = 0; i < images->threads; i++)
        pthread_join(images->thread[i], NULL);
    for (size_t i = 0; images->error && i < images->count; i++)
        free(images->error[i]);
    free(images->error);
    free(images->thread);
    free(images);
}

static int report(struct ft_images *images, ft_images_bad *bad, void *argument)
{
    for (size_t i = 0; i < images->count; i++)
        if (images->error[i]) {
            ft_error_restore(images->error[i]);
            if (ft_error_status() != FT_SYSTEM && bad && bad(argument, i) == 0)
                continue;
            return bad || images->content[i].uri.size ? -1 : ft_error_prefix("item %zu: ", i + 1);
        }
    return atomic_load(&images->lost) ? ft_fail(FT_SYSTEM, "out of memory") : 0;
}

int ft_images_end(struct ft_images *images, ft_images_bad *bad, void *argument)
{
    struct ft_error_copy error;
    int result;

    for (int i = 0; i < images->threads; i++)      /* now they are waited for */
        pthread_setschedparam(images->thread[i], SCHED_OTHER, &(struct sched_param){0});
    result = ft_pool_run((size_t)ft_pool_threads(), help, images);
    for (int i = 0; i < images->threads; i++)
        pthread_join(images->thread[i], NULL);
    images->threads = 0;
    if (result == 0)
        result = report(images, bad, argument);
    ft_error_save(&error);
    ft_images_drop(images);
    ft_error_restore(&error);
    return result;
}

size_t ft_images_window(const struct ft_model *model)
{
    size_t window = WINDOW_BYTES / (ft_item_bytes(model) + 1);

    return window < LEAST_WINDOW ? LEAST_WINDOW : window > MOST_WINDOW ? MOST_WINDOW : window;
}
