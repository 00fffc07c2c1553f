/* uring_open.c - getting a ring: flags by trial, a probe of its operations, the tables, and for
 * those who may not have one a text that says why and what to do. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/uring.h"

#define SQ_ENTRIES 128u    /* the largest batch; a full queue is submitted and tried again */
#define BOUNDED_WORKERS 4u /* kernel threads for syncs and writes that would block */
#define OTHER_WORKERS 1u /* for opens, renames and the like: "one thread" should stay nearly true */

/* The best first. DEFER_TASKRUN: completions are posted when we enter the kernel for them and not
 * in the middle of a merge (6.1). TASKRUN_FLAG: the ring shows when some are waiting, so a look
 * without news costs no system call. NO_SQARRAY is missing: liburing 2.3 does not know it. */
static const unsigned flag_ladder[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
        IORING_SETUP_CQSIZE,
    IORING_SETUP_CQSIZE,
    0,
};

static void
explain_setup(int error, char ret_reason[160])
{
    char text[16];
    const char *why;

    switch (error) {
    case ENOSYS:
        why = "this kernel has no io_uring, or a seccomp filter hides it; allow io_uring_setup, "
              "io_uring_enter and io_uring_register";
        break;
    case EPERM:
    case EACCES:
        if (gy_posix_read_text("/proc/sys/kernel/io_uring_disabled", text, sizeof(text)) > 0 &&
            text[0] != '0') {
            why = "the sysctl kernel.io_uring_disabled forbids it; set it to 0";
        } else {
            why = "a seccomp filter (containers have one) forbids it; allow io_uring_setup, "
                  "io_uring_enter and io_uring_register";
        }
        break;
    case ENOMEM:
        why = "out of memory, or RLIMIT_MEMLOCK is too low; raise ulimit -l";
        break;
    case EMFILE:
    case ENFILE:
        why = "too many open files; raise ulimit -n";
        break;
    default:
        why = "the kernel refused it";
        break;
    }
    (void)snprintf(ret_reason, 160, "io_uring: %s (errno %d)", why, error);
}

static int
ring_init(struct gy_uring *uring, uint32_t cq_entries)
{
    int result = -EINVAL;

    for (size_t i = 0; i < sizeof(flag_ladder) / sizeof(flag_ladder[0]); i++) {
        struct io_uring_params params;

        memset(&params, 0, sizeof(params));
        params.flags = flag_ladder[i];
        params.cq_entries = cq_entries;
        /* The last step has no CQSIZE: its queue is twice the submission queue, which U2 needs to
         * be large enough. */
        result = io_uring_queue_init_params(
            (flag_ladder[i] & IORING_SETUP_CQSIZE) != 0 ? SQ_ENTRIES : cq_entries / 2, &uring->ring,
            &params);
        if (result != -EINVAL) {
            uring->is_ring_open = result == 0;
            uring->has_task_flag = (flag_ladder[i] & IORING_SETUP_TASKRUN_FLAG) != 0;
            uring->posix.world.info.ring_flags = flag_ladder[i];
            break;
        }
    }
    return result;
}

/* A filter may allow the set-up and forbid the use: one operation there and back. */
static int
ring_try(struct gy_uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    struct io_uring_cqe *cqe;
    int result;

    gy_assert(sqe != NULL);
    io_uring_prep_nop(sqe);
    do {
        result = io_uring_submit_and_wait(&uring->ring, 1);
    } while (result == -EINTR);
    if (result < 0) {
        return result;
    }
    while ((result = io_uring_wait_cqe(&uring->ring, &cqe)) == -EINTR) {
    }
    if (result == 0) {
        result = cqe->res;
        io_uring_cqe_seen(&uring->ring, cqe);
    }
    return result;
}

/* What the ring itself can do. Reading, writing and syncing it must, else it is of no use. */
static bool
probe(struct gy_uring *uring)
{
    struct io_uring_probe *known = io_uring_get_probe_ring(&uring->ring);
    static const struct {
        uint8_t op;
        uint8_t ring_op;
    } wanted[] = {
        {GY_OP_READ, IORING_OP_READ},
        {GY_OP_WRITE, IORING_OP_WRITE},
        {GY_OP_SYNC, IORING_OP_FSYNC},
        {GY_OP_OPEN, IORING_OP_OPENAT2},
        {GY_OP_CLOSE, IORING_OP_CLOSE},
        {GY_OP_ALLOCATE, IORING_OP_FALLOCATE},
        {GY_OP_TRUNCATE, GY_URING_OP_FTRUNCATE},
        {GY_OP_RENAME, IORING_OP_RENAMEAT},
        {GY_OP_UNLINK, IORING_OP_UNLINKAT},
        {GY_OP_LINK, IORING_OP_LINKAT},
    };

    if (known == NULL) { /* 5.6 can tell; RW_CUR_POS is as old as READ and WRITE */
        const bool is_new = (uring->ring.features & IORING_FEAT_RW_CUR_POS) != 0;

        uring->can[GY_OP_READ] = is_new;
        uring->can[GY_OP_WRITE] = is_new;
        uring->can[GY_OP_SYNC] = is_new;
        return is_new;
    }
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        uring->can[wanted[i].op] = io_uring_opcode_supported(known, wanted[i].ring_op) != 0;
    }
    io_uring_free_probe(known);
    return uring->can[GY_OP_READ] && uring->can[GY_OP_WRITE] && uring->can[GY_OP_SYNC];
}

gyre_status
gy_uring_setup(struct gy_uring *uring, uint32_t cq_entries, char ret_reason[160])
{
    unsigned workers[2] = {BOUNDED_WORKERS, OTHER_WORKERS};
    int result = ring_init(uring, cq_entries);

    if (result == 0) {
        result = ring_try(uring);
    }
    if (result != 0) {
        explain_setup(-result, ret_reason);
        return GYRE_UNSUPPORTED;
    }
    if (!probe(uring) || (uring->ring.features & IORING_FEAT_EXT_ARG) == 0 ||
        (uring->ring.features & IORING_FEAT_NODROP) == 0) {
        (void)snprintf(ret_reason, 160, "io_uring: this kernel's is too old (5.11 is needed)");
        return GYRE_UNSUPPORTED;
    }
    /* All of these are improvements that may be refused. */
    (void)io_uring_register_ring_fd(&uring->ring);
    (void)io_uring_ring_dontfork(&uring->ring);
    (void)io_uring_register_iowq_max_workers(&uring->ring, workers);
    return GYRE_OK;
}

void
gy_uring_close_ring(struct gy_uring *uring)
{
    if (uring->is_ring_open) {
        io_uring_queue_exit(&uring->ring);
        uring->is_ring_open = false;
    }
}
