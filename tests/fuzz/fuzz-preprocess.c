/* fuzz-preprocess.c - any text as preprocessor_config.json: settings that work on a picture, or an error; and for another size, saved and read again, the
 * same settings. */
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"
#include "data/preprocess.h"
#include "mutate.h"

#include <unistd.h>

static char directory[] = "/tmp/ft-fuzz-XXXXXX";

static void clean(void)
{
    ft_directory_remove(directory);
}

static void check_sized(const json_t *root, const char *model, size_t side)
{
    struct ft_preprocess p, again;
    static bool made;
    char path[64];

    if (!made && (!mkdtemp(directory) || atexit(clean) != 0))
        abort();
    made = true;
    snprintf(path, sizeof path, "%s/preprocessor_config.json", directory);
    unlink(path);
    if (ft_json_save(path, root) < 0)
        abort();
    if (ft_preprocess_open_sized(directory, model, side, &p) < 0) {
        if (ft_error_status() != FT_BAD)
            abort();
    } else if (p.height != side || p.width != side || ft_preprocess_save_sized(directory, model, &p) < 0 || ft_preprocess_open(directory, model, &again) != 1 ||
               memcmp(&p, &again, sizeof p) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ft_arena arena;
    static const char *const models[] = {NULL, "clip", "resnet", "efficientnet", "unheard-of"};
    json_t *root = ft_json_parse("fuzz", (const char *)data, size);
    struct ft_image image;

    if (!root)
        return 0;
    if (ft_image_make(&image, 5, 9) < 0)
        abort();
    memset(image.pixel, 100, 5 * 9 * 3);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct ft_preprocess p;
        uint8_t *out;

        if (ft_preprocess_read(&p, root, "fuzz", models[i]) < 0) {
            if (ft_error_status() != FT_BAD || strncmp(ft_error(), "fuzz: ", 6) != 0)
                abort();
            continue;
        }
        if (json_is_object(root) && i == size % (sizeof models / sizeof *models))   /* it writes, which takes long */
            check_sized(root, models[i], 1 + size * 7 % 600);
        if (p.width < 1 || p.height < 1 || !(p.std[0] > 0) || p.filter >= FT_FILTERS)
            abort();
        if (p.width * p.height > 1 << 16 || p.resize_height > 1 << 12)
            continue;
        ft_arena_reset(&arena);
        if (!(out = ft_arena_take(&arena, p.width * p.height * 3)) || ft_preprocess_run(&p, &image, &arena, out) < 0)
            abort();
    }
    ft_image_free(&image);
    json_decref(root);
    return 0;
}

static const char *const seeds[] = {
    "{\"image_processor_type\":\"CLIPImageProcessor\",\"size\":{\"shortest_edge\":8},\"crop_size\":{\"height\":7,\"width\":5},\"do_resize\":true,\"resample\":3}",
    "{\"feature_extractor_type\":\"ViTFeatureExtractor\",\"size\":8,\"image_mean\":[0.5,0.4,0.3],\"image_std\":0.2,\"do_rescale\":false,\"resample\":2}",
    "{\"image_processor_type\":\"EfficientNetImageProcessor\",\"size\":[9,7],\"rescale_offset\":true,\"rescale_factor\":0.0078,\"include_top\":false}",
    "{\"image_processor_type\":\"ConvNextImageProcessor\",\"size\":8,\"crop_pct\":0.875,\"do_center_crop\":true,\"crop_size\":8}",
    "{\"pretrained_cfg\":{\"input_size\":[3,8,8],\"crop_pct\":0.9,\"interpolation\":\"bicubic\",\"mean\":[0.1,0.2,0.3],\"std\":[1,1,1],\"crop_mode\":\"squash\"}}",
    "{\"image_processor\":{\"image_processor_type\":\"BitImageProcessorFast\",\"do_resize\":false,\"crop_size\":3,\"do_normalize\":false}}",
};
FUZZ_MAIN(seeds, "{}[]\":,0123456789-.eE")
