/* settings.c - run.json in and out, through jansson. */
#include "train/settings.h"
#include "base/error.h"
#include "base/file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int ft_settings_optimizer(const struct ft_settings *s, struct ft_optimizer_settings *optimizer)
{
    return ft_optimizer_parse(optimizer, s->optimizer);
}

struct ft_schedule ft_settings_schedule(const struct ft_settings *s)
{
    return (struct ft_schedule){s->schedule, s->lr, s->warmup};
}

int ft_settings_check(const struct ft_settings *s)
{
    struct ft_optimizer_settings optimizer;
    struct ft_schedule schedule = ft_settings_schedule(s);

    if (!(s->clip >= 0))
        return ft_fail(FT_USAGE, "--clip %g: expected a number of at least 0 (0 = no clipping)", s->clip);
    if (ft_settings_optimizer(s, &optimizer) < 0)
        return ft_error_prefix("--optimizer: ");
    return ft_schedule_check(&schedule);
}

int ft_settings_freeze(const struct ft_settings *s, struct ft_model *model)
{
    for (size_t i = 0; i < s->freeze.count; i++) {
        const char *pattern = s->freeze.items[i];
        bool frozen = pattern[0] != '!';

        if (ft_model_freeze(model, pattern + !frozen, frozen) < 0)
            return -1;
    }
    return 0;
}

static json_t *list_json(const struct ft_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_string(list->items[i]));
    return array;
}

int ft_settings_write(const struct ft_settings *s, const char *path, int argc, char **argv)
{
    json_t *root = json_object(), *command = json_array();
    char *text;
    int result = -1;

    for (int i = 0; i < argc; i++)
        json_array_append_new(command, json_string(argv[i]));
    json_object_set_new(root, "ft", json_integer(1));
    json_object_set_new(root, "version", json_string(FT_VERSION));
    json_object_set_new(root, "command", command);
    json_object_set_new(root, "model", json_string(s->model));
    json_object_set_new(root, "model_checksum", json_string(s->model_checksum));
    json_object_set_new(root, "seed", json_integer((json_int_t)s->seed));
    json_object_set_new(root, "loss", list_json(&s->loss));
    json_object_set_new(root, "miner", s->miner ? json_string(s->miner) : json_null());
    json_object_set_new(root, "optimizer", json_string(s->optimizer));
    json_object_set_new(root, "schedule", json_string(s->schedule));
    json_object_set_new(root, "lr", json_real(s->lr));
    json_object_set_new(root, "warmup", json_real(s->warmup));
    json_object_set_new(root, "clip", json_real(s->clip));
    json_object_set_new(root, "chunk", json_integer(s->chunk));
    json_object_set_new(root, "max_length", json_integer(s->max_length));
    json_object_set_new(root, "prompt", s->prompt ? json_string(s->prompt) : json_null());
    json_object_set_new(root, "freeze", list_json(&s->freeze));
    json_object_set_new(root, "kind", s->kind ? json_string(s->kind) : json_null());
    json_object_set_new(root, "batch", json_integer((json_int_t)s->batch));
    json_object_set_new(root, "per_class", json_integer((json_int_t)s->per_class));
    json_object_set_new(root, "epochs", json_integer((json_int_t)s->epochs));
    json_object_set_new(root, "drop_last", json_boolean(s->drop_last));
    text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    if (!text)
        ft_fail(FT_USAGE, "%s: the settings are not UTF-8", path);
    else
        result = ft_file_write(path, text, strlen(text));
    free(text);
    json_decref(root);
    return result;
}

/* Reading: one object, each key of one type; what is missing or of another type is named. */
struct reading {
    struct ft_arena *arena;
    json_t *root;
    const char *path;
    int failed;
};

static json_t *get(struct reading *r, const char *key, bool good_type(const json_t *), const char *expected)
{
    json_t *value = json_object_get(r->root, key);

    if (!r->failed && (!value || !good_type(value)))
        r->failed = ft_fail(FT_BAD, "%s: \"%s\" is missing or not %s", r->path, key, expected);
    return value;
}

static bool is_integer(const json_t *v) { return json_is_integer(v) && json_integer_value(v) >= 0; }
static bool is_number(const json_t *v) { return json_is_number(v); }
static bool is_string(const json_t *v) { return json_is_string(v); }
static bool is_text(const json_t *v) { return json_is_string(v) || json_is_null(v); }
static bool is_array(const json_t *v) { return json_is_array(v); }
static bool is_boolean(const json_t *v) { return json_is_boolean(v); }

static long read_integer(struct reading *r, const char *key)
{
    return (long)json_integer_value(get(r, key, is_integer, "a whole number"));
}

static double read_number(struct reading *r, const char *key)
{
    return json_number_value(get(r, key, is_number, "a number"));
}

static const char *read_text(struct reading *r, const char *key, bool required)
{
    const char *text = json_string_value(get(r, key, required ? is_string : is_text, required ? "a string" : "a string or null"));

    if (r->failed || !text)
        return NULL;
    text = ft_arena_text(r->arena, ft_string_of(text));
    if (!text)
        r->failed = -1;
    return text;
}

static struct ft_list read_list(struct reading *r, const char *key)
{
    json_t *array = get(r, key, is_array, "a list");
    struct ft_list list = {NULL, 0};
    size_t count = r->failed ? 0 : json_array_size(array);

    if (!count)
        return list;
    if (!(list.items = ft_arena_zero(r->arena, count, sizeof *list.items))) {
        r->failed = -1;
        return list;
    }
    for (list.count = 0; list.count < count; list.count++) {
        json_t *item = json_array_get(array, list.count);

        if (!json_is_string(item)) {
            r->failed = ft_fail(FT_BAD, "%s: \"%s\" is not a list of strings", r->path, key);
            break;
        }
        list.items[list.count] = ft_arena_text(r->arena, ft_string_of(json_string_value(item)));
    }
    return list;
}

int ft_settings_read(struct ft_arena *arena, struct ft_settings *s, const char *path)
{
    struct reading r = {.arena = arena, .path = path};
    json_error_t error;
    size_t size;
    char *text = ft_file_read(arena, path, 1 << 20, &size);

    if (!text)
        return -1;
    if (!(r.root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error)))
        return ft_fail(FT_BAD, "%s:%d: %s", path, error.line, error.text);
    *s = (struct ft_settings){
        .model = read_text(&r, "model", true),
        .model_checksum = read_text(&r, "model_checksum", true),
        .seed = (uint64_t)read_integer(&r, "seed"),
        .loss = read_list(&r, "loss"),
        .miner = read_text(&r, "miner", false),
        .optimizer = read_text(&r, "optimizer", true),
        .schedule = read_text(&r, "schedule", true),
        .lr = read_number(&r, "lr"),
        .warmup = read_number(&r, "warmup"),
        .clip = read_number(&r, "clip"),
        .chunk = read_integer(&r, "chunk"),
        .max_length = read_integer(&r, "max_length"),
        .prompt = read_text(&r, "prompt", false),
        .freeze = read_list(&r, "freeze"),
        .kind = read_text(&r, "kind", false),
        .batch = (uint64_t)read_integer(&r, "batch"),
        .per_class = (uint64_t)read_integer(&r, "per_class"),
        .epochs = (uint64_t)read_integer(&r, "epochs"),
        .drop_last = json_is_true(get(&r, "drop_last", is_boolean, "true or false")),
    };
    json_decref(r.root);
    return r.failed ? -1 : ft_settings_check(s);
}
