/* test-settings.c - run.json: everything that goes in comes out; what JSON cannot hold or what somebody changed is refused. */
#include "base/error.h"
#include "base/file.h"
#include "train/settings.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

static struct ft_arena arena;
static char place[] = "/tmp/ft-test-settings-XXXXXX";
static const char *path;

static const char *rates[] = {"*.bias=1e-3", "embeddings.*=*.1"}, *decays[] = {"*=.01"};
static const char *losses[] = {"triplet:margin=0.3", "0.5*supcon"}, *learning[] = {"supcon", "2*arcface:scale=30"}, *frozen[] = {"embeddings*", "!encoder.layer.1.*"};

static struct ft_settings typical(void)
{
    return (struct ft_settings){
        .model = "/models/caf\xc3\xa9 \"x\"\n", .model_checksum = "0123abcd", .seed = (uint64_t)1 << 53 | 1, .loss = {losses, 2}, .miner = "hard",
        .optimizer = "adamw:decay=0.01", .schedule = "constant", .lr = 1.0 / 3, .warmup = 1e-300, .clip = .1,
        .rates = {{rates, 2}, {decays, 1}, .9}, .accumulate = 3, .loss_lr = FT_RATE_AS_MODEL, .chunk = 7, .max_length = 9,
        .prompts = {{"query: ", "", NULL, "caf\xc3\xa9: "}}, .precision = "bf16", .freeze = {frozen, 2}, .lora = "r=4,target=query", .kind = "pairs", .batch = 64, .per_class = 4, .epochs = 3, .drop_last = true,
        .callbacks = {.log = "tensorboard", .eval = "/a/b.csv", .eval_index = "/c", .eval_data = "00ff", .eval_every = 7, .stop = "map:patience=3",
                      .best = "val_loss", .average = true, .wise_ft = .3, .hook = "/h k"},
    };
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_prompts(const struct ft_prompts *a, const struct ft_prompts *b)
{
    bool same = true;

    for (int role = 0; role <= FT_NO_ROLE; role++)
        same &= same_text(a->text[role], b->text[role]);
    return same;
}

static bool same_list(const struct ft_list *a, const struct ft_list *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return a->count == b->count;
}

static bool same_callbacks(const struct ft_callbacks *a, const struct ft_callbacks *b)
{
    return same_text(a->log, b->log) && same_text(a->eval, b->eval) && same_text(a->eval_index, b->eval_index) &&
           same_text(a->eval_data, b->eval_data) && a->hold_out == b->hold_out && a->eval_every == b->eval_every && same_text(a->stop, b->stop) &&
           same_text(a->best, b->best) && a->average == b->average && a->wise_ft == b->wise_ft &&
           same_text(a->hook, b->hook);
}

static bool same(const struct ft_settings *a, const struct ft_settings *b)
{
    return same_text(a->model, b->model) && same_text(a->model_checksum, b->model_checksum) && a->seed == b->seed &&
           same_list(&a->loss, &b->loss) && same_text(a->miner, b->miner) && same_text(a->optimizer, b->optimizer) &&
           same_text(a->schedule, b->schedule) && a->lr == b->lr && a->warmup == b->warmup && a->clip == b->clip &&
           same_list(&a->rates.lr_for, &b->rates.lr_for) && same_list(&a->rates.decay_for, &b->rates.decay_for) &&
           a->rates.layer_decay == b->rates.layer_decay && a->accumulate == b->accumulate && a->chunk == b->chunk &&
           same_text(a->loss_optimizer, b->loss_optimizer) && a->loss_lr == b->loss_lr &&
           a->max_length == b->max_length && same_prompts(&a->prompts, &b->prompts) && same_text(a->precision, b->precision) && same_list(&a->freeze, &b->freeze) && same_text(a->lora, b->lora) &&
           same_text(a->kind, b->kind) && a->batch == b->batch && a->per_class == b->per_class && a->epochs == b->epochs &&
           a->drop_last == b->drop_last && same_callbacks(&a->callbacks, &b->callbacks);
}

static int write_them(const struct ft_settings *s)
{
    char *argv[] = {"ft-train", "-o", "x y"};

    return ft_settings_write(s, path, 3, argv);
}

static void check_round_trip(void)
{
    struct ft_settings s = typical(), back;

    ok(write_them(&s) == 0 && ft_settings_read(&arena, &back, path) == 0 && same(&s, &back), "all settings come back to the bit: %s", ft_error());
    s.loss = (struct ft_list){learning, 2}, s.loss_optimizer = "adamw:decay=.1", s.loss_lr = 1e-300;
    ok(write_them(&s) == 0 && ft_settings_read(&arena, &back, path) == 0 && same(&s, &back), "and those of what losses learn: %s", ft_error());
    s = typical();
    s.lora = s.miner = s.kind = NULL;
    s.prompts = (struct ft_prompts){{NULL}};
    s.loss.count = s.freeze.count = 0;
    s.callbacks = (struct ft_callbacks){.hold_out = .25};
    s.drop_last = false;
    s.seed = INT64_MAX;
    ok(write_them(&s) == 0 && ft_settings_read(&arena, &back, path) == 0 && same(&s, &back), "and those that are not set");
}

static void unwritable(struct ft_settings s, const char *message)
{
    unlink(path);
    ok(write_them(&s) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), message) && !ft_file_exists(path), "not written: %s", message);
}

static void check_not_utf8(void)
{
    static const char *bad_list[] = {"good", "\xff"};
    char *argv[] = {"ft-train", "caf\xe9.csv"};
    struct ft_settings s = typical(), back;
    size_t size;
    char *text;

    s.prompts.text[FT_NEGATIVE] = "\xff";
    unwritable(s, "\"prompts\" is not UTF-8");
    s = typical();
    s.model = "/mod\xe9l";
    unwritable(s, "\"model\" is not UTF-8");
    s = typical();
    s.loss = (struct ft_list){bad_list, 2};
    unwritable(s, "\"loss\" is not UTF-8");
    s = typical();
    ok(ft_settings_write(&s, path, 2, argv) == 0 && ft_settings_read(&arena, &back, path) == 0, "a command line in another encoding is no obstacle");
    text = ft_file_read(&arena, path, 1 << 16, &size);
    ok(text && strstr(text, "\"caf?.csv\""), "and kept as far as it goes");
}

static void refused(struct ft_settings s, const char *message)
{
    ok((ft_settings_check(&s) < 0 || ft_settings_check_losses(&s) < 0) && ft_error_status() == FT_USAGE && strstr(ft_error(), message), "refused: %s (%s)", message, ft_error());
}

static void check_check(void)
{
    struct ft_settings s = typical();

    ok(ft_settings_check(&s) == 0, "typical settings are good");
    s.clip = -1, refused(s, "--clip -1");
    s.clip = NAN, refused(s, "--clip nan");
    s.clip = INFINITY, refused(s, "--clip inf");
    s = typical(), s.lr = INFINITY, refused(s, "--lr inf");
    s = typical(), s.warmup = -1, refused(s, "--warmup -1");
    s = typical(), s.schedule = "x", refused(s, "unknown schedule 'x'");
    s = typical(), s.lora = "r=0", refused(s, "--lora r=0");
    s = typical(), s.precision = "fp8", refused(s, "--precision fp8: expected fp32 or bf16");
    s = typical(), s.rates.layer_decay = 1.5, refused(s, "--layer-decay 1.5");
    s = typical(), s.rates.layer_decay = NAN, refused(s, "--layer-decay nan");
    s = typical(), s.rates.lr_for = (struct ft_list){(const char *[]){"x"}, 1}, refused(s, "--lr-for 'x': expected PATTERN=X");
    s = typical(), s.rates.lr_for = (struct ft_list){(const char *[]){"=1"}, 1}, refused(s, "--lr-for '=1': expected PATTERN=X");
    s = typical(), s.rates.lr_for = (struct ft_list){(const char *[]){"x=*-1"}, 1}, refused(s, "--lr-for 'x=*-1': expected a number of at least 0");
    s = typical(), s.rates.lr_for = (struct ft_list){(const char *[]){"x=y"}, 1}, refused(s, "'y' is not a number");
    s = typical(), s.rates.decay_for = (struct ft_list){(const char *[]){"x=*.1"}, 1}, refused(s, "--decay-for 'x=*.1'");
    s = typical(), s.optimizer = "rprop", refused(s, "--decay-for *=.01: this optimizer has no weight decay");
    s = typical(), s.schedule = "one-cycle:pct-start=2", refused(s, "pct-start=2");
    s = typical(), s.optimizer = "adamw:x=1", refused(s, "--optimizer: adamw has no key 'x'");
    s = typical(), s.loss_lr = .1, refused(s, "--loss-lr: no loss of this run has weights of its own");
    s = typical(), s.loss_optimizer = "adamw", refused(s, "--loss-optimizer: no loss of this run has weights of its own");
    s = typical(), s.loss = (struct ft_list){learning, 2}, s.loss_lr = NAN, refused(s, "--loss-lr nan");
    s.loss_lr = -2, refused(s, "--loss-lr -2");
    s.loss_lr = 0, s.loss_optimizer = "adamw:x=1", refused(s, "--loss-optimizer: adamw has no key 'x'");
    s.loss_optimizer = "adamw:decay=.1", ok(ft_settings_check(&s) == 0 && ft_settings_check_losses(&s) == 0, "a rate and an optimizer for what a loss learns");
    s = typical(), s.seed = UINT64_MAX, refused(s, "seed 18446744073709551615");
}

/* The file with one text in it replaced by another. */
static void check_changed(const char *from, const char *to, const char *message)
{
    struct ft_settings s = typical(), back;
    char *text, *at;
    size_t size;

    write_them(&s);
    text = ft_file_read(&arena, path, 1 << 16, &size);
    if (!(at = strstr(text, from))) {
        ok(false, "no %s in run.json", from);
        return;
    }
    text = ft_arena_print(&arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    ft_file_write(path, text, strlen(text));
    ok(ft_settings_read(&arena, &back, path) < 0 && strstr(ft_error(), message), "%s -> %s: %s", from, to, message);
    if (!strstr(ft_error(), message))
        printf("# said: %s\n", ft_error());
}

static void check_cut(void)
{
    struct ft_settings s = typical(), back;
    size_t size, good = 0;
    char *text;

    write_them(&s);
    text = ft_file_read(&arena, path, 1 << 16, &size);
    for (size_t n = 0; n < size; n++) {
        ft_file_write(path, text, n);
        good += ft_settings_read(&arena, &back, path) == 0;
    }
    ok(good == 0, "a file cut at any of its %zu bytes is refused", size);
}

int main(void)
{
    if (!mkdtemp(place))
        return 1;
    path = ft_arena_print(&arena, "%s/run.json", place);
    check_round_trip();
    check_not_utf8();
    check_check();
    check_changed("\"seed\"", "\"sead\"", "\"seed\" is missing or not a whole number");
    check_changed("\"seed\": 9007199254740993", "\"seed\": -1", "\"seed\" is missing or not a whole number");
    check_changed("\"seed\": 9007199254740993", "\"seed\": 1.5", "\"seed\" is missing or not a whole number");
    check_changed("\"0123abcd\"", "null", "\"model_checksum\" is missing or not a string");
    check_changed("\"hard\"", "7", "\"miner\" is missing or not a string or null");
    check_changed("\"prompts\": {", "\"prompts\": 3, \"x\": {", "\"prompts\" is missing or not an object");
    check_changed("\"anchor\": \"query: \"", "\"anchor\": 3", "\"anchor\" is missing or not a string or null");
    check_changed("\"0.5*supcon\"", "5", "\"loss\" is not a list of strings");
    check_changed("\"drop_last\": true", "\"drop_last\": 1", "\"drop_last\" is missing or not true or false");
    check_changed("\"drop_last\": true", "\"drop_last\": true, \"clip\": 3", "run.json:");
    check_changed("\"clip\": 0.1", "\"clip\": -4", "--clip -4");
    check_changed("\"constant\"", "\"sine\"", "unknown schedule 'sine'");
    check_changed("\"callbacks\": {", "\"callbacks\": 3, \"x\": {", "\"callbacks\" is not an object");
    check_changed("\"log\": \"tensorboard\"", "\"log\": \"wandb\"", "--log wandb");
    check_changed("\"stop\": \"map:patience=3\"", "\"stop\": 3", "\"stop\" is not a string or null");
    check_changed("\"eval_every\": 7", "\"eval_every\": -7", "\"eval_every\" is not a number of batches");
    check_changed("\"wise_ft\": 0.", "\"wise_ft\": 7.", "--wise-ft 7.");
    check_changed("\"wise_ft\": 0.", "\"wise_ft\": true, \"y\": 0.", "\"wise_ft\" is not a number");
    check_changed("\"hold_out\": 0.0", "\"hold_out\": 0.5", "--eval and --hold-out");
    check_changed("{", "[", "run.json:");
    check_cut();
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
