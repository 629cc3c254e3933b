/* test-open-clip.c - published models of open_clip by their config and the names and shapes of their tensors (tests/golden/open-clip/make-names.py): every
 * parameter of both towers is a tensor, every tensor but the loss's own is a parameter. The numbers are zeros, which cost no disk. */
#include "base/error.h"
#include "model/model-build.h"
#include "model/weights/tensors.h"
#include "../tap.h"
#include "vision-names.h"

#define GOLDEN "tests/golden/open-clip/published/"

static char place[] = "/tmp/ft-test-XXXXXX";

static void copy(const char *from, const char *to)
{
    size_t size;
    char *bytes = ft_file_read(&arena, from, 1 << 24, &size);

    if (bytes)
        ft_file_write(to, bytes, size);
}

static const char *make(const struct list *list)
{
    static const char pad[] = "{\"pad_token\": \"<pad>\"}";
    const char *directory = ft_arena_print(&arena, "%s/%s", place, list->architecture);

    ft_directory_make(directory);
    copy(ft_arena_print(&arena, GOLDEN "%s.json", list->architecture), ft_arena_print(&arena, "%s/open_clip_config.json", directory));
    copy(strncmp(list->architecture, "RN", 2) == 0 ? "tests/golden/tokenizer/general/clip-hf.json" : "tests/golden/tokenizer/general/xlmr.json", ft_arena_print(&arena, "%s/tokenizer.json", directory));
    ft_file_write(ft_arena_print(&arena, "%s/tokenizer_config.json", directory), pad, strlen(pad));
    write_weights(ft_arena_print(&arena, "%s/open_clip_model.safetensors", directory), list, (struct content){.beside = "logit_scale"});
    return directory;
}

static void test_list(const struct list *list)
{
    const char *directory = make(list);
    struct ft_model *model = ft_model_open_nodes(directory);
    struct ft_safetensors files = {0};
    size_t found = 0, used = 0, parts = 0;

    if (!ok(model && model->tower_count == 2 && ft_tensors_open(&files, ft_open_clip_weights(&arena, directory)) == 0, "%s opens: %s", list->architecture, ft_error()))
        return;
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < model->towers[t]->parameter_count; i++) {
            const struct ft_parameter *p = &model->towers[t]->parameters[i];
            const struct ft_safetensor *tensor = ft_parameter_find(model->towers[t], &files, p);

            if (tensor && ft_parameter_fits(p, tensor) == 0)
                found++;
            else
                printf("# %s: %s\n", p->name, tensor ? ft_error() : "missing");
            parts += p->first > 0;
        }
    used = list->count;
    for (size_t i = 0; i < list->count; i++)
        used -= ends(list->items[i].name, "num_batches_tracked");
    ok(found == (size_t)model->parameter_count && found - parts == used, "%s: %zu parameters of %d and %zu tensors, dimensions %zu", list->architecture, found,
       model->parameter_count, used, model->dim);
    ft_safetensors_close(&files);
    ft_model_close(model);
    ft_directory_remove(directory);
}

/* As LAION's first checkpoints are published. */
static void test_bare(void)
{
    const char *directory = ft_arena_print(&arena, "%s/bare", place);

    ft_directory_make(directory);
    ft_file_write(ft_arena_print(&arena, "%s/open_clip_pytorch_model.bin", directory), "", 0);
    ok(!ft_model_find(&arena, directory) && strstr(ft_error(), "open_clip_config.json"), "weights without a config: %s", ft_error());
}

int main(void)
{
    static const char *const names[] = {"xlm-roberta-base-ViT-B-32", "roberta-ViT-B-32", "xlm-roberta-large-ViT-H-14", "ViT-B-16-SigLIP",
                                        "ViT-SO400M-14-SigLIP-384", "ViT-B-16-SigLIP2", "RN50", "RN101", "RN50x4", "RN50-quickgelu"};

    ok(mkdtemp(place) && read_lists(GOLDEN "names.txt") == 0, "lists of names");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct list *list = find("open_clip", names[i]);

        if (ok(list != NULL, "%s", names[i]))
            test_list(list);
    }
    test_bare();
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
