/* live.c - the blocks that ft-embed, ft-loss and ft-update share while a run is in training.
 *
 * The writer holds the run's lock, fills the block, and then announces itself by its process id and the count of batches applied. A reader believes
 * an announcement only while the process that made it holds the lock, so what a killed writer left behind is never taken for the next one's. */
#include "base/error.h"
#include "base/file.h"
#include "train/run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct ft_live_state {
    _Atomic uint32_t owner;      /* process id, 0 until the block is ready */
    _Atomic uint32_t wake;       /* changes with every batch: what readers sleep on */
    _Atomic uint64_t batch;
    _Atomic uint64_t loss;       /* 1 + the floats of the losses' block, 0 until that is ready */
    uint64_t start;              /* batch and checksum of the data when this writer began */
    struct ft_hash data;
};

static void *map_file(const char *path, size_t size, bool create, bool writable)
{
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0), 0666);
    void *map = MAP_FAILED;
    struct stat st;

    if (fd < 0) {
        ft_fail_errno("%s", path);
        return NULL;
    }
    if ((create && ftruncate(fd, (off_t)size) < 0) || fstat(fd, &st) < 0)
        ft_fail_errno("%s", path);
    else if ((uint64_t)st.st_size != size)
        ft_fail(FT_BAD, "%s: %lld bytes, expected %zu", path, (long long)st.st_size, size);
    else if ((map = mmap(NULL, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0)) == MAP_FAILED)
        ft_fail_errno("%s", path);
    close(fd);
    return map == MAP_FAILED ? NULL : map;
}

int ft_live_create(struct ft_run *run, size_t count, struct ft_live *live)
{
    const char *directory = ft_run_path(run, "live"), *block = ft_run_path(run, "live/block");
    const char *state = ft_run_path(run, "live/state");

    *live = (struct ft_live){.count = count, .owner = true};
    /* New files, not the old ones emptied: a reader of an earlier writer keeps its own. */
    if (!directory || !block || !state || ft_directory_remove(directory) < 0 || ft_directory_make(directory) < 0 ||
        !(live->block = map_file(block, count * sizeof(float), true, true)) ||
        !(live->state = map_file(state, sizeof *live->state, true, true))) {
        ft_live_close(live);
        return -1;
    }
    return 0;
}

void ft_live_publish(struct ft_live *live, const struct ft_progress *progress)
{
    struct ft_live_state *state = live->state;

    if (!atomic_load(&state->owner)) {
        state->start = progress->batch;
        state->data = progress->data;
    }
    atomic_store(&state->batch, progress->batch);
    atomic_store(&state->owner, (uint32_t)getpid());
    atomic_fetch_add(&state->wake, 1);
    syscall(SYS_futex, &state->wake, FUTEX_WAKE, 1 << 30, NULL, NULL, 0);
}

int ft_live_create_loss(struct ft_run *run, struct ft_live *live, size_t count)
{
    const char *loss = ft_run_path(run, "live/loss");

    if (!loss || !(live->loss = map_file(loss, count * sizeof(float), true, true)))
        return -1;
    live->loss_count = count;
    return 0;
}

void ft_live_publish_loss(struct ft_live *live)
{
    atomic_store(&live->state->loss, live->loss_count + 1);
}

/* The process that holds the run's lock, 0 = nobody. */
static uint32_t lock_holder(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
        return 0;
    return (uint32_t)lock.l_pid;
}

/* Whoever waits for a writer must not outlive its own reader. */
static void die_with_reader(int output)
{
    struct pollfd fd = {.fd = output, .events = 0};

    if (output >= 0 && poll(&fd, 1, 0) > 0 && fd.revents & POLLERR)
        raise(SIGPIPE);
}

static int open_lock(struct ft_run *run)
{
    const char *path = ft_run_path(run, "lock");

    if (run->lock < 0 && path)
        run->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    return run->lock < 0 ? ft_fail_errno("%s/run/lock", run->directory) : 0;
}

/* Which of the two blocks. */
struct wanted {
    bool loss;
    size_t count;
    const char *block, *state;   /* paths */
};

static int map_wanted(const struct wanted *wanted, struct ft_live *live)
{
    if (!wanted->loss)
        return (live->block = map_file(wanted->block, wanted->count * sizeof(float), false, false)) ? 0 : -1;
    return atomic_load(&live->state->loss) && (live->loss = map_file(wanted->block, wanted->count * sizeof(float), false, false)) ? 0 : -1;
}

/* 1, 0 not yet, or -1: what was announced is not what is wanted. */
static int try_attach(struct ft_run *run, const struct wanted *wanted, struct ft_live *live)
{
    uint32_t holder = lock_holder(run->lock);
    uint64_t announced;

    if (!holder || !ft_file_exists(wanted->state) || !ft_file_exists(wanted->block))
        return 0;
    *live = (struct ft_live){.count = wanted->loss ? 0 : wanted->count, .loss_count = wanted->loss ? wanted->count : 0};
    if (!(live->state = map_file(wanted->state, sizeof *live->state, false, false)) || atomic_load(&live->state->owner) != holder) {
        ft_live_close(live);
        return 0;
    }
    announced = atomic_load(&live->state->loss);
    if (wanted->loss && announced && announced != wanted->count + 1) {
        ft_live_close(live);
        return ft_fail(FT_BAD, "%s: its losses have %llu weights, expected %zu: another stream than ft-update's?", run->directory,
                       (unsigned long long)announced - 1, wanted->count);
    }
    if (map_wanted(wanted, live) < 0) {
        ft_live_close(live);
        return 0;
    }
    return 1;
}

static int attach(struct ft_run *run, const struct wanted *wanted, int output, void (*waiting)(void *), void *argument,
                  struct ft_live *live, struct ft_progress *start)
{
    const struct timespec pause = {0, 5000000};
    int done;

    if (!wanted->block || !wanted->state || open_lock(run) < 0)
        return -1;
    for (int tries = 0; (done = try_attach(run, wanted, live)) == 0; tries++) {
        die_with_reader(output);
        if (tries == 400 && waiting)
            waiting(argument);
        nanosleep(&pause, NULL);
    }
    if (done < 0)
        return -1;
    *start = (struct ft_progress){.batch = live->state->start, .data = live->state->data};
    return 0;
}

int ft_live_attach(struct ft_run *run, size_t count, int output, void (*waiting)(void *), void *argument,
                   struct ft_live *live, struct ft_progress *start)
{
    const struct wanted wanted = {false, count, ft_run_path(run, "live/block"), ft_run_path(run, "live/state")};

    return attach(run, &wanted, output, waiting, argument, live, start);
}

int ft_live_attach_loss(struct ft_run *run, size_t count, int output, void (*waiting)(void *), void *argument,
                        struct ft_live *live, struct ft_progress *start)
{
    const struct wanted wanted = {true, count, ft_run_path(run, "live/loss"), ft_run_path(run, "live/state")};

    return attach(run, &wanted, output, waiting, argument, live, start);
}

int ft_live_wait(struct ft_run *run, const struct ft_live *live, uint64_t number, int output)
{
    const struct timespec pause = {0, 20000000};

    for (;;) {
        uint32_t wake = atomic_load(&live->state->wake);

        if (atomic_load(&live->state->batch) >= number)
            return 0;
        syscall(SYS_futex, &live->state->wake, FUTEX_WAIT, wake, &pause, NULL, 0);
        die_with_reader(output);
        if (atomic_load(&live->state->batch) < number && lock_holder(run->lock) != atomic_load(&live->state->owner))
            return ft_fail(FT_BAD, "%s: the process that updates it has ended", run->directory);
    }
}

void ft_live_close(struct ft_live *live)
{
    if (live->block)
        munmap(live->block, live->count * sizeof(float));
    if (live->loss)
        munmap(live->loss, live->loss_count * sizeof(float));
    if (live->state)
        munmap(live->state, sizeof *live->state);
    live->block = live->loss = NULL;
    live->state = NULL;
}

int ft_live_remove(struct ft_run *run)
{
    const char *path = ft_run_path(run, "live");

    return path ? ft_directory_remove(path) : -1;
}
