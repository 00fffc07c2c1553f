/* worlds_main.c - run loop, files and coroutines on the blocking and on the simulated world: a
 * plain program without a test library, cross-compiled and run under an emulator by run.sh.
 *
 *     worlds_main DIR      DIR is an empty folder on a real file system
 *
 * Method: WORKERS coroutines write files (with DSYNC or with a sync), sync names, rename, read back
 * what they wrote, remove every third; they sleep and hold a mutex in between. Afterwards what lies
 * in the folder is counted. The last line has a digest of all events of the simulated machine:
 * run.sh compares it with that of a native build. Exit code 0: all held.
 */
#include <inttypes.h>
#include <string.h>

#include "io/arena.h"
#include "io/base/bits.h"
#include "io/file.h"
#include "io/identity.h"
#include "io/sim/world_sim.h"
#include "tests/aarch64/check.h"

#define WORKERS 200u
#define PAGES_MAX 5u
#define SEED 20240917u

struct scene {
    struct gy_loop loop;
    struct gy_arena arena;
    struct gy_mutex mutex;
    struct gy_file dir;
    const char *path;
    bool is_inside; /* somebody holds the mutex */
    uint32_t finished;
    uint32_t removed;
    uint32_t listed;
    uint64_t bytes;
};

struct worker {
    struct scene *scene;
    uint32_t number;
};

static struct scene scene;
static struct worker workers[WORKERS];

static uint8_t
pattern(uint32_t number, uint32_t i)
{
    return (uint8_t)gy_mix64(((uint64_t)number << 32) + i);
}

/* Odd ones: each write is durable by itself. Even ones: a sync at the end. */
GY_SUSPENDS static void
await_write(const struct worker *me, const char *name, uint8_t *buffer, uint32_t size)
{
    struct gy_loop *loop = &me->scene->loop;
    const uint32_t half = (uint32_t)gy_align_down(size / 2, GY_PAGE);
    const uint32_t flags = me->number % 2 != 0 ? GY_IO_DSYNC : 0;
    struct gy_file file = GY_FILE_CLOSED;
    uint64_t found = 0;

    CHECK(gy_file_await_open(loop, &me->scene->dir, name,
                             GY_OPEN_CREATE | GY_OPEN_EXCLUSIVE | GY_OPEN_WRITE, GY_IO_META,
                             &file) == GYRE_OK);
    if (me->number % 4 == 0) {
        CHECK(gy_file_await_allocate(loop, &file, size, GY_IO_META) == GYRE_OK);
    }
    CHECK(gy_file_await_write(loop, &file, GY_IO_FLUSH, buffer + half, size - half, half, flags) ==
          GYRE_OK);
    if (half != 0) {
        CHECK(gy_file_await_write(loop, &file, GY_IO_WAL, buffer, half, 0, flags) == GYRE_OK);
    }
    if (flags == 0) {
        CHECK(gy_file_await_sync(loop, &file, GY_IO_FLUSH) == GYRE_OK);
    }
    CHECK(gy_file_await_size(loop, &file, &found) == GYRE_OK && found == size);
    CHECK(gy_file_await_close(loop, &file) == GYRE_OK);
}

GY_SUSPENDS static void
await_read_back(const struct worker *me, const char *name, uint8_t *buffer, uint32_t size)
{
    struct gy_loop *loop = &me->scene->loop;
    struct gy_file file = GY_FILE_CLOSED;
    uint32_t found = 0;

    CHECK(gy_file_await_open(loop, &me->scene->dir, name, 0, GY_IO_READ, &file) == GYRE_OK);
    CHECK(gy_file_await_read(loop, &file, GY_IO_READ, buffer, size, 0) == GYRE_OK);
    for (uint32_t i = 0; i < size; i++) {
        CHECK(buffer[i] == pattern(me->number, i));
    }
    CHECK(gy_file_await_read_some(loop, &file, GY_IO_READ, buffer, GY_PAGE, size, &found) ==
              GYRE_OK &&
          found == 0);
    CHECK(gy_file_await_close(loop, &file) == GYRE_OK);
}

static void
co_worker(void *arg)
{
    struct worker *me = arg;
    struct scene *s = me->scene;
    const uint32_t size = (1 + me->number % PAGES_MAX) * GY_PAGE;
    const uint64_t sleep_ns = 1000 + gy_mix64(me->number) % (2 * GY_NS_PER_MS);
    const uint64_t start_ns = gy_loop_now(&s->loop);
    char name[GY_FILE_NAME_MAX];
    char name_new[GY_FILE_NAME_MAX];
    uint8_t *buffer;

    gy_in_coroutine();
    (void)snprintf(name, sizeof(name), "%u.tmp", me->number);
    (void)snprintf(name_new, sizeof(name_new), "%u.data", me->number);
    gy_await_sleep(&s->loop.sched, sleep_ns);
    CHECK(gy_loop_now(&s->loop) >= start_ns + sleep_ns);
    buffer = gy_arena_await_buffer(&s->arena); /* fewer than workers: some wait */
    CHECK(buffer != NULL);
    for (uint32_t i = 0; i < size; i++) {
        buffer[i] = pattern(me->number, i);
    }
    await_write(me, name, buffer, size);
    memset(buffer, 0, size);

    gy_mutex_await_lock(&s->loop.sched, &s->mutex);
    CHECK(!s->is_inside);
    s->is_inside = true;
    CHECK(gy_file_await_rename(&s->loop, &s->dir, name, name_new) == GYRE_OK);
    CHECK(gy_dir_await_sync(&s->loop, &s->dir) == GYRE_OK);
    s->is_inside = false;
    gy_mutex_unlock(&s->mutex);

    await_read_back(me, name_new, buffer, size);
    if (me->number % 3 == 0) {
        CHECK(gy_file_await_unlink(&s->loop, &s->dir, name_new) == GYRE_OK);
        s->removed++;
    } else {
        s->bytes += size;
    }
    gy_arena_buffer_put(&s->arena, buffer);
    s->finished++;
}

static void
co_open(void *arg)
{
    struct scene *s = arg;

    gy_in_coroutine();
    CHECK(gy_dir_await_open(&s->loop, s->path, true, &s->dir) == GYRE_OK);
}

static void
count_name(void *arg, const char *name, bool is_regular)
{
    struct scene *s = arg;

    s->listed += is_regular && strstr(name, ".data") != NULL;
    CHECK(strstr(name, ".tmp") == NULL);
}

/* What is in the folder, an error with its text, and everything away again. */
static void
co_close(void *arg)
{
    struct scene *s = arg;
    struct gy_file file = GY_FILE_CLOSED;
    char name[GY_FILE_NAME_MAX];

    gy_in_coroutine();
    CHECK(gy_dir_await_list(&s->loop, &s->dir, count_name, s) == GYRE_OK);
    CHECK(gy_file_await_open(&s->loop, &s->dir, "0.tmp", 0, GY_IO_META, &file) == GYRE_NOT_FOUND);
    CHECK(strstr(gy_sched_error(&s->loop.sched)->text, "0.tmp") != NULL);
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (i % 3 != 0) {
            (void)snprintf(name, sizeof(name), "%u.data", i);
            CHECK(gy_file_await_unlink(&s->loop, &s->dir, name) == GYRE_OK);
        }
    }
    CHECK(gy_file_await_close(&s->loop, &s->dir) == GYRE_OK);
}

static void
run_all(struct scene *s)
{
    while (!gy_loop_is_idle(&s->loop)) {
        (void)gy_loop_turn(&s->loop, true, GY_NEVER);
    }
    CHECK(s->loop.sched.live_count == 0);
}

static void
spawn(struct scene *s, void (*fn)(void *), void *arg)
{
    CHECK(gy_spawn(&s->loop.sched, GY_CLASS_FOREGROUND, "scene", fn, arg, NULL) == GYRE_OK);
}

/* `world` NULL: whatever the loop finds. `chaos` NULL: coroutines run in their order. */
static void
play(struct gy_world *world, struct gy_rng *chaos, const char *path)
{
    const struct gy_loop_config config = {.world = world};
    struct scene *s = &scene;

    *s = (struct scene){.path = path, .dir = GY_FILE_CLOSED};
    CHECK(gy_loop_init(&s->loop, &config, NULL) == GYRE_OK);
    if (world == NULL) {
        CHECK(strcmp(s->loop.world->info.name, "sync") == 0);
        CHECK(strstr(s->loop.world->info.reason, "no liburing") != NULL);
    }
    CHECK(gy_arena_init(&s->arena, &s->loop, 8, 24) == GYRE_OK);
    s->loop.sched.chaos = chaos;
    gy_mutex_init(&s->mutex);
    spawn(s, co_open, s);
    run_all(s);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.scene = s, .number = i};
        spawn(s, co_worker, &workers[i]);
    }
    run_all(s);
    CHECK(s->finished == WORKERS && !s->is_inside);
    spawn(s, co_close, s);
    run_all(s);
    CHECK(s->listed + s->removed == WORKERS && s->removed == (WORKERS + 2) / 3);
    CHECK(s->loop.stats.sync_count >= WORKERS);
    gy_arena_fini(&s->arena);
}

static uint64_t
play_simulated(uint64_t seed)
{
    struct gy_world_sim_config config;
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    struct gy_rng chaos;
    uint64_t trace;

    gy_heap_init(&heap, UINT64_MAX);
    gy_rng_init(&chaos, seed);
    disk = gy_sim_disk_make(NULL, &heap);
    gy_world_sim_config_init(&config, seed);
    config.faults.short_ppm = 50000;
    CHECK(disk != NULL && gy_world_sim_open(&config, disk, &world) == GYRE_OK);
    play(world, &chaos, "/scene");
    CHECK(gy_world_sim_violation_count(world) == 0);
    CHECK(gy_world_sim_event_count(world) > 10 * WORKERS);
    trace = gy_world_sim_trace_hash(world);
    gy_loop_fini(&scene.loop);
    gy_sim_disk_free(disk);
    CHECK(heap.used == 0);
    return trace;
}

int
main(int argc, char **argv)
{
    struct gy_identity identity;
    uint64_t trace;

    CHECK(argc == 2);
    CHECK(gy_identity_init(&identity) == GYRE_OK);
    CHECK(gy_identity_check(&identity) == GY_IDENTITY_OWNER);
    gy_identity_fini(&identity);

    play(NULL, NULL, argv[1]);
    printf("blocking world: %u coroutines, %" PRIu64 " bytes written, O_DIRECT: %s\n", WORKERS,
           scene.bytes, scene.loop.world->info.has_direct_io ? "yes" : "no");
    gy_loop_fini(&scene.loop);
    CHECK(scene.loop.heap.used == 0);

    trace = play_simulated(SEED);
    CHECK(play_simulated(SEED) == trace);
    CHECK(play_simulated(SEED + 1) != trace);
    printf("simulated world: two runs of a seed are the same\n");
    printf("trace %016" PRIx64 "\n", trace);
    return 0;
}
