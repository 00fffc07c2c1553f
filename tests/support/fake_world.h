/* fake_world.h - a world in the hands of the test: it keeps requests until told, answers as told,
 * and its clock moves only in a wait. For tests of what lies on top of a world. */
#ifndef GY_TEST_FAKE_WORLD_H
#define GY_TEST_FAKE_WORLD_H

#include "io/world.h"

#define FAKE_LOG_MAX 4096u

struct fake_world {
    struct gy_world world;
    struct gy_list pending;      /* submitted, not yet answered */
    uint32_t pending_count;
    uint64_t now_ns;
    bool is_held;                /* answer nothing */
    uint32_t answers_per_reap;   /* 0 = all */
    /* NULL: every request succeeds, transfers are whole. */
    int32_t (*answer)(void *arg, struct gy_req *req);
    void *arg;
    uint8_t log[FAKE_LOG_MAX];   /* class of each request in the order of submission */
    uint8_t log_op[FAKE_LOG_MAX];
    uint32_t log_count;
    uint32_t pending_max;        /* most at once */
    uint32_t wait_count;         /* reaps that were allowed to wait */
    uint32_t look_count;         /* the others */
    bool was_closed;
    uint32_t arena_add_count;
    uint32_t arena_remove_count;
    uint64_t arena_removed_size;
};

/* In place. Waiting for ever with nothing to answer is an assertion. */
void fake_world_init(struct fake_world *fake, uint32_t in_flight_max);

#endif
