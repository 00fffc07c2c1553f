/* fuzz_api.c - a program that calls the library in any order with any sizes, misuse included; each
 * answer is compared with a model.
 *
 * Input: what the store is opened with, then operations, a byte each, then what they need.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/rig_api.h"

#define OPERATIONS_MAX 120u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
do_write(struct api *api, struct rig_bytes *in, uint8_t what)
{
    switch (what) {
    case 0:
        api_put(api, in);
        return;
    case 1:
        api_delete(api, in);
        return;
    case 2:
        api_batch(api, in);
        return;
    case 3:
        MUST(gyre_flush(api->db) == GYRE_OK);
        return;
    case 4:
        MUST(gyre_compact_range(api->db, gyre_slice(NULL, 0), gyre_slice(NULL, 0), NULL, NULL) ==
             GYRE_OK);
        return;
    case 5:
        MUST(gyre_sync(api->db) == GYRE_OK);
        return;
    default:
        api_reopen(api, in);
        return;
    }
}

static void
do_read(struct api *api, struct rig_bytes *in, uint8_t what)
{
    switch (what) {
    case 0:
    case 1:
        api_get(api, in);
        return;
    case 2:
        api_get_copy(api, in);
        return;
    case 3:
        api_multi_get(api, in);
        return;
    case 4:
        api_snapshot(api, in);
        return;
    case 5:
        api_iterator(api, in);
        return;
    case 6:
        api_misuse(api, in);
        return;
    default:
        api_move(api, in);
        return;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig_bytes in = {.at = data, .end = data + size};
    struct api api;

    if (size < 2 || size > 4096) {
        return 0;
    }
    api_start(&api, &in);
    for (uint32_t i = 0; i < OPERATIONS_MAX && rig_left(&in) > 0; i++) {
        const uint8_t what = rig_u8(&in);

        if (what % 2 == 0) {
            do_write(&api, &in, what / 2 % 8);
        } else {
            do_read(&api, &in, what / 2 % 12);
        }
    }
    api_check_all(&api);
    api_stop(&api);
    return 0;
}
