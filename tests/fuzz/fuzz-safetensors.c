/* fuzz-safetensors.c - any bytes as a safetensors file, and any text as its header.
 *
 * The input up to the first line feed is the header, what follows the data; a right length is put before them. An input that begins with '!' is the
 * file itself. What is accepted must lie inside the file, each tensor's bytes being readable. */
#include "base/error.h"
#include "model/weights/safetensors.h"
#include "mutate.h"

static void touch(const struct ft_safetensors *files, const uint8_t *bytes, size_t size)
{
    unsigned sum = 0;

    for (size_t i = 0; i < files->count; i++) {
        const struct ft_safetensor *t = files->tensors + i;
        const uint8_t *data = t->data;
        float *out;

        if (data < bytes || t->size > size || data + t->size > bytes + size || (i && strcmp(t[-1].name, t->name) >= 0))
            abort();
        for (size_t k = 0; k < t->size; k++)
            sum += data[k];
        if (t->count <= size && (out = malloc(t->count * sizeof *out + 1))) {
            if (ft_safetensor_floats(t, out) < 0 && !strstr(ft_error(), "expected F32"))
                abort();
            free(out);
        }
        if (ft_safetensors_find(files, t->name) != t)
            abort();
    }
    if (sum == 0xffffffffu)
        puts("");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size && *data != '!' ? memchr(data, '\n', size) : NULL;
    size_t header = line ? (size_t)(line - data) : size, length = size && *data == '!' ? size - 1 : 8 + size - (line != NULL);
    uint8_t *file = malloc(length + 1);
    struct ft_safetensors files;

    if (!file)
        return 0;
    if (size && *data == '!') {
        memcpy(file, data + 1, length);
    } else {
        for (int i = 0; i < 8; i++)
            file[i] = (uint8_t)((uint64_t)header >> 8 * i);
        if (size)
            memcpy(file + 8, data, header);
        if (line)
            memcpy(file + 8 + header, line + 1, size - header - 1);
    }
    file = realloc(file, length ? length : 1);   /* so that a sanitizer sees one byte past the end */
    if (ft_safetensors_parse(&files, "fuzz", file, length) == 0) {
        touch(&files, file, length);
        ft_safetensors_close(&files);
    } else if (ft_error_status() != FT_BAD || !*ft_error()) {
        abort();
    }
    free(file);
    return 0;
}

static const char *const seeds[] = {
    "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
    "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[8,14]}}\n01234567abcdef",
    "{\"x\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]}}\nab",
    "{\"x\":{\"dtype\":\"I64\",\"shape\":[0,4294967295],\"data_offsets\":[0,0]},\"y\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}\n01234567",
    "{\"x\":{\"dtype\":\"F8_E4M3\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}\nz",
    "{}",
    "!\x10\x01\x01\x01\x01\x01\x01\x01{\"a\":1}",
};
FUZZ_MAIN(seeds, "{}[]\":,0123456789-.eE\n")
