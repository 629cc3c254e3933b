/* test-pair-finish.c - what two towers are at the end of a run: --wise-ft between before and after, --best what they were at their best, both of them and the
 * temperature that the loss learnt with them; stopped on the way or not. Of one config.json and joined. */
#include "pair-world.h"
#include "../tap.h"

struct state {
    struct ft_model *model;
    float scale;
};

static struct state open_state(const char *directory)
{
    return (struct state){ft_model_open(directory, NULL), scale_of(directory)};
}

/* Numbers of the tower that are not, to half an ulp of each, (1 - alpha) before + alpha after; `moved` are those that differ before and after. */
static size_t wrong(struct state between, struct state before, struct state after, int tower, double alpha, size_t *moved)
{
    size_t first = before.model->tower_first[tower], count = before.model->towers[tower]->block_count, bad = 0;

    *moved = 0;
    for (size_t i = first; i < first + count; i++) {
        double a = before.model->block[i], b = after.model->block[i];

        *moved += a != b;
        bad += !(fabs(between.model->block[i] - ((1 - alpha) * a + alpha * b)) <= 6e-8 * (fabs(a) + fabs(b)));
    }
    return bad;
}

static void test_average(const char *directory, const char *name, const char *loss, double alpha)
{
    const struct way way = {.loss = loss}, wise = {.loss = loss, .callbacks = {.average = true, .wise_ft = alpha}};
    const char *tuned = ft_arena_print(&arena, "%s-tuned", name), *averaged = ft_arena_print(&arena, "%s-%g", name, alpha);
    float scale[STEPS + 1], again[STEPS + 1];

    if (!ok(train(directory, tuned, &way, scale) == 0 && train(directory, averaged, &wise, again) == 0, "%s, --wise-ft %g: %s", name, alpha, ft_error()))
        return;
    {
        struct state before = open_state(directory), after = open_state(in_place(tuned)), between = open_state(in_place(averaged));
        float expected = (float)((1 - alpha) * scale[0] + alpha * scale[STEPS]);

        for (int t = 0; t < FT_TOWERS; t++) {
            size_t moved, bad = wrong(between, before, after, t, alpha, &moved);

            ok(bad == 0 && moved > 1000, "%zu numbers of the %s tower moved, %zu are not between", moved,
               ft_tower_name((enum ft_tower)t), bad);
        }
        ok(scale[0] != scale[STEPS] && after.scale == scale[STEPS] && between.scale == expected, "logit_scale %.9g to %.9g: %.9g", (double)scale[0], (double)scale[STEPS],
           (double)between.scale);
        ft_model_close(before.model);
        ft_model_close(after.model);
        ft_model_close(between.model);
    }
    ft_directory_remove(in_place(tuned));
    ft_directory_remove(in_place(averaged));
}

static void test_best(const char *directory, const char *name, const char *loss, const char *lora)
{
    const struct way first = {.loss = loss, .lora = lora, .keep = 1}, resumed = {.loss = loss, .lora = lora, .keep = 1, .stop = 2},
                     none = {.loss = loss, .lora = lora, .keep = STEPS + 1},
                     half = {.loss = loss, .lora = lora, .keep = 1, .stop = 1, .callbacks = {.average = true, .wise_ft = .5}};
    const struct way *const ways[] = {&first, &resumed, &none, &half};
    float scale[STEPS + 1], own = scale_of(directory);
    struct state state[4];
    bool good = true;

    for (int i = 0; good && i < 4; i++) {
        const char *run = ft_arena_print(&arena, "%s-best-%d", name, i);

        good = train(directory, run, ways[i], scale) == 0;
        state[i] = open_state(in_place(run));
        good &= state[i].model != NULL;
    }
    if (!ok(good, "%s, chosen: %s", name, ft_error()))
        return;
    ok(scale[1] != scale[STEPS] && state[0].scale == scale[1], "after batch 1: its logit_scale, %.9g of %.9g", (double)state[0].scale, (double)scale[STEPS]);
    ok(state[1].scale == scale[1] && memcmp(state[0].model->block, state[1].model->block, state[0].model->block_count * sizeof(float)) == 0,
       "stopped after another and resumed: the same");
    ok(state[2].scale == own || (isnan(own) && isnan(state[2].scale)), "none was better: the base model's, %g", (double)state[2].scale);
    ok(state[3].scale == (float)(.5 * scale[0] + .5 * scale[1]), "and averages are with the best, resumed too: %.9g", (double)state[3].scale);
    for (int i = 0; i < 4; i++)
        ft_model_close(state[i].model);
}

static void test_model(const char *directory, const char *name, const char *loss)
{
    test_average(directory, name, loss, .4);
    test_best(directory, name, loss, NULL);
}

int main(void)
{
    const char *joined;

    ok(mkdtemp(place) && read_lists("tests/golden/clip/names.txt") == 0, "lists of names");
    test_model(make_model("clip", "transformers", "model.safetensors"), "clip", "clip");
    test_model(make_model("open-clip", "open_clip", "open_clip_model.safetensors"), "open-clip", "clip");
    test_best(in_place("clip"), "clip-lora", "clip", "r=2,target=q_proj+fc1");
    if (ok((joined = make_joined("joined", "tests/golden/pictures/resnet")) != NULL, "joined: %s", ft_error())) {
        test_model(joined, "joined", "clip");
        test_best(joined, "joined-lora", "clip", "r=2");
        test_average(joined, "joined-given", "clip:temperature=.5", .5);
        test_average(joined, "joined-siglip", "siglip", .7);
    }
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
