/* test-pair.c - CLIP models, both towers of one config.json and one file of weights, in training: what is learnt lies under the names it had, with the
 * temperature that the loss learnt in the model's own logit_scale; a frozen tower's tensors are what they were. */
#include "pair-world.h"
#include "model/weights/tensors.h"
#include "../tap.h"

static int open_weights(struct ft_safetensors *files, const char *directory)
{
    const char *own = ft_open_clip_weights(&arena, directory);

    return ft_tensors_open(files, own ? own : directory);
}

/* Tensors of both directories with the same names and shapes: how many, and how many of those that begin so are other bytes. */
static size_t compare(const char *one, const char *other, const char *begins, size_t *changed)
{
    struct ft_safetensors before = {0}, after = {0};
    size_t same = 0;

    *changed = 0;
    if (open_weights(&before, one) < 0 || open_weights(&after, other) < 0)
        return 0;
    for (size_t i = 0; i < before.count && before.count == after.count; i++) {
        const struct ft_safetensor *a = &before.tensors[i], *b = ft_safetensors_find(&after, a->name);

        same += b && b->rank == a->rank && b->size == a->size && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
        *changed += b && strncmp(a->name, begins, strlen(begins)) == 0 && memcmp(a->data, b->data, a->size) != 0;
    }
    same = same == before.count ? same : 0;
    ft_safetensors_close(&before);
    ft_safetensors_close(&after);
    return same;
}

static void test_model(const char *name, const char *directory, const char *text, const char *image)
{
    const char *tuned = ft_arena_print(&arena, "%s-tuned", name);
    struct ft_model *model;
    float scale[STEPS + 1], base = scale_of(directory);
    size_t texts, images, count;

    if (!ok(train(directory, tuned, &(struct way){.loss = "clip"}, scale) == 0, "%s: trained: %s", name, ft_error()))
        return;
    ok(scale[0] == base && scale[STEPS] != base && base > .5f, "its logit_scale is what the loss begins with: %g, then %g", (double)base, (double)scale[STEPS]);
    ok(scale_of(in_place(tuned)) == scale[STEPS], "and what it learnt is the model's");
    count = compare(directory, in_place(tuned), text, &texts);
    compare(directory, in_place(tuned), image, &images);
    ok(count && texts > 10 && images > 10,
       "all %zu tensors under the names and in the shapes they had; %zu of texts, %zu of images changed", count, texts, images);
    ok((model = ft_model_open(in_place(tuned), NULL)) && model->tower_count == 2, "it opens again: %s", ft_error());
    ft_model_close(model);

    ok(train(directory, ft_arena_print(&arena, "%s-locked", name), &(struct way){.loss = "clip", .freeze = "image"}, scale) == 0, "the image tower frozen: %s", ft_error());
    compare(directory, in_place(ft_arena_print(&arena, "%s-locked", name)), image, &images);
    compare(directory, in_place(ft_arena_print(&arena, "%s-locked", name)), text, &texts);
    ok(images == 0 && texts > 10, "its tensors are what they were (%zu changed, of texts %zu)", images, texts);

    ok(train(directory, ft_arena_print(&arena, "%s-given", name), &(struct way){.loss = "clip:temperature=.05"}, scale) == 0 && fabs(scale[0] - log(20)) < 1e-6,
       "a temperature that is given is begun with: %s", ft_error());
    ok(scale_of(in_place(ft_arena_print(&arena, "%s-given", name))) == scale[STEPS], "and the model has what became of it");
}

int main(void)
{
    const char *own = "open_clip_model.safetensors";

    ok(mkdtemp(place) && read_lists("tests/golden/clip/names.txt") == 0 && read_lists("tests/golden/open-clip/names.txt") == 0, "lists of names");
    test_model("clip", make_model("clip", "transformers", "model.safetensors"), "text_model.", "vision_model.");
    test_model("open-clip", make_model("open-clip", "open_clip", own), "transformer.", "visual.");
    test_model("xlm-roberta", make_model_of("open-clip", "xlmr", "xlm-roberta", "open_clip", own), "text.transformer.", "visual.transformer.");
    test_model("resnet", make_model_of("open-clip", "clip-hf", "resnet", "open_clip", own), "transformer.", "visual.layer");
    test_model("siglip", make_model_of("open-clip", "t5", "siglip", "open_clip", own), "text.", "visual.trunk.");
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
