/* engine.h - the one interface behind which every engine is: Gyre in its three forms, its peers,
 * the bare device, and nothing at all.
 *
 * An engine gets a crew: slots, each of which has at most one operation in flight. It asks a slot
 * for its next operation, carries it out when it is due, and says that it is done (stream.h). How
 * that happens is the engine's own: a coroutine or a thread for each slot, or completions.
 *
 * To add one: a file engine_NAME.c with a struct engine_type, a line in engines.c, and for a
 * library that is loaded when asked for a block in cmake/programs.cmake. See docs/benchmarking.md.
 */
#ifndef GYRE_BENCH_ENGINE_H
#define GYRE_BENCH_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/gyre_bench/job.h"

struct crew;

#define ENGINE_ERROR_MAX 384u
#define ENGINE_TEXT_MAX 1024u

/* What an engine cannot do is refused before it is opened. */
enum engine_ability {
    CAN_STORE = 1u << 0,   /* what was put is there later: runs leave a note */
    CAN_DELETE = 1u << 1,
    CAN_WALK = 1u << 2,
    CAN_SEEK = 1u << 3,
    CAN_MISS = 1u << 4,    /* keys that are absent */
    CAN_BUFFER = 1u << 5,  /* durability=buffered */
    CAN_NOWAL = 1u << 6,
    CAN_COMPRESS = 1u << 7,
    CAN_SETTLE = 1u << 8,  /* has work in the background */
    CAN_MANY = 1u << 9,    /* more than one operation in flight */
    IS_THREADED = 1u << 10 /* a thread for each slot: results are kept apart */
};

struct engine_settings {
    const struct job *job; /* of the first job of the group */
    const char *path;
    bool must_create;
    uint32_t durability;   /* resolved */
    uint64_t memory, cache_size, memtable_size;
    uint64_t slot_count, iterator_count;
    uint64_t records, record_size;
};

struct engine {
    const struct engine_type *type;
    char error[ENGINE_ERROR_MAX]; /* of the last call that failed */
    uint64_t settle_idle_ns;      /* of the last settling: how long nothing was done at its end */
};

enum settle_result { SETTLED, SETTLE_INTERRUPTED, SETTLE_FAILED };

/* A number that an engine knows of itself. Of counters the difference over the run is reported. */
struct figure {
    const char *name;
    double value;
    bool is_counter;
};
#define FIGURES_MAX 64u
struct figures {
    uint32_t count;
    struct figure list[FIGURES_MAX];
};

struct engine_type {
    const char *name;
    const char *help;
    uint32_t abilities;
    /* NULL: `error` (ENGINE_ERROR_MAX) says why. */
    struct engine *(*open)(const struct engine_settings *settings, char *error);
    /* False: engine->error says what went wrong; it is closed all the same. */
    bool (*close)(struct engine *engine);
    /* The configuration that is used, in the engine's own words. */
    void (*describe)(struct engine *engine, char *text, size_t capacity);
    /* Until every slot has had its last operation. False: engine->error. */
    bool (*run)(struct engine *engine, struct crew *crew);
    /* Wait until the background has nothing to do; look at crew_interrupted() meanwhile. */
    enum settle_result (*settle)(struct engine *engine);
    void (*figures)(struct engine *engine, struct figures *figures);
    void (*reset_maxima)(struct engine *engine); /* may be NULL */
};

extern const struct engine_type *const engine_types[];
extern const uint32_t engine_type_count;
const struct engine_type *engine_find(const char *name);

void figure_add(struct figures *figures, const char *name, double value, bool is_counter);
/* NAN: there is none of that name. */
double figure_find(const struct figures *figures, const char *name);

/* "engine: what" into engine->error; returns false. */
bool engine_fail(struct engine *engine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));


extern const struct engine_type engine_gyre, engine_gyre_blocking, engine_gyre_completion;
extern const struct engine_type engine_raw, engine_null;
extern const struct engine_type engine_rocksdb, engine_leveldb, engine_lmdb;

#endif
