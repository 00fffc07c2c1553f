/* rig_api.h - the operations of fuzz_api: each calls the library and compares what it answers with
 * a model of a few keys. What differs aborts. */
#ifndef GY_FUZZ_RIG_API_H
#define GY_FUZZ_RIG_API_H

#include "gyre/gyre.h"
#include "tests/fuzz/rig_store.h"

#define API_KEYS 24u
#define API_SNAPSHOTS 4u
#define API_ITERATORS 3u

#define MUST(condition) rig_must(condition, #condition)

/* A version of a value: `size` bytes that its seed gives. */
struct api_value {
    bool is_there;
    uint8_t seed;
    uint32_t size;
};

struct api_model {
    struct api_value values[API_KEYS];
};

struct api_snapshot {
    gyre_snapshot *snapshot; /* NULL: free */
    struct api_model model;
};

struct api_iterator {
    gyre_iterator *iterator; /* NULL: free */
    struct api_model model;
    uint32_t at;             /* key; API_KEYS: not positioned */
    uint32_t low;            /* bounds: low <= key < high */
    uint32_t high;
};

struct api {
    struct gy_heap heap;
    struct gy_sim_disk *disk;
    struct gy_world *world;
    gyre_loop *loop;
    gyre_db *db;
    struct api_model model;
    struct api_snapshot snapshots[API_SNAPSHOTS];
    struct api_iterator iterators[API_ITERATORS];
};

void api_start(struct api *api, struct rig_bytes *in);
void api_stop(struct api *api);
void api_check_all(struct api *api); /* the whole store, forward and by get */

void api_put(struct api *api, struct rig_bytes *in);
void api_delete(struct api *api, struct rig_bytes *in);
void api_batch(struct api *api, struct rig_bytes *in);
void api_get(struct api *api, struct rig_bytes *in);
void api_get_copy(struct api *api, struct rig_bytes *in);
void api_multi_get(struct api *api, struct rig_bytes *in);
void api_snapshot(struct api *api, struct rig_bytes *in); /* opens or releases one */
void api_iterator(struct api *api, struct rig_bytes *in); /* opens or closes one */
void api_move(struct api *api, struct rig_bytes *in);
void api_reopen(struct api *api, struct rig_bytes *in);
void api_misuse(struct api *api, struct rig_bytes *in);

/* Key number `number` of the universe; ascending. Numbers up to API_KEYS - 1. */
struct gyre_slice api_key(uint32_t number);
uint32_t api_key_number(struct gyre_slice key); /* aborts when it is none of them */

#endif
