/* test-gguf.c - files for llama.cpp, read by a reader of our own, against what llama.cpp's converter makes of the same models
 * (tests/golden/export/make-gguf.py): keys, types, values, tensors, bytes. */
#include "base/error.h"
#include "base/file.h"
#include "model/export/gguf.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

static struct ft_arena arena;
static char path[64];

/* ---- a reader ---- */

struct in {
    const unsigned char *at, *end;
    bool bad;
};

static const void *take(struct in *in, size_t size)
{
    const void *here = in->at;

    if ((size_t)(in->end - in->at) < size) {
        in->bad = true;
        return NULL;
    }
    in->at += size;
    return here;
}

static uint64_t number(struct in *in, size_t size)
{
    const void *here = take(in, size);
    uint64_t value = 0;

    if (here)
        memcpy(&value, here, size);
    return value;
}

static struct ft_string text(struct in *in)
{
    size_t size = (size_t)number(in, 8);
    const char *data = take(in, size);

    return (struct ft_string){data, data ? size : 0};
}

/* CRC-32 of zlib, going on from `crc`. */
static uint32_t crc32_of(uint32_t crc, const void *data, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= ((const unsigned char *)data)[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void print_array(struct in *in, FILE *out, size_t drop)
{
    static const struct { const char *name; size_t size; } types[] = {[0] = {"UINT8", 1}, [5] = {"INT32", 4}, [6] = {"FLOAT32", 4}, [8] = {"STRING", 0}};
    uint64_t type = number(in, 4), count = number(in, 8);
    uint32_t crc = 0;

    if (type > 8 || !types[type].name) {
        in->bad = true;
        return;
    }
    for (uint64_t i = 0; i < count && !in->bad; i++) {
        struct ft_string item = type == 8 ? text(in) : (struct ft_string){take(in, types[type].size), types[type].size};
        const float low = -10000;
        const int32_t unused = 5;

        if (in->bad)
            break;
        if (i == drop && type != 0)     /* what the converter has in its place */
            item = type == 8 ? FT_STRING("[PAD400]") : (struct ft_string){type == 6 ? (const char *)&low : (const char *)&unused, 4};
        crc = crc32_of(crc, item.data, item.size);
        if (type == 8)
            crc = crc32_of(crc, "\n", 1);
    }
    fprintf(out, "ARRAY %s %llu %08x\n", types[type].name, (unsigned long long)count, crc);
}

static void print_pair(struct in *in, FILE *out, size_t drop)
{
    struct ft_string key = text(in), value;
    uint32_t bits;
    float real;

    fprintf(out, "%.*s ", (int)key.size, key.data);
    switch (number(in, 4)) {
    case 4: fprintf(out, "UINT32 %llu\n", (unsigned long long)number(in, 4)); break;
    case 6:
        bits = (uint32_t)number(in, 4);
        memcpy(&real, &bits, sizeof real);
        fprintf(out, "FLOAT32 %.9g\n", (double)real);
        break;
    case 7: fprintf(out, "BOOL %s\n", number(in, 1) ? "True" : "False"); break;
    case 8: value = text(in); fprintf(out, "STRING %.*s\n", (int)value.size, value.data); break;
    case 9: print_array(in, out, drop); break;
    default: in->bad = true;
    }
}

static void print_tensor(struct in *in, FILE *out, const unsigned char *data)
{
    struct ft_string name = text(in);
    uint64_t rank = number(in, 4), count = 1, type, place;

    fprintf(out, "tensor %.*s ", (int)name.size, name.data);
    char shape[64] = "";
    for (uint64_t i = 0; i < rank && i < 4; i++) {
        uint64_t size = number(in, 8);

        count *= size;
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%s%llu", i ? "," : "", (unsigned long long)size);
    }
    type = number(in, 4);
    place = number(in, 8);
    count *= type == 0 ? 4 : 2;
    if (in->bad || place % 32 || count > (uint64_t)(in->end - data) || place > (uint64_t)(in->end - data) - count)
        in->bad = true;
    else
        fprintf(out, "%s %s %08x\n", type == 0 ? "F32" : type == 1 ? "F16" : type == 30 ? "BF16" : "?", shape, crc32_of(0, data + place, (size_t)count));
}

/* Where the data begin: behind the list of tensors, at a multiple of 32. */
static size_t skip_tensors(struct in in, const char *begin, uint64_t tensors)
{
    for (uint64_t i = 0; i < tensors && !in.bad; i++) {
        text(&in);
        take(&in, 8 * (size_t)number(&in, 4));
        take(&in, 12);
    }
    return ((size_t)((const char *)in.at - begin) + 31) / 32 * 32;
}

/* The file as lines; `drop`: a number of a token, SIZE_MAX for none. */
static char *dump(size_t drop)
{
    size_t size, written, data;
    const char *bytes = ft_file_read(&arena, path, 1 << 26, &size);
    struct in in = {(const unsigned char *)bytes, (const unsigned char *)bytes + size, false};
    char *lines = NULL;
    FILE *out = open_memstream(&lines, &written);
    uint64_t tensors, pairs;

    if (!bytes || !out || size < 24 || memcmp(take(&in, 4), "GGUF", 4) != 0 || number(&in, 4) != 3)
        return NULL;
    tensors = number(&in, 8);
    pairs = number(&in, 8);
    for (uint64_t i = 0; i < pairs && !in.bad; i++)
        print_pair(&in, out, drop);
    data = skip_tensors(in, bytes, tensors);
    for (uint64_t i = 0; i < tensors && !in.bad; i++)
        print_tensor(&in, out, (const unsigned char *)bytes + data);
    fclose(out);
    return in.bad ? NULL : lines;
}

/* ---- against the converter ---- */

static bool has_line(const char *lines, const char *line, size_t size)
{
    for (const char *at = lines; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, line, size) == 0 && at[size] == '\n')
            return true;
    return false;
}

/* Lines of `a` that `b` lacks, but for those that begin with one of `but`. */
static int missing(const char *a, const char *b, const char *const *but)
{
    int count = 0;

    for (const char *line = a, *end; (end = strchr(line, '\n')); line = end + 1) {
        bool left_out = false;

        for (const char *const *begin = but; *begin && !left_out; begin++)
            left_out = strncmp(line, *begin, strlen(*begin)) == 0;
        if (!left_out && !has_line(b, line, (size_t)(end - line))) {
            printf("# %.*s\n", (int)(end - line), line);
            count++;
        }
    }
    return count;
}

/* What we say beyond the converter: the pooling that models without modules.json get, defaults of llama.cpp, tokens by their usual names where no
 * tokenizer_config.json tells them. */
static const char *const more[] = {"general.name ", "bert.pooling_type ", "tokenizer.ggml.normalizer.strip_accents ", "tokenizer.ggml.mask_token_id ",
                                   "tokenizer.ggml.seperator_token_id ", "tokenizer.ggml.add_sep_token ", NULL};
static const char *const none[] = {NULL};

static void test_model(const char *model, enum ft_weights_type type)
{
    const char *slash = strrchr(model, '/'), *name = slash ? slash + 1 : model;
    const char *golden = ft_arena_print(&arena, "tests/golden/export/%s-%s.gguf.txt", name, type == FT_WEIGHTS_F32 ? "f32" : "f16");
    struct ft_model *m = ft_model_open(ft_arena_print(&arena, "tests/golden/model/%s", model), NULL);
    size_t size;
    char *want = ft_file_read(&arena, golden, 1 << 20, &size), *got;

    if (!m || !want) {
        ok(false, "%s: %s", model, ft_error());
        return;
    }
    m->saved_as = type;
    ok(ft_gguf_write(m, path) == 0, "%s is written", golden);
    /* The converter forgets <mask> of a Unigram, which lies behind the pieces. */
    got = dump(strcmp(name, "xlm-roberta") == 0 ? 400 : SIZE_MAX);
    ok(got && missing(want, got, none) == 0, "%s: all that the converter says", name);
    ok(got && missing(got, want, more) == 0, "%s: nothing else but what we know better", name);
    free(got);
    ft_model_close(m);
}

static void refuse(const char *model, const char *word)
{
    struct ft_model *m = ft_model_open(ft_arena_print(&arena, "tests/golden/model/%s", model), NULL);

    unlink(path);
    ok(m && ft_gguf_write(m, path) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), word) && access(path, F_OK) < 0, "%s: %s", model, ft_error());
    ft_model_close(m);
}

int main(void)
{
    static const char *const models[] = {"mean", "cls", "families/distilbert", "families/roberta", "families/xlm-roberta"};

    snprintf(path, sizeof path, "/tmp/ft-test-gguf-%ld", (long)getpid());
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        test_model(models[i], FT_WEIGHTS_F32);
        test_model(models[i], FT_WEIGHTS_F16);
    }
    refuse("dense", "nothing behind its pooling");
    refuse("max", "pools by mean");
    refuse("families/mpnet", "family mpnet");
    refuse("families/modernbert", "family modernbert");
    refuse("families/t5", "family t5");
    unlink(path);
    ft_arena_free(&arena);
    return done();
}
