/* structure.c - the soundness of what a store at rest is made of (R5): its levels, its files, its
 * memory. */
#include <stdio.h>
#include <string.h>

#include "engine/disk/names.h"
#include "io/base/bits.h"
#include "tools/gyre_sim/run.h"

static const struct gy_table *
find_table(const struct gy_version *version, uint64_t number)
{
    for (uint32_t level = 0; level < GY_LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < version->levels[level].count; i++) {
            if (version->levels[level].tables[i]->meta.number == number) {
                return version->levels[level].tables[i];
            }
        }
    }
    return NULL;
}

struct listing {
    const struct run *run;
    uint64_t tables;
    uint64_t manifests;
    char stranger[GY_NAME_MAX]; /* a file that should not be there, "" = none */
};

static void
note_file(void *arg, const char *name, bool is_regular)
{
    struct listing *listing = arg;
    const gyre_db *db = listing->run->db;
    uint64_t number;
    bool is_ours;

    switch (is_regular ? gy_name_parse(name, &number) : GY_FILE_FOREIGN) {
    case GY_FILE_TABLE:
        is_ours = find_table(db->view->version, number) != NULL;
        listing->tables++;
        break;
    case GY_FILE_MANIFEST:
        is_ours = number == db->manifest.number;
        listing->manifests++;
        break;
    default:
        is_ours = is_regular && strcmp(name, GY_NAME_CURRENT_TMP) != 0;
        break;
    }
    if (!is_ours) {
        (void)snprintf(listing->stranger, sizeof(listing->stranger), "%s", name);
    }
}

#define SETTLE_TRIES 50u /* files on their way out */

static void
demand_files(struct run *run)
{
    struct listing listing;

    for (uint32_t i = 0; i < SETTLE_TRIES; i++) {
        listing = (struct listing){.run = run};
        demand(gy_sim_disk_list(run->disk, STORE_PATH, note_file, &listing) >= 0);
        if (listing.stranger[0] == '\0') {
            break;
        }
        (void)gyre_sleep(run->machine.loop, 10 * GY_NS_PER_MS);
    }
    if (run->had_faults) {
        return; /* what could not be unlinked stays until the next open */
    }
    if (listing.stranger[0] != '\0') {
        fail_now("%s is in the directory of a store at rest", listing.stranger);
    }
    if (listing.tables != run->db->view->version->table_count) {
        fail_now("%llu tables in the directory, %llu in the levels",
                 (unsigned long long)listing.tables,
                 (unsigned long long)run->db->view->version->table_count);
    }
    demand(listing.manifests == 1);
}

static void
demand_memory_adds_up(struct run *run)
{
    struct gyre_memory m = {.struct_size = sizeof(m)};

    demand(gyre_memory(run->machine.loop, &m) == GYRE_OK);
    demand(m.loop + m.stacks + m.logs + m.buffers + m.cache + m.memtables + m.tables + m.versions +
               m.calls ==
           m.used);
    demand(m.used <= m.peak && m.peak <= m.limit);
}

void
structure_demand(struct run *run)
{
    gyre_status status = gyre_wait_idle(run->db);
    struct gyre_stats stats = {.struct_size = sizeof(stats)};

    if (!run_is_ok(run, status, "wait_idle")) {
        return;
    }
    demand(gy_version_is_sound(run->db->view->version));
    demand_files(run);
    demand(gyre_stats(run->db, &stats) == GYRE_OK);
    demand(stats.files_pending_removal == 0 || run->had_faults);
    demand(stats.snapshot_count == 0 && stats.iterator_count == 0 && stats.value_pin_count == 0);
    demand_memory_adds_up(run);
    status = gyre_verify(run->db, NULL, NULL, NULL, NULL);
    (void)run_is_ok(run, status, "verify");
}
