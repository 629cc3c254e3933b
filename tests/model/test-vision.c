/* test-vision.c - image models against PyTorch in float64 (tests/golden/vision/make.py): embeddings, gradients, running statistics after a batch; the
 * fused plan against the unfused one, chunks against none, every kind of CPU, bfloat16; what is saved. */
#include "base/error.h"
#include "base/pool.h"
#include "model/model-build.h"
#include "model/run/runner.h"
#include "model/weights/tensors.h"
#include "../tap.h"
#include "vision-golden.h"

#include <sys/wait.h>

static char place[] = "/tmp/ft-test-XXXXXX";

/* ---- models ---- */

/* A directory with the case's model, and the model. */
static struct ft_model *open_case(const struct golden *g)
{
    const char *directory = ft_arena_print(&arena, "%s/%s", place, g->name), *golden = ft_arena_print(&arena, "tests/golden/vision/%s", g->name);
    const char *config = ft_arena_print(&arena, "%s/config.json", directory);
    bool own = strcmp(g->library, "transformers") == 0;
    const char *text = ft_arena_print(&arena, "{\"architecture\": \"%s\", \"pretrained_cfg\": {\"input_size\": [3, %zu, %zu]}}", g->architecture, g->size,
                                      g->size);
    static const char *const files[] = {"config.json", "preprocessor_config.json"};
    struct ft_model *model;

    ft_directory_make(directory);
    for (int i = 0; own && i < 2; i++) {
        size_t size;
        char *bytes = ft_file_read(&arena, ft_arena_print(&arena, "%s/%s", golden, files[i]), 1 << 20, &size);

        ft_file_write(ft_arena_print(&arena, "%s/%s", directory, files[i]), bytes, size);
    }
    if (!own)
        ft_file_write(config, text, strlen(text));
    write_weights(ft_arena_print(&arena, "%s/model.safetensors", directory), find(g->library, g->architecture), (struct content){.numbers = true});
    if (!(model = ft_model_open(directory, NULL)))
        printf("# %s\n", ft_error());
    else
        model->batch_statistics = strcmp(g->mode, "train") == 0;
    return model;
}

static int work(struct ft_model *model, const struct golden *g, int flags, enum ft_precision precision, size_t per_chunk, bool follow, struct outcome *o)
{
    struct ft_packed packed;

    pack_images(model, g->size, &packed);
    return run(model, &packed, flags, precision, per_chunk, follow, o);
}

static int embed(struct ft_model *model, const struct golden *g, enum ft_precision precision, struct outcome *o)
{
    struct ft_packed packed;

    pack_images(model, g->size, &packed);
    return run_forward(model, &packed, precision, o);
}

/* ---- against PyTorch ---- */

static size_t learning(const struct ft_model *model, bool statistics)
{
    size_t count = 0;

    for (int i = 0; i < model->parameter_count; i++)
        count += model->parameters[i].statistic == statistics;
    return count;
}

/* What is written has every tensor, those that no node uses too, with the bytes it had. */
static void test_saved(const struct ft_model *model)
{
    const char *directory = ft_arena_print(&arena, "%s/saved", place);
    struct ft_safetensors before = {0}, after = {0};
    size_t same = 0, heads = 0;

    if (!ok(ft_model_save(model, directory) == 0 && ft_tensors_open(&before, model->directory) == 0 && ft_tensors_open(&after, directory) == 0, "it is saved"))
        return;
    for (size_t i = 0; i < before.count && before.count == after.count; i++) {
        const struct ft_safetensor *a = &before.tensors[i], *b = &after.tensors[i];

        same += strcmp(a->name, b->name) == 0 && strcmp(a->dtype, b->dtype) == 0 && a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
        heads += strncmp(b->name, "fc.", 3) == 0 || ends(b->name, "num_batches_tracked");
    }
    ok(same == before.count && heads == 22, "all %zu tensors, the head and the norms' counters too", same);
    ft_safetensors_close(&before);
    ft_safetensors_close(&after);
}

static void test_case(const struct golden *g)
{
    struct ft_model *model = open_case(g);
    const char *title = ft_arena_print(&arena, "%s %s, %s", g->library, g->architecture, g->mode), *where = "";
    bool train = strcmp(g->mode, "train") == 0, tiny = strcmp(g->library, "transformers") == 0;
    /* Of millions of activations some lie so near to where ReLU, ReLU6 and max pooling change their mind that float32 decides otherwise; with the running
     * statistics of make.py a lite one is at both ends of ReLU6 nearly everywhere. */
    /* Where activations lie near a kink, rounding decides its side, and fp32 is not float64 in any software: with the real weights of lite0 torch's own fp32
       gradients differ from its float64 by 4e-3 at the stem, ft's by 4e-3 (plain) and 8e-4 (AVX-512, AMX), half of the tensors by less than 1e-5. */
    double bound = tiny || strncmp(g->architecture, "vit", 3) == 0 ? 1e-4 : strstr(g->architecture, "lite") ? 2e-2 : 1e-3;
    /* A library's product gives a row other bits in other company, and sums in fp32 what AMX does in more: through a whole network of chance weights, where by
     * a batch's own statistics most, that comes out larger. */
    bool library = !ft_kernels_cpu(FT_FP32)->linear_pack;
    double close = library && !tiny ? 3e-5 : 1e-5;
    struct outcome o, other;
    size_t count;
    double far;

    if (!ok(model && work(model, g, 0, FT_FP32, 0, false, &o) == 0, "%s", title))
        return;
    far = far_embedding(g, &o);
    ok(far <= (train ? close : 1e-5), "%s: embeddings, worst %.1e", title, far);
    far = far_sums(model, g, 'g', o.gradient, &where, &count);
    ok(far <= bound && count == learning(model, false), "%s: %zu gradients, worst %.1e of %s", title, count, far, where);
    if (!train) {
        embed(model, g, FT_FP32, &other);
        far = far_embedding(g, &other);
        ok(far <= 1e-5, "%s: embeddings without a backward, worst %.1e", title, far);
    }
    work(model, g, FT_PLAN_UNFUSED, FT_FP32, 0, false, &other);
    ok(apart(o.embedding, other.embedding, ITEMS * model->dim) <= close && apart(o.gradient, other.gradient, model->block_count) <= fmax(bound, 1e-4),
       "%s: unfused, %.1e and %.1e", title, apart(o.embedding, other.embedding, ITEMS * model->dim), apart(o.gradient, other.gradient, model->block_count));
    for (size_t per = 1; !train && per < ITEMS; per++) {
        work(model, g, 0, FT_FP32, per, false, &other);
        ok(apart(o.embedding, other.embedding, ITEMS * model->dim) <= (library ? close : 1e-6) &&
               apart(o.gradient, other.gradient, model->block_count) <= (library ? bound : 1e-5),
           "%s: chunks of %zu, %.1e and %.1e", title, per, apart(o.embedding, other.embedding, ITEMS * model->dim),
           apart(o.gradient, other.gradient, model->block_count));
    }
    if (tiny && !train) {
        work(model, g, 0, FT_BF16, 0, false, &other);
        far = apart(o.embedding, other.embedding, ITEMS * model->dim);
        ok(far <= 3e-2 && apart(o.gradient, other.gradient, model->block_count) <= .2, "%s: bf16, %.1e and %.1e of the largest", title, far,
           apart(o.gradient, other.gradient, model->block_count));
    }
    if (strcmp(g->architecture, "resnet18") == 0)
        test_saved(model);
    ft_model_close(model);
}

/* The same numbers, but of a fresh model that is followed, and for evaluation again. */
static void test_statistics(const struct golden *g)
{
    struct ft_model *model = open_case(g);
    const char *where = "";
    struct outcome o;
    size_t count;
    double far;

    if (!model || work(model, g, 0, FT_FP32, 0, true, &o) < 0)
        return;
    far = far_sums(model, g, 's', model->block, &where, &count);
    ok(far <= 1e-5 && count == learning(model, true), "%s %s: %zu running statistics, worst %.1e of %s", g->library, g->architecture, count, far, where);
    ft_model_close(model);
}

static void test_all(bool tiny)
{
    size_t size;
    struct golden *g = calloc(1, sizeof *g);
    char *line = ft_file_read(&arena, "tests/golden/vision/expected.txt", 1 << 20, &size);

    ok(g && line && read_lists("tests/golden/vision/names.txt") == 0 && read_lists("tests/golden/vision/names-tiny.txt") == 0, "golden files");
    while (next_case(&line, g) && (!tiny || strcmp(g->library, "transformers") == 0)) {
        test_case(g);
        if (strcmp(g->mode, "train") == 0)
            test_statistics(g);
        ft_directory_remove(ft_arena_print(&arena, "%s/%s", place, g->name));
    }
    ok(line && (tiny || !*line), "all of them");
    free(g);
}

/* The tiny ones again on another kind of CPU, which a process chooses once. */
static void test_level(const char *level)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        setenv("FT_CPU", level, 1);
        setenv("ONEDNN_MAX_CPU_ISA", strcmp(level, "avx2") == 0 ? "AVX2" : "DEFAULT", 1);   /* as on such a CPU */
        if (!freopen("/dev/null", "w", stdout))
            _exit(2);
        test_all(true);
        _exit(done());
    }
    ok(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "the tiny ones with FT_CPU=%s", level);
}

int main(void)
{
    if (!mkdtemp(place))
        return 1;
    test_level("plain");
    test_level("avx2");
    test_level("avx512");
    test_all(false);
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
