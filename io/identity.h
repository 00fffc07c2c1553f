/* identity.h - who may use a loop: the thread that opened it, in the process that opened it.
 *
 * The thread is told by pthread_self, which costs no system call; a fork by a word in a page that
 * the kernel zeroes in the child (MADV_WIPEONFORK).
 */
#ifndef GY_IDENTITY_H
#define GY_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "gyre/status.h"

struct gy_identity {
    uintptr_t thread;
    uint64_t *guard; /* a page */
};

enum gy_identity_check { GY_IDENTITY_OWNER, GY_IDENTITY_OTHER_THREAD, GY_IDENTITY_FORKED };

GYRE_NODISCARD gyre_status gy_identity_init(struct gy_identity *identity);
void gy_identity_fini(struct gy_identity *identity);
enum gy_identity_check gy_identity_check(const struct gy_identity *identity);

#endif
