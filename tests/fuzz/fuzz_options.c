/* fuzz_options.c - option structs of any bytes and sizes, and options as text: refused, or the
 * store works with them.
 *
 * Input: which struct, its size, its bytes. A struct has exactly the memory that it says it has (up
 *        to what any struct may have), so that a sanitizer sees a byte read too much.
 */
#include <stdio.h>
#include <stdlib.h>

#include "io/base/bits.h"
#include "engine/db/db.h"
#include "tests/fuzz/rig_store.h"

#define STRUCT_SIZE_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) rig_must(condition, #condition)

struct rig {
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    gyre_loop *loop;
};

static void
rig_start(struct rig *rig, const struct gyre_loop_options *options, gyre_status *ret_status)
{
    struct gy_world_sim_config config;
    struct gyre_error error = {.status = GYRE_OK};

    gy_heap_init(&rig->heap, UINT64_MAX);
    rig->disk = gy_sim_disk_make(NULL, &rig->heap);
    gy_world_sim_config_init(&config, 1);
    MUST(gy_world_sim_open(&config, rig->disk, &rig->world) == GYRE_OK);
    rig->loop = NULL;
    *ret_status = gy_loop_open_on(options, rig->world, &rig->loop, &error);
    if (*ret_status != GYRE_OK) {
        MUST(error.status == *ret_status && error.text[0] != '\0');
        MUST(*ret_status == GYRE_INVALID || *ret_status == GYRE_NO_MEMORY);
    }
}

static void
rig_stop(struct rig *rig)
{
    if (rig->loop != NULL) {
        MUST(gyre_loop_close(rig->loop) == GYRE_OK); /* closes the world too */
    }
    gy_sim_disk_free(rig->disk);
    MUST(rig->heap.used == 0);
}

/* Open with them, write, flush, read. */
static void
use_options(const struct gyre_options *options)
{
    struct gyre_value value;
    gyre_status status;
    gyre_db *db = NULL;
    struct rig rig;

    rig_start(&rig, GYRE_LOOP_OPTIONS(.memory_limit = 16u << 20, .cache_size = 1u << 20), &status);
    MUST(status == GYRE_OK);
    rig.loop->arena.chunk_ready = rig.loop->arena.chunk_count;
    status = gyre_open(rig.loop, "/db", options, &db);
    if (status == GYRE_OK) {
        status = gyre_put(db, NULL, gyre_str("key"), gyre_str("value"));
        MUST(status == GYRE_OK || status == GYRE_READ_ONLY);
        if (status == GYRE_OK) {
            MUST(gyre_flush(db) == GYRE_OK);
            MUST(gyre_get(db, NULL, gyre_str("key"), &value) == GYRE_OK);
            MUST(value.size == 5 && memcmp(value.data, "value", 5) == 0);
            gyre_value_release(&value);
        }
        MUST(gyre_close(db) == GYRE_OK);
    } else {
        MUST(status == GYRE_INVALID || status == GYRE_NOT_FOUND || status == GYRE_NO_MEMORY);
        MUST(gyre_last_error(rig.loop)->text[0] != '\0');
    }
    rig_stop(&rig);
}

static void
use_loop_options(const struct gyre_loop_options *options)
{
    gyre_status status;
    struct rig rig;

    rig_start(&rig, options, &status);
    if (status != GYRE_OK) {
        rig.world->ops->close(rig.world); /* nobody took it */
    }
    rig_stop(&rig);
}

/* Options of calls: the store works on, whatever they say. */
static void
use_call_options(uint8_t which, const void *options)
{
    struct gyre_value value;
    gyre_iterator *it = NULL;
    gyre_status status;
    gyre_db *db = NULL;
    struct rig rig;

    rig_start(&rig, GYRE_LOOP_OPTIONS(.memory_limit = 16u << 20, .cache_size = 1u << 20), &status);
    MUST(status == GYRE_OK);
    rig.loop->arena.chunk_ready = rig.loop->arena.chunk_count;
    MUST(gyre_open(rig.loop, "/db", GYRE_OPTIONS(.flags = GYRE_OPEN_CREATE), &db) == GYRE_OK);
    MUST(gyre_put(db, NULL, gyre_str("key"), gyre_str("value")) == GYRE_OK);
    if (which == 0) {
        status = gyre_put(db, options, gyre_str("key2"), gyre_str("value"));
    } else if (which == 1) {
        status = gyre_get(db, options, gyre_str("key"), &value);
        if (status == GYRE_OK) {
            gyre_value_release(&value);
        }
    } else {
        status = gyre_iterator_open(db, options, &it);
        if (status == GYRE_OK) {
            status = gyre_iterator_first(it);
            status = status == GYRE_NOT_FOUND ? GYRE_OK : status;
            gyre_iterator_close(it);
        }
    }
    /* a deadline that has passed, or no room for who will not wait */
    MUST(status == GYRE_OK || status == GYRE_INVALID || status == GYRE_TIMED_OUT ||
         status == GYRE_AGAIN);
    MUST(gyre_get(db, NULL, gyre_str("key"), &value) == GYRE_OK);
    gyre_value_release(&value);
    MUST(gyre_close(db) == GYRE_OK);
    rig_stop(&rig);
}

static void
use_text(struct gyre_slice bytes)
{
    struct gyre_options options = {.struct_size = sizeof(options)};
    struct gyre_options before = options;
    struct gyre_error error;
    char *text = malloc(bytes.size + 1);

    MUST(text != NULL);
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    if (gyre_options_parse(text, &options, &error) == GYRE_OK) {
        use_options(&options);
    } else {
        MUST(error.status == GYRE_INVALID && error.text[0] != '\0');
        MUST(memcmp(&options, &before, sizeof(options)) == 0);
    }
    free(text);
}

/* Pointers are the caller's: those in a struct are set to what a caller could give; to NULL where
 * the struct is cut short, since a cut may go through one. */
static void
mend_pointers(uint8_t *bytes, size_t size, uint8_t which)
{
    static const uint8_t bound[GYRE_KEY_SIZE_MAX] = {'k'};
    struct gyre_iterator_options iterator = {0};
    struct gyre_read_options read = {0};
    struct gyre_loop_options loop = {0};

    if (which == 1) {
        memcpy(&loop, bytes, gy_min_u64(size, sizeof(loop)));
        loop.log = NULL;
        loop.log_arg = NULL;
        loop.memory_limit = gy_min_u64(loop.memory_limit, 64u << 20);
        memcpy(bytes, &loop, gy_min_u64(size, sizeof(loop)));
    } else if (which == 3) {
        memcpy(&read, bytes, gy_min_u64(size, sizeof(read)));
        read.snapshot = NULL;
        memcpy(bytes, &read, gy_min_u64(size, sizeof(read)));
    } else if (which == 4) {
        const uint8_t *data = size >= sizeof(iterator) ? bound : NULL;

        memcpy(&iterator, bytes, gy_min_u64(size, sizeof(iterator)));
        iterator.snapshot = NULL;
        iterator.lower.data = iterator.lower.data != NULL ? data : NULL;
        iterator.upper.data = iterator.upper.data != NULL ? data : NULL;
        iterator.prefix.data = iterator.prefix.data != NULL ? data : NULL;
        memcpy(bytes, &iterator, gy_min_u64(size, sizeof(iterator)));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t usual[] = {sizeof(struct gyre_options), sizeof(struct gyre_loop_options),
                                   sizeof(struct gyre_write_options),
                                   sizeof(struct gyre_read_options),
                                   sizeof(struct gyre_iterator_options)};
    struct rig_bytes in = {.at = data, .end = data + size};
    uint32_t struct_size;
    uint8_t which;
    uint8_t *bytes;
    size_t room;

    if (size < 3 || size > 4096) {
        return 0;
    }
    which = rig_u8(&in) % 6;
    if (which == 5) {
        use_text(gyre_slice(in.at, rig_left(&in)));
        return 0;
    }
    struct_size = (uint32_t)rig_number(&in, usual[which]);
    /* what says to be larger than any struct is not read at all */
    room = struct_size <= STRUCT_SIZE_MAX ? struct_size : 0;
    room = room < sizeof(struct_size) ? sizeof(struct_size) : room;
    bytes = calloc(1, room);
    MUST(bytes != NULL);
    memcpy(bytes, in.at, gy_min_u64(room, rig_left(&in)));
    memcpy(bytes, &struct_size, sizeof(struct_size));
    mend_pointers(bytes, struct_size <= STRUCT_SIZE_MAX ? struct_size : 0, which);
    if (which == 0) {
        use_options((const struct gyre_options *)(const void *)bytes);
    } else if (which == 1) {
        use_loop_options((const struct gyre_loop_options *)(const void *)bytes);
    } else {
        use_call_options(which - 2, bytes);
    }
    free(bytes);
    return 0;
}
