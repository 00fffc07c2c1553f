/* doctor_ring.c - doctor's checks of io_uring, locked memory, and what a loop makes of them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tools/gyre/doctor.h"

struct named_bit {
    uint32_t bit;
    const char *name;
};

/* Flags that the engine would like, each tried with what it needs beside it. Newer ones are given
 * by number: the headers of an old distribution do not know them, its users' kernels may. */
static const struct named_bit setup_flags[] = {
    {IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL"},
    {IORING_SETUP_CQSIZE, "CQSIZE"},
    {IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN"},
    {IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER"},
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN"},
    {1u << 16, "NO_SQARRAY"},
};

static const struct named_bit features[] = {
    {IORING_FEAT_NODROP, "NODROP"},
    {IORING_FEAT_FAST_POLL, "FAST_POLL"},
    {IORING_FEAT_EXT_ARG, "EXT_ARG"},
    {IORING_FEAT_NATIVE_WORKERS, "NATIVE_WORKERS"},
    {IORING_FEAT_RSRC_TAGS, "RSRC_TAGS"},
    {IORING_FEAT_CQE_SKIP, "CQE_SKIP"},
    {IORING_FEAT_LINKED_FILE, "LINKED_FILE"},
    {1u << 13, "REG_REG_RING"},
    {1u << 14, "RECVSEND_BUNDLE"},
    {1u << 15, "MIN_TIMEOUT"},
};

static const struct named_bit operations[] = {
    {IORING_OP_READ, "READ"},
    {IORING_OP_WRITE, "WRITE"},
    {IORING_OP_READ_FIXED, "READ_FIXED"},
    {IORING_OP_WRITE_FIXED, "WRITE_FIXED"},
    {IORING_OP_FSYNC, "FSYNC"},
    {IORING_OP_FALLOCATE, "FALLOCATE"},
    {IORING_OP_OPENAT, "OPENAT"},
    {IORING_OP_UNLINKAT, "UNLINKAT"},
    {IORING_OP_RENAMEAT, "RENAMEAT"},
};
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A ring, or -errno. `ret_params` may be NULL. */
static int
set_up_ring(uint32_t flags, struct io_uring_params *ret_params)
{
    struct io_uring_params params = {.flags = flags};

    if ((flags & IORING_SETUP_CQSIZE) != 0) {
        params.cq_entries = 16;
    }
    const long fd = syscall(__NR_io_uring_setup, 8, &params);
    if (fd < 0) {
        return -errno;
    }
    if (ret_params != NULL) {
        *ret_params = params;
    }
    return (int)fd;
}

static int
register_with(int ring, unsigned what, void *arg, unsigned count)
{
    return syscall(__NR_io_uring_register, ring, what, arg, count) < 0 ? -errno : 0;
}

static void
add_name(char *list, size_t capacity, const char *name)
{
    const size_t used = strlen(list);

    (void)snprintf(list + used, capacity - used, "%s%s", used > 0 ? " " : "", name);
}

/* Operations that the kernel does not know, as a list; "" = it knows all that we use. */
static void
list_missing_operations(int ring, char *list, size_t capacity)
{
    const unsigned slots = 256;
    struct io_uring_probe *probe;

    list[0] = '\0';
    probe = cli_realloc(NULL, sizeof(*probe) + slots * sizeof(probe->ops[0]));
    memset(probe, 0, sizeof(*probe) + slots * sizeof(probe->ops[0]));
    if (register_with(ring, IORING_REGISTER_PROBE, probe, slots) != 0) {
        add_name(list, capacity, "(not told)");
    } else {
        for (size_t i = 0; i < COUNT_OF(operations); i++) {
            const uint32_t op = operations[i].bit;

            if (op > probe->last_op || (probe->ops[op].flags & IO_URING_OP_SUPPORTED) == 0) {
                add_name(list, capacity, operations[i].name);
            }
        }
    }
    free(probe);
}

static bool
has_sparse_files(int ring)
{
    struct io_uring_rsrc_register files = {.nr = 16, .flags = IORING_RSRC_REGISTER_SPARSE};

    return register_with(ring, IORING_REGISTER_FILES2, &files, sizeof(files)) == 0;
}

static void
tell_no_ring(struct doctor *doctor, int failed)
{
    char disabled[16] = "";
    const char *why = strerror(failed);

    (void)doctor_read_line("/proc/sys/kernel/io_uring_disabled", disabled, sizeof(disabled));
    if (failed == ENOSYS) {
        why = "the kernel has none, or a seccomp filter hides it";
    } else if (failed == EPERM && strcmp(disabled, "2") == 0) {
        why = "kernel.io_uring_disabled=2 forbids it to all";
    } else if (failed == EPERM && strcmp(disabled, "1") == 0) {
        why = "kernel.io_uring_disabled=1 forbids it to users outside kernel.io_uring_group";
    } else if (failed == EPERM) {
        why = "a seccomp filter forbids it (containers do so by default)";
    }
    doctor_fact(doctor, "errno", (uint64_t)failed);
    doctor_fact_text(doctor, "io_uring_disabled", disabled);
    doctor_tell(doctor, "io_uring", DOCTOR_DEGRADED,
                "blocking calls are used: everything works, one request at a time; allow io_uring "
                "in the seccomp profile or set kernel.io_uring_disabled=0",
                "not allowed: %s", why);
}

void
doctor_check_ring(struct doctor *doctor)
{
    struct io_uring_params params;
    char flags[256] = "", found[256] = "", missing[256], disabled[16] = "-";
    const int ring = set_up_ring(0, &params);
    bool has_deferred = false;

    if (ring < 0) {
        tell_no_ring(doctor, -ring);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(setup_flags); i++) {
        const int probe = set_up_ring(setup_flags[i].bit, NULL);

        if (probe >= 0) {
            (void)close(probe);
            add_name(flags, sizeof(flags), setup_flags[i].name);
            has_deferred |= (setup_flags[i].bit & IORING_SETUP_DEFER_TASKRUN) != 0;
        }
    }
    for (size_t i = 0; i < COUNT_OF(features); i++) {
        if ((params.features & features[i].bit) != 0) {
            add_name(found, sizeof(found), features[i].name);
        }
    }
    list_missing_operations(ring, missing, sizeof(missing));
    (void)doctor_read_line("/proc/sys/kernel/io_uring_disabled", disabled, sizeof(disabled));
    const bool has_files = has_sparse_files(ring);
    (void)close(ring);

    doctor_fact_text(doctor, "setup_flags", flags);
    doctor_fact_text(doctor, "features", found);
    doctor_fact_text(doctor, "operations_missing", missing);
    doctor_fact_text(doctor, "io_uring_disabled", disabled);
    doctor_fact(doctor, "sparse_files", has_files);
    const bool is_whole = has_deferred && has_files && missing[0] == '\0';
    doctor_tell(doctor, "io_uring", is_whole ? DOCTOR_OK : DOCTOR_DEGRADED,
                is_whole ? NULL
                         : "the engine does without what is missing, at some cost of CPU; Linux "
                           "6.1 has all of it",
                "allowed; flags %s; features %s%s%s%s", flags, found,
                has_files ? "; sparse files" : "; no sparse files",
                missing[0] != '\0' ? "; operations missing: " : "", missing);
}

/* ---- Locked memory ---- */

/* Most bytes of `tries` that can be registered as one buffer. */
static uint64_t
try_buffers(int ring)
{
    static const uint64_t tries[] = {256u << 20, 64u << 20, 16u << 20, 7u << 20, 1u << 20, 65536};

    for (size_t i = 0; i < COUNT_OF(tries); i++) {
        void *memory =
            mmap(NULL, tries[i], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct iovec buffer = {.iov_base = memory, .iov_len = tries[i]};

        if (memory == MAP_FAILED) {
            continue;
        }
        const int failed = register_with(ring, IORING_REGISTER_BUFFERS, &buffer, 1);
        if (failed == 0) {
            (void)register_with(ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
        }
        (void)munmap(memory, tries[i]);
        if (failed == 0) {
            return tries[i];
        }
    }
    return 0;
}

void
doctor_check_memlock(struct doctor *doctor)
{
    struct rlimit limit;
    char text[32], most[32];
    const int ring = set_up_ring(0, NULL);
    const uint64_t registered = ring >= 0 ? try_buffers(ring) : 0;

    if (ring >= 0) {
        (void)close(ring);
    }
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) {
        return;
    }
    const bool is_unlimited = limit.rlim_cur == RLIM_INFINITY;
    (void)cli_size_text(limit.rlim_cur, text, sizeof(text));
    if (!is_unlimited) {
        doctor_fact(doctor, "soft", limit.rlim_cur);
    }
    if (ring < 0) {
        doctor_tell(doctor, "locked memory", DOCTOR_INFO, NULL,
                    "limit %s; of no matter without io_uring", is_unlimited ? "none" : text);
        return;
    }
    doctor_fact(doctor, "registered_bytes_tried", registered);
    const bool is_enough = registered >= 256u << 20;
    doctor_tell(doctor, "locked memory", is_enough ? DOCTOR_OK : DOCTOR_DEGRADED,
                is_enough ? NULL
                          : "buffers past that are used unregistered, at some cost of CPU; raise "
                            "it with ulimit -l or LimitMEMLOCK=",
                "limit %s; at least %s can be registered", is_unlimited ? "none" : text,
                cli_size_text(registered, most, sizeof(most)));
}

/* ---- What a loop makes of it ---- */

void
doctor_check_loop(struct doctor *doctor)
{
    struct gyre_loop_stats stats = {.struct_size = sizeof(stats)};
    char size[32];

    if (cli_open_loop(doctor->cli) != CLI_GO_ON) {
        doctor_tell(doctor, "loop", DOCTOR_BAD, "see the message on standard error",
                    "cannot be opened");
        return;
    }
    if (gyre_loop_stats(doctor->cli->loop, &stats) == GYRE_OK) {
        const bool is_ring = strcmp(stats.io_name, "io_uring") == 0;

        doctor_fact_text(doctor, "io", stats.io_name);
        doctor_fact_text(doctor, "reason", stats.io_reason);
        doctor_fact(doctor, "ring_flags", stats.ring_flags);
        doctor_fact(doctor, "registered_files", stats.has_registered_files);
        doctor_fact(doctor, "registered_buffers", stats.has_registered_buffers);
        doctor_fact(doctor, "registered_bytes", stats.registered_bytes);
        doctor_fact(doctor, "memory_limit", stats.memory_limit);
        doctor_tell(doctor, "loop", is_ring ? DOCTOR_OK : DOCTOR_DEGRADED, NULL,
                    "I/O by %s%s%s%s; memory limit %s", stats.io_name,
                    stats.io_reason[0] != '\0' ? " (" : "", stats.io_reason,
                    stats.io_reason[0] != '\0' ? ")" : "",
                    cli_size_text(stats.memory_limit, size, sizeof(size)));
    }
    (void)gyre_loop_close(doctor->cli->loop);
    doctor->cli->loop = NULL;
}
