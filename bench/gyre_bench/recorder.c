/* recorder.c - making, clearing and adding up of recorders. */
#include "bench/gyre_bench/recorder.h"

#include <stdlib.h>
#include <string.h>

struct recorder *
recorder_make(uint32_t mask)
{
    struct recorder *recorder = aligned_alloc(64, sizeof(*recorder));

    if (recorder == NULL) {
        return NULL;
    }
    memset(recorder, 0, sizeof(*recorder));
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        if ((mask & 1u << i) == 0) {
            continue;
        }
        /* pages that no latency falls into are never touched */
        recorder->latency[i] = calloc(1, sizeof(*recorder->latency[i]));
        if (recorder->latency[i] == NULL) {
            recorder_free(recorder);
            return NULL;
        }
        recorder->latency[i]->least = UINT64_MAX;
    }
    return recorder;
}

void
recorder_free(struct recorder *recorder)
{
    if (recorder != NULL) {
        for (uint32_t i = 0; i < CLASS_COUNT; i++) {
            free(recorder->latency[i]);
        }
        free(recorder);
    }
}

void
recorder_clear(struct recorder *recorder)
{
    struct histogram *latency[CLASS_COUNT];

    memcpy(latency, recorder->latency, sizeof(latency));
    memset(recorder, 0, sizeof(*recorder));
    memcpy(recorder->latency, latency, sizeof(latency));
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        if (latency[i] != NULL && latency[i]->count > 0) {
            histogram_clear(latency[i]);
        }
    }
}

void
recorder_merge(struct recorder *target, const struct recorder *source)
{
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        if (target->latency[i] != NULL && source->latency[i] != NULL) {
            histogram_merge(target->latency[i], source->latency[i]);
        }
        target->ops[i] += source->ops[i];
        target->bytes[i] += source->bytes[i];
    }
    target->lookups += source->lookups;
    target->found += source->found;
    target->rows += source->rows;
    target->mismatches += source->mismatches;
    target->errors += source->errors;
    if (target->error[0] == '\0') {
        memcpy(target->error, source->error, sizeof(target->error));
    }
}
