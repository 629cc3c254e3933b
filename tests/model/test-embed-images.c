/* test-embed-images.c - images through an embedder, window by window: a small convolutional model built by hand. */
#include "../tap.h"

#include "base/error.h"
#include "base/pool.h"
#include "base/random.h"
#include "model/embed.h"
#include "model/model-build.h"

#include <stdlib.h>

enum { SIDE = 160, PICTURE = 9, IMAGES = 270, DIM = 8, KERNEL = 8 };   /* 256 images are a window */

static struct ft_arena arena;

static int build(struct ft_builder *b)
{
    const size_t shape[4] = {DIM, 3, KERNEL, KERNEL};
    int pixels = ft_build_node(b, FT_OP_PIXELS, 3, -1, -1, -1, "pixels"), map;
    struct ft_node *at = ft_build_at(b, pixels);

    at->height = at->across = SIDE;
    for (int c = 0; c < 3; c++)
        at->multiply[c] = .01f, at->add[c] = -1;
    map = ft_build_node(b, FT_OP_CONVOLUTION, DIM, pixels, -1, -1, "patches");
    ft_build_give(b, map, ft_build_shaped(b, "patches", "weight", 4, shape, FT_BUILD_DECAY));
    at = ft_build_at(b, map);
    at->kernel = at->stride = KERNEL;
    at->groups = 1;
    at->height = at->across = SIDE / KERNEL;
    map = ft_build_activation(b, map, DIM, FT_RELU, "relu");
    ft_build_at(b, map)->height = ft_build_at(b, map)->across = SIDE / KERNEL;
    return ft_build_node(b, FT_OP_POOL, DIM, map, -1, -1, "pool");
}

static bool make_model(struct ft_model *model, const struct ft_preprocess *preprocess)
{
    struct ft_builder b = {.model = model, .file = ""};

    *model = (struct ft_model){.input = FT_INPUT_IMAGE, .height = SIDE, .across = SIDE, .rows_each = 1, .chunk_rows = 32, .shard_rows = 4, .dim = DIM,
                               .preprocess = preprocess};
    build(&b);
    if (ft_build_finish(&b) < 0 || !(model->block = ft_model_zeros(model)))
        return false;
    for (size_t i = 0; i < model->block_count; i++)
        model->block[i] = (float)(ft_philox(3, (uint32_t)i, 0, 0, 0).word[0] / 4294967296.0 - .5) / 8;
    return true;
}

/* A BMP of 24 bits, PICTURE pixels each way; 27 bytes a row are padded to 28. */
static struct ft_string bmp(size_t item)
{
    static const uint8_t head[54] = {'B', 'M', [10] = 54, [14] = 40, [18] = PICTURE, [22] = PICTURE, [26] = 1, [28] = 24};
    uint8_t *bytes = ft_arena_take(&arena, sizeof head + 28 * PICTURE);

    memcpy(bytes, head, sizeof head);
    for (size_t k = 0; k < 28 * PICTURE; k++)
        bytes[sizeof head + k] = (uint8_t)(k * (item + 3) + item * item);
    return (struct ft_string){(char *)bytes, sizeof head + 28 * PICTURE};
}

static size_t told[4], tolds;

static int tell(void *argument, size_t item)
{
    if (tolds == *(size_t *)argument)
        return -1;
    told[tolds++] = item;
    return 0;
}

static void test_bad(struct ft_embedder *e, struct ft_content *content, const float *all)
{
    static float out[IMAGES][DIM];
    size_t most = 4, one = 1;
    bool same = true;

    content[5].blob = FT_STRING("no picture"), content[266].blob = FT_STRING("nor this");
    ok(ft_embedder_run(e, content, NULL, IMAGES, *out) < 0 && strncmp(ft_error(), "item 6: ", 8) == 0, "%s", ft_error());
    content[5] = content[4];
    ok(ft_embedder_run(e, content, NULL, IMAGES, *out) < 0 && strncmp(ft_error(), "item 267: ", 10) == 0, "counted through all windows: %s", ft_error());
    content[5].blob = FT_STRING("no picture");
    ok(ft_embedder_try(e, content, NULL, IMAGES, tell, &most, *out) == 0 && tolds == 2 && told[0] == 5 && told[1] == 266, "bad ones are told");
    for (size_t i = 0; i < IMAGES; i++)
        same &= i == 5 || i == 266 || memcmp(out[i], all + i * DIM, sizeof *out) == 0;
    ok(same, "and the others have the embeddings that they had");
    tolds = 0;
    ok(ft_embedder_try(e, content, NULL, IMAGES, tell, &one, *out) < 0 && tolds == 1, "as long as it is said to go on: %s", ft_error());
    ok(ft_embedder_run(e, &(struct ft_content){.text = FT_STRING("a")}, NULL, 1, *out) < 0 &&
           strcmp(ft_error(), "item 1: a text, and the model reads images") == 0 && ft_error_status() == FT_BAD, "%s", ft_error());
}

int main(void)
{
    const struct ft_preprocess how = {.rule = FT_RESIZE_EXACT, .filter = FT_FILTER_BILINEAR, .resize_height = SIDE, .resize_width = SIDE, .height = SIDE, .width = SIDE};
    static float all[IMAGES][DIM], alone[DIM];
    static struct ft_content content[IMAGES];
    struct ft_embedder *e;
    struct ft_model model;
    double far = 0;

    ft_pool_set_threads(3);
    if (!ok(make_model(&model, &how) && (e = ft_embedder_open(&model, &(struct ft_embed_options){.max_length = 0})), "a model %s", ft_error()))
        return done();
    ok(ft_images_window(&model) == 256, "256 images are a window");
    for (size_t i = 0; i < IMAGES; i++)
        content[i].blob = bmp(i);
    ok(ft_embedder_run(e, content, NULL, IMAGES, *all) == 0, "more than a window of images %s", ft_error());
    for (size_t i = 0; i < IMAGES; i += 19) {
        ok(ft_embedder_run(e, &content[i], NULL, 1, alone) == 0, "image %zu alone", i);
        for (size_t d = 0; d < DIM; d++)
            far = fmax(far, fabs((double)alone[d] - (double)all[i][d]));
    }
    ok(far <= 1e-6 && memcmp(all[0], all[1], sizeof *all) != 0, "whoever stands beside it (farthest %.2g)", far);
    ok(ft_embedder_run(e, content, NULL, 0, *all) == 0, "none is fine");
    test_bad(e, content, *all);
    ft_embedder_close(e);
    ft_model_zeros_free(&model, model.block);
    ft_arena_free(&model.arena);
    ft_arena_free(&arena);
    return done();
}
