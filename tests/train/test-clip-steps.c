/* test-clip-steps.c - small models of CLIP, open_clip, Chinese-CLIP and SigLIP in training, from texts and picture files on, against PyTorch in float64:
 * embeddings, losses, every gradient and five steps, at both bounds of logit_scale too; on every kind of CPU. Numbers: tests/golden/clip/make-steps.py. */
#include "../model/vision-names.h"
#include "base/error.h"
#include "model/weights/safetensors.h"
#include "model/towers.h"
#include "tensor/kernels.h"
#include "train/inputs.h"
#include "train/passes.h"
#include "train/trainer.h"
#include "../tap.h"

#include <sys/wait.h>

enum { ROWS = 6, ITEMS = 2 * ROWS, DIM = 32, STEPS = 5, TENSORS = 512 };

struct sum {
    char kind, tower[8], name[120];
    double product, length;
};
struct golden {
    char name[64], library[32], model[64], tokenizer[32], loss[32];
    int rows, pair[ROWS][2], logits;
    double rate, own[2], embedding[2][ROWS][DIM], by_logit[2];
    double loss_of[STEPS], norm[STEPS], logit[2][STEPS];
    struct sum sum[TENSORS];
    size_t sums;
};

static char place[] = "/tmp/ft-test-XXXXXX", checksum[9];
static const char *text[ROWS], *image[ROWS];
static double worst[7];          /* of all cases: embeddings, loss, its gradient by the logits, gradients, losses and norms of steps, the logits, changes */

/* Bounds, about three times what was found. On AMX gradients are of fewer products of parts of a number than embeddings are (lib/README.md). At the ceiling of
 * logit_scale the loss multiplies rounded cosines by 100, and it is steep there, so steps are of 1e-4, which weights about 1 round to one part in 1,700. */
struct bounds {
    double embedding, loss, by_logit, gradient, step, logit, change;
};

static struct bounds bounds_of(const struct golden *g)
{
    bool steep = g->rate < 1e-3, amx = strcmp(ft_kernels_cpu(FT_FP32)->name, "amx") == 0;

    return (struct bounds){.embedding = 3e-6, .loss = steep ? 3e-5 : 2e-6, .by_logit = 1e-5, .gradient = amx ? 6e-5 : steep ? 5e-5 : 1e-5,
                           .step = 4e-5, .logit = 2e-6, .change = steep ? 7e-4 : amx ? 5e-4 : 1.2e-4};
}

static void note(int which, double far)
{
    worst[which] = fmax(worst[which], far);
}

/* ---- golden numbers ---- */

static int read_numbers(char *p, double *number, int most)
{
    int count = 0;

    for (char *end; count < most && strtod(p, &end) != HUGE_VAL && end != p; p = end)
        number[count++] = strtod(p, NULL);
    return count;
}

static void read_line(struct golden *g, char *line)
{
    struct sum *sum = &g->sum[g->sums];
    char *rest = strchr(line, ' ') + 1, tower[8];
    int item;

    if (sscanf(line, "%c %7s %119s %lf %lf", &sum->kind, sum->tower, sum->name, &sum->product, &sum->length) == 5 && strchr("ga", sum->kind))
        g->sums += g->sums + 1 < TENSORS;
    else if (sscanf(line, "e %7s %d", tower, &item) == 2 && item < ROWS)
        read_numbers(strchr(strchr(rest, ' ') + 1, ' '), g->embedding[strcmp(tower, "image") == 0][item], DIM);
    else if (strncmp(line, "pairs ", 6) == 0)
        for (; rest && g->rows < ROWS && sscanf(rest, "%d:%d", &g->pair[g->rows][0], &g->pair[g->rows][1]) == 2; g->rows++)
            rest = strchr(rest, ' ') ? strchr(rest, ' ') + 1 : NULL;
    else if (strncmp(line, "rate ", 5) == 0)
        read_numbers(rest, &g->rate, 1);
    else if (strncmp(line, "own ", 4) == 0)
        g->logits = read_numbers(rest, g->own, 2);
    else if (strncmp(line, "d ", 2) == 0)
        read_numbers(rest, g->by_logit, 2);
    else
        read_numbers(rest, *line == 'l' ? g->loss_of : *line == 'n' ? g->norm : g->logit[*line == 'b'], STEPS);
}

/* The next case of steps.txt from *next on. */
static bool next_case(char **next, struct golden *g)
{
    memset(g, 0, sizeof *g);
    if (!*next || sscanf(*next, "case %63s %31s %63s %31s %31s", g->name, g->library, g->model, g->tokenizer, g->loss) != 5)
        return false;
    for (*next += strcspn(*next, "\n") + 1; **next && strncmp(*next, "case ", 5) != 0;) {
        char *line = *next;

        *next += strcspn(line, "\n") + 1;
        (*next)[-1] = '\0';
        read_line(g, line);
    }
    return g->rows && g->logits && g->sums;
}

static bool read_pairs(void)
{
    size_t size;
    char *line = ft_file_read(&arena, "tests/golden/clip/pairs.txt", 1 << 16, &size);
    int count = 0;

    for (; line && *line && count < ROWS; count++) {
        text[count] = line;
        line += strcspn(line, "\t");
        *line++ = '\0';
        image[count] = ft_arena_print(&arena, "tests/golden/pictures/stripes/%.*s", (int)strcspn(line, "\n"), line);
        line += strcspn(line, "\n") + 1;
    }
    return count == ROWS;
}

/* ---- models and batches ---- */

static void copy(const char *from, const char *to)
{
    size_t size;
    char *all = ft_file_exists(from) ? ft_file_read(&arena, from, 1 << 20, &size) : NULL;

    if (all)
        ft_file_write(to, all, size);
}

/* In the file of weights, logit_scale and logit_bias as the case has them. */
static bool put_logits(const struct golden *g, const char *path)
{
    struct ft_safetensors file = {0};
    struct ft_safetensor *tensors;
    size_t count = 0;
    float own[2];
    bool good;

    if (ft_safetensors_open(&file, path) < 0 || !(tensors = ft_arena_zero(&arena, file.count + 2, sizeof *tensors)))
        return false;
    for (size_t i = 0; i < file.count; i++)
        if (ft_logit_find(file.tensors[i].name) < 0)
            tensors[count++] = file.tensors[i];
    for (int i = 0; i < g->logits; i++) {
        own[i] = (float)g->own[i];
        tensors[count++] = (struct ft_safetensor){.name = ft_logit_name(i), .dtype = "F32", .count = 1, .data = &own[i], .size = sizeof own[i]};
    }
    good = ft_safetensors_write(ft_arena_print(&arena, "%s.new", path), tensors, count) == 0 && rename(ft_arena_print(&arena, "%s.new", path), path) == 0;
    ft_safetensors_close(&file);
    return good;
}

static const char *make_model(const struct golden *g)
{
    static const char *const files[] = {"config.json", "preprocessor_config.json", "open_clip_config.json"};
    const char *directory = ft_arena_print(&arena, "%s/%s", place, g->name);
    bool own = strcmp(g->library, "open_clip") == 0;
    const char *weights = ft_arena_print(&arena, "%s/%s", directory, own ? "open_clip_model.safetensors" : "model.safetensors");

    ft_directory_make(directory);
    for (int i = 0; i < 3; i++)
        copy(ft_arena_print(&arena, "tests/golden/clip/%s/%s", g->model, files[i]), ft_arena_print(&arena, "%s/%s", directory, files[i]));
    copy(ft_arena_print(&arena, "tests/golden/tokenizer/general/%s.json", g->tokenizer), ft_arena_print(&arena, "%s/tokenizer.json", directory));
    write_weights(weights, find(g->library, g->model), (struct content){.numbers = true});
    return put_logits(g, weights) ? directory : NULL;
}

static struct ft_batch make_batch(const struct golden *g, uint64_t number)
{
    static struct ft_content content[ITEMS];
    static uint8_t role[ITEMS];
    static int32_t row[ITEMS];
    size_t rows = (size_t)g->rows;

    for (int i = 0; i < 2 * g->rows; i++) {
        content[i] = (struct ft_content){.tensor = NULL};
        *(i % 2 ? &content[i].uri : &content[i].text) = ft_string_of(i % 2 ? image[g->pair[i / 2][1]] : text[g->pair[i / 2][0]]);
        role[i] = i % 2 ? FT_POSITIVE : FT_ANCHOR;
        row[i] = i / 2;
    }
    return (struct ft_batch){.number = number, .epoch = 1, .kind = FT_BATCH_PAIRS, .rows = rows, .items = 2 * rows, .content = content, .role = role,
                             .row = row};
}

/* ---- how far ---- */

/* What of a tensor's numbers is a bias of keys: none, or [*from, *to). */
static void find_keys(const char *name, size_t count, size_t *from, size_t *to)
{
    bool all = ends(name, "k_proj.bias") || ends(name, ".key.bias"), third = ends(name, "attn.in_proj_bias"), half = ends(name, "key_value.bias");

    *from = third ? count / 3 : 0;
    *to = all ? count : third ? count / 3 * 2 : half ? count / 2 : 0;
}

/* The farthest of a tower's tensors: length, and product with numbers of a hash, by the length. */
static double farthest(const struct golden *g, const struct ft_model *tower, char kind, const char *of, const float *number, size_t *count, const char **where)
{
    double most = 0;

    for (int i = 0; i < tower->parameter_count; i++)
        for (size_t k = 0; k < g->sums; k++) {
            const struct ft_parameter *p = &tower->parameters[i];
            const struct sum *sum = &g->sum[k];
            uint32_t hash = name_hash(ft_arena_print(&arena, "of %s", p->name));
            double product = 0, square = 0, far;
            size_t from, to;

            if (sum->kind != kind || strcmp(sum->tower, of) != 0 || strcmp(sum->name, p->name) != 0)
                continue;
            find_keys(p->name, p->rows * p->columns, &from, &to);
            for (size_t j = 0; j < p->rows * p->columns; j++)
                if (j < from || j >= to) {
                    product += number[p->offset + j] * uniform(hash, j);
                    square += (double)number[p->offset + j] * number[p->offset + j];
                }
            far = fmax(fabs(product - sum->product), fabs(sqrt(square) - sum->length)) / sum->length;
            ++*count;
            if (!(far <= most))
                most = far, *where = p->name;
        }
    return most;
}

/* Every parameter but biases of keys is compared. */
static bool compares_all(const struct ft_model *tower, size_t count)
{
    size_t left = 0, from, to;

    for (int i = 0; i < tower->parameter_count; i++) {
        find_keys(tower->parameters[i].name, tower->parameters[i].columns, &from, &to);
        left += to == tower->parameters[i].columns && tower->parameters[i].rows == 1;
    }
    return count + left == (size_t)tower->parameter_count;
}

static void test_numbers(const struct golden *g, const struct ft_model *model, char kind, const float *number, double bound)
{
    for (int t = 0; t < FT_TOWERS; t++) {
        const struct ft_model *tower = model->towers[t];
        const char *of = ft_tower_name((enum ft_tower)t), *where = "";
        size_t count = 0;
        double most = farthest(g, tower, kind, of, number + model->tower_first[t], &count, &where);

        note(kind == 'g' ? 3 : 6, most);
        ok(most <= bound && compares_all(tower, count), "%s: %s of %zu parameters of the %s tower's %d, worst %.1e (%s)", g->name,
           kind == 'g' ? "gradients" : "changes by five steps", count, of, tower->parameter_count, most, where);
    }
}

/* ---- the first step, apart ---- */

static double far_embedding(const struct golden *g, size_t dim, const float *embedding)
{
    double most = 0, scale = 0;

    for (int i = 0; i < 2 * g->rows; i++)
        for (size_t k = 0; k < dim; k++) {
            most = fmax(most, fabs(embedding[(size_t)i * dim + k] - g->embedding[i % 2][i / 2][k]));
            scale = fmax(scale, fabs(g->embedding[i % 2][i / 2][k]));
        }
    return most / scale;
}

static void test_first(const struct golden *g, struct ft_trainer *t)
{
    const struct ft_model *model = ft_trainer_model(t);
    const struct ft_settings *s = ft_trainer_settings(t);
    const struct ft_loss_layout *layout = ft_weights_layout(ft_trainer_weights(t));
    struct ft_passes *passes = ft_passes_open(model, FT_FP32);
    struct ft_batch batch = make_batch(g, 1);
    float embedding[ITEMS * DIM], down[ITEMS * DIM], by[64] = {0}, *gradient = ft_model_zeros(model);
    struct ft_loss_input input = ft_loss_input_of(&batch, embedding, model->dim);
    struct ft_losses *losses = ft_losses_of_batch(&arena, &batch, &s->loss, NULL);
    const struct bounds b = bounds_of(g);
    struct ft_packed packed;
    double loss, far;

    ft_weights_give(ft_trainer_weights(t), &input);
    input.weights_gradient = by;
    if (!ok(passes && losses && model->dim <= DIM && layout->learnt <= 64 && ft_inputs_encode(&arena, model, s, &batch, &packed) == 0 &&
            ft_passes_begin(passes, &packed, 0, 7, 1) == 0 && ft_passes_forward(passes, SIZE_MAX, embedding) == 0 &&
            ft_losses_compute(losses, &input, &loss, down, NULL) == 0 && ft_passes_backward(passes, SIZE_MAX, down, gradient) == 0,
            "%s: forward and backward: %s", g->name, ft_error()))
        return;
    note(0, far = far_embedding(g, model->dim, embedding));
    ok(far <= b.embedding, "%s: embeddings, worst %.1e of the largest", g->name, far);
    note(1, far = fabs(loss / g->loss_of[0] - 1));
    ok(far <= b.loss, "%s: the loss is %g, off by %.1e of it", g->name, loss, far);
    for (int i = 0; i < g->logits; i++) {
        note(2, far = fabs((double)by[layout->tensor[i].first] / g->by_logit[i] - 1));
        ok(far <= b.by_logit, "%s: its gradient by %s is %g, off by %.1e of it", g->name, layout->tensor[i].name, (double)by[layout->tensor[i].first], far);
    }
    test_numbers(g, model, 'g', gradient, b.gradient);
    ft_model_zeros_free(model, gradient);
    ft_passes_close(passes);
}

/* ---- five steps ---- */

static void test_steps(const struct golden *g, struct ft_trainer *t)
{
    const struct ft_model *model = ft_trainer_model(t);
    const struct ft_loss_layout *layout = ft_weights_layout(ft_trainer_weights(t));
    float *change = ft_arena_take(&arena, model->block_count * sizeof *change);
    const struct bounds b = bounds_of(g);
    struct ft_loss_input input = {.n = 0};
    double far_loss = 0, far_norm = 0, far_logit = 0;

    for (size_t i = 0; i < model->block_count; i++)
        change[i] = -model->block[i];
    for (int n = 0; n < STEPS; n++) {
        struct ft_batch batch = make_batch(g, (uint64_t)n + 1);
        struct ft_step_report report;

        if (ft_trainer_step(t, &arena, &batch, NULL, &report) < 0) {
            ok(false, "%s: step %d: %s", g->name, n + 1, ft_error());
            return;
        }
        far_loss = fmax(far_loss, fabs(report.loss - g->loss_of[n]) / g->loss_of[0]);
        far_norm = fmax(far_norm, fabs(report.gradient_norm - g->norm[n]) / g->norm[0]);
        ft_weights_give(ft_trainer_weights(t), &input);
        for (int i = 0; i < g->logits; i++)
            far_logit = fmax(far_logit, fabs((double)input.weights[layout->tensor[i].first] - g->logit[i][n]));
    }
    note(4, fmax(far_loss, far_norm));
    note(5, far_logit);
    ok(far_loss <= b.step && far_norm <= b.step, "%s: losses of five steps, worst %.1e of the first; norms of their gradients, %.1e", g->name, far_loss,
       far_norm);
    ok(far_logit <= b.logit, "%s: logit_scale and logit_bias after each, worst %.1e", g->name, far_logit);
    for (size_t i = 0; i < model->block_count; i++)
        change[i] += model->block[i];
    test_numbers(g, model, 'a', change, b.change);
}

static void test_case(const struct golden *g)
{
    const char *losses[] = {g->loss}, *directory = make_model(g), *run_directory = ft_arena_print(&arena, "%s/run", place);
    struct ft_settings s = {.model = directory, .model_checksum = checksum, .loss = {losses, 1}, .optimizer = "adamw:decay=.01,eps=1e-6",
                            .schedule = "constant", .lr = g->rate, .clip = 1, .precision = "fp32", .loss_lr = 1e-3};
    const struct ft_trainer_options how = {.keep = 1};
    struct ft_model *model = directory ? ft_model_open(directory, NULL) : NULL;
    struct ft_run *run = NULL;
    struct ft_trainer *t = NULL;

    if (model && model->tower_count == FT_TOWERS) {
        ft_model_checksum(model, checksum);
        run = ft_run_create(run_directory, &s, 0, NULL) == 0 ? ft_run_open(run_directory) : NULL;
        t = run ? ft_trainer_open(run, &how) : NULL;
    }
    if (ok(t && ft_trainer_plan(t, STEPS, 1, 0) == 0, "%s: %s", g->name, ft_error())) {
        test_first(g, t);
        test_steps(g, t);
    }
    ft_trainer_close(t);
    ft_run_close(run);
    ft_model_close(model);
    ft_directory_remove(run_directory);
}

static void test_all(void)
{
    size_t size, cases = 0;
    struct golden *g = calloc(1, sizeof *g);
    char *line = ft_file_read(&arena, "tests/golden/clip/steps.txt", 1 << 20, &size);

    for (; next_case(&line, g); cases++)
        test_case(g);
    ok(line && !*line && cases == 8, "all %zu cases", cases);
    printf("# %s, worst: embeddings %.1e, loss %.1e, its gradient by the logits %.1e, gradients %.1e, losses of steps %.1e, the logits %.1e, changes %.1e\n",
           ft_kernels_cpu(FT_FP32)->name, worst[0], worst[1], worst[2], worst[3], worst[4], worst[5], worst[6]);
    free(g);
}

/* What went wrong in a process of its own, and how far it was off. */
static void tell(const char *path)
{
    size_t size;
    char *line = ft_file_read(&arena, path, 1 << 20, &size);

    for (; line && *line; line += strcspn(line, "\n") + 1)
        if (strchr("n#", *line))
            printf("# %.*s\n", (int)strcspn(line, "\n"), line);
    fflush(stdout);
}

/* Again with another kind of CPU and library, which a process chooses once. */
static void test_again(const char *level, const char *library)
{
    const char *path = ft_arena_print(&arena, "%s/%s-%s", place, level, library);
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        setenv("FT_CPU", level, 1);
        setenv("FT_BLAS", library, 1);
        if (!freopen(path, "w", stdout))
            _exit(2);
        test_all();
        status = done();
        fflush(stdout);
        _exit(status);
    }
    ok(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "with FT_CPU=%s FT_BLAS=%s", level, library);
    tell(path);
}

int main(void)
{
    if (!mkdtemp(place) || !ok(read_pairs() && read_lists("tests/golden/clip/names.txt") == 0, "golden files"))
        return 1;
    test_again("plain", "onednn");
    test_again("baseline", "onednn");
    test_again("avx2", "onednn");
    test_again("avx2", "openblas");
    test_again("avx512", "onednn");
    test_again("avx512", "openblas");
    test_all();
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
