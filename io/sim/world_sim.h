/* world_sim.h - the simulated machine: struct gy_world over a gy_sim_disk and a virtual clock.
 *
 * One 64-bit seed decides everything: how long each request takes, so in which order they finish,
 * which transfers are short, which planned faults strike, what random() says. Two runs with one
 * seed and one caller give the same trace hash to the bit.
 *
 *   E1  An event is a submission or a completion. Events are numbered from 1. on_event is called
 *       when the event has taken effect on the disk and before the caller of the world sees it. At
 *       a submission that is on the stack of whoever submits, which may be a coroutine's of 64 KiB:
 *       take a copy of the disk there, no more. on_reap is called inside reap, so on the host's
 *       stack, whenever there was an event since its last call: a whole second engine may run
 *       there.
 *   E2  A request takes effect on the disk at one moment, its completion; until then it is in
 *       flight and a crash copy may find it done in any part.
 *   E3  Time stands still except in reap(wait), which jumps to the next completion or the deadline,
 *       and for call_ns at each look at the clock and each reap, so that a loop that waits for time
 *       to pass gets there.
 *   E4  Rules of world.h that the caller broke are violations: counted, the first one kept as text,
 *       on_violation called. A test fails when there is one. They are: a WRITE buffer edited or a
 *       READ buffer touched in flight (S5), a buffer off its alignment, a transfer over
 *       GY_IO_SIZE_MAX, a slot that is not open, a slot closed under a request (S6), and waiting
 *       for ever.
 *
 * How to test crashes. Let the run go on, and in on_reap take gy_sim_disk_crash() of the disk, open
 * a second world and a second engine on the copy, check, close, free. The run itself is never torn
 * down by force, nothing is abandoned, and every event of it can be tried: requests submitted since
 * the last event are in flight then, so their crashes are among those drawn. Where a run has to
 * end at event i: stop the world there with GY_SIM_STOP_FAIL. The disk is frozen at that moment,
 * every request from then on, in flight or new, ends with -EIO, and the engine closes by its own
 * means, so nothing leaks. GY_SIM_STOP_SILENT completes nothing any more; it fits a forked child
 * that exits.
 *
 * Owns:    slots and requests in flight. Borrows: the disk (and its heap), which outlives the
 *          world.
 */
#ifndef GY_WORLD_SIM_H
#define GY_WORLD_SIM_H

#include "io/sim/sim_disk.h"
#include "io/world.h"

#define GY_SIM_RULES_MAX 16
#define GY_SIM_EVENTS_KEPT 256u /* power of two */

/* How long requests of one kind take: evenly between min and max, and one in a while `tail_factor`
 * times that. */
struct gy_sim_latency {
    uint64_t min_ns;
    uint64_t max_ns;
    uint32_t tail_ppm;
    uint32_t tail_factor;
};

enum gy_sim_fault {
    GY_SIM_FAULT_NONE,
    /* Told. */
    /* -os_errno; a WRITE may have changed some of its sectors, a SYNC of a file dooms what it
     * covered (D4), all else has changed nothing. EINTR and EAGAIN change nothing ever, and the
     * world asks again as all worlds do (gy_world_retries), which the rule may strike too */
    GY_SIM_FAULT_ERROR,
    GY_SIM_FAULT_SHORT,     /* READ, WRITE: only a part, at least one sector */
    GY_SIM_FAULT_STUCK,     /* never completes */
    GY_SIM_FAULT_SLOW,      /* takes delay_ns longer */
    /* Silent. */
    GY_SIM_FAULT_FLIP,      /* READ: one bit of the answer; WRITE: one bit of what gets stored */
    GY_SIM_FAULT_MISDIRECT, /* READ, WRITE: another page of the same file */
    /* WRITE, SYNC, ALLOCATE, TRUNCATE: reported done, nothing happened; READ: all zeros */
    GY_SIM_FAULT_LOST,
    GY_SIM_FAULT_STALE,     /* READ: the bytes from before the last write of each page */
    GY_SIM_FAULT_ZERO,      /* READ: one page of the answer is zeros; WRITE: of what gets stored */
    GY_SIM_FAULT_LENGTH,    /* STAT: a size that is not the file's */
};

/* A planned fault. Of several rules the first that strikes counts. Fields left 0 do not restrict,
 * but one of nth and ppm has to be set. */
struct gy_sim_rule {
    enum gy_sim_fault fault;
    uint32_t op_mask;     /* 1u << GY_OP_..., 0 = all */
    uint32_t klass_mask;  /* 1u << GY_IO_..., 0 = all */
    char name[32];        /* part of the file's name, "" = all */
    uint64_t nth;         /* strike the n-th request that matches, counted from 1 */
    bool is_repeated;     /* and all matching ones after it */
    uint32_t ppm;         /* else strike at random, so many in a million */
    uint64_t strikes_max; /* 0 = no limit */
    int os_errno;         /* ERROR: 0 = EIO */
    uint64_t delay_ns;    /* SLOW */
};

/* Clocks that jump, drawn at each reap. The monotonic clock only leaps forward, as after a machine
 * slept; what was due meanwhile is late. */
struct gy_sim_clock {
    uint32_t wall_jump_ppm;   /* how often the wall clock is set to a moment within +-10 years */
    uint32_t leap_ppm;        /* how often the monotonic clock leaps, by up to */
    uint64_t leap_ns_max;     /* this; 0 = 12 hours */
};

struct gy_sim_faults {
    uint32_t rule_count;
    uint32_t short_ppm; /* transfers that end early without any harm (S3) */
    struct gy_sim_rule rules[GY_SIM_RULES_MAX];
};

enum gy_sim_stop { GY_SIM_STOP_NOT, GY_SIM_STOP_FAIL, GY_SIM_STOP_SILENT };

struct gy_world_sim_config {
    uint64_t seed;
    uint32_t in_flight_max;  /* info.in_flight_max */
    uint32_t file_count_max; /* slots; one more is -EMFILE */
    uint64_t call_ns;        /* E3 */
    uint64_t wall_us;        /* wall clock at open */
    struct gy_sim_latency latency[GY_OP_COUNT];
    struct gy_sim_faults faults;
    struct gy_sim_clock clock;
    /* Of the loop on this world: the allocation with this number, from 1, fails, pages and what the
     * loop allocates while it opens included. 0 = none */
    uint64_t fail_allocation;
    uint64_t stop_at_event;  /* 0 = never */
    enum gy_sim_stop stop;   /* how to stop there */
    void (*on_event)(void *arg, uint64_t event); /* E1: copies only */
    void (*on_reap)(void *arg, uint64_t event);  /* E1: `event` is the last one */
    void (*on_violation)(void *arg, const char *text);
    void (*on_close)(void *arg); /* the world is about to go; it may still be asked */
    void *arg;
};

/* One event, for the end of a failed test's message. */
struct gy_sim_event {
    uint64_t event;
    uint64_t now_ns;
    uint64_t offset;
    uint32_t size;
    uint32_t slot;
    int32_t result;       /* completions */
    uint8_t op;
    uint8_t klass;
    uint8_t flags;
    bool is_completion;
    enum gy_sim_fault fault;
    char name[32];
};

/* Everything set: no faults, 100 ns per look at the clock, and latencies in a style that the seed
 * chooses: constant, even, or with a long tail. */
void gy_world_sim_config_init(struct gy_world_sim_config *config, uint64_t seed);

gyre_status gy_world_sim_open(const struct gy_world_sim_config *config, struct gy_sim_disk *disk,
                              struct gy_world **ret_world);

uint64_t gy_world_sim_event_count(const struct gy_world *world);
/* Over all events: what, where, how much, which bytes were written, with what result. */
uint64_t gy_world_sim_trace_hash(const struct gy_world *world);
uint64_t gy_world_sim_violation_count(const struct gy_world *world);
const char *gy_world_sim_violation(const struct gy_world *world); /* the first, "" = none */
/* How often a rule of the present plan has struck. */
uint64_t gy_world_sim_strike_count(const struct gy_world *world, uint32_t rule);
/* The event `back` steps before the last one (0 = the last); false when it is not kept any more. */
bool gy_world_sim_event(const struct gy_world *world, uint32_t back,
                        struct gy_sim_event *ret_event);

/* From the next submission on; the counts of the rules start again. NULL = no faults, and requests
 * that were stuck complete now. */
void gy_world_sim_set_faults(struct gy_world *world, const struct gy_sim_faults *faults);
/* The wall clock jumps; now_ns does not. */
void gy_world_sim_set_wall_us(struct gy_world *world, uint64_t wall_us);
/* The monotonic clock leaps forward by so much. */
void gy_world_sim_leap(struct gy_world *world, uint64_t ns);
/* Freeze the disk now. GY_SIM_STOP_FAIL: see above. */
void gy_world_sim_stop(struct gy_world *world, enum gy_sim_stop stop);
/* The arg of a simulated world that was opened with this on_close; NULL for any other world. */
void *gy_world_sim_arg_of(const struct gy_world *world, void (*on_close)(void *arg));
uint64_t gy_world_sim_now_ns(const struct gy_world *world); /* without taking any time */
enum gy_sim_stop gy_world_sim_stopped(const struct gy_world *world);

#endif
