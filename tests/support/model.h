/* model.h - the reference that a store is compared with: every commit that reached its log, in log
 * order, so that the content after any of them can be told.
 *
 * Keys are a fixed set, in order: key i is less than key i + 1, some are a prefix of the next, some
 * are long, some hold zeros. Values are made from a number that is used once, so what is found in a
 * store says which write it came from. A value's digest stands for it.
 *
 * A commit gets its place when the test learns its sequence (sim_run.c asks the memtables), not
 * before: the order of concurrent commits is the log's to choose.
 */
#ifndef GY_TEST_MODEL_H
#define GY_TEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gyre/base.h"

#define MODEL_KEYS 160u
#define MODEL_VALUE_MAX 16384u
#define MODEL_OPS_MAX 64u
#define MODEL_NONE 0u /* digest of a key that is not there */

struct model_op {
    uint32_t key;
    uint32_t size;
    uint64_t id;     /* of the value; 0 = delete */
    uint64_t digest; /* MODEL_NONE for a delete */
};

struct model_commit {
    uint64_t sequence; /* of its last operation */
    uint32_t op_count;
    struct model_op *ops;
    bool owned;
};

/* What is in a store: a digest for each key. */
struct model_state {
    uint64_t digests[MODEL_KEYS];
};

struct model {
    struct model_commit *commits; /* ascending by sequence */
    size_t count;
    size_t capacity;
};

struct gyre_slice model_key(uint32_t key);
/* Number of the key, or MODEL_KEYS. */
uint32_t model_key_find(struct gyre_slice key);
/* A key that is none of the model's, next to key `key`; `target` has room for it. */
struct gyre_slice model_key_absent(uint32_t key, uint8_t target[512]);

void model_value_fill(uint64_t id, uint32_t size, uint8_t *target);
uint64_t model_digest(struct gyre_slice value);
struct model_op model_op_put(uint32_t key, uint64_t id, uint32_t size);
struct model_op model_op_delete(uint32_t key);

void model_init(struct model *model);
void model_fini(struct model *model);
/* Everything up to `sequence`; shares the operations with `source`, which lives longer. */
void model_fork(struct model *model, const struct model *source, uint64_t sequence);
/* Copies the operations. */
void model_add(struct model *model, uint64_t sequence, const struct model_op *ops,
               uint32_t op_count);
uint64_t model_last(const struct model *model); /* sequence of the last commit, 0 = none */
void model_state_at(const struct model *model, uint64_t sequence, struct model_state *ret_state);

/* Is `found` the content after some commit in [low, high] (0 = the empty store)? *ret_sequence is
 * the first such. */
bool model_find(const struct model *model, const struct model_state *found, uint64_t low,
                uint64_t high, uint64_t *ret_sequence);
/* For a message: the commit whose content is nearest, whatever its place, and how many keys
 * differ. */
void model_nearest(const struct model *model, const struct model_state *found,
                   uint64_t *ret_sequence, uint32_t *ret_different);

#endif
