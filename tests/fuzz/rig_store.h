/* rig_store.h - hostile directories for fuzz targets: a small valid store on a simulated disk,
 * copied for each input, changed by the target, then opened, read, checked and salvaged.
 *
 * What has to hold whatever the bytes are (RELIABILITY P13): every call ends, with OK or an error;
 * nothing leaks; opening takes less than ten seconds; memory keeps its limit; no allocation is
 * asked for that the files could not fill. Sanitizers see the rest. A rule that is broken aborts.
 */
#ifndef GY_FUZZ_RIG_STORE_H
#define GY_FUZZ_RIG_STORE_H

#include "engine/codec/edit.h"
#include "engine/disk/names.h"
#include "io/base/heap.h"
#include "io/sim/world_sim.h"
#include "tests/fuzz/rig_bytes.h"

#define RIG_FILES_MAX 24u
#define RIG_TABLES_MAX 8u

struct rig_file {
    char name[GY_NAME_MAX];
    uint64_t size;
};

/* The store before anybody has changed it. */
struct rig_template {
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    uint64_t store_id;
    uint64_t stage_id[2];
    uint64_t boot_id[2];
    uint64_t manifest_number;
    uint64_t next_file_number;
    uint64_t flushed_sequence;
    uint64_t log_min;
    uint64_t sequence;        /* of the last commit */
    uint64_t log_number;
    uint32_t log_slot;
    uint32_t stage_buffer_size;
    struct rig_file files[RIG_FILES_MAX]; /* sorted by name */
    uint32_t file_count;
    struct gy_table_meta tables[RIG_TABLES_MAX];
    uint32_t table_count;
};

/* Flags of the first byte of an input: what to do with the store. */
#define RIG_BELIEVE 1u   /* checksums count as right */
#define RIG_READ_ONLY 2u
#define RIG_WRITE 4u     /* put, flush and compact what could be opened */
#define RIG_SALVAGE 8u
#define RIG_NO_LOG 16u   /* open with NOWAL */

void rig_must(bool condition, const char *what);

/* Made at the first call: three tables in two levels, a log with a commit in parts, commits in
 * staging memory of a process that was killed. */
const struct rig_template *rig_template(void);
/* The directory "/db" with the files of the template, to be changed. Freed by rig_try. */
struct gy_sim_disk *rig_disk(void);
void rig_path(char target[GY_NAME_MAX + 8], const char *name); /* "/db/name" */
/* Overwrite staging memory of the template's process. */
void rig_poke_stage(struct gy_sim_disk *disk, uint64_t offset, struct gyre_slice bytes);

/* Do everything that `flags` ask for. */
void rig_try(struct gy_sim_disk *disk, uint32_t flags);

#endif
