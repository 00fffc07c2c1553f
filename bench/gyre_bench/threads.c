/* threads.c - slots run by threads. */
#include "bench/gyre_bench/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/gyre_bench/measure.h"

#define WAIT_NS_MAX 50000000ull
#define QUIET_NS 1000000000ull

struct thread_work {
    struct engine *engine;
    struct crew *crew;
    struct slot *slot;
    execute_fn execute;
    slot_end_fn end;
};

bool
wait_until(const struct crew *crew, uint64_t due_ns)
{
    for (uint64_t now_ns = time_now_ns(); now_ns < due_ns; now_ns = time_now_ns()) {
        const uint64_t ns = due_ns - now_ns < WAIT_NS_MAX ? due_ns - now_ns : WAIT_NS_MAX;
        const struct timespec time = {.tv_nsec = (long)ns};

        if (crew_stopped(crew)) {
            return false;
        }
        (void)nanosleep(&time, NULL);
    }
    return true;
}

static void *
work(void *arg)
{
    const struct thread_work *work = arg;
    struct slot *slot = work->slot;
    uint64_t now_ns = time_now_ns();

    for (struct op *op = slot_next(slot, now_ns); op != NULL; op = slot_next(slot, now_ns)) {
        char error[RECORDER_ERROR_MAX] = "";

        if (op->is_open_loop && op->due_ns > now_ns && !wait_until(work->crew, op->due_ns)) {
            slot_drop(slot);
            break;
        }
        if (!work->execute(work->engine, slot, error)) {
            slot_failed(slot, error);
            break;
        }
        now_ns = time_now_ns();
        slot_done(slot, now_ns);
    }
    if (work->end != NULL) {
        work->end(work->engine, slot);
    }
    return NULL;
}

bool
threads_run(struct engine *engine, struct crew *crew, execute_fn execute, slot_end_fn end)
{
    struct thread_work *works = calloc(crew->slot_count, sizeof(works[0]));
    pthread_t *threads = calloc(crew->slot_count, sizeof(threads[0]));
    uint64_t started = 0;
    bool is_good = works != NULL && threads != NULL;

    for (uint64_t i = 0; is_good && i < crew->slot_count; i++) {
        works[i] = (struct thread_work){engine, crew, crew_slot(crew, i), execute, end};
    }
    if (is_good && crew->slot_count == 1) {
        (void)work(&works[0]);
    } else {
        while (is_good && started < crew->slot_count) {
            if (pthread_create(&threads[started], NULL, work, &works[started]) != 0) {
                __atomic_store_n(&crew->stop, true, __ATOMIC_RELAXED);
                is_good = false;
                break;
            }
            started++;
        }
        for (uint64_t i = 0; i < started; i++) {
            (void)pthread_join(threads[i], NULL);
        }
    }
    free(works);
    free(threads);
    return is_good ||
           engine_fail(engine, "cannot start thread %llu of %llu", (unsigned long long)started + 1,
                       (unsigned long long)crew->slot_count);
}

enum settle_result
settle_when_quiet(struct engine *engine)
{
    struct moment moment;
    uint64_t written = UINT64_MAX;
    uint64_t quiet_from_ns = time_now_ns();

    for (uint64_t now_ns = quiet_from_ns; now_ns < quiet_from_ns + QUIET_NS;
         now_ns = time_now_ns()) {
        const struct timespec time = {.tv_nsec = 50000000};

        if (crew_interrupted() != 0) {
            return SETTLE_INTERRUPTED;
        }
        moment_take(&moment, "/");
        if (moment.written_bytes != written) {
            written = moment.written_bytes;
            quiet_from_ns = now_ns;
        }
        (void)nanosleep(&time, NULL);
    }
    engine->settle_idle_ns = time_now_ns() - quiet_from_ns;
    return SETTLED;
}
