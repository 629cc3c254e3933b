/* test-model-files.c - model directories: what opens, what is refused and how, and that what is saved opens as the same model.
 *
 * Directories under tests/golden/model are one tiny random BERT in different dress; see make.py there. */
#include "base/error.h"
#include "base/file.h"
#include "model/model-build.h"
#include "model/weights/tensors.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

#define GOLDEN "tests/golden/model/"

static char scratch[] = "/tmp/ft-test-XXXXXX";

static const struct ft_node *node_of(const struct ft_model *model, const char *name)
{
    for (int i = 0; i < model->node_count; i++)
        if (strcmp(model->nodes[i].name, name) == 0)
            return model->nodes + i;
    return NULL;
}

static const struct ft_parameter *parameter_of(const struct ft_model *model, const char *name)
{
    for (int i = 0; i < model->parameter_count; i++)
        if (strcmp(model->parameters[i].name, name) == 0)
            return model->parameters + i;
    return NULL;
}

static void test_nodes(const struct ft_model *m)
{
    static const char *const names[] = {
        "embeddings", "embeddings.LayerNorm", "embeddings.dropout", "encoder.layer.0.attention.self.query",
        "encoder.layer.0.attention.self.key", "encoder.layer.0.attention.self.value", "encoder.layer.0.attention.self",
        "encoder.layer.0.attention.output.dense", "encoder.layer.0.attention.output.dropout", "encoder.layer.0.attention.output.add",
        "encoder.layer.0.attention.output.LayerNorm", "encoder.layer.0.intermediate.dense", "encoder.layer.0.intermediate.act",
        "encoder.layer.0.output.dense", "encoder.layer.0.output.dropout", "encoder.layer.0.output.add", "encoder.layer.0.output.LayerNorm"};
    const size_t count = sizeof names / sizeof *names;
    const struct ft_node *add = node_of(m, "encoder.layer.1.output.add"), *self = node_of(m, "encoder.layer.1.attention.self");
    bool same = m->node_count == (int)count + 14 + 2, before = true;

    for (size_t i = 0; same && i < count; i++)
        same = strcmp(m->nodes[i].name, names[i]) == 0;
    ok(same, "nodes of the first block, in order");
    for (int i = 0; i < m->node_count; i++)
        for (int k = 0; k < m->nodes[i].input_count; k++)
            before &= m->nodes[i].inputs[k] >= 0 && m->nodes[i].inputs[k] < i;
    ok(before, "a node reads only nodes before it");
    ok(strcmp(m->nodes[m->node_count - 2].name, "pooling") == 0 && strcmp(m->nodes[m->node_count - 1].name, "normalize") == 0, "pooling and normalize last");
    ok(add && add->input_count == 2 && strcmp(m->nodes[add->inputs[1]].name, "encoder.layer.1.attention.output.LayerNorm") == 0, "the residual");
    ok(self && self->attention.heads == 4 && self->input_count == 3 && fabsf(self->rate - .1f) < 1e-7f && self->width == 20, "attention");
    ok(m->nodes[0].parameter_count == 3 && node_of(m, "encoder.layer.0.intermediate.act")->activation == FT_GELU, "embedding and activation");
    ok(node_of(m, "embeddings.LayerNorm")->epsilon == 1e-12f, "epsilon");
}

static void test_block(const struct ft_model *m)
{
    const struct ft_parameter *p[6];
    bool aligned = true, flags = true;
    static const char *const parts[] = {"query", "key", "value"};

    for (int i = 0; i < 6; i++) {
        char name[96];

        snprintf(name, sizeof name, "encoder.layer.1.attention.self.%s.%s", parts[i % 3], i < 3 ? "weight" : "bias");
        p[i] = parameter_of(m, name);
    }
    ok(p[1]->offset == p[0]->offset + 400 && p[2]->offset == p[1]->offset + 400, "query, key and value are one matrix");
    ok(p[4]->offset == p[3]->offset + 20 && p[5]->offset == p[4]->offset + 20, "and their biases one vector");
    for (int i = 0; i < m->parameter_count; i++) {
        const struct ft_parameter *q = m->parameters + i;
        bool joined = strstr(q->name, ".key.") || strstr(q->name, ".value.");

        aligned &= joined || q->offset % 16 == 0;
        flags &= q->decay == (q->rank == 2) && q->table == (strstr(q->name, "word_embeddings") != NULL);
        flags &= i == 0 || q->offset >= q[-1].offset + q[-1].rows * q[-1].columns;
    }
    ok(aligned, "every other parameter begins at a multiple of 16");
    ok(flags, "decay, table, order");
    ok(((uintptr_t)m->block & 63) == 0, "the block is aligned");
}

static struct ft_model *open_golden(const char *name, float *block)
{
    char path[256];

    snprintf(path, sizeof path, GOLDEN "%s", name);
    return ft_model_open(path, block);
}

/* Largest difference between two models' parameters of one name. */
static double difference(const struct ft_model *a, const struct ft_model *b)
{
    double most = a->parameter_count == b->parameter_count ? 0 : INFINITY;

    for (int i = 0; i < a->parameter_count && i < b->parameter_count; i++) {
        const struct ft_parameter *p = a->parameters + i;

        for (size_t k = 0; k < p->rows * p->columns; k++) {
            double d = fabs((double)a->block[p->offset + k] - b->block[b->parameters[i].offset + k]);

            most = d > most ? d : most;
        }
    }
    return most;
}

static void test_variants(const struct ft_model *mean)
{
    static const struct { const char *name; size_t max_length, dim; bool normalized; enum ft_pooling pooling; double tolerance; } all[] = {
        {"mean", 24, 20, true, FT_POOL_MEAN, 0}, {"old", 24, 20, true, FT_POOL_MEAN, 0}, {"nested", 16, 20, false, FT_POOL_MEAN, 0},
        {"f16", 24, 20, true, FT_POOL_MEAN, 1e-3}, {"bf16", 24, 20, true, FT_POOL_MEAN, 8e-3}, {"plain", 20, 20, false, FT_POOL_MEAN, 8e-3},
        {"cls", 24, 20, false, FT_POOL_CLS, 0}, {"max", 24, 20, false, FT_POOL_MAX, 0}, {"sqrt", 24, 20, false, FT_POOL_MEAN_SQRT, 0}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ft_model *m = open_golden(all[i].name, NULL);

        if (!ok(m != NULL, "%s opens", all[i].name)) {
            printf("# %s\n", ft_error());
            continue;
        }
        if (!ok(m->max_length == all[i].max_length && m->dim == all[i].dim && m->normalized == all[i].normalized &&
                node_of(m, "pooling")->pooling == all[i].pooling, "%s: length, dimensions, pooling", all[i].name))
            printf("# %zu %zu %d\n", m->max_length, m->dim, m->normalized);
        ok((m->extra_text != NULL) == (strcmp(all[i].name, "plain") == 0), "%s: what was passed over", all[i].name);
        ok(difference(m, mean) <= all[i].tolerance, "%s: parameters (%.1e)", all[i].name, difference(m, mean));
        ft_model_close(m);
    }
}

static void test_dense(void)
{
    struct ft_model *m = open_golden("dense", NULL);
    const struct ft_node *dense, *activation;

    if (!ok(m != NULL, "dense opens"))
        return;
    dense = node_of(m, "2_Dense");
    activation = node_of(m, "2_Dense.activation");
    ok(dense && dense->op == FT_OP_LINEAR && dense->width == 12 && activation && activation->activation == FT_TANH, "its nodes");
    ok(m->dim == 12 && m->normalized && strcmp(m->distance, "dot") == 0, "dimensions and distance");
    ok(strcmp(m->parameters[dense->parameters[0]].file, "2_Dense") == 0 && strcmp(m->parameters[dense->parameters[0]].name, "linear.weight") == 0,
       "its parameters are named as in its file");
    ok(node_of(m, "encoder.layer.0.intermediate.act")->activation == FT_GELU_TANH, "gelu_new");
    ft_model_close(m);
}

static bool same_bytes(const char *a, const char *b)
{
    struct ft_arena arena = {0};
    size_t size_a, size_b;
    char *x = ft_file_read(&arena, a, 1 << 24, &size_a), *y = ft_file_read(&arena, b, 1 << 24, &size_b);
    bool same = x && y && size_a == size_b && memcmp(x, y, size_a) == 0;

    ft_arena_free(&arena);
    return same;
}

/* "DIRECTORY/NAME", good until the end. */
static struct ft_arena paths;

static const char *in(const char *directory, const char *name)
{
    return ft_arena_print(&paths, "%s/%s", directory, name);
}

static void test_save(const char *name)
{
    struct ft_model *m = open_golden(name, NULL), *back = NULL, *again = NULL;
    char one[256], two[256], sum[9], sum_back[9];

    snprintf(one, sizeof one, "%s/%s-1", scratch, name);
    snprintf(two, sizeof two, "%s/%s-2", scratch, name);
    if (!ok(m && ft_model_save(m, one) == 0 && (back = ft_model_open(one, NULL)), "%s: saved and opened", name)) {
        printf("# %s\n", ft_error());
        ft_model_close(m);
        return;
    }
    ok(difference(m, back) == 0 && m->node_count == back->node_count && m->max_length == back->max_length && m->dim == back->dim &&
       m->normalized == back->normalized && strcmp(m->distance, back->distance) == 0, "%s: the same model", name);
    is_text(ft_model_checksum(back, sum_back), ft_model_checksum(m, sum), "the same checksum");
    ok(ft_model_save(back, two) == 0 && (again = ft_model_open(two, NULL)) && difference(again, m) == 0, "%s: saved again", name);
    ok(same_bytes(in(one, *m->body ? "0_Transformer/model.safetensors" : "model.safetensors"),
                  in(two, *m->body ? "0_Transformer/model.safetensors" : "model.safetensors")), "%s: the same bytes", name);
    ok(ft_model_save(back, one) == 0, "%s: saved onto itself", name);
    ft_model_close(m);
    ft_model_close(back);
    ft_model_close(again);
}

static void test_kept(void)
{
    struct ft_safetensors files;
    char path[256];

    snprintf(path, sizeof path, "%s/mean-1", scratch);
    ok(ft_tensors_open(&files, path) == 0 && ft_safetensors_find(&files, "pooler.dense.weight") &&
       ft_safetensors_find(&files, "embeddings.LayerNorm.weight"), "the pooler is kept");
    ft_safetensors_close(&files);
    snprintf(path, sizeof path, "%s/f16-1", scratch);
    ok(ft_tensors_open(&files, path) == 0 && ft_safetensors_find(&files, "embeddings.LayerNorm.gamma") &&
       !ft_safetensors_find(&files, "embeddings.LayerNorm.weight"), "old names are kept");
    ft_safetensors_close(&files);
    snprintf(path, sizeof path, "%s/bf16-1", scratch);
    ok(ft_tensors_open(&files, path) == 0 && ft_safetensors_find(&files, "bert.embeddings.LayerNorm.weight"), "prefixes are kept");
    ft_safetensors_close(&files);
    ok(same_bytes(GOLDEN "mean/config.json", in(in(scratch, "mean-1"), "config.json")), "config.json is copied");
    {
        json_t *json = ft_json_read(in(in(scratch, "f16-1"), "config.json"));

        ok(json && strcmp(ft_json_text(json, "dtype"), "float32") == 0, "but asks for float32");
        json_decref(json);
    }
    ok(ft_file_exists(in(in(scratch, "plain-1"), "modules.json")) && ft_file_exists(in(in(scratch, "plain-1"), "1_Pooling/config.json")) &&
       ft_file_exists(in(in(scratch, "plain-1"), "vocab.txt")) && !ft_file_exists(in(in(scratch, "plain-1"), "model.safetensors.index.json")),
       "a plain directory gets the modules we assumed");
    ok(!ft_file_exists(in(in(scratch, "mean-1"), "README.md")) && ft_file_exists(in(in(scratch, "mean-1"), "config_sentence_transformers.json")),
       "small files");
}

/* Parameters that gained a value must reach the file; a saved file is then mapped, and writing to the block must not reach it. */
static void test_mapped(void)
{
    struct ft_model *m = open_golden("mean", NULL), *a, *b;
    const char *path = in(scratch, "mapped");

    m->block[5] = 42;
    ok(ft_model_save(m, path) == 0, "a changed model is saved");
    a = ft_model_open(path, NULL);
    ok(a && a->block[5] == 42, "the change is there");
    a->block[5] = 43;
    b = ft_model_open(path, NULL);
    ok(b && b->block[5] == 42, "a private change stays private");
    ft_model_close(a);
    ft_model_close(b);
    ft_model_close(m);
}

static void test_block_of_caller(const struct ft_model *mean)
{
    struct ft_model *nodes = ft_model_open_nodes(GOLDEN "mean"), *m;
    float *block = calloc(nodes->block_count, sizeof *block);

    ok(!nodes->block && nodes->block_count == mean->block_count, "nodes alone");
    m = open_golden("mean", block);
    ok(m && m->block == block && block[0] == 0, "the caller's block is left alone");
    ok(ft_model_read_parameters(m, block) == 0 && difference(m, mean) == 0, "and filled on demand");
    ft_model_close(m);
    ft_model_close(nodes);
    free(block);
}

static int frozen_count(const struct ft_model *m)
{
    int n = 0;

    for (int i = 0; i < m->parameter_count; i++)
        n += m->parameters[i].frozen;
    return n;
}

static void test_freeze(void)
{
    struct ft_model *m = open_golden("dense", NULL);
    char before[9], after[9];

    ft_model_checksum(m, before);
    ok(ft_model_freeze(m, "embeddings*", true) == 0 && frozen_count(m) == 5 && m->nodes[0].frozen, "embeddings*");
    ok(ft_model_freeze(m, "embeddings*", false) == 0 && frozen_count(m) == 0 && !m->nodes[0].frozen, "and back");
    ok(ft_model_freeze(m, "encoder.layer.[0-1].attention.*", true) == 0 && frozen_count(m) == 20, "a range of layers");
    ok(ft_model_freeze(m, "*", false) == 0 && ft_model_freeze(m, "below:encoder.layer.1.attention.self.query", true) == 0 &&
       frozen_count(m) == 5 + 16, "below a node, itself not");
    ok(ft_model_freeze(m, "*", false) == 0 && ft_model_freeze(m, "below:pooling", true) == 0 && frozen_count(m) == m->parameter_count - 2, "below pooling");
    ok(ft_model_freeze(m, "encoder.layer.7.*", true) < 0 && ft_error_status() == FT_USAGE, "a pattern without a match");
    ok(ft_model_freeze(m, "below:nothing", true) < 0 && ft_error_status() == FT_USAGE, "a node that is not there");
    is_text(ft_model_checksum(m, after), before, "freezing changes no checksum");
    m->block[m->parameters[3].offset] += 1e-3f;
    ok(strcmp(ft_model_checksum(m, after), before) != 0, "one changed number does");
    ft_model_close(m);
}

/* A copy of dense/ with one file replaced; the message with which it is refused, "" when it opens. */
static const char *refusal(const char *file, const char *text)
{
    static const char *const files[] = {"config.json", "modules.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors",
                                        "1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"};
    const char *directory = in(scratch, "refused");
    struct ft_arena arena = {0};
    struct ft_model *m;

    ft_directory_remove(directory);
    ft_directory_make(in(directory, "1_Pooling"));
    ft_directory_make(in(directory, "2_Dense"));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t size;
        char *data = ft_file_read(&arena, in(GOLDEN "dense", files[i]), 1 << 24, &size);

        ft_file_write(in(directory, files[i]), data, size);
    }
    ft_arena_free(&arena);
    if (file && ft_file_write(in(directory, file), text, strlen(text)) < 0)
        return "?";
    ft_error_clear();
    if (!(m = ft_model_open(directory, NULL)))
        return ft_error();
    ft_model_close(m);
    return "";
}

#define MODULE(path, type) "{\"path\":\"" path "\",\"type\":\"sentence_transformers.models." type "\"}"
#define SIZES(vocabulary, width, heads) "{\"model_type\":\"bert\",\"vocab_size\":" vocabulary ",\"hidden_size\":" width ",\"num_hidden_layers\":2," \
    "\"num_attention_heads\":" heads ",\"intermediate_size\":36,\"max_position_embeddings\":32"

/* The widths of all that states one must agree to come as far as the weights. */
static const char *huge(void)
{
    const char *directory;

    refusal(NULL, NULL);
    directory = in(scratch, "refused");
    ft_file_write(in(directory, "config.json"), SIZES("67108864", "65536", "4") "}", strlen(SIZES("67108864", "65536", "4") "}"));
    ft_file_write(in(directory, "1_Pooling/config.json"), "{}", 2);
    ft_file_write(in(directory, "modules.json"), "[" MODULE("", "Transformer") "," MODULE("1_Pooling", "Pooling") "]",
                  strlen("[" MODULE("", "Transformer") "," MODULE("1_Pooling", "Pooling") "]"));
    return ft_model_open(directory, NULL) ? "" : ft_error();
}

static void test_refusals(void)
{
    static const struct { const char *file, *text, *says; } bad[] = {
        {"config.json", "{", "config.json:1: not JSON"},
        {"config.json", "{}", "no model_type"},
        {"config.json", "[]", "no model_type"},
        {"config.json", "{\"model_type\":\"gpt2\"}", "'gpt2' is not supported, expected one of: mlp, bert"},
        {"config.json", "{\"model_type\":\"bert\"}", "no vocab_size"},
        {"config.json", SIZES("106", "21", "4") "}", "no multiple"},
        {"config.json", SIZES("0", "20", "4") "}", "vocab_size is 0"},
        {"config.json", SIZES("123", "20", "4") "}", "shape [106, 20], expected [123, 20]"},
        {"config.json", SIZES("99999999999999999999999", "20", "4") "}", "vocab_size is 9999"},
        {"config.json", SIZES("\"106\"", "20", "4") "}", "not a whole number"},
        {"config.json", SIZES("106", "20", "4") ",\"position_embedding_type\":\"relative_key\"}", "relative_key"},
        {"config.json", SIZES("106", "20", "4") ",\"is_decoder\":true}", "decoder"},
        {"config.json", SIZES("106", "20", "4") ",\"hidden_act\":\"mish\"}", "'mish' is not known"},
        {"config.json", SIZES("106", "20", "4") ",\"hidden_dropout_prob\":1.5}", "hidden_dropout_prob is 1.5"},
        {"config.json", SIZES("106", "20", "4") ",\"layer_norm_eps\":\"x\"}", "not a number"},
        {"modules.json", "{}", "not a list"},
        {"modules.json", "[]", "not a list"},
        {"modules.json", "[" MODULE("", "Transformer") "]", "no Pooling"},
        {"modules.json", "[" MODULE("1_Pooling", "Pooling") "]", "expected a Transformer or StaticEmbedding first"},
        {"modules.json", "[" MODULE("", "Transformer") "," MODULE("../1_Pooling", "Pooling") "]", "does not stay inside"},
        {"modules.json", "[" MODULE("", "Transformer") "," MODULE("/etc", "Pooling") "]", "does not stay inside"},
        {"modules.json", "[" MODULE("", "Transformer") "," MODULE("a/../../b", "Pooling") "]", "does not stay inside"},
        {"modules.json", "[" MODULE("", "Transformer") "," MODULE("1_Pooling", "CNN") "]", "sentence_transformers.models.CNN"},
        {"modules.json", "[" MODULE("", "Transformer") ",{\"path\":\"1_Pooling\",\"type\":\"evil.Pooling\"}]", "evil.Pooling"},
        {"modules.json", "[" MODULE("", "Transformer") "," MODULE("2_Dense", "Dense") "," MODULE("1_Pooling", "Pooling") "]", "right after"},
        {"modules.json", "[" MODULE("", "Transformer") "," MODULE("1_Pooling", "Pooling") "," MODULE("1_Pooling", "Pooling") "]", "one Pooling"},
        {"1_Pooling/config.json", "{\"pooling_mode\":\"lasttokens\"}", "'lasttokens' is not supported"},
        {"1_Pooling/config.json", "{\"pooling_mode\":[\"cls\",\"mean\"]}", "2 modes"},
        {"1_Pooling/config.json", "{\"pooling_mode_cls_token\":true,\"pooling_mode_max_tokens\":true}", "more than one"},
        {"1_Pooling/config.json", "{\"pooling_mode_weightedmean_tokens\":true,\"pooling_mode_lasttoken\":true}", "more than one"},
        {"1_Pooling/config.json", "{\"word_embedding_dimension\":99}", "is 99, expected 20"},
        {"1_Pooling/config.json", "[]", "not an object"},
        {"2_Dense/config.json", "{\"in_features\":20,\"out_features\":12,\"activation_function\":\"torch.nn.modules.activation.Mish\"}", "Mish"},
        {"2_Dense/config.json", "{\"in_features\":20,\"out_features\":12,\"activation_function\":\"os.system\"}", "os.system"},
        {"2_Dense/config.json", "{\"in_features\":21,\"out_features\":12}", "in_features is 21"},
        {"2_Dense/config.json", "{\"in_features\":20,\"out_features\":13}", "expected [13, 20]"},
        {"2_Dense/config.json", "{\"in_features\":20,\"out_features\":12,\"use_residual\":true}", "use_residual"},
        {"2_Dense/config.json", "{\"in_features\":20,\"out_features\":12,\"module_input_name\":\"token_embeddings\"}", "token_embeddings"},
        {"sentence_bert_config.json", "{\"max_seq_length\":-1}", "max_seq_length is -1"},
        {"tokenizer_config.json", "{\"model_max_length\":\"x\"}", "not a number"},
        {"model.safetensors", "x", "too short"},
        {"2_Dense/model.safetensors", "\2\0\0\0\0\0\0\0{}", "too short"},
    };

    is_text(refusal(NULL, NULL), "", "the copy opens");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *got = refusal(bad[i].file, bad[i].text);

        if (!ok(strstr(got, bad[i].says) && ft_error_status() == FT_BAD, "%s: %s", bad[i].file, bad[i].says))
            printf("# got \"%s\"\n", got);
    }
    ok(strstr(huge(), "shape ["), "a config.json that asks for 16 TB is compared with the file before anything is allocated");
    is_text(refusal("1_Pooling/config.json", "{\"pooling_mode\":[\"cls\"]}"), "", "a list of one mode");
    is_text(refusal("1_Pooling/config.json", "{}"), "", "a pooling that says nothing is mean");
    is_text(refusal("tokenizer_config.json", "{\"model_max_length\":1000000000000000019884624838656}"), "", "no limit, as transformers write it");
}

static void test_find(void)
{
    struct ft_arena arena = {0};
    char home[256], snapshot[512];

    snprintf(home, sizeof home, "%s/home", scratch);
    setenv("FT_HOME", home, 1);
    setenv("HF_HUB_CACHE", in(home, "hub"), 1);
    ft_directory_make(in(home, "models"));
    is_text(ft_model_find(&arena, GOLDEN "mean"), GOLDEN "mean", "a directory");
    ok(!ft_model_find(&arena, "minilm") && ft_error_status() == FT_USAGE && strstr(ft_error(), "ft-pull minilm"), "the pull that fetches minilm");
    ok(!ft_model_find(&arena, "other") && strstr(ft_error(), "ft-pull"), "another name");
    ok(!ft_model_find(&arena, "") && !ft_model_find(&arena, "..") && !ft_model_find(&arena, "/"), "no names at all");
    ok(!ft_model_find(&arena, "tests") && strstr(ft_error(), "no config.json"), "a directory that is no model");
    ft_directory_make(in(home, "models/minilm"));
    ft_file_write(in(home, "models/minilm/config.json"), "{}", 2);
    ok(strstr(ft_model_find(&arena, "minilm"), "/home/models/minilm"), "a name in the cache");
    ok(!ft_model_find(&arena, "../models/minilm"), "but no way around it");
    snprintf(snapshot, sizeof snapshot, "%s/hub/models--org--name/snapshots/abc", home);
    ft_directory_make(snapshot);
    ft_file_write(in(snapshot, "config.json"), "{}", 2);
    ok(strstr(ft_model_find(&arena, "org/name"), "/snapshots/abc"), "the only snapshot of a repository");
    ft_directory_make(in(home, "hub/models--org--name/refs"));
    ft_directory_make(in(home, "hub/models--org--name/snapshots/def"));
    ok(!ft_model_find(&arena, "org/name"), "none of two");
    ft_file_write(in(home, "hub/models--org--name/refs/main"), "abc\n", 4);
    ok(strstr(ft_model_find(&arena, "org/name"), "/snapshots/abc"), "the one that main names");
    ft_file_write(in(home, "hub/models--org--name/refs/main"), "../../..", 8);
    ok(!ft_model_find(&arena, "org/name"), "a commit that is a way out");
    ft_arena_free(&arena);
}

int main(void)
{
    struct ft_model *mean;

    if (!mkdtemp(scratch) || !ok((mean = open_golden("mean", NULL)) != NULL, "mean opens")) {
        printf("# %s\n", ft_error());
        return done();
    }
    test_nodes(mean);
    test_block(mean);
    test_variants(mean);
    test_dense();
    test_save("mean"), test_save("nested"), test_save("f16"), test_save("bf16"), test_save("plain"), test_save("dense");
    test_kept();
    test_mapped();
    test_block_of_caller(mean);
    test_freeze();
    test_refusals();
    test_find();
    ft_model_close(mean);
    ft_directory_remove(scratch);
    ft_arena_free(&paths);
    return done();
}
