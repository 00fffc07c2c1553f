/* worker.c - the operations: what one call of each workload does. */
#include "bench/gyre_bench/worker.h"

#include <stdlib.h>

/* ---- Writes ---- */

static uint64_t
write_number(struct worker *worker, uint64_t index)
{
    const struct run *run = worker->run;

    return run->settings->workload == WORKLOAD_OVERWRITE
               ? presence_pick(&run->presence, &worker->random)
               : fill_key_number(&run->fill, index);
}

static struct gyre_slice
next_pair(struct worker *worker, uint64_t index)
{
    const struct settings *s = worker->run->settings;
    const uint64_t number = 2 * write_number(worker, index);

    key_set(worker->keys, s->key_size, number);
    value_set(&worker->run->values, worker->value, s->value_size, number);
    return gyre_slice(worker->keys, s->key_size);
}

static gyre_status
step_put(struct worker *worker)
{
    struct run *run = worker->run;
    const struct settings *s = run->settings;
    const struct gyre_slice key = next_pair(worker, run->op_next++);
    const gyre_status status =
        gyre_put(run->db, NULL, key, gyre_slice(worker->value, s->value_size));

    if (status == GYRE_OK) {
        run->ops++;
        run->user_bytes += s->key_size + s->value_size;
    }
    return status;
}

static gyre_status
step_write(struct worker *worker)
{
    struct run *run = worker->run;
    const struct settings *s = run->settings;
    const uint64_t left = run->op_limit - run->op_next;
    const uint64_t count = left < s->batch ? left : s->batch;
    const uint64_t first = run->op_next;
    gyre_status status = GYRE_OK;

    /* Taken before the call, which lets other workers run. */
    run->op_next += count;
    gyre_batch_clear(worker->batch);
    for (uint64_t i = 0; i < count && status == GYRE_OK; i++) {
        const struct gyre_slice key = next_pair(worker, first + i);

        status = gyre_batch_put(worker->batch, key, gyre_slice(worker->value, s->value_size));
    }
    if (status == GYRE_OK) {
        status = gyre_write(run->db, NULL, worker->batch);
    }
    if (status == GYRE_OK) {
        run->ops += count;
        run->user_bytes += count * (s->key_size + s->value_size);
    }
    return status;
}

/* ---- Point reads ---- */

static uint64_t
read_number(struct worker *worker)
{
    struct run *run = worker->run;
    uint64_t number;

    if (run->settings->all_keys || run->settings->workload == WORKLOAD_READMISSING) {
        number = 2 * scale(random_next(&worker->random), run->presence.num);
    } else {
        number = 2 * presence_pick(&run->presence, &worker->random);
    }
    return number + (run->settings->workload == WORKLOAD_READMISSING);
}

static void
count_found(struct worker *worker, struct gyre_slice value, uint64_t number)
{
    struct run *run = worker->run;

    run->found++;
    run->user_bytes += run->settings->key_size + value.size;
    if (run->settings->verify && !value_is_of(value, number)) {
        run->mismatches++;
    }
}

static gyre_status
step_get(struct worker *worker)
{
    struct run *run = worker->run;
    const struct settings *s = run->settings;
    const uint64_t number = read_number(worker);
    struct gyre_value value;
    gyre_status status;

    run->op_next++;
    key_set(worker->keys, s->key_size, number);
    status = gyre_get(run->db, NULL, gyre_slice(worker->keys, s->key_size), &value);
    if (status == GYRE_OK) {
        count_found(worker, gyre_slice(value.data, value.size), number);
        gyre_value_release(&value);
    } else if (status != GYRE_NOT_FOUND) {
        return status;
    }
    run->ops++;
    return GYRE_OK;
}

static gyre_status
step_multi_get(struct worker *worker)
{
    struct run *run = worker->run;
    const struct settings *s = run->settings;
    const uint64_t left = run->op_limit - run->op_next;
    const uint64_t count = left < s->batch ? left : s->batch;
    gyre_status status;

    run->op_next += count;
    for (uint64_t i = 0; i < count; i++) {
        worker->numbers[i] = read_number(worker);
        key_set(worker->keys + i * s->key_size, s->key_size, worker->numbers[i]);
    }
    status = gyre_multi_get(run->db, NULL, count, worker->slices, worker->found, worker->statuses);
    if (status != GYRE_OK) {
        return status;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (worker->statuses[i] == GYRE_OK) {
            count_found(worker, gyre_slice(worker->found[i].data, worker->found[i].size),
                        worker->numbers[i]);
            gyre_value_release(&worker->found[i]);
        } else if (worker->statuses[i] != GYRE_NOT_FOUND) {
            status = worker->statuses[i]; /* go on: the others are to be released */
        }
    }
    run->ops += count;
    return status;
}

/* ---- Scans ---- */

static void
count_row(struct worker *worker)
{
    struct run *run = worker->run;
    const struct gyre_slice key = gyre_iterator_key(worker->iterator);
    const struct gyre_slice value = gyre_iterator_value(worker->iterator);

    run->rows++;
    run->user_bytes += key.size + value.size;
    if (run->settings->verify && !value_is_of(value, key_number(key))) {
        run->mismatches++;
    }
}

static gyre_status
step_scan(struct worker *worker)
{
    struct run *run = worker->run;
    gyre_status status;

    run->op_next++;
    if (worker->is_positioned) {
        status = gyre_iterator_next(worker->iterator);
    } else {
        status = gyre_iterator_first(worker->iterator);
        worker->is_positioned = true;
    }
    if (status == GYRE_NOT_FOUND) {
        worker->is_done = true;
        run->op_next--; /* the end is no operation: another worker may have it */
        return GYRE_NOT_FOUND;
    }
    if (status == GYRE_OK) {
        count_row(worker);
        run->ops++;
        run->found++;
    }
    return status;
}

static gyre_status
step_seek(struct worker *worker)
{
    struct run *run = worker->run;
    const struct settings *s = run->settings;
    const uint64_t number = read_number(worker);
    gyre_status status;

    run->op_next++;
    key_set(worker->keys, s->key_size, number);
    status = gyre_iterator_seek(worker->iterator, gyre_slice(worker->keys, s->key_size));
    if (status == GYRE_OK && key_number(gyre_iterator_key(worker->iterator)) == number) {
        run->found++;
    }
    for (uint64_t i = 0; status == GYRE_OK; i++) {
        count_row(worker);
        if (i == s->nexts) {
            break;
        }
        status = gyre_iterator_next(worker->iterator);
    }
    if (status == GYRE_OK || status == GYRE_NOT_FOUND) {
        run->ops++;
        return GYRE_OK;
    }
    return status;
}

step_fn
worker_step(const struct settings *settings)
{
    switch (settings->workload) {
    case WORKLOAD_FILLRANDOM:
    case WORKLOAD_FILLSEQ:
    case WORKLOAD_FILLSYNC:
    case WORKLOAD_OVERWRITE:
        return settings->batch > 1 ? step_write : step_put;
    case WORKLOAD_READRANDOM:
    case WORKLOAD_READMISSING:
        return step_get;
    case WORKLOAD_MULTIGET:
        return step_multi_get;
    case WORKLOAD_READSEQ:
        return step_scan;
    case WORKLOAD_SEEKRANDOM:
        return step_seek;
    case WORKLOAD_COUNT:
        break;
    }
    return NULL;
}

/* ---- Making them ---- */

/* Parts of a scan: equal ranges of key numbers. */
static bool
open_iterator(struct worker *worker, uint32_t index, uint32_t count)
{
    const struct run *run = worker->run;
    const struct settings *s = run->settings;
    struct gyre_iterator_options options = {.struct_size = sizeof(options), .upper = note_key};
    uint8_t *lower = worker->keys;
    uint8_t *upper = worker->value; /* large enough, see worker_init */

    if (s->workload == WORKLOAD_READSEQ && count > 1) {
        key_init(upper, s->key_size);
        key_set(lower, s->key_size, 2 * (s->num / count * index));
        key_set(upper, s->key_size, 2 * (s->num / count * (index + 1)));
        if (index > 0) {
            options.lower = gyre_slice(lower, s->key_size);
        }
        if (index + 1 < count) {
            options.upper = gyre_slice(upper, s->key_size);
        }
    }
    return gyre_iterator_open(run->db, &options, &worker->iterator) == GYRE_OK;
}

static bool
make_multi_get(struct worker *worker)
{
    const struct settings *s = worker->run->settings;

    worker->numbers = calloc(s->batch, sizeof(worker->numbers[0]));
    worker->slices = calloc(s->batch, sizeof(worker->slices[0]));
    worker->found = calloc(s->batch, sizeof(worker->found[0]));
    worker->statuses = calloc(s->batch, sizeof(worker->statuses[0]));
    if (worker->numbers == NULL || worker->slices == NULL || worker->found == NULL ||
        worker->statuses == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < s->batch; i++) {
        worker->slices[i] = gyre_slice(worker->keys + i * s->key_size, s->key_size);
    }
    return true;
}

bool
worker_init(struct worker *worker, struct run *run, uint32_t index, uint32_t count)
{
    const struct settings *s = run->settings;
    const uint64_t key_count = s->workload == WORKLOAD_MULTIGET ? s->batch : 1;
    const uint64_t value_size = s->value_size > s->key_size ? s->value_size : s->key_size;

    *worker = (struct worker){
        .run = run, .random = mix64(mix64(s->seed) + 0x100000000ull * s->workload + index)};
    worker->keys = malloc(key_count * s->key_size);
    worker->value = malloc(value_size);
    if (worker->keys == NULL || worker->value == NULL) {
        return false;
    }
    key_init(worker->keys, key_count * s->key_size);
    if (s->is_write && s->batch > 1) {
        worker->batch = gyre_batch_make();
        return worker->batch != NULL;
    }
    if (s->workload == WORKLOAD_MULTIGET) {
        return make_multi_get(worker);
    }
    if (s->workload == WORKLOAD_READSEQ || s->workload == WORKLOAD_SEEKRANDOM) {
        return open_iterator(worker, index, count);
    }
    return true;
}

void
worker_free(struct worker *worker)
{
    gyre_iterator_close(worker->iterator);
    gyre_batch_free(worker->batch);
    free(worker->numbers);
    free(worker->slices);
    free(worker->found);
    free(worker->statuses);
    free(worker->keys);
    free(worker->value);
}
