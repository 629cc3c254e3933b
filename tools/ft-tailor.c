/* ft-tailor - a model's nodes listed, or changed: the head taken off, cut, pooled another way, projected, frozen. */
#include "base/file.h"
#include "base/tool.h"
#include "model/import.h"
#include "model/items.h"
#include "model/listing.h"
#include "model/tailor/tailor.h"
#include "model/towers.h"
#include "train/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *model_name, *output, *begin, *family;
static struct ft_list models;
static bool json, dot, force;
static long input = -1, seed;   /* input -1: not given */
static struct ft_list edits;

enum { MOST_INPUT = 1 << 14 };   /* as much as image_size of a config.json may be */

static const struct ft_option options[] = {
    {'m', "model", FT_LIST, &models, "MODEL", "model to list, or to change; a text model and an image model, each with -m, are joined", NULL},
    {0, "new", FT_TEXT, &begin, "NAME:k=v", "a model from nothing instead: mlp:in=512,hidden=256,out=128,activation=relu,l2=1", NULL},
    {0, "family", FT_TEXT, &family, "NAME", "what MODEL holds the weights of, where that is a file: resnet50, efficientnet-b0, vit-b-32, ...", NULL},
    {'o', "output", FT_TEXT, &output, "DIR", "where the changed model goes", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace the model in DIR", NULL},
    {0, "input", FT_COUNT, &input, "N", "tokens of the text (default: 16), or side of the images, whose shapes are listed", NULL},
    {0, "json", FT_FLAG, &json, NULL, "the list as JSON", NULL},
    {0, "dot", FT_FLAG, &dot, NULL, "the list as a graph for graphviz", NULL},
    {0, "layers", FT_SEQUENCE, &edits, "[TOWER=]N", "keep the first N blocks; of two towers text=N or image=N", NULL},
    {0, "dropout", FT_SEQUENCE, &edits, "[TOWER=]X", "rate of the model's own dropouts", NULL},
    {0, "image-size", FT_SEQUENCE, &edits, "N", "read images at N x N pixels (default: the model's)", NULL},
    {0, "embedding", FT_SEQUENCE, &edits, "NODE", "the embedding is this node's output, pooled where it has a row a token; what follows goes", NULL},
    {0, "pool", FT_SEQUENCE, &edits, "[TOWER=]KIND:k=v", "pool by mean, max, cls, last, weighted-mean, mean-sqrt or gem:p=3,learn=1", NULL},
    {0, "dim", FT_SEQUENCE, &edits, "[TOWER=]N", "project the embedding to N dimensions", NULL},
    {0, "head", FT_SEQUENCE, &edits, "[TOWER=]NAME:k=v", "project it by mlp:layers=2,hidden=N,out=N,activation=relu,norm=none,dropout=0", NULL},
    {0, "normalize", FT_SEQUENCE, &edits, NULL, "make embeddings unit length", NULL},
    {0, "freeze", FT_SEQUENCE, &edits, "PATTERN", "nodes that do not train, as 'encoder.layer.[0-2].*' or below:NODE", NULL},
    {0, "unfreeze", FT_SEQUENCE, &edits, "PATTERN", "nodes that do train", NULL},
    {0, "max-length", FT_SEQUENCE, &edits, "N", "tokens of a text at most (default: the model's)", NULL},
    {0, "prompt", FT_SEQUENCE, &edits, "[ROLE=]TEXT", "put before texts: query=, document=, negative= of a role; may repeat (default: the model's)", NULL},
    {0, "seed", FT_COUNT, &seed, "S", "of what new weights begin as (default: 0)", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-tailor -m minilm",
    "ft-tailor -m minilm --layers 3 --freeze 'embeddings*' -o small",
    "ft-tailor -m minilm --freeze '*' --dim 64 -o probe",
    "ft-tailor -m minilm -m resnet18 --dim 256 -o both",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-tailor",
    .purpose = "list a model's nodes; cut, pool, project and freeze them",
    .operands = "",
    .options = options,
    .examples = examples,
    .see_also = "ft-train(1), ft-export(1), ft(7)",
};

static struct ft_arena arena;

/* ---- the list as text ---- */

struct styles {
    const char *title, *trains, *frozen, *end;
};

static struct styles choose_styles(void)
{
    const char *terminal = getenv("TERM"), *plain = getenv("NO_COLOR");

    if (!isatty(STDOUT_FILENO) || (plain && *plain) || !terminal || strcmp(terminal, "dumb") == 0)
        return (struct styles){"", "", "", ""};
    return (struct styles){"\033[1m", "\033[32m", "\033[36m", "\033[0m"};
}

static size_t tokens(void)
{
    return input < 0 ? 16 : (size_t)input;
}

/* 22713216 as 22,713,216 */
static const char *grouped(size_t number, char text[32])
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%zu", number), used = 0;

    for (int i = 0; i < size; i++) {
        if (i && (size - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

static int widest_name(const struct ft_model *model)
{
    int most = 4;

    for (int i = 0; i < model->node_count; i++)
        if ((int)strlen(model->nodes[i].name) > most)
            most = (int)strlen(model->nodes[i].name);
    return most;
}

static void print_row(const struct ft_model *model, int node, int width, const struct styles *style)
{
    const struct ft_node *n = model->nodes + node;
    const struct ft_shape shape = ft_node_shape(model, node, tokens());
    size_t all = ft_node_numbers(model, node, false), trains = ft_node_numbers(model, node, true);
    char size[96], number[32];

    ft_shape_text(&shape, size, sizeof size);
    printf("%-*s  %-11s  %-14s  %12s  %s%s%s\n", width, n->name, ft_op_name(n->op), size, all ? grouped(all, number) : "-",
           trains ? style->trains : all ? style->frozen : "", trains ? "yes" : all ? "no" : "-", trains || all ? style->end : "");
}

/* Of each tower, where there are two. */
static void print_towers(const struct ft_model *model, const struct styles *style)
{
    char numbers[3][32];

    for (int t = 0; t < model->tower_count; t++) {
        const struct ft_model *tower = model->towers[t];

        printf("%s%s: %s, %s nodes, %s parameters, %s trainable%s\n", style->title, ft_tower_name((enum ft_tower)t), tower->family,
               grouped((size_t)tower->node_count, numbers[0]), grouped(ft_model_numbers(tower, false), numbers[1]),
               grouped(ft_model_numbers(tower, true), numbers[2]), style->end);
    }
}

static void print_text(const struct ft_model *model)
{
    const struct styles style = choose_styles();
    size_t all = ft_model_numbers(model, false);
    char numbers[4][32];
    int width = widest_name(model);

    printf("%s%-*s  %-11s  %-14s  %12s  %s%s\n", style.title, width, "name", "op", "output", "parameters", "trainable", style.end);
    for (int i = 0; i < model->node_count; i++)
        print_row(model, i, width, &style);
    print_towers(model, &style);
    printf("%s%s nodes, %s parameters, %s trainable, %s bytes%s\n", style.title, grouped((size_t)model->node_count, numbers[0]),
           grouped(all, numbers[1]), grouped(ft_model_numbers(model, true), numbers[2]), grouped(all * sizeof(float), numbers[3]), style.end);
}

static int print_json(const struct ft_model *model)
{
    json_t *list = ft_listing_json(model, tokens());

    if (!list)
        return -1;
    json_dumpf(list, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(list);
    return 0;
}

static int print_dot(const struct ft_model *model)
{
    const char *text = ft_listing_dot(&arena, model, tokens());

    if (!text)
        return -1;
    fputs(text, stdout);
    return 0;
}

/* ---- a model listed, a model changed ---- */

static int list_model(const char *directory)
{
    struct ft_model *model = ft_model_open_sized(directory, input < 0 ? 0 : (size_t)input);
    int result = 0;

    if (!model)
        return -1;
    if (model->extra_text)
        ft_tool_say(&tool, "%s", model->extra_text);
    if (model->input == FT_INPUT_VECTOR && input > 0)
        result = ft_fail(FT_USAGE, "--input is of texts and images, and the model reads %s", ft_input_name(model->input));
    else if (json)
        result = print_json(model);
    else if (dot)
        result = print_dot(model);
    else
        print_text(model);
    tool.in = 1;
    tool.out = (unsigned long)model->node_count;
    ft_model_close(model);
    return result;
}

static void say_alone(const struct ft_model *model, const char *name, const char *directory)
{
    const char *why = ft_model_alone(&arena, model);

    if (why)
        ft_tool_say(&tool, "only ft loads %s: %s, which %s cannot express", name, why, ft_model_reader(model));
    for (int t = 0; t < model->tower_count && model->tower_path[t]; t++)
        say_alone(model->towers[t], ft_arena_print(&arena, "%s/%s", directory, model->tower_path[t]), directory);
}

/* What a person should know of the model that is written. */
static int say_what(const struct ft_model *model)
{
    struct ft_list head = {NULL, 0};

    if (model->extra_text)
        ft_tool_say(&tool, "%s", model->extra_text);
    if (!begin && ft_model_head(&arena, model, &head) < 0)
        return -1;
    if (head.count)
        ft_tool_say(&tool, "%zu tensors that no node uses are left out, %s ... %s", head.count, head.items[0], head.items[head.count - 1]);
    say_alone(model, "it", output);
    return 0;
}

static int place(struct ft_model *model)
{
    int result = say_what(model) < 0 ? -1 : ft_model_place(model, output, force);

    ft_model_close(model);
    tool.out = result == 0;
    return result;
}

static int change_model(const char *directory)
{
    struct ft_model *model = ft_model_tailor(directory, &edits, (uint64_t)seed);

    tool.in = 1;
    return model ? place(model) : -1;
}

/* The directory that MODEL means, if it is a whole model. */
static const char *find_whole(const char *name)
{
    const char *directory = ft_model_find(&arena, name);

    if (directory && ft_run_is(directory) && !ft_run_finished(directory)) {
        ft_fail(FT_USAGE, "%s is still in training: no model yet", directory);
        return NULL;
    }
    return directory;
}

static int join_models(void)
{
    const char *text = find_whole(models.items[0]), *image = text ? find_whole(models.items[1]) : NULL;
    struct ft_model *model = image ? ft_model_join(text, image, &edits, (uint64_t)seed) : NULL;

    tool.in = 2;
    return model ? place(model) : -1;
}

/* Its config.json is made in a directory of its own, from which the model is opened like any other. */
static int begin_model(void)
{
    const char *work = ft_arena_print(&arena, "%s.new-%ld", output, (long)getpid());
    struct ft_model *model = work ? ft_model_new(begin, work, &edits, (uint64_t)seed) : NULL;
    int result = model ? place(model) : -1;
    struct ft_error_copy error;

    ft_error_save(&error);
    if (work && ft_directory_exists(work))
        ft_directory_remove(work);
    ft_error_restore(&error);
    return result;
}

static int import_model(void)
{
    int result;

    if (edits.count)
        return ft_fail(FT_USAGE, "--family makes a model of the weights as they are: edit it afterwards, with ft-tailor -m %s ...", output);
    tool.in = 1;
    result = ft_model_import(model_name, family, output, force);
    tool.out = result == 0;
    return result;
}

static int run(void)
{
    const char *directory;

    model_name = models.count ? models.items[0] : NULL;
    if (models.count > 2 || (models.count == 2 && (begin || family)))
        return ft_fail(FT_USAGE, begin || family ? "-m is given twice: expected one MODEL with --%s" : "-m is given more than twice: expected at most two models",
                       begin ? "new" : "family");
    if (models.count == 2 && !output)
        return ft_fail(FT_USAGE, "joined models need a place: add -o DIR");
    if (begin && family)
        return ft_fail(FT_USAGE, "--new and --family: expected one of them");
    if (!model_name == !begin)
        return ft_fail(FT_USAGE, begin ? "-m and --new: expected one of them" : "no model: add -m MODEL, or --new NAME:k=v");
    if (json && dot)
        return ft_fail(FT_USAGE, "--json and --dot: expected one of them");
    if ((edits.count || begin || family) && !output)
        return ft_fail(FT_USAGE, "a changed model needs a place: add -o DIR");
    if (output && (json || dot))
        return ft_fail(FT_USAGE, "with -o nothing is listed: ft-tailor -m %s --%s lists the model afterwards", output, json ? "json" : "dot");
    if (input == 0 || input > MOST_INPUT)
        return ft_fail(FT_USAGE, "--input %ld: expected 1 to %d", input, MOST_INPUT);
    if (begin)
        return begin_model();
    if (family)
        return import_model();
    if (models.count == 2)
        return join_models();
    if (!(directory = find_whole(model_name)))
        return -1;
    return output ? change_model(directory) : list_model(directory);
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    if (status < 0)
        status = ft_tool_end(&tool, run());
    ft_arena_free(&arena);
    return status;
}
