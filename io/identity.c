/* identity.c - see identity.h. */
#include "io/identity.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

#include "io/base/bits.h"

#define GUARD_VALUE 0x6779726567796172ull

gyre_status
gy_identity_init(struct gy_identity *identity)
{
    void *page = mmap(NULL, GY_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED) {
        return GYRE_NO_MEMORY;
    }
    if (madvise(page, GY_PAGE, MADV_WIPEONFORK) != 0) {
        (void)munmap(page, GY_PAGE);
        return GYRE_UNSUPPORTED; /* before Linux 4.14 */
    }
    identity->thread = (uintptr_t)pthread_self();
    identity->guard = page;
    *identity->guard = GUARD_VALUE;
    return GYRE_OK;
}

void
gy_identity_fini(struct gy_identity *identity)
{
    if (identity->guard != NULL) {
        (void)munmap(identity->guard, GY_PAGE);
        identity->guard = NULL;
    }
}

enum gy_identity_check
gy_identity_check(const struct gy_identity *identity)
{
    if (*identity->guard != GUARD_VALUE) {
        return GY_IDENTITY_FORKED;
    }
    return identity->thread == (uintptr_t)pthread_self() ? GY_IDENTITY_OWNER
                                                         : GY_IDENTITY_OTHER_THREAD;
}
