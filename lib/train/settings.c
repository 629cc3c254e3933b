/* settings.c - run.json in and out, through jansson. */
#include "train/settings.h"
#include "base/error.h"
#include "base/file.h"
#include "data/augment.h"
#include "model/adapter.h"
#include "model/items.h"
#include "model/towers.h"
#include "tensor/kernels.h"
#include "train/loss.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int ft_settings_optimizer(const struct ft_settings *s, struct ft_optimizer_settings *optimizer)
{
    return ft_optimizer_parse(optimizer, s->optimizer);
}

int ft_settings_schedule(const struct ft_settings *s, enum ft_batch_kind kind, enum ft_input input, struct ft_schedule *schedule)
{
    return ft_schedule_parse(schedule, s->schedule, s->lr == FT_RATE_BY_KIND ? ft_loss_rate(kind, input) : s->lr, s->warmup);
}

int ft_settings_loss_optimizer(const struct ft_settings *s, struct ft_optimizer_settings *optimizer)
{
    return ft_optimizer_parse(optimizer, s->loss_optimizer ? s->loss_optimizer : s->optimizer);
}

double ft_settings_loss_rate(const struct ft_settings *s, double lr)
{
    return s->loss_lr == FT_RATE_AS_MODEL ? lr : s->loss_lr;
}

int ft_settings_check_losses(const struct ft_settings *s)
{
    struct ft_arena arena = {0};
    struct ft_losses *losses;
    struct ft_loss_layout layout;
    int result = -1;

    if (!s->loss_optimizer && (s->loss_lr == FT_RATE_AS_MODEL || s->loss_lr == 0))
        return 0;
    if ((losses = ft_losses_parse_any(&arena, &s->loss)) && ft_losses_layout(&arena, losses, 1, 1, &layout) == 0)
        result = layout.learnt ? 0 : ft_fail(FT_USAGE, "%s: no loss of this run has weights of its own",
                                             s->loss_optimizer ? "--loss-optimizer" : "--loss-lr");
    ft_arena_free(&arena);
    return result;
}

static int check_lora(const struct ft_settings *s)
{
    struct ft_arena arena = {0};
    struct ft_lora lora;
    int result = s->lora ? ft_lora_parse(&arena, &lora, s->lora) : 0;

    ft_arena_free(&arena);
    return result;
}

int ft_settings_check(const struct ft_settings *s)
{
    struct ft_optimizer_settings optimizer;
    struct ft_schedule schedule;
    enum ft_precision precision;
    struct ft_augment augment;

    if (!(s->clip >= 0) || !isfinite(s->clip))
        return ft_fail(FT_USAGE, "--clip %g: expected a number of at least 0 (0 = no clipping)", s->clip);
    if (s->seed > INT64_MAX)
        return ft_fail(FT_USAGE, "seed %" PRIu64 ": expected at most %" PRId64, s->seed, INT64_MAX);
    if (ft_settings_optimizer(s, &optimizer) < 0)
        return ft_error_prefix("--optimizer: ");
    if (ft_rates_check(&s->rates, &optimizer) < 0 || ft_settings_schedule(s, FT_BATCH_RANDOM, FT_INPUT_TEXT, &schedule) < 0 || check_lora(s) < 0)
        return -1;
    if (s->loss_lr != FT_RATE_AS_MODEL && (!(s->loss_lr >= 0) || !isfinite(s->loss_lr)))
        return ft_fail(FT_USAGE, "--loss-lr %g: expected a number of at least 0", s->loss_lr);
    if (ft_settings_loss_optimizer(s, &optimizer) < 0)
        return ft_error_prefix("--loss-optimizer: ");
    if (s->batch_norm && strcmp(s->batch_norm, "keep") != 0 && strcmp(s->batch_norm, "train") != 0)
        return ft_fail(FT_USAGE, "--batch-norm %.64s: expected keep or train", s->batch_norm);
    if (s->augment && ft_augment_parse(&augment, s->augment) < 0)
        return ft_error_prefix("--augment: ");
    return ft_precision_parse(&precision, s->precision);
}

int ft_settings_augment(struct ft_settings *s, struct ft_arena *arena, const struct ft_list *list)
{
    struct ft_buffer text = {0}, printed = {0};
    struct ft_augment augment;
    int result = 0;

    s->augment = NULL;
    for (size_t i = 0; result == 0 && i < list->count; i++)
        result = ft_buffer_print(&text, "%s%s", i ? " " : "", list->items[i]);
    if (result == 0 && list->count && (result = ft_augment_parse(&augment, text.data)) < 0)
        ft_error_prefix("--augment: ");
    if (result == 0 && list->count && augment.count && (result = ft_augment_print(&printed, &augment)) == 0 &&
        !(s->augment = ft_arena_text(arena, (struct ft_string){printed.data, printed.size})))
        result = -1;
    ft_buffer_free(&text);
    ft_buffer_free(&printed);
    return result;
}

int ft_settings_inputs(const struct ft_settings *s, const struct ft_model *model)
{
    bool prompted = false;

    for (int role = 0; role <= FT_NO_ROLE; role++)
        prompted |= s->prompts.text[role] && *s->prompts.text[role];
    if (s->augment && model->input != FT_INPUT_IMAGE && model->input != FT_INPUT_BOTH)
        return ft_fail(FT_USAGE, "--augment varies images, and the model reads %s", ft_input_name(model->input));
    if ((s->max_length || prompted) && model->input != FT_INPUT_TEXT && model->input != FT_INPUT_BOTH)
        return ft_fail(FT_USAGE, "--%s is for texts, and the model reads %s", s->max_length ? "max-length" : "prompt", ft_input_name(model->input));
    return 0;
}

int ft_settings_freeze(const struct ft_settings *s, struct ft_model *model)
{
    struct ft_lora lora;

    for (size_t i = 0; i < s->freeze.count; i++) {
        const char *pattern = s->freeze.items[i];
        bool frozen = pattern[0] != '!';

        if (ft_model_freeze(model, pattern + !frozen, frozen) < 0)
            return -1;
    }
    model->batch_statistics = s->batch_norm && strcmp(s->batch_norm, "train") == 0;
    ft_towers_tell(model);
    if (!s->lora)
        return 0;
    return ft_lora_parse(&model->arena, &lora, s->lora) < 0 ? -1 : ft_model_adapt(model, &lora);
}

/* An object that remembers the first key whose value JSON cannot hold: text that is not UTF-8. */
struct writing {
    json_t *root;
    const char *bad;
};

static void put(struct writing *w, const char *key, json_t *value)
{
    if (json_object_set_new(w->root, key, value) < 0 && !w->bad)
        w->bad = key;
}

static void put_text(struct writing *w, const char *key, const char *text)
{
    put(w, key, text ? json_string(text) : json_null());
}

static void put_integer(struct writing *w, const char *key, uint64_t number)
{
    put(w, key, json_integer((json_int_t)number));
}

static void put_list(struct writing *w, const char *key, const struct ft_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->count; i++)
        if (json_array_append_new(array, json_string(list->items[i])) < 0 && !w->bad)
            w->bad = key;
    put(w, key, array);
}

static void put_prompts(struct writing *w, const struct ft_prompts *prompts)
{
    json_t *object = json_object();

    for (int role = 0; role <= FT_NO_ROLE; role++) {
        const char *text = prompts->text[role];

        if (json_object_set_new(object, ft_role_name((enum ft_role)role), text ? json_string(text) : json_null()) < 0 && !w->bad)
            w->bad = "prompts";
    }
    put(w, "prompts", object);
}

/* The command is there for people; a file name in another encoding is no reason to refuse it. */
static void put_command(struct writing *w, int argc, char **argv)
{
    json_t *command = json_array();

    for (int i = 0; i < argc; i++) {
        char *copy;

        if (json_array_append_new(command, json_string(argv[i])) == 0 || !(copy = strdup(argv[i])))
            continue;
        for (char *c = copy; *c; c++)
            if (*c & 0x80)
                *c = '?';
        json_array_append_new(command, json_string(copy));
        free(copy);
    }
    put(w, "command", command);
}

int ft_settings_write(const struct ft_settings *s, const char *path, int argc, char **argv)
{
    struct writing w = {json_object(), NULL};
    char *text;
    int result = -1;

    put_integer(&w, "ft", 1);
    put_text(&w, "version", FT_VERSION);
    put_command(&w, argc, argv);
    put_text(&w, "model", s->model);
    put_text(&w, "model_checksum", s->model_checksum);
    put_text(&w, "teacher", s->second[FT_TEACHER].model);
    put_text(&w, "teacher_checksum", s->second[FT_TEACHER].checksum);
    put_text(&w, "guide", s->second[FT_GUIDE].model);
    put_text(&w, "guide_checksum", s->second[FT_GUIDE].checksum);
    put_integer(&w, "seed", s->seed);
    put_list(&w, "loss", &s->loss);
    put_text(&w, "miner", s->miner);
    put_text(&w, "optimizer", s->optimizer);
    put_text(&w, "schedule", s->schedule);
    put(&w, "lr", s->lr == FT_RATE_BY_KIND ? json_null() : json_real(s->lr));
    put(&w, "warmup", json_real(s->warmup));
    put(&w, "clip", json_real(s->clip));
    put_text(&w, "loss_optimizer", s->loss_optimizer);
    put(&w, "loss_lr", s->loss_lr == FT_RATE_AS_MODEL ? json_null() : json_real(s->loss_lr));
    put_list(&w, "lr_for", &s->rates.lr_for);
    put_list(&w, "decay_for", &s->rates.decay_for);
    put(&w, "layer_decay", json_real(s->rates.layer_decay));
    put_integer(&w, "accumulate", s->accumulate);
    put_integer(&w, "chunk", (uint64_t)s->chunk);
    put_integer(&w, "max_length", (uint64_t)s->max_length);
    put_prompts(&w, &s->prompts);
    put_text(&w, "precision", s->precision);
    put_text(&w, "batch_norm", s->batch_norm);
    put_list(&w, "freeze", &s->freeze);
    put_text(&w, "augment", s->augment);
    put_text(&w, "lora", s->lora);
    put_text(&w, "kind", s->kind);
    put_integer(&w, "batch", s->batch);
    put_integer(&w, "per_class", s->per_class);
    put_integer(&w, "views", s->views);
    put_integer(&w, "epochs", s->epochs);
    put(&w, "drop_last", json_boolean(s->drop_last));
    put_text(&w, "mix", s->mix);
    put(&w, "callbacks", ft_callbacks_write(&s->callbacks));
    text = w.bad ? NULL : json_dumps(w.root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    if (w.bad)
        ft_fail(FT_USAGE, "the setting \"%s\" is not UTF-8", w.bad);
    else if (!text)
        ft_fail(FT_SYSTEM, "%s: out of memory", path);
    else
        result = ft_file_write(path, text, strlen(text));
    free(text);
    json_decref(w.root);
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
static bool is_object(const json_t *v) { return json_is_object(v); }
static bool is_boolean(const json_t *v) { return json_is_boolean(v); }

static long read_integer(struct reading *r, const char *key)
{
    return (long)json_integer_value(get(r, key, is_integer, "a whole number"));
}

static double read_number(struct reading *r, const char *key)
{
    return json_number_value(get(r, key, is_number, "a number"));
}

static double read_rate(struct reading *r, const char *key)
{
    const json_t *value = json_object_get(r->root, key);

    return value && json_is_null(value) ? FT_RATE_BY_KIND : read_number(r, key);
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

static struct ft_prompts read_prompts(struct reading *r)
{
    struct reading inner = {r->arena, get(r, "prompts", is_object, "an object"), r->path, r->failed};
    struct ft_prompts prompts;

    for (int role = 0; role <= FT_NO_ROLE; role++)
        prompts.text[role] = read_text(&inner, ft_role_name((enum ft_role)role), false);
    r->failed = inner.failed;
    return prompts;
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
        .second = {
            [FT_TEACHER] = {read_text(&r, "teacher", false), read_text(&r, "teacher_checksum", false)},
            [FT_GUIDE] = {read_text(&r, "guide", false), read_text(&r, "guide_checksum", false)},
        },
        .seed = (uint64_t)read_integer(&r, "seed"),
        .loss = read_list(&r, "loss"),
        .miner = read_text(&r, "miner", false),
        .optimizer = read_text(&r, "optimizer", true),
        .schedule = read_text(&r, "schedule", true),
        .lr = read_rate(&r, "lr"),
        .warmup = read_number(&r, "warmup"),
        .clip = read_number(&r, "clip"),
        .loss_optimizer = read_text(&r, "loss_optimizer", false),
        .loss_lr = read_rate(&r, "loss_lr"),
        .rates = {read_list(&r, "lr_for"), read_list(&r, "decay_for"), read_number(&r, "layer_decay")},
        .accumulate = (uint64_t)read_integer(&r, "accumulate"),
        .chunk = read_integer(&r, "chunk"),
        .max_length = read_integer(&r, "max_length"),
        .prompts = read_prompts(&r),
        .precision = read_text(&r, "precision", true),
        .batch_norm = read_text(&r, "batch_norm", false),
        .freeze = read_list(&r, "freeze"),
        .augment = read_text(&r, "augment", false),
        .lora = read_text(&r, "lora", false),
        .kind = read_text(&r, "kind", false),
        .batch = (uint64_t)read_integer(&r, "batch"),
        .per_class = (uint64_t)read_integer(&r, "per_class"),
        .views = (uint64_t)read_integer(&r, "views"),
        .epochs = (uint64_t)read_integer(&r, "epochs"),
        .drop_last = json_is_true(get(&r, "drop_last", is_boolean, "true or false")),
        .mix = read_text(&r, "mix", false),
    };
    if (!r.failed)
        r.failed = ft_callbacks_read(arena, &s->callbacks, json_object_get(r.root, "callbacks"), path);
    json_decref(r.root);
    for (int which = 0; !r.failed && which < FT_SECONDS; which++)
        if (!s->second[which].model != !s->second[which].checksum)
            r.failed = ft_fail(FT_BAD, "%s: a teacher or guide without its checksum, or the other way round", path);
    return r.failed ? -1 : ft_settings_check(s);
}
