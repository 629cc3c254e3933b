/* test-towers.c - two towers trained together: embeddings, loss, every gradient and five steps against PyTorch; gradients that are the towers' own; kept or
 * run again, frozen and cached: the same bits. Numbers: tests/golden/towers/make.py. */
#include "base/error.h"
#include "base/file.h"
#include "model/tailor/tailor.h"
#include "model/towers.h"
#include "train/inputs.h"
#include "train/passes.h"
#include "train/trainer.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

#define GOLDEN "tests/golden/towers/towers.txt"
#define STRIPES "tests/golden/pictures/stripes/"
enum { ROWS = 6, ITEMS = 2 * ROWS, DIM = 6, MOST = 8, STEPS = 5 };

static struct ft_arena arena;
static char place[] = "/tmp/ft-test-XXXXXX", checksum[9];
static char *golden;
static const char *both;

static const struct { const char *text, *image; } pairs[ROWS] = {
    {"the cat sat on the mat", STRIPES "kind0/0.png"}, {"a dog", STRIPES "kind1/0.png"}, {"play my music", STRIPES "kind2/0.png"},
    {"what is my balance", STRIPES "kind3/0.png"}, {"edit photo", STRIPES "kind0/4.png"}, {"new word in time", STRIPES "kind1/4.png"},
};

/* How many numbers the line has that begins so, and which. */
static int look_up(const char *key, double number[MOST])
{
    size_t size = strlen(key);
    int count = 0;

    for (char *line = golden; line && *line; line += strcspn(line, "\n") + 1) {
        char *at = line + size, *end;

        if (strncmp(line, key, size) != 0 || *at != ' ')
            continue;
        for (; *at == ' ' && count < MOST; at = end)
            number[count++] = strtod(at, &end);
        return count;
    }
    ok(false, "no golden line %s", key);
    return 0;
}

static struct ft_batch make_batch(uint64_t number)
{
    static struct ft_content content[ITEMS];
    static uint8_t role[ITEMS];
    static int32_t row[ITEMS];

    for (int i = 0; i < ITEMS; i++) {
        content[i] = (struct ft_content){.tensor = NULL};
        *(i % 2 ? &content[i].uri : &content[i].text) = ft_string_of(i % 2 ? pairs[i / 2].image : pairs[i / 2].text);
        role[i] = i % 2 ? FT_POSITIVE : FT_ANCHOR;
        row[i] = i / 2;
    }
    return (struct ft_batch){.number = number, .epoch = 1, .kind = FT_BATCH_PAIRS, .rows = ROWS, .items = ITEMS, .content = content, .role = role, .row = row};
}

static struct ft_settings settings_of(const char *const *loss)
{
    return (struct ft_settings){.model = both, .model_checksum = checksum, .loss = {(const char **)loss, loss ? 1 : 0}, .optimizer = "adamw:decay=.01",
                                .schedule = "constant", .lr = 1e-3, .clip = 1, .precision = "fp32", .loss_lr = FT_RATE_AS_MODEL};
}

/* A forward and a backward of the loss of CLIP at its first temperature. */
struct outcome {
    float embedding[ITEMS * DIM], dembedding[ITEMS * DIM], *gradient;
    double loss;
    float scale_gradient[16];    /* one number, and what a block is rounded up to */
};

static int compute(struct outcome *o)
{
    static const char *const clip[] = {"clip"};
    const struct ft_list list = {(const char **)clip, 1};
    struct ft_batch batch = make_batch(1);
    struct ft_losses *losses = ft_losses_of_batch(&arena, &batch, &list, NULL);
    struct ft_loss_input input = ft_loss_input_of(&batch, o->embedding, DIM);
    const float scale[16] = {(float)log(1 / .07)};

    input.weights = scale;
    input.weights_gradient = o->scale_gradient;
    return losses ? ft_losses_compute(losses, &input, &o->loss, o->dembedding, NULL) : -1;
}

/* Frozen parts kept; weights packed by segments; pixels by a pager. */
enum { PLAIN = 0, CACHED = 1, SPARING = 2, PAGED = 4 };

static int encode(const struct ft_model *model, const struct ft_settings *s, const struct ft_batch *batch, bool paged, struct ft_packed *packed,
                  struct ft_pager **pager)
{
    struct ft_packed *towers = ft_arena_take(&arena, FT_TOWERS * sizeof *towers);

    if (ft_inputs_encode(&arena, model, s, batch, packed) < 0)
        return -1;
    memcpy(towers, packed->towers, FT_TOWERS * sizeof *towers);
    if (paged)
        towers[FT_TOWER_IMAGE].pixel = NULL;
    packed->towers = towers;
    return ft_inputs_show(&arena, model, s, batch, packed, pager);
}

static int work(const struct ft_model *model, size_t limit, size_t chunk, int how, struct outcome *o)
{
    const struct ft_settings s = settings_of(NULL);
    struct ft_passes *passes = ft_passes_open(model, FT_FP32);
    struct ft_batch batch = make_batch(1);
    struct ft_pager *pager = NULL;
    struct ft_packed packed;
    int result = -1;

    if (passes && how & SPARING)
        ft_passes_spare(passes);
    o->gradient = ft_model_zeros(model);
    if (passes && (!(how & CACHED) || ft_passes_cache(passes, 1 << 20) == 0) && encode(model, &s, &batch, how & PAGED, &packed, &pager) == 0 &&
        ft_passes_begin(passes, &packed, chunk, 7, 1) == 0 && ft_passes_forward(passes, limit, o->embedding) == 0 && compute(o) == 0)
        result = ft_passes_backward(passes, limit, o->dembedding, o->gradient);
    ft_passes_close(passes);
    ft_pager_close(pager);
    return result;
}

/* "text/2_Dense/linear.weight" */
static const char *key_of(const struct ft_model *model, enum ft_tower tower, int i)
{
    const struct ft_parameter *p = &model->towers[tower]->parameters[i];

    return ft_arena_print(&arena, "%s/%s%s%s", ft_tower_name(tower), p->file, *p->file ? "/" : "", p->name);
}

/* How far a tensor's norm, sum and weighed sum are from the golden ones, in shares of its norm: sums of n numbers by as much as their root lets rounding
 * grow. */
static double far_from(const char *kind, const char *key, const float *got, size_t count, double least)
{
    double want[MOST], square = 0, sum = 0, weighed = 0, unit;

    if (look_up(ft_arena_print(&arena, "%s %s", kind, key), want) != 3)
        return INFINITY;
    for (size_t i = 0; i < count; i++) {
        square += (double)got[i] * got[i];
        sum += got[i];
        weighed += sin((double)i + 1) * got[i];
    }
    unit = fmax(want[0], least);
    return fmax(fabs(sqrt(square) - want[0]), fmax(fabs(sum - want[1]), fabs(weighed - want[2])) / sqrt((double)count)) / unit;
}

/* Of all parameters of a tower but biases of keys, whose true gradients are zero, and statistics. */
static double farthest(const struct ft_model *model, enum ft_tower tower, const char *kind, const float *numbers, double least, const char **where)
{
    const struct ft_model *one = model->towers[tower];
    double most = 0;

    for (int i = 0; i < one->parameter_count; i++) {
        const struct ft_parameter *p = &one->parameters[i];
        const char *key = key_of(model, tower, i);
        double far;

        if (p->statistic || strstr(key, ".key.bias"))
            continue;
        far = far_from(kind, key, numbers + model->tower_first[tower] + p->offset, p->rows * p->columns, least);
        if (!(far <= most))
            most = far, *where = key;
    }
    return most;
}

static void test_gradients(const struct ft_model *model)
{
    struct outcome o;
    double want[MOST], far = 0, most;
    const char *where = "";

    if (!ok(work(model, SIZE_MAX, 0, PLAIN, &o) == 0, "forward and backward: %s", ft_error()))
        return;
    for (int i = 0; i < ITEMS; i++) {
        int count = look_up(ft_arena_print(&arena, "%s %d", i % 2 ? "image" : "text", i / 2), want);

        for (int k = 0; k < DIM; k++)
            far = count == DIM ? fmax(far, fabs(o.embedding[i * DIM + k] - want[k])) : INFINITY;
    }
    ok(far < 2e-6, "embeddings of texts and images within 2e-6 (worst %.2g)", far);
    is_close(o.loss, look_up("loss", want) == STEPS ? want[0] : NAN, 1e-5, "the loss of CLIP");
    is_close(o.scale_gradient[0], look_up("gradient loss/logit_scale", want) == 1 ? want[0] : NAN, 1e-5, "its gradient by the temperature");
    most = farthest(model, FT_TOWER_TEXT, "gradient", o.gradient, 1e-4, &where);
    /* Not 1e-5 as elsewhere: what the loss makes of rounded cosines is 1 / .07 times as far off. */
    ok(most < 2e-5, "every gradient of the text tower within 2e-5 of its norm (worst %.2g, %s)", most, where);
    most = farthest(model, FT_TOWER_IMAGE, "gradient", o.gradient, 1e-4, &where);   /* through batch norms of few values: as tests/model/test-vision.c has it */
    ok(most < 1e-4, "of the image tower within 1e-4 (worst %.2g, %s)", most, where);
    ft_model_zeros_free(model, o.gradient);
}

static void test_steps(const struct ft_model *base)
{
    static const char *const clip[] = {"clip"};
    const struct ft_trainer_options how = {.keep = 1};
    struct ft_settings s = settings_of(clip);
    const char *directory = ft_arena_print(&arena, "%s/run", place), *where = "";
    struct ft_run *run = ft_run_create(directory, &s, 0, NULL) == 0 ? ft_run_open(directory) : NULL;
    struct ft_trainer *t = run ? ft_trainer_open(run, &how) : NULL;
    double loss[MOST], norm[MOST], scale[MOST], most;
    bool good = t && ft_trainer_plan(t, STEPS, 1, 0) == 0 && look_up("loss", loss) == STEPS && look_up("norm", norm) == STEPS && look_up("scale", scale) == STEPS;
    float *change;

    for (uint64_t n = 1; good && n <= STEPS; n++) {
        struct ft_batch batch = make_batch(n);
        struct ft_step_report report;

        if (!(good = ft_trainer_step(t, &arena, &batch, NULL, &report) == 0))
            break;
        is_close(report.loss, loss[n - 1], 2e-5, "loss of a step");
        is_close(report.gradient_norm, norm[n - 1], 2e-5 * norm[n - 1], "norm of its gradient");
    }
    if (ok(good, "five steps: %s", ft_error())) {
        const struct ft_model *model = ft_trainer_model(t);

        change = ft_arena_take(&arena, model->block_count * sizeof *change);
        for (size_t i = 0; i < model->block_count; i++)
            change[i] = model->block[i] - base->block[i];
        for (int i = 0; i < FT_TOWERS; i++) {
            most = farthest(model, (enum ft_tower)i, "after", change, 1e-3, &where);
            ok(most < 1e-4, "every parameter of the %s tower changed as torch's did, within 1e-4 of the change (worst %.2g, %s)", ft_tower_name((enum ft_tower)i),
               most, where);
        }
    }
    ft_trainer_close(t);
    ft_run_close(run);
}

/* The towers by themselves, each on its items. */
static void test_apart(const struct ft_model *model)
{
    const struct ft_settings s = settings_of(NULL);
    struct ft_batch batch = make_batch(1);
    struct ft_packed packed;
    struct outcome o;
    bool same = true;

    if (!ok(work(model, SIZE_MAX, 0, PLAIN, &o) == 0 && ft_inputs_encode(&arena, model, &s, &batch, &packed) == 0, "the joined model: %s", ft_error()))
        return;
    for (int t = 0; t < FT_TOWERS; t++) {
        const struct ft_model *tower = model->towers[t];
        struct ft_passes *passes = ft_passes_open(tower, FT_FP32);
        float *gradient = ft_model_zeros(tower), own[ROWS * DIM], down[ROWS * DIM];

        for (int i = 0; i < ROWS; i++)
            memcpy(down + i * DIM, o.dembedding + (2 * i + t) * DIM, DIM * sizeof *down);
        same &= passes && ft_passes_begin(passes, &packed.towers[t], 0, 7, 1) == 0 && ft_passes_forward(passes, SIZE_MAX, own) == 0 &&
                ft_passes_backward(passes, SIZE_MAX, down, gradient) == 0;
        for (int i = 0; same && i < ROWS; i++)
            same = memcmp(own + i * DIM, o.embedding + (2 * i + t) * DIM, DIM * sizeof *own) == 0;
        same = same && memcmp(gradient, o.gradient + model->tower_first[t], tower->block_count * sizeof *gradient) == 0;
        ft_model_zeros_free(tower, gradient);
        ft_passes_close(passes);
    }
    ok(same, "embeddings and gradients are those of the towers apart, to the bit: %s", ft_error());
    ft_model_zeros_free(model, o.gradient);
}

static bool same_outcome(const struct ft_model *model, const struct outcome *a, const struct outcome *b)
{
    return memcmp(a->embedding, b->embedding, sizeof a->embedding) == 0 && memcmp(a->gradient, b->gradient, model->block_count * sizeof *a->gradient) == 0;
}

/* Cut into chunks of two items, none, some or all of them kept. */
static void test_caching(const struct ft_model *model)
{
    static const size_t limits[] = {0, 30000, 100000};
    struct outcome all, some;
    bool same = true;

    if (!ok(work(model, SIZE_MAX, 2, PLAIN, &all) == 0, "in chunks: %s", ft_error()))
        return;
    for (int i = 0; i < 3; i++) {
        same &= work(model, limits[i], 2, PLAIN, &some) == 0 && same_outcome(model, &all, &some);
        ft_model_zeros_free(model, some.gradient);
    }
    ok(same, "whatever is kept and whatever run again, the same bits");
    same = true;
    for (int i = 0; i < 9; i++) {
        same &= work(model, limits[i % 3], 2, (int[]){SPARING, PAGED, SPARING | PAGED}[i / 3], &some) == 0 && same_outcome(model, &all, &some);
        ft_model_zeros_free(model, some.gradient);
    }
    ok(same, "with weights packed by segments, and pixels by a pager, too: %s", ft_error());
    ft_model_zeros_free(model, all.gradient);
}

static size_t nonzero(const float *x, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += x[i] != 0;
    return n;
}

/* A frozen tower has no gradient; its embeddings may be kept. */
static void test_frozen(void)
{
    struct ft_model *model = ft_model_open(both, NULL);
    struct outcome plain, cached;
    size_t first;

    if (!ok(model && ft_model_freeze(model, "image", true) == 0 && work(model, SIZE_MAX, 0, PLAIN, &plain) == 0, "a frozen tower: %s", ft_error()))
        return;
    first = model->tower_first[FT_TOWER_IMAGE];
    ok(nonzero(plain.gradient + first, model->block_count - first) == 0 && nonzero(plain.gradient, first) > 1000, "only the other one has gradients");
    ok(work(model, SIZE_MAX, 0, CACHED, &cached) == 0 && nonzero(cached.gradient, first) == nonzero(plain.gradient, first), "its part is kept: %s", ft_error());
    for (int i = 0; i < ITEMS * DIM; i++)
        if (fabsf(cached.embedding[i] - plain.embedding[i]) > 1e-6f)
            ok(false, "number %d of what is kept: %g, was %g", i, (double)cached.embedding[i], (double)plain.embedding[i]);
    ft_model_zeros_free(model, cached.gradient);
    ft_model_zeros_free(model, plain.gradient);
    ft_model_freeze(model, "image", false);
    ok(work(model, SIZE_MAX, 0, CACHED, &cached) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), "no part of the model is frozen"),
       "nothing frozen: %s", ft_error());
    ft_model_zeros_free(model, cached.gradient);
    ft_model_close(model);
}

static void test_wire(const struct ft_model *model)
{
    const struct ft_settings s = settings_of(NULL);
    struct ft_batch batch = make_batch(1);
    struct ft_packed made, read;
    struct ft_buffer buffer = {0};
    msgpack_unpacked record;
    msgpack_packer pk;
    size_t offset = 0;
    bool good = ft_inputs_encode(&arena, model, &s, &batch, &made) == 0;

    msgpack_packer_init(&pk, &buffer, ft_buffer_write);
    msgpack_pack_map(&pk, ft_inputs_count(model));
    if (good)
        ft_inputs_write(&pk, model, &made);
    msgpack_unpacked_init(&record);
    good = good && msgpack_unpack_next(&record, buffer.data, buffer.size, &offset) == MSGPACK_UNPACK_SUCCESS;
    batch.object = &record.data;
    good = good && ft_inputs_read(&arena, &batch, model, model->max_length, &read) == 0;
    ok(good && read.texts == ITEMS && read.towers[0].texts == ROWS && read.towers[1].texts == ROWS, "tokens and pixels over a stream: %s", ft_error());
    if (good)
        ok(memcmp(read.towers[0].id, made.towers[0].id, made.towers[0].offset[ROWS] * sizeof(int32_t)) == 0 &&
               memcmp(read.towers[1].pixel, made.towers[1].pixel, ROWS * 24 * 24 * 3) == 0 &&
               memcmp(read.number[1], made.number[1], ROWS * sizeof(size_t)) == 0,
           "as they were");
    batch.items -= 2;
    ok(ft_inputs_read(&arena, &batch, model, model->max_length, &read) < 0 && ft_error_status() == FT_BAD, "of fewer items: %s", ft_error());
    batch.items += 2;
    batch.content[0] = (struct ft_content){.tensor = NULL};
    ok(ft_inputs_read(&arena, &batch, model, model->max_length, &read) < 0 && strstr(ft_error(), "item 1: neither text nor image"), "an item of neither: %s",
       ft_error());
    msgpack_unpacked_destroy(&record);
    ft_buffer_free(&buffer);
}

/* The text tower has no dropout, as torch's had none. */
static struct ft_model *make_model(void)
{
    static const char *still[] = {"dropout=0"}, *edits[] = {"dim=6"};
    const struct ft_list first = {still, 1}, second = {edits, 1};
    const char *text = ft_arena_print(&arena, "%s/still", place);
    struct ft_model *tower = ft_model_tailor("tests/golden/model/mean", &first, 5), *made = NULL;

    if (tower && ft_model_place(tower, text, false) == 0)
        made = ft_model_join(text, "tests/golden/pictures/resnet", &second, 5);
    ft_model_close(tower);
    return made;
}

int main(void)
{
    struct ft_model *made, *model;
    size_t size;

    golden = ft_file_read(&arena, GOLDEN, 1 << 20, &size);
    if (!mkdtemp(place) || !(both = ft_arena_print(&arena, "%s/both", place)))
        return 1;
    made = make_model();
    if (!ok(golden && made && ft_model_place(made, both, false) == 0 && (model = ft_model_open(both, NULL)), "joined: %s", ft_error()))
        return done();
    ft_model_checksum(model, checksum);
    test_gradients(model);
    test_steps(model);
    test_apart(model);
    test_caching(model);
    test_frozen();
    test_wire(model);
    ft_model_close(model);
    ft_model_close(made);
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
