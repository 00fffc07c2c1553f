/* sim_store.c - see sim_store.h. */
#include "tests/support/sim_store.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/base/bits.h"

/* ---- Failing ---- */

#define DEPTH_MAX 8u

static const char *program = "a simulation";
static char places[DEPTH_MAX][200];
static uint64_t reached[SIM_STATE_COUNT];

void
sim_set_program(const char *text)
{
    program = text;
    /* Disk copies come and go by the thousand: keep their memory. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    (void)mallopt(M_TOP_PAD, 1 << 24);
}

void
sim_set_place(uint32_t depth, const char *format, ...)
{
    va_list arguments;

    if (depth >= DEPTH_MAX) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(places[depth], sizeof(places[depth]), format, arguments);
    va_end(arguments);
    for (uint32_t i = depth + 1; i < DEPTH_MAX; i++) {
        places[i][0] = '\0';
    }
}

_Noreturn void
sim_fail(const char *format, ...)
{
    va_list arguments;

    (void)fflush(stdout);
    (void)fprintf(stderr, "\nFAILED: %s\n", program);
    for (uint32_t i = 0; i < DEPTH_MAX; i++) {
        if (places[i][0] != '\0') {
            (void)fprintf(stderr, "  %*s%s\n", (int)i * 2, "", places[i]);
        }
    }
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    _exit(1); /* from any stack; leaks do not matter any more */
}

_Noreturn void
sim_fail_status(gyre_loop *loop, gyre_status status, const char *what)
{
    const struct gyre_error *error = gyre_last_error(loop);

    sim_fail("%s: %s: %s [file '%s', offset %lld]", what, gyre_status_name(status), error->text,
             error->file, (long long)error->offset);
}

/* ---- States ---- */

void
sim_reached(enum sim_state state)
{
    reached[state]++;
}

uint64_t
sim_reached_count(enum sim_state state)
{
    return reached[state];
}

void
sim_demand(const enum sim_state *states, size_t count)
{
    static const char *const names[] = {
#define X(name) #name,
        SIM_SOMETIMES(X)
#undef X
    };

    for (size_t i = 0; i < SIM_STATE_COUNT; i++) {
        if (reached[i] > 0) {
            (void)printf("  %-24s %llu\n", names[i], (unsigned long long)reached[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (reached[states[i]] == 0) {
            sim_fail("'%s' was never reached: the test does not test what it says",
                     names[states[i]]);
        }
    }
}

/* ---- Knobs ---- */

void
sim_knobs_redraw(struct sim_knobs *knobs, uint64_t seed)
{
    struct gyre_options *o = &knobs->options;
    struct gy_rng rng;

    gy_rng_init(&rng, seed);
    o->memtable_size = (64u + 16u * gy_rng_below(&rng, 3)) * GY_KIB;
    o->memtable_count_max = 2 + (uint32_t)gy_rng_below(&rng, 3);
    o->wal_total_max = o->wal_slot_size * (3 + gy_rng_below(&rng, 4));
    o->wal_linger_ms = 1 + (uint32_t)gy_rng_below(&rng, 20);
    o->compression = (uint32_t)gy_rng_below(&rng, 3);
    o->bloom_bits =
        gy_rng_below(&rng, 4) == 0 ? GYRE_BLOOM_NONE : 4 + (uint32_t)gy_rng_below(&rng, 8);
    o->level0_tables = 2 + (uint32_t)gy_rng_below(&rng, 2);
    o->level_ratio = 2 + (uint32_t)gy_rng_below(&rng, 2);
    o->durability = gy_rng_below(&rng, 12) == 0 ? GYRE_NOWAL : GYRE_DURABLE;
    o->paranoid = gy_rng_below(&rng, 4) == 0;
    knobs->short_ppm = gy_rng_below(&rng, 3) == 0 ? 50000 : 0;
    knobs->has_chaos = gy_rng_below(&rng, 2) == 0;
}

void
sim_knobs_draw(struct sim_knobs *knobs, uint64_t seed)
{
    struct gy_rng rng;

    gy_rng_init(&rng, seed ^ 0x6b6e6f6273ull);
    memset(knobs, 0, sizeof(*knobs));
    knobs->options.struct_size = sizeof(knobs->options);
    knobs->options.table_size = 64 * GY_KIB;
    knobs->options.block_size = 4096;
    knobs->options.wal_slot_size = (128u + 64u * gy_rng_below(&rng, 2)) * GY_KIB;
    knobs->options.wal_buffer_size = 256 * GY_KIB;
    knobs->options.open_files_max = 16;
    knobs->disk.seed = seed;
    knobs->disk.sector_size = gy_rng_below(&rng, 2) == 0 ? 512 : 4096;
    knobs->disk.stage_bytes_max = gy_rng_below(&rng, 5) == 0 ? 1 : 0;
    sim_knobs_redraw(knobs, gy_rng_next(&rng));
    if (gy_rng_below(&rng, 4) == 0) { /* mostly strict, which allows what the others allow */
        knobs->disk.personality = gy_rng_below(&rng, 2) == 0 ? GY_SIM_EXT4 : GY_SIM_XFS;
    }
}

/* ---- Machines ---- */

static void
on_violation(void *arg, const char *text)
{
    (void)arg;
    sim_fail("a rule of world.h was broken: %s", text);
}

void
sim_machine_start(struct sim_machine *machine, struct gy_sim_disk *disk,
                  const struct gy_world_sim_config *config, const struct sim_knobs *knobs,
                  uint64_t seed)
{
    struct gy_world_sim_config drawn;
    gyre_status status;

    if (config == NULL) {
        gy_world_sim_config_init(&drawn, seed);
        drawn.faults.short_ppm = knobs->short_ppm;
    } else {
        drawn = *config;
    }
    drawn.file_count_max = 128;
    drawn.on_violation = on_violation;
    status = gy_world_sim_open(&drawn, disk, &machine->world);
    sim_check(status == GYRE_OK);
    status = gy_loop_open_on(GYRE_LOOP_OPTIONS(.memory_limit = 16 * GY_MIB, .cache_size = GY_MIB),
                             machine->world, &machine->loop, NULL);
    sim_check(status == GYRE_OK);
    /* Call the whole arena ready: touching its pages one by one is most of what a short life would
     * cost. */
    machine->loop->arena.chunk_ready = machine->loop->arena.chunk_count;
    gy_rng_init(&machine->chaos, seed + 1);
    machine->loop->io.sched.chaos = knobs->has_chaos ? &machine->chaos : NULL;
}

void
sim_machine_stop(struct sim_machine *machine)
{
    const gyre_status status = gyre_loop_close(machine->loop);

    sim_check(status == GYRE_OK);
    machine->loop = NULL;
}

gyre_status
sim_open(struct sim_machine *machine, const struct sim_knobs *knobs, uint32_t flags,
         gyre_db **ret_db)
{
    struct gyre_options options = knobs->options;

    options.flags = flags;
    return gyre_open(machine->loop, SIM_PATH, &options, ret_db);
}

/* ---- Reading ---- */

static uint32_t
known_key(struct gyre_slice key)
{
    const uint32_t number = model_key_find(key);

    if (number == MODEL_KEYS) {
        sim_fail("a key of %zu bytes that nobody wrote", key.size);
    }
    return number;
}

gyre_status
sim_scan(gyre_db *db, const gyre_snapshot *snapshot, struct model_state *ret_state)
{
    gyre_iterator *it = NULL;
    uint32_t next = 0;
    gyre_status status = gyre_iterator_open(db, GYRE_ITERATOR_OPTIONS(.snapshot = snapshot), &it);

    memset(ret_state, 0, sizeof(*ret_state));
    if (status != GYRE_OK) {
        return status;
    }
    for (status = gyre_iterator_first(it); status == GYRE_OK; status = gyre_iterator_next(it)) {
        const uint32_t key = known_key(gyre_iterator_key(it));

        if (key < next) {
            sim_fail("a scan gives key %u after key %u", key, next - 1);
        }
        ret_state->digests[key] = model_digest(gyre_iterator_value(it));
        next = key + 1;
    }
    gyre_iterator_close(it);
    return status == GYRE_NOT_FOUND ? GYRE_OK : status;
}

static void
demand_digest(const struct model_state *state, uint32_t key, uint64_t digest, const char *what)
{
    if (state->digests[key] != digest) {
        sim_fail("%s: key %u is %s", what, key,
                 digest == MODEL_NONE                ? "not there"
                 : state->digests[key] == MODEL_NONE ? "there and should not be"
                                                     : "of another write");
    }
}

static gyre_status
compare_backward(gyre_db *db, const gyre_snapshot *snapshot, const struct model_state *state)
{
    gyre_iterator *it = NULL;
    uint32_t above = MODEL_KEYS;
    gyre_status status = gyre_iterator_open(db, GYRE_ITERATOR_OPTIONS(.snapshot = snapshot), &it);

    if (status != GYRE_OK) {
        return status;
    }
    status = gyre_iterator_last(it);
    for (;;) {
        const uint32_t key = status == GYRE_OK ? known_key(gyre_iterator_key(it)) : UINT32_MAX;

        if (status != GYRE_OK && status != GYRE_NOT_FOUND) {
            break;
        }
        while (above > 0 && above - 1 != key) {
            above--;
            demand_digest(state, above, MODEL_NONE, "scan backward");
        }
        if (status == GYRE_NOT_FOUND) {
            break;
        }
        sim_check(above == key + 1);
        demand_digest(state, key, model_digest(gyre_iterator_value(it)), "scan backward");
        above = key;
        status = gyre_iterator_prev(it);
    }
    gyre_iterator_close(it);
    return status == GYRE_NOT_FOUND ? GYRE_OK : status;
}

static gyre_status
compare_get(gyre_db *db, const gyre_snapshot *snapshot, const struct model_state *state,
            uint32_t key)
{
    const struct gyre_read_options *options = GYRE_READ_OPTIONS(.snapshot = snapshot);
    struct gyre_value value;
    uint8_t bytes[512];
    gyre_status status = gyre_get(db, options, model_key(key), &value);

    if (status != GYRE_OK && status != GYRE_NOT_FOUND) {
        return status;
    }
    demand_digest(state, key,
                  status == GYRE_OK ? model_digest(gyre_slice(value.data, value.size)) : MODEL_NONE,
                  "get");
    if (status == GYRE_OK) {
        gyre_value_release(&value);
    }
    if (key % 8 != 0) {
        return GYRE_OK;
    }
    status = gyre_get(db, options, model_key_absent(key, bytes), &value);
    if (status == GYRE_OK) {
        sim_fail("get: a key that nobody wrote is there");
    }
    return status == GYRE_NOT_FOUND ? GYRE_OK : status;
}

#define SEEK_STEP 9u

/* seek lands on the first key at or after, seek_for_prev on the last at or before. */
static gyre_status
compare_seeks(gyre_db *db, const gyre_snapshot *snapshot, const struct model_state *state)
{
    gyre_iterator *it = NULL;
    gyre_status status = gyre_iterator_open(db, GYRE_ITERATOR_OPTIONS(.snapshot = snapshot), &it);

    for (uint32_t key = 0; status == GYRE_OK && key < MODEL_KEYS; key += SEEK_STEP) {
        uint32_t wanted = key;

        while (wanted < MODEL_KEYS && state->digests[wanted] == MODEL_NONE) {
            wanted++;
        }
        status = gyre_iterator_seek(it, model_key(key));
        if (status == GYRE_OK || status == GYRE_NOT_FOUND) {
            sim_check((status == GYRE_OK ? known_key(gyre_iterator_key(it)) : MODEL_KEYS) ==
                      wanted);
            for (wanted = key; wanted != UINT32_MAX && state->digests[wanted] == MODEL_NONE;) {
                wanted--;
            }
            status = gyre_iterator_seek_for_prev(it, model_key(key));
        }
        if (status == GYRE_OK || status == GYRE_NOT_FOUND) {
            sim_check((status == GYRE_OK ? known_key(gyre_iterator_key(it)) : UINT32_MAX) ==
                      wanted);
            status = GYRE_OK;
        }
    }
    gyre_iterator_close(it);
    return status;
}

#define MULTI 20u

static gyre_status
compare_multi_get(gyre_db *db, const gyre_snapshot *snapshot, const struct model_state *state)
{
    struct gyre_slice keys[MULTI];
    struct gyre_value values[MULTI];
    gyre_status statuses[MULTI];
    gyre_status status;

    for (uint32_t i = 0; i < MULTI; i++) {
        keys[i] = model_key(i * 7 % MODEL_KEYS);
    }
    status =
        gyre_multi_get(db, GYRE_READ_OPTIONS(.snapshot = snapshot), MULTI, keys, values, statuses);
    if (status != GYRE_OK) {
        return status;
    }
    for (uint32_t i = 0; i < MULTI; i++) {
        if (statuses[i] != GYRE_OK && statuses[i] != GYRE_NOT_FOUND) {
            status = statuses[i];
            continue;
        }
        demand_digest(state, i * 7 % MODEL_KEYS,
                      statuses[i] == GYRE_OK
                          ? model_digest(gyre_slice(values[i].data, values[i].size))
                          : MODEL_NONE,
                      "multi_get");
        gyre_value_release(&values[i]);
    }
    return status;
}

gyre_status
sim_compare(gyre_db *db, const gyre_snapshot *snapshot, const struct model_state *state)
{
    gyre_status status = compare_backward(db, snapshot, state);

    for (uint32_t key = 0; status == GYRE_OK && key < MODEL_KEYS; key++) {
        status = compare_get(db, snapshot, state, key);
    }
    if (status == GYRE_OK) {
        status = compare_seeks(db, snapshot, state);
    }
    return status == GYRE_OK ? compare_multi_get(db, snapshot, state) : status;
}
