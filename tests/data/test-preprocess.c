/* test-preprocess.c - what a model's files ask of pictures, against transformers, timm and torchvision (tests/golden/image/make-preprocess.py). */
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"
#include "data/preprocess.h"
#include "hex.h"
#include "../tap.h"

#include <unistd.h>

static struct ft_arena arena;
static char directory[64] = "/tmp/ft-preprocess-XXXXXX";

static struct ft_image generated(size_t width, size_t height)
{
    struct ft_image image;
    uint32_t state = (uint32_t)(width * 1000 + height);

    if (ft_image_make(&image, width, height) == 0)
        for (size_t i = 0; i < width * height * 3; i++)
            image.pixel[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
    return image;
}

/* "-": no such file. */
static void file_set(const char *name, const char *text)
{
    const char *path = ft_arena_print(&arena, "%s/%s", directory, name);

    unlink(path);
    if (strcmp(text, "-") != 0)
        ft_file_write(path, text, strlen(text));
}

static void check(const struct ft_preprocess *p, const char *name, size_t width, size_t height, char **text)
{
    struct ft_image image = generated(width, height);
    size_t h = number_next(text), w = number_next(text);
    struct ft_string want = hex_next(text);
    uint8_t *out = ft_arena_zero(&arena, p->width * p->height, 3);
    float multiply[3], add[3];
    int rc = ft_preprocess_run(p, &image, &arena, out);

    ok(rc == 0 && p->height == h && p->width == w && want.size == h * w * 3 && memcmp(out, want.data, want.size) == 0,
       "%s: %zu x %zu to %zu x %zu, the same bytes", name, width, height, p->width, p->height);
    ft_preprocess_affine(p, multiply, add);
    for (int c = 0; c < 3; c++) {
        double value = strtod(word_next(text), NULL);

        is_close((float)out[c] * multiply[c] + add[c], value, 1e-6 * (1 + fabs(value)), "and as the model gets it");
    }
    ft_image_free(&image);
}

static void test_golden(void)
{
    size_t size, count = 0;
    char *text = ft_file_read(&arena, "tests/golden/image/preprocess.txt", 1 << 24, &size);

    for (; text && *text; count++) {
        const char *name = word_next(&text), *config = word_next(&text), *processor = word_next(&text);
        size_t width = number_next(&text), height = number_next(&text);
        struct ft_preprocess p;
        int rc = 1;

        file_set("config.json", config);
        file_set("preprocessor_config.json", processor);
        if (strcmp(name, "torchvision") == 0)
            p = ft_preprocess_torchvision(11, 14, FT_FILTER_BILINEAR);
        else
            rc = ft_preprocess_open(directory, NULL, &p);
        if (ok(rc == 1, "%s: read%s%s", name, rc < 0 ? ": " : "", rc < 0 ? ft_error() : ""))
            check(&p, name, width, height, &text);
        else
            return;
    }
    ok(count >= 20, "%zu cases", count);
}

static void test_places(void)
{
    struct ft_preprocess p, other;

    file_set("config.json", "-");
    file_set("preprocessor_config.json", "-");
    ok(ft_preprocess_open(directory, NULL, &p) == 0, "a directory that says nothing of pictures");
    file_set("processor_config.json", "{\"image_processor\":{\"image_processor_type\":\"CLIPImageProcessorFast\",\"size\":{\"shortest_edge\":7},"
             "\"crop_size\":6},\"processor_class\":\"CLIPProcessor\"}");
    ok(ft_preprocess_open(directory, NULL, &p) == 1 && p.resize_height == 7 && p.width == 6, "inside of processor_config.json");
    file_set("preprocessor_config.json", "{\"size\":9}");
    ok(ft_preprocess_open(directory, NULL, &other) == 1 && other.width == 9, "preprocessor_config.json comes first");
    file_set("processor_config.json", "-");
    file_set("preprocessor_config.json", "{\"image_processor_type\":\"TimmWrapperImageProcessor\",\"data_config\":{\"input_size\":[3,8,8]}}");
    ok(ft_preprocess_open(directory, NULL, &p) == 1 && p.width == 8 && p.resize_height == 9 && p.filter == FT_FILTER_BICUBIC && p.even, "transformers around timm");
}

static void refused(const char *json, const char *why)
{
    struct ft_preprocess p;
    char *text = ft_arena_print(&arena, "%s", json);
    json_t *root;
    int rc;

    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    root = ft_json_parse("x.json", text, strlen(text));
    rc = root ? ft_preprocess_read(&p, root, "x.json", NULL) : -1;
    ok(rc < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), why) && strstr(ft_error(), "x.json"), "%s: %s", json, rc < 0 ? ft_error() : "taken");
    json_decref(root);
}

static void test_refused(void)
{
    refused("[]", "not an object");
    refused("{'image_processor_type':'DetrImageProcessor'}", "DetrImageProcessor is not covered");
    refused("{'size':0}", "size is 0, expected 1 to 16384");
    refused("{'size':1e9}", "size is 1000000000");
    refused("{'size':'224'}", "neither a number nor two nor an object");
    refused("{'size':[1]}", "neither a number nor two nor an object");
    refused("{'size':[0,4]}", "not two numbers");
    refused("{'size':{'height':4}}", "no width");
    refused("{'size':{'shortest_edge':4,'longest_edge':8}}", "longest_edge");
    refused("{'size':{'shortest_edge':4}}", "keep their own ratio");
    refused("{'do_resize':false}", "keep their own ratio");
    refused("{'size':4,'do_pad':true}", "do_pad is not covered");
    refused("{'size':4,'resample':6}", "resample is 6");
    refused("{'size':4,'resample':'cubic'}", "\"cubic\", expected nearest");
    refused("{'size':4,'image_mean':[1,2]}", "image_mean is not three numbers");
    refused("{'size':4,'image_std':[1,1,0]}", "image_std is not three numbers above 0");
    refused("{'size':4,'do_resize':1}", "neither true nor false");
    refused("{'image_processor_type':'ConvNextImageProcessor','size':{'height':4,'width':4}}", "no shortest_edge");
    refused("{'image_processor_type':'ConvNextImageProcessor','size':4,'do_center_crop':true,'crop_size':3}", "a crop of 3 x 3 behind");
    refused("{'pretrained_cfg':{'input_size':[3,8,9]}}", "input_size is not [3, N, N]");
    refused("{'pretrained_cfg':{'input_size':[3,8,8],'crop_mode':'border'}}", "crop_mode border");
    refused("{'pretrained_cfg':{'input_size':[3,8,8],'crop_pct':0}}", "crop_pct is 0");
}

/* Saved for another size and read again: as it was opened for that size, resized to height x width before the crop. */
static void sized(const char *config, const char *processor, size_t side, size_t height, size_t width)
{
    struct ft_preprocess was = ft_preprocess_torchvision(224, 256, FT_FILTER_BILINEAR), p, again;
    int rc;

    file_set("config.json", config);
    file_set("preprocessor_config.json", processor);
    rc = ft_preprocess_open(directory, NULL, &was);
    p = was;
    rc = rc < 0 || ft_preprocess_open_sized(directory, NULL, side, &p) < 0 || ft_preprocess_save_sized(directory, NULL, &p) < 0 ? -1 : ft_preprocess_open(directory, NULL, &again);
    ok(rc == 1 && p.height == side && p.width == side && (p.rule == FT_RESIZE_NONE || (p.resize_height == height && p.resize_width == width)) &&
       p.filter == was.filter && p.scale == was.scale && memcmp(p.mean, was.mean, sizeof p.mean) == 0 && memcmp(p.std, was.std, sizeof p.std) == 0,
       "%s %s: %zu pixels from %zu x %zu%s%s", config, processor, side, p.resize_height, p.resize_width, rc < 0 ? ": " : "", rc < 0 ? ft_error() : "");
    ok(rc == 1 && memcmp(&p, &again, sizeof p) == 0, "and saved it reads the same");
}

static void test_sized(void)
{
    const char *both[2], *text;
    size_t size;

    sized("-", "{\"size\":{\"height\":12,\"width\":10}}", 32, 32, 32);
    sized("-", "{\"image_processor_type\":\"DeiTImageProcessor\"}", 112, 128, 128);
    sized("-", "{\"image_processor_type\":\"CLIPImageProcessor\",\"size\":12,\"crop_size\":8}", 5, 8, 8);
    sized("-", "{\"image_processor_type\":\"CLIPImageProcessor\",\"size\":{\"shortest_edge\":64},\"crop_size\":{\"height\":64,\"width\":32}}", 96, 96, 96);
    sized("-", "{\"image_processor_type\":\"CLIPImageProcessor\",\"do_resize\":false}", 96, 0, 0);
    sized("{\"model_type\":\"resnet\"}", "{\"size\":224}", 384, 384, 384);
    sized("{\"model_type\":\"resnet\"}", "{\"size\":{\"shortest_edge\":384}}", 224, 256, 256);
    sized("{\"model_type\":\"efficientnet\",\"image_size\":600}", "{}", 99, 99, 99);
    text = ft_file_read(&arena, ft_arena_print(&arena, "%s/config.json", directory), 1 << 20, &size);
    ok(text && strstr(text, "\"image_size\": 99"), "and config.json says the size where it said one");
    sized("-", "{\"data_config\":{\"input_size\":[3,8,8],\"crop_pct\":0.9}}", 97, 107, 107);
    sized("{\"pretrained_cfg\":{\"input_size\":[3,8,8],\"crop_pct\":0.5}}", "-", 10, 20, 20);
    sized("-", "-", 112, 128, 128);
    sized("{\"pretrained_cfg\":{\"input_size\":[3,8,8]}}", "{\"size\":9}", 11, 11, 11);
    for (int i = 0; i < 2; i++)
        both[i] = ft_file_read(&arena, ft_arena_print(&arena, "%s/%s", directory, i ? "config.json" : "preprocessor_config.json"), 1 << 20, &size);
    ok(both[0] && strstr(both[0], "\"size\": 11") && both[1] && strstr(both[1], "11,\n"), "every file that speaks of the size says it");
}

/* One line of pixels, very long: only what the crop sees is computed, and beyond all measure it is refused. */
static void test_long(void)
{
    struct ft_preprocess p = ft_preprocess_torchvision(224, 256, FT_FILTER_BICUBIC);
    struct ft_image image = generated(4000, 1);
    uint8_t *out = ft_arena_zero(&arena, 224 * 224, 3);

    ok(ft_preprocess_run(&p, &image, &arena, out) == 0, "4000 x 1 pixels");
    ft_image_free(&image);
    image = generated(5000, 1);
    ok(ft_preprocess_run(&p, &image, &arena, out) < 0 && ft_error_status() == FT_BAD, "5000 x 1 pixels: %s", ft_error());
    ft_image_free(&image);
}

/* A line of which less than a pixel's height would be left: open_clip fails there. */
static void test_fitted(void)
{
    struct ft_preprocess p = ft_preprocess_clip(24);
    struct ft_image image = generated(61, 1);
    uint8_t out[24 * 24 * 3];
    size_t width, height, filled = 0;
    ptrdiff_t left, top;

    p.rule = FT_RESIZE_LONGEST;
    p.fill = 9;
    ok(ft_preprocess_place(&p, 61, 1, &width, &height, &left, &top) == 0 && width == 24 && height == 1 && left == 0 && top == -11, "61 x 1 pixels stay a line");
    ok(ft_preprocess_run(&p, &image, &arena, out) == 0, "and are resized: %s", ft_error());
    for (size_t i = 0; i < sizeof out; i++)
        filled += out[i] == 9;
    ok(filled >= 23 * 24 * 3 && filled < sizeof out, "with what fills above and below");
    ft_image_free(&image);
}

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    test_golden();
    test_places();
    test_refused();
    test_sized();
    test_long();
    test_fitted();
    ft_directory_remove(directory);
    ft_arena_free(&arena);
    return done();
}
