/* model.c - see model.h. */
#include "tools/gyre_sim/model.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "io/base/assert.h"
#include "io/base/rng.h"

/* ---- Keys ---- */

#define KEY_LONG 300u
#define KEY_LONGER 5000u
#define KEY_LONGEST 65536u
_Static_assert(KEY_LONGEST == GYRE_KEY_SIZE_MAX, "the longest key there may be");

static uint8_t key_bytes[MODEL_KEYS_USUAL][512];
static uint8_t key_longer[KEY_LONGER];
static uint8_t key_longest[KEY_LONGEST];
static struct gyre_slice keys[MODEL_KEYS];

/* Fills `target`, returns the size. Groups ascend; inside a group each is greater than the one
 * before. */
static size_t
key_make(uint32_t key, uint8_t *target)
{
    static const uint8_t tails[MODEL_KEY_GROUP][3] = {{0}, {0}, {0, 0}, {0, 1}};
    static const uint8_t tail_sizes[MODEL_KEY_GROUP] = {0, 1, 2, 2};
    const uint32_t group = key / MODEL_KEY_GROUP;
    const uint32_t member = key % MODEL_KEY_GROUP;
    size_t size = MODEL_PREFIX;

    target[0] = 'k';
    target[1] = (uint8_t)('a' + group / 16);
    target[2] = (uint8_t)(group % 16 == 15 ? 0xff : group % 16 * 17);
    if (member < 4) {
        memcpy(target + size, tails[member], tail_sizes[member]);
        return size + tail_sizes[member];
    }
    if (member < 6) {
        memset(target + size, 'm', KEY_LONG);
        size += KEY_LONG;
        target[size - 1] = (uint8_t)('m' + (member - 4)); /* they differ in the last byte only */
        return size;
    }
    if (member == 6) {
        memcpy(target + size, "user:0001", 9);
        return size + 9;
    }
    target[size] = 0xff;
    return size + 1;
}

static void
keys_make(void)
{
    for (uint32_t i = 0; i < MODEL_KEYS_USUAL; i++) {
        keys[i] = gyre_slice(key_bytes[i], key_make(i, key_bytes[i]));
    }
    memset(key_longer, 'y', sizeof(key_longer));
    memset(key_longest, 'z', sizeof(key_longest));
    keys[MODEL_KEYS_USUAL] = gyre_slice(key_longer, sizeof(key_longer));
    keys[MODEL_KEYS_USUAL + 1] = gyre_slice(key_longest, sizeof(key_longest));
}

struct gyre_slice
model_key(uint32_t key)
{
    gy_assert(key < MODEL_KEYS);
    if (keys[0].size == 0) {
        keys_make();
    }
    return keys[key];
}

static int
compare(struct gyre_slice a, struct gyre_slice b)
{
    const int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

    return order != 0 ? order : a.size < b.size ? -1 : a.size > b.size;
}

uint32_t
model_key_find(struct gyre_slice key)
{
    uint32_t low = 0;
    uint32_t high = MODEL_KEYS;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        const int order = compare(key, model_key(middle));

        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return MODEL_KEYS;
}

struct gyre_slice
model_key_absent(uint32_t key, uint8_t target[512])
{
    const struct gyre_slice near = model_key(key % MODEL_KEYS_USUAL);

    memcpy(target, near.data, near.size);
    memcpy(target + near.size, "\x02?", 2); /* no key goes on like that */
    return gyre_slice(target, near.size + 2);
}

/* ---- Values ---- */

void
model_value_fill(uint64_t id, uint32_t size, uint8_t *target)
{
    const uint32_t period = id % 2 == 0 ? 64 : UINT32_MAX; /* even: it compresses well */
    struct gy_rng rng;

    gy_rng_init(&rng, id);
    for (uint32_t at = 0; at < size; at += 8) {
        const uint64_t word = at < period ? gy_rng_next(&rng) : 0;
        const uint32_t length = size - at < 8 ? size - at : 8;

        if (at < period) {
            memcpy(target + at, &word, length);
        } else {
            memmove(target + at, target + at - period, length);
        }
    }
}

uint64_t
model_digest(const void *data, size_t size)
{
    return XXH3_64bits_withSeed(data, size, size) | 1u; /* never MODEL_NONE */
}

struct model_op
model_op_put(uint32_t key, uint64_t id, uint32_t size)
{
    static uint8_t bytes[MODEL_VALUE_MAX]; /* never in use across a suspension */

    gy_assert(id != 0 && size <= sizeof(bytes));
    model_value_fill(id, size, bytes);
    return (struct model_op){
        .key = key, .size = size, .id = id, .digest = model_digest(bytes, size)};
}

struct model_op
model_op_delete(uint32_t key)
{
    return (struct model_op){.key = key};
}

/* ---- History ---- */

void
model_init(struct model *model)
{
    memset(model, 0, sizeof(*model));
}

void
model_fini(struct model *model)
{
    free(model->versions);
    memset(model, 0, sizeof(*model));
}

static void
reserve(struct model *model, uint32_t count)
{
    if (count > model->capacity) {
        model->capacity = count * 2 + 64;
        model->versions = realloc(model->versions, model->capacity * sizeof(*model->versions));
        gy_assert(model->versions != NULL);
    }
}

void
model_copy(struct model *target, const struct model *source)
{
    *target = *source;
    target->versions = NULL;
    target->capacity = 0;
    reserve(target, source->count);
    if (source->count > 0) {
        memcpy(target->versions, source->versions, source->count * sizeof(*source->versions));
    }
}

void
model_add(struct model *model, uint64_t sequence, const struct model_op *ops, uint32_t count)
{
    gy_assert(count > 0 && sequence > model_last(model)); /* M1: no number is given twice */
    reserve(model, model->count + count);
    for (uint32_t i = 0; i < count; i++) {
        model->versions[model->count] = (struct model_version){.sequence = sequence + i,
                                                               .digest = ops[i].digest,
                                                               .key = ops[i].key,
                                                               .older = model->newest[ops[i].key],
                                                               .ends_commit = i + 1 == count};
        model->count++;
        model->newest[ops[i].key] = model->count;
    }
}

void
model_cut(struct model *model, uint64_t sequence)
{
    while (model->count > 0 && model->versions[model->count - 1].sequence > sequence) {
        const struct model_version *version = &model->versions[model->count - 1];

        model->newest[version->key] = version->older;
        model->count--;
    }
}

uint64_t
model_last(const struct model *model)
{
    return model->count == 0 ? 0 : model->versions[model->count - 1].sequence;
}

uint64_t
model_at(const struct model *model, uint32_t key, uint64_t sequence)
{
    for (uint32_t i = model->newest[key]; i != 0; i = model->versions[i - 1].older) {
        if (model->versions[i - 1].sequence <= sequence) {
            return model->versions[i - 1].digest;
        }
    }
    return MODEL_NONE;
}

void
model_state_at(const struct model *model, uint64_t sequence, struct model_state *ret_state)
{
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        ret_state->digests[key] = model_at(model, key, sequence);
    }
}

bool
model_was(const struct model *model, uint32_t key, uint64_t digest, uint64_t low, uint64_t high)
{
    uint32_t i = model->newest[key];

    while (i != 0 && model->versions[i - 1].sequence > high) {
        i = model->versions[i - 1].older;
    }
    for (; i != 0; i = model->versions[i - 1].older) {
        if (model->versions[i - 1].digest == digest) {
            return true;
        }
        if (model->versions[i - 1].sequence <= low) {
            return false;
        }
    }
    return digest == MODEL_NONE;
}

/* Index of the first version after `sequence`. */
static uint32_t
first_after(const struct model *model, uint64_t sequence)
{
    uint32_t low = 0;
    uint32_t high = model->count;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (model->versions[middle].sequence <= sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool
model_were(const struct model *model, const uint32_t *keys_asked, const uint64_t *digests,
           uint32_t count, uint64_t low, uint64_t high)
{
    uint32_t next = first_after(model, low);
    uint64_t moment = low;

    for (;;) {
        uint32_t i = 0;

        while (i < count && model_at(model, keys_asked[i], moment) == digests[i]) {
            i++;
        }
        if (i == count) {
            return true;
        }
        while (next < model->count && !model->versions[next].ends_commit) {
            next++;
        }
        if (next >= model->count || model->versions[next].sequence > high) {
            return false;
        }
        moment = model->versions[next].sequence;
        next++;
    }
}

static uint32_t
count_different(const struct model_state *a, const struct model_state *b)
{
    uint32_t count = 0;

    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        count += a->digests[key] != b->digests[key];
    }
    return count;
}

/* How many keys of `state` differ from `found` once `version` is applied to it. */
static uint32_t
apply(struct model_state *state, const struct model_state *found,
      const struct model_version *version, uint32_t different)
{
    const uint64_t wanted = found->digests[version->key];

    different += (uint32_t)(version->digest != wanted);
    different -= (uint32_t)(state->digests[version->key] != wanted);
    state->digests[version->key] = version->digest;
    return different;
}

bool
model_find(const struct model *model, const struct model_state *found, uint64_t low, uint64_t high,
           uint64_t *ret_first, uint64_t *ret_last)
{
    struct model_state state;
    uint32_t different;
    bool is_found;

    model_state_at(model, low, &state);
    different = count_different(&state, found);
    is_found = different == 0;
    *ret_first = low;
    *ret_last = low;
    for (uint32_t i = first_after(model, low);
         i < model->count && model->versions[i].sequence <= high; i++) {
        different = apply(&state, found, &model->versions[i], different);
        if (different == 0 && model->versions[i].ends_commit) {
            *ret_last = model->versions[i].sequence;
            *ret_first = is_found ? *ret_first : *ret_last;
            is_found = true;
        }
    }
    return is_found;
}

void
model_nearest(const struct model *model, const struct model_state *found, uint64_t *ret_sequence,
              uint32_t *ret_different)
{
    struct model_state state = {{0}};
    uint32_t different = count_different(&state, found);

    *ret_sequence = 0;
    *ret_different = different;
    for (uint32_t i = 0; i < model->count; i++) {
        different = apply(&state, found, &model->versions[i], different);
        if (different < *ret_different && model->versions[i].ends_commit) {
            *ret_different = different;
            *ret_sequence = model->versions[i].sequence;
        }
    }
}
