/* engine_raw.c - the device without an engine: the same pattern of reads and writes on one file,
 * O_DIRECT, sent straight to io_uring with a ring as Gyre would set it up.
 *
 * The file is as large as keys and values together, and written once before it is used. A get reads
 * the block that its record would lie in, a put writes that block (RWF_DSYNC if durable), a seek
 * reads as many bytes as its rows have, a walk reads 256 KiB at a time. So this is what a store
 * could reach that packs its records without a gap, needs one request each, and no processor.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench/gyre_bench/measure.h"
#include "bench/gyre_bench/threads.h"

#define WALK_BYTES (256u << 10)
#define PREPARE_BYTES (1u << 20)
#define RING_ENTRIES 1024u
#define ENTER_EVERY 8u

struct raw {
    struct engine engine;
    struct io_uring ring;
    struct crew *crew;
    int file;
    bool is_durable;
    bool is_registered;
    uint64_t block_size, record_size, file_size;
    uint64_t live;      /* slots that have not ended */
    uint64_t in_flight; /* requests */
    uint32_t queued;    /* not yet given to the kernel */
    uint32_t flags;
};

/* Of a slot. */
struct raw_slot {
    uint8_t *buffer; /* one piece for each request of an operation */
    uint64_t piece_size;
    uint64_t walk_at, walk_end;
    uint32_t outstanding;
    bool is_waiting; /* for its time */
    bool has_read;   /* modify: now write */
};

/* ---- The file ---- */

/* Written from end to end, so that later writes find no holes: those would cost more. */
static bool
prepare_file(struct raw *raw, char *error)
{
    void *zeros = NULL;
    bool is_good = posix_memalign(&zeros, 4096, PREPARE_BYTES) == 0;

    (void)fallocate(raw->file, 0, 0,
                    (off_t)raw->file_size); /* in one piece, where that can be had */
    for (uint64_t at = 0; is_good && at < raw->file_size; at += PREPARE_BYTES) {
        const uint64_t left = raw->file_size - at;
        const size_t size = left < PREPARE_BYTES ? (size_t)left : PREPARE_BYTES;

        /* not zeros: a device may keep those elsewhere */
        memset(zeros, (int)(at >> 20 & 0xff) | 1, size);
        is_good =
            crew_interrupted() == 0 && pwrite(raw->file, zeros, size, (off_t)at) == (ssize_t)size;
    }
    is_good = is_good && fdatasync(raw->file) == 0;
    if (!is_good) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "writing raw.data: %s",
                       crew_interrupted() != 0 ? "interrupted" : strerror(errno));
    }
    free(zeros);
    return is_good;
}

static bool
open_file(struct raw *raw, const struct engine_settings *settings, char *error)
{
    char path[4096];
    struct stat info = {.st_size = 0};

    (void)snprintf(path, sizeof(path), "%s/raw.data", settings->path);
    if (settings->must_create && mkdir(settings->path, 0777) != 0 && errno != EEXIST) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "%s: %s", settings->path, strerror(errno));
        return false;
    }
    raw->file =
        open(path, O_RDWR | O_DIRECT | O_CLOEXEC | (settings->must_create ? O_CREAT : 0), 0666);
    if (raw->file < 0 || fstat(raw->file, &info) != 0) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "%.256s: %s", path, strerror(errno));
        return false;
    }
    if ((uint64_t)info.st_size < raw->file_size) {
        return prepare_file(raw, error);
    }
    return true;
}

static bool
open_ring(struct raw *raw, char *error)
{
    static const uint32_t ladder[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                          IORING_SETUP_SUBMIT_ALL,
                                      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL, 0};
    int result = -EINVAL;

    for (uint32_t i = 0; i < sizeof(ladder) / sizeof(ladder[0]) && result == -EINVAL; i++) {
        raw->flags = ladder[i];
        result = io_uring_queue_init(RING_ENTRIES, &raw->ring, ladder[i]);
    }
    if (result != 0) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "cannot set up io_uring: %s", strerror(-result));
        return false;
    }
    raw->is_registered = io_uring_register_files(&raw->ring, &raw->file, 1) == 0;
    return true;
}

static uint64_t
round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

static struct engine *
raw_open(const struct engine_settings *settings, char *error)
{
    struct raw *raw = calloc(1, sizeof(*raw));

    if (raw == NULL) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "no memory");
        return NULL;
    }
    raw->engine.type = &engine_raw;
    raw->file = -1;
    raw->is_durable = settings->durability == DURABILITY_DURABLE;
    raw->record_size = settings->record_size > 0 ? settings->record_size : 1;
    raw->block_size = settings->job->block_size;
    if (raw->block_size == 0) {
        raw->block_size = round_up(raw->record_size, 4096);
    }
    raw->file_size = round_up(settings->records * raw->record_size, PREPARE_BYTES);
    raw->file_size = round_up(raw->file_size, raw->block_size);
    if (open_file(raw, settings, error)) {
        if (open_ring(raw, error)) {
            return &raw->engine;
        }
    }
    if (raw->file >= 0) {
        (void)close(raw->file);
    }
    free(raw);
    return NULL;
}

static bool
raw_close(struct engine *engine)
{
    struct raw *raw = (struct raw *)engine;

    io_uring_queue_exit(&raw->ring);
    (void)close(raw->file);
    free(raw);
    return true;
}

static void
raw_describe(struct engine *engine, char *text, size_t capacity)
{
    const struct raw *raw = (const struct raw *)engine;

    (void)snprintf(text, capacity,
                   "io_uring flags=0x%x registered_file=%d direct=1 block=%llu file=%llu "
                   "durable=%d requests_in_flight_max=%u",
                   raw->flags, raw->is_registered, (unsigned long long)raw->block_size,
                   (unsigned long long)raw->file_size, raw->is_durable, RING_ENTRIES);
}

/* ---- Requests ---- */

static void
enter(struct raw *raw)
{
    (void)io_uring_submit(&raw->ring);
    raw->queued = 0;
}

static void
request(struct raw *raw, struct slot *slot, uint32_t i, bool is_write, uint64_t offset,
        uint64_t size)
{
    struct raw_slot *state = slot->engine_state;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&raw->ring);

    while (sqe == NULL) {
        enter(raw);
        sqe = io_uring_get_sqe(&raw->ring);
    }
    if (is_write) {
        io_uring_prep_write(sqe, raw->is_registered ? 0 : raw->file,
                            state->buffer + i * state->piece_size, (uint32_t)size, offset);
        sqe->rw_flags = raw->is_durable ? RWF_DSYNC : 0;
    } else {
        io_uring_prep_read(sqe, raw->is_registered ? 0 : raw->file,
                           state->buffer + i * state->piece_size, (uint32_t)size, offset);
    }
    sqe->flags |= raw->is_registered ? IOSQE_FIXED_FILE : 0;
    io_uring_sqe_set_data(sqe, slot);
    state->outstanding++;
    raw->in_flight++;
    if (++raw->queued >= ENTER_EVERY) {
        enter(raw);
    }
}

static uint64_t
block_of(const struct raw *raw, uint64_t number)
{
    const uint64_t offset = number / 2 * raw->record_size / raw->block_size * raw->block_size;

    return offset % raw->file_size;
}

static void
request_rows(struct raw *raw, struct slot *slot)
{
    struct raw_slot *state = slot->engine_state;
    const struct op *op = &slot->op;
    uint64_t offset;
    uint64_t size;

    if (op->kind == OP_SEEK) {
        offset = block_of(raw, op->numbers[0]);
        size = round_up(op->count * raw->record_size, raw->block_size);
    } else {
        offset = op->is_reverse ? state->walk_end - (state->walk_at + WALK_BYTES) : state->walk_at;
        size = WALK_BYTES;
        state->walk_at += WALK_BYTES;
    }
    size = size < state->piece_size ? size : state->piece_size;
    size = offset + size > raw->file_size ? raw->file_size - offset : size;
    request(raw, slot, 0, false, offset, size);
}

static void
start(struct raw *raw, struct slot *slot)
{
    struct raw_slot *state = slot->engine_state;
    const struct op *op = &slot->op;
    const bool is_write =
        op->kind == OP_PUT || op->kind == OP_BATCH || (op->kind == OP_MODIFY && state->has_read);

    if (op->kind == OP_SEEK || op->kind == OP_WALK) {
        request_rows(raw, slot);
        return;
    }
    for (uint32_t i = 0; i < op->count; i++) {
        request(raw, slot, i, is_write, block_of(raw, op->numbers[i]), raw->block_size);
    }
}

/* ---- Slots ---- */

static bool
slot_open(struct raw *raw, struct slot *slot)
{
    struct raw_slot *state = calloc(1, sizeof(*state));
    const struct stream *stream = slot->stream;
    const uint64_t parts = stream->slot_count;
    void *buffer = NULL;
    uint64_t size = raw->block_size;

    slot->engine_state = state;
    if (state == NULL) {
        return false;
    }
    if (workload_does(stream->job->workload, ACTION_WALK) ||
        workload_does(stream->job->workload, ACTION_SEEK)) {
        size = size > WALK_BYTES ? size : WALK_BYTES;
    }
    state->piece_size = size;
    state->walk_at =
        raw->file_size / parts / WALK_BYTES * WALK_BYTES * (uint64_t)(slot - stream->slots);
    state->walk_end = state->walk_at + raw->file_size / parts / WALK_BYTES * WALK_BYTES;
    if (posix_memalign(&buffer, 4096, size * stream->batch) != 0) {
        return false;
    }
    memset(buffer, 'r', size * stream->batch);
    state->buffer = buffer;
    return true;
}

static void
slot_close(struct slot *slot)
{
    struct raw_slot *state = slot->engine_state;

    if (state != NULL) {
        free(state->buffer);
        free(state);
        slot->engine_state = NULL;
    }
}

static void
begin(struct raw *raw, struct slot *slot, uint64_t now_ns)
{
    struct raw_slot *state = slot->engine_state;
    struct op *op = slot_next(slot, now_ns);

    state->has_read = false;
    if (op == NULL) {
        raw->live--;
    } else if (op->is_open_loop && op->due_ns > now_ns) {
        state->is_waiting = true;
    } else {
        start(raw, slot);
    }
}

/* What the bytes that came would have been. */
static void
count_answer(const struct raw *raw, struct slot *slot)
{
    struct raw_slot *state = slot->engine_state;
    struct recorder *recorder = slot->recorder;
    struct op *op = &slot->op;
    uint64_t rows = 0;

    switch (op->kind) {
    case OP_GET:
    case OP_MULTI_GET:
    case OP_MODIFY:
        counter_add(&recorder->lookups, op->count);
        counter_add(&recorder->found, op->count);
        counter_add(&recorder->bytes[CLASS_READ], op->count * raw->record_size);
        return;
    case OP_SEEK:
        rows = op->count;
        break;
    case OP_WALK:
        rows = WALK_BYTES / raw->record_size;
        slot->walk_rows = rows;
        op->at_end = state->walk_at >= state->walk_end;
        break;
    default:
        return;
    }
    counter_add(&recorder->rows, rows);
    counter_add(&recorder->bytes[CLASS_READ], rows * raw->record_size);
}

static void
complete(struct raw *raw, struct slot *slot, int result)
{
    struct raw_slot *state = slot->engine_state;
    uint64_t now_ns;

    raw->in_flight--;
    state->outstanding--;
    if (result < 0) {
        slot_failed(slot, strerror(-result));
    }
    if (state->outstanding > 0) {
        return;
    }
    if (slot->is_done) {
        raw->live--;
        return;
    }
    if (slot->op.kind == OP_MODIFY && !state->has_read) {
        state->has_read = true;
        start(raw, slot);
        return;
    }
    now_ns = time_now_ns();
    count_answer(raw, slot);
    slot_done(slot, now_ns);
    if (slot->is_done) {
        raw->live--;
        return;
    }
    begin(raw, slot, now_ns);
}

/* ---- Runs ---- */

/* Start what is due. When the next one is, UINT64_MAX = none waits. */
static uint64_t
start_due(struct raw *raw)
{
    const uint64_t now_ns = time_now_ns();
    uint64_t next_ns = UINT64_MAX;

    for (uint64_t i = 0; i < raw->crew->slot_count; i++) {
        struct slot *slot = crew_slot(raw->crew, i);
        struct raw_slot *state = slot->engine_state;

        if (!state->is_waiting) {
            continue;
        }
        if (crew_stopped(raw->crew)) {
            state->is_waiting = false;
            slot_drop(slot);
            raw->live--;
        } else if (slot->op.due_ns <= now_ns) {
            state->is_waiting = false;
            start(raw, slot);
        } else if (slot->op.due_ns < next_ns) {
            next_ns = slot->op.due_ns;
        }
    }
    return next_ns;
}

static void
turn(struct raw *raw, bool has_schedule)
{
    const uint64_t next_ns = has_schedule ? start_due(raw) : UINT64_MAX;
    const uint64_t now_ns = time_now_ns();
    uint64_t wait_ns = 50000000;
    struct __kernel_timespec timeout;
    struct io_uring_cqe *cqe;
    uint32_t head;
    uint32_t seen = 0;

    if (next_ns != UINT64_MAX) {
        wait_ns = next_ns <= now_ns ? 1 : next_ns - now_ns < wait_ns ? next_ns - now_ns : wait_ns;
    }
    timeout = (struct __kernel_timespec){.tv_nsec = (long long)wait_ns};
    (void)io_uring_submit_and_wait_timeout(&raw->ring, &cqe, 1, &timeout, NULL);
    raw->queued = 0;
    io_uring_for_each_cqe(&raw->ring, head, cqe)
    {
        seen++;
        complete(raw, io_uring_cqe_get_data(cqe), cqe->res);
    }
    io_uring_cq_advance(&raw->ring, seen);
}

static bool
raw_run(struct engine *engine, struct crew *crew)
{
    struct raw *raw = (struct raw *)engine;
    bool is_good = true;
    bool has_schedule = false;

    raw->crew = crew;
    raw->live = crew->slot_count;
    for (uint64_t i = 0; i < crew->slot_count; i++) {
        is_good = slot_open(raw, crew_slot(crew, i)) && is_good;
    }
    for (uint64_t i = 0; is_good && i < crew->slot_count; i++) {
        begin(raw, crew_slot(crew, i), time_now_ns());
        has_schedule = has_schedule || crew_slot(crew, i)->stream->is_open_loop;
    }
    while (is_good && (raw->live > 0 || raw->in_flight > 0)) {
        turn(raw, has_schedule);
    }
    for (uint64_t i = 0; i < crew->slot_count; i++) {
        slot_close(crew_slot(crew, i));
    }
    return is_good || engine_fail(engine, "no memory");
}

static void
raw_figures(struct engine *engine, struct figures *figures)
{
    figure_add(figures, "file_bytes", (double)((struct raw *)engine)->file_size, false);
}

const struct engine_type engine_raw = {
    .name = "raw",
    .help = "the device itself: the same pattern on one file, straight to io_uring",
    .abilities = CAN_STORE | CAN_WALK | CAN_SEEK | CAN_BUFFER | CAN_MANY,
    .open = raw_open,
    .close = raw_close,
    .describe = raw_describe,
    .run = raw_run,
    .figures = raw_figures,
};
