/* gyre/sim.h - a simulated machine to test YOUR code on: a disk that forgets at a power cut what it
 * was not told to keep, a clock that stands still until somebody waits, and faults, all decided by
 * one 64-bit seed. Link with `pkg-config --libs gyre_sim` or gyre::gyre_sim; not part of
 * libgyre.so.
 *
 *     gyre_sim *sim;
 *     gyre_loop *loop;
 *
 *     gyre_sim_make(NULL, &sim);
 *     gyre_sim_open_loop(sim, NULL, &loop, NULL);    // then as ever: gyre_open(loop, "/db", ...)
 *     gyre_loop_close(loop);                         // the disk stays
 *     gyre_sim_crash(sim, GYRE_SIM_CRASH_RANDOM, 1, &copy);  // the machine after a power cut
 *
 * Or let gyre_sim_explore crash your code at every event and check what is left: see below, and
 * examples/sim_bank.c.
 *
 *   - All runs on the calling thread, nothing is printed, no file is touched. Two runs of one
 *     seed give the same gyre_sim_trace_hash.
 *   - An event is the submission or the completion of a request to the device, numbered from 1 on
 *     each machine. A request takes effect at its completion; a crash before finds it done in any
 *     part.
 *   - Running out of memory in the simulator itself is a failed check (abort), not an error.
 *   - Paths start at the root of the simulated disk, which is empty: "/db" and "db" are the same.
 *   - Option structs start with their size, zero means default, as everywhere in Gyre.
 *
 * Errors that any call may return: INVALID (an argument is out of its range), MISUSE (it cannot be
 * called now). Source: sim/machine.c and sim/files.c unless said otherwise.
 */
#ifndef GYRE_SIM_H
#define GYRE_SIM_H

#include "gyre/loop.h"

#if defined(__GNUC__)
#define GYRE_SIM_API __attribute__((visibility("default")))
#else
#define GYRE_SIM_API
#endif

GYRE_EXTERN_C_BEGIN

typedef struct gyre_sim gyre_sim;

/* ---- Machines ---- */

/* What the file system adds to what it was told to keep. */
enum gyre_sim_personality {
    /* Nothing: no order between files, between bytes and size, or between names; a new file's name
     * needs a sync of its directory. What is right here is right on the others. */
    GYRE_SIM_STRICT = 0,
    /* Names and sizes survive in the order in which they were made; syncing a new file keeps its
     * name and all names before; a size brings its bytes; so does a rename that replaces. */
    GYRE_SIM_EXT4 = 1,
    /* The same without what a rename brings, and a sync keeps only what came before the file. */
    GYRE_SIM_XFS = 2
};

struct gyre_sim_options {
    uint32_t struct_size;     /* sizeof(struct gyre_sim_options) */
    uint32_t personality;     /* enum gyre_sim_personality */
    uint64_t seed;            /* decides latencies, order, luck and random numbers */
    uint32_t sector_size;     /* bytes that never tear: 512 or 4096; 0 = 512 */
    uint32_t flags;           /* GYRE_SIM_* below */
    uint64_t capacity;        /* bytes for file data, in pages of 4096; 0 = no limit */
    uint32_t inode_count_max; /* files and directories; 0 = no limit */
    uint32_t short_ppm;       /* transfers in a million that end early, which they may */
    uint32_t wall_jump_ppm;   /* wall clock: jumps within +-10 years, per million waits */
    uint32_t leap_ppm;        /* the loop's clock: leaps of up to 12 hours, per million waits */
    /* Append here. */
};
#define GYRE_SIM_CHAOS 1u    /* ready coroutines run in random order, and yield where they may */
#define GYRE_SIM_QUOTA 2u    /* a full disk says EDQUOT, not ENOSPC */
#define GYRE_SIM_NO_STAGE 4u /* no memory outlives the process: BUFFERED commits die with it */

#define GYRE_SIM_OPTIONS(...) \
    (&(struct gyre_sim_options){.struct_size = sizeof(struct gyre_sim_options), __VA_ARGS__})

/* A machine with an empty disk. `options` NULL = defaults and seed 0. Freed with gyre_sim_free.
 * Cost: a few KiB; what loops map is kept by the machine for the next loop. */
GYRE_SIM_API GYRE_NODISCARD gyre_status gyre_sim_make(const struct gyre_sim_options *options,
                                                      gyre_sim **ret_sim);

/* Free it; no loop is open on it (a failed check). Copies live on. NULL is fine. */
GYRE_SIM_API void gyre_sim_free(gyre_sim *sim);

/* Open a loop whose device and clock are the machine's: a process starts. One at a time; closed
 * with gyre_loop_close, which leaves the disk as a clean exit would.
 *
 *   options    NULL = a memory_limit of 16 MiB with a cache of 1 MiB; io_kind and flags are ignored
 *   ret_error  NULL, or filled on failure
 *
 * Returns: MISUSE (a loop is open), INVALID, NO_MEMORY (gyre_sim_fail_allocation). */
GYRE_SIM_API GYRE_NODISCARD gyre_status gyre_sim_open_loop(gyre_sim *sim,
                                                           const struct gyre_loop_options *options,
                                                           gyre_loop **ret_loop,
                                                           struct gyre_error *ret_error);

/* The machine that a loop runs on; NULL when that is a real one. */
GYRE_SIM_API gyre_sim *gyre_sim_of(gyre_loop *loop);

enum gyre_sim_crash_mode {
    GYRE_SIM_CRASH_NONE = 0,   /* power cut: nothing survives that was not made durable */
    GYRE_SIM_CRASH_ALL = 1,    /* power cut: everything survives, also what is in flight */
    GYRE_SIM_CRASH_RANDOM = 2, /* power cut: each sector, size and name survives or not */
    GYRE_SIM_CRASH_KILL = 3    /* the process dies: what completed stays, staging memory stays */
};

/* The machine as it would be found after a crash at this moment, as a machine of its own with all
 * options of `sim`. `sim` is not touched and goes on. To be freed before or after it, as you like.
 *
 *   draw   decides what survives, and is the seed of the new machine
 *
 * May be called at any time, from hooks too. Cost: some microseconds; copy on write. */
GYRE_SIM_API GYRE_NODISCARD gyre_status gyre_sim_crash(const gyre_sim *sim,
                                                       enum gyre_sim_crash_mode mode, uint64_t draw,
                                                       gyre_sim **ret_sim);

/* Called while a loop runs on the machine, after one event or more, between two runs of coroutines.
 * May call gyre_sim_crash and run whole other machines; must leave the loop itself alone. NULL =
 * none. */
typedef void (*gyre_sim_hook)(gyre_sim *sim, uint64_t event, void *arg);
GYRE_SIM_API void gyre_sim_set_hook(gyre_sim *sim, gyre_sim_hook hook, void *arg);
/* Called at each single event, which may be on a coroutine's stack of 64 KiB: for gyre_sim_crash
 * and no more. NULL = none. */
GYRE_SIM_API void gyre_sim_set_event_hook(gyre_sim *sim, gyre_sim_hook hook, void *arg);

/* At event number `event` the disk freezes: every request from then on, in flight or new, ends with
 * an error, so that the program goes home by its own means; gyre_sim_crash shows what is left.
 * 0 = never. gyre_sim_stop does it now. A loop that is opened later works again. */
GYRE_SIM_API void gyre_sim_stop_at(gyre_sim *sim, uint64_t event);
GYRE_SIM_API void gyre_sim_stop(gyre_sim *sim);

/* ---- What happened ---- */

GYRE_SIM_API uint64_t gyre_sim_event_count(const gyre_sim *sim);
GYRE_SIM_API uint64_t gyre_sim_trace_hash(const gyre_sim *sim); /* of all events and bytes */
GYRE_SIM_API uint64_t gyre_sim_now_ns(const gyre_sim *sim);     /* virtual time */
/* Rules of the device that the library broke (a buffer changed in flight, a wait for ever): bugs of
 * Gyre. "" = none; valid until the machine is freed. */
GYRE_SIM_API const char *gyre_sim_violation(const gyre_sim *sim);
/* Allocations of the loop that is open, or was last. */
GYRE_SIM_API uint64_t gyre_sim_allocation_count(const gyre_sim *sim);

/* ---- Faults ---- */

enum gyre_sim_fault_kind {
    /* Told: the library hears of it. */
    GYRE_SIM_ERROR = 1, /* fails with os_errno; a failed sync keeps nothing, then or later */
    GYRE_SIM_SHORT,     /* reads and writes move a part */
    GYRE_SIM_STUCK,     /* never completes, until the faults are cleared */
    GYRE_SIM_SLOW,      /* takes delay_ns longer */
    /* Silent: reported as done. */
    GYRE_SIM_FLIP,      /* one bit, of what is read or of what is stored */
    GYRE_SIM_MISDIRECT, /* read from or written to another page of the file */
    GYRE_SIM_LOST,      /* writes, syncs, sizes: nothing happened; reads: all zeros */
    GYRE_SIM_STALE,     /* reads: the bytes from before the last write */
    GYRE_SIM_ZERO,      /* one page of zeros, in what is read or in what is stored */
    GYRE_SIM_LENGTH     /* the size of a file, wrong */
};

/* Kinds of requests, to be or-ed. */
#define GYRE_SIM_OP_READ 1u
#define GYRE_SIM_OP_WRITE 2u
#define GYRE_SIM_OP_SYNC 4u
#define GYRE_SIM_OP_OPEN 8u
#define GYRE_SIM_OP_SIZE 16u   /* allocate, truncate */
#define GYRE_SIM_OP_NAME 32u   /* rename, unlink, link, make a directory */
#define GYRE_SIM_OP_LOOK 64u   /* size of a file, list of a directory, free space */

/* A planned fault. Of several the first that strikes a request counts. One of nth and ppm is set.
 */
struct gyre_sim_fault {
    uint32_t struct_size;   /* sizeof(struct gyre_sim_fault) */
    uint32_t kind;          /* enum gyre_sim_fault_kind */
    uint32_t ops;           /* GYRE_SIM_OP_*; 0 = all */
    uint32_t ppm;           /* at random, so many in a million of those that match */
    uint64_t nth;           /* the n-th that matches, from 1 */
    uint64_t strikes_max;   /* 0 = no limit */
    uint64_t delay_ns;      /* SLOW */
    int32_t os_errno;       /* ERROR; 0 = EIO. EINTR and EAGAIN are asked again: only late */
    uint32_t is_repeated;   /* not 0: the n-th and all after it */
    char name[32];          /* a part of the file's name; "" = all */
};

#define GYRE_SIM_FAULTS_MAX 16u

/* The faults from now on, also of loops that are opened later. The counts begin again. 0 of them:
 * the faults have stopped, and requests that were stuck complete. */
GYRE_SIM_API GYRE_NODISCARD gyre_status
gyre_sim_set_faults(gyre_sim *sim, const struct gyre_sim_fault *faults, size_t count);
/* How often fault `index` of the present ones has struck in the loop that is open. */
GYRE_SIM_API uint64_t gyre_sim_strike_count(const gyre_sim *sim, size_t index);

/* The n-th allocation from now on fails, of the loop that is open or else of the next one, which
 * may fail to open. 0 = none. */
GYRE_SIM_API void gyre_sim_fail_allocation(gyre_sim *sim, uint64_t n);

/* Clocks jump now. */
GYRE_SIM_API void gyre_sim_set_wall_us(gyre_sim *sim, uint64_t wall_us);
GYRE_SIM_API void gyre_sim_leap(gyre_sim *sim, uint64_t ns); /* forward */

/* ---- The disk ----
 *
 * Changes from outside are durable at once; make them while no loop is open (else MISUSE), but for
 * the capacity. Returns besides: NOT_FOUND, NO_SPACE. Source: sim/files.c */

GYRE_SIM_API void gyre_sim_set_capacity(gyre_sim *sim, uint64_t bytes); /* 0 = no limit */
GYRE_SIM_API uint64_t gyre_sim_used_bytes(const gyre_sim *sim);
GYRE_SIM_API GYRE_NODISCARD gyre_status gyre_sim_file_size(const gyre_sim *sim, const char *path,
                                                           uint64_t *ret_size);
/* Up to `size` bytes from `offset`; *ret_size = how many there were. */
GYRE_SIM_API GYRE_NODISCARD gyre_status gyre_sim_peek(const gyre_sim *sim, const char *path,
                                                      uint64_t offset, void *buffer, size_t size,
                                                      size_t *ret_size);
/* Overwrite; the file is made when it is missing and extended when it is short. */
GYRE_SIM_API GYRE_NODISCARD gyre_status gyre_sim_poke(gyre_sim *sim, const char *path,
                                                      uint64_t offset, const void *bytes,
                                                      size_t size);
GYRE_SIM_API GYRE_NODISCARD gyre_status gyre_sim_resize(gyre_sim *sim, const char *path,
                                                        uint64_t size);
GYRE_SIM_API GYRE_NODISCARD gyre_status gyre_sim_remove(gyre_sim *sim, const char *path);
/* Each name in a directory, in order; the name is valid during the call. */
GYRE_SIM_API GYRE_NODISCARD gyre_status
gyre_sim_list(const gyre_sim *sim, const char *path,
              void (*each)(void *arg, const char *name, bool is_regular), void *arg);

/* ---- The explorer ---- */

/* Where a check stands. */
struct gyre_sim_moment {
    uint64_t seed;
    uint64_t event;     /* of the machine that crashed: of work, or of the check one level up */
    uint32_t depth;     /* 1: work crashed; 2: a check of such a crash crashed in turn; ... */
    uint32_t mode;      /* enum gyre_sim_crash_mode */
    char text[280];     /* for the check to say what is wrong */
};

/* Code to be tested. One seed is: a new machine, setup, work; at events of work the machine is
 * crashed and check runs on the copy; at events of check the copy is crashed again, to `depth`.
 *
 * setup, work and check get a loop and open their stores on it themselves ("/db"), with
 * GYRE_OPEN_CREATE where there may be none yet; they close what they opened. `arg` is the plan's.
 * What work has been promised (what was answered OK) it notes behind `arg`; a check runs while work
 * stands still, so it finds there what was promised at the moment of the crash, and changes nothing
 * of it. All three must be deterministic: randomness from the seed, time from gyre_now.
 */
struct gyre_sim_plan {
    uint32_t struct_size;         /* sizeof(struct gyre_sim_plan) */
    uint32_t flags;               /* GYRE_SIM_WORK_MAY_FAIL */
    const char *name;             /* for messages */
    void *arg;
    /* No crashes meanwhile. Resets what `arg` holds for this seed; where it is NULL, work does so
     * before anything else. */
    gyre_status (*setup)(gyre_loop *loop, uint64_t seed, void *arg);
    gyre_status (*work)(gyre_loop *loop, uint64_t seed, void *arg);
    /* true: all is well. Else it may write moment->text. */
    bool (*check)(gyre_loop *loop, struct gyre_sim_moment *moment, void *arg);
    const struct gyre_sim_options *machine;      /* NULL = drawn from the seed; `seed` is unused */
    const struct gyre_loop_options *loop;        /* NULL = as gyre_sim_open_loop */
    const struct gyre_sim_fault *faults;         /* while work runs; crash copies have none */
    uint32_t fault_count;
    uint32_t every;      /* crash at one event in so many, at random; 0 or 1 = at all of them */
    uint32_t depth;      /* levels of crashes; 0 = 2 */
    uint32_t every_deep; /* as every, for events of checks; 0 = 400 */
    uint32_t draws;      /* RANDOM crashes at one event; 0 = 2 */
    uint32_t modes;      /* 1u << enum gyre_sim_crash_mode, or-ed; 0 = all */
    /* Append here. */
};
#define GYRE_SIM_WORK_MAY_FAIL 1u /* work ends with an error where a fault struck: no finding */

/* What was found. The caller's; filled whatever the outcome. */
struct gyre_sim_report {
    uint32_t struct_size;   /* sizeof(struct gyre_sim_report), set by the caller */
    uint32_t is_failure;    /* not 0: the fields below the counts say which */
    uint64_t seed_count;    /* seeds that ran, the failed one included */
    uint64_t event_count;   /* of work */
    uint64_t crash_count;   /* checks that ran */
    uint64_t trace_hash;    /* over all seeds: the same for the same plan and seeds */
    uint64_t seed;          /* of the failure: run that one alone to see it again */
    uint64_t event;         /* of work; 0 = not in a check */
    uint64_t event_deep;    /* of the check that crashed, at depth 2 and more */
    uint32_t depth;         /* 0 = work itself, 1 = the check of a crash of it, ... */
    uint32_t mode;          /* enum gyre_sim_crash_mode of the last crash */
    char text[320];
};

/* Run `seed_count` seeds from `seed_first` on, until the first failure: a check that says no, a
 * setup or work that fails, something left open, or a rule of the device that was broken.
 *
 * Returns: OK (nothing found), CORRUPT (a failure: see the report), INVALID.
 * Cost:    about half a millisecond for a check of a small store with small logs; with the default
 *          options of a store, whose logs are large, several.
 * Source:  sim/explore.c */
GYRE_SIM_API GYRE_NODISCARD gyre_status gyre_sim_explore(const struct gyre_sim_plan *plan,
                                                         uint64_t seed_first, uint64_t seed_count,
                                                         struct gyre_sim_report *ret_report);

/* What a shared object exports that `gyre_sim run FILE.so` loads: its plan, valid until it is
 * unloaded. Never NULL. */
#define GYRE_SIM_PLUGIN_SYMBOL "gyre_sim_plugin"
GYRE_SIM_API const struct gyre_sim_plan *gyre_sim_plugin(void);

GYRE_EXTERN_C_END

#endif
