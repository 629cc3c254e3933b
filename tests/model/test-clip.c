/* test-clip.c - towers of CLIP models against PyTorch in float64 (tests/golden/clip/make.py, tests/golden/open-clip/make.py): texts through the tokenizer and images' pixels to embeddings,
 * gradients; the fused plan against the unfused one, chunks against none, every kind of CPU; what is saved, and what is refused. */
#include "model/encode.h"
#include "model/model-build.h"
#include "model/weights/tensors.h"
#include "../tap.h"
#include "vision-golden.h"

#include <sys/wait.h>

static char place[] = "/tmp/ft-test-XXXXXX";
static const char *home;          /* tests/golden/clip or tests/golden/open-clip */

/* ---- models ---- */

static void copy(const char *from, const char *to)
{
    size_t size;
    char *bytes = ft_file_exists(from) ? ft_file_read(&arena, from, 1 << 20, &size) : NULL;

    if (bytes)
        ft_file_write(to, bytes, size);
}

/* The small files of a case in `directory`, with that tokenizer. */
static void copy_files(const char *name, const char *tokenizer, const char *directory)
{
    static const char *const files[] = {"config.json", "preprocessor_config.json", "open_clip_config.json", "tokenizer_config.json"};

    ft_directory_make(directory);
    for (int i = 0; i < 4; i++)
        copy(ft_arena_print(&arena, "%s/%s/%s", home, name, files[i]), ft_arena_print(&arena, "%s/%s", directory, files[i]));
    copy(ft_arena_print(&arena, "tests/golden/tokenizer/general/%s.json", tokenizer), ft_arena_print(&arena, "%s/tokenizer.json", directory));
}

/* The case's directory, and its tower; g->mode is the tokenizer. */
static struct ft_model *open_case(const struct golden *g)
{
    const char *directory = ft_arena_print(&arena, "%s/%s", place, g->name);
    int tower = strcmp(g->architecture, "text") == 0 ? FT_TOWER_TEXT : strcmp(g->architecture, "image") == 0 ? FT_TOWER_IMAGE : -1;
    bool own = strcmp(g->library, "open_clip") == 0;
    struct ft_model *model;

    copy_files(g->name, g->mode, directory);
    write_weights(ft_arena_print(&arena, "%s/%s", directory, own ? "open_clip_model.safetensors" : "model.safetensors"), find(g->library, g->name),
                  (struct content){.numbers = true});
    if (!(model = tower < 0 ? ft_model_open(directory, NULL) : ft_model_open_tower(directory, tower)))
        printf("# %s\n", ft_error());
    for (int i = 0; model && i < model->node_count; i++)
        model->nodes[i].rate = 0;   /* M-CLIP's config says none, and so its training drops; the numbers are without */
    return model;
}

/* ITEMS texts. */
static int pack_texts(const struct ft_model *model, struct ft_packed *packed)
{
    const struct ft_prompts none = {0};
    struct ft_string text[ITEMS];
    size_t size, count = 0;
    char *line = ft_file_read(&arena, ft_arena_print(&arena, "%s/texts.txt", home), 1 << 16, &size);

    for (char *end; line && count < ITEMS && (end = strchr(line, '\n')); line = end + 1)
        text[count++] = (struct ft_string){line, (size_t)(end - line)};
    return count < ITEMS ? -1 : ft_encode_texts(&arena, model, &none, 0, text, NULL, ITEMS, packed);
}

static int pack(const struct ft_model *model, const struct golden *g, struct ft_packed *packed)
{
    if (!g->size)
        return pack_texts(model, packed);
    pack_images(model, g->size, packed);
    return 0;
}

/* ---- saved ---- */

static int open_weights(struct ft_safetensors *files, const char *directory)
{
    const char *own = ft_open_clip_weights(&arena, directory);

    return ft_tensors_open(files, own ? own : directory);
}

static bool same_tensors(const char *one, const char *other, size_t *count)
{
    struct ft_safetensors before = {0}, after = {0};
    size_t same = 0;

    if (open_weights(&before, one) < 0 || open_weights(&after, other) < 0)
        return false;
    for (size_t i = 0; i < before.count && before.count == after.count; i++) {
        const struct ft_safetensor *a = &before.tensors[i], *b = &after.tensors[i];

        same += strcmp(a->name, b->name) == 0 && strcmp(a->dtype, b->dtype) == 0 && a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape) == 0 &&
                a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
    }
    *count = before.count;
    ft_safetensors_close(&before);
    ft_safetensors_close(&after);
    return same == *count;
}

/* What is written has the tensors of both towers, names, shapes and bytes as they were, and opens again. */
static void test_saved(const struct golden *g, const struct ft_model *model)
{
    const char *directory = ft_arena_print(&arena, "%s/saved", place);
    bool modules, good = ft_model_save(model, directory) == 0;
    size_t count = 0;

    good = good && same_tensors(model->directory, directory, &count);
    modules = ft_file_exists(ft_arena_print(&arena, "%s/modules.json", directory));
    ok(good && !modules, "%s %s: saved with all %zu tensors as they were%s", g->name, g->architecture, count, modules ? ", and modules" : "");
    ft_directory_remove(directory);
}

/* ---- against PyTorch ---- */

/* Running statistics have no gradient. */
static size_t learning(const struct ft_model *model)
{
    size_t count = 0;

    for (int i = 0; i < model->parameter_count; i++)
        count += !model->parameters[i].statistic;
    return count;
}

static void test_case(const struct golden *g)
{
    struct ft_model *model = open_case(g);
    const char *title = ft_arena_print(&arena, "%s %s", g->name, g->architecture), *where = "";
    bool train = strcmp(g->mode, "train") == 0;   /* by the batch's statistics: see test-vision */
    struct outcome o, other;
    struct ft_packed packed;
    size_t count;
    double far;

    if (model)
        model->batch_statistics = train;
    if (!ok(model && pack(model, g, &packed) == 0 && run(model, &packed, 0, FT_FP32, 0, false, &o) == 0, "%s%s%s", title, model ? "" : ": ", model ? "" : ft_error()))
        return;
    far = far_embedding(g, &o);
    ok(far <= (train ? 1e-5 : 2e-6), "%s: embeddings, worst %.1e", title, far);
    far = far_sums(model, g, 'g', o.gradient, &where, &count);
    ok(far <= 1e-4 && count == learning(model), "%s: %zu gradients of %d, worst %.1e of %s", title, count, model->parameter_count, far, where);
    if (!train) {
        run_forward(model, &packed, FT_FP32, &other);
        far = far_embedding(g, &other);
        ok(far <= 2e-6, "%s: embeddings without a backward, worst %.1e", title, far);
    }
    run(model, &packed, FT_PLAN_UNFUSED, FT_FP32, 0, false, &other);
    ok(apart(o.embedding, other.embedding, ITEMS * model->dim) <= 1e-5 && apart(o.gradient, other.gradient, model->block_count) <= 1e-4,
       "%s: unfused, %.1e and %.1e", title, apart(o.embedding, other.embedding, ITEMS * model->dim), apart(o.gradient, other.gradient, model->block_count));
    if (train) {
        ft_model_close(model);
        return;
    }
    run(model, &packed, 0, FT_FP32, 1, false, &other);
    ok(apart(o.embedding, other.embedding, ITEMS * model->dim) <= 1e-6 && apart(o.gradient, other.gradient, model->block_count) <= 1e-5,
       "%s: in chunks, %.1e and %.1e", title, apart(o.embedding, other.embedding, ITEMS * model->dim), apart(o.gradient, other.gradient, model->block_count));
    run(model, &packed, 0, FT_BF16, 0, false, &other);
    ok(apart(o.embedding, other.embedding, ITEMS * model->dim) <= 3e-2 && apart(o.gradient, other.gradient, model->block_count) <= .2,
       "%s: bf16, %.1e and %.1e of the largest", title, apart(o.embedding, other.embedding, ITEMS * model->dim),
       apart(o.gradient, other.gradient, model->block_count));
    test_saved(g, model);
    ft_model_close(model);
}

/* ---- what is refused ---- */

/* `file` of the case's directory with `from` replaced by `to`; the tower must be refused with a message that has `why`. */
static void refused(const char *name, const char *file, int tower, const char *from, const char *to, const char *why)
{
    const char *directory = ft_arena_print(&arena, "%s/refused", place);
    bool own = find("open_clip", name) != NULL;
    const char *words = strcmp(name, "roberta") == 0 ? "roberta" : own && strcmp(name, "siglip") == 0 ? "t5" : "clip-hf";
    struct ft_model *model;
    size_t size;
    char *text = ft_file_read(&arena, ft_arena_print(&arena, "%s/%s/%s", home, name, file), 1 << 20, &size), *at = strstr(text, from);

    copy_files(name, words, directory);
    write_weights(ft_arena_print(&arena, "%s/%s", directory, own ? "open_clip_model.safetensors" : "model.safetensors"),
                  find(own ? "open_clip" : "transformers", name), (struct content){.numbers = false});
    if (at) {
        const char *changed = ft_arena_print(&arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));

        ft_file_write(ft_arena_print(&arena, "%s/%s", directory, file), changed, strlen(changed));
    }
    model = tower < 0 ? ft_model_open(directory, NULL) : ft_model_open_tower(directory, (enum ft_tower)tower);
    ok(at && !model && strstr(ft_error(), why), "refused: %s (%s)", why, model ? "opened" : ft_error());
    ft_model_close(model);
    ft_directory_remove(directory);
}

static void test_refused(void)
{
    const char *transformers = "config.json", *own = "open_clip_config.json";

    refused("clip", transformers, FT_TOWER_TEXT, "\"num_attention_heads\": 3", "\"num_attention_heads\": 5", "no multiple");
    refused("clip", transformers, FT_TOWER_TEXT, "\"max_position_embeddings\": 20", "\"max_position_embeddings\": 21", "shape");
    refused("clip", transformers, FT_TOWER_TEXT, "\"eos_token_id\": 1036", "\"eos_token_id\": 1035", "eos_token_id is 1035");
    refused("clip", transformers, FT_TOWER_TEXT, "\"hidden_act\": \"quick_gelu\"", "\"hidden_act\": \"gloo\"", "hidden_act");
    refused("clip", transformers, FT_TOWER_TEXT, "\"projection_dim\": 16", "\"projection_dim\": 0", "projection_dim");
    refused("clip", transformers, FT_TOWER_IMAGE, "\"patch_size\": 8", "\"patch_size\": 64", "larger than image_size");
    refused("clip", transformers, FT_TOWER_IMAGE, "\"image_size\": 48", "\"image_size\": 56", "positions are for 56 x 56");
    refused("clip", transformers, FT_TOWER_IMAGE, "\"num_channels\": 3", "\"num_channels\": 1", "num_channels");
    refused("open-clip", own, FT_TOWER_TEXT, "\"layers\": 2", "\"layers\": 2, \"embed_cls\": true", "text_cfg.embed_cls");
    refused("open-clip", own, FT_TOWER_TEXT, "\"text_cfg\"", "\"other_cfg\"", "no text_cfg");
    refused("open-clip", own, FT_TOWER_TEXT, "\"heads\": 3", "\"heads\": 7", "no multiple");
    refused("open-clip", own, FT_TOWER_TEXT, "\"heads\": 3", "\"heads\": 3, \"pool_type\": \"first\"", "pool_type 'first'");
    refused("open-clip", own, FT_TOWER_TEXT, "\"embed_dim\": 16", "\"embed_dim\": 17", "shape");
    refused("open-clip", own, FT_TOWER_IMAGE, "\"patch_size\": 8", "\"patch_size\": 8, \"timm_model_name\": \"vit\"", "vision_cfg.timm_model_name");
    refused("open-clip", own, FT_TOWER_IMAGE, "\"preprocess_cfg\": {", "\"preprocess_cfg\": {\"resize_mode\": \"widest\"", "resize_mode is \"widest\"");
    refused("open-clip", own, FT_TOWER_IMAGE, "\"preprocess_cfg\": {", "\"preprocess_cfg\": {\"fill_color\": 256", "fill_color is 256");
    refused("open-clip", own, FT_TOWER_IMAGE, "\"preprocess_cfg\": {", "\"preprocess_cfg\": {\"mean\": [1, 2]", "mean is not three numbers");
    refused("m-clip", transformers, -1, "xlm-roberta-base", "gpt2", "modelBase 'gpt2'");
}

/* Towers that open_clip has of others. */
static void test_others_refused(void)
{
    const char *own = "open_clip_config.json";

    refused("xlm-roberta", own, FT_TOWER_TEXT, "\"hf_model_name\": \"xlm-roberta-base\"", "\"hf_model_name\": \"intfloat/xlm-base\"", "'intfloat/xlm-base'");
    refused("xlm-roberta", own, FT_TOWER_TEXT, "mean_pooler", "max_pooler", "hf_pooler_type 'max_pooler'");
    refused("xlm-roberta", own, FT_TOWER_TEXT, "\"hf_pooler_type\"", "\"hf_proj_type\": \"conv\", \"hf_pooler_type\"", "hf_proj_type is 'conv'");
    refused("xlm-roberta", own, FT_TOWER_TEXT, "\"hf_pooler_type\"", "\"hf_proj_type\": null, \"hf_pooler_type\"", "hf_proj_type is 'null'");
    refused("xlm-roberta", own, FT_TOWER_TEXT, "\"hf_pooler_type\"", "\"tokenizer_kwargs\": {\"strip_sep_token\": true}, \"hf_pooler_type\"", "strip_sep_token");
    refused("xlm-roberta", own, FT_TOWER_TEXT, "\"hf_pooler_type\"", "\"tokenizer_kwargs\": {\"clean\": \"well\"}, \"hf_pooler_type\"", "clean is 'well'");
    refused("xlm-roberta", own, FT_TOWER_IMAGE, "\"text_cfg\"", "\"multimodal_cfg\": {\"layers\": 2}, \"text_cfg\"", "CoCa");
    refused("xlm-roberta", own, FT_TOWER_TEXT, "\"text_cfg\"", "\"multimodal_cfg\": {\"layers\": 2}, \"text_cfg\"", "CoCa");
    refused("roberta", own, FT_TOWER_TEXT, "\"hf_proj_type\": \"linear\"", "\"hf_proj_type\": \"mlp\"", "no tensor");
    refused("resnet", own, FT_TOWER_IMAGE, "\"width\": 8", "\"width\": 4", "shape");
    refused("resnet", own, FT_TOWER_IMAGE, "\"width\": 8", "\"width\": 8, \"head_width\": 300", "0 heads");
    refused("resnet", own, FT_TOWER_IMAGE, "\"image_size\": 104", "\"image_size\": 31", "image_size is 31");
    refused("resnet", own, FT_TOWER_IMAGE, "\"image_size\": 104", "\"image_size\": 160", "shape");
    refused("resnet", own, FT_TOWER_IMAGE, "\"layers\": [", "\"layers\": [3, ", "layers is not a list of 4");
    refused("siglip", own, FT_TOWER_TEXT, "\"pool_type\": \"last\"", "\"pool_type\": \"argmax\"", "no_causal_mask");
    refused("siglip", "tokenizer_config.json", FT_TOWER_TEXT, "<pad>", "<fill>", "pad_token is '<fill>'");
    refused("siglip", "tokenizer_config.json", FT_TOWER_TEXT, "pad_token", "cls_token", "no pad_token");
    refused("siglip", own, FT_TOWER_IMAGE, "patch16_siglip_224", "patch16_siglip_gap_224", "timm_model_name 'vit_base_patch16_siglip_gap_224'");
    refused("siglip", own, FT_TOWER_IMAGE, "vit_base_patch16_siglip_224", "vit_small_patch32_siglip_224", "shape");
    refused("siglip", own, FT_TOWER_IMAGE, "\"timm_pool\": \"map\"", "\"timm_pool\": \"avg\"", "timm_pool 'avg'");
    refused("siglip", own, FT_TOWER_IMAGE, "\"embed_dim\": 48", "\"embed_dim\": 24", "timm_proj is none");
    refused("siglip", own, FT_TOWER_IMAGE, "\"image_size\": 224", "\"image_size\": 256", "positions are for 224 x 224");
}

static void test_all(const char *directory)
{
    size_t size, cases = 0;
    struct golden *g = calloc(1, sizeof *g);
    char *line = ft_file_read(&arena, ft_arena_print(&arena, "%s/expected.txt", directory), 1 << 20, &size);

    home = directory;
    list_count = 0;
    ok(g && line && read_lists(ft_arena_print(&arena, "%s/names.txt", directory)) == 0, "golden files");
    for (; next_case(&line, g); cases++) {
        test_case(g);
        ft_directory_remove(ft_arena_print(&arena, "%s/%s", place, g->name));
    }
    ok(line && !*line && cases >= 6, "all %zu of them", cases);
    free(g);
}

/* Again on another kind of CPU, which a process chooses once. */
static void test_level(const char *level)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        setenv("FT_CPU", level, 1);
        if (!freopen("/dev/null", "w", stdout))
            _exit(2);
        test_all("tests/golden/clip");
        test_all("tests/golden/open-clip");
        _exit(done());
    }
    ok(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0, "with FT_CPU=%s", level);
}

int main(void)
{
    if (!mkdtemp(place))
        return 1;
    test_level("plain");
    test_level("avx2");
    test_all("tests/golden/clip");
    test_refused();
    test_all("tests/golden/open-clip");
    test_others_refused();
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
