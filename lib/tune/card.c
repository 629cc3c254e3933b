/* card.c - Markdown of a run. */
#include "tune/card.h"
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"
#include "model/tailor/tailor.h"
#include "train/loss.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* org/name where the base model lies in Hugging Face's cache, else "": models--org--name/snapshots/... */
static void hub_name(const char *path, char name[256])
{
    const char *at = strstr(path, "/models--"), *end = at ? strchr(at + 1, '/') : NULL, *dash;

    *name = '\0';
    if (!end || !(dash = strstr(at + 9, "--")) || dash > end || end - at >= 256)
        return;
    snprintf(name, 256, "%.*s/%.*s", (int)(dash - at - 9), at + 9, (int)(end - dash - 2), dash + 2);
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._-/", *c))
            *name = '\0';
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

/* In a cell of a table: no bar, no line end. */
static int add_cell(struct ft_buffer *out, const char *text)
{
    int result = 0;

    for (const char *c = text; result == 0 && *c; c++)
        if (*c == '|')
            result = ft_buffer_add(out, "\\|", 2);
        else
            result = ft_buffer_add(out, *c == '\n' || *c == '\r' ? " " : c, 1);
    return result;
}

static int add_row(struct ft_buffer *out, const char *name, const char *value)
{
    if (ft_buffer_print(out, "| %s | ", name) < 0 || add_cell(out, value) < 0)
        return -1;
    return ft_buffer_print(out, " |\n");
}

/* What the hub makes a page of: the library that loads the model, where it is one, and what the model is for. */
static const char *front_matter(enum ft_input input, bool alone)
{
    if (input == FT_INPUT_BOTH)
        return "tags:\n- image-text-retrieval\n- feature-extraction\n";
    if (input == FT_INPUT_IMAGE)
        return alone ? "tags:\n- image-feature-extraction\n" : "pipeline_tag: image-feature-extraction\ntags:\n- image-feature-extraction\n";
    if (alone)
        return "tags:\n- sentence-similarity\n- feature-extraction\n";
    return "library_name: sentence-transformers\npipeline_tag: sentence-similarity\n"
           "tags:\n- sentence-transformers\n- sentence-similarity\n- feature-extraction\n";
}

static int add_head(const struct ft_card *c, struct ft_arena *arena, struct ft_buffer *out)
{
    static const char *const items[] = {"Texts", "Images", "Vectors", "Texts and images"};
    const enum ft_input input = c->model->input;
    const struct ft_settings *s = &c->run->settings;
    const char *alone = ft_model_alone(arena, c->model);
    char base[256];

    hub_name(s->model, base);
    if (ft_buffer_print(out, "---\n%s\n%s- ft\n", FT_CARD_MARK, front_matter(input, alone)) < 0 || (*base && ft_buffer_print(out, "base_model: %s\n", base) < 0))
        return -1;
    if (ft_buffer_print(out, "---\n\n# %s\n\n%s to vectors of %zu dimensions, compared by %s. Tuned from `%s` (checksum of its parameters `%s`) by ft %s;\n",
                        last_part(c->run->directory), items[input], c->model->dim, c->model->distance, *base ? base : last_part(s->model),
                        s->model_checksum, FT_VERSION) < 0)
        return -1;
    if (c->model->tower_count)
        return c->model->tower_path[0] ? ft_buffer_print(out, "a text tower in `%s/` and an image tower in `%s/`, each a model by itself.\n",
                                                         c->model->tower_path[FT_TOWER_TEXT], c->model->tower_path[FT_TOWER_IMAGE])
                                       : ft_buffer_print(out, "what loads its base model loads it.\n");
    if (alone)
        return ft_buffer_print(out, "only ft loads it: %s, which %s cannot express.\n", alone, ft_model_reader(c->model));
    return ft_buffer_print(out, input == FT_INPUT_IMAGE ? "what loads its base model loads it.\n" : "sentence-transformers loads it.\n");
}

static int add_data(const struct ft_card *c, struct ft_buffer *out)
{
    const struct ft_source *source = c->source;
    const struct ft_callbacks *callbacks = &c->run->settings.callbacks;
    const char *example;
    size_t leaks = source->validation ? ft_validation_leaks(source->validation, &example) : 0;

    if (ft_buffer_print(out, "\n## Data\n\n| | |\n|---|---|\n") < 0 ||
        (source->mix && ft_buffer_print(out, "| documents | %lu |\n", source->records) < 0) ||
        (source->classes && ft_buffer_print(out, "| labels | %" PRIu64 " |\n", source->classes) < 0) ||
        ft_buffer_print(out, "| batches of | %s, %" PRIu64 " rows |\n", ft_batch_kind_name(c->kind), source->rows) < 0 ||
        (source->fingerprint.size &&
         ft_buffer_print(out, "| checksum | %.*s |\n", (int)source->fingerprint.size, source->fingerprint.data) < 0))
        return -1;
    if (!source->validation)
        return 0;
    if (ft_buffer_print(out, "| evaluated on | %zu documents, ", ft_validation_count(source->validation, FT_QUERIES)) < 0 ||
        (callbacks->eval ? add_cell(out, last_part(callbacks->eval)) : ft_buffer_print(out, "held out of these")) < 0)
        return -1;
    return leaks ? ft_buffer_print(out, "; %zu of their texts are in the training data |\n", leaks) : ft_buffer_print(out, " |\n");
}

/* A setting of run.json as text, "" for one that says nothing. */
static const char *setting_text(struct ft_arena *arena, const char *key, const json_t *value)
{
    static const char *const elsewhere[] = {"ft", "version", "command", "model", "model_checksum", "loss", "miner", "lr", "kind", "batch", "callbacks"};
    const char *text;

    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (strcmp(key, elsewhere[i]) == 0)
            return "";
    if (json_is_string(value))
        return ft_arena_print(arena, "%s", json_string_value(value));
    if (json_is_integer(value) && (json_integer_value(value) || strcmp(key, "seed") == 0))
        return ft_arena_print(arena, "%lld", (long long)json_integer_value(value));
    if (json_is_real(value))
        return ft_arena_print(arena, "%.9g", json_real_value(value));
    if (!json_is_array(value))
        return json_is_true(value) ? "yes" : "";
    text = "";
    for (size_t i = 0; text && i < json_array_size(value); i++)
        if (json_is_string(json_array_get(value, i)))
            text = ft_arena_print(arena, "%s%s%s", text, *text ? " " : "", json_string_value(json_array_get(value, i)));
    return text;
}

/* Of several data sets as they were said, since each kind of batch may have its own defaults. */
static const char *losses_text(const struct ft_card *c, struct ft_arena *arena)
{
    const struct ft_settings *s = &c->run->settings;
    struct ft_losses *losses;
    const char *text = "";

    if (!c->source->sets.size)
        return (losses = ft_losses_parse_for(arena, c->kind, c->model->input, &s->loss, s->miner)) ? ft_losses_text(arena, losses) : NULL;
    for (size_t i = 0; text && i < s->loss.count; i++)
        text = ft_arena_print(arena, "%s%s%s", text, *text ? " " : "", s->loss.items[i]);
    return text && !*text ? "by kind of batch" : text;
}

static int add_settings(const struct ft_card *c, json_t *run, struct ft_arena *arena, struct ft_buffer *out)
{
    const struct ft_settings *s = &c->run->settings;
    struct ft_schedule schedule;
    const char *key, *text = losses_text(c, arena);
    json_t *value;

    if (!text || ft_settings_schedule(s, c->kind, c->model->input, &schedule) < 0 ||
        ft_buffer_print(out, "\n## Training\n\n| | |\n|---|---|\n| after batch | %" PRIu64 " of %" PRIu64 " |\n", c->batch, c->source->steps) < 0 ||
        add_row(out, "loss", text) < 0 || ft_buffer_print(out, "| lr | %.9g |\n", schedule.lr) < 0)
        return -1;
    json_object_foreach(run, key, value) {
        if (!(text = setting_text(arena, key, value)) || (*text && add_row(out, key, text) < 0))
            return -1;
    }
    if (s->callbacks.best && add_row(out, "chosen by", s->callbacks.best) < 0)
        return -1;
    return s->callbacks.average ? ft_buffer_print(out, "| wise-ft | %.9g |\n", s->callbacks.wise_ft) : 0;
}

static int add_value(struct ft_buffer *out, const struct ft_score *score)
{
    return score && !isnan(score->value) ? ft_buffer_print(out, " %.4f |", score->value) : ft_buffer_print(out, " - |");
}

static int add_scores(const struct ft_card *c, struct ft_buffer *out)
{
    const struct ft_scores *before = &c->state->first, *after = &c->state->chosen;

    if (!c->source->validation || !after->count)
        return 0;
    if (ft_buffer_print(out, "\n## Evaluation\n\n%s| metric | before | after |\n|---|---|---|\n",
                        c->run->settings.callbacks.average ? "Of the tuned parameters, not averaged with the base model's:\n\n" : "") < 0)
        return -1;
    for (size_t i = 0; i < after->count; i++)
        if (ft_buffer_print(out, "| %s |", after->item[i].name) < 0 || add_value(out, ft_scores_find(before, after->item[i].name)) < 0 ||
            add_value(out, &after->item[i]) < 0 || ft_buffer_print(out, "\n") < 0)
            return -1;
    return 0;
}

static int add_word(struct ft_buffer *out, struct ft_string word)
{
    int result = 0;

    if (word.size && strspn(word.data, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_") >= word.size)
        return ft_buffer_add(out, word.data, word.size);
    result = ft_buffer_add(out, "'", 1);
    for (size_t i = 0; result == 0 && i < word.size; i++)
        result = word.data[i] == '\'' ? ft_buffer_add(out, "'\\''", 4) : ft_buffer_add(out, word.data + i, 1);
    return result < 0 ? -1 : ft_buffer_add(out, "'", 1);
}

/* One command of the stream's history: [tool, version, argument...]. */
static int add_stage(struct ft_arena *arena, const msgpack_object *stage, struct ft_buffer *out)
{
    if (stage->type != MSGPACK_OBJECT_ARRAY)
        return 0;
    for (uint32_t i = 0; i < stage->via.array.size; i++) {
        const msgpack_object *word = &stage->via.array.ptr[i];
        char *copy;

        if (i == 1 || word->type != MSGPACK_OBJECT_STR)
            continue;
        if (!(copy = ft_arena_text(arena, ft_object_string(word))) || (i && ft_buffer_add(out, " ", 1) < 0) ||
            add_word(out, ft_string_of(copy)) < 0)
            return -1;
    }
    return ft_buffer_print(out, " |\n");
}

static int add_commands(const struct ft_card *c, const json_t *run, struct ft_arena *arena, struct ft_buffer *out)
{
    const struct ft_header *header = ft_source_header(c->source);
    const msgpack_object *history = header->object ? ft_map_get(header->object, "history") : NULL;
    const json_t *command = json_object_get(run, "command");

    if (ft_buffer_print(out, "\n## Commands\n\n````sh\n") < 0)
        return -1;
    for (uint32_t i = 0; history && history->type == MSGPACK_OBJECT_ARRAY && i < history->via.array.size; i++)
        if (add_stage(arena, &history->via.array.ptr[i], out) < 0)
            return -1;
    for (size_t i = 0; i < json_array_size(command); i++) {
        const char *word = json_string_value(json_array_get(command, i));

        if ((i && ft_buffer_add(out, " ", 1) < 0) || add_word(out, ft_string_of(word ? i ? word : last_part(word) : "")) < 0)
            return -1;
    }
    return ft_buffer_print(out, "\n````\n");
}

static int write_card(const struct ft_card *c, struct ft_arena *arena, struct ft_buffer *out)
{
    const char *path = ft_arena_print(arena, "%s/README.md", c->run->directory), *settings = ft_run_path(c->run, "run.json");
    json_t *run = path && settings ? ft_json_read(settings) : NULL;
    int result = -1;

    if (run && add_head(c, arena, out) == 0 && add_data(c, out) == 0 && add_settings(c, run, arena, out) == 0 && add_scores(c, out) == 0 &&
        add_commands(c, run, arena, out) == 0)
        result = ft_file_write(path, out->data, out->size);
    json_decref(run);
    return result;
}

int ft_card_write(const struct ft_card *c)
{
    struct ft_buffer out = {0};
    struct ft_arena arena = {0};
    int result;

    if (!ft_run_card_ours(c->run->directory))
        return 0;
    result = write_card(c, &arena, &out);
    ft_buffer_free(&out);
    ft_arena_free(&arena);
    return result < 0 ? ft_error_prefix("the model's card: ") : 1;
}
