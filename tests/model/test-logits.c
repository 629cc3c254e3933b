/* test-logits.c - logit_scale and logit_bias of a paired model: read among its weights, written back in their place, and nothing else changed; of a joined
 * one in ft.json; what is no number is refused. */
#include "model/logits.h"
#include "model/towers.h"
#include "model/weights/safetensors.h"
#include "model/weights/tensors.h"
#include "../tap.h"
#pragma GCC diagnostic ignored "-Wunused-function"   /* it has more than is needed here */
#include "vision-golden.h"

static char place[] = "/tmp/ft-test-XXXXXX";

static void copy(const char *from, const char *to)
{
    size_t size;
    char *bytes = ft_file_read(&arena, from, 1 << 20, &size);

    if (!bytes || ft_file_write(to, bytes, size) < 0)
        printf("Bail out! %s\n", ft_error());
}

/* CLIP's directory, its weights with the two numbers more: the scale in so many elements of that type. */
static const char *make_directory(const char *name, size_t elements, const char *dtype)
{
    static const float scale[2] = {4.25f, 1}, bias = -9.5f;
    const char *directory = ft_arena_print(&arena, "%s/%s", place, name), *weights = ft_arena_print(&arena, "%s/model.safetensors", directory);
    struct ft_safetensors files;
    struct ft_safetensor *tensors;

    ft_directory_make(directory);
    copy("tests/golden/clip/clip/config.json", ft_arena_print(&arena, "%s/config.json", directory));
    copy("tests/golden/clip/clip/preprocessor_config.json", ft_arena_print(&arena, "%s/preprocessor_config.json", directory));
    copy("tests/golden/tokenizer/general/clip-hf.json", ft_arena_print(&arena, "%s/tokenizer.json", directory));
    write_weights(weights, find("transformers", "clip"), (struct content){.numbers = true});
    if (ft_tensors_open(&files, directory) < 0 || !(tensors = ft_arena_zero(&arena, files.count + 2, sizeof *tensors)))
        return NULL;
    memcpy(tensors, files.tensors, files.count * sizeof *tensors);
    tensors[files.count] = (struct ft_safetensor){.name = "logit_scale", .dtype = dtype, .rank = elements > 1, .shape = {elements}, .count = elements,
                                                  .data = scale, .size = elements * sizeof *scale};
    tensors[files.count + 1] = (struct ft_safetensor){.name = "logit_bias", .dtype = "F32", .rank = 1, .shape = {1}, .count = 1, .data = &bias,
                                                      .size = sizeof bias};
    if (ft_safetensors_write(ft_arena_print(&arena, "%s/more", directory), tensors, files.count + 2) < 0)
        return NULL;
    ft_safetensors_close(&files);
    return rename(ft_arena_print(&arena, "%s/more", directory), weights) == 0 ? directory : NULL;
}

/* How many tensors of the two differ, and the value of the one that may. */
static size_t differences(const char *one, const char *other, const char *name, float *value)
{
    struct ft_safetensors before, after;
    size_t count = 0;

    if (ft_tensors_open(&before, one) < 0 || ft_tensors_open(&after, other) < 0 || before.count != after.count)
        return SIZE_MAX;
    for (size_t i = 0; i < before.count; i++) {
        const struct ft_safetensor *a = &before.tensors[i], *b = &after.tensors[i];

        count += a->rank != b->rank || a->size != b->size || strcmp(a->name, b->name) != 0 || memcmp(a->data, b->data, a->size) != 0;
        if (strcmp(b->name, name) == 0)
            ft_safetensor_floats(b, value);
    }
    ft_safetensors_close(&before);
    ft_safetensors_close(&after);
    return count;
}

static void test_paired(void)
{
    const char *directory = make_directory("paired", 1, "F32"), *saved = ft_arena_print(&arena, "%s/saved", place), *narrow = ft_arena_print(&arena, "%s/narrow", place);
    struct ft_model *model = directory ? ft_model_open(directory, NULL) : NULL;
    struct ft_logits logits;
    float value = 0;

    if (!ok(model && ft_logits_read(model, &logits) == 0 && logits.there[FT_LOGIT_SCALE] && logits.there[FT_LOGIT_BIAS] &&
            logits.value[FT_LOGIT_SCALE] == 4.25 && logits.value[FT_LOGIT_BIAS] == -9.5, "read among the weights%s", model ? "" : ft_error()))
        return;
    ok(ft_model_save(model, saved) == 0 && differences(directory, saved, "logit_scale", &value) == 0 && value == 4.25f, "saved as they were");
    model->logits = (struct ft_logits){{true, false}, {1.75, 0}};
    ft_directory_remove(saved);
    ok(ft_model_save(model, saved) == 0 && differences(directory, saved, "logit_scale", &value) == 1 && value == 1.75f, "or as they were learnt, and no other tensor");
    model->saved_as = FT_WEIGHTS_F16;
    ok(ft_model_save(model, narrow) == 0 && differences(directory, narrow, "logit_scale", &value) != SIZE_MAX && value == 1.75f, "as they were learnt in 16 bits, too");
    ft_model_close(model);
    model = ft_model_open(saved, NULL);
    ok(model && ft_logits_read(model, &logits) == 0 && logits.value[FT_LOGIT_SCALE] == 1.75 && logits.value[FT_LOGIT_BIAS] == -9.5, "and read again");
    ft_model_close(model);
    model = ft_model_open_tower(saved, FT_TOWER_TEXT);
    ok(model && ft_logits_read(model, &logits) == 0 && !logits.there[FT_LOGIT_SCALE], "a tower by itself has none");
    ft_model_close(model);
    directory = make_directory("two", 2, "F32");
    model = directory ? ft_model_open(directory, NULL) : NULL;
    ok(model && ft_logits_read(model, &logits) < 0 && strstr(ft_error(), "logit_scale has 2 numbers"), "refused: %s", ft_error());
    ft_model_close(model);
    directory = make_directory("whole", 1, "I32");
    model = directory ? ft_model_open(directory, NULL) : NULL;
    ok(model && ft_logits_read(model, &logits) < 0 && strstr(ft_error(), "/whole: logit_scale: dtype I32, expected"), "refused: %s", ft_error());
    ft_model_close(model);
}

int main(void)
{
    if (!mkdtemp(place) || read_lists("tests/golden/clip/names.txt") < 0)
        return 1;
    test_paired();
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
