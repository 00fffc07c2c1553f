/* event.h - news for the host (gyre/health.h), told from inside the loop, bounded.
 *
 *   V1  A state that began is told once, and its end after it, never the other way round. What is
 *       told goes by what holds (gy_event_update), so a beginning that had to wait is told by the
 *       next update while it still holds.
 *   V2  Single events take a token each; without one they are counted and not told.
 *   V3  The library is not entered from a callback (gy_callback_begin).
 */
#ifndef GY_EVENT_H
#define GY_EVENT_H

#include "gyre/health.h"

#define GY_EVENT_GAP_NS (100ull * 1000000ull)  /* V1: between an end and the next beginning */
#define GY_EVENT_BURST 32u                     /* V2 */
#define GY_EVENT_TOKEN_NS (10ull * 1000000ull)

enum gy_event_state { GY_STATE_OF_ERROR, GY_STATE_OF_SPACE, GY_STATE_OF_PACE, GY_STATE_OF_COUNT };

struct gy_events {
    gyre_event_fn fn;
    void *arg;
    struct {
        bool is_told;
        uint64_t ended_ns;        /* 0: never */
    } states[GY_STATE_OF_COUNT];
    bool read_only_told;
    uint32_t tokens;
    uint64_t token_ns;            /* when the last one was added */
    uint32_t dropped;             /* since the last one that was told */
    uint64_t dropped_count;
    uint64_t corruption_count;
    /* gyre_health */
    uint32_t health_state;
    uint64_t health_since_ns;
    uint64_t error_ns;            /* db->background_error */
};

void gy_event_init(gyre_db *db, const struct gyre_options *options);
/* Something may have begun or ended. */
void gy_event_update(gyre_db *db);
/* A call or a job ended with the coroutine's error, `status`: is it damage? */
void gy_event_note_damage(gyre_db *db, gyre_status status);
/* Flush or compaction has installed its tables. */
void gy_event_job_done(gyre_db *db, enum gyre_event_kind kind, uint64_t bytes, uint32_t level);

/* What holds now (health.c). */
uint32_t gy_health_state(const gyre_db *db);
bool gy_health_is_full(const gyre_db *db);
bool gy_health_is_failed(const gyre_db *db);

#endif
