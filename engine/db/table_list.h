/* table_list.h - the tables that the edits of a manifest leave, while it is read.
 *
 * Owns: a reference on each table. Every call takes the same time however many there are, also when
 * whoever made the manifest would have it otherwise: open must end.
 */
#ifndef GY_TABLE_LIST_H
#define GY_TABLE_LIST_H

#include "engine/disk/table.h"

struct gy_table_list {
    struct gy_heap *heap;
    struct gy_table **tables;
    uint32_t count;
    uint32_t capacity;
    uint32_t *slots; /* hash of level and number -> index + 1; 0 = free; four times the capacity */
    uint64_t seed;   /* of the hash: numbers cannot be chosen to meet */
};

void gy_table_list_init(struct gy_table_list *list, struct gy_heap *heap, uint64_t seed);
void gy_table_list_fini(struct gy_table_list *list); /* drops the references; zeroed is fine */

bool gy_table_list_has(const struct gy_table_list *list, uint32_t level, uint64_t number);
/* Takes over the caller's reference; false, and nothing taken, when there is no memory. It is not
 * there yet. */
bool gy_table_list_add(struct gy_table_list *list, struct gy_table *table);
/* False when it is not there. */
bool gy_table_list_remove(struct gy_table_list *list, uint32_t level, uint64_t number);

#endif
