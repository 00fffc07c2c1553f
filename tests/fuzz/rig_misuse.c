/* rig_misuse.c - calls that a program should not make: each is refused and changes nothing. */
#include <stdlib.h>

#include "tests/fuzz/rig_api.h"

static void
misuse_sizes(struct api *api)
{
    static const uint8_t large[GYRE_KEY_SIZE_MAX + 1];
    const struct gyre_slice none = gyre_slice(NULL, 0);
    const struct gyre_slice good = api_key(2);
    struct gyre_value value;

    MUST(gyre_put(api->db, NULL, none, good) == GYRE_INVALID);
    MUST(gyre_put(api->db, NULL, gyre_slice("", 0), good) == GYRE_INVALID);
    MUST(gyre_put(api->db, NULL, gyre_slice(large, sizeof(large)), good) == GYRE_INVALID);
    MUST(gyre_put(api->db, NULL, gyre_slice(NULL, 5), good) == GYRE_INVALID);
    MUST(gyre_put(api->db, NULL, good, gyre_slice(NULL, 5)) == GYRE_INVALID);
    MUST(gyre_put(api->db, NULL, good, gyre_slice(large, GYRE_VALUE_SIZE_MAX + 1)) == GYRE_INVALID);
    MUST(gyre_put(api->db, NULL, good, gyre_slice(large, SIZE_MAX)) == GYRE_INVALID);
    MUST(gyre_put(api->db, NULL, gyre_slice(large, SIZE_MAX), good) == GYRE_INVALID);
    MUST(gyre_delete(api->db, NULL, none) == GYRE_INVALID);
    MUST(gyre_delete(api->db, NULL, gyre_slice(large, SIZE_MAX)) == GYRE_INVALID);
    MUST(gyre_get(api->db, NULL, none, &value) == GYRE_INVALID);
    MUST(gyre_get(api->db, NULL, gyre_slice(large, sizeof(large)), &value) == GYRE_INVALID);
    MUST(gyre_get_copy(api->db, NULL, none, NULL, 5, NULL) == GYRE_INVALID);
}

static void
misuse_nulls(struct api *api)
{
    const struct gyre_slice good = api_key(2);
    struct gyre_value zeroed = {.data = NULL};
    struct gyre_value value;
    gyre_db *db = NULL;

    MUST(gyre_get(api->db, NULL, good, NULL) == GYRE_INVALID);
    MUST(gyre_get(NULL, NULL, good, &value) == GYRE_MISUSE);
    MUST(gyre_put(NULL, NULL, good, good) == GYRE_MISUSE);
    MUST(gyre_write(api->db, NULL, NULL) == GYRE_INVALID);
    MUST(gyre_multi_get(api->db, NULL, 1, NULL, NULL, NULL) == GYRE_INVALID);
    MUST(gyre_multi_get(api->db, NULL, SIZE_MAX, &good, &value, NULL) == GYRE_INVALID);
    MUST(gyre_multi_get(api->db, NULL, 0, NULL, NULL, NULL) == GYRE_OK);
    MUST(gyre_snapshot_open(api->db, NULL) == GYRE_INVALID);
    MUST(gyre_iterator_open(api->db, NULL, NULL) == GYRE_INVALID);
    MUST(gyre_open(api->loop, NULL, NULL, &db) == GYRE_INVALID);
    MUST(gyre_open(api->loop, "", NULL, &db) == GYRE_INVALID);
    MUST(gyre_open(api->loop, "/db", NULL, NULL) == GYRE_INVALID);
    MUST(gyre_approximate_size(api->db, good, good, NULL) == GYRE_INVALID);
    MUST(gyre_checkpoint(api->db, NULL) == GYRE_INVALID);
    MUST(gyre_close(NULL) == GYRE_OK && gyre_loop_close(NULL) == GYRE_OK);
    gyre_value_release(&zeroed);
    gyre_value_release(NULL);
    gyre_snapshot_release(NULL);
    gyre_iterator_close(NULL);
    gyre_batch_free(NULL);
}

static void
misuse_batch(void)
{
    static const uint8_t large[GYRE_KEY_SIZE_MAX + 1];
    gyre_batch *batch = gyre_batch_make();
    size_t size;

    MUST(batch != NULL && gyre_batch_put(batch, api_key(0), api_key(1)) == GYRE_OK);
    size = gyre_batch_size(batch);
    MUST(gyre_batch_put(batch, gyre_slice(NULL, 0), api_key(1)) == GYRE_INVALID);
    MUST(gyre_batch_put(batch, gyre_slice(large, sizeof(large)), api_key(1)) == GYRE_INVALID);
    MUST(gyre_batch_put(batch, api_key(0), gyre_slice(large, SIZE_MAX)) == GYRE_INVALID);
    MUST(gyre_batch_put(batch, api_key(0), gyre_slice(NULL, 3)) == GYRE_INVALID);
    MUST(gyre_batch_delete(batch, gyre_slice(large, SIZE_MAX)) == GYRE_INVALID);
    MUST(gyre_batch_put(NULL, api_key(0), api_key(1)) == GYRE_INVALID);
    MUST(gyre_batch_append(batch, NULL) == GYRE_INVALID);
    MUST(gyre_batch_size(batch) == size && gyre_batch_count(batch) == 1);
    gyre_batch_free(batch);
}

static void
misuse_state(struct api *api)
{
    gyre_db *second = NULL;

    MUST(gyre_loop_close(api->loop) == GYRE_BUSY);
    MUST(gyre_open(api->loop, "/db", NULL, &second) == GYRE_BUSY && second == NULL);
    MUST(gyre_open(api->loop, "/none", NULL, &second) == GYRE_NOT_FOUND && second == NULL);
    MUST(gyre_destroy(api->loop, "/db") == GYRE_BUSY);
    MUST(gyre_checkpoint(api->db, "/db") == GYRE_INVALID);
}

void
api_misuse(struct api *api, struct rig_bytes *in)
{
    switch (rig_u8(in) % 4) {
    case 0:
        misuse_sizes(api);
        return;
    case 1:
        misuse_nulls(api);
        return;
    case 2:
        misuse_batch();
        return;
    default:
        misuse_state(api);
        return;
    }
}
