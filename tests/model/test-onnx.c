/* test-onnx.c - models as ONNX: the files hold together, and every weight in them is the model's, whether it lies inside or beside; the same bytes every
 * time, those that onnxruntime gave the right embeddings for (tests/golden/onnx); what fails leaves nothing behind.
 *
 * test-onnx MODEL FILE LIMIT writes one for tests/golden/onnx/compare.py, with weights beside from LIMIT bytes on. */
#include "base/error.h"
#include "base/hash.h"
#include "model/export/onnx.h"
#include "model/towers.h"
#include "vision-names.h"
#include "onnx-check.h"
#include "../tap.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char place[] = "/tmp/ft-test-XXXXXX";
static struct onnx onnx;

static void *read_all(const char *path, size_t *size)
{
    return ft_file_read(&arena, path, 1 << 28, size);
}

/* Is the tensor the parameter, as it lies or transposed? */
static bool holds(const struct tensor *t, const struct ft_model *model, const struct ft_parameter *p, bool transposed)
{
    const float *want = model->block + p->offset;
    size_t rows = transposed ? p->rows : 1, columns = transposed ? p->columns : p->rows * p->columns;

    if (t->count != p->rows * p->columns || (transposed && (t->rank != 2 || t->dims[0] != columns || t->dims[1] != rows)))
        return false;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            if (memcmp(t->data + 4 * (c * rows + r), want + r * columns + c, 4) != 0)
                return false;
    return true;
}

/* Each of the model's parameters that a graph needs is there once. */
static bool has_weights(const struct ft_model *model, size_t *outside)
{
    bool good = true;

    *outside = 0;
    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = &model->parameters[i];
        const char *name = ft_arena_print(&arena, "%s%s%s", p->file, *p->file ? "." : "", p->name);
        size_t found = 0;

        for (size_t k = 0; k < onnx.tensor_count; k++) {
            const struct tensor *t = &onnx.tensors[k];
            bool plain = ft_string_is(t->name, name), turned = ft_string_is(t->name, ft_arena_print(&arena, "%s.transposed", name));

            found += (plain || turned) && holds(t, model, p, turned);
            *outside += (plain || turned) && t->external;
        }
        if (found != 1) {
            printf("# %s is there %zu times\n", name, found);
            good = false;
        }
    }
    return good;
}

/* Read what was written; `limit` as it was written with. */
static bool check_file(const struct ft_model *model, const char *path, bool two, const char *what)
{
    const char *data = ft_arena_print(&arena, "%s.data", path);
    size_t size, other_size = 0, outside;
    void *bytes = read_all(path, &size), *other = two ? read_all(data, &other_size) : NULL;

    memset(&onnx, 0, sizeof onnx);
    onnx.other = other;
    onnx.other_size = other_size;
    onnx.location = strrchr(data, '/') + 1;
    if (!ok(bytes && onnx_read(&onnx, bytes, size), "%s: what is written holds together", what))
        printf("# %s\n", onnx.why);
    ok(ft_file_exists(data) == two, "%s: %s", what, two ? "weights beside" : "one file");
    ok(has_weights(model, &outside) && (outside > 0) == two, "%s: all weights, number by number", what);
    return bytes != NULL;
}

static bool gives(const char *name)
{
    for (size_t i = 0; i < onnx.output_count; i++)
        if (ft_string_is(onnx.outputs[i], name))
            return true;
    return false;
}

/* ---- every family ---- */

struct golden {
    char model[128], tokenizer[32], library[32];   /* the latter two of directories without weights */
    unsigned crc;
    size_t nodes;
};

static void copy(const char *from, const char *to)
{
    size_t size;
    void *bytes = ft_file_exists(from) ? read_all(from, &size) : NULL;

    if (bytes)
        ft_file_write(to, bytes, size);
}

/* A directory without weights, which are made here. */
static const char *make_golden(const struct golden *g, const char *from, const char *name)
{
    static const char *const files[] = {"config.json", "preprocessor_config.json", "open_clip_config.json", "tokenizer_config.json"};
    const char *directory = ft_arena_print(&arena, "%s/%s-%s", place, g->library, name);
    const char *weights = strcmp(g->library, "open_clip") == 0 ? "open_clip_model.safetensors" : "model.safetensors";

    ft_directory_make(directory);
    for (int i = 0; i < 4; i++)
        copy(ft_arena_print(&arena, "%s/%s", from, files[i]), ft_arena_print(&arena, "%s/%s", directory, files[i]));
    copy(ft_arena_print(&arena, "tests/golden/tokenizer/general/%s.json", g->tokenizer), ft_arena_print(&arena, "%s/tokenizer.json", directory));
    write_weights(ft_arena_print(&arena, "%s/%s", directory, weights), find(g->library, name), (struct content){.numbers = true});
    return directory;
}

/* "vision/vit", "clip/clip:text": a tower. */
static struct ft_model *open_golden(const struct golden *g)
{
    const char *colon = strchr(g->model, ':'), *from = ft_arena_print(&arena, "tests/golden/%.*s", (int)strcspn(g->model, ":"), g->model);
    const char *directory = *g->library ? make_golden(g, from, strrchr(from, '/') + 1) : from;

    return colon ? ft_model_open_tower(directory, strcmp(colon, ":text") == 0 ? FT_TOWER_TEXT : FT_TOWER_IMAGE) : ft_model_open(directory, NULL);
}

static void test_golden(const struct golden *g)
{
    struct ft_model *model = open_golden(g);
    const char *path = ft_arena_print(&arena, "%s/golden.onnx", place);
    size_t size = 0;
    void *bytes;
    unsigned crc;

    if (!ok(model && ft_onnx_write(model, path, FT_ONNX_LIMIT) == 0, "%s: written", g->model)) {
        printf("# %s\n", ft_error());
        ft_model_close(model);
        return;
    }
    check_file(model, path, false, g->model);
    ok(gives("sentence_embedding") && gives("last_hidden_state") == (model->input == FT_INPUT_TEXT || strstr(g->model, "vit") || strstr(g->model, "clip")), "%s: outputs", g->model);
    bytes = read_all(path, &size);
    crc = ft_crc32c(0, bytes, size);
    if (!ok(crc == g->crc && onnx.node_count == g->nodes, "%s: the bytes that were run", g->model))
        printf("# %08x %zu %s\n", crc, onnx.node_count, g->model);
    ok(ft_onnx_write(model, path, 20000) == 0, "%s: in two files", g->model);
    check_file(model, path, model->block_count > 4000, g->model);
    unlink(path);
    unlink(ft_arena_print(&arena, "%s.data", path));
    ft_model_close(model);
}

static void test_families(void)
{
    size_t size;
    char *all = read_all("tests/golden/onnx/files.txt", &size);
    struct golden g;

    ok(all && read_lists("tests/golden/vision/names-tiny.txt") == 0 && read_lists("tests/golden/clip/names.txt") == 0 &&
       read_lists("tests/golden/open-clip/names.txt") == 0, "golden numbers are there");
    for (char *line = all; line && *line; line = strchr(line, '\n') + 1)
        if (g = (struct golden){0}, sscanf(line, "%x %zu %127[^ \n]%*1[ ]%31s %31s", &g.crc, &g.nodes, g.model, g.library, g.tokenizer) >= 3)
            test_golden(&g);
}

/* ---- what is no model of ONNX ---- */

static void test_refused(const char *path)
{
    struct ft_model *model = ft_model_open("tests/golden/model/mean", NULL);
    struct ft_node *last = &model->nodes[model->node_count - 1];
    struct ft_node keep = *last;

    last->op = (enum ft_op)200;
    ok(ft_onnx_write(model, path, FT_ONNX_LIMIT) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), last->name) && !ft_file_exists(path),
       "a node of an unknown op is named: %s", ft_error());
    *last = keep;
    last->op = FT_OP_POOL;
    ok(ft_onnx_write(model, path, FT_ONNX_LIMIT) < 0 && strstr(ft_error(), "pooled") && !ft_file_exists(path), "pooled twice: %s", ft_error());
    *last = keep;
    model->nodes[model->node_count - 2].pooling = (enum ft_pooling)100;
    ok(ft_onnx_write(model, path, FT_ONNX_LIMIT) < 0 && strstr(ft_error(), "pooling number 100") && !ft_file_exists(path), "an unknown pooling: %s", ft_error());
    ft_model_close(model);
    model = ft_model_open("tests/golden/model/mean", NULL);
    model->node_count = model->body_nodes;
    ok(ft_onnx_write(model, path, FT_ONNX_LIMIT) < 0 && strstr(ft_error(), "no embedding") && !ft_file_exists(path), "token vectors alone: %s", ft_error());
    ft_model_close(model);
}

/* ---- two towers ---- */

static void test_towers(void)
{
    static const char *const names[] = {"text", "image"};
    struct ft_model *model = ft_model_join("tests/golden/model/mean", "tests/golden/pictures/resnet", &(struct ft_list){(const char *[]){"dim=8"}, 1}, 1);
    const char *directory = ft_arena_print(&arena, "%s/towers", place), *file = ft_arena_print(&arena, "%s/towers.onnx", place);

    if (!ok(model && ft_onnx_place(model, directory, false) == 0, "two towers: a directory"))
        printf("# %s\n", ft_error());
    for (int t = 0; model && t < FT_TOWERS; t++) {
        check_file(model->towers[t], ft_arena_print(&arena, "%s/%s/model.onnx", directory, names[t]), false, names[t]);
        ok(!ft_file_exists(ft_arena_print(&arena, "%s/%s/model.safetensors", directory, names[t])), "%s: no other weights", names[t]);
    }
    ok(ft_onnx_place(model, directory, false) < 0 && ft_onnx_place(model, directory, true) == 0, "replaced when forced");
    ok(ft_onnx_write(model, file, FT_ONNX_LIMIT) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), "two towers") && !ft_file_exists(file),
       "one file is refused: %s", ft_error());
    ft_model_close(model);
}

/* ---- a disk that is full at every place ---- */

static bool is_empty(const char *directory)
{
    struct stat st;

    return rmdir(directory) == 0 && mkdir(directory, 0777) == 0 && stat(directory, &st) == 0;
}

static void test_full(uint64_t limit, const char *what)
{
    struct ft_model *model = ft_model_open("tests/golden/model/mean", NULL);
    const char *directory = ft_arena_print(&arena, "%s/full-%llu", place, (unsigned long long)limit), *path = ft_arena_print(&arena, "%s/model.onnx", directory);
    struct rlimit all, some;
    bool good = true;
    int tried = 0;

    ft_directory_make(directory);
    getrlimit(RLIMIT_FSIZE, &all);
    signal(SIGXFSZ, SIG_IGN);
    for (some = all, some.rlim_cur = 0; good && tried < 10000; some.rlim_cur += 509, tried++) {
        int result;

        setrlimit(RLIMIT_FSIZE, &some);
        result = ft_onnx_write(model, path, limit);
        setrlimit(RLIMIT_FSIZE, &all);
        if (result == 0)
            break;
        good = ft_error_status() == FT_SYSTEM && is_empty(directory);
    }
    ok(good && tried > 50, "%s: full after any of %d sizes, and nothing is left behind", what, tried);
    check_file(model, path, limit < FT_ONNX_LIMIT, what);
    ft_model_close(model);
}

/* One file after two, and back: no file of the other kind stays. */
static void test_again(const char *path)
{
    struct ft_model *model = ft_model_open("tests/golden/model/dense", NULL);

    for (int i = 0; i < 3; i++) {
        ok(ft_onnx_write(model, path, i == 1 ? 0 : FT_ONNX_LIMIT) == 0, "written over what is there");
        check_file(model, path, i == 1, "written over what is there");
    }
    unlink(path);
    ft_model_close(model);
}

static int write_for_others(char **argv)
{
    struct ft_model *model = ft_model_open(argv[1], NULL);
    int result = model ? ft_onnx_write(model, argv[2], strtoull(argv[3], NULL, 10)) : -1;

    if (result < 0)
        fprintf(stderr, "%s\n", ft_error());
    ft_model_close(model);
    return result < 0;
}

int main(int argc, char **argv)
{
    const char *path;

    if (argc == 4)
        return write_for_others(argv);
    if (!mkdtemp(place))
        return 1;
    path = ft_arena_print(&arena, "%s/model.onnx", place);
    test_families();
    test_refused(path);
    test_again(path);
    test_towers();
    test_full(FT_ONNX_LIMIT, "one file");
    test_full(0, "two files");
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
