/* parameters.c - a model's parameters found in its files and brought into its block.
 *
 * The block is found in one of three ways: it is the caller's; or the file holds the parameters exactly as the block wants them (a file
 * that ft_model_save wrote), then it is a private map of the file and only what is used is ever read; or it is fresh memory, filled. */
#include "base/error.h"
#include "model/adapter.h"
#include "model/model-build.h"
#include "model/tailor/tailoring.h"
#include "model/towers.h"
#include "model/weights/tensors.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Weights were called gamma and beta in the days of TensorFlow. */
static const struct ft_safetensor *find_named(struct ft_arena *arena, const struct ft_safetensors *files, const char *prefix,
                                              const char *name)
{
    const char *full = ft_arena_print(arena, "%s%s", prefix, name), *old;
    const struct ft_safetensor *tensor = full ? ft_safetensors_find(files, full) : NULL;
    size_t length = full ? strlen(full) : 0;
    bool weight = length > 17 && strcmp(full + length - 17, ".LayerNorm.weight") == 0;
    bool bias = length > 15 && strcmp(full + length - 15, ".LayerNorm.bias") == 0;

    if (tensor || (!weight && !bias))
        return tensor;
    old = ft_arena_print(arena, "%.*s%s", (int)(length - (weight ? 6 : 4)), full, weight ? "gamma" : "beta");
    return old ? ft_safetensors_find(files, old) : NULL;
}

const struct ft_safetensor *ft_parameter_find(const struct ft_model *model, const struct ft_safetensors *files,
                                              const struct ft_parameter *parameter)
{
    const struct ft_family *family = ft_family_find(model->family);
    const struct ft_safetensor *tensor = NULL;
    struct ft_arena arena = {0};

    if (*parameter->file)
        return ft_safetensors_find(files, parameter->name);
    for (const char *const *prefix = family ? family->prefixes : NULL; prefix && *prefix && !tensor; prefix++)
        tensor = find_named(&arena, files, *prefix, parameter->whole ? parameter->whole : parameter->name);
    for (const char *const *copy = parameter->copies; copy && *copy && !tensor; copy++)
        tensor = ft_safetensors_find(files, *copy);
    ft_arena_free(&arena);
    return tensor;
}

static const char *shape_text(struct ft_arena *arena, int rank, const uint64_t *shape)
{
    const char *text = "[";

    for (int i = 0; i < rank && text; i++)
        text = ft_arena_print(arena, "%s%s%llu", text, i ? ", " : "", (unsigned long long)shape[i]);
    return text ? ft_arena_print(arena, "%s]", text) : NULL;
}

int ft_model_weights(const struct ft_model *model, struct ft_safetensors *files)
{
    return ft_tensors_open(files, model->weights_file ? model->weights_file : model->weights);
}

int ft_parameter_fits(const struct ft_parameter *p, const struct ft_safetensor *tensor)
{
    uint64_t shape[4] = {p->shape[0], p->shape[1], p->shape[2], p->shape[3]};
    struct ft_arena arena = {0};
    bool good = tensor->rank == p->rank;

    for (int i = 0; good && i < p->rank; i++)
        good = tensor->shape[i] == shape[i];

    if (!good) {
        const char *got = shape_text(&arena, tensor->rank, tensor->shape), *want = shape_text(&arena, p->rank, shape);

        ft_fail(FT_BAD, "%s: shape %s, expected %s", tensor->name, got ? got : "", want ? want : "");
        ft_arena_free(&arena);
    }
    return good ? 0 : -1;
}

/* All files a model's parameters lie in, open, and the tensor of each parameter: found and of the right shape. */
struct sources {
    struct ft_safetensors *files;
    size_t count;
    const struct ft_safetensor **tensors;   /* [parameter_count] */
};

static void close_sources(struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++)
        ft_safetensors_close(sources->files + i);
    free(sources->files);
    free(sources->tensors);
}

/* Parameters of one file follow one another in the list, so the last file opened is the one wanted or a new one is. */
static int open_sources(const struct ft_model *model, struct sources *sources)
{
    const char *directory = NULL, *file = NULL;
    struct ft_arena arena = {0};
    int result = -1;

    *sources = (struct sources){0};
    sources->tensors = ft_resize(NULL, (size_t)model->parameter_count, sizeof *sources->tensors);
    if (!sources->tensors)
        return -1;
    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = model->parameters + i;

        sources->tensors[i] = NULL;
        if (p->fresh)
            continue;
        if (!file || strcmp(file, p->file) != 0) {
            struct ft_safetensors *files = ft_resize(sources->files, sources->count + 1, sizeof *files);

            if (!files)
                goto end;
            sources->files = files;
            directory = *p->file ? ft_model_path(&arena, model->directory, p->file) : model->weights;
            if (!directory || (*p->file ? ft_tensors_open(files + sources->count, directory) : ft_model_weights(model, files + sources->count)) < 0)
                goto end;
            sources->count++;
            file = p->file;
        }
        if (!(sources->tensors[i] = ft_parameter_find(model, sources->files + sources->count - 1, p))) {
            ft_fail(FT_BAD, "%s: no tensor %s", directory, p->name);
            goto end;
        }
        if (!p->fold && ft_parameter_fits(p, sources->tensors[i]) < 0) {
            ft_error_prefix("%s: ", directory);
            goto end;
        }
    }
    result = 0;
end:
    ft_arena_free(&arena);
    if (result < 0) {
        close_sources(sources);
        *sources = (struct sources){0};
    }
    return result;
}

/* One that its file has transposed. */
static int read_transposed(const struct ft_parameter *p, const struct ft_safetensor *tensor, float *out)
{
    float *lying = ft_resize(NULL, p->rows * p->columns, sizeof *lying);
    int result = lying ? ft_safetensor_floats(tensor, lying) : -1;

    for (size_t r = 0; result == 0 && r < p->rows; r++)
        for (size_t c = 0; c < p->columns; c++)
            out[r * p->columns + c] = lying[c * p->rows + r];
    free(lying);
    return result;
}

/* One that is a part of its tensor: every number of that is as many bytes. */
static int read_part(const struct ft_parameter *p, const struct ft_safetensor *tensor, float *out)
{
    struct ft_safetensor part = *tensor;
    size_t each = tensor->size / (size_t)tensor->count;

    part.count = p->rows * p->columns;
    part.data = (const char *)tensor->data + p->first * each;
    part.size = (size_t)part.count * each;
    return ft_safetensor_floats(&part, out);
}

/* What is folded lies in the model's own file, which is the first. */
static int read_parameter(const struct ft_parameter *p, const struct sources *sources, const struct ft_safetensor *tensor, float *out)
{
    if (p->transposed)
        return read_transposed(p, tensor, out);
    if (p->whole)
        return read_part(p, tensor, out);
    return p->fold ? ft_fold_read(p, sources->files, tensor, out) : ft_safetensor_floats(tensor, out);
}

/* Fill the block; gaps between parameters are zero, so that the same model is the same bytes. */
static int fill(const struct ft_model *model, const struct sources *sources, float *block)
{
    size_t place = 0;

    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = model->parameters + i;

        if (p->offset > place)
            memset(block + place, 0, (p->offset - place) * sizeof *block);
        if (p->fresh)
            ft_parameter_begin(model, i, model->tailored->seed, block + p->offset);
        else if (read_parameter(p, sources, sources->tensors[i], block + p->offset) < 0)
            return ft_error_prefix("%s: ", model->directory);
        place = p->offset + p->rows * p->columns;
    }
    return 0;
}

int ft_model_read_parameters(struct ft_model *model, float *block)
{
    struct sources sources;
    int result;

    if (model->tower_count)
        return ft_towers_read(model, block);
    if (open_sources(model, &sources) < 0)
        return -1;
    result = fill(model, &sources, block);
    close_sources(&sources);
    return result < 0 || !model->adapter ? result : ft_adapter_add(model, block, model->adapter);
}

/* Does one file hold all of the block, in place? Then `*data` is where it begins. */
static bool in_place(const struct ft_model *model, const struct sources *sources, const char **data)
{
    const char *map;

    if (sources->count != 1 || sources->files->map_count != 1)
        return false;
    if (!sources->tensors[0])
        return false;
    *data = sources->tensors[0]->data;
    map = sources->files->maps->data;
    if (*data < map || *data >= map + sources->files->maps->size)   /* a copy: it was not contiguous in its file */
        return false;
    for (int i = 0; i < model->parameter_count; i++)
        if (!sources->tensors[i] || strcmp(sources->tensors[i]->dtype, "F32") != 0 || model->parameters[i].transposed ||
            ft_fold_is(&model->parameters[i], sources->files) ||
            (const char *)sources->tensors[i]->data + model->parameters[i].first * sizeof(float) != *data + model->parameters[i].offset * sizeof(float))
            return false;
    return ((uintptr_t)*data & 63) == 0;
}

/* Private and writable: a training step may write into the block without the file knowing. */
static int map_block(struct ft_model *model, struct sources *sources, const char *data)
{
    struct ft_safetensors_map *map = sources->files->maps;

    if (mprotect((void *)map->data, map->size, PROT_READ | PROT_WRITE) < 0)
        return ft_fail_errno("%s", model->directory);
    model->map = (void *)map->data;
    model->map_size = map->size;
    model->block = (float *)(void *)data;
    sources->files->map_count = 0;   /* ours now */
    return 0;
}

/* Large pages, where the system has them: a fifth of the page faults' time otherwise spent here. */
int ft_model_allocate(struct ft_model *model)
{
    size_t size = (model->block_count ? model->block_count : 1) * sizeof(float);
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return ft_fail_errno("%s: %zu bytes of parameters", model->directory, size);
    madvise(map, size, MADV_HUGEPAGE);
    model->map = map;
    model->map_size = size;
    ft_model_use_block(model, map);
    return 0;
}

void ft_model_use_block(struct ft_model *model, float *block)
{
    model->block = block;
    for (int t = 0; t < model->tower_count; t++)
        model->towers[t]->block = block ? block + model->tower_first[t] : NULL;
}

static struct ft_model *load_towers(struct ft_model *model)
{
    if (ft_model_allocate(model) == 0 && ft_towers_read(model, model->block) == 0)
        return model;
    ft_model_close(model);
    return NULL;
}

struct ft_model *ft_model_load(struct ft_model *model)
{
    struct sources sources;
    const char *data;
    int result;

    if (model->tower_count)
        return load_towers(model);
    if (open_sources(model, &sources) < 0) {
        ft_model_close(model);
        return NULL;
    }
    if (in_place(model, &sources, &data))
        result = map_block(model, &sources, data);
    else if ((result = ft_model_allocate(model)) == 0)
        result = fill(model, &sources, model->block);
    close_sources(&sources);
    if (result == 0 && model->adapter)
        result = ft_adapter_add(model, model->block, model->adapter);
    if (result < 0) {
        ft_model_close(model);
        return NULL;
    }
    return model;
}
