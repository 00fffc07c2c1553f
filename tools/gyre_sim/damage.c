/* damage.c - silent damage at rest (R1, and P7 of the promises): a copy of the disk, as a killed
 * process leaves it, with one page of one file changed, is opened and read. What is answered is
 * right, or it is called corrupt; compaction launders nothing.
 *
 * One exception, by nature: in a log that was not closed, damage that no later frame calls durable
 * looks like a torn tail, and takes with it what comes after.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/codec/coding.h"
#include "engine/codec/frame.h"
#include "engine/disk/names.h"
#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

#define FILES_MAX 64u
#define PATH_MAX_SIZE (GY_NAME_MAX + 8)
#define PAGE_TRIES 24u

struct files {
    char names[FILES_MAX][GY_NAME_MAX];
    uint32_t count;
};

struct damage {
    char path[PATH_MAX_SIZE];
    enum gy_file_kind kind;
    uint64_t offset; /* of the page */
};

static void
note_file(void *arg, const char *name, bool is_regular)
{
    struct files *files = arg;
    uint64_t number;

    if (is_regular && files->count < FILES_MAX && gy_name_parse(name, &number) != GY_FILE_FOREIGN &&
        strcmp(name, GY_NAME_LOCK) != 0) {
        memcpy(files->names[files->count++], name, strlen(name) + 1);
    }
}

/* A page that holds something: half of the time of a log. */
static bool
pick(struct gy_sim_disk *disk, struct gy_rng *rng, struct damage *ret_damage)
{
    const bool wants_log = gy_rng_below(rng, 2) == 0;
    struct files *files = calloc(1, sizeof(*files));
    bool is_found = false;

    demand(files != NULL);
    (void)gy_sim_disk_list(disk, STORE_PATH, note_file, files);
    for (uint32_t i = 0; files->count > 0 && !is_found && i < PAGE_TRIES; i++) {
        const char *name = files->names[gy_rng_below(rng, files->count)];
        uint8_t page[GY_PAGE] = {0};
        uint64_t number;
        int64_t size;

        memcpy(ret_damage->path, STORE_PATH "/", sizeof(STORE_PATH "/"));
        memcpy(ret_damage->path + sizeof(STORE_PATH "/") - 1, name, strlen(name) + 1);
        ret_damage->kind = gy_name_parse(name, &number);
        size = gy_sim_disk_file_size(disk, ret_damage->path);
        if (size < (int64_t)GY_PAGE || (wants_log && ret_damage->kind != GY_FILE_LOG_SLOT)) {
            continue;
        }
        ret_damage->offset = gy_rng_below(rng, (uint64_t)size / GY_PAGE) * GY_PAGE;
        if (ret_damage->kind == GY_FILE_LOG_SLOT || ret_damage->kind == GY_FILE_MANIFEST) {
            ret_damage->offset /= 1 + gy_rng_below(rng, 8); /* these fill from the start */
            ret_damage->offset = gy_align_down(ret_damage->offset, GY_PAGE);
        }
        (void)gy_sim_disk_peek(disk, ret_damage->path, ret_damage->offset, page, GY_PAGE);
        is_found = page[0] != 0 || memcmp(page, page + 1, GY_PAGE - 1) != 0;
    }
    free(files);
    return is_found;
}

/* One bit, the whole page, or another page in its place: of this file, or of any. */
static void
spoil(struct gy_sim_disk *disk, struct gy_rng *rng, const struct damage *damage)
{
    const uint64_t pages = (uint64_t)gy_sim_disk_file_size(disk, damage->path) / GY_PAGE;
    const uint64_t kind = gy_rng_below(rng, 6);
    struct damage source = *damage;
    uint8_t page[GY_PAGE] = {0};

    if (kind < 2) {
        source.offset = gy_rng_below(rng, pages) * GY_PAGE;
        (void)gy_sim_disk_peek(disk, source.path, source.offset, page, GY_PAGE);
    } else if (kind == 2 && pick(disk, rng, &source)) {
        (void)gy_sim_disk_peek(disk, source.path, source.offset, page, GY_PAGE);
    } else if (kind > 3) {
        const uint64_t bit = gy_rng_below(rng, GY_PAGE * 8u);

        (void)gy_sim_disk_peek(disk, damage->path, damage->offset, page, GY_PAGE);
        page[bit / 8] = (uint8_t)(page[bit / 8] ^ (1u << bit % 8));
    }
    demand(gy_sim_disk_poke(disk, damage->path, damage->offset, page, GY_PAGE) >= 0);
}

/* May it be taken for a torn tail? Not when a later frame of the log calls the place durable. */
static bool
looks_torn(const struct run *run, struct gy_sim_disk *disk, const struct damage *damage)
{
    const int64_t size = gy_sim_disk_file_size(disk, damage->path);
    uint8_t *bytes = malloc((size_t)size);
    bool is_torn = damage->kind == GY_FILE_LOG_SLOT && damage->offset > 0;

    demand(bytes != NULL);
    (void)gy_sim_disk_peek(disk, damage->path, 0, bytes, (size_t)size);
    for (uint64_t at = damage->offset; is_torn && at < (uint64_t)size; at += GY_PAGE) {
        const struct gy_frame_place place = {
            .store_id = run->db->store_id, .file_number = gy_get_u64(bytes + 48), .offset = at};
        struct gy_frame frame;

        is_torn = gy_frame_open(bytes + at, (size_t)((uint64_t)size - at), &place, &frame) !=
                      GY_FRAME_OK ||
                  frame.durable_offset <= damage->offset;
    }
    free(bytes);
    return is_torn;
}

/* From which commit on may a store be found, if it does not tell? The last one that was answered;
 * but the last frame of a manifest that nothing refers to yet looks as if it had never been there,
 * and with it goes the name of a log that holds nothing so far and of its staging memory. */
static uint64_t
answered_at_least(const struct run *child, const struct damage *damage, bool is_torn)
{
    if (is_torn ||
        (damage->kind == GY_FILE_MANIFEST && child->plan.options.durability == GYRE_NOWAL)) {
        return 0; /* without a log nothing ever refers to the manifest's end */
    }
    return damage->kind == GY_FILE_MANIFEST ? child->durable
                                            : gy_max_u64(child->durable, child->buffered);
}

/* UNSUPPORTED: the damage looks like a newer version. */
static bool
is_told(gyre_status status)
{
    return status == GYRE_CORRUPT || status == GYRE_UNSUPPORTED;
}

/* Every answer right or CORRUPT. */
static void
read_all(struct run *child, uint64_t low)
{
    struct model_state *found = malloc(sizeof(*found));
    gyre_status status = store_scan(child->db, NULL, found);
    uint64_t sequence;

    demand(found != NULL);
    if (status == GYRE_OK) {
        if (!model_find(&child->model, found, low, child->attempted, &sequence, &sequence)) {
            uint64_t nearest;
            uint32_t different;

            model_nearest(&child->model, found, &nearest, &different);
            fail_now("a damaged store answers, without a word, with what is no commit from %llu to "
                     "%llu; nearest is %llu, with %u keys different",
                     (unsigned long long)low, (unsigned long long)child->attempted,
                     (unsigned long long)nearest, different);
        }
        status = store_compare(child->db, NULL, found, &child->rng);
    }
    if (is_told(status)) {
        reached(corruption_told);
    } else if (status != GYRE_OK) {
        fail_status(child->machine.loop, status, "a read of a damaged store");
    }
    free(found);
}

static void
open_and_read(struct run *child, uint64_t low)
{
    gyre_status status;

    run_start(child);
    status = run_open(child, 0);
    if (status == GYRE_OK) {
        read_all(child, low);
        status =
            gyre_compact_range(child->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL);
        if (is_told(status)) {
            reached(damaged_table_met_compaction);
        }
        read_all(child, low);
        status = gyre_close(child->db);
        child->db = NULL;
        demand(status == GYRE_OK || is_told(status));
    } else if (is_told(status)) {
        reached(corruption_told);
    } else {
        fail_status(child->machine.loop, status, "open of a damaged store");
    }
    run_stop(child);
}

void
damage_try(struct run *run, const struct point *point)
{
    struct run *child = malloc(sizeof(*child));
    struct run *outer = write_run_now;
    struct plan plan = run->plan;
    struct damage damage;
    struct gy_sim_disk *copy;
    struct gy_rng rng;

    demand(child != NULL);
    gy_rng_init(&rng, gy_mix64(run->seed ^ point->event ^ 0x64616d616765ull));
    copy = gy_sim_disk_crash(point->disk, &rng, GY_SIM_CRASH_KILL);
    gy_sim_disk_set_capacity(copy, 0);
    if (pick(copy, &rng, &damage)) {
        fail_set_place(run->depth + 1, "event %llu, kill, then damage of %s at %llu",
                       (unsigned long long)point->event, damage.path,
                       (unsigned long long)damage.offset);
        spoil(copy, &rng, &damage);
        plan.faults = PLAN_NO_FAULTS;
        run_init(child, &plan, gy_rng_next(&rng), run->effort->depth_max, run->effort, copy, run);
        child->durable = point->durable;
        child->buffered = gy_max_u64(point->durable, point->buffered);
        child->attempted = point->attempted;
        model_cut(&child->model, point->attempted);
        open_and_read(child, answered_at_least(child, &damage, looks_torn(run, copy, &damage)));
        run->hash = gy_mix64(run->hash ^ child->hash);
        run_fini(child);
    }
    gy_sim_disk_free(copy);
    free(child);
    write_run_now = outer;
    fail_set_place(run->depth + 1, "%s", "");
}
