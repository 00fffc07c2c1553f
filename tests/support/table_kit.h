/* table_kit.h - tables without files, for tests of what only looks at their manifest entries:
 * versions, picks. */
#ifndef GY_TEST_TABLE_KIT_H
#define GY_TEST_TABLE_KIT_H

#include "engine/lsm/version.h"

struct table_kit {
    struct gy_loop loop; /* only its heap is there */
    struct gy_table_set set;
    uint64_t next_number;
};

void table_kit_init(struct table_kit *kit);
/* Asserts that no table and no memory is left. */
void table_kit_fini(struct table_kit *kit);

/* A key of 4 bytes that sorts as its number; in one of 16 buffers that take turns. */
struct gyre_slice table_kit_key(uint32_t number);
uint32_t table_kit_number(struct gyre_slice key);

/* Keys from `smallest` to `largest`, `size` bytes; sequences from number * 100 to number * 100 +
 * 99, so the table with the higher number is the newer. The caller has the reference. */
struct gy_table *table_kit_make(struct table_kit *kit, uint32_t level, uint32_t smallest,
                                uint32_t largest, uint64_t size);
/* base + tables; takes over the references on the tables and on `base`; asserts that it works. */
struct gy_version *table_kit_add(struct gy_version *base, struct gy_table **tables, uint32_t count);

#endif
