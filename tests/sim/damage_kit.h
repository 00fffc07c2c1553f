/* damage_kit.h - a store whose whole content is known, and the question that is asked after bytes
 * of it were changed behind its back: is every answer right, or told?
 *
 *   told   CORRUPT or UNSUPPORTED, with the name of a file of the store and, where bytes were
 *          changed and no file was cut or lost, an offset at or before a changed one
 *   tail   the last commit is gone without an error. Allowed in one place only, by nature: damage
 *          in the frame of the last sync group of a log that was not closed cleanly looks like a
 *          write that a power cut tore. It has to be counted (tail_dropped_bytes). Who damages the
 *          last two frames at once may lose both: nothing is left that could tell.
 *
 * Anything else fails the program.
 */
#ifndef GY_TEST_DAMAGE_KIT_H
#define GY_TEST_DAMAGE_KIT_H

#include "tools/gyre_sim/run.h"

#define DAMAGE_FILES_MAX 64u
#define DAMAGE_FRAMES_MAX 64u
#define DAMAGE_LOST_MAX 8u

enum damage_fill {
    DAMAGE_FILL_TABLES, /* tables in some levels, eight commits in the log only */
    DAMAGE_FILL_LOGS    /* three logs, all needed, each commit a frame of its own; no table */
};

struct damage_file {
    char path[64];
    const char *name; /* inside the store */
    uint64_t size;
};

struct damage_base {
    struct gy_heap heap;
    struct plan plan;
    struct gy_sim_disk *disk;  /* as it is found after the close or the power cut */
    struct gy_sim_disk *older; /* ... as it was DAMAGE_LOST_MAX commits before */
    struct model model;        /* the last DAMAGE_LOST_MAX commits are one put each, in logs only */
    struct model_state states[DAMAGE_LOST_MAX + 1]; /* [i]: what it holds but the last i commits */
    uint64_t store_id;
    bool is_clean;
    struct damage_file files[DAMAGE_FILES_MAX];
    uint32_t file_count;
    /* the last frame of commits, in the last log */
    const struct damage_file *tail_file;
    uint64_t tail_start;
    uint64_t tail_end;
};

void damage_base_make(struct damage_base *base, uint64_t seed, enum damage_fill fill,
                      bool is_clean);
void damage_base_free(struct damage_base *base);
/* The file of that name, NULL: there is none. */
const struct damage_file *damage_base_find(const struct damage_base *base, const char *name);
static inline bool
damage_is_log(const struct damage_file *file)
{
    return strncmp(file->name, "wal-", 4) == 0;
}

/* Frames of commits in a log, in order; returns how many. */
struct damage_frame {
    uint64_t offset;
    uint64_t span;
};
uint32_t damage_base_frames(const struct damage_base *base, const struct damage_file *file,
                            struct damage_frame *frames, uint32_t frames_max);

/* What was done to the disk. */
struct damage_done {
    const struct damage_file *file;
    uint64_t offset;      /* first changed byte */
    uint64_t more;        /* how many after it may be changed: a block may begin at any of them */
    bool is_in_place;     /* the file is there and as long as before */
    bool is_read_only;    /* how to open it */
    bool is_brief;        /* compare a scan and some point reads only */
    uint32_t lost_max;    /* the exception: so many commits */
    bool is_tail_counted; /* ... and it has to be counted */
};

struct damage_counts {
    uint64_t tried;
    uint64_t right;  /* no error anywhere */
    uint64_t told;   /* one somewhere */
    uint64_t tail;
    gyre_status told_status; /* the first that was told */
};

/* Open the store on `machine` and ask. False: it was not opened, and said so. */
bool damage_ask(const struct damage_base *base, struct machine *machine,
                const struct damage_done *done, struct damage_counts *counts);
/* The same on a machine of its own; on a disk that may be written to. An open that is refused has
 * changed no byte, and a second one says no less than the first. */
void damage_ask_alone(const struct damage_base *base, struct gy_sim_disk *disk,
                      const struct damage_done *done, struct damage_counts *counts);

#endif
