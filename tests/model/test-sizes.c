/* test-sizes.c - models of images whose config.json asks for what cannot be: refused, whatever the sizes; and what is summed, adapted and cut of one. Their
 * nodes are built from the config and the names of a few tensors, so that no model of such a size need be written. */
#include "base/error.h"
#include "base/file.h"
#include "data/preprocess.h"
#include "model/adapter.h"
#include "model/model-build.h"
#include "model/run/plan.h"
#include "model/weights/safetensors.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

#define RESNET "{\"model_type\":\"resnet\",\"embedding_size\":8,\"hidden_sizes\":"
#define EFFICIENTNET "{\"model_type\":\"efficientnet\",\"width_coefficient\":1.0,\"depth_coefficient\":1.0"
#define VIT "{\"model_type\":\"vit\",\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":2,\"intermediate_size\":8"

static char scratch[] = "/tmp/ft-test-XXXXXX";
static struct ft_arena arena;

static void write_file(const char *name, const char *text)
{
    const char *path = ft_arena_print(&arena, "%s/%s", scratch, name);

    if (text && ft_file_write(path, text, strlen(text)) < 0)
        exit(1);
    if (!text)
        unlink(path);
}

/* The nodes that come of it, or NULL. */
static struct ft_model *opened(const char *config, const char *pictures)
{
    static const float zero[4];
    const struct ft_safetensor probes[] = {
        {.name = "embeddings.convolution.weight", .dtype = "F32", .rank = 1, .shape = {1}, .count = 1, .data = zero, .size = 4},
        {.name = "embeddings.patch_embeddings.projection.weight", .dtype = "F32", .rank = 1, .shape = {1}, .count = 1, .data = zero, .size = 4},
    };

    write_file("config.json", config);
    write_file("preprocessor_config.json", pictures);
    if (ft_safetensors_write(ft_arena_print(&arena, "%s/model.safetensors", scratch), probes, 2) < 0)
        exit(1);
    ft_error_clear();
    return ft_model_open_nodes(scratch);
}

static const char *picture(const char *size)
{
    return ft_arena_print(&arena, "{\"image_processor_type\":\"%s\",\"do_resize\":true,\"size\":{\"height\":%s,\"width\":%s},\"resample\":2,"
                          "\"do_rescale\":true,\"do_normalize\":true,\"image_mean\":[0.5,0.5,0.5],\"image_std\":[0.5,0.5,0.5]}", "ViTImageProcessor", size, size);
}

/* A plan must come of what opens, or the refusal name what is wrong. */
static void test_refusals(void)
{
    static const struct { const char *config, *size, *says; } bad[] = {
        {RESNET "[8,8,8,8],\"depths\":[1,1,1,1],\"layer_type\":\"basic\"}", "0", "height"},
        {RESNET "[8,8,8,8],\"depths\":[1,1,1,1],\"layer_type\":\"basic\"}", "2147483648", "height"},
        {RESNET "[8,8,8,8],\"depths\":[1,1,1,1000000000],\"layer_type\":\"basic\"}", "32", "depths holds what is no number"},
        {RESNET "[8,8,8,8],\"depths\":[1,1,1,65536],\"layer_type\":\"basic\"}", "32", "nodes"},
        {RESNET "[8,8,8,0],\"depths\":[1,1,1,1],\"layer_type\":\"basic\"}", "32", "hidden_sizes holds what is no number"},
        {RESNET "[8,8,8,3],\"depths\":[1,1,1,1]}", "32", "expected 4 or more"},
        {RESNET "[65536,65536,65536,65536],\"depths\":[1,1,1,1],\"layer_type\":\"basic\"}", "16384", "too large"},
        {EFFICIENTNET "}", "16", "images of 16 x 16 are too small"},
        {EFFICIENTNET "}", "1", "images of 1 x 1 are too small"},
        {EFFICIENTNET ",\"kernel_sizes\":[3,3,5,3,5,5,2],\"strides\":[1,1,1,1,1,1,2]}", "1", "too small"},
        {EFFICIENTNET ",\"kernel_sizes\":[3,3,5,3,5,5,0]}", "64", "kernel_sizes holds"},
        {EFFICIENTNET ",\"strides\":[1,1,1,1,1,1,0]}", "64", "strides holds"},
        {EFFICIENTNET ",\"in_channels\":[65536,65536,65536,65536,65536,65536,65536],\"expand_ratios\":[65536,65536,65536,65536,65536,65536,65536]}",
         "16384", "too large"},
        {EFFICIENTNET ",\"num_block_repeats\":[65536,65536,65536,65536,65536,65536,65536]}", "64", "nodes"},
        {VIT ",\"patch_size\":0}", "32", "patch_size"},
        {VIT ",\"patch_size\":5,\"image_size\":32}", "32", "no multiple of patch_size"},
        {VIT ",\"patch_size\":16,\"image_size\":64}", "32", "not supported"},
        {VIT ",\"patch_size\":1024,\"image_size\":32}", "32", "no multiple of patch_size"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ft_model *model = opened(bad[i].config, picture(bad[i].size));

        if (!ok(!model && strstr(ft_error(), bad[i].says) && ft_error_status() == FT_BAD, "%s pixels: %s", bad[i].size, bad[i].says))
            printf("# got \"%s\"\n", ft_error());
        ft_model_close(model);
    }
}

/* The smallest images that do, and plans of them. */
static void test_smallest(void)
{
    static const struct { const char *config, *size; } good[] = {
        {RESNET "[8,8,8,4],\"depths\":[1,1,1,1]}", "1"}, {EFFICIENTNET "}", "32"}, {EFFICIENTNET "}", "33"}, {VIT ",\"patch_size\":1,\"image_size\":1}", "1"},
    };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct ft_model *model = opened(good[i].config, picture(good[i].size));

        ok(model && ft_plan_make(&arena, model, FT_PLAN_TRAINING), "%s pixels: %s", good[i].size, model ? "a plan" : ft_error());
        ft_model_close(model);
    }
}

/* By another filter, or resized to more before the crop, other embeddings come out. */
static void test_checksum(void)
{
    static const char plain[] = "{\"image_processor_type\":\"ConvNextImageProcessor\",\"size\":{\"shortest_edge\":64},\"resample\":3}";
    char before[9], after[9];
    struct ft_model *model = opened(RESNET "[8,8,8,8],\"depths\":[1,1,1,1],\"layer_type\":\"basic\"}", plain);
    struct ft_preprocess other;

    if (!ok(model && (model->block = ft_model_zeros(model)), "a ResNet: %s", ft_error()))
        return;
    other = *model->preprocess;
    ft_model_checksum(model, before);
    other.filter = FT_FILTER_NEAREST;
    model->preprocess = &other;
    ok(strcmp(before, ft_model_checksum(model, after)) != 0, "another filter is another model");
    ft_model_zeros_free(model, model->block);
    model->block = NULL;
    ft_model_close(model);
}

/* PEFT's adapter of a convolution is no pair of matrices. */
static void test_adapter(void)
{
    struct ft_model *model = opened(EFFICIENTNET "}", picture("64"));
    struct ft_lora lora;

    ok(model && ft_lora_parse(&arena, &lora, "r=2,target=all-linear") == 0 && ft_model_adapt(model, &lora) < 0 && ft_error_status() == FT_USAGE,
       "--lora: an EfficientNet has no linear layers: %s", ft_error());
    ft_model_close(model);
}

int main(void)
{
    if (!mkdtemp(scratch))
        return 1;
    test_refusals();
    test_smallest();
    test_checksum();
    test_adapter();
    ft_directory_remove(scratch);
    ft_arena_free(&arena);
    return done();
}
