/* table_list.c - see table_list.h. An array, and a table of hashes with linear probing into it. */
#include "engine/db/table_list.h"

#include "io/base/assert.h"
#include "io/base/bits.h"

#include "io/base/ban.h"

#define CAPACITY_FIRST 64u
#define SLOTS_FOR_EACH 4u

void
gy_table_list_init(struct gy_table_list *list, struct gy_heap *heap, uint64_t seed)
{
    *list = (struct gy_table_list){.heap = heap, .seed = seed};
}

void
gy_table_list_fini(struct gy_table_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        gy_table_unref(list->tables[i]);
    }
    if (list->tables != NULL) {
        gy_heap_free(list->heap, list->tables);
        gy_heap_free(list->heap, list->slots);
    }
    *list = (struct gy_table_list){0};
}

static uint32_t
slot_mask(const struct gy_table_list *list)
{
    return list->capacity * SLOTS_FOR_EACH - 1; /* the capacity is a power of two */
}

static uint32_t
home_of(const struct gy_table_list *list, uint32_t level, uint64_t number)
{
    return (uint32_t)gy_mix64(list->seed + gy_mix64(list->seed ^ number) + level) & slot_mask(list);
}

/* The slot of the table, or the free one where it would go. There are slots. */
static uint32_t
find(const struct gy_table_list *list, uint32_t level, uint64_t number)
{
    uint32_t at = home_of(list, level, number);

    while (list->slots[at] != 0) {
        const struct gy_table_meta *meta = &list->tables[list->slots[at] - 1]->meta;

        if (meta->number == number && meta->level == level) {
            break;
        }
        at = (at + 1) & slot_mask(list);
    }
    return at;
}

static void
enter(struct gy_table_list *list, uint32_t index)
{
    const struct gy_table_meta *meta = &list->tables[index]->meta;
    const uint32_t at = find(list, meta->level, meta->number);

    gy_assert(list->slots[at] == 0);
    list->slots[at] = index + 1;
}

static bool
grow(struct gy_table_list *list)
{
    const uint32_t capacity = list->capacity == 0 ? CAPACITY_FIRST : list->capacity * 2;
    const size_t slots_size = (size_t)capacity * SLOTS_FOR_EACH * sizeof(list->slots[0]);
    uint32_t *slots = gy_heap_zalloc(list->heap, slots_size, GY_MEM_VERSION);
    struct gy_table **tables =
        slots == NULL ? NULL
                      : gy_heap_realloc(list->heap, list->tables,
                                        (size_t)capacity * sizeof(*tables), GY_MEM_VERSION);

    if (tables == NULL) {
        gy_heap_free(list->heap, slots);
        return false;
    }
    gy_heap_free(list->heap, list->slots);
    list->tables = tables;
    list->slots = slots;
    list->capacity = capacity;
    for (uint32_t i = 0; i < list->count; i++) {
        enter(list, i);
    }
    return true;
}

bool
gy_table_list_has(const struct gy_table_list *list, uint32_t level, uint64_t number)
{
    return list->count > 0 && list->slots[find(list, level, number)] != 0;
}

bool
gy_table_list_add(struct gy_table_list *list, struct gy_table *table)
{
    if (list->count == list->capacity && !grow(list)) {
        return false;
    }
    list->tables[list->count] = table;
    enter(list, list->count++);
    return true;
}

/* Free a slot and enter those behind it again, which may not be found any more. */
static void
free_slot(struct gy_table_list *list, uint32_t at)
{
    const uint32_t mask = slot_mask(list);

    list->slots[at] = 0;
    for (uint32_t next = (at + 1) & mask; list->slots[next] != 0; next = (next + 1) & mask) {
        const uint32_t moved = list->slots[next];

        list->slots[next] = 0;
        enter(list, moved - 1);
    }
}

bool
gy_table_list_remove(struct gy_table_list *list, uint32_t level, uint64_t number)
{
    const uint32_t last = list->count - 1;
    uint32_t at;
    uint32_t index;

    if (!gy_table_list_has(list, level, number)) {
        return false;
    }
    at = find(list, level, number);
    index = list->slots[at] - 1;
    free_slot(list, at);
    gy_table_unref(list->tables[index]);
    if (index != last) { /* the last one takes its place */
        const struct gy_table_meta *meta = &list->tables[last]->meta;

        list->slots[find(list, meta->level, meta->number)] = index + 1;
        list->tables[index] = list->tables[last];
    }
    list->count--;
    return true;
}
