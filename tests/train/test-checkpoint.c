/* test-checkpoint.c - runs and checkpoints on disk: what is saved is loaded; what is damaged, half there or another model's is not. */
#include "base/error.h"
#include "base/file.h"
#include "train/run.h"
#include "../tap.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COUNT = 100000 };

static struct ft_arena arena;
static char place[] = "/tmp/ft-test-checkpoint-XXXXXX";
static float saved[3][COUNT], loaded[3][COUNT];
static const struct ft_checkpoint_part from = {"block", COUNT, 3, {saved[0], saved[1], saved[2]}};
static const struct ft_checkpoint_part to = {"block", COUNT, 3, {loaded[0], loaded[1], loaded[2]}};

static const char *in(const char *name)
{
    return ft_arena_print(&arena, "%s/%s", place, name);
}

static const struct ft_settings settings = {
    .model = "/nowhere", .model_checksum = "00000000", .optimizer = "adamw", .precision = "fp32", .schedule = "linear", .lr = 1e-4, .warmup = .1, .clip = 1, .loss_lr = FT_RATE_AS_MODEL};

static struct ft_run *make(const char *name)
{
    struct ft_run *run = ft_run_create(in(name), &settings, 0, NULL) == 0 ? ft_run_open(in(name)) : NULL;

    if (!run)
        printf("# %s\n", ft_error());
    return run;
}

/* Numbers of batch n; the middle of the moments stays zero, as the rows of words never seen do. */
static void fill(uint64_t n)
{
    for (size_t b = 0; b < 3; b++)
        for (size_t i = 0; i < COUNT; i++)
            saved[b][i] = b && i > 10000 && i < 90000 ? 0 : (float)(i * (b + 1) % 977) + (float)n;
}

static struct ft_progress progress_of(uint64_t n)
{
    return (struct ft_progress){n, {n * 0x9e3779b97f4a7c15u, ~n}, 1000};
}

static int save(struct ft_run *run, uint64_t n, long keep)
{
    struct ft_progress p = progress_of(n);

    fill(n);
    return ft_checkpoint_save(run, &p, &from, 1, keep);
}

static int load(struct ft_run *run, uint64_t want)
{
    struct ft_progress p = {0}, expected = progress_of(want);
    int result;

    memset(loaded, 0x55, sizeof loaded);
    result = ft_checkpoint_load(run, &p, &to);
    if (result != 1)
        return result;
    fill(want);
    return memcmp(saved, loaded, sizeof saved) == 0 && p.batch == expected.batch && p.steps == expected.steps &&
           p.data.low == expected.data.low && p.data.high == expected.data.high ? 1 : 0;
}

static int entries(const char *path)
{
    FILE *list = popen(ft_arena_print(&arena, "ls -A '%s' 2>/dev/null | wc -l", path), "r");
    int count = -1;

    if (list && fscanf(list, "%d", &count) != 1)
        count = -1;
    if (list)
        pclose(list);
    return count;
}

static void check_save_and_load(void)
{
    struct ft_run *run = make("a");
    struct ft_progress p = {7, {1, 2}, 3};
    struct stat st;

    ok(run && ft_checkpoint_load(run, &p, &to) == 0 && p.batch == 7 && p.steps == 3, "no checkpoint: nothing is changed");
    ok(!ft_checkpoint_any(run), "and none is there");
    ok(save(run, 9, 2) == 0 && load(run, 9) == 1 && ft_checkpoint_any(run), "saved and loaded, to the bit: %s", ft_error());
    ok(stat(in("a/run/checkpoints/9/block"), &st) == 0 && st.st_size == 3 * COUNT * 4, "in one file");
    ok(st.st_blocks * 512 < st.st_size * 3 / 4, "in which zeros take no room (%ld of %ld bytes)", (long)st.st_blocks * 512, (long)st.st_size);
    ok(save(run, 10, 2) == 0 && save(run, 11, 2) == 0 && load(run, 11) == 1, "the newest is loaded, by number, not by name");
    ok(entries(in("a/run/checkpoints")) == 2 && !ft_file_exists(in("a/run/checkpoints/9")), "the newest two are kept");
    ok(save(run, 11, 2) == 0 && load(run, 11) == 1, "one may be written again");
    ok(save(run, 12, 0) == 0 && entries(in("a/run/checkpoints")) == 1, "the newest is never removed");
    ok(ft_checkpoint_remove_all(run) == 0 && !ft_file_exists(in("a/run/checkpoints")) && !ft_file_exists(in("a/run/going")), "all removed");
    ok(ft_checkpoint_remove_all(run) == 0 && load(run, 0) == 0, "removing none is no error");
    ok(save(run, 1, 2) == 0 && load(run, 1) == 1, "and saving goes on");
    ft_run_close(run);
}

/* What losses learn lies in a file of its own. */
static void check_parts(void)
{
    static float own[4] = {1, 2, 3, 4}, back[4];
    const struct ft_checkpoint_part parts[] = {from, {"loss", 2, 2, {own, own + 2}}}, want = {"loss", 2, 2, {back, back + 2}};
    struct ft_run *run = make("parts");
    struct ft_progress p = progress_of(5);

    fill(5);
    ok(ft_checkpoint_save(run, &p, parts, 2, 9) == 0 && load(run, 5) == 1, "two parts: the model's: %s", ft_error());
    ok(ft_checkpoint_load_part(run, 5, &want) == 1 && memcmp(own, back, sizeof own) == 0, "and the losses': %s", ft_error());
    ok(save(run, 6, 9) == 0 && ft_checkpoint_load_part(run, 6, &want) == 0, "a checkpoint without them has none");
    p = progress_of(7);
    fill(7);
    ok(ft_checkpoint_save(run, &p, parts, 2, 9) == 0 && truncate(in("parts/run/checkpoints/7/loss"), 15) == 0 && load(run, 6) == 1,
       "where the losses' is cut short the checkpoint before is loaded");
    ok(ft_checkpoint_load_part(run, 7, &want) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), "7/loss: cut short"), "%s", ft_error());
    ft_run_close(run);
}

static void check_damaged(void)
{
    struct ft_run *run = make("b");
    struct ft_checkpoint_part other = to;
    struct ft_progress p;
    FILE *file;

    save(run, 5, 9);
    save(run, 6, 9);
    file = fopen(in("b/run/checkpoints/6/block"), "r+");
    fseek(file, 200000, SEEK_SET);
    fputc('!', file);
    fclose(file);
    ok(load(run, 5) == 1, "one byte changed: the checkpoint before it is loaded");
    ok(truncate(in("b/run/checkpoints/6/block"), 1000) == 0 && load(run, 5) == 1, "cut short: likewise");
    ok(unlink(in("b/run/checkpoints/6/state.json")) == 0 && load(run, 5) == 1, "half removed: likewise");
    ok(truncate(in("b/run/checkpoints/5/block"), 1000) == 0 && load(run, 5) < 0 && strstr(ft_error(), "checkpoints/6/state.json"),
       "all damaged: an error that names the newest");
    save(run, 7, 9);
    other.count--;
    ok(ft_checkpoint_load(run, &p, &other) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), "100000 parameters, expected 3 times 99999"),
       "another model's");
    other = to, other.blocks = 2;
    ok(ft_checkpoint_load(run, &p, &other) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), "3 times 100000 parameters, expected 2 times"),
       "another optimizer's");
    ft_run_close(run);
}

/* A process that dies while it writes: wherever that is, the one before is there. */
static void check_interrupted(void)
{
    struct ft_run *run = make("c");

    save(run, 3, 2);
    ft_directory_make(in("c/run/checkpoints/building"));
    ft_file_write(in("c/run/checkpoints/building/block"), "half", 4);
    ft_directory_make(in("c/run/checkpoints/going"));
    ft_file_write(in("c/run/checkpoints/going/block"), "half", 4);
    ok(load(run, 3) == 1, "what was being built or removed does not count");
    ok(save(run, 4, 1) == 0 && load(run, 4) == 1 && entries(in("c/run/checkpoints")) == 1, "and is cleared away by the next one");
    ft_run_close(run);
}

static void check_many(void)
{
    struct ft_run *run = make("d");

    for (int i = 0; i < 5000; i++)
        ft_directory_make(ft_arena_print(&arena, "%s/run/checkpoints/%d", in("d"), i + 1));
    save(run, 6000, 100000);
    ok(load(run, 6000) == 1, "the newest of 5,001");
    ft_run_close(run);
}

static void check_lock(void)
{
    struct ft_run *run = make("e"), *second = ft_run_open(in("e"));
    int status = -1;
    pid_t child;

    ok(run && second && ft_run_lock(run) == 0, "locked");
    fflush(stdout);
    if ((child = fork()) == 0) {
        const char *who = ft_arena_print(&arena, "is being trained by process %ld", (long)getppid());

        _exit(ft_run_lock(second) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), who) && ft_run_remove(in("e")) < 0 &&
              ft_error_status() == FT_USAGE && strstr(ft_error(), who) ? 0 : 1);
    }
    waitpid(child, &status, 0);
    ok(status == 0 && ft_run_is(in("e")), "another process neither gets the lock nor removes the run, and is told why");
    ft_run_close(run);
    ft_run_close(second);
}

static void check_remove(void)
{
    struct ft_run *run = make("f");

    ft_file_write(in("f/notes"), "mine", 4);
    ft_file_write(in("f/config.json"), "{}", 2);
    ft_file_write(in("f/model.safetensors"), "x", 1);
    ft_directory_make(in("f/1_Pooling"));
    ok(ft_run_create(in("f"), &settings, 0, NULL) < 0 && ft_error_status() == FT_USAGE, "a run is not made over a run");
    ok(!ft_run_finished(in("f")), "a model and checkpoints: not finished");
    ok(ft_checkpoint_remove_all(run) == 0 && ft_run_finished(in("f")), "without them: finished");
    ok(ft_run_remove(in("f")) == 0 && entries(in("f")) == 1 && ft_file_exists(in("f/notes")), "removing a run leaves what is not its own");
    ok(ft_run_remove(in("f")) == 0 && ft_file_exists(in("f/notes")), "and what is no run alone");
    ok(ft_run_remove(in("none")) == 0, "what is not there is removed");
    ft_run_close(run);
    ft_file_write(in("f/config.json"), "{}", 2);
    ok(ft_run_remove(in("f")) < 0 && ft_error_status() == FT_USAGE && ft_file_exists(in("f/config.json")), "a model that no run made is not removed");
    ok(ft_run_create(in("f"), &settings, 0, NULL) < 0 && ft_error_status() == FT_USAGE, "a run is not made over a model");
    ok(ft_run_create("", &settings, 0, NULL) < 0 && ft_error_status() == FT_USAGE, "nor without a name");
}

static void check_take_back(void)
{
    struct ft_run *run = make("g");

    ok(ft_run_take_back(run) == 0 && !ft_file_exists(in("g")), "a run in which nothing was learned is taken back");
    ft_run_close(run);
    ft_directory_make(in("h"));
    ft_file_write(in("h/notes"), "mine", 4);
    run = make("h");
    ok(ft_run_take_back(run) == 0 && !ft_run_is(in("h")) && ft_file_exists(in("h/notes")), "but not the directory it was made in");
    ft_run_close(run);
    run = make("i");
    save(run, 1, 1);
    ok(ft_run_take_back(run) == 0 && load(run, 1) == 1, "one that has a checkpoint stays");
    ft_run_close(run);
}

static void check_skip(void)
{
    struct ft_content content[2] = {{.text = FT_STRING("a")}, {.text = FT_STRING("b")}}, other[2] = {{.text = FT_STRING("a")}, {.text = FT_STRING("c")}};
    int32_t row[2] = {0, 1}, label[2] = {0, 1};
    struct ft_batch batch = {.number = 1, .epoch = 1, .rows = 2, .items = 2, .content = content, .row = row, .label = label};
    struct ft_progress start = {0}, seen = {0};

    for (batch.number = 1; batch.number <= 3; batch.number++)
        start.data = ft_batch_checksum(start.data, &batch);
    start.batch = 3;
    batch.number = 1;
    ok(ft_progress_skip(&start, &seen, &batch) == 1, "an applied batch is skipped");
    ok(ft_progress_skip(&start, &seen, &batch) < 0 && strstr(ft_error(), "batch 1 came where batch 2 was expected"), "not twice");
    batch.number = 2, ft_progress_skip(&start, &seen, &batch);
    batch.number = 3;
    ok(ft_progress_skip(&start, &seen, &batch) == 1, "up to the last one");
    batch.number = 4;
    ok(ft_progress_skip(&start, &seen, &batch) == 0, "the next is new");
    batch.number = 6;
    ok(ft_progress_skip(&start, &seen, &batch) < 0 && ft_error_status() == FT_BAD, "none is left out");
    seen = (struct ft_progress){0};
    batch.number = 1, ft_progress_skip(&start, &seen, &batch);
    batch.content = other;
    batch.number = 2;
    ok(ft_progress_skip(&start, &seen, &batch) == 1, "a batch that differs");
    batch.content = content;
    batch.number = 3;
    ok(ft_progress_skip(&start, &seen, &batch) < 0 && ft_error_status() == FT_BAD &&
       strstr(ft_error(), "the first 3 batches are not those that the run was trained on"), "is found at the last of them");
}

int main(void)
{
    if (!mkdtemp(place))
        return 1;
    check_save_and_load();
    check_parts();
    check_damaged();
    check_interrupted();
    check_many();
    check_lock();
    check_remove();
    check_take_back();
    check_skip();
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
