/* engine_null.c - no engine: every operation is done at once. It shows what the harness itself
 * costs, and stands still once when told to (stall_time=, stall_after=), which shows what a
 * measurement makes of a stall. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/gyre_bench/measure.h"
#include "bench/gyre_bench/threads.h"

struct null_engine {
    struct engine engine;
    uint64_t stall_ns, stall_after_ns;
    uint64_t stall_from_ns, stall_to_ns; /* of the run; 0 = none */
};

static struct engine *
null_open(const struct engine_settings *settings, char *error)
{
    struct null_engine *null = calloc(1, sizeof(*null));

    if (null == NULL) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "no memory");
        return NULL;
    }
    null->engine.type = &engine_null;
    null->stall_ns = settings->job->stall_ns;
    null->stall_after_ns = settings->job->stall_after_ns;
    return &null->engine;
}

static bool
null_close(struct engine *engine)
{
    free(engine);
    return true;
}

static void
null_describe(struct engine *engine, char *text, size_t capacity)
{
    const struct null_engine *null = (const struct null_engine *)engine;

    (void)snprintf(text, capacity, "stall_time=%.3fs stall_after=%.3fs",
                   (double)null->stall_ns / 1e9, (double)null->stall_after_ns / 1e9);
}

static bool
null_execute(struct engine *engine, struct slot *slot, char *error)
{
    const struct null_engine *null = (const struct null_engine *)engine;

    (void)slot;
    (void)error;
    if (null->stall_to_ns != 0) {
        const uint64_t now_ns = time_now_ns();

        if (now_ns >= null->stall_from_ns && now_ns < null->stall_to_ns) {
            (void)wait_until(crew_at_work, null->stall_to_ns);
        }
    }
    return true;
}

static bool
null_run(struct engine *engine, struct crew *crew)
{
    struct null_engine *null = (struct null_engine *)engine;

    if (null->stall_ns != 0) {
        null->stall_from_ns = time_now_ns() + null->stall_after_ns;
        null->stall_to_ns = null->stall_from_ns + null->stall_ns;
    }
    return threads_run(engine, crew, null_execute, NULL);
}

static void
null_figures(struct engine *engine, struct figures *figures)
{
    (void)engine;
    (void)figures;
}

const struct engine_type engine_null = {
    .name = "null",
    .help = "nothing: what the harness itself costs; can stall once",
    .abilities = CAN_DELETE | CAN_MISS | CAN_SEEK | CAN_BUFFER | CAN_NOWAL | CAN_MANY | IS_THREADED,
    .open = null_open,
    .close = null_close,
    .describe = null_describe,
    .run = null_run,
    .figures = null_figures,
};
