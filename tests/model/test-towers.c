/* test-towers.c - two models joined: embeddings are the towers' own, in the order of the items, also when written and opened again; what is frozen by name;
 * one block; ft.json as a stranger writes it. */
#include "base/error.h"
#include "base/file.h"
#include "model/embed.h"
#include "model/listing.h"
#include "model/run/runner.h"
#include "model/tailor/tailor.h"
#include "model/towers.h"
#include "../tap.h"

#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define TEXT "tests/golden/model/mean"
#define IMAGE "tests/golden/pictures/resnet"
#define STRIPES "tests/golden/pictures/stripes/"
enum { SEED = 5, DIM = 6 };

static struct ft_arena arena;
static char place[] = "/tmp/ft-test-XXXXXX";

static void is_count(size_t got, size_t want, const char *what)
{
    ok(got == want, "%s: %zu", what, got);
}

static const char *in_place(const char *name)
{
    return ft_arena_print(&arena, "%s/%s", place, name);
}

/* "dim=8 normalize" as a list. */
static struct ft_list edits_of(const char *text)
{
    struct ft_list list = {ft_arena_zero(&arena, 32, sizeof(char *)), 0};

    for (const char *word = text; *word; word += strcspn(word, " "), word += *word == ' ')
        list.items[list.count++] = ft_arena_text(&arena, (struct ft_string){word, strcspn(word, " ")});
    return list;
}

static struct ft_model *joined(const char *edits)
{
    const struct ft_list list = edits_of(edits);

    return ft_model_join(TEXT, IMAGE, &list, SEED);
}

static struct ft_model *tailored(const char *directory, const char *edits, uint64_t seed)
{
    const struct ft_list list = edits_of(edits);

    return ft_model_tailor(directory, &list, seed);
}

/* Two texts and three images, mixed. */
enum { ITEMS = 5 };
static const char *const texts[ITEMS] = {"the cat sat on the mat", NULL, NULL, "a dog", NULL};
static const char *const pictures[ITEMS] = {NULL, STRIPES "kind0/0.png", STRIPES "kind1/0.png", NULL, STRIPES "kind0/1.jpg"};

static size_t make_items(struct ft_content *content, bool want_texts, bool want_images)
{
    size_t count = 0;

    for (int i = 0; i < ITEMS; i++)
        if (texts[i] ? want_texts : want_images) {
            content[count] = (struct ft_content){.tensor = NULL};
            *(texts[i] ? &content[count].text : &content[count].uri) = ft_string_of(texts[i] ? texts[i] : pictures[i]);
            count++;
        }
    return count;
}

static int embed(const struct ft_model *model, bool want_texts, bool want_images, float *out)
{
    struct ft_embedder *embedder = ft_embedder_open(model, &(struct ft_embed_options){.max_length = 0});
    struct ft_content content[ITEMS];
    size_t count = make_items(content, want_texts, want_images);
    int result = embedder ? ft_embedder_run(embedder, content, NULL, count, out) : -1;

    ft_embedder_close(embedder);
    return result;
}

/* Is what `model` makes of all items what the towers make of theirs? */
static bool same_embeddings(const struct ft_model *model, const struct ft_model *text, const struct ft_model *image)
{
    float all[ITEMS * DIM], own[FT_TOWERS][ITEMS * DIM];
    size_t next[FT_TOWERS] = {0};
    bool same = true;

    if (embed(model, true, true, all) < 0 || embed(text, true, false, own[0]) < 0 || embed(image, false, true, own[1]) < 0)
        return false;
    for (int i = 0; i < ITEMS; i++) {
        int t = texts[i] ? FT_TOWER_TEXT : FT_TOWER_IMAGE;

        same &= memcmp(all + i * DIM, own[t] + next[t]++ * DIM, DIM * sizeof(float)) == 0;
    }
    return same;
}

static void test_embeddings(void)
{
    struct ft_model *model = joined("dim=6"), *again, *text = tailored(TEXT, "head=mlp:layers=1,out=6,bias=0 normalize", SEED);
    struct ft_model *image = tailored(IMAGE, "head=mlp:layers=1,out=6,bias=0 normalize", SEED + 1), *alone;
    const char *directory = in_place("both");
    char sum[9], sum_again[9];

    if (!ok(model && text && image, "joined: %s", ft_error()))
        return;
    is_count(model->dim, DIM, "both of one dimension");
    ok(model->normalized && model->input == FT_INPUT_BOTH, "of unit length, and reads both");
    ok(same_embeddings(model, text, image), "texts and images mixed: each as its tower by itself, in their order");
    ok(ft_model_place(model, directory, false) == 0 && (again = ft_model_open(directory, NULL)), "written and opened: %s", ft_error());
    ok(strcmp(ft_model_checksum(model, sum), ft_model_checksum(again, sum_again)) == 0, "with the checksum it had");
    ok(same_embeddings(again, text, image), "and its embeddings");
    ok((alone = ft_model_open(in_place("both/text"), NULL)) && strcmp(ft_model_checksum(alone, sum), ft_model_checksum(text, sum_again)) == 0,
       "the text tower's directory is that model: %s", ft_error());
    ft_model_close(alone);
    ok((alone = ft_model_open(in_place("both/image"), NULL)) && strcmp(ft_model_checksum(alone, sum), ft_model_checksum(image, sum_again)) == 0,
       "the image tower's too: %s", ft_error());
    ft_model_close(alone);
    ok(ft_file_exists(in_place("both/text/modules.json")), "sentence-transformers finds its modules in the text tower");
    ft_model_close(again);
    ft_model_close(text);
    ft_model_close(image);
    ft_model_close(model);
}

static int trainable(const struct ft_model *model, const char *name)
{
    for (int i = 0; i < model->node_count; i++)
        if (strcmp(model->nodes[i].name, name) == 0)
            return model->nodes[i].frozen ? 0 : 1;
    return -1;
}

static size_t learns(const struct ft_model *model, enum ft_tower tower)
{
    return ft_model_numbers(model->towers[tower], true);
}

static void test_freezing(void)
{
    struct ft_model *model = joined("freeze=image dim=6"), *again;
    const struct ft_model *text, *image;

    if (!ok(model != NULL, "joined: %s", ft_error()))
        return;
    text = model->towers[FT_TOWER_TEXT];
    image = model->towers[FT_TOWER_IMAGE];
    is_count(learns(model, FT_TOWER_IMAGE), 8 * DIM, "an image tower frozen before its projection is made: the projection learns");
    ok(learns(model, FT_TOWER_TEXT) == ft_model_numbers(text, false), "and all of the text tower");
    ok(trainable(model, "image.2_Dense") == 1 && trainable(image, "2_Dense") == 1 && trainable(image, "embedder.embedder.convolution") == 0 &&
           trainable(model, "image.embedder.embedder.convolution") == 0,
       "the towers know it by their own names");
    ok(ft_model_place(model, in_place("frozen"), false) == 0 && (again = ft_model_open(in_place("frozen"), NULL)), "written: %s", ft_error());
    ok(learns(again, FT_TOWER_IMAGE) == 8 * DIM && ft_model_numbers(again, true) == ft_model_numbers(model, true), "and read: the same is frozen");
    ft_model_close(again);
    ok(ft_model_freeze(model, "*", true) == 0 && learns(model, FT_TOWER_TEXT) + learns(model, FT_TOWER_IMAGE) == 0, "*: all");
    ok(ft_model_freeze(model, "text.*", false) == 0 && learns(model, FT_TOWER_IMAGE) == 0 && learns(model, FT_TOWER_TEXT) > 0, "text.*: a tower");
    ok(ft_model_freeze(model, "below:text.pooling", true) == 0 && learns(model, FT_TOWER_TEXT) == 20 * DIM, "below: stays in its tower");
    ok(ft_model_freeze(model, "images", true) < 0, "what matches nothing is refused: %s", ft_error());
    ft_model_close(model);
    model = tailored(in_place("frozen"), "unfreeze=image.encoder.stages.3.* freeze=text.embeddings*", SEED);
    ok(model && trainable(model, "image.encoder.stages.3.layers.0.layer.0.convolution") == 1 && trainable(model, "text.embeddings") == 0,
       "edited again: %s", ft_error());
    ft_model_close(model);
}

static void test_block(void)
{
    struct ft_model *model = joined("dim=6"), *other;
    const struct ft_model *image;
    float *block;

    if (!ok(model && ft_model_place(model, in_place("block"), false) == 0, "joined: %s", ft_error()))
        return;
    image = model->towers[FT_TOWER_IMAGE];
    is_count(model->tower_first[FT_TOWER_IMAGE] % 16, 0, "the image tower begins at a multiple of 16 numbers");
    is_count(model->block_count, model->tower_first[FT_TOWER_IMAGE] + image->block_count, "and ends the block");
    is_count((size_t)model->parameter_count, (size_t)(model->towers[0]->parameter_count + image->parameter_count), "one list");
    ok(model->block + model->parameters[model->parameter_count - 1].offset == image->block + image->parameters[image->parameter_count - 1].offset,
       "a parameter lies where the tower looks for it");
    ok(strcmp(model->parameters[0].name, "text.embeddings.word_embeddings.weight") == 0, "it is called %s", model->parameters[0].name);
    other = ft_model_open_nodes(in_place("block"));
    block = ft_model_zeros(other);
    ok(ft_model_read_parameters(other, block) == 0 && memcmp(block, model->block, model->block_count * sizeof *block) == 0, "read into a block of the caller's");
    ft_model_use_block(other, block);
    ok(other->towers[FT_TOWER_IMAGE]->block == block + model->tower_first[FT_TOWER_IMAGE], "which the towers look into");
    ft_model_zeros_free(other, block);
    ft_model_close(other);
    ft_model_close(model);
}

static void test_edits(void)
{
    static const struct { const char *edits, *says; } bad[] = {
        {"", "20 dimensions, images 8"}, {"dim=0", "--dim 0: expected a whole number"}, {"dim=x", "--dim x"}, {"dim=6 layers=1", "of which of two towers"},
        {"dim=6 freeze=nothing", "matches no node"}, {"head=mlp:hidden=4", "20 dimensions, images 8"},
    };
    const struct ft_list none = {NULL, 0};
    struct ft_model *model;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        model = joined(bad[i].edits);
        ok(!model && ft_error_status() == FT_USAGE && strstr(ft_error(), bad[i].says), "'%s' is refused: %s", bad[i].edits, model ? "it is not" : ft_error());
        ft_model_close(model);
    }
    ok(!ft_model_join(IMAGE, TEXT, &none, 0) && strstr(ft_error(), "in this order"), "images first: %s", ft_error());
    ok(!ft_model_join(TEXT, TEXT, &none, 0) && strstr(ft_error(), "reads text"), "two texts: %s", ft_error());
    model = joined("dim=20");
    ok(model && model->towers[0]->node_count == 33 && model->dim == 20 && trainable(model, "image.2_Dense") == 1,
       "a tower that has so many dimensions is left as it is");
    ft_model_close(model);
    model = joined("dim=6 max-length=9 prompt=query=ask:");
    ok(model && model->max_length == 9 && model->towers[0]->max_length == 9 && strcmp(model->towers[0]->prompts.text[FT_ANCHOR], "ask:") == 0,
       "what is of texts goes to the text tower: %s", ft_error());
    ft_model_close(model);
    ok(!ft_model_open_scorer(in_place("both")) && strstr(ft_error(), "no cross-encoder"), "no cross-encoder: %s", ft_error());
    model = ft_model_open(in_place("both"), NULL);
    ok(model && !ft_runner_open(model, 0, FT_FP32) && strstr(ft_error(), "two towers"), "it is never run itself: %s", ft_error());
    ft_model_close(model);
}

static void test_strangers(void)
{
    static const struct { const char *json, *says; } bad[] = {
        {"{\"ft\": 1, \"towers\": []}", "expected {\"text\""},
        {"{\"ft\": 1, \"towers\": {\"text\": \"text\"}}", "expected {\"text\""},
        {"{\"ft\": 1, \"towers\": {\"text\": \"text\", \"image\": 3}}", "no name of a directory"},
        {"{\"ft\": 1, \"towers\": {\"text\": \"text\", \"image\": \"..\"}}", "no name of a directory"},
        {"{\"ft\": 1, \"towers\": {\"text\": \".\", \"image\": \"image\"}}", "no name of a directory"},
        {"{\"ft\": 1, \"towers\": {\"text\": \"/etc\", \"image\": \"image\"}}", "no name of a directory"},
        {"{\"ft\": 1, \"towers\": {\"text\": \"run\", \"image\": \"image\"}}", "no name of a directory"},
        {"{\"ft\": 1, \"towers\": {\"text\": \"image\", \"image\": \"image\"}}", "both towers lie in image"},
        {"{\"ft\": 1, \"towers\": {\"text\": \"image\", \"image\": \"text\"}}", "reads images: expected a model that reads text"},
        {"{\"ft\": 1, \"towers\": {\"text\": \"text\", \"image\": \"gone\"}}", "gone"},
        {"{\"ft\": 2, \"towers\": {\"text\": \"text\", \"image\": \"image\"}}", "is not 1"},
        {"{\"ft\": 1, \"family\": \"bert\", \"towers\": {\"text\": \"text\", \"image\": \"image\"}}", "key 'family'"},
        {"{\"ft\": 1, \"towers\": {\"text\": \"text\", \"image\": \"image\"}, \"edits\": 3}", "edits is not a list"},
        {"{\"ft\": 1, \"towers\": {\"text\": \"text\", \"image\": \"image\"}, \"edits\": [{\"edit\": \"pool\", \"name\": \"p\", \"pooling\": \"mean\"}]}",
         "no family"},
        {"{\"ft\": 1, \"towers\": {\"text\": \"text\", \"image\": \"image\"}, \"edits\": [{\"edit\": \"freeze\", \"nodes\": \"video\"}]}", "no node of the model"},
        {"{\"ft\": 1, \"towers\": ", "ft.json"},
    };
    const char *path = in_place("both/ft.json");
    struct ft_model *model;
    size_t size;
    char *good = ft_file_read(&arena, path, 1 << 16, &size);

    for (size_t i = 0; good && i < sizeof bad / sizeof *bad; i++) {
        ft_file_write(path, bad[i].json, strlen(bad[i].json));
        model = ft_model_open(in_place("both"), NULL);
        ok(!model && strstr(ft_error(), bad[i].says), "%s: %s", bad[i].json, model ? "opened" : ft_error());
        ft_model_close(model);
    }
    ft_file_write(path, good, size);
    ok((model = ft_model_open(in_place("both"), NULL)) != NULL, "as it was it opens: %s", ft_error());
    ft_model_close(model);
}

int main(void)
{
    if (!mkdtemp(place))
        return 1;
    test_embeddings();
    test_freezing();
    test_block();
    test_edits();
    test_strangers();
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
