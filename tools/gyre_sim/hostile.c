/* hostile.c - see hostile.h. A block that is read lies right before a page that nobody may touch,
 * so that a look past its end is a signal; what is shown of it has to lie inside. Besides, a good
 * block has to be refused anywhere but in its place. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "tools/gyre_sim/hostile.h"

#include <string.h>
#include <sys/mman.h>

#include "engine/codec/block.h"
#include "io/base/rng.h"
#include "tools/gyre_sim/fail.h"

#define BLOCKS 4u
#define ENTRIES_MAX 24u
#define BODY_MAX 2048u
#define PAGE 4096u

/* The first byte behind the page that blocks end at. */
static uint8_t *
fence(void)
{
    static uint8_t *pages;

    if (pages == NULL) {
        pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        demand(pages != MAP_FAILED && mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
    }
    return pages + PAGE;
}

static uint32_t
build(struct gy_rng *rng, uint8_t *body)
{
    static uint8_t last_key[64];
    const uint32_t count = 1 + (uint32_t)gy_rng_below(rng, ENTRIES_MAX);
    struct gy_block_builder builder;

    gy_block_builder_init(&builder, 1 + (uint32_t)gy_rng_below(rng, 16), body, BODY_MAX, last_key,
                          sizeof(last_key));
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[40];
        const size_t value_size = gy_rng_below(rng, sizeof(bytes));

        memset(bytes, 'a' + (int)(i / 4), sizeof(bytes)); /* long shared beginnings */
        bytes[16] = (uint8_t)i;
        gy_block_builder_add(&builder, &(struct gy_entry){.key = gyre_slice(bytes, 17),
                                                          .tag = gy_rng_next(rng) >> 20,
                                                          .value = gyre_slice(bytes, value_size)});
    }
    return gy_block_builder_finish(&builder);
}

/* A few bytes, often to what makes a length long. */
static void
spoil(struct gy_rng *rng, uint8_t *body, uint32_t size)
{
    for (uint64_t left = 1 + gy_rng_below(rng, 12); left > 0; left--) {
        const uint32_t at = (uint32_t)gy_rng_below(rng, size);
        const uint64_t kind = gy_rng_below(rng, 4);

        body[at] = kind == 0 ? 0xff : kind == 1 ? 0x0f : (uint8_t)gy_rng_next(rng);
        if (kind < 2 && size - at > 5) { /* a length near 2^32 */
            memset(body + at, 0xff, 4);
            body[at + 4] = 0x0f;
        }
    }
}

static void
demand_inside(const uint8_t *body, uint32_t size, struct gyre_slice slice)
{
    const uint8_t *data = slice.data;

    demand(data >= body && data <= body + size && slice.size <= (size_t)(body + size - data));
}

static void
walk(const struct gy_block *block, const uint8_t *body, uint32_t size)
{
    static uint8_t key[PAGE];
    struct gy_block_iter iter;
    uint32_t steps = 0;

    gy_block_iter_init(&iter, block, key, sizeof(key));
    for (gy_block_iter_first(&iter); iter.valid; gy_block_iter_next(&iter)) {
        demand_inside(body, size, iter.entry.value);
        demand(++steps <= size);
    }
    for (gy_block_iter_last(&iter); iter.valid && steps > 0; gy_block_iter_prev(&iter)) {
        demand_inside(body, size, iter.entry.value);
        steps--; /* restarts in a wrong order may send it back */
    }
}

/* A block is valid in its file and place only (bodies as large as another's are rare on a disk). */
static void
demand_bound(struct gy_rng *rng, uint8_t *body, uint32_t size)
{
    const uint64_t file_id = gy_rng_next(rng);
    const uint64_t offset = gy_rng_below(rng, 1u << 20);
    const uint32_t whole = size + GY_BLOCK_TRAILER_SIZE;
    struct gy_block_trailer trailer;

    gy_block_seal(body, size, GY_BLOCK_RAW, GY_BLOCK_DATA, size, file_id, offset);
    demand(gy_block_check(body, whole, file_id, offset, &trailer) == GYRE_OK);
    demand(gy_block_check(body, whole, file_id, offset + PAGE, &trailer) == GYRE_CORRUPT);
    demand(gy_block_check(body, whole, file_id + 1, offset, &trailer) == GYRE_CORRUPT);
}

void
hostile_run(uint64_t seed)
{
    struct gy_rng rng;
    uint8_t body[BODY_MAX + GY_BLOCK_TRAILER_SIZE];

    gy_rng_init(&rng, seed ^ 0x686f7374696c65ull);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const uint32_t size = build(&rng, body);
        uint8_t *at = fence() - size;
        struct gy_block_found found;
        struct gy_block block;

        memcpy(at, body, size);
        demand_bound(&rng, body, size);
        spoil(&rng, at, size);
        if (gy_block_open(at, size, &block) != GYRE_OK) {
            continue;
        }
        walk(&block, at, size);
        for (uint32_t n = 0; n < ENTRIES_MAX; n++) {
            uint8_t key[17];

            memset(key, 'a' + (int)(n / 4), sizeof(key));
            key[16] = (uint8_t)n;
            if (gy_block_get(&block, gyre_slice(key, sizeof(key)), UINT64_MAX, &found) == GYRE_OK) {
                demand_inside(at, size, found.value);
            }
        }
    }
}
