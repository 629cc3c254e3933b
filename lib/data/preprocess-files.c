/* preprocess-files.c - what a model's files say of pictures: transformers' image processors, by name, and timm. */
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"
#include "data/preprocess.h"

#include <math.h>
#include <string.h>

enum { LARGEST = 1 << 14 };      /* pixels a side that a model may take */

/* Defaults of a class of image processors, as transformers 5.23 has them. Zero edge: `height` by `width` exactly. */
struct kind {
    const char *name;            /* before ImageProcessor or FeatureExtractor */
    const char *models;          /* values of model_type that it is for */
    bool square;                 /* a size that is one number means a square, else the shorter edge */
    size_t size;
    bool shortest;               /* what `size` is where the file says none */
    enum ft_filter filter;
    size_t crop;                 /* 0: none unless asked for */
    double mean[3], std[3];
};

#define HALF {.5, .5, .5}, {.5, .5, .5}
#define CLIP {.48145466, .4578275, .40821073}, {.26862954, .26130258, .27577711}

static const struct kind kinds[] = {
    {"ViT", "vit vit_msn swin swinv2 clipseg", true, 224, false, FT_FILTER_BILINEAR, 0, HALF},
    {"DeiT", "deit", true, 256, false, FT_FILTER_BICUBIC, 224, HALF},
    {"Beit", "beit data2vec-vision", true, 224, false, FT_FILTER_BICUBIC, 0, HALF},
    {"CLIP", "clip clip_vision_model altclip groupvit", false, 224, true, FT_FILTER_BICUBIC, 224, CLIP},
    {"ChineseCLIP", "chinese_clip chinese_clip_vision_model", false, 224, true, FT_FILTER_BICUBIC, 224, CLIP},
    {"Bit", "bit dinov2 focalnet hiera", false, 224, true, FT_FILTER_BICUBIC, 224, CLIP},
    {"Siglip", "siglip siglip_vision_model", false, 224, false, FT_FILTER_BICUBIC, 0, HALF},
    {"ConvNext", "convnext convnextv2 resnet regnet cvt", false, 384, true, FT_FILTER_BICUBIC, 0, HALF},
    {"EfficientNet", "efficientnet", true, 346, false, FT_FILTER_BICUBIC, 0, HALF},
};

static bool in_words(const char *words, const char *word)
{
    size_t size = strlen(word);

    for (const char *p = words; *(p += strspn(p, " ")); p += strcspn(p, " "))
        if (strcspn(p, " ") == size && memcmp(p, word, size) == 0)
            return true;
    return false;
}

/* By the class's name in the file, else by the model's type; what says neither is of 2021 and ViT's. */
static const struct kind *kind_find(const json_t *root, const char *path, const char *model)
{
    const char *name = ft_json_text(root, "image_processor_type"), *end;
    size_t size, count = sizeof kinds / sizeof *kinds;

    name = name ? name : ft_json_text(root, "feature_extractor_type");
    if (!name) {
        for (size_t i = 0; model && i < count; i++)
            if (in_words(kinds[i].models, model))
                return &kinds[i];
        if (!model || json_object_get(root, "size"))
            return &kinds[0];
        ft_fail(FT_BAD, "%s: neither the image processor's type nor the model type %s says how pictures are made ready", path, model);
        return NULL;
    }
    end = strstr(name, "ImageProcessor");
    end = end ? end : strstr(name, "FeatureExtractor");
    size = end ? (size_t)(end - name) : strlen(name);
    for (size_t i = 0; i < count; i++)
        if (strlen(kinds[i].name) == size && strncmp(kinds[i].name, name, size) == 0)
            return &kinds[i];
    ft_fail(FT_BAD, "%s: image processor %s is not covered: expected that of ViT, DeiT, Beit, CLIP, ChineseCLIP, Bit, Siglip, ConvNext or EfficientNet", path, name);
    return NULL;
}

/* A number, [height, width], {"height", "width"} or {"shortest_edge"}, which leaves *shortest true and both the edge. */
static int size_read(const json_t *root, const char *path, const char *key, bool square, size_t *height, size_t *width, bool *shortest)
{
    const json_t *size = json_object_get(root, key);

    if (!size || json_is_null(size))
        return 0;
    *shortest = false;
    if (json_is_number(size)) {
        *shortest = !square;
        return ft_json_size(root, path, key, 1, LARGEST, false, height) < 0 ? -1 : (*width = *height, 0);
    }
    if (json_is_array(size) && json_array_size(size) == 2) {
        double h = json_number_value(json_array_get(size, 0)), w = json_number_value(json_array_get(size, 1));

        if (!(h >= 1 && h <= LARGEST && w >= 1 && w <= LARGEST))
            return ft_fail(FT_BAD, "%s: %s is not two numbers from 1 to %d", path, key, LARGEST);
        *height = (size_t)h, *width = (size_t)w;
        return 0;
    }
    if (!json_is_object(size))
        return ft_fail(FT_BAD, "%s: %s is neither a number nor two nor an object", path, key);
    if (json_object_get(size, "longest_edge") && !json_is_null(json_object_get(size, "longest_edge")))
        return ft_fail(FT_BAD, "%s: %s.longest_edge is not covered: expected height and width, or shortest_edge", path, key);
    if (json_object_get(size, "shortest_edge") && !json_is_null(json_object_get(size, "shortest_edge"))) {
        *shortest = true;
        return ft_json_size(size, path, "shortest_edge", 1, LARGEST, false, height) < 0 ? -1 : (*width = *height, 0);
    }
    if (ft_json_size(size, path, "height", 1, LARGEST, false, height) < 0)
        return -1;
    return ft_json_size(size, path, "width", 1, LARGEST, false, width);
}

/* Three numbers above `above`, or one for all. */
static int triple_read(const json_t *root, const char *path, const char *key, double above, double value[3])
{
    const json_t *list = json_object_get(root, key);

    if (!list || json_is_null(list))
        return 0;
    for (size_t c = 0; c < 3; c++) {
        const json_t *one = json_is_array(list) ? json_array_get(list, c) : list;

        if ((json_is_array(list) && json_array_size(list) != 3) || !json_is_number(one) || !(json_number_value(one) > above) ||
            !isfinite(json_number_value(one)))
            return ft_fail(FT_BAD, "%s: %s is not three numbers%s", path, key, above >= 0 ? " above 0" : "");
        value[c] = json_number_value(one);
    }
    return 0;
}

static int filter_read(const json_t *root, const char *path, const char *key, enum ft_filter *filter)
{
    const json_t *found = json_object_get(root, key);
    size_t number = *filter;

    if (json_is_string(found)) {
        *filter = ft_filter_find(json_string_value(found));
        return *filter < FT_FILTERS ? 0 : ft_fail(FT_BAD, "%s: %s is \"%s\", expected nearest, lanczos, bilinear, bicubic, box or hamming", path, key,
                                                  json_string_value(found));
    }
    if (ft_json_size(root, path, key, 0, FT_FILTERS - 1, true, &number) < 0)
        return -1;
    *filter = (enum ft_filter)number;
    return 0;
}

/* ConvNeXT's own: below 384 the shorter edge is made larger by what is then cropped, from 384 on pictures are squeezed. */
static int convnext_rule(struct ft_preprocess *p, const json_t *root, const char *path)
{
    double share = 224. / 256;

    if (p->rule != FT_RESIZE_SHORTEST)
        return ft_fail(FT_BAD, "%s: size has no shortest_edge", path);
    if (ft_json_number(root, path, "crop_pct", .01, 1, &share) < 0)
        return -1;
    p->height = p->width = p->resize_height;
    if (p->resize_height >= 384)
        p->rule = FT_RESIZE_EXACT;
    else
        p->resize_height = p->resize_width = (size_t)((double)p->height / share);
    return 0;
}

static int geometry_read(struct ft_preprocess *p, const json_t *root, const char *path, const struct kind *kind)
{
    bool resize = true, crop = kind->crop != 0, shortest = kind->shortest, edge = false, pad = false, flip = false;
    size_t height = kind->crop ? kind->crop : kind->size, width = height;

    p->filter = kind->filter;
    p->resize_height = p->resize_width = kind->size;
    if (ft_json_bool(root, path, "do_resize", &resize) < 0 || ft_json_bool(root, path, "do_center_crop", &crop) < 0 ||
        ft_json_bool(root, path, "do_pad", &pad) < 0 || ft_json_bool(root, path, "do_flip_channel_order", &flip) < 0 ||
        size_read(root, path, "size", kind->square, &p->resize_height, &p->resize_width, &shortest) < 0 ||
        size_read(root, path, "crop_size", true, &height, &width, &edge) < 0 || filter_read(root, path, "resample", &p->filter) < 0)
        return -1;
    if (pad || flip)
        return ft_fail(FT_BAD, "%s: %s is not covered", path, pad ? "do_pad" : "do_flip_channel_order");
    p->rule = !resize ? FT_RESIZE_NONE : shortest ? FT_RESIZE_SHORTEST : FT_RESIZE_EXACT;
    if (resize && strcmp(kind->name, "ConvNext") == 0) {
        if (convnext_rule(p, root, path) < 0)
            return -1;
        if (crop && (height != p->height || width != p->width))
            return ft_fail(FT_BAD, "%s: a crop of %zu x %zu behind one of %zu x %zu", path, width, height, p->width, p->height);
        return 0;
    }
    if (!crop && p->rule != FT_RESIZE_EXACT)
        return ft_fail(FT_BAD, "%s: pictures would keep their own ratio: expected do_center_crop, or a size of height and width", path);
    p->height = crop ? height : p->resize_height;
    p->width = crop ? width : p->resize_width;
    return 0;
}

/* EfficientNet may take 1 off after scaling, and with include_top divides by the deviation twice. */
static int values_read(struct ft_preprocess *p, const json_t *root, const char *path, const struct kind *kind)
{
    bool efficientnet = strcmp(kind->name, "EfficientNet") == 0, rescale = true, normalize = true, shift = false, again = efficientnet;
    double mean[3], std[3];

    memcpy(mean, kind->mean, sizeof mean);
    memcpy(std, kind->std, sizeof std);
    p->scale = 1. / 255;
    if (ft_json_bool(root, path, "do_rescale", &rescale) < 0 || ft_json_bool(root, path, "do_normalize", &normalize) < 0 ||
        ft_json_number(root, path, "rescale_factor", 1e-9, 1e9, &p->scale) < 0 || ft_json_bool(root, path, "rescale_offset", &shift) < 0 ||
        ft_json_bool(root, path, "include_top", &again) < 0 || triple_read(root, path, "image_mean", -INFINITY, mean) < 0 ||
        triple_read(root, path, "image_std", 0, std) < 0)
        return -1;
    p->scale = rescale ? p->scale : 1;
    p->offset = efficientnet && rescale && shift ? -1 : 0;
    for (int c = 0; c < 3; c++) {
        p->mean[c] = normalize ? mean[c] : 0;
        p->std[c] = (normalize ? std[c] : 1) * (efficientnet && again ? std[c] : 1);
    }
    return 0;
}

int ft_preprocess_read_timm(struct ft_preprocess *p, const json_t *config, const char *path)
{
    const json_t *size = json_object_get(config, "input_size");
    const char *mode = ft_json_text(config, "crop_mode");
    double share = .875, height = json_number_value(json_array_get(size, 1)), width = json_number_value(json_array_get(size, 2));
    size_t resize;

    if (json_array_size(size) != 3 || json_number_value(json_array_get(size, 0)) != 3 || !(height >= 1 && height <= LARGEST) || height != width)
        return ft_fail(FT_BAD, "%s: input_size is not [3, N, N]", path);
    if (ft_json_number(config, path, "crop_pct", .01, 1e3, &share) < 0)
        return -1;
    resize = (size_t)floor(height / share);
    if (resize < 1 || (mode && !in_words("center squash", mode)))
        return ft_fail(FT_BAD, "%s: crop_pct %g with crop_mode %s is not covered: expected center or squash", path, share, mode ? mode : "center");
    *p = ft_preprocess_torchvision((size_t)height, resize, FT_FILTER_BICUBIC);
    p->rule = mode && strcmp(mode, "squash") == 0 ? FT_RESIZE_EXACT : FT_RESIZE_SHORTEST;
    if (filter_read(config, path, "interpolation", &p->filter) < 0 || triple_read(config, path, "mean", -INFINITY, p->mean) < 0)
        return -1;
    return triple_read(config, path, "std", 0, p->std);
}

int ft_preprocess_read_open_clip(struct ft_preprocess *p, const json_t *config, const char *path, size_t size)
{
    const char *mode = ft_json_text(config, "resize_mode"), *filter = ft_json_text(config, "interpolation");
    size_t fill = 0;

    *p = ft_preprocess_clip(size);
    if (mode && !in_words("shortest longest squash", mode))
        return ft_fail(FT_BAD, "%s: resize_mode is \"%s\", expected shortest, longest or squash", path, mode);
    if (filter && !in_words("bicubic bilinear random", filter))
        return ft_fail(FT_BAD, "%s: interpolation is \"%s\", expected bicubic, bilinear or random", path, filter);
    if (ft_json_size(config, path, "fill_color", 0, 255, true, &fill) < 0)
        return -1;
    p->rule = mode && strcmp(mode, "squash") == 0 ? FT_RESIZE_EXACT : mode && strcmp(mode, "longest") == 0 ? FT_RESIZE_LONGEST : FT_RESIZE_SHORTEST;
    p->fill = p->rule == FT_RESIZE_LONGEST ? (uint8_t)fill : 0;      /* else its pictures are cropped, never smaller */
    p->filter = filter && strcmp(filter, "bilinear") == 0 ? FT_FILTER_BILINEAR : FT_FILTER_BICUBIC;   /* random: in training alone */
    return triple_read(config, path, "mean", -INFINITY, p->mean) < 0 ? -1 : triple_read(config, path, "std", 0, p->std);
}

int ft_preprocess_read(struct ft_preprocess *p, const json_t *root, const char *path, const char *model)
{
    const json_t *timm = json_object_get(root, "data_config");
    const struct kind *kind;

    *p = (struct ft_preprocess){0};
    if (!json_is_object(root))
        return ft_fail(FT_BAD, "%s: not an object", path);
    timm = timm ? timm : json_object_get(root, "pretrained_cfg");
    if (json_is_object(timm))
        return ft_preprocess_read_timm(p, timm, path);
    if (json_is_object(json_object_get(root, "image_processor")))
        root = json_object_get(root, "image_processor");
    if (!(kind = kind_find(root, path, model)) || geometry_read(p, root, path, kind) < 0)
        return -1;
    return values_read(p, root, path, kind);
}

/* The three files that may say it, as far as they are there. */
enum { CONFIG, OWN, PROCESSOR, FILES };
struct files {
    struct ft_arena arena;
    const char *path[FILES];
    json_t *root[FILES];
    const char *model;           /* whose pictures they are of */
};

static int files_open(struct files *files, const char *directory, const char *model)
{
    static const char *const names[FILES] = {"config.json", "preprocessor_config.json", "processor_config.json"};

    *files = (struct files){.path = {NULL}};
    for (int i = 0; i < FILES; i++)
        if (!(files->path[i] = ft_arena_print(&files->arena, "%s/%s", directory, names[i])) ||
            (ft_file_exists(files->path[i]) && !(files->root[i] = ft_json_read(files->path[i]))))
            return -1;
    files->model = model ? model : ft_json_text(files->root[CONFIG], "model_type");
    return 0;
}

static void files_close(struct files *files)
{
    for (int i = 0; i < FILES; i++)
        json_decref(files->root[i]);
    ft_arena_free(&files->arena);
}

static bool has_object(const json_t *root, const char *key)
{
    return json_is_object(json_object_get(root, key));
}

/* Which of the files is asked, or FILES. */
static int files_first(const struct files *files)
{
    return files->root[OWN] ? OWN : has_object(files->root[PROCESSOR], "image_processor") ? PROCESSOR : has_object(files->root[CONFIG], "pretrained_cfg") ? CONFIG : FILES;
}

static int files_read(const struct files *files, struct ft_preprocess *p)
{
    int first = files_first(files);

    if (first == FILES)
        return 0;
    return ft_preprocess_read(p, files->root[first], files->path[first], first == CONFIG ? NULL : files->model) < 0 ? -1 : 1;
}

int ft_preprocess_open(const char *directory, const char *model, struct ft_preprocess *p)
{
    struct files files;
    int rc = files_open(&files, directory, model) < 0 ? -1 : files_read(&files, p);

    files_close(&files);
    return rc;
}

/* ---- another size ---- */

static int set(json_t *root, const char *key, json_t *value)
{
    return json_object_set_new(root, key, value) < 0 ? ft_fail(FT_SYSTEM, "out of memory") : 0;
}

/* A number stays a number. */
static int size_put(json_t *root, const char *key, size_t height, size_t width, bool shortest)
{
    const json_int_t h = (json_int_t)height, w = (json_int_t)width;

    return set(root, key, json_is_number(json_object_get(root, key)) ? json_integer(h) : shortest ? json_pack("{s:I}", "shortest_edge", h) :
                          json_pack("{s:I,s:I}", "height", h, "width", w));
}

/* `size` as many times as large as `to` is of `from`. */
static size_t scaled(size_t size, size_t to, size_t from)
{
    return (size * to + from / 2) / from;
}

/* Of transformers' processors: what is cropped is the size, and what it is cropped from grows with it; ConvNeXT's says the size alone. */
static int processor_resize(json_t *root, const char *path, const char *model, size_t side)
{
    const struct kind *kind = kind_find(root, path, model);
    bool crop = kind && kind->crop, shortest;
    struct ft_preprocess p = {.rule = FT_RESIZE_NONE};

    if (!kind || geometry_read(&p, root, path, kind) < 0 || ft_json_bool(root, path, "do_center_crop", &crop) < 0)
        return -1;
    shortest = p.rule == FT_RESIZE_SHORTEST;
    if (p.rule != FT_RESIZE_NONE && strcmp(kind->name, "ConvNext") == 0) {
        shortest = true;
        p.resize_height = p.resize_width = p.height = p.width;
    }
    if (p.rule != FT_RESIZE_NONE && size_put(root, "size", scaled(p.resize_height, side, p.height), scaled(p.resize_width, side, p.width), shortest) < 0)
        return -1;
    return crop ? size_put(root, "crop_size", side, side, false) : 0;
}

/* timm's resizing follows from crop_pct, which stays. */
static int timm_resize(json_t *config, size_t side)
{
    return set(config, "input_size", json_pack("[i,I,I]", 3, (json_int_t)side, (json_int_t)side));
}

static int file_resize(json_t *root, const char *path, const char *model, size_t side)
{
    static const char *const timm[] = {"data_config", "pretrained_cfg"};
    json_t *inside = json_object_get(root, "image_processor");

    for (int i = 0; i < 2; i++)
        if (has_object(root, timm[i]))
            return timm_resize(json_object_get(root, timm[i]), side);
    return processor_resize(json_is_object(inside) ? inside : root, path, model, side);
}

/* As BitImageProcessor, which can say whatever ft_preprocess_torchvision can, but for the place of an odd rest. */
static json_t *processor_make(const struct ft_preprocess *p)
{
    return json_pack("{s:s,s:b,s:{s:I},s:i,s:b,s:{s:I,s:I},s:b,s:f,s:b,s:[f,f,f],s:[f,f,f]}", "image_processor_type", "BitImageProcessor", "do_resize", 1,
                     "size", "shortest_edge", (json_int_t)p->resize_height, "resample", (int)p->filter, "do_center_crop", 1, "crop_size", "height",
                     (json_int_t)p->height, "width", (json_int_t)p->width, "do_rescale", 1, "rescale_factor", p->scale, "do_normalize", 1, "image_mean",
                     p->mean[0], p->mean[1], p->mean[2], "image_std", p->std[0], p->std[1], p->std[2]);
}

/* Every file that speaks of the size says another one: who asks which is not ours to know. Where none does there comes one. */
static int files_resize(struct files *files, size_t side, struct ft_preprocess otherwise)
{
    const char *model = files->model;

    if (files_first(files) == FILES) {
        otherwise.resize_height = scaled(otherwise.resize_height, side, otherwise.height);
        otherwise.height = otherwise.width = side;
        if (!(files->root[OWN] = processor_make(&otherwise)))
            return ft_fail(FT_SYSTEM, "out of memory");
    } else if ((files->root[OWN] && file_resize(files->root[OWN], files->path[OWN], model, side) < 0) ||
               (has_object(files->root[PROCESSOR], "image_processor") && file_resize(files->root[PROCESSOR], files->path[PROCESSOR], model, side) < 0) ||
               (has_object(files->root[CONFIG], "pretrained_cfg") && timm_resize(json_object_get(files->root[CONFIG], "pretrained_cfg"), side) < 0)) {
        return -1;
    }
    return json_is_integer(json_object_get(files->root[CONFIG], "image_size")) ? set(files->root[CONFIG], "image_size", json_integer((json_int_t)side)) : 0;
}

int ft_preprocess_open_sized(const char *directory, const char *model, size_t side, struct ft_preprocess *p)
{
    struct files files;
    int rc = files_open(&files, directory, model) < 0 || files_resize(&files, side, *p) < 0 ? -1 : files_read(&files, p);

    files_close(&files);
    return rc < 0 ? -1 : 0;
}

int ft_preprocess_save_sized(const char *directory, const char *model, const struct ft_preprocess *p)
{
    struct files files;
    int rc = files_open(&files, directory, model) < 0 || files_resize(&files, p->height, *p) < 0 ? -1 : 0;

    for (int i = 0; rc == 0 && i < FILES; i++)
        if (files.root[i])
            rc = ft_json_save(files.path[i], files.root[i]);
    files_close(&files);
    return rc;
}
