/* gyre_store.c - a Gyre store under measurement, whichever form calls it. Public headers only. */
#include "bench/gyre_bench/gyre_store.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- Opening ---- */

static void
print_log(void *arg, enum gyre_log_level level, const char *text)
{
    (void)arg;
    if (level != GYRE_LOG_INFO) {
        (void)fprintf(stderr, "gyre-bench: %s\n", text);
    }
}

static void
set_error(char *error, const char *what, gyre_status status, const struct gyre_error *from)
{
    const bool has_text = from != NULL && from->status == status && from->text[0] != '\0';

    (void)snprintf(error, ENGINE_ERROR_MAX, "%s: %s: %s", what, gyre_status_name(status),
                   has_text ? from->text : gyre_status_text(status));
}

static bool
open_loop(struct gyre_store *store, const struct engine_settings *settings, char *error)
{
    struct gyre_loop_options *options = &store->loop_options;
    struct gyre_error from = {.status = GYRE_OK};
    gyre_status status;

    *options = (struct gyre_loop_options){.struct_size = sizeof(*options),
                                          .io_kind = settings->job->io_kind,
                                          .cache_size = settings->cache_size,
                                          .memory_limit = settings->memory,
                                          .in_flight_max = (uint32_t)settings->job->in_flight,
                                          .p999_goal_us = settings->job->p999_goal_ns / 1000,
                                          .log = print_log};
    /* Stacks of 64 KiB are to coroutines what stacks are to threads: beside the memory that is
     * equal for all engines. */
    options->memory_limit += settings->slot_count > 64 ? settings->slot_count << 16 : 0;
    if (settings->slot_count > 4000) {
        options->coroutines_max = (uint32_t)settings->slot_count + 96;
    }
    status = gyre_loop_open(options, &store->loop, &from);
    if (status != GYRE_OK) {
        set_error(error, "cannot open a loop", status, &from);
    }
    return status == GYRE_OK;
}

static bool
open_store(struct gyre_store *store, const struct engine_settings *settings, char *error)
{
    static const uint32_t durabilities[] = {
        [DURABILITY_DEFAULT] = GYRE_BUFFERED,
        [DURABILITY_DURABLE] = GYRE_DURABLE,
        [DURABILITY_BUFFERED] = GYRE_BUFFERED,
        [DURABILITY_NOWAL] = GYRE_NOWAL,
    };
    static const uint32_t compressions[] = {
        [COMPRESSION_DEFAULT] = GYRE_COMPRESSION_DEFAULT,
        [COMPRESSION_NONE] = GYRE_COMPRESSION_NONE,
        [COMPRESSION_ZSTD] = GYRE_COMPRESSION_ZSTD,
    };
    struct gyre_options *options = &store->options;
    struct gyre_error from = {.status = GYRE_OK};
    gyre_status status = GYRE_OK;

    *options = (struct gyre_options){.struct_size = sizeof(*options),
                                     .durability = durabilities[settings->durability],
                                     .compression = compressions[settings->job->compression],
                                     .memtable_size = settings->memtable_size};
    if (settings->must_create) {
        options->flags = GYRE_OPEN_CREATE | GYRE_OPEN_EXCLUSIVE;
    }
    if (settings->iterator_count > 1000) {
        options->iterators_max = (uint32_t)settings->iterator_count + 16;
    }
    if (settings->job->options != NULL) {
        status = gyre_options_parse(settings->job->options, options, &from);
        if (status != GYRE_OK) {
            set_error(error, "options", status, &from);
            return false;
        }
    }
    status = gyre_open(store->loop, settings->path, options, &store->db);
    if (status != GYRE_OK) {
        set_error(error, settings->path, status, gyre_last_error(store->loop));
    }
    return status == GYRE_OK;
}

struct engine *
gyre_store_open(const struct engine_settings *settings, char *error, const struct engine_type *type)
{
    struct gyre_store *store = calloc(1, sizeof(*store));

    if (store == NULL) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "no memory");
        return NULL;
    }
    store->engine.type = type;
    if (!open_loop(store, settings, error)) {
        free(store);
        return NULL;
    }
    if (!open_store(store, settings, error)) {
        (void)gyre_loop_close(store->loop);
        free(store);
        return NULL;
    }
    return &store->engine;
}

bool
gyre_store_close(struct engine *engine)
{
    struct gyre_store *store = (struct gyre_store *)engine;
    gyre_status status = gyre_close(store->db);

    if (status != GYRE_OK) {
        set_error(engine->error, "closing the store", status, gyre_last_error(store->loop));
    } else {
        status = gyre_loop_close(store->loop);
        if (status != GYRE_OK) {
            set_error(engine->error, "closing the loop", status, NULL);
        }
    }
    if (status == GYRE_OK) {
        free(store);
    }
    return status == GYRE_OK;
}

void
gyre_store_describe(struct engine *engine, char *text, size_t capacity)
{
    struct gyre_store *store = (struct gyre_store *)engine;
    struct gyre_loop_stats loop = {.struct_size = sizeof(loop)};
    size_t used = 0;

    (void)gyre_loop_stats(store->loop, &loop);
    (void)snprintf(text, capacity,
                   "version=%s io=%s%s%s direct=%u registered_files=%u registered_buffers=%u "
                   "memory_limit=%llu cache=%llu ",
                   gyre_version(), loop.io_name, loop.io_reason[0] != '\0' ? ": " : "",
                   loop.io_reason, loop.has_direct_io, loop.has_registered_files,
                   loop.has_registered_buffers, (unsigned long long)loop.memory_limit,
                   (unsigned long long)loop.cache_capacity);
    used = strlen(text);
    if (gyre_property(store->db, "gyre.options", text + used, capacity - used, &used) != GYRE_OK) {
        return;
    }
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == '\n' ? ' ' : *c;
    }
}

/* ---- Figures ---- */

static void
store_figures(const struct gyre_stats *s, struct figures *f)
{
    figure_add(f, "user_bytes_written", (double)s->user_bytes_written, true);
    figure_add(f, "engine_bytes_written",
               (double)(s->wal_bytes_written + s->flush_bytes_written +
                        s->compaction_bytes_written + s->manifest_bytes_written),
               true);
    figure_add(f, "wal_bytes_written", (double)s->wal_bytes_written, true);
    figure_add(f, "wal_groups", (double)s->wal_groups, true);
    figure_add(f, "wal_syncs", (double)s->wal_syncs, true);
    figure_add(f, "flush_bytes_written", (double)s->flush_bytes_written, true);
    figure_add(f, "compaction_bytes_written", (double)s->compaction_bytes_written, true);
    figure_add(f, "block_reads", (double)s->block_reads, true);
    figure_add(f, "block_read_bytes", (double)s->block_read_bytes, true);
    figure_add(f, "cache_hits", (double)s->cache_hits, true);
    figure_add(f, "cache_misses", (double)s->cache_misses, true);
    figure_add(f, "filter_checks", (double)s->filter_checks, true);
    figure_add(f, "filter_negatives", (double)s->filter_negatives, true);
    figure_add(f, "filter_false_positives", (double)s->filter_false_positives, true);
    figure_add(f, "memtable_hits", (double)s->memtable_hits, true);
    figure_add(f, "stalls", (double)s->stall_count, true);
    figure_add(f, "stall_us", (double)s->stall_ns / 1e3, true);
    figure_add(f, "write_us_max", (double)s->write_ns_max / 1e3, false);
    figure_add(f, "table_bytes", (double)s->table_bytes, false);
    figure_add(f, "wal_live_bytes", (double)s->wal_live_bytes, false);
    figure_add(f, "compaction_debt", (double)s->compaction_debt, false);
    figure_add(f, "recovered_records", (double)s->recovered_records, false);
    figure_add(f, "recovered_us", (double)s->recovered_ns / 1e3, false);
    for (uint32_t i = 0; i < 4; i++) {
        static const char *const names[] = {"level0_tables", "level1_tables", "level2_tables",
                                            "level3_tables"};

        figure_add(f, names[i], (double)s->levels[i].table_count, false);
    }
}

void
gyre_store_figures(struct engine *engine, struct figures *figures)
{
    struct gyre_store *store = (struct gyre_store *)engine;
    struct gyre_stats stats = {.struct_size = sizeof(stats)};
    struct gyre_loop_stats loop = {.struct_size = sizeof(loop)};

    /* Both can only fail for a wrong argument; zeros would be seen in the report. */
    (void)gyre_stats(store->db, &stats);
    (void)gyre_loop_stats(store->loop, &loop);
    store_figures(&stats, figures);
    figure_add(figures, "device_bytes_read", (double)loop.bytes_read, true);
    figure_add(figures, "device_bytes_written", (double)loop.bytes_written, true);
    figure_add(figures, "io_requests", (double)loop.io_requests, true);
    figure_add(figures, "io_enters", (double)loop.io_enters, true);
    figure_add(figures, "io_syncs", (double)loop.io_syncs, true);
    figure_add(figures, "runs", (double)loop.runs, true);
    figure_add(figures, "runs_over_100us", (double)loop.runs_over_100us, true);
    figure_add(figures, "runs_over_500us", (double)loop.runs_over_500us, true);
    figure_add(figures, "run_us_max", (double)loop.run_ns_max / 1e3, false);
    figure_add(figures, "memory_peak", (double)loop.memory_peak, false);
}

void
gyre_store_reset_maxima(struct engine *engine)
{
    gyre_stats_reset_maxima(((struct gyre_store *)engine)->db);
}

/* ---- The host's loop ---- */

gyre_status
gyre_store_turn(struct gyre_store *store, uint64_t timeout_ns)
{
    struct pollfd ready = {.fd = gyre_loop_fd(store->loop), .events = POLLIN};
    const struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                                     .tv_nsec = (long)(timeout_ns % 1000000000u)};
    gyre_status status = gyre_loop_poll(store->loop, 200);

    if (status == GYRE_OK && timeout_ns > 0) {
        (void)ppoll(&ready, 1, &timeout, NULL);
    }
    return status == GYRE_AGAIN ? GYRE_OK : status;
}

static void
note_settled(struct gyre_op *op)
{
    *(bool *)op->arg = true;
}

/* One operation to its end, or until a signal. */
static enum settle_result
settle_by(struct gyre_store *store, enum gyre_op_kind kind)
{
    bool is_done = false;
    bool is_canceled = false;
    struct gyre_op op =
        GYRE_OP(.kind = kind, .db = store->db, .done = note_settled, .arg = &is_done);
    gyre_status status = gyre_submit(&op);

    while (status == GYRE_OK && !is_done) {
        if (crew_interrupted() != 0 && !is_canceled) {
            is_canceled = true;
            (void)gyre_cancel(&op);
        }
        status = gyre_store_turn(store, 5000000);
    }
    if (status == GYRE_OK && (op.status == GYRE_OK || op.status == GYRE_CANCELED)) {
        return op.status == GYRE_OK ? SETTLED : SETTLE_INTERRUPTED;
    }
    set_error(store->engine.error, "settling", status == GYRE_OK ? op.status : status,
              status == GYRE_OK ? &op.error : gyre_last_error(store->loop));
    return SETTLE_FAILED;
}

/* Nothing is left to compact, and what lies in staging has gone to the device and been counted. */
enum settle_result
gyre_store_settle(struct engine *engine)
{
    struct gyre_store *store = (struct gyre_store *)engine;
    const enum settle_result result = settle_by(store, GYRE_OP_WAIT_IDLE);

    return result == SETTLED && store->options.durability != GYRE_NOWAL
               ? settle_by(store, GYRE_OP_SYNC)
               : result;
}

/* ---- Slots ---- */

void
gyre_status_print(const struct gyre_store *store, gyre_status status, char *text, size_t capacity)
{
    const struct gyre_error *error = gyre_last_error(store->loop);

    (void)snprintf(text, capacity, "%s: %s", gyre_status_name(status),
                   error->status == status ? error->text : gyre_status_text(status));
}

bool
gyre_slot_open(struct gyre_store *store, struct slot *slot)
{
    const struct stream *stream = slot->stream;
    const struct workload *workload = stream->job->workload;
    struct gyre_slot *state = calloc(1, sizeof(*state));
    struct gyre_iterator_options options = {
        .struct_size = sizeof(options), .lower = slot->op.walk_lower, .upper = slot->op.walk_upper};
    gyre_status status = GYRE_OK;
    bool is_good = state != NULL;

    slot->engine_state = state;
    if (is_good && stream->batch > 1) {
        state->batch = gyre_batch_make();
        state->values = calloc(stream->batch, sizeof(state->values[0]));
        state->statuses = calloc(stream->batch, sizeof(state->statuses[0]));
        is_good = state->batch != NULL && state->values != NULL && state->statuses != NULL;
    }
    /* A seek of a mixed workload opens its own, to see what was written before it. */
    if (is_good && workload_does(workload, ACTION_WALK)) {
        status = gyre_iterator_open(store->db, &options, &state->iterator);
    } else if (is_good && workload_does(workload, ACTION_SEEK) && stream->mix_count == 1) {
        status = gyre_iterator_open(store->db, NULL, &state->iterator);
    }
    if (!is_good || status != GYRE_OK) {
        char text[RECORDER_ERROR_MAX] = "no memory";

        if (is_good) {
            gyre_status_print(store, status, text, sizeof(text));
        }
        slot_failed(slot, text);
        gyre_slot_close(slot);
        return false;
    }
    return true;
}

void
gyre_slot_close(struct slot *slot)
{
    struct gyre_slot *state = slot->engine_state;

    if (state != NULL) {
        gyre_iterator_close(state->iterator);
        gyre_batch_free(state->batch);
        free(state->values);
        free(state->statuses);
        free(state);
        slot->engine_state = NULL;
    }
}
