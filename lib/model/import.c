/* import.c - weights without a config: which architecture it is, as timm would say it, and how pictures are made ready for it.
 *
 * Preprocessing goes by whose names the tensors have, since whoever publishes weights under these names trained them so:
 * timm            pretrained_cfg of timm 1.0 (of several, the weights that a plain name stands for)
 * torchvision     the transforms of IMAGENET1K_V1
 * EfficientNet-PyTorch, converted from TensorFlow: the shorter edge to size + 32, bicubic; the lite ones with mean 127 and deviation 128 of 255 */
#include "model/import.h"
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"
#include "data/preprocess.h"
#include "model/model-build.h"
#include "model/place.h"
#include "model/weights/tensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum naming { TORCHVISION, TIMM, LUKEMELAS, TRANSFORMERS };
static const char *const owners[] = {"torchvision's", "timm's", "EfficientNet-PyTorch's", "transformers'"};

/* A tensor that only these have. ResNet's names are the same with torchvision and timm. */
struct probe {
    const char *name, *kind;
    enum naming naming;
};
static const struct probe probes[] = {
    {"conv1.weight", "resnet", TORCHVISION}, {"features.0.0.weight", "efficientnet", TORCHVISION}, {"conv_proj.weight", "vit", TORCHVISION},
    {"conv_stem.weight", "efficientnet", TIMM}, {"patch_embed.proj.weight", "vit", TIMM}, {"_conv_stem.weight", "efficientnet", LUKEMELAS},
    {"embedder.embedder.convolution.weight", "resnet", TRANSFORMERS}, {"resnet.embedder.embedder.convolution.weight", "resnet", TRANSFORMERS},
    {"embeddings.convolution.weight", "efficientnet", TRANSFORMERS}, {"efficientnet.embeddings.convolution.weight", "efficientnet", TRANSFORMERS},
    {"embeddings.patch_embeddings.projection.weight", "vit", TRANSFORMERS}, {"vit.embeddings.patch_embeddings.projection.weight", "vit", TRANSFORMERS},
};

enum values { IMAGENET, HALF, LITE };
static const struct { double mean[3], std[3]; } values[] = {
    {{.485, .456, .406}, {.229, .224, .225}}, {{.5, .5, .5}, {.5, .5, .5}},
    {{127. / 255, 127. / 255, 127. / 255}, {128. / 255, 128. / 255, 128. / 255}},
};

/* Architectures of one kind, called BEFORE NUMBER AFTER; `other` is how else they are called, with the number behind it. */
struct series {
    const char *before, *after, *other;
    enum naming naming;
    enum values values;
    const char *filter, *crop;   /* in timm's words */
    struct member { int number, size, resize; } members[9];   /* pixels a side of what the model takes; of the shorter edge before the crop */
};

static const struct series all_series[] = {
    {"resnet", "", NULL, TORCHVISION, IMAGENET, "bilinear", "center", {{18, 224, 256}, {34, 224, 256}, {50, 224, 256}, {101, 224, 256}, {152, 224, 256}}},
    {"efficientnet_b", "", NULL, TORCHVISION, IMAGENET, "bicubic", "center",
     {{0, 224, 256}, {1, 240, 256}, {2, 288, 288}, {3, 300, 320}, {4, 380, 384}, {5, 456, 456}, {6, 528, 528}, {7, 600, 600}}},
    {"efficientnet_b", "", NULL, TIMM, IMAGENET, "bicubic", "center",
     {{0, 224, 256}, {2, 256, 292}, {3, 288, 329}, {4, 320, 365}, {6, 528, 560}, {7, 600, 632}}},
    {"efficientnet_b", "", NULL, TIMM, HALF, "bicubic", "center", {{1, 240, 266}}},
    {"efficientnet_b", "", NULL, TIMM, IMAGENET, "bicubic", "squash", {{5, 448, 448}}},
    {"tf_efficientnet_b", "", NULL, TIMM, IMAGENET, "bicubic", "center",
     {{0, 224, 256}, {1, 240, 272}, {2, 260, 292}, {3, 300, 332}, {4, 380, 412}, {5, 456, 488}, {6, 528, 560}, {7, 600, 632}}},
    {"efficientnet_b", "", NULL, LUKEMELAS, IMAGENET, "bicubic", "center",
     {{0, 224, 256}, {1, 240, 272}, {2, 260, 292}, {3, 300, 332}, {4, 380, 412}, {5, 456, 488}, {6, 528, 560}, {7, 600, 632}}},
    {"efficientnet_lite", "", NULL, TIMM, IMAGENET, "bicubic", "center", {{0, 224, 256}, {1, 240, 272}, {2, 260, 292}, {3, 300, 331}, {4, 380, 412}}},
    {"tf_efficientnet_lite", "", NULL, TIMM, HALF, "bicubic", "center", {{0, 224, 256}, {1, 240, 272}, {2, 260, 292}}},
    {"tf_efficientnet_lite", "", NULL, TIMM, HALF, "bilinear", "center", {{3, 300, 331}, {4, 380, 413}}},
    {"efficientnet_lite", "", NULL, LUKEMELAS, LITE, "bicubic", "center", {{0, 224, 256}, {1, 240, 272}, {2, 260, 292}, {3, 280, 312}, {4, 300, 332}}},
    {"vit_b_", "", "vit_base_patch", TORCHVISION, IMAGENET, "bilinear", "center", {{16, 224, 256}, {32, 224, 256}}},
    {"vit_l_", "", "vit_large_patch", TORCHVISION, IMAGENET, "bilinear", "center", {{16, 224, 242}, {32, 224, 256}}},
    {"vit_tiny_patch", "_224", "vit_ti_", TIMM, HALF, "bicubic", "center", {{16, 224, 248}}},
    {"vit_small_patch", "_224", "vit_s_", TIMM, HALF, "bicubic", "center", {{16, 224, 248}, {32, 224, 248}}},
    {"vit_base_patch", "_224", "vit_b_", TIMM, HALF, "bicubic", "center", {{16, 224, 248}, {32, 224, 248}}},
    {"vit_large_patch", "_224", "vit_l_", TIMM, HALF, "bicubic", "center", {{16, 224, 248}, {32, 224, 248}}},
    {"vit_base_patch", "_384", NULL, TIMM, HALF, "bicubic", "center", {{16, 384, 384}, {32, 384, 384}}},
    {"vit_large_patch", "_384", NULL, TIMM, HALF, "bicubic", "center", {{16, 384, 384}, {32, 384, 384}}},
};

enum { NAME = 64 };

static const char *architecture(char text[NAME], const struct series *series, const struct member *member)
{
    snprintf(text, NAME, "%s%d%s", series->before, member->number, series->after);
    return text;
}

/* The same name, whatever stands between its words: "vit-b-16", "vit_b_16". */
static bool same_name(const char *a, const char *b)
{
    for (;;) {
        a += strspn(a, "-_");
        b += strspn(b, "-_");
        if (*a != *b)
            return false;
        if (!*a)
            return true;
        a++, b++;
    }
}

static bool is_called(const struct series *series, const struct member *member, const char *name)
{
    char text[NAME];

    if (same_name(name, architecture(text, series, member)))
        return true;
    snprintf(text, NAME, "%s%d", series->other ? series->other : "", member->number);
    if (series->other && same_name(name, text))
        return true;
    snprintf(text, NAME, "%s%d_%d", series->other ? series->other : "", member->number, member->size);
    return series->other && same_name(name, text);
}

/* The one that `family` calls so, of the library that `probe` tells; NULL, and *known is one of another library, or of none. */
static const struct member *find_member(const char *family, const struct probe *probe, const struct series **known)
{
    const struct series *end = all_series + sizeof all_series / sizeof *all_series;

    *known = NULL;
    for (const struct series *s = all_series; s < end; s++)
        for (const struct member *m = s->members; m->size; m++)
            if (is_called(s, m, family)) {
                *known = s;
                if (probe && s->naming == probe->naming)
                    return m;
            }
    return NULL;
}

static const struct probe *find_probe(const struct ft_safetensors *files)
{
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++)
        if (ft_safetensors_find(files, probes[i].name))
            return &probes[i];
    return NULL;
}

static int identify(const char *file, const char *family, const struct ft_safetensors *files, const struct series **series, const struct member **member)
{
    const struct probe *probe = find_probe(files);

    *member = find_member(family, probe, series);
    if (!*series)
        return ft_fail(FT_USAGE, "family '%.64s' is not known, expected " FT_IMPORT_FAMILIES ", or timm's or torchvision's name of one of these", family);
    if (!probe)
        return ft_fail(FT_BAD, "%s: none of its tensors is the first convolution of %s", file, family);
    if (!strstr((*series)->before, probe->kind))
        return ft_fail(FT_BAD, "%s: %s is a tensor of the family %s, expected those of %s", file, probe->name, probe->kind, family);
    if (probe->naming == TRANSFORMERS)
        return ft_fail(FT_BAD, "%s: its tensors have transformers' names: the config.json that belongs to it is needed, in a directory with it", file);
    if (!*member)
        return ft_fail(FT_BAD, "%s: its tensors have %s names, and %s has %s", file, owners[probe->naming], family, owners[(*series)->naming]);
    return 0;
}

/* Classes of the head, which timm must know to load it; 0 where there is none. */
static size_t count_classes(const struct ft_safetensors *files)
{
    static const char *const heads[] = {"fc.weight", "classifier.weight", "classifier.1.weight", "head.weight", "heads.head.weight", "_fc.weight"};

    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        const struct ft_safetensor *tensor = ft_safetensors_find(files, heads[i]);

        if (tensor && tensor->rank == 2)
            return (size_t)tensor->shape[0];
    }
    return 0;
}

/* The share that is kept, of which timm makes the edge again, rounding down. */
static double crop_share(const struct member *member)
{
    double share = (double)member->size / member->resize;

    return (int)floor(member->size / share) < member->resize ? nextafter(share, 0) : share;
}

static json_t *triple(const double x[3])
{
    return json_pack("[f,f,f]", x[0], x[1], x[2]);
}

static json_t *make_config(const struct series *series, const struct member *member, const struct ft_safetensors *files)
{
    char name[NAME];
    json_t *pictures = json_pack("{s:[i,i,i],s:f,s:s,s:s,s:o,s:o}", "input_size", 3, member->size, member->size, "crop_pct", crop_share(member), "crop_mode",
                                 series->crop, "interpolation", series->filter, "mean", triple(values[series->values].mean), "std",
                                 triple(values[series->values].std));
    json_t *config = json_pack("{s:s,s:I,s:o}", "architecture", architecture(name, series, member), "num_classes", (json_int_t)count_classes(files),
                               "pretrained_cfg", pictures);

    if (config && json_object_set_new(pictures, "num_classes", json_integer((json_int_t)count_classes(files))) == 0)
        return config;
    json_decref(config);
    ft_fail(FT_SYSTEM, "out of memory");
    return NULL;
}

struct import {
    const struct series *series;
    const struct member *member;
    const struct ft_safetensors *files;
    const char *file;
};

/* What an embedding has no use for: the classifier, and counters of norms. */
static bool is_left_over(const char *name)
{
    static const char *const begins[] = {"fc.", "classifier.", "head.", "heads.", "_fc.", "pre_logits."};
    static const char counter[] = ".num_batches_tracked";
    size_t size = strlen(name);

    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (strncmp(name, begins[i], strlen(begins[i])) == 0)
            return true;
    return size >= sizeof counter && strcmp(name + size - (sizeof counter - 1), counter) == 0;
}

/* Parameters are looked up in the file itself, whose name a person knows, where opening would name a directory that will be gone. Blocks that are left
 * over are those of a larger model of the kind. */
static int check_tensors(const struct import *import, const char *ready)
{
    const struct ft_safetensors *files = import->files;
    struct ft_model *model = ft_model_open_nodes(ready);
    bool *used = model ? ft_arena_zero(&model->arena, files->count, sizeof *used) : NULL;
    char name[NAME];
    int result = used ? 0 : -1;

    for (int i = 0; result == 0 && i < model->parameter_count; i++) {
        const struct ft_parameter *p = &model->parameters[i];
        const struct ft_safetensor *tensor = ft_parameter_find(model, files, p);

        if (!tensor)
            result = ft_fail(FT_BAD, "%s: no tensor %s", import->file, p->name);
        else if (ft_parameter_fits(p, tensor) < 0)
            result = ft_error_prefix("%s: ", import->file);
        else
            used[tensor - files->tensors] = true;
    }
    for (size_t i = 0; result == 0 && i < files->count; i++)
        if (!used[i] && !is_left_over(files->tensors[i].name))
            result = ft_fail(FT_BAD, "%s: %s is no part of %s", import->file, files->tensors[i].name,
                             architecture(name, import->series, import->member));
    ft_model_close(model);
    return result;
}

static int check(const struct import *import, const char *ready)
{
    struct ft_model *model = check_tensors(import, ready) == 0 ? ft_model_open(ready, NULL) : NULL;

    ft_model_close(model);
    return model ? 0 : -1;
}

static int make(const void *what, const char *ready)
{
    const struct import *import = what;
    struct ft_arena arena = {0};
    const char *config = ft_arena_print(&arena, "%s/config.json", ready), *weights = ft_arena_print(&arena, "%s/model.safetensors", ready);
    json_t *json = make_config(import->series, import->member, import->files);
    int result = -1;

    if (config && weights && json && ft_directory_make(ready) == 0 && ft_json_save(config, json) == 0 &&
        ft_safetensors_write(weights, import->files->tensors, import->files->count) == 0)
        result = check(import, ready);
    json_decref(json);
    ft_arena_free(&arena);
    return result;
}

int ft_model_import(const char *file, const char *family, const char *directory, bool force)
{
    struct ft_safetensors files;
    struct import import = {.files = &files, .file = file};
    int result;

    if (ft_directory_exists(file))
        return ft_fail(FT_USAGE, "%s is a directory, expected a file of weights", file);
    if (ft_tensors_open(&files, file) < 0)
        return -1;
    result = identify(file, family, &files, &import.series, &import.member);
    if (result == 0)
        result = ft_directory_place(directory, force, make, &import);
    ft_safetensors_close(&files);
    return result;
}
