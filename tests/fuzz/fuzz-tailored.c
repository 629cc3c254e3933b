/* fuzz-tailored.c - any text as ft.json, beside a config.json that leaves the family to it and beside one that does not. Run from the top of the tree.
 *
 * Weights are a golden model's. Nodes without weights, and nodes with them, open or are an error; what opened names each node. */
#include "base/error.h"
#include "base/file.h"
#include "model/model.h"
#include "mutate.h"

#include <unistd.h>

#define CONFIG(type) "{\"model_type\":\"" type "\",\"vocab_size\":106,\"hidden_size\":20,\"num_hidden_layers\":2,\"num_attention_heads\":4," \
    "\"intermediate_size\":36,\"max_position_embeddings\":32,\"hidden_act\":\"gelu\",\"layer_norm_eps\":1e-12}"

enum { TAILORED, PLAIN, KINDS };
static char directories[KINDS][32] = {"/tmp/ft-fuzz-XXXXXX", "/tmp/ft-fuzz-XXXXXX"};

static void directory_make(int kind)
{
    static const char *const links[] = {"tokenizer.json", "model.safetensors", "2_Dense/model.safetensors"};
    static const char *const configs[KINDS] = {CONFIG("ft-tailored"), CONFIG("bert")};
    char path[4200], target[4200], here[4000];

    if (!mkdtemp(directories[kind]) || !getcwd(here, sizeof here))
        abort();
    snprintf(path, sizeof path, "%s/2_Dense", directories[kind]);
    if (ft_directory_make(path) < 0)
        abort();
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        snprintf(path, sizeof path, "%s/%s", directories[kind], links[i]);
        snprintf(target, sizeof target, "%s/tests/golden/model/dense/%s", here, links[i]);
        if (symlink(target, path) < 0)
            abort();
    }
    snprintf(path, sizeof path, "%s/config.json", directories[kind]);
    if (ft_file_write(path, configs[kind], strlen(configs[kind])) < 0)
        abort();
}

static void clean(void)
{
    for (int kind = 0; kind < KINDS; kind++)
        ft_directory_remove(directories[kind]);
}

static void check(struct ft_model *model)
{
    for (int i = 0; model && i < model->node_count; i++)
        if (!*model->nodes[i].name || model->nodes[i].width < 1)
            abort();
    if (!model && (!*ft_error() || (ft_error_status() != FT_BAD && ft_error_status() != FT_SYSTEM)))
        abort();
    ft_model_close(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool made;
    char path[64];

    for (int kind = 0; kind < KINDS; kind++) {
        FILE *file;

        if (!made)
            directory_make(kind);
        snprintf(path, sizeof path, "%s/ft.json", directories[kind]);
        unlink(path);   /* a fresh file: truncating one makes ext4 write it out */
        if (!(file = fopen(path, "wb")) || fwrite(data, 1, size, file) != size || fclose(file) != 0)
            abort();
        check(ft_model_open_nodes(directories[kind]));
        check(ft_model_open(directories[kind], NULL));
    }
    if (!made)
        atexit(clean);
    made = true;
    return 0;
}

#define EDIT(text) "{\"edit\":\"" text "}"

static const char *const seeds[] = {
    "{\"ft\":1,\"family\":\"bert\",\"edits\":[" EDIT("embedding\",\"node\":\"encoder.layer.1.output.LayerNorm\"") ","
    EDIT("gem\",\"name\":\"pooling\",\"p\":3.0,\"learn\":false") "," EDIT("linear\",\"name\":\"2_Dense\",\"out\":12,\"bias\":true") ","
    EDIT("normalize\",\"name\":\"normalize\"") "," EDIT("freeze\",\"nodes\":\"embeddings*\"") "]}",
    "{\"ft\":1,\"family\":\"bert\",\"edits\":[" EDIT("embedding\",\"node\":\"encoder.layer.0.intermediate.act\"") ","
    EDIT("pool\",\"name\":\"pooling\",\"pooling\":\"mean\"") "," EDIT("linear\",\"name\":\"3_Dense\",\"out\":4,\"bias\":false") ","
    EDIT("layer-norm\",\"name\":\"4_LayerNorm\",\"epsilon\":1e-5") "," EDIT("batch-norm\",\"name\":\"5_BatchNorm\",\"epsilon\":1e-5") ","
    EDIT("activation\",\"name\":\"a\",\"activation\":\"relu\"") "," EDIT("dropout\",\"name\":\"6_Dropout\",\"rate\":0.5") "]}",
    "{\"ft\":1,\"edits\":[" EDIT("freeze\",\"nodes\":\"encoder.layer.[01].*\"") "," EDIT("unfreeze\",\"nodes\":\"below:pooling\"") "]}",
    "{\"ft\":1,\"base_model_name_or_path\":\".\",\"logit_scale\":2.5}",
    "{\"ft\":1,\"towers\":{\"text\":\"2_Dense\",\"image\":\".\"},\"logit_bias\":-1e1}",
};
FUZZ_MAIN(seeds, "{}[]\":,0123456789-.eE/*")
