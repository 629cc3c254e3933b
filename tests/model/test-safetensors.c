/* test-safetensors.c - headers that lie, conversions, and that what is written reads back. */
#include "base/error.h"
#include "base/file.h"
#include "model/weights/tensors.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

/* A file of this header and `data` bytes of data; the message of the failure, or "" when it was accepted. */
static const char *verdict(const char *header, size_t data)
{
    size_t length = strlen(header);
    char *file = calloc(1, 8 + length + data);
    struct ft_safetensors files;
    const char *message = "";

    for (int i = 0; i < 8; i++)
        file[i] = (char)((uint64_t)length >> 8 * i);
    memcpy(file + 8, header, length);
    ft_error_clear();
    if (ft_safetensors_parse(&files, "f", file, 8 + length + data) < 0)
        message = ft_error();
    else
        ft_safetensors_close(&files);
    free(file);
    return message;
}

static void test_headers(void)
{
    static const struct { const char *header; size_t data; const char *says; } bad[] = {
        {"", 0, "not JSON"}, {"[]", 0, "not an object"}, {"{", 0, "not JSON"}, {"{\"a\":1}", 0, "not an object"},
        {"{\"a\":{}}", 0, "dtype"},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "F31 is not known"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "at most 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967297],\"data_offsets\":[0,4]}}", 4, "overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", 4, "bytes of data"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "bytes of data for 2 elements"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 4, "the file has 4"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "two whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "two whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,99999999999999999999]}}", 4, "whole numbers"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, "4 bytes past the last tensor"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "begins at 4, expected 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "expected 4"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
         "duplicate"},
    };
    static const struct { const char *header; size_t data; } good[] = {
        {"{}", 0}, {"{\"__metadata__\":{\"format\":\"pt\"}}   ", 0},
        {"{\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[4,8]},\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 8},
        {"{\"z\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[0,0]},\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 3},
    };
    char deep[6001];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *got = verdict(bad[i].header, bad[i].data);

        if (!ok(strstr(got, bad[i].says) && ft_error_status() == FT_BAD, "refused: %s", bad[i].says))
            printf("# %s\n# got \"%s\"\n", bad[i].header, got);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        is_text(verdict(good[i].header, good[i].data), "", "accepted");
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    ok(strstr(verdict(deep, 0), "depth"), "deep nesting is refused");
}

static void test_lengths(void)
{
    static const unsigned char huge[16] = {255, 255, 255, 255, 255, 255, 255, 255}, over[16] = {9}, short_file[8] = {0};
    struct ft_safetensors files;

    ok(ft_safetensors_parse(&files, "f", huge, sizeof huge) < 0 && strstr(ft_error(), "18446744073709551615"), "a header length of 2^64 - 1");
    ok(ft_safetensors_parse(&files, "f", over, sizeof over) < 0 && strstr(ft_error(), "cut short"), "a header one byte longer than the file");
    ok(ft_safetensors_parse(&files, "f", over, 7) < 0 && strstr(ft_error(), "too short"), "seven bytes");
    ok(ft_safetensors_parse(&files, "f", short_file, 8) < 0, "an empty header");
    ok(ft_safetensors_parse(&files, "f", "", 0) < 0, "an empty file");
    ok(ft_safetensors_open(&files, "tests/no-such-file") < 0 && ft_error_status() == FT_SYSTEM, "no file");
}

/* Every half and every bfloat16, against what their definitions say. */
static void test_conversions(void)
{
    bool half = true, bfloat = true;

    for (uint32_t h = 0; h < 65536; h++) {
        int exponent = h >> 10 & 31;
        double fraction = h & 1023, sign = h & 0x8000 ? -1 : 1;
        float got = ft_half_to_float((uint16_t)h);
        double want = exponent == 0 ? sign * fraction * 0x1p-24 : sign * ldexp(1 + fraction / 1024, exponent - 15);
        float top;
        uint32_t bits = h << 16;

        if (exponent == 31)
            half &= fraction > 0 ? isnan(got) != 0 : isinf(got) && (got < 0) == (sign < 0);
        else
            half &= got == want && !signbit(got) == (sign > 0);
        memcpy(&top, &bits, sizeof top);
        got = ft_bfloat_to_float((uint16_t)h);
        bfloat &= memcmp(&got, &top, sizeof got) == 0;
    }
    ok(half, "all 65536 halves");
    ok(bfloat, "all 65536 bfloat16s");
}

static void test_round_trip(const char *directory)
{
    static const float a[6] = {1, -2, 3.5f, 0, -0.0f, 1e-30f};
    static const int64_t b[2] = {7, -7};
    struct ft_safetensor tensors[2] = {
        {.name = "z \"odd\"\n", .dtype = "F32", .rank = 2, .shape = {2, 3}, .count = 6, .data = a, .size = sizeof a},
        {.name = "a", .dtype = "I64", .rank = 1, .shape = {2}, .count = 2, .data = b, .size = sizeof b}};
    char path[256], again[256];
    struct ft_arena arena = {0};
    struct ft_safetensors files;
    const struct ft_safetensor *z;
    size_t size, size_again;
    char *one, *two;
    float back[6];

    snprintf(path, sizeof path, "%s/one.safetensors", directory);
    snprintf(again, sizeof again, "%s/two.safetensors", directory);
    ok(ft_safetensors_write(path, tensors, 2) == 0 && ft_safetensors_write(again, tensors, 2) == 0, "written twice");
    one = ft_file_read(&arena, path, 1 << 20, &size);
    two = ft_file_read(&arena, again, 1 << 20, &size_again);
    ok(one && two && size == size_again && memcmp(one, two, size) == 0, "the same bytes");
    ok(one && (size - sizeof a - sizeof b) % 64 == 0, "the data begin at a multiple of 64");
    if (!ok(ft_safetensors_open(&files, path) == 0, "read back"))
        return;
    z = ft_safetensors_find(&files, "z \"odd\"\n");
    ok(files.count == 2 && z && ft_safetensors_find(&files, "a") && !ft_safetensors_find(&files, "b"), "found by name");
    ok(z && z->rank == 2 && z->shape[0] == 2 && z->shape[1] == 3 && ft_safetensor_floats(z, back) == 0 && memcmp(back, a, sizeof a) == 0, "equal");
    ok(ft_safetensor_floats(ft_safetensors_find(&files, "a"), back) < 0 && strstr(ft_error(), "I64"), "integers are no parameters");
    ft_safetensors_close(&files);
    tensors[1].name = tensors[0].name;
    ok(ft_safetensors_write(path, tensors, 2) < 0, "two tensors of one name are not written");

    /* every cut of the file is refused */
    for (size_t cut = 0; one && cut < size; cut++)
        if (ft_safetensors_parse(&files, "f", one, cut) == 0) {
            ft_safetensors_close(&files);
            size_again = 0;
        }
    ok(size_again != 0, "no cut of a file is accepted");
    ft_arena_free(&arena);
}

static int index_says(const char *directory, const char *text)
{
    char path[256];
    struct ft_safetensors files;

    snprintf(path, sizeof path, "%s/model.safetensors.index.json", directory);
    if (ft_file_write(path, text, strlen(text)) < 0)
        return 1;
    if (ft_tensors_open(&files, directory) < 0)
        return -1;
    ft_safetensors_close(&files);
    return 0;
}

static void test_shards(const char *directory)
{
    struct ft_safetensors files;
    char path[256];

    ok(ft_tensors_open(&files, directory) < 0 && strstr(ft_error(), "model.safetensors"), "no weights at all");
    snprintf(path, sizeof path, "%s/pytorch_model.bin", directory);
    ok(ft_file_write(path, "x", 1) == 0 && ft_tensors_open(&files, directory) < 0 && strstr(ft_error(), "torch.save"), "a .bin that is none");
    ok(index_says(directory, "{\"weight_map\":{\"a\":\"two.safetensors\"}}") == 0, "one shard");
    ok(index_says(directory, "{\"weight_map\":{\"q\":\"two.safetensors\"}}") < 0 && strstr(ft_error(), "in none of the files"), "a tensor no shard has");
    ok(index_says(directory, "{\"weight_map\":{\"a\":\"../two.safetensors\"}}") < 0 && strstr(ft_error(), "beside"), "a shard outside");
    ok(index_says(directory, "{\"weight_map\":{\"a\":\"/etc/passwd\"}}") < 0, "an absolute shard");
    ok(index_says(directory, "{\"weight_map\":{\"a\":\"..\"}}") < 0, "a shard that is the parent");
    ok(index_says(directory, "{\"weight_map\":{\"a\":7}}") < 0, "a shard that is a number");
    ok(index_says(directory, "{\"weight_map\":7}") < 0 && strstr(ft_error(), "weight_map"), "no map");
    ok(index_says(directory, "{\"weight_map\":{\"a\":\"two.safetensors\",\"z \\\"odd\\\"\\n\":\"three.safetensors\"}}") < 0, "a shard that is not there");
    snprintf(path, sizeof path, "%s/two.safetensors", directory);
    {
        char other[256];

        snprintf(other, sizeof other, "%s/three.safetensors", directory);
        ok(link(path, other) == 0 &&
           index_says(directory, "{\"weight_map\":{\"a\":\"two.safetensors\",\"z \\\"odd\\\"\\n\":\"three.safetensors\"}}") < 0 &&
           strstr(ft_error(), "two files"), "one tensor in two shards");
    }
}

int main(void)
{
    char directory[] = "/tmp/ft-test-XXXXXX";

    if (!mkdtemp(directory))
        return 1;
    test_headers();
    test_lengths();
    test_conversions();
    test_round_trip(directory);
    test_shards(directory);
    ft_directory_remove(directory);
    return done();
}
