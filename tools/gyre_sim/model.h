/* model.h - the reference that a store is compared with: every version of every key, in log order,
 * so that the content after any commit can be told.
 *
 * Keys are a fixed set, in order: key i is less than key i + 1; some are a prefix of the next, some
 * differ in their last byte only, some are long, two are longer than a block. Values are made from
 * a number that is used once, so what is found in a store says which write it came from; a value's
 * digest stands for it.
 *
 *   M1  Versions ascend by sequence. A commit is a run of consecutive sequences; its last version
 *       is marked.
 */
#ifndef GYRE_SIM_MODEL_H
#define GYRE_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gyre/base.h"

#define MODEL_KEYS 162u
#define MODEL_KEYS_USUAL 160u   /* the two last are longer than a block */
#define MODEL_KEY_GROUP 8u      /* keys of a group share their first MODEL_PREFIX bytes */
#define MODEL_PREFIX 3u
#define MODEL_NONE 0u           /* digest of a key that is not there */
#define MODEL_VALUE_MAX 70000u
#define MODEL_OPS_MAX 64u       /* of one commit */

/* One operation of a commit. */
struct model_op {
    uint32_t key;
    uint32_t size;
    uint64_t id;     /* of the value; 0 = delete */
    uint64_t digest; /* MODEL_NONE for a delete */
};

struct model_version {
    uint64_t sequence;
    uint64_t digest;
    uint32_t key;
    uint32_t older;      /* index of the version of this key before it + 1; 0 = none */
    bool ends_commit;
};

struct model {
    struct model_version *versions;
    uint32_t count;
    uint32_t capacity;
    uint32_t newest[MODEL_KEYS]; /* index + 1; 0 = none */
};

/* What is in a store: a digest for each key. */
struct model_state {
    uint64_t digests[MODEL_KEYS];
};

struct gyre_slice model_key(uint32_t key);
uint32_t model_key_find(struct gyre_slice key); /* its number, or MODEL_KEYS */
/* A key that is none of the model's, right after key `key`; `target` has room for it. */
struct gyre_slice model_key_absent(uint32_t key, uint8_t target[512]);

/* The bytes of a value; compressible or not says the number. */
void model_value_fill(uint64_t id, uint32_t size, uint8_t *target);
uint64_t model_digest(const void *data, size_t size);
struct model_op model_op_put(uint32_t key, uint64_t id, uint32_t size);
struct model_op model_op_delete(uint32_t key);

void model_init(struct model *model);
void model_fini(struct model *model);
void model_copy(struct model *target, const struct model *source);
/* A commit whose first operation got `sequence`. */
void model_add(struct model *model, uint64_t sequence, const struct model_op *ops, uint32_t count);
/* Forget everything after `sequence`. */
void model_cut(struct model *model, uint64_t sequence);
uint64_t model_last(const struct model *model); /* sequence of the last version, 0 = none */

/* What `key` holds at `sequence`. */
uint64_t model_at(const struct model *model, uint32_t key, uint64_t sequence);
void model_state_at(const struct model *model, uint64_t sequence, struct model_state *ret_state);
/* Does `key` hold `digest` at some moment in [low, high]? */
bool model_was(const struct model *model, uint32_t key, uint64_t digest, uint64_t low,
               uint64_t high);
/* Is there one moment in [low, high] at which all `count` keys hold these digests? */
bool model_were(const struct model *model, const uint32_t *keys, const uint64_t *digests,
                uint32_t count, uint64_t low, uint64_t high);

/* Is `found` the content after `low` or a later commit up to `high`? What it holds may not tell
 * several of them apart: these are the first and the last. */
bool model_find(const struct model *model, const struct model_state *found, uint64_t low,
                uint64_t high, uint64_t *ret_first, uint64_t *ret_last);
/* For a message: the commit whose content is nearest, and how many keys differ. */
void model_nearest(const struct model *model, const struct model_state *found,
                   uint64_t *ret_sequence, uint32_t *ret_different);

#endif
