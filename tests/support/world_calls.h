/* world_calls.h - requests to a bare world, one at a time: submit, reap until it is back, check on
 * the way that nothing completed inline (S1) and nothing else came back (S2). */
#ifndef GY_TEST_WORLD_CALLS_H
#define GY_TEST_WORLD_CALLS_H

#include "io/world.h"

/* What req->result holds until the request has come back. */
#define WORLD_CALL_PENDING 0x5a5a5a5a

/* Fill what every request needs; the rest is zero. */
struct gy_req world_req(enum gy_op op, enum gy_io_class klass);
void world_submit(struct gy_world *world, struct gy_req *req);
/* Reap until `count` requests are back; they are marked done. */
void world_reap(struct gy_world *world, uint32_t count);
int32_t world_call(struct gy_world *world, struct gy_req *req);

int32_t world_open(struct gy_world *world, uint32_t dir, const char *name, uint32_t flags);
int32_t world_close(struct gy_world *world, int32_t slot);
int32_t world_slot_op(struct gy_world *world, enum gy_op op, int32_t slot, uint64_t offset);
int32_t world_lock(struct gy_world *world, int32_t slot, uint8_t flags);
int32_t world_name_op(struct gy_world *world, enum gy_op op, uint32_t dir, const char *name,
                      const char *name_new);
int32_t world_link(struct gy_world *world, uint32_t dir, const char *name, uint32_t dir_new,
                   const char *name_new);
uint64_t world_size(struct gy_world *world, int32_t slot);

/* Whole transfers of multiples of a page; asserts that all bytes were moved. */
void world_write(struct gy_world *world, int32_t slot, uint64_t offset, const void *bytes,
                 uint32_t size, uint8_t flags);
/* Returns the bytes there were. */
uint32_t world_read(struct gy_world *world, int32_t slot, uint64_t offset, void *bytes,
                    uint32_t size);

/* Recognisable bytes that differ by seed and position; page-aligned memory for them. */
void world_pattern(uint8_t *bytes, size_t size, uint64_t seed);
uint8_t *world_pages(size_t size); /* free() it */

#endif
