/* crew.c - making streams and slots of jobs, and the phases of a run. */
#include <stdlib.h>
#include <string.h>

#include "bench/gyre_bench/measure.h"
#include "bench/gyre_bench/stream.h"

/* ---- Slots ---- */

/* The first key of part `index` of `count` of a walk: equal ranges of numbers, or of bytes where
 * keys are hashed. */
static void
part_key(const struct keyspace *keyspace, uint8_t *key, uint64_t index, uint64_t count)
{
    const struct key_form bytes = {.size = keyspace->form.size};

    key_init(key, keyspace->form.size);
    if (keyspace->form.is_hashed) {
        key_set(&bytes, key, UINT64_MAX / count * index);
    } else {
        key_set(&keyspace->form, key, 2 * (keyspace->records / count * index));
    }
}

static void
set_walk(struct slot *slot, uint8_t *bounds, uint32_t index)
{
    const struct stream *stream = slot->stream;
    const struct keyspace *keyspace = stream->keyspace;
    const size_t key_size = keyspace->form.size;
    struct op *op = &slot->op;

    op->is_reverse = stream->job->workload->is_reverse;
    part_key(keyspace, bounds, index, stream->slot_count);
    part_key(keyspace, bounds + key_size, index + 1, stream->slot_count);
    if (index > 0) {
        op->walk_lower = gyre_slice(bounds, key_size);
    }
    if (index + 1 < stream->slot_count) {
        op->walk_upper = gyre_slice(bounds + key_size, key_size);
    }
}

static bool
slot_init(struct slot *slot, struct stream *stream, uint32_t index)
{
    const size_t key_size = stream->keyspace->form.size;
    const uint64_t n = stream->batch;
    struct op *op = &slot->op;

    slot->stream = stream;
    slot->insert_from = UINT64_MAX;
    slot->random = mix64(mix64(stream->job->randseed + stream->number) +
                         0x100000000ull * (uint64_t)(stream->job->workload - workloads) + index +
                         (stream->is_side ? 0x1000000ull : 0));
    slot->bytes = malloc((n + 2) * key_size);
    op->keys = calloc(n, sizeof(op->keys[0]));
    op->values = calloc(n, sizeof(op->values[0]));
    op->numbers = calloc(n, sizeof(op->numbers[0]));
    if (slot->bytes == NULL || op->keys == NULL || op->values == NULL || op->numbers == NULL) {
        return false;
    }
    key_init(slot->bytes, n * key_size);
    for (uint64_t i = 0; i < n; i++) {
        op->keys[i] = gyre_slice(slot->bytes + i * key_size, key_size);
    }
    if (workload_does(stream->job->workload, ACTION_WALK)) {
        set_walk(slot, slot->bytes + n * key_size, index);
    }
    return true;
}

static void
slot_fini(struct slot *slot)
{
    free(slot->bytes);
    free(slot->op.keys);
    free(slot->op.values);
    free(slot->op.numbers);
}

/* ---- Streams ---- */

static uint32_t
class_mask(const struct workload *workload)
{
    uint32_t mask = 0;

    for (uint32_t i = 0; i < MIX_MAX; i++) {
        if (workload->mix[i].percent == 0) {
            continue;
        }
        switch (workload->mix[i].action) {
        case ACTION_FILL:
        case ACTION_UPDATE:
        case ACTION_INSERT:
        case ACTION_MODIFY:
            mask |= 1u << CLASS_WRITE;
            break;
        case ACTION_DELETE:
            mask |= 1u << CLASS_DELETE;
            break;
        default:
            mask |= 1u << CLASS_READ;
        }
    }
    return mask;
}

static void
set_mix(struct stream *stream)
{
    const struct workload *workload = stream->job->workload;
    const bool is_randrw = strcmp(workload->name, "randrw") == 0;
    const uint64_t reads = stream->job->rwmixread;
    uint32_t end = 0;

    for (uint32_t i = 0; i < MIX_MAX; i++) {
        uint32_t percent = workload->mix[i].percent;

        if (is_randrw && percent > 0) {
            percent = (uint32_t)(i == 0 ? reads : 100 - reads);
        }
        if (percent > 0) {
            end += percent;
            stream->mix[stream->mix_count].action = workload->mix[i].action;
            stream->mix[stream->mix_count].end = end;
            stream->mix_count++;
        }
    }
}

static void
set_order(struct stream *stream)
{
    const struct job *job = stream->job;
    const struct workload *workload = job->workload;
    struct distribution_choice choice = job->distribution;

    if (choice.kind == DISTRIBUTION_DEFAULT) {
        choice.kind = workload->distribution;
        choice.theta = ZIPFIAN_THETA;
    }
    distribution_init(&stream->distribution, &choice, stream->keyspace->records);
    stream->fill = (struct fill){.order = job->unique ? ORDER_UNIQUE : workload->order,
                                 .is_delete = workload_does(workload, ACTION_DELETE),
                                 .seed = job->randseed + stream->number,
                                 .num = stream->keyspace->records};
}

static bool
stream_init(struct stream *stream, bool is_threaded)
{
    const struct job *job = stream->job;

    if (stream->slot_count == 0) {
        stream->slot_count = (uint32_t)job->iodepth;
    }
    stream->batch =
        workload_does(job->workload, ACTION_MODIFY) || workload_does(job->workload, ACTION_SEEK)
            ? 1
            : job->batch;
    stream->nexts = job->nexts;
    stream->class_mask = class_mask(job->workload);
    set_mix(stream);
    set_order(stream);
    stream->arrivals =
        (struct arrivals){.rate = stream->is_side ? job->write_rate : job->rate_iops,
                          .is_poisson = job->rate_process == RATE_POISSON,
                          .random = mix64(job->randseed + stream->number) ^ 0xa11ull};
    (void)pthread_mutex_init(&stream->arrivals.lock, NULL);
    stream->is_open_loop = stream->arrivals.rate > 0;
    stream->recorder_count = is_threaded ? stream->slot_count : 1;
    stream->slots = calloc(stream->slot_count, sizeof(stream->slots[0]));
    stream->recorders = calloc(stream->recorder_count, sizeof(stream->recorders[0]));
    if (stream->slots == NULL || stream->recorders == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < stream->recorder_count; i++) {
        stream->recorders[i] = recorder_make(stream->class_mask);
        if (stream->recorders[i] == NULL) {
            return false;
        }
    }
    for (uint32_t i = 0; i < stream->slot_count; i++) {
        if (!slot_init(&stream->slots[i], stream, i)) {
            return false;
        }
        stream->slots[i].recorder = stream->recorders[is_threaded ? i : 0];
    }
    return true;
}

bool
crew_init(struct crew *crew, bool is_threaded)
{
    crew->slots_left = calloc(crew->stream_count, sizeof(crew->slots_left[0]));
    if (crew->slots_left == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < crew->stream_count; i++) {
        struct stream *stream = &crew->streams[i];

        if (!stream_init(stream, is_threaded)) {
            return false;
        }
        for (uint32_t k = 0; k < stream->slot_count; k++) {
            stream->slots[k].index = (uint32_t)crew->slot_count++;
        }
    }
    return true;
}

void
crew_free(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->stream_count; i++) {
        struct stream *stream = &crew->streams[i];

        for (uint32_t k = 0; stream->slots != NULL && k < stream->slot_count; k++) {
            slot_fini(&stream->slots[k]);
        }
        for (uint32_t k = 0; stream->recorders != NULL && k < stream->recorder_count; k++) {
            recorder_free(stream->recorders[k]);
        }
        free(stream->slots);
        free(stream->recorders);
    }
    free(crew->slots_left);
    free(crew->streams);
    *crew = (struct crew){.streams = NULL};
}

/* ---- Phases ---- */

void
crew_begin(struct crew *crew, bool is_ramp)
{
    const uint64_t now_ns = time_now_ns();

    crew->left = 0;
    crew->stop = false;
    for (uint32_t i = 0; i < crew->stream_count; i++) {
        struct stream *stream = &crew->streams[i];
        const uint64_t count = is_ramp ? NO_LIMIT : stream->job->ops;
        const uint64_t ns = is_ramp ? stream->job->ramp_ns : stream->job->runtime_ns;

        crew->left += !stream->is_side && !(is_ramp && ns == 0);
        crew->slots_left[i] = stream->slot_count;
        stream->op_limit = count >= NO_LIMIT - stream->op_next ? NO_LIMIT : stream->op_next + count;
        stream->started_ns = stream->ended_ns = now_ns;
        stream->deadline_ns = ns != 0 ? now_ns + ns : 0;
        stream->arrivals.next_ns = 0;
        stream->missed = 0;
        for (uint32_t k = 0; k < stream->recorder_count; k++) {
            recorder_clear(stream->recorders[k]);
        }
        for (uint32_t k = 0; k < stream->slot_count; k++) {
            stream->slots[k].is_done = is_ramp && ns == 0;
            stream->slots[k].insert_from = UINT64_MAX;
        }
    }
    crew_at_work = crew;
}

void
crew_end(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->stream_count; i++) {
        struct stream *stream = &crew->streams[i];
        const double length_ns = (double)(stream->deadline_ns - stream->started_ns);

        if (stream->is_open_loop && stream->deadline_ns != 0 && !crew_stopped(crew) &&
            stream->arrivals.next_ns < length_ns) {
            stream->missed = 1 + (uint64_t)((length_ns - stream->arrivals.next_ns) *
                                            (double)stream->arrivals.rate / 1e9);
        }
    }
}

struct recorder *
stream_results(const struct stream *stream)
{
    struct recorder *sum = recorder_make(stream->class_mask);

    for (uint32_t i = 0; sum != NULL && i < stream->recorder_count; i++) {
        recorder_merge(sum, stream->recorders[i]);
    }
    return sum;
}
