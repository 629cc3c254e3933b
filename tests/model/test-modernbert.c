/* test-modernbert.c - ModernBERT's nodes, and configurations that are refused. Its numbers are test-embed's and test-training's. */
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"
#include "model/model.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

#define GOLDEN "tests/golden/model/families/"

static char scratch[] = "/tmp/ft-test-XXXXXX";
static struct ft_arena arena;

static const struct ft_node *node_of(const struct ft_model *model, const char *name)
{
    for (int i = 0; i < model->node_count; i++)
        if (strcmp(model->nodes[i].name, name) == 0)
            return model->nodes + i;
    return NULL;
}

static void test_nodes(void)
{
    struct ft_model *m = ft_model_open(GOLDEN "modernbert", NULL), *old = ft_model_open(GOLDEN "modernbert-old", NULL);
    const struct ft_node *all, *near, *qkv, *turned;

    if (!ok(m && old, "both open: %s", ft_error()))
        return;
    all = node_of(m, "layers.0.attn"), near = node_of(m, "layers.1.attn"), qkv = node_of(m, "layers.1.attn.Wqkv");
    turned = node_of(m, "layers.1.attn.rotary_emb");
    ok(all && near && all->attention.window == 0 && near->attention.window == 3 && near->attention.heads == 2 && near->input_count == 1,
       "attention to all of a text, and to 3 tokens on each side");
    ok(turned && turned->theta == 10000 && node_of(m, "layers.3.attn.rotary_emb")->theta == 160000, "two bases of rotary positions");
    ok(qkv && qkv->parameter_count == 1 && qkv->width == 60 && !node_of(m, "layers.0.attn_norm") && node_of(m, "layers.1.attn_norm")->parameter_count == 1,
       "one matrix for query, key and value; the first block does not normalise; no biases");
    ok(strcmp(m->nodes[m->node_count - 2].name, "final_norm") == 0 && !node_of(m, "embeddings.drop"), "a norm at the end, and no dropout of rate 0");
    ok(node_of(old, "layers.1.attn.Wqkv")->parameter_count == 2 && node_of(old, "layers.1.attn")->attention.window == 3 &&
       node_of(old, "layers.2.attn")->attention.window == 0 && node_of(old, "layers.2.attn.rotary_emb")->theta == 5000 &&
       node_of(old, "layers.1.attn.rotary_emb")->theta == 50, "the older spelling, with biases");
    ft_model_close(m);
    ft_model_close(old);
}

/* The golden directory with `key` of config.json set to `value`, a JSON text, or taken out; the message with which it is refused, "" when it opens. */
static const char *message_with(const char *key, const char *value)
{
    static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"};
    struct ft_model *m;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *to = ft_arena_print(&arena, "%s/%s", scratch, files[i]);
        size_t size;
        char *data = ft_file_read(&arena, ft_arena_print(&arena, GOLDEN "modernbert/%s", files[i]), 1 << 24, &size);

        if (i == 0) {
            json_t *json = json_loadb(data, size, 0, NULL);

            json_object_del(json, key);
            if (value)
                json_object_set_new(json, key, json_loads(value, JSON_DECODE_ANY, NULL));
            data = json_dumps(json, 0);
            size = strlen(data);
            ft_file_write(to, data, size);
            free(data);
            json_decref(json);
        } else {
            ft_file_write(to, data, size);
        }
    }
    ft_error_clear();
    if (!(m = ft_model_open(scratch, NULL)))
        return ft_error_status() == FT_BAD ? ft_error() : "?";
    ft_model_close(m);
    return "";
}

static void test_refusals(void)
{
    static const struct { const char *key, *value, *says; } bad[] = {
        {"rope_scaling", "{\"type\":\"linear\",\"factor\":2}", "rope_scaling is not supported"},
        {"rope_parameters", "{\"full_attention\":{\"rope_type\":\"yarn\",\"rope_theta\":10}}", "rope_type 'yarn' is not supported"},
        {"rope_parameters", "{\"sliding_attention\":{\"rope_theta\":0}}", "rope_theta is 0"},
        {"layer_types", "[\"full_attention\"]", "1 layer_types of 4 layers"},
        {"layer_types", "[\"full_attention\",\"sliding_attention\",\"chunked_attention\",7]", "'chunked_attention' is not supported"},
        {"layer_types", "[\"full_attention\",\"sliding_attention\",7,7]", "'' is not supported"},
        {"global_attn_every_n_layers", "0", "global_attn_every_n_layers is 0"},
        {"local_attention", "1", "local_attention is 1"},
        {"num_attention_heads", "4", "no even multiple"},
        {"num_hidden_layers", "2000", "num_hidden_layers is 2000"},
        {"hidden_activation", "\"mish\"", "hidden_activation: activation 'mish' is not known"},
        {"norm_bias", "true", "no tensor embeddings.norm.bias"},
        {"mlp_bias", "1", "mlp_bias"},
        {"attention_dropout", "1.5", "attention_dropout is 1.5"},
        {"vocab_size", NULL, "no vocab_size"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *got = message_with(bad[i].key, bad[i].value);

        if (!ok(strstr(got, bad[i].says), "%s: %s", bad[i].key, bad[i].says))
            printf("# got \"%s\"\n", got);
    }
    is_text(message_with("layer_types", NULL), "", "without layer_types every third layer is global");
    is_text(message_with("rope_parameters", NULL), "", "without rope_parameters the usual bases");
    is_text(message_with("rope_scaling", "null"), "", "rope_scaling null");
}

int main(void)
{
    if (!mkdtemp(scratch))
        return 1;
    test_nodes();
    test_refusals();
    ft_directory_remove(scratch);
    ft_arena_free(&arena);
    return done();
}
