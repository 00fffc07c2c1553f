/* model.c - see model.h. */
#include "tests/support/model.h"

#include <stdlib.h>
#include <string.h>

#include "io/base/assert.h"
#include "io/base/rng.h"

/* ---- Keys ---- */

#define KEY_GROUP 8u /* key 8g+0 is a prefix of those up to 8g+3, and so on */
#define KEY_LONG 300u

/* Fills `target` (512 bytes), returns the size. Groups ascend; inside a group each is greater than
 * the one before. */
static size_t
key_bytes(uint32_t key, uint8_t *target)
{
    const uint32_t group = key / KEY_GROUP;
    size_t size = 0;

    target[size++] = 'k';
    target[size++] = (uint8_t)('a' + group / 16);
    target[size++] = (uint8_t)(group % 16 == 15 ? 0xff : group % 16 * 17);
    switch (key % KEY_GROUP) {
    case 0:
        break;
    case 1:
        target[size++] = 0;
        break;
    case 2:
        target[size++] = 0;
        target[size++] = 0;
        break;
    case 3:
        target[size++] = 0;
        target[size++] = 1;
        break;
    case 4:
        memset(target + size, 'm', KEY_LONG);
        size += KEY_LONG;
        break;
    case 5:
        memset(target + size, 'm', KEY_LONG);
        size += KEY_LONG;
        target[size - 1] = 'n';
        break;
    case 6:
        memcpy(target + size, "user:0001", 9);
        size += 9;
        break;
    default:
        target[size++] = 0xff;
        break;
    }
    return size;
}

struct gyre_slice
model_key(uint32_t key)
{
    static uint8_t bytes[MODEL_KEYS][512];
    static size_t sizes[MODEL_KEYS];

    gy_assert(key < MODEL_KEYS);
    if (sizes[key] == 0) {
        sizes[key] = key_bytes(key, bytes[key]);
    }
    return gyre_slice(bytes[key], sizes[key]);
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
    const struct gyre_slice near = model_key(key);

    memcpy(target, near.data, near.size);
    memcpy(target + near.size, "\x02?", 2); /* no key goes on like that */
    return gyre_slice(target, near.size + 2);
}

/* ---- Values ---- */

void
model_value_fill(uint64_t id, uint32_t size, uint8_t *target)
{
    struct gy_rng rng;

    gy_rng_init(&rng, id);
    for (uint32_t at = 0; at < size; at += 8) {
        const uint64_t word = gy_rng_next(&rng);

        memcpy(target + at, &word, size - at < 8 ? size - at : 8);
    }
}

uint64_t
model_digest(struct gyre_slice value)
{
    const uint8_t *bytes = value.data;
    uint64_t digest = 0x9e3779b97f4a7c15ull ^ value.size;

    for (size_t at = 0; at < value.size; at += 8) {
        uint64_t word = 0;

        memcpy(&word, bytes + at, value.size - at < 8 ? value.size - at : 8);
        digest = (digest ^ word) * 0xff51afd7ed558ccdull;
        digest ^= digest >> 32;
    }
    return digest | 1u; /* never MODEL_NONE */
}

struct model_op
model_op_put(uint32_t key, uint64_t id, uint32_t size)
{
    uint8_t bytes[MODEL_VALUE_MAX];

    gy_assert(id != 0 && size <= sizeof(bytes));
    model_value_fill(id, size, bytes);
    return (struct model_op){
        .key = key, .size = size, .id = id, .digest = model_digest(gyre_slice(bytes, size))};
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
    for (size_t i = 0; i < model->count; i++) {
        if (model->commits[i].owned) {
            free(model->commits[i].ops);
        }
    }
    free(model->commits);
    memset(model, 0, sizeof(*model));
}

static struct model_commit *
insert(struct model *model, uint64_t sequence)
{
    size_t at = model->count;

    if (model->count == model->capacity) {
        model->capacity = model->capacity * 2 + 64;
        model->commits = realloc(model->commits, model->capacity * sizeof(*model->commits));
        gy_assert(model->commits != NULL);
    }
    while (at > 0 && model->commits[at - 1].sequence > sequence) {
        model->commits[at] = model->commits[at - 1];
        at--;
    }
    gy_assert(at == 0 || model->commits[at - 1].sequence < sequence); /* no number is given twice */
    model->count++;
    model->commits[at] = (struct model_commit){.sequence = sequence};
    return &model->commits[at];
}

void
model_add(struct model *model, uint64_t sequence, const struct model_op *ops, uint32_t op_count)
{
    struct model_commit *commit = insert(model, sequence);

    commit->op_count = op_count;
    commit->ops = malloc(op_count * sizeof(*ops));
    commit->owned = true;
    gy_assert(commit->ops != NULL && op_count > 0);
    memcpy(commit->ops, ops, op_count * sizeof(*ops));
}

void
model_fork(struct model *model, const struct model *source, uint64_t sequence)
{
    model_init(model);
    for (size_t i = 0; i < source->count && source->commits[i].sequence <= sequence; i++) {
        struct model_commit *commit = insert(model, source->commits[i].sequence);

        *commit = source->commits[i];
        commit->owned = false;
    }
}

uint64_t
model_last(const struct model *model)
{
    return model->count == 0 ? 0 : model->commits[model->count - 1].sequence;
}

void
model_state_at(const struct model *model, uint64_t sequence, struct model_state *ret_state)
{
    memset(ret_state, 0, sizeof(*ret_state));
    for (size_t i = 0; i < model->count && model->commits[i].sequence <= sequence; i++) {
        for (uint32_t j = 0; j < model->commits[i].op_count; j++) {
            const struct model_op *op = &model->commits[i].ops[j];

            ret_state->digests[op->key] = op->digest;
        }
    }
}

/* How many keys of `state` differ from `found`, kept up to date while commits are applied. */
static uint32_t
apply(struct model_state *state, const struct model_state *found, const struct model_commit *commit,
      uint32_t different)
{
    for (uint32_t j = 0; j < commit->op_count; j++) {
        const struct model_op *op = &commit->ops[j];
        const uint64_t wanted = found->digests[op->key];

        different +=
            (uint32_t)(op->digest != wanted) - (uint32_t)(state->digests[op->key] != wanted);
        state->digests[op->key] = op->digest;
    }
    return different;
}

static uint32_t
present(const struct model_state *state)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        count += state->digests[i] != MODEL_NONE;
    }
    return count;
}

bool
model_find(const struct model *model, const struct model_state *found, uint64_t low, uint64_t high,
           uint64_t *ret_sequence)
{
    struct model_state state = {{0}};
    uint32_t different = present(found);

    if (low == 0 && different == 0) {
        *ret_sequence = 0;
        return true;
    }
    for (size_t i = 0; i < model->count && model->commits[i].sequence <= high; i++) {
        different = apply(&state, found, &model->commits[i], different);
        if (different == 0 && model->commits[i].sequence >= low) {
            *ret_sequence = model->commits[i].sequence;
            return true;
        }
    }
    return false;
}

void
model_nearest(const struct model *model, const struct model_state *found, uint64_t *ret_sequence,
              uint32_t *ret_different)
{
    struct model_state state = {{0}};
    uint32_t different = present(found);

    *ret_sequence = 0;
    *ret_different = different;
    for (size_t i = 0; i < model->count; i++) {
        different = apply(&state, found, &model->commits[i], different);
        if (different < *ret_different) {
            *ret_different = different;
            *ret_sequence = model->commits[i].sequence;
        }
    }
}
