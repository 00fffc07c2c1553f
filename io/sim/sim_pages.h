/* sim_pages.h - whole pages for simulated machines: mappings are kept and handed out again.
 *
 * A loop maps 20 MiB when it opens and gives them back when it closes. A test that opens a thousand
 * loops a second would spend half of its time in the kernel, so a machine's loop takes its pages
 * here (struct gy_pages): by kind and by size, rounded up to a power of two, last in first out,
 * without system calls.
 *
 *   U1  What is handed out holds whatever its last user left, or, with a fill byte, that byte. No
 *       run may depend on it: two runs of one seed with different fill bytes give the same trace
 *       hash.
 *   U2  Under AddressSanitizer what is not handed out may not be touched, nor what lies between the
 *       size that was asked for and the power of two.
 * Shared by all copies of a disk, and by as many disks as the test likes: counted references.
 */
#ifndef GY_SIM_PAGES_H
#define GY_SIM_PAGES_H

#include "io/base/pages.h"
#include "io/sim/sim_disk.h"

#define GY_SIM_PAGE_CLASSES 36u /* by the power of two, in pages */

struct gy_sim_pages_bucket {
    void **items; /* stack */
    uint32_t count;
    uint32_t capacity;
};

struct gy_sim_pages {
    struct gy_pages base;
    struct gy_heap *heap;
    uint64_t refs;
    uint64_t live_count; /* handed out */
    int fill;
    struct gy_sim_pages_bucket buckets[GY_PAGES_KIND_COUNT][GY_SIM_PAGE_CLASSES];
};

static inline struct gy_pages *
gy_sim_pages_base(struct gy_sim_pages *pages)
{
    return &pages->base;
}

struct gy_sim_pages *gy_sim_pages_get(struct gy_sim_pages *pages); /* one more reference */

#endif
