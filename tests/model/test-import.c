/* test-import.c - the image architectures by the names and shapes that their libraries give tensors (tests/golden/vision/make-names.py), and model
 * directories made of weights alone. The numbers in such files are zeros, which cost no disk. */
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"
#include "data/preprocess.h"
#include "model/import.h"
#include "model/tailor/tailor.h"
#include "model/model-build.h"
#include "model/weights/tensors.h"
#include "../tap.h"
#include "vision-names.h"

#include <stdlib.h>
#include <unistd.h>

static char place[] = "/tmp/ft-test-XXXXXX";

/* ---- every architecture ---- */

static bool is_tail(const char *name)
{
    size_t size = strlen(name);

    return strncmp(name, "fc.", 3) == 0 || strncmp(name, "_fc.", 4) == 0 || strncmp(name, "classifier.", 11) == 0 || strncmp(name, "head", 4) == 0 ||
           (size > 19 && strcmp(name + size - 19, "num_batches_tracked") == 0);
}

/* Every parameter in the file with its shape, every tensor but the head's in a parameter. */
static void test_list(const struct list *list)
{
    const char *directory = ft_arena_print(&arena, "%s/listed", place), *config = ft_arena_print(&arena, "%s/config.json", directory);
    const char *text = ft_arena_print(&arena, "{\"architecture\": \"%s\"}", list->architecture);
    const char *weights = ft_arena_print(&arena, "%s/model.safetensors", directory);
    struct ft_safetensors files = {0};
    struct ft_model *model;
    size_t found = 0, tail = 0;

    ft_directory_make(directory);
    ft_file_write(config, text, strlen(text));
    write_weights(weights, list, (struct content){0});
    model = ft_model_open_nodes(directory);
    if (!ok(model && ft_tensors_open(&files, weights) == 0, "%s %s opens", list->library, list->architecture)) {
        printf("# %s\n", ft_error());
        return;
    }
    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_safetensor *tensor = ft_parameter_find(model, &files, &model->parameters[i]);

        if (tensor && ft_parameter_fits(&model->parameters[i], tensor) == 0)
            found++;
        else
            printf("# %s: %s\n", model->parameters[i].name, tensor ? ft_error() : "missing");
    }
    for (size_t i = 0; i < list->count; i++)
        tail += is_tail(list->items[i].name);
    ok(found == (size_t)model->parameter_count && found + tail == list->count, "%s %s: %zu tensors, all but %zu of them parameters", list->library,
       list->architecture, list->count, tail);
    ft_safetensors_close(&files);
    ft_model_close(model);
}

/* ---- import ---- */

static int import(const char *file, const char *family, bool force)
{
    return ft_model_import(file, family, ft_arena_print(&arena, "%s/made", place), force);
}

static bool made(const char *name)
{
    return ft_file_exists(ft_arena_print(&arena, "%s/made/%s", place, name));
}

static bool refused(int result, enum ft_status status, const char *why)
{
    bool good = result < 0 && ft_error_status() == status && strstr(ft_error(), why) && !made("config.json");

    if (!good)
        printf("# %d: %s\n", result, ft_error());
    return good;
}

static void test_refused(void)
{
    const struct list *list = find("torchvision", "resnet18"), *lite = find("lukemelas", "efficientnet_lite0");
    const char *file = ft_arena_print(&arena, "%s/weights.safetensors", place);

    write_weights(file, list, (struct content){0});
    ok(refused(import(file, "alexnet", false), FT_USAGE, "family 'alexnet' is not known, expected resnet18"), "a family nobody knows");
    ok(refused(import(file, "efficientnet-b0", false), FT_BAD, "conv1.weight is a tensor of the family resnet, expected those of efficientnet-b0"), "another family");
    ok(refused(import(file, "resnet34", false), FT_BAD, "weights.safetensors: no tensor layer1.2.conv1.weight"), "a smaller one");
    write_weights(file, find("torchvision", "resnet34"), (struct content){0});
    ok(refused(import(file, "resnet18", false), FT_BAD, "layer1.2.bn1.bias is no part of resnet18"), "a larger one");
    write_weights(file, list, (struct content){.lacks = "layer3.0.bn2.running_var"});
    ok(refused(import(file, "resnet18", false), FT_BAD, "no tensor layer3.0.bn2.running_var"), "a tensor is missing");
    write_weights(file, list, (struct content){.turned = "layer4.1.conv2.weight"});
    ok(refused(import(file, "resnet18", false), FT_BAD, "layer4.1.conv2.weight: shape [5, 4], expected [512, 512, 3, 3]"), "another shape");
    write_weights(file, list, (struct content){.beside = "layer5.0.conv1.weight"});
    ok(refused(import(file, "resnet18", false), FT_BAD, "layer5.0.conv1.weight is no part of resnet18"), "one too many");
    write_weights(file, lite, (struct content){0});
    ok(refused(import(file, "tf_efficientnet_lite0", false), FT_BAD, "EfficientNet-PyTorch's names, and tf_efficientnet_lite0 has timm's"),
       "names of another library");
    ok(refused(import(place, "resnet18", false), FT_USAGE, "is a directory"), "a directory");
    ok(refused(import(ft_arena_print(&arena, "%s/none.pth", place), "resnet18", false), FT_SYSTEM, "none.pth"), "no file");
    write_weights(file, &(struct list){"", "", &(struct entry){"vit.embeddings.patch_embeddings.projection.weight", "8,3,4,4"}, 1}, (struct content){0});
    ok(refused(import(file, "vit-b-16", false), FT_BAD, "transformers' names: the config.json"), "names that need a config");
}

static void test_made(void)
{
    const struct list *list = find("lukemelas", "efficientnet_lite0");
    const char *file = ft_arena_print(&arena, "%s/weights.safetensors", place), *directory = ft_arena_print(&arena, "%s/made", place);
    struct ft_safetensors files = {0};
    struct ft_preprocess p;
    struct ft_model *model;

    write_weights(file, list, (struct content){0});
    if (!ok(import(file, "efficientnet-lite0", false) == 0, "lite0 is made a model"))
        printf("# %s\n", ft_error());
    ok(ft_tensors_open(&files, directory) == 0 && files.count == list->count, "with all %zu tensors", list->count);
    ft_safetensors_close(&files);
    ok(ft_preprocess_open(directory, NULL, &p) == 1 && p.height == 224 && p.width == 224 && p.resize_height == 256 && p.filter == FT_FILTER_BICUBIC &&
       p.rule == FT_RESIZE_SHORTEST && fabs(p.mean[1] * 255 - 127) < 1e-12 && fabs(p.std[2] * 255 - 128) < 1e-12, "and TensorFlow's pixels");
    model = ft_model_open_nodes(directory);
    ok(model && model->dim == 1280 && model->height == 224, "it opens");
    ft_model_close(model);
    ok(import(file, "efficientnet_lite0", false) < 0 && ft_error_status() == FT_USAGE && made("config.json"), "it is not replaced");
    ok(import(file, "efficientnet-lite1", true) < 0 && made("config.json"), "nor by what fails");
    ok(import(file, "efficientnet_lite0", true) == 0, "but with force");
}

/* ---- timm's directories, changed ---- */

static struct ft_model *tailor(const char *from, const char *edit, const char *to)
{
    const struct ft_list edits = {&edit, edit != NULL};
    struct ft_model *model = ft_model_tailor(ft_arena_print(&arena, "%s/%s", place, from), &edits, 0);

    if (model && ft_model_place(model, ft_arena_print(&arena, "%s/%s", place, to), true) == 0)
        return model;
    ft_model_close(model);
    return NULL;
}

/* Does timm load it, and as a model without classes? Is what it must not load named so that it finds no architecture? */
static bool says(const char *name, bool alone)
{
    json_t *config = ft_json_read(ft_arena_print(&arena, "%s/%s/config.json", place, name));
    const char *type = ft_json_text(config, "model_type"), *architecture = ft_json_text(config, alone ? "ft_architecture" : "architecture");
    bool right = architecture && strcmp(architecture, "vit_tiny_patch16_224") == 0 && !json_object_get(config, alone ? "architecture" : "ft_architecture") &&
                 (alone ? type && strcmp(type, "ft-tailored") == 0 : !type) && !json_object_get(config, "label_names");

    for (int i = 0; i < 3; i++) {
        const json_t *at = i == 0 ? config : json_object_get(config, i == 1 ? "model_args" : "pretrained_cfg");
        const json_t *classes = json_object_get(at, "num_classes");

        right = right && json_is_integer(classes) && json_integer_value(classes) == 0;
    }
    json_decref(config);
    return right;
}

static void test_timm(void)
{
    const struct list *list = find("timm", "vit_tiny_patch16_224");
    json_t *config = json_pack("{s:s,s:i,s:[s],s:{s:i},s:{s:i,s:[iii]}}", "architecture", "vit_tiny_patch16_224", "num_classes", 1000, "label_names", "a", "model_args",
                               "num_classes", 1000, "pretrained_cfg", "num_classes", 1000, "input_size", 3, 224, 224);
    struct ft_model *model;
    const struct ft_node *last;

    ok(ft_directory_make(ft_arena_print(&arena, "%s/timm", place)) == 0 && ft_json_save(ft_arena_print(&arena, "%s/timm/config.json", place), config) == 0,
       "a directory of timm's");
    json_decref(config);
    write_weights(ft_arena_print(&arena, "%s/timm/model.safetensors", place), list, (struct content){0});
    model = tailor("timm", NULL, "bare");
    ok(model && says("bare", false), "its head taken off, it has no classes");
    ft_model_close(model);
    model = tailor("timm", "pool=max", "largest");
    ok(model && says("largest", true), "pooled another way, timm finds no architecture");
    ft_model_close(model);
    model = tailor("largest", "pool=cls", "back");
    ok(model && says("back", false), "and pooled as it was it does");
    ft_model_close(model);
    model = tailor("timm", "embedding=patch_embed.proj", "cut");
    last = model ? model->nodes + model->node_count - 1 : NULL;
    ok(last && last->op == FT_OP_POOL && last->pooling == FT_POOL_MEAN && says("cut", true), "a map it is cut at is pooled by the mean and not by its corner");
    ft_model_close(model);
    ok(!tailor("cut", "pool=cls", "corner") && ft_error_status() == FT_USAGE && strstr(ft_error(), "is a map"), "nor when asked to: %s", ft_error());
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(place))
        return 1;
    ok(read_lists("tests/golden/vision/names.txt") == 0 && list_count == 49, "49 lists of names");
    for (size_t i = 0; i < list_count; i++)
        test_list(&lists[i]);
    test_refused();
    test_made();
    test_timm();
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
