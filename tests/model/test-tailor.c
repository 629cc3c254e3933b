/* test-tailor.c - edited models: embeddings against PyTorch after cuts, pools and fewer layers, and what a written directory gives when it is opened
 * again; gradients through a generalised mean and a head; what new weights begin as; ft.json as a stranger writes it. Numbers:
 * tests/golden/tailor/make.py. */
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "model/embed.h"
#include "model/encode.h"
#include "model/listing.h"
#include "model/run/runner.h"
#include "model/weights/tensors.h"
#include "model/tailor/tailor.h"
#include "../tap.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define GOLDEN "tests/golden/tailor/"
#define MEAN "tests/golden/model/mean"
enum { MOST = 16 };

static struct ft_arena arena;
static char place[] = "/tmp/ft-test-XXXXXX";

struct golden {
    size_t count, dim;
    struct ft_string text[MOST];
    float *want;
};

static int read_golden(const char *name, struct golden *g)
{
    size_t size;
    char *all = ft_file_read(&arena, ft_arena_print(&arena, GOLDEN "%s.jsonl", name), 1 << 20, &size);

    *g = (struct golden){0};
    for (char *line = all, *end; line && *line && g->count < MOST; line = end + 1, g->count++) {
        json_t *root, *embedding;

        if (!(end = strchr(line, '\n')) || !(root = json_loadb(line, (size_t)(end - line), 0, NULL)))
            return -1;
        embedding = json_object_get(root, "embedding");
        g->dim = json_array_size(embedding);
        if (!g->want)
            g->want = ft_arena_take(&arena, MOST * g->dim * sizeof(float));
        g->text[g->count] = ft_string_of(ft_arena_text(&arena, ft_string_of(json_string_value(json_object_get(root, "text")))));
        for (size_t i = 0; i < g->dim; i++)
            g->want[g->count * g->dim + i] = (float)json_number_value(json_array_get(embedding, i));
        json_decref(root);
    }
    return g->count ? 0 : -1;
}

/* The farthest number, in units of 2e-6 times the largest (or of 1). */
static double farthest(const struct ft_model *model, const struct golden *g)
{
    float *out = ft_arena_zero(&arena, g->count * g->dim, sizeof *out);
    double most = 0, scale = 1;

    if (model->dim != g->dim || ft_embed_texts(model, &(struct ft_embed_options){.max_length = 0}, g->text, g->count, out) < 0)
        return INFINITY;
    for (size_t i = 0; i < g->count * g->dim; i++) {
        double far = fabs((double)out[i] - g->want[i]);

        most = far <= most ? most : far;
        scale = fmax(scale, fabs(g->want[i]));
    }
    return most / (2e-6 * scale);
}

/* "pool=gem:p=3 dim=8" as a list. */
static struct ft_list edits_of(const char *text)
{
    struct ft_list list = {ft_arena_zero(&arena, 32, sizeof(char *)), 0};

    for (const char *word = text; *word; word += strcspn(word, " "), word += *word == ' ')
        list.items[list.count++] = ft_arena_text(&arena, (struct ft_string){word, strcspn(word, " ")});
    return list;
}

static struct ft_model *tailor(const char *directory, const char *edits)
{
    const struct ft_list list = edits_of(edits);

    return ft_model_tailor(directory, &list, 5);
}

/* Written and opened again: the same checksum and nodes, and nothing left to say where modules.json is not there. */
static struct ft_model *again(const struct ft_model *model, const char *name)
{
    const char *directory = ft_arena_print(&arena, "%s/%s", place, name);

    return ft_model_place(model, directory, true) < 0 ? NULL : ft_model_open(directory, NULL);
}

static const struct {
    const char *name, *base, *edits;
    bool alone;                  /* no modules.json */
} cases[] = {
    {"layers", MEAN, "layers=1", false},
    {"layers", MEAN, "embedding=encoder.layer.0.output.LayerNorm normalize", false},
    {"last", MEAN, "embedding=encoder.layer.1.output.LayerNorm pool=last", false},
    {"weighted-mean", MEAN, "embedding=pooling pool=weighted-mean", false},
    {"max", MEAN, "embedding=pooling pool=max", false},
    {"cls", MEAN, "embedding=pooling pool=cls", false},
    {"mean-sqrt", MEAN, "embedding=pooling pool=mean-sqrt", false},
    {"cut-activation", MEAN, "embedding=encoder.layer.0.intermediate.act", true},
    {"cut-value", MEAN, "embedding=encoder.layer.1.attention.self.value pool=max", true},
    {"cut-embeddings", MEAN, "embedding=embeddings.dropout pool=cls", true},
    {"gem", MEAN, "embedding=pooling pool=gem", true},
    {"gem-fixed", MEAN, "pool=gem:p=1.5,learn=0", true},
    {"classifier", GOLDEN "classifier", "", false},
    {"cls", "tests/golden/model/nested", "max-length=24 embedding=pooling pool=cls", false},
};

static void test_cases(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = cases[i].name;
        struct ft_model *model = tailor(cases[i].base, cases[i].edits), *back;
        const char *modules = ft_arena_print(&arena, "%s/%s/modules.json", place, name);
        struct golden g;
        double far;

        if (!ok(model != NULL, "%s: '%s' is made %s", name, cases[i].edits, ft_error()) || !ok(read_golden(name, &g) == 0, "%s has numbers", name))
            continue;
        far = farthest(model, &g);
        ok(far <= 1, "%s: within 2e-6 of PyTorch (%.2g of that)", name, far);
        back = again(model, name);
        ok(back && farthest(back, &g) <= 1, "%s: written and opened again %s", name, back ? "" : ft_error());
        ok(ft_file_exists(modules) != cases[i].alone, "%s: %s modules.json", name, cases[i].alone ? "no" : "a");
        ok(!ft_model_alone(&arena, model) == !cases[i].alone, "%s: and it says %s", name, cases[i].alone ? "why" : "nothing");
        ft_model_close(back);
        ft_model_close(model);
    }
}

/* No tensor of a head or of layers that were taken off is carried along. */
static void test_left_out(void)
{
    struct ft_safetensors files;
    size_t heads = 0;

    ok(ft_tensors_open(&files, ft_arena_print(&arena, "%s/classifier", place)) == 0, "the bare classifier's weights open");
    for (size_t i = 0; i < files.count; i++)
        heads += strncmp(files.tensors[i].name, "classifier", 10) == 0;
    ok(heads == 0 && files.count > 30, "and have no classifier among them (%zu tensors)", files.count);
    ft_safetensors_close(&files);
    ok(ft_tensors_open(&files, ft_arena_print(&arena, "%s/layers", place)) == 0 && !ft_safetensors_find(&files, "encoder.layer.1.output.dense.weight"),
       "layers that were taken off are gone");
    ft_safetensors_close(&files);
}

/* ---- ft.json replayed, and gradients ---- */

static void set_rates(struct ft_model *model)
{
    for (int i = 0; i < model->node_count; i++)
        model->nodes[i].rate = 0;
}

static int pack(const struct ft_model *model, const struct golden *g, struct ft_packed *packed)
{
    const struct ft_string train[] = {g->text[1], g->text[2], g->text[4], g->text[6], g->text[7]};
    const struct ft_prompts none = {{NULL}};

    return ft_encode_texts(&arena, model, &none, 0, train, NULL, 5, packed);
}

static float *gradient_of(const struct ft_model *model, const struct ft_packed *packed, int flags, size_t per_chunk)
{
    struct ft_runner *runner = ft_runner_open(model, FT_PLAN_TRAINING | flags, FT_FP32);
    float *out = ft_arena_zero(&arena, packed->texts * model->dim, sizeof *out), *gradient = ft_arena_zero(&arena, model->block_count, sizeof *gradient);
    struct ft_cut cut;
    int result = runner && ft_cut_make(&arena, packed, per_chunk, &cut) == 0 && ft_runner_batch(runner, packed, &cut, 1, 1) == 0 ? 0 : -1;

    for (size_t c = 0; result == 0 && c < cut.chunk_count; c++)
        result = ft_runner_forward(runner, c, 1, out);
    for (size_t i = 0; i < packed->texts * model->dim; i++)
        out[i] = (float)sin(7.0 * (double)(i / model->dim) + 3.0 * (double)(i % model->dim) + 1);
    for (size_t c = 0; result == 0 && c < cut.chunk_count; c++)
        result = ft_runner_backward(runner, c, 1, out, gradient);
    ft_runner_close(runner);
    return result == 0 ? gradient : NULL;
}

/* The largest distance of a parameter's gradient, relative to its norm or a millionth of all; frozen ones must have none. */
static double worst(const struct ft_model *model, const float *got, const struct ft_safetensors *want)
{
    double most = 0;

    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = model->parameters + i;
        const struct ft_safetensor *t = ft_safetensors_find(want, ft_arena_print(&arena, "%s/%s", p->file, p->name));
        size_t n = p->rows * p->columns;
        float *reference = ft_arena_take(&arena, (n + 1) * sizeof *reference);
        double norm = 0, far = 0;

        if (p->statistic)
            continue;
        if (!t || t->count != n || ft_safetensor_floats(t, reference) < 0)
            return INFINITY;
        for (size_t k = 0; k < n; k++) {
            double truth = p->frozen ? 0 : reference[k];

            norm += truth * truth;
            far += (got[p->offset + k] - truth) * (got[p->offset + k] - truth);
        }
        far = sqrt(far) / fmax(sqrt(norm), 1e-5);
        if (getenv("FT_TEST_VERBOSE"))
            printf("# %s/%s: %.2g, norm %.2g\n", p->file, p->name, far, sqrt(norm));
        most = far <= most ? most : far;
    }
    return most;
}

static void test_head(const char *name)
{
    struct ft_model *model = ft_model_open(ft_arena_print(&arena, GOLDEN "%s", name), NULL), *back;
    struct ft_safetensors want;
    struct ft_packed packed;
    struct golden g;
    double far;

    if (!ok(model != NULL, "%s: ft.json is replayed %s", name, ft_error()) || !ok(read_golden(name, &g) == 0, "%s has numbers", name))
        return;
    far = farthest(model, &g);
    ok(far <= 1, "%s: within 2e-6 of PyTorch (%.2g of that)", name, far);
    ok(ft_model_numbers(model, true) < ft_model_numbers(model, false) && model->nodes[0].frozen && !model->nodes[3].frozen, "%s: what ft.json freezes is frozen", name);
    back = again(model, name);
    ok(back && farthest(back, &g) <= 1, "%s: saved as it came %s", name, back ? "" : ft_error());
    ft_model_close(back);
    set_rates(model);
    ok(ft_safetensors_open(&want, ft_arena_print(&arena, GOLDEN "%s-gradients.safetensors", name)) == 0 && pack(model, &g, &packed) == 0, "%s has gradients", name);
    for (int flags = 0; flags <= FT_PLAN_UNFUSED; flags += FT_PLAN_UNFUSED)
        for (size_t chunk = 0; chunk < 3; chunk += 2) {
            float *gradient = gradient_of(model, &packed, flags, chunk);

            far = gradient ? worst(model, gradient, &want) : INFINITY;
            /* Twice what whole encoders are held to: this one goes back through three more quotients, and p's gradient is a sum that cancels. */
            ok(far <= 2e-5, "%s: every gradient within 2e-5 of float64 (worst %.2g; flags %d, chunks of %zu)", name, far, flags, chunk);
        }
    ft_safetensors_close(&want);
    ft_model_close(model);
}

/* Dropout behind the pooling has a row a text: another batch number is another mask, and the same one the same. */
static void test_dropout(void)
{
    struct ft_model *model = ft_model_open(GOLDEN "head", NULL);
    struct ft_packed packed;
    struct golden g;
    float *one, *two;

    read_golden("head", &g);
    pack(model, &g, &packed);
    for (int i = 0; i < model->node_count; i++)
        model->nodes[i].rate = strcmp(model->nodes[i].name, "4_Dropout") == 0 ? .5f : 0;
    one = gradient_of(model, &packed, 0, 0);
    two = gradient_of(model, &packed, FT_PLAN_UNFUSED, 2);
    ok(one && two, "dropout in a head runs");
    for (int i = 0; one && two && i < model->parameter_count; i++) {
        const struct ft_parameter *p = model->parameters + i;
        double far = 0, norm = 0;

        if (strcmp(p->file, "5_Dense") != 0)
            continue;
        for (size_t k = p->offset; k < p->offset + p->rows * p->columns; k++)
            far += fabs((double)one[k] - two[k]), norm += fabs((double)one[k]);
        ok(norm > 0 && far / norm < 1e-5, "and has the same mask however the batch is cut (%.2g)", far / norm);
    }
    ft_model_close(model);
}

/* ---- new weights, freezing ---- */

static const struct ft_parameter *parameter_of(const struct ft_model *model, const char *file, const char *name)
{
    for (int i = 0; i < model->parameter_count; i++)
        if (strcmp(model->parameters[i].file, file) == 0 && strcmp(model->parameters[i].name, name) == 0)
            return model->parameters + i;
    return NULL;
}

static void test_beginning(void)
{
    struct ft_model *model = tailor(MEAN, "freeze=* dim=8"), *other = tailor(MEAN, "head=mlp:hidden=9,out=8,norm=layer,dropout=.2,activation=gelu dim=4");
    const struct ft_parameter *w = model ? parameter_of(model, "2_Dense", "linear.weight") : NULL, *b = model ? parameter_of(model, "2_Dense", "linear.bias") : NULL;
    struct ft_random random = ft_random_start(5, ft_crc32c(0, "2_Dense/linear.weight", 21));
    bool same = w != NULL, bounded = b != NULL;

    for (size_t i = 0; same && i < 8 * 20; i++)
        same = model->block[w->offset + i] == (float)(1 / sqrt(20.) * (2 * ft_random_uniform(&random) - 1));
    for (size_t i = 0; bounded && i < 8; i++)
        bounded = fabsf(model->block[b->offset + i]) <= 1 / sqrtf(20) && model->block[b->offset + i] != 0;
    ok(same && bounded, "a projection begins as it is documented");
    ok(model && ft_model_numbers(model, true) == 8 * 21 && strcmp(model->nodes[model->node_count - 1].name, "normalize") == 0 && model->dim == 8,
       "a linear probe trains its projection alone, before the normalisation");
    ok(other && other->dim == 4 && parameter_of(other, "3_LayerNorm", "norm.weight") && parameter_of(other, "6_Dense", "linear.weight"), "a head, and a projection behind it");
    w = other ? parameter_of(other, "3_LayerNorm", "norm.weight") : NULL;
    b = other ? parameter_of(other, "3_LayerNorm", "norm.bias") : NULL;
    ok(w && b && other->block[w->offset] == 1 && other->block[b->offset + 8] == 0, "a norm begins as the identity");
    ft_model_close(other);
    other = tailor(MEAN, "head=mlp:hidden=9,norm=batch freeze=3_BatchNorm");
    w = other ? parameter_of(other, "3_BatchNorm", "norm.running_var") : NULL;
    ok(w && w->statistic && w->frozen && other->block[w->offset] == 1, "and so does a batch norm, whose statistics are frozen with it");
    ft_model_close(other);
    other = model ? again(model, "probe") : NULL;
    ok(other && ft_model_numbers(other, true) == 8 * 21, "frozen when it is opened again %s", ft_error());
    ft_model_close(other);
    other = tailor(ft_arena_print(&arena, "%s/probe", place), "unfreeze=encoder.layer.1.* pool=gem layers=2");
    ok(other && ft_model_numbers(other, true) > 8 * 21 && ft_model_numbers(other, true) < ft_model_numbers(other, false), "edited again: %s", ft_error());
    ft_model_close(model);
    model = other ? again(other, "probe") : NULL;
    ok(model && ft_model_numbers(model, true) == ft_model_numbers(other, true) && !ft_file_exists(ft_arena_print(&arena, "%s/probe/modules.json", place)),
       "and written without modules.json now: %s", ft_error());
    ft_model_close(other);
    ft_model_close(model);
}

static void test_new(void)
{
    const struct ft_list none = {NULL, 0}, dim = edits_of("dim=3");
    const char *work = ft_arena_print(&arena, "%s/new", place);
    struct ft_model *model = ft_model_new("mlp:in=6,hidden=5+4,out=3,norm=layer,dropout=.1,l2=1", work, &none, 1), *back;

    ok(model && model->input == FT_INPUT_VECTOR && model->input_width == 6 && model->dim == 3 && model->normalized && model->node_count == 11,
       "a model of vectors from nothing: %s", ft_error());
    back = model ? again(model, "mlp") : NULL;
    ok(back && back->dim == 3 && ft_model_numbers(back, true) == 6 * 5 + 5 + 2 * 5 + 5 * 4 + 4 + 2 * 4 + 4 * 3 + 3, "written and opened again: %s", ft_error());
    ft_model_close(back);
    ft_model_close(model);
    ft_directory_remove(work);
    model = ft_model_new("mlp:in=6,out=5", work, &dim, 1);
    back = model ? again(model, "mlp") : NULL;
    ok(back && back->dim == 3, "one with an edit: %s", ft_error());
    ft_model_close(back);
    ft_model_close(model);
}

/* ---- what is refused ---- */

static void test_refused(void)
{
    static const struct { const char *edits, *says; } wrong[] = {
        {"", "no edit, and no classifier's head"}, {"layers=0", "1 to 2"}, {"layers=3", "1 to 2"}, {"layers=x", "1 to 2"},
        {"embedding=encoder.layer.2.output", "no such node"}, {"pool=median", "one of mean, max"}, {"pool=gem:p=0", "expected 0.01 to 100"},
        {"pool=gem:q=3", "no key 'q'"}, {"pool=mean:p=3", "no key 'p'"}, {"dim=0", "1 to 65536"}, {"dim=-1", "1 to 65536"}, {"head=cnn", "'cnn' is not known"},
        {"head=mlp:layers=0", "1 to 64"}, {"head=mlp:norm=instance", "expected batch, layer or none"}, {"head=mlp:activation=mish", "activation=mish"},
        {"head=mlp:dropout=1", "0 to 0.99"}, {"head=mlp:out=2.5", "not a whole number"}, {"freeze=nothing.*", "matches no node"}, {"freeze=below:x", "no such node"},
        {"max-length=33", "2 to 32"}, {"max-length=1", "2 to 32"}, {"twist=1", "no edit"},
    };
    const struct ft_list none = {NULL, 0};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ft_model *model = tailor(MEAN, wrong[i].edits);

        ok(!model && ft_error_status() == FT_USAGE && strstr(ft_error(), wrong[i].says), "'%s' is refused: %s", wrong[i].edits, ft_error());
        ft_model_close(model);
    }
    for (const char *const *s = (const char *const[]){"mlp:in=6", "mlp:out=6", "mlp:in=6,out=3,hidden=0", "mlp:in=6,out=3,hidden=4x5", "mlp:in=6,out=3,l2=2",
                                                     "mlp:in=6,out=3,depth=2", "cnn:in=6,out=3", NULL}; *s; s++)
        ok(!ft_model_new(*s, ft_arena_print(&arena, "%s/none", place), &none, 0) && ft_error_status() == FT_USAGE, "--new %s is refused: %s", *s, ft_error());
}

static const char head_start[] = "{\"ft\":1,\"family\":\"bert\",\"edits\":[{\"edit\":\"embedding\",\"node\":\"embeddings\"}";

static void test_hostile(void)
{
#define EDITS(more) "{\"ft\":1,\"family\":\"bert\",\"edits\":[{\"edit\":\"embedding\",\"node\":\"embeddings\"}," more "]}"
    static const struct { const char *text, *says; } files[] = {
        {"", "ft.json"}, {"[]", "\"ft\" is not 1"}, {"{\"ft\":2,\"edits\":[]}", "\"ft\" is not 1"}, {"{\"ft\":1}", "not a list"},
        {"{\"ft\":1,\"edits\":[],\"more\":1}", "'more' is not known"}, {"{\"ft\":1,\"edits\":[],\"family\":\"bert\"}", "no embedding"},
        {"{\"ft\":1,\"edits\":[],\"family\":\"gpt\"}", "no embedding"}, {"{\"ft\":1,\"edits\":[],\"family\":3}", "has no family"},
        {"{\"ft\":1,\"edits\":[{\"edit\":\"embedding\",\"node\":\"embeddings\"}]}", "no family"}, {"{\"ft\":1,\"edits\":[3]}", "'' is not known"},
        {EDITS("{\"edit\":\"explode\"}"), "'explode' is not known"}, {EDITS("{\"edit\":\"embedding\",\"node\":\"embeddings\"}"), "expected one embedding"},
        {EDITS("{\"edit\":\"pool\",\"name\":\"pooling\",\"pooling\":\"median\"}"), "'median'"}, {EDITS("{\"edit\":\"pool\",\"pooling\":\"mean\"}"), "has no name"},
        {EDITS("{\"edit\":\"pool\",\"name\":\"pooling\",\"pooling\":\"mean\",\"p\":3}"), "has a 'p'"},
        {EDITS("{\"edit\":\"gem\",\"name\":\"pooling\",\"p\":-3}"), "p is -3"}, {EDITS("{\"edit\":\"gem\",\"name\":\"pooling\",\"learn\":3}"), "learn"},
        {EDITS("{\"edit\":\"linear\",\"name\":\"../x\",\"out\":3}"), "does not stay inside"}, {EDITS("{\"edit\":\"linear\",\"name\":\"x\",\"out\":0}"), "out is 0"},
        {EDITS("{\"edit\":\"linear\",\"name\":\"x\"}"), "out"}, {EDITS("{\"edit\":\"linear\",\"name\":\"x\",\"out\":1e9}"), "out"},
        {EDITS("{\"edit\":\"activation\",\"name\":\"x\",\"activation\":\"mish\"}"), "'mish'"}, {EDITS("{\"edit\":\"dropout\",\"name\":\"x\",\"rate\":1}"), "rate is 1"},
        {EDITS("{\"edit\":\"freeze\",\"nodes\":\"nothing\"}"), "is no node"}, {EDITS("{\"edit\":\"freeze\"}"), "has no nodes"},
        {"{\"ft\":1,\"family\":\"bert\",\"edits\":[{\"edit\":\"embedding\",\"node\":\"x\"}]}", "no node 'x'"},
        {"{\"ft\":1,\"family\":\"bert\",\"edits\":[{\"edit\":\"pool\",\"name\":\"pooling\",\"pooling\":\"mean\"}]}", "that first"},
        {"{\"ft\":1,\"family\":\"gpt\",\"edits\":[{\"edit\":\"embedding\",\"node\":\"x\"}]}", "'gpt' is not supported"},
        {"{\"ft\":1,\"edits\":[{\"edit\":\"freeze\",\"nodes\":\"*\"}]}", "ft-tailored"},
    };
    const char *directory = ft_arena_print(&arena, "%s/hostile", place), *path = ft_arena_print(&arena, "%s/ft.json", directory);
    struct ft_model *model = tailor(MEAN, "embedding=embeddings"), *back = model ? again(model, "hostile") : NULL;
    const char *modules = "[{\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"}]";
    const char *whole = ft_arena_print(&arena, "%s,{\"edit\":\"pool\",\"name\":\"pooling\",\"pooling\":\"mean\"}]}", head_start);

    ok(back != NULL, "a model with ft.json: %s", ft_error());
    ft_model_close(back);
    ft_model_close(model);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        ft_file_write(path, files[i].text, strlen(files[i].text));
        model = ft_model_open(directory, NULL);
        ok(!model && ft_error_status() == FT_BAD && strstr(ft_error(), files[i].says), "ft.json refused: %s", ft_error());
        ft_model_close(model);
    }
    for (size_t i = 0; i < strlen(whole); i++) {
        ft_file_write(path, whole, i);
        model = ft_model_open(directory, NULL);
        if (model || ft_error_status() != FT_BAD)
            ok(false, "cut at byte %zu: %s", i, ft_error());
        ft_model_close(model);
    }
    ft_file_write(path, whole, strlen(whole));
    model = ft_model_open(directory, NULL);
    ok(model != NULL, "whole, it opens: %s", ft_error());
    ft_model_close(model);
    ft_file_write(ft_arena_print(&arena, "%s/modules.json", directory), modules, strlen(modules));
    model = ft_model_open(directory, NULL);
    ok(!model && strstr(ft_error(), "expected one of them"), "with a modules.json beside it it does not: %s", ft_error());
    ft_model_close(model);
}

int main(void)
{
    if (!ok(mkdtemp(place) != NULL, "a place to write"))
        return done();
    test_cases();
    test_left_out();
    test_head("head");
    test_head("batch");
    test_dropout();
    test_beginning();
    test_new();
    test_refused();
    test_hostile();
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
