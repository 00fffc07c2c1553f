/* rig_store.c - see rig_store.h. */
#include "tests/fuzz/rig_store.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/codec/checksum.h"
#include "engine/db/db.h"

#define DIR "/db"
#define SALVAGED "/new"
#define OPEN_NS_MAX (10ull * 1000000000u)
#define STEPS_MAX 2000u   /* a hostile index may lead to one block again and again */
#define SPARE (64u << 10) /* what may be asked for besides what files are read into */

struct machine {
    struct gy_world *world;
    gyre_loop *loop;
};

static struct rig_template template;
static uint64_t largest_usual; /* allocation when the template itself is opened */

void
rig_must(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

#define MUST(condition) rig_must(condition, #condition)

static void
on_violation(void *arg, const char *text)
{
    (void)arg;
    rig_must(false, text);
}

static void
machine_start(struct machine *machine, struct gy_sim_disk *disk)
{
    struct gy_world_sim_config config;

    gy_world_sim_config_init(&config, 1);
    config.file_count_max = 64;
    config.on_violation = on_violation;
    MUST(gy_world_sim_open(&config, disk, &machine->world) == GYRE_OK);
    MUST(gy_loop_open_on(GYRE_LOOP_OPTIONS(.memory_limit = 16u << 20, .cache_size = 1u << 20),
                         machine->world, &machine->loop, NULL) == GYRE_OK);
    /* Touching the arena page by page is most of what so short a life would cost. */
    machine->loop->arena.chunk_ready = machine->loop->arena.chunk_count;
}

static gyre_status
store_open(struct machine *machine, const char *path, uint32_t flags, bool no_log, gyre_db **ret_db)
{
    return gyre_open(machine->loop, path,
                     GYRE_OPTIONS(.flags = flags, .memtable_size = 64u << 10,
                                  .table_size = 64u << 10, .wal_slot_size = 256u << 10,
                                  .wal_buffer_size = 256u << 10, .open_files_max = 16,
                                  .durability = no_log ? GYRE_NOWAL : GYRE_BUFFERED,
                                  .background_off = 1),
                     ret_db);
}

/* ---- The template ---- */

static struct gyre_slice
key_of(uint32_t number)
{
    static char text[16];

    (void)snprintf(text, sizeof(text), "key%03u", number);
    return gyre_str(text);
}

static void
put_some(gyre_db *db, uint32_t first, uint32_t count, uint32_t step)
{
    char value[64];

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t number = first + i * step;

        (void)snprintf(value, sizeof(value), "value %u of %u", i, number);
        MUST(gyre_put(db, NULL, key_of(number), gyre_slice(value, 20 + number % 40)) == GYRE_OK);
        if (number % 5 == 0) {
            MUST(gyre_delete(db, NULL, key_of(number + 1)) == GYRE_OK);
        }
    }
}

static void
add_file(void *arg, const char *name, bool is_regular)
{
    struct rig_template *t = arg;
    struct rig_file file = {.name = ""};
    char path[GY_NAME_MAX + 8];
    uint32_t at = t->file_count;

    MUST(is_regular && at < RIG_FILES_MAX && strlen(name) < GY_NAME_MAX);
    memcpy(file.name, name, strlen(name) + 1);
    rig_path(path, name);
    file.size = (uint64_t)gy_sim_disk_file_size(t->disk, path);
    for (; at > 0 && strcmp(t->files[at - 1].name, name) > 0; at--) {
        t->files[at] = t->files[at - 1];
    }
    t->files[at] = file;
    t->file_count++;
}

static struct gyre_slice
keep(struct gyre_slice slice)
{
    uint8_t *copy = malloc(slice.size + 1);

    MUST(copy != NULL);
    memcpy(copy, slice.data, slice.size);
    return gyre_slice(copy, slice.size); /* for the life of the program */
}

static void
note_state(const gyre_db *db)
{
    const struct gy_version *version = db->view->version;

    template.store_id = db->store_id;
    memcpy(template.stage_id, db->stage_id, sizeof(template.stage_id));
    memcpy(template.boot_id, db->boot_id, sizeof(template.boot_id));
    template.manifest_number = db->manifest.number;
    template.next_file_number = db->next_file_number;
    template.flushed_sequence = db->flushed_sequence;
    template.log_min = db->log_min;
    template.sequence = gy_db_visible(db);
    template.log_number = db->wal.logs[db->wal.log_count - 1].number;
    template.log_slot = db->wal.logs[db->wal.log_count - 1].slot;
    template.stage_buffer_size = db->wal.stage.buffer_size;
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < version->levels[level].count; i++) {
            struct gy_table_meta *meta = &template.tables[template.table_count++];

            MUST(template.table_count <= RIG_TABLES_MAX);
            *meta = version->levels[level].tables[i]->meta;
            meta->smallest = keep(meta->smallest);
            meta->largest = keep(meta->largest);
        }
    }
    MUST(template.table_count >= 3);
}

static void
make_template(void)
{
    static uint8_t large[100 << 10];
    struct gy_sim_disk *disk;
    struct machine machine;
    struct gy_rng rng;
    gyre_db *db = NULL;

    gy_heap_init(&template.heap, UINT64_MAX);
    disk = gy_sim_disk_make(NULL, &template.heap);
    machine_start(&machine, disk);
    MUST(store_open(&machine, DIR, GYRE_OPEN_CREATE, false, &db) == GYRE_OK);
    put_some(db, 0, 60, 3);
    MUST(gyre_compact_range(db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL) == GYRE_OK);
    put_some(db, 0, 40, 2);
    MUST(gyre_flush(db) == GYRE_OK);
    put_some(db, 50, 60, 1);
    MUST(gyre_flush(db) == GYRE_OK);
    put_some(db, 7, 20, 5);
    MUST(gyre_put(db, NULL, gyre_str("large"), gyre_slice(large, sizeof(large))) == GYRE_OK);
    put_some(db, 9, 5, 7);
    MUST(gyre_sync(db) == GYRE_OK);
    put_some(db, 11, 5, 9); /* stays in staging memory */
    note_state(db);
    gy_rng_init(&rng, 1);
    template.disk = gy_sim_disk_crash(disk, &rng, GY_SIM_CRASH_KILL);
    MUST(gyre_close(db) == GYRE_OK);
    MUST(gyre_loop_close(machine.loop) == GYRE_OK);
    gy_sim_disk_free(disk);
    MUST(gy_sim_disk_list(template.disk, DIR, add_file, &template) > 0);
}

const struct rig_template *
rig_template(void)
{
    if (template.disk == NULL) {
        make_template();
        rig_try(rig_disk(), RIG_WRITE | RIG_SALVAGE); /* learns largest_usual */
    }
    return &template;
}

struct gy_sim_disk *
rig_disk(void)
{
    return gy_sim_disk_clone(template.disk);
}

void
rig_path(char target[GY_NAME_MAX + 8], const char *name)
{
    (void)snprintf(target, GY_NAME_MAX + 8, DIR "/%s", name);
}

void
rig_poke_stage(struct gy_sim_disk *disk, uint64_t offset, struct gyre_slice bytes)
{
    struct gy_stage stage = {.base = NULL};
    struct gy_world_sim_config config;
    struct gy_world *world;

    gy_world_sim_config_init(&config, 1);
    MUST(gy_world_sim_open(&config, disk, &world) == GYRE_OK);
    if (world->ops->stage_open(world, &stage, template.stage_id) == 0) {
        if (offset < stage.size && bytes.size <= stage.size - offset) {
            memcpy((uint8_t *)stage.base + offset, bytes.data, bytes.size);
        }
        world->ops->stage_close(world, &stage, false);
    }
    world->ops->close(world);
}

/* ---- Using what came out ---- */

/* A sanitizer looks at every byte that is copied. */
static void
use(struct gyre_slice bytes)
{
    static uint8_t shown[64u << 10];

    for (size_t at = 0; at < bytes.size; at += sizeof(shown)) {
        const size_t left = bytes.size - at;

        memcpy(shown, (const uint8_t *)bytes.data + at,
               left < sizeof(shown) ? left : sizeof(shown));
    }
}

static void
use_iterator(gyre_db *db)
{
    gyre_iterator *it = NULL;
    gyre_status status = gyre_iterator_open(db, NULL, &it);
    uint32_t steps = 0;

    if (status != GYRE_OK) {
        return;
    }
    for (status = gyre_iterator_first(it); status == GYRE_OK && steps < STEPS_MAX; steps++) {
        use(gyre_iterator_key(it));
        use(gyre_iterator_value(it));
        status = gyre_iterator_next(it);
    }
    steps = 0;
    for (status = gyre_iterator_last(it); status == GYRE_OK && steps < STEPS_MAX / 4; steps++) {
        use(gyre_iterator_key(it));
        status = gyre_iterator_prev(it);
    }
    if (gyre_iterator_seek(it, key_of(55)) == GYRE_OK) {
        use(gyre_iterator_value(it));
        (void)gyre_iterator_prev(it);
    }
    if (gyre_iterator_seek_for_prev(it, key_of(55)) == GYRE_OK) {
        (void)gyre_iterator_next(it);
    }
    gyre_iterator_close(it);
}

static void
use_gets(gyre_db *db)
{
    struct gyre_slice keys[4] = {gyre_str("large"), gyre_str("key050"), gyre_str(""),
                                 gyre_str("zzz")};
    struct gyre_value values[4];
    gyre_status statuses[4];
    uint64_t size;

    for (uint32_t i = 0; i < 200; i += 13) {
        if (gyre_get(db, NULL, key_of(i), &values[0]) == GYRE_OK) {
            use(gyre_slice(values[0].data, values[0].size));
            gyre_value_release(&values[0]);
        }
    }
    if (gyre_multi_get(db, NULL, 4, keys, values, statuses) == GYRE_OK) {
        for (uint32_t i = 0; i < 4; i++) {
            gyre_value_release(&values[i]);
        }
    }
    (void)gyre_approximate_size(db, keys[1], keys[3], &size);
}

static void
on_damage(void *arg, const struct gyre_error *damage)
{
    (void)arg;
    MUST(damage->text[0] != '\0');
    use(gyre_slice(damage->text, strnlen(damage->text, sizeof(damage->text))));
}

static void
use_store(gyre_db *db, uint32_t flags)
{
    struct gyre_verify_result result;

    use_iterator(db);
    use_gets(db);
    (void)gyre_verify(db, on_damage, NULL, NULL, &result);
    if ((flags & RIG_WRITE) != 0) {
        (void)gyre_put(db, NULL, gyre_str("key050"), gyre_str("new"));
        (void)gyre_delete(db, NULL, gyre_str("key051"));
        (void)gyre_flush(db);
        (void)gyre_compact_range(db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL);
        (void)gyre_sync(db);
        use_iterator(db);
    }
}

/* An error that does not say what is wrong is no help to anybody. */
static void
check_told(const struct machine *machine, gyre_status status)
{
    const struct gyre_error *error = gyre_last_error(machine->loop);

    MUST(status != GYRE_MISUSE && status != GYRE_CLOSED && status != GYRE_TIMED_OUT);
    MUST(error->status == status && error->text[0] != '\0');
}

static void
try_open(struct machine *machine, uint32_t flags)
{
    const uint64_t start_ns = gyre_now(machine->loop);
    gyre_db *db = NULL;
    gyre_status status =
        store_open(machine, DIR, (flags & RIG_READ_ONLY) != 0 ? GYRE_OPEN_READ_ONLY : 0,
                   (flags & RIG_NO_LOG) != 0, &db);

    MUST(gyre_now(machine->loop) - start_ns < OPEN_NS_MAX);
    if (status != GYRE_OK) {
        check_told(machine, status);
        return;
    }
    use_store(db, flags);
    status = gyre_close(db);
    MUST(status != GYRE_BUSY && status != GYRE_MISUSE);
}

static void
try_salvage(struct machine *machine)
{
    struct gyre_salvage_result result;
    gyre_status status =
        gyre_salvage(machine->loop, DIR, SALVAGED,
                     GYRE_OPTIONS(.memtable_size = 64u << 10, .table_size = 64u << 10), on_damage,
                     NULL, NULL, &result);
    gyre_db *db = NULL;

    if (status != GYRE_OK) {
        check_told(machine, status);
        return;
    }
    status = store_open(machine, SALVAGED, 0, false, &db);
    rig_must(status == GYRE_OK, "what was salvaged can be opened");
    use_store(db, RIG_WRITE);
    MUST(gyre_close(db) == GYRE_OK);
}

/* ---- Limits ---- */

struct total {
    const struct gy_sim_disk *disk;
    uint64_t bytes;
};

static void
count_bytes(void *arg, const char *name, bool is_regular)
{
    struct total *total = arg;
    char path[80];

    if (is_regular) {
        (void)snprintf(path, sizeof(path), DIR "/%s", name);
        total->bytes += (uint64_t)gy_sim_disk_file_size(total->disk, path);
    }
}

void
rig_try(struct gy_sim_disk *disk, uint32_t flags)
{
    struct machine machine;
    struct gy_heap *heap;
    struct total total = {.disk = disk};

    MUST(gy_sim_disk_list(disk, DIR, count_bytes, &total) > 0);
    machine_start(&machine, disk);
    heap = &machine.loop->io.heap;
    gy_checksum_believes_all = (flags & RIG_BELIEVE) != 0;
    try_open(&machine, flags);
    if ((flags & RIG_SALVAGE) != 0) {
        try_salvage(&machine);
    }
    gy_checksum_believes_all = false;
    if (largest_usual == 0) {
        largest_usual = heap->largest;
    }
    /* twice: what is put together from parts grows by doubling */
    rig_must(heap->largest <= largest_usual + 2 * total.bytes + SPARE,
             "no allocation is asked for that the files could not fill");
    MUST(gy_world_sim_violation_count(machine.world) == 0);
    MUST(gyre_loop_close(machine.loop) == GYRE_OK);
    gy_sim_disk_free(disk);
}
