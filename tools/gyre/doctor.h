/* doctor.h - what the parts of `gyre doctor` share: verdicts and how they are told.
 *
 * A check probes one thing by itself, with plain system calls, and tells one verdict. Numbers that
 * a script may want go into facts, which only --json prints.
 */
#ifndef GYRE_TOOLS_DOCTOR_H
#define GYRE_TOOLS_DOCTOR_H

#include "tools/gyre/cli.h"

enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_INFO,     /* nothing to judge */
    DOCTOR_DEGRADED, /* it works, but worse: advice says how and what helps */
    DOCTOR_BAD,      /* a store cannot be kept here */
};

struct doctor {
    struct cli *cli;
    const char *folder;     /* where a store would be */
    uint32_t dio_align;     /* of direct I/O in `folder`; 0: there is none */
    unsigned counts[4];     /* verdicts */
    struct cli_bytes facts; /* ,"name":value... of the check in work */
};

void doctor_fact(struct doctor *doctor, const char *name, uint64_t value);
void doctor_fact_text(struct doctor *doctor, const char *name, const char *text);
/* One line; `advice` may be NULL. Ends the check: its facts are printed and forgotten. */
GYRE_PRINTF(5, 6)
void doctor_tell(struct doctor *doctor, const char *check, enum doctor_verdict verdict,
                 const char *advice, const char *found, ...);
/* The first line of a small file, as of /proc and /sys; false: it cannot be read. */
bool doctor_read_line(const char *path, char *buffer, size_t capacity);

void doctor_check_ring(struct doctor *doctor); /* doctor_ring.c */
void doctor_check_memlock(struct doctor *doctor);
void doctor_check_loop(struct doctor *doctor);
void doctor_check_folder(struct doctor *doctor); /* doctor_disk.c */
void doctor_check_device(struct doctor *doctor);
void doctor_check_direct(struct doctor *doctor);
void doctor_check_sync(struct doctor *doctor);

#endif
