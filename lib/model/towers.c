/* towers.c - two models as one: found in a directory, their lists one after the other, one block under both. */
#include "model/towers.h"
#include "base/error.h"
#include "base/file.h"
#include "model/adapter.h"
#include "model/items.h"
#include "model/tailor/tailoring.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGN_FLOATS = 16 };

static const enum ft_input reads[FT_TOWERS] = {FT_INPUT_TEXT, FT_INPUT_IMAGE};

const char *ft_tower_name(enum ft_tower tower)
{
    static const char *const names[FT_TOWERS] = {"text", "image"};

    return names[tower];
}

enum ft_tower ft_tower_of(const struct ft_content *content)
{
    return ft_content_image(content) ? FT_TOWER_IMAGE : FT_TOWER_TEXT;
}

int ft_share_make(struct ft_arena *arena, const struct ft_model *model, enum ft_tower tower, const struct ft_content *content, const uint8_t *role,
                  size_t count, struct ft_share *s)
{
    *s = (struct ft_share){.content = ft_arena_take(arena, count * sizeof *s->content + 1), .role = ft_arena_take(arena, count + 1),
                           .number = ft_arena_take(arena, count * sizeof *s->number + 1)};
    if (!s->content || !s->role || !s->number)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (ft_tower_of(&content[i]) != tower)
            continue;
        if (ft_item_check(model, &content[i]) < 0)
            return ft_item_prefix(&content[i], i + 1);
        s->content[s->count] = content[i];
        s->role[s->count] = role ? role[i] : FT_NO_ROLE;
        s->number[s->count++] = i;
    }
    return 0;
}

void ft_share_put(const struct ft_share *share, const float *rows, size_t width, float *all)
{
    for (size_t i = 0; i < share->count; i++)
        memcpy(all + share->number[i] * width, rows + i * width, width * sizeof *all);
}

void ft_share_take(const struct ft_share *share, const float *all, size_t width, float *rows)
{
    for (size_t i = 0; i < share->count; i++)
        memcpy(rows + i * width, all + share->number[i] * width, width * sizeof *rows);
}

/* "towers" of ft.json. */
static int read_towers(struct ft_arena *arena, const char *directory, const json_t *json, const char *path, struct ft_towers *towers)
{
    if (!json_is_object(json) || json_object_size(json) != FT_TOWERS)
        return ft_fail(FT_BAD, "%s: towers: expected {\"text\": DIRECTORY, \"image\": DIRECTORY}", path);
    for (int t = 0; t < FT_TOWERS; t++) {
        const char *inside = ft_json_text(json, ft_tower_name((enum ft_tower)t));

        if (!inside || !ft_model_name_valid(inside) || strcmp(inside, "run") == 0)
            return ft_fail(FT_BAD, "%s: '%.128s' is no name of a directory for the %s tower", path, inside ? inside : "",
                           ft_tower_name((enum ft_tower)t));
        if (!(towers->path[t] = ft_arena_text(arena, ft_string_of(inside))) || !(towers->place[t] = ft_model_path(arena, directory, inside)))
            return -1;
    }
    if (strcmp(towers->path[FT_TOWER_TEXT], towers->path[FT_TOWER_IMAGE]) == 0)
        return ft_fail(FT_BAD, "%s: both towers lie in %s", path, towers->path[FT_TOWER_TEXT]);
    towers->kind = FT_TOWERS_JOINED;
    return 0;
}

/* A config.json that cannot be read is for who opens the model to complain of. sentence-transformers before 5 has it in a directory that modules.json names. */
static void find_pair(struct ft_arena *arena, const char *directory, struct ft_towers *towers)
{
    struct ft_modules modules;
    const char *body = ft_modules_read(arena, directory, &modules) == 0 ? ft_model_path(arena, directory, modules.items[0].path) : NULL;
    const char *config = body ? ft_arena_print(arena, "%s/%s", body, ft_config_name(body)) : NULL;
    json_t *json = config && ft_file_exists(config) ? ft_json_read(config) : NULL;
    const char *type = ft_family_type(json);

    ft_error_clear();
    if (type && (towers->pair = ft_family_pair_find(type)))
        towers->kind = FT_TOWERS_PAIRED;
    json_decref(json);
}

static int find(struct ft_arena *arena, const char *directory, bool plain, struct ft_towers *towers)
{
    const char *own = ft_arena_print(arena, "%s/ft.json", directory);
    json_t *json = NULL, *said;
    int result = 0;

    *towers = (struct ft_towers){.kind = FT_TOWERS_NONE};
    if (!own || (ft_file_exists(own) && !(json = ft_json_read(own))))
        return -1;
    if ((said = json_object_get(json, "towers")))
        result = read_towers(arena, directory, said, own, towers);
    else if (!plain && json_object_get(json, FT_ADAPTER_BASE))
        result = ft_towers_find_adapter(arena, directory, json, towers);
    else
        find_pair(arena, directory, towers);
    json_decref(json);
    return result;
}

int ft_towers_find_plain(struct ft_arena *arena, const char *directory, struct ft_towers *towers)
{
    return find(arena, directory, true, towers);
}

/* PEFT's adapter over a model of both is one of them; that its base is not there, who opens the model tells. */
int ft_towers_find(struct ft_arena *arena, const char *directory, struct ft_towers *towers)
{
    const char *base = ft_adapter_is(directory) ? ft_adapter_base(arena, directory, FT_ADAPTER_CONFIG) : NULL;

    ft_error_clear();
    if (!base)
        return find(arena, directory, false, towers);
    *towers = (struct ft_towers){.kind = FT_TOWERS_NONE};
    find_pair(arena, base, towers);
    towers->base = base;
    return 0;
}

/* The tower's nodes and parameters behind those that are in the outer lists. */
static int add_lists(struct ft_model *model, enum ft_tower which)
{
    const struct ft_model *tower = model->towers[which];
    const int first_node = model->node_count, first_parameter = model->parameter_count;

    for (int i = 0; i < tower->node_count; i++) {
        struct ft_node *n = &model->nodes[model->node_count++];

        *n = tower->nodes[i];
        if (!(n->name = ft_arena_print(&model->arena, "%s.%s", ft_tower_name(which), n->name)))
            return -1;
        for (int k = 0; k < n->input_count; k++)
            n->inputs[k] += n->inputs[k] < 0 ? 0 : first_node;
        for (int k = 0; k < n->parameter_count; k++)
            n->parameters[k] += first_parameter;
    }
    for (int i = 0; i < tower->parameter_count; i++) {
        struct ft_parameter *p = &model->parameters[model->parameter_count++];

        *p = tower->parameters[i];
        p->offset += model->tower_first[which];
        if (!(p->name = ft_arena_print(&model->arena, "%s.%s", ft_tower_name(which), p->name)))
            return -1;
    }
    return 0;
}

static int fill_lists(struct ft_model *model)
{
    const struct ft_model *text = model->towers[FT_TOWER_TEXT], *image = model->towers[FT_TOWER_IMAGE];

    model->nodes = ft_arena_zero(&model->arena, (size_t)(text->node_count + image->node_count) + 1, sizeof *model->nodes);
    model->parameters = ft_arena_zero(&model->arena, (size_t)(text->parameter_count + image->parameter_count) + 1, sizeof *model->parameters);
    model->tower_first[FT_TOWER_IMAGE] = (text->block_count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    model->block_count = model->tower_first[FT_TOWER_IMAGE] + image->block_count;
    if (!model->nodes || !model->parameters || add_lists(model, FT_TOWER_TEXT) < 0 || add_lists(model, FT_TOWER_IMAGE) < 0)
        return -1;
    model->body_nodes = model->node_count;
    return 0;
}

/* What is said of one model where there are two: of texts the text tower's. */
static int fill_rest(struct ft_model *model)
{
    const struct ft_model *text = model->towers[FT_TOWER_TEXT], *image = model->towers[FT_TOWER_IMAGE];

    model->input = FT_INPUT_BOTH;
    model->dim = text->dim;
    model->normalized = text->normalized && image->normalized;
    model->distance = text->distance;
    model->vocabulary = text->vocabulary;
    model->max_length = text->max_length;
    model->prompts = text->prompts;
    model->prompt_left_out = text->prompt_left_out;
    model->body = "";
    model->extra_text = text->extra_text ? text->extra_text : image->extra_text;
    if (text->extra_text && image->extra_text)
        model->extra_text = ft_arena_print(&model->arena, "%s; %s", text->extra_text, image->extra_text);
    return !text->extra_text == !image->extra_text && text->extra_text && !model->extra_text ? -1 : 0;
}

static int check_towers(const struct ft_model *model, int status)
{
    const struct ft_model *text = model->towers[FT_TOWER_TEXT], *image = model->towers[FT_TOWER_IMAGE];

    for (int t = 0; t < FT_TOWERS; t++)
        if (model->towers[t]->input != reads[t])
            return ft_fail(status, "%s reads %s: expected a model that reads %s as the %s tower", model->towers[t]->directory,
                           ft_input_name(model->towers[t]->input), ft_input_name(reads[t]), ft_tower_name((enum ft_tower)t));
    if (text->dim != image->dim)
        return ft_fail(status, "texts become %zu dimensions, images %zu: two towers need the same, which --dim N gives them", text->dim, image->dim);
    return 0;
}

/* The outer model, which owns the towers from then on, also where it fails. */
static struct ft_model *assemble(const char *directory, const char *family, struct ft_model *const tower[FT_TOWERS], int status)
{
    struct ft_model *model = calloc(1, sizeof *model);

    if (!model) {
        for (int t = 0; t < FT_TOWERS; t++)
            ft_model_close(tower[t]);
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    model->tower_count = FT_TOWERS;
    memcpy(model->towers, tower, sizeof model->towers);
    model->family = family;
    if ((model->directory = ft_arena_text(&model->arena, ft_string_of(directory))) && check_towers(model, status) == 0 && fill_lists(model) == 0 &&
        fill_rest(model) == 0)
        return model;
    ft_model_close(model);
    return NULL;
}

/* What ft.json says of both. */
static int freeze(struct ft_model *model)
{
    return ft_tailored_read(model) < 0 || (model->tailored && ft_tailored_freeze(model) < 0) ? -1 : 0;
}

/* An adapter's directory: what it has beside. Over a model of both it is added to both of them at once. */
static int take_adapter(struct ft_model *model, const char *directory)
{
    for (int t = 0; t < FT_TOWERS; t++)
        if (!model->tower_path[t])
            model->towers[t]->adapter = NULL;
    model->adapter = ft_arena_text(&model->arena, ft_string_of(directory));
    return model->adapter ? ft_logits_read_beside(directory, &model->logits) : -1;
}

struct ft_model *ft_towers_open(const char *directory, const struct ft_towers *towers, const struct ft_tailoring *const how[FT_TOWERS])
{
    bool joined = towers->kind == FT_TOWERS_JOINED;
    struct ft_model *tower[FT_TOWERS] = {NULL}, *model = NULL;
    int result = 0;

    for (int t = 0; result == 0 && t < FT_TOWERS; t++) {
        const char *path = joined ? towers->place[t] : directory;

        if (!(tower[t] = ft_model_open_one(path, &(struct ft_opening){.tower = joined ? -1 : t, .tailoring = how ? how[t] : NULL})))
            result = joined ? -1 : ft_error_prefix("the %s tower: ", ft_tower_name((enum ft_tower)t));   /* both have keys of one name */
    }
    if (result < 0)
        ft_model_close(tower[FT_TOWER_TEXT]);
    else
        model = assemble(towers->base ? towers->base : directory, joined ? "towers" : towers->pair->name, tower, FT_BAD);
    for (int t = 0; model && joined && t < FT_TOWERS; t++)
        if (!(model->tower_path[t] = ft_arena_text(&model->arena, ft_string_of(towers->path[t]))))
            result = -1;
    if (model && result == 0 && towers->base)
        result = take_adapter(model, directory);
    if (model && result == 0 && freeze(model) == 0)
        return model;
    ft_model_close(model);
    return NULL;
}

struct ft_model *ft_towers_join(const char *directory, struct ft_model *const tower[FT_TOWERS])
{
    struct ft_model *model = assemble(directory, "towers", tower, FT_USAGE);
    const float *block[FT_TOWERS];

    if (!model)
        return NULL;
    for (int t = 0; t < FT_TOWERS; t++) {
        model->tower_path[t] = ft_tower_name((enum ft_tower)t);
        block[t] = tower[t]->block;
    }
    if (ft_model_allocate(model) < 0) {
        ft_model_close(model);
        return NULL;
    }
    for (int t = 0; t < FT_TOWERS; t++) {
        memcpy(tower[t]->block, block[t], tower[t]->block_count * sizeof(float));
        munmap(tower[t]->map, tower[t]->map_size);
        tower[t]->map = NULL;
    }
    return model;
}

int ft_towers_read(struct ft_model *model, float *block)
{
    size_t end = model->towers[FT_TOWER_TEXT]->block_count, next = model->tower_first[FT_TOWER_IMAGE];

    memset(block + end, 0, (next - end) * sizeof *block);
    for (int t = 0; t < FT_TOWERS; t++)
        if (ft_model_read_parameters(model->towers[t], block + model->tower_first[t]) < 0)
            return -1;
    return model->adapter && !model->tower_path[0] ? ft_adapter_add(model, block, model->adapter) : 0;
}

void ft_towers_tell(struct ft_model *model)
{
    int node = 0, parameter = 0;

    for (int t = 0; t < model->tower_count; t++) {
        struct ft_model *tower = model->towers[t];

        for (int i = 0; i < tower->node_count; i++)
            tower->nodes[i].frozen = model->nodes[node++].frozen;
        for (int i = 0; i < tower->parameter_count; i++)
            tower->parameters[i].frozen = model->parameters[parameter++].frozen;
        tower->batch_statistics = model->batch_statistics;
    }
}

const struct ft_model *ft_towers_node(const struct ft_model *model, int node, int *inside)
{
    int texts = model->towers[FT_TOWER_TEXT]->node_count;

    *inside = node < texts ? node : node - texts;
    return model->towers[node < texts ? FT_TOWER_TEXT : FT_TOWER_IMAGE];
}

static json_t *paths_json(const struct ft_model *model)
{
    return json_pack("{s:s,s:s}", "text", model->tower_path[FT_TOWER_TEXT], "image", model->tower_path[FT_TOWER_IMAGE]);
}

int ft_towers_write(struct ft_arena *arena, const struct ft_model *model, const char *directory)
{
    const char *path = ft_arena_print(arena, "%s/ft.json", directory);
    bool joined = model->tower_path[0] != NULL;
    json_t *json = json_pack("{s:i}", "ft", 1);
    int result = path && json ? 0 : -1;

    if (result == 0 && joined && json_object_set_new(json, "towers", paths_json(model)) < 0)
        result = ft_fail(FT_USAGE, "%s: the name of a tower is not UTF-8", directory);
    if (result == 0 && joined && ft_logits_put(model, json) < 0)
        result = -1;
    if (result == 0 && (result = ft_freezing_put(model, json)) == 0) {
        if (joined || json_object_get(json, "edits"))
            result = ft_json_save(path, json);
        else
            unlink(path);        /* what came with the small files */
    }
    json_decref(json);
    return result;
}

void ft_towers_tell_saved(const struct ft_model *model)
{
    model->towers[FT_TOWER_TEXT]->prompts = model->prompts;
    for (int t = 0; t < FT_TOWERS; t++)
        model->towers[t]->saved_as = model->saved_as;
}

int ft_towers_save(struct ft_arena *arena, const struct ft_model *model, const char *directory)
{
    ft_towers_tell_saved(model);
    for (int t = 0; t < FT_TOWERS; t++) {
        const char *path = ft_arena_print(arena, "%s/%s", directory, model->tower_path[t]);

        if (!path || ft_model_save(model->towers[t], path) < 0)
            return -1;
    }
    return ft_towers_write(arena, model, directory);
}
