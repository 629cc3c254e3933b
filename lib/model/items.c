/* items.c - contents against what a model reads; feature vectors. */
#include "model/items.h"
#include "base/error.h"

#include <math.h>

static bool is_image(const struct ft_content *content)
{
    return content->uri.size || content->blob.data;
}

const char *ft_input_name(enum ft_input input)
{
    static const char *const names[] = {"text", "images", "vectors", "texts and images"};

    return names[input];
}

static int read_vector(const struct ft_model *model, const struct ft_content *content, struct ft_wire_tensor *tensor)
{
    if (ft_wire_read(content->tensor, tensor) < 0)
        return -1;
    if (tensor->rank == 1 && tensor->shape[0] == model->input_width)
        return 0;
    return ft_fail(FT_BAD, "a tensor of %d dimension%s and %llu numbers, expected one dimension and %zu", tensor->rank, tensor->rank == 1 ? "" : "s",
                   (unsigned long long)tensor->count, model->input_width);
}

bool ft_item_fits(const struct ft_model *model, const struct ft_content *content)
{
    struct ft_wire_tensor tensor;

    switch (model->input) {
    case FT_INPUT_IMAGE:
        return is_image(content);
    case FT_INPUT_VECTOR:
        return content->tensor && read_vector(model, content, &tensor) == 0;
    case FT_INPUT_BOTH:
        return is_image(content) || content->text.data;
    default:
        return content->text.data != NULL;
    }
}

int ft_item_check(const struct ft_model *model, const struct ft_content *content)
{
    static const char *const missing[] = {"no text", "no image", "no vector", "neither text nor image"};
    const char *what = missing[model->input];
    struct ft_wire_tensor tensor;

    if (model->input == FT_INPUT_VECTOR && content->tensor)
        return read_vector(model, content, &tensor);
    if (ft_item_fits(model, content))
        return 0;
    if (content->text.size)
        what = "a text";
    else if (is_image(content))
        what = "an image";
    else if (content->tensor)
        what = "a vector";
    return ft_fail(FT_BAD, "%s, and the model reads %s", what, ft_input_name(model->input));
}

int ft_item_prefix(const struct ft_content *content, size_t number)
{
    enum { MOST = 200 };
    size_t size = content->uri.size;

    if (!size)
        return number ? ft_error_prefix("item %zu: ", number) : -1;
    if (size <= MOST)
        return ft_error_prefix("%.*s: ", (int)size, content->uri.data);
    return ft_error_prefix("%.60s...: ", content->uri.data);   /* the bytes of a data: address */
}

size_t ft_item_bytes(const struct ft_model *model)
{
    switch (model->input) {
    case FT_INPUT_IMAGE:
        return model->height * model->across * 3;
    case FT_INPUT_VECTOR:
        return model->input_width * sizeof(float);
    default:
        return 0;
    }
}

int ft_items_pack(struct ft_arena *arena, const struct ft_model *model, size_t count, const uint8_t *pixel, const float *vector,
                  struct ft_packed *packed)
{
    *packed = (struct ft_packed){.texts = count, .pixel = pixel, .vector = vector, .chunk_rows = model->chunk_rows, .shard_rows = model->shard_rows};
    if (count * model->rows_each > INT32_MAX)
        return ft_fail(FT_BAD, "%zu items are more than one batch can hold", count);
    if (!(packed->offset = ft_arena_take(arena, (count + 1) * sizeof *packed->offset)))
        return -1;
    for (size_t i = 0; i <= count; i++)
        packed->offset[i] = (uint32_t)(i * model->rows_each);
    return 0;
}

int ft_item_vector(const struct ft_model *model, const struct ft_content *content, float *out)
{
    struct ft_wire_tensor tensor;

    if (ft_item_check(model, content) < 0 || read_vector(model, content, &tensor) < 0)
        return -1;
    ft_wire_round(&tensor, out);
    for (size_t i = 0; i < model->input_width; i++)
        if (!isfinite(out[i]))
            return ft_fail(FT_BAD, "number %zu of its vector is not finite, or too large for a float", i + 1);
    return 0;
}

int ft_items_vectors(const struct ft_model *model, const struct ft_content *content, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++)
        if (ft_item_vector(model, &content[i], out + i * model->input_width) < 0)
            return ft_item_prefix(&content[i], i + 1);
    return 0;
}
