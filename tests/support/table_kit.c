/* table_kit.c - tables without files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/codec/coding.h"
#include "tests/support/table_kit.h"

#define KEYS_KEPT 16u

void
table_kit_init(struct table_kit *kit)
{
    memset(kit, 0, sizeof(*kit));
    gy_heap_init(&kit->loop.heap, UINT64_MAX);
    gy_table_set_init(&kit->set, &kit->loop, NULL, NULL, NULL, 100);
    kit->next_number = 1;
}

void
table_kit_fini(struct table_kit *kit)
{
    assert_int_equal(kit->set.table_count, 0);
    gy_table_set_fini(&kit->set);
    assert_int_equal(kit->loop.heap.used, 0);
}

struct gyre_slice
table_kit_key(uint32_t number)
{
    static uint8_t keys[KEYS_KEPT][4];
    static uint32_t next;
    uint8_t *key = keys[next++ % KEYS_KEPT];

    for (uint32_t i = 0; i < 4; i++) {
        key[i] = (uint8_t)(number >> (24 - 8 * i));
    }
    return gyre_slice(key, 4);
}

uint32_t
table_kit_number(struct gyre_slice key)
{
    const uint8_t *bytes = key.data;

    assert_int_equal(key.size, 4);
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

struct gy_table *
table_kit_make(struct table_kit *kit, uint32_t level, uint32_t smallest, uint32_t largest,
               uint64_t size)
{
    const uint64_t number = kit->next_number++;
    const struct gy_table_meta meta = {.level = level,
                                       .number = number,
                                       .file_id = number,
                                       .size = size,
                                       .entry_count = 100,
                                       .sequence_min = number * 100,
                                       .sequence_max = number * 100 + 99,
                                       .smallest = table_kit_key(smallest),
                                       .largest = table_kit_key(largest)};
    struct gy_table *table = gy_table_make(&kit->set, &meta);

    assert_non_null(table);
    return table;
}

struct gy_version *
table_kit_add(struct gy_version *base, struct gy_table **tables, uint32_t count)
{
    const struct gy_version_change change = {.added = tables, .added_count = count};
    struct gy_version *version = NULL;

    assert_int_equal(gy_version_apply(base, &change, &version), GYRE_OK);
    for (uint32_t i = 0; i < count; i++) {
        gy_table_unref(tables[i]);
    }
    gy_version_unref(base);
    return version;
}
