/* test-families.c - what MPNet and T5 refuse, what they are made of, and a word table that a file holds several times. */
#include "base/error.h"
#include "base/file.h"
#include "model/model-build.h"
#include "model/run/runner.h"
#include "model/weights/safetensors.h"
#include "model/weights/tensors.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

#define GOLDEN "tests/golden/model/families/"
#define T5 "{\"model_type\":\"t5\",\"vocab_size\":408,\"d_model\":20,\"d_kv\":6,\"num_heads\":4,\"d_ff\":36,\"num_layers\":2"
#define MPNET "{\"model_type\":\"mpnet\",\"vocab_size\":408,\"hidden_size\":20,\"num_hidden_layers\":2,\"num_attention_heads\":4," \
    "\"intermediate_size\":36"

static char scratch[] = "/tmp/ft-test-XXXXXX";
static struct ft_arena arena;

static const char *in(const char *directory, const char *name)
{
    return ft_arena_print(&arena, "%s/%s", directory, name);
}

static void copy(const char *from, const char *to)
{
    size_t size;
    char *data = ft_file_read(&arena, from, 1 << 24, &size);

    if (!data || ft_file_write(to, data, size) < 0)
        ok(false, "%s: %s", from, ft_error());
}

/* A directory of a golden family with another config.json, or the same: what opening it says. */
static const char *opened(const char *name, const char *config)
{
    static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"};
    struct ft_model *model;

    for (int i = 0; i < 4; i++)
        copy(ft_arena_print(&arena, GOLDEN "%s/%s", name, files[i]), in(scratch, files[i]));
    if (config)
        ft_file_write(in(scratch, "config.json"), config, strlen(config));
    ft_error_clear();
    if (!(model = ft_model_open(scratch, NULL)))
        return ft_error();
    ft_model_close(model);
    return "";
}

static void test_refusals(void)
{
    static const struct { const char *name, *config, *says; } bad[] = {
        {"mpnet", MPNET ",\"max_position_embeddings\":34,\"relative_attention_num_buckets\":16}", "relative_attention_num_buckets is 16, expected 32"},
        {"mpnet", MPNET ",\"max_position_embeddings\":2}", "max_position_embeddings is 2, expected 3 or more"},
        {"mpnet", MPNET ",\"max_position_embeddings\":34,\"vocab_size\":409}", "vocab_size"},
        {"mpnet", MPNET ",\"max_position_embeddings\":40}", "shape [34, 20], expected [40, 20]"},
        {"t5", "{\"model_type\":\"t5\"}", "no vocab_size"},
        {"t5", T5 ",\"feed_forward_proj\":\"gated-mish\"}", "feed_forward_proj: activation 'mish' is not known"},
        {"t5", T5 ",\"feed_forward_proj\":\"gated-gelu\"}", "no tensor encoder.block.0.layer.1.DenseReluDense.wi_0.weight"},
        {"t5", T5 ",\"relative_attention_num_buckets\":6}", "6 is no multiple of 4"},
        {"t5", T5 ",\"relative_attention_num_buckets\":16}", "shape [32, 4], expected [16, 4]"},
        {"t5", T5 ",\"relative_attention_max_distance\":8}", "more than a quarter of the 32 buckets"},
        {"t5", T5 ",\"relative_attention_max_distance\":1e9}", "relative_attention_max_distance"},
        {"t5", T5 ",\"dropout_rate\":1}", "dropout_rate is 1"},
        {"umt5", T5 "}", "DenseReluDense.wi.weight"},
    };

    is_text(opened("mpnet", NULL), "", "mpnet opens");
    is_text(opened("t5", NULL), "", "t5 opens");
    is_text(opened("t5", T5 "}"), "", "and with what transformers takes where nothing is said");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *got = opened(bad[i].name, bad[i].config);

        if (!ok(strstr(got, bad[i].says) && ft_error_status() == FT_BAD, "%s: %s", bad[i].name, bad[i].says))
            printf("# got \"%s\"\n", got);
    }
}

static int biases_of(const char *name)
{
    struct ft_model *model = ft_model_open(in(GOLDEN, name), NULL);
    int count = 0;

    for (int i = 0; model && i < model->node_count; i++)
        count += model->nodes[i].op == FT_OP_RELATIVE_BIAS;
    ft_model_close(model);
    return count;
}

/* A table of biases that learns ends what is frozen below it, though no other parameter of its segment learns. */
static void test_prefix(void)
{
    struct ft_model *model = ft_model_open(GOLDEN "umt5", NULL);
    struct ft_runner *runner;
    const char *random;
    size_t width[2] = {0};
    bool of_items;

    for (int i = 0; model && i < 2; i++) {
        ft_model_freeze(model, "*", true);
        ft_model_freeze(model, "encoder.final_layer_norm", false);
        if (i)
            ft_model_freeze(model, "encoder.block.0.*relative*", false);
        if ((runner = ft_runner_open(model, FT_PLAN_TRAINING, FT_FP32)))
            width[i] = ft_runner_prefix(runner, &of_items, &random);
        ft_runner_close(runner);
    }
    ok(width[0] && !width[1], "a frozen prefix ends below a table of biases that learns (%zu, %zu)", width[0], width[1]);
    ft_model_close(model);
}

/* Write the weights with the word table under these names, and read them; what is saved of it must be one table, the one trained. */
static void test_copies(const char *const names[2], const char *kept)
{
    struct ft_safetensors files, saved = {0};
    struct ft_safetensor tensors[64];
    const struct ft_safetensor *word;
    struct ft_model *model;
    size_t count = 0;
    float first;

    opened("t5", NULL);
    if (!ok(ft_tensors_open(&files, GOLDEN "t5") == 0 && files.count < 60, "the weights of t5"))
        return;
    for (size_t i = 0; i < files.count; i++)
        if (strcmp(files.tensors[i].name, "shared.weight") != 0)
            tensors[count++] = files.tensors[i];
    word = ft_safetensors_find(&files, "shared.weight");
    for (int i = 0; i < 2 && names[i]; i++) {
        tensors[count] = *word;
        tensors[count++].name = names[i];
    }
    ft_safetensors_write(in(scratch, "model.safetensors"), tensors, count);
    model = ft_model_open(scratch, NULL);
    if (ok(model != NULL, "%s: opens: %s", kept, ft_error())) {
        ok(memcmp(model->block, word->data, word->size) == 0, "%s: the word table is read", kept);
        model->block[0] = first = 42;
        ok(ft_model_save(model, in(scratch, "saved")) == 0 && ft_tensors_open(&saved, in(scratch, "saved")) == 0 &&
           saved.count == files.count && (word = ft_safetensors_find(&saved, kept)) && memcmp(word->data, &first, sizeof first) == 0,
           "%s: one table is saved, and it is what was learnt", kept);
    }
    ft_safetensors_close(&saved);
    ft_safetensors_close(&files);
    ft_model_close(model);
}

int main(void)
{
    if (!mkdtemp(scratch))
        return 1;
    test_refusals();
    ok(biases_of("mpnet") == 1 && biases_of("t5") == 1 && biases_of("umt5") == 2, "tables of biases: one for all blocks, but in umT5 one each");
    test_prefix();
    test_copies((const char *const[]){"shared.weight", "encoder.embed_tokens.weight"}, "shared.weight");
    test_copies((const char *const[]){"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}, "encoder.embed_tokens.weight");
    test_copies((const char *const[]){"decoder.embed_tokens.weight", NULL}, "decoder.embed_tokens.weight");
    ft_directory_remove(scratch);
    ft_arena_free(&arena);
    return done();
}
