/* fuzz-config.c - any text as the small files of a model directory. Run from the top of the tree.
 *
 * The input is files one after another, each ended by a byte 1, in the order of `files`; it is written to a directory whose tokenizer and weights
 * are a golden model's, and opened with its weights. Whatever opens is closed again; nothing may crash, or allocate what the files do not hold. */
#include "base/error.h"
#include "base/file.h"
#include "model/model.h"
#include "mutate.h"

#include <unistd.h>

static const char *const files[] = {"config.json", "modules.json", "1_Pooling/config.json", "2_Dense/config.json",
                                    "sentence_bert_config.json", "config_sentence_transformers.json"};

static char *directory_make(void)
{
    static const char *const links[] = {"tokenizer.json", "model.safetensors", "2_Dense/model.safetensors"};
    static char directory[] = "/tmp/ft-fuzz-XXXXXX", path[4200], target[4200];
    char here[4000];

    if (!mkdtemp(directory) || !getcwd(here, sizeof here))
        abort();
    for (int i = 1; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, i == 1 ? "1_Pooling" : "2_Dense");
        ft_directory_make(path);
    }
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, links[i]);
        snprintf(target, sizeof target, "%s/tests/golden/model/dense/%s", here, links[i]);
        if (symlink(target, path) < 0)
            abort();
    }
    return directory;
}

static char *directory;

static void clean(void)
{
    ft_directory_remove(directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ft_model *model;
    char path[4200];

    if (!directory) {
        directory = directory_make();
        atexit(clean);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const uint8_t *end = size ? memchr(data, 1, size) : NULL;
        size_t length = end ? (size_t)(end - data) : size;
        FILE *file;

        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);   /* a fresh file: truncating one makes ext4 write it out */
        if (length && (!(file = fopen(path, "wb")) || fwrite(data, 1, length, file) != length || fclose(file) != 0))
            abort();
        data += length + (end != NULL);
        size -= length + (end != NULL);
    }
    for (int scorer = 0; scorer < 2; scorer++)
        if ((model = scorer ? ft_model_open_scorer(directory) : ft_model_open(directory, NULL)))
            ft_model_close(model);
        else if (!*ft_error() || (ft_error_status() != FT_BAD && ft_error_status() != FT_SYSTEM))
            abort();
    return 0;
}

#define CONFIG "{\"model_type\":\"bert\",\"vocab_size\":106,\"hidden_size\":20,\"num_hidden_layers\":2,\"num_attention_heads\":4," \
    "\"intermediate_size\":36,\"max_position_embeddings\":32,\"hidden_act\":\"gelu\",\"layer_norm_eps\":1e-12}\1"
#define SCORER "{\"model_type\":\"bert\",\"architectures\":[\"BertForSequenceClassification\"],\"id2label\":{\"0\":\"x\"},\"vocab_size\":106," \
    "\"hidden_size\":20,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"intermediate_size\":36,\"max_position_embeddings\":32," \
    "\"classifier_dropout\":0.2,\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.linear.Identity\"}}\1"
#define MODULE(path, type) "{\"path\":\"" path "\",\"type\":\"sentence_transformers.models." type "\"}"

static const char *const seeds[] = {
    CONFIG "[" MODULE("", "Transformer") "," MODULE("1_Pooling", "Pooling") "," MODULE("2_Dense", "Dense") "," MODULE("3_Normalize", "Normalize") "]\1"
    "{\"word_embedding_dimension\":20,\"pooling_mode_mean_tokens\":true}\1"
    "{\"in_features\":20,\"out_features\":12,\"bias\":true,\"activation_function\":\"torch.nn.modules.activation.Tanh\"}\1"
    "{\"max_seq_length\":24,\"do_lower_case\":false}\1{\"similarity_fn_name\":\"dot\",\"prompts\":{\"query\":\"q\",\"x\":\"y\"},\"default_prompt_name\":\"x\"}",
    CONFIG "[" MODULE("", "Transformer") "," MODULE("1_Pooling", "Pooling") "]\1{\"pooling_mode\":[\"cls\"],\"include_prompt\":false}\1\1"
    "{\"do_lower_case\":true}",
    SCORER "\1\1\1{\"max_seq_length\":24}\1{\"activation_fn\":\"torch.nn.modules.activation.Sigmoid\"}",
    CONFIG "\1\1\1{\"max_seq_length\":1000000000000000019884624838656}",
};
FUZZ_MAIN(seeds, "{}[]\":,0123456789-.eE\1/")
