/* safetensors-write.c - writing, and the conversions of what was read. */
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"
#include "model/weights/safetensors.h"

#include <string.h>

enum { PIECE = 1 << 14 };

float ft_bfloat_to_float(uint16_t bfloat)
{
    uint32_t bits = (uint32_t)bfloat << 16;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

float ft_half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023, bits;
    float value;

    if (exponent == 0) {   /* zero and subnormals: fraction * 2^-24, which a float holds exactly */
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    }
    bits = sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int ft_safetensor_floats(const struct ft_safetensor *tensor, float *out)
{
    const char *data = tensor->data;
    bool half = strcmp(tensor->dtype, "F16") == 0;

    if (strcmp(tensor->dtype, "F32") == 0) {
        if (tensor->size)
            memcpy(out, data, tensor->size);
    } else if (half || strcmp(tensor->dtype, "BF16") == 0) {
        for (size_t i = 0; i < tensor->count; i++) {
            uint16_t bits;

            memcpy(&bits, data + 2 * i, sizeof bits);
            out[i] = half ? ft_half_to_float(bits) : ft_bfloat_to_float(bits);
        }
    } else if (strcmp(tensor->dtype, "F64") == 0) {
        for (size_t i = 0; i < tensor->count; i++) {
            double value;

            memcpy(&value, data + 8 * i, sizeof value);
            out[i] = (float)value;
        }
    } else {
        return ft_fail(FT_BAD, "%s: dtype %s, expected F32, F16, BF16 or F64", tensor->name, tensor->dtype);
    }
    return 0;
}

/* {"__metadata__":{"format":"pt"},"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},...}, compact, in the given order. */
static json_t *header_of(const struct ft_safetensor *tensors, size_t count)
{
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    uint64_t place = 0;

    for (size_t i = 0; header && i < count; i++) {
        json_t *shape = json_array(), *entry;

        for (int k = 0; k < tensors[i].rank; k++)
            json_array_append_new(shape, json_integer((json_int_t)tensors[i].shape[k]));
        entry = json_pack("{s:s,s:o,s:[I,I]}", "dtype", tensors[i].dtype, "shape", shape, "data_offsets", (json_int_t)place,
                          (json_int_t)(place + tensors[i].size));
        if (!entry || json_object_get(header, tensors[i].name) || json_object_set(header, tensors[i].name, entry) < 0) {
            json_decref(entry);
            json_decref(header);
            return NULL;
        }
        json_decref(entry);
        place += tensors[i].size;
    }
    return header;
}

static int header_add(struct ft_buffer *buffer, const struct ft_safetensor *tensors, size_t count)
{
    json_t *header = header_of(tensors, count);
    char *text = header ? json_dumps(header, JSON_COMPACT) : NULL;
    uint64_t length;
    int result = -1;

    json_decref(header);
    if (!text)
        return ft_fail(FT_BAD, "two tensors of one name, or out of memory");
    length = (strlen(text) + 8 + 63) / 64 * 64 - 8;
    for (int i = 0; i < 8; i++) {
        char byte = (char)(length >> 8 * i);

        if (ft_buffer_add(buffer, &byte, 1) < 0)
            goto end;
    }
    result = ft_buffer_add(buffer, text, strlen(text));
    while (result == 0 && buffer->size < 8 + length)
        result = ft_buffer_add(buffer, " ", 1);
end:
    free(text);
    return result;
}

/* Floats as 16 bits, a piece at a time. */
static int write_narrow(int fd, const char *path, const struct ft_safetensor *tensor)
{
    uint16_t piece[PIECE];
    float floats[PIECE];          /* aligned, as a map need not be */

    for (uint64_t i = 0; i < tensor->count; i += PIECE) {
        size_t count = tensor->count - i < PIECE ? (size_t)(tensor->count - i) : PIECE;

        memcpy(floats, (const char *)tensor->data + i * sizeof *floats, count * sizeof *floats);
        if (ft_narrow(tensor->narrow, floats, count, piece) < 0)
            return ft_error_prefix("%s: ", tensor->name);
        if (ft_write_all(fd, piece, count * sizeof *piece) < 0)
            return ft_fail_errno("%s", path);
    }
    return 0;
}

static int write_tensor(int fd, const char *path, const struct ft_safetensor *tensor);

static int write_turned(int fd, const char *path, const struct ft_safetensor *tensor)
{
    size_t rows = (size_t)tensor->shape[0], columns = (size_t)tensor->shape[1];
    float *turned = ft_resize(NULL, rows * columns, sizeof *turned);
    const float *data = tensor->data;
    struct ft_safetensor as = *tensor;
    int result;

    if (!turned)
        return -1;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            turned[r * columns + c] = data[c * rows + r];
    as.data = turned;
    as.turned = false;
    result = write_tensor(fd, path, &as);
    free(turned);
    return result;
}

static int write_tensor(int fd, const char *path, const struct ft_safetensor *tensor)
{
    if (tensor->turned)
        return write_turned(fd, path, tensor);
    if (tensor->narrow != FT_WEIGHTS_F32)
        return write_narrow(fd, path, tensor);
    return ft_write_all(fd, tensor->data, tensor->size) < 0 ? ft_fail_errno("%s", path) : 0;
}

int ft_safetensors_write(const char *path, const struct ft_safetensor *tensors, size_t count)
{
    struct ft_buffer header = {0};
    char temporary[4096];
    int fd = header_add(&header, tensors, count) < 0 ? -1 : ft_file_begin(path, temporary);
    bool good = fd >= 0;

    if (good && !(good = ft_write_all(fd, header.data, header.size) == 0))
        ft_fail_errno("%s", path);
    for (size_t i = 0; good && i < count; i++)
        good = write_tensor(fd, path, &tensors[i]) == 0;
    ft_buffer_free(&header);
    if (fd >= 0 && !good)
        ft_file_abandon(fd, temporary);
    return good ? ft_file_commit(fd, temporary, path) : -1;
}
