/* workload.c - the table of workloads. */
#include "bench/gyre_bench/workload.h"

#include <string.h>

const struct workload workloads[] = {
    {.name = "fillseq",
     .help = "put all keys in order",
     .mix = {{ACTION_FILL, 100}},
     .order = ORDER_SEQUENTIAL,
     .makes_store = true},
    {.name = "fillrandom",
     .help = "put a random key, records= times (a key may come twice; unique=1: each once)",
     .mix = {{ACTION_FILL, 100}},
     .order = ORDER_RANDOM,
     .makes_store = true},
    {.name = "fillsync",
     .help = "fillrandom with durable writes",
     .mix = {{ACTION_FILL, 100}},
     .order = ORDER_RANDOM,
     .makes_store = true,
     .is_durable = true},
    {.name = "overwrite", .help = "put keys that are there", .mix = {{ACTION_UPDATE, 100}}},
    {.name = "readrandom", .help = "get keys that are there", .mix = {{ACTION_GET, 100}}},
    {.name = "multireadrandom",
     .help = "get batch= keys that are there with each call",
     .mix = {{ACTION_MULTI_GET, 100}}},
    {.name = "readmissing",
     .help = "get keys that lie between those that are there",
     .mix = {{ACTION_GET_MISSING, 100}}},
    {.name = "readseq",
     .help = "walk over the store from its first key (each caller its part)",
     .mix = {{ACTION_WALK, 100}}},
    {.name = "readreverse",
     .help = "the same from its last key",
     .mix = {{ACTION_WALK, 100}},
     .is_reverse = true},
    {.name = "seekrandom",
     .help = "seek to a key that is there, then nexts= steps",
     .mix = {{ACTION_SEEK, 100}}},
    {.name = "readwhilewriting",
     .help = "readrandom while one more caller overwrites, write_rate= a second",
     .mix = {{ACTION_GET, 100}},
     .side = "overwrite"},
    {.name = "readwhilescanning",
     .help = "readrandom while one more caller walks over the store",
     .mix = {{ACTION_GET, 100}},
     .side = "readseq"},
    {.name = "deleterandom",
     .help = "delete random keys, there or not",
     .mix = {{ACTION_DELETE, 100}},
     .order = ORDER_RANDOM},
    {.name = "updaterandom",
     .help = "get a key that is there, then put it",
     .mix = {{ACTION_MODIFY, 100}}},
    {.name = "randrw",
     .help = "rwmixread= percent gets, the rest puts of keys that are there",
     .mix = {{ACTION_GET, 50}, {ACTION_UPDATE, 50}}},
    {.name = "ycsb-a",
     .help = "50 % gets, 50 % updates, zipfian",
     .mix = {{ACTION_GET, 50}, {ACTION_UPDATE, 50}},
     .distribution = DISTRIBUTION_ZIPFIAN},
    {.name = "ycsb-b",
     .help = "95 % gets, 5 % updates, zipfian",
     .mix = {{ACTION_GET, 95}, {ACTION_UPDATE, 5}},
     .distribution = DISTRIBUTION_ZIPFIAN},
    {.name = "ycsb-c",
     .help = "gets, zipfian",
     .mix = {{ACTION_GET, 100}},
     .distribution = DISTRIBUTION_ZIPFIAN},
    {.name = "ycsb-d",
     .help = "95 % gets, 5 % inserts, latest",
     .mix = {{ACTION_GET, 95}, {ACTION_INSERT, 5}},
     .distribution = DISTRIBUTION_LATEST},
    {.name = "ycsb-e",
     .help = "95 % scans of 1..100 rows, 5 % inserts, zipfian",
     .mix = {{ACTION_SEEK, 95}, {ACTION_INSERT, 5}},
     .has_random_length = true,
     .distribution = DISTRIBUTION_ZIPFIAN},
    {.name = "ycsb-f",
     .help = "50 % gets, 50 % read-modify-writes, zipfian",
     .mix = {{ACTION_GET, 50}, {ACTION_MODIFY, 50}},
     .distribution = DISTRIBUTION_ZIPFIAN},
};
const uint32_t workload_count = sizeof(workloads) / sizeof(workloads[0]);

const struct workload *
workload_find(const char *name)
{
    for (uint32_t i = 0; i < workload_count; i++) {
        if (strcmp(workloads[i].name, name) == 0) {
            return &workloads[i];
        }
    }
    return NULL;
}

bool
workload_does(const struct workload *workload, enum action action)
{
    for (uint32_t i = 0; i < MIX_MAX; i++) {
        if (workload->mix[i].percent > 0 && workload->mix[i].action == action) {
            return true;
        }
    }
    return false;
}

bool
workload_writes(const struct workload *workload)
{
    return workload_does(workload, ACTION_FILL) || workload_does(workload, ACTION_UPDATE) ||
           workload_does(workload, ACTION_INSERT) || workload_does(workload, ACTION_MODIFY) ||
           workload_does(workload, ACTION_DELETE);
}
