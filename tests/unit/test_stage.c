/* test_stage.c - staging memory: what is read out of it is what was committed to it, whenever its
 * process died; and it is trusted no more than a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec/coding.h"
#include "engine/codec/frame.h"
#include "engine/disk/stage.h"
#include "io/base/bits.h"
#include "io/base/rng.h"

#define STORE_ID 0x1234567890abcdefull
#define COUNT_MAX 63u
#define BUFFER_SIZE 8192u
#define PAYLOAD_MAX (BUFFER_SIZE - GY_FRAME_HEADER_SIZE)

static void
area_make(struct gy_stage_area *area, uint32_t count)
{
    memset(area, 0, sizeof(*area));
    area->count = count;
    area->buffer_size = BUFFER_SIZE;
    area->size = gy_stage_size(count, BUFFER_SIZE);
    area->base = aligned_alloc(GY_PAGE, area->size);
    assert_non_null(area->base);
    memset(area->base, 0xa5, area->size); /* nothing counts on zeros */
    gy_stage_format(area, STORE_ID);
}

/* ---- A model ---- */

struct group {
    uint64_t order; /* 0 = free */
    uint64_t sequence_first;
    uint64_t part_offset;
    uint64_t committed;
    uint8_t flags;
    uint8_t fill;
};

static void
check_area(const struct gy_stage_area *area, const struct group *model)
{
    struct gy_staged_group groups[GY_STAGE_COUNT_MAX];
    uint32_t count = 0;
    uint32_t wanted = 0;
    uint64_t order = 0;

    assert_int_equal(gy_stage_read(area->base, area->size, STORE_ID, groups, &count), GYRE_OK);
    for (uint32_t i = 0; i < area->count; i++) {
        wanted += model[i].order != 0 && model[i].committed > 0;
    }
    assert_int_equal(count, wanted);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *payload = groups[i].payload.data;
        uint32_t at = 0;

        assert_true(groups[i].order > order); /* oldest first */
        order = groups[i].order;
        while (at < area->count && model[at].order != order) {
            at++;
        }
        assert_in_range(at, 0, area->count - 1);
        assert_int_equal(groups[i].sequence_first, model[at].sequence_first);
        assert_int_equal(groups[i].part_offset, model[at].part_offset);
        assert_int_equal(groups[i].flags, model[at].flags);
        assert_int_equal(groups[i].payload.size, model[at].committed);
        assert_ptr_equal(payload, gy_stage_buffer(area, at) + GY_FRAME_HEADER_SIZE);
        for (uint64_t j = 0; j < model[at].committed; j++) {
            assert_int_equal(payload[j], model[at].fill);
        }
    }
}

static void
open_group(struct gy_stage_area *area, struct group *group, uint32_t index, struct gy_rng *rng)
{
    *group = (struct group){.order = area->order_next,
                            .sequence_first = 1 + gy_rng_below(rng, 1000000),
                            .part_offset = gy_rng_below(rng, 3) * 4096,
                            .flags = (uint8_t)gy_rng_below(rng, 8),
                            .fill = (uint8_t)gy_rng_next(rng)};
    gy_stage_open_group(area, index, group->sequence_first, group->flags, group->part_offset);
}

static void
add_commit(struct gy_stage_area *area, struct group *group, uint32_t index, struct gy_rng *rng)
{
    const uint64_t room = PAYLOAD_MAX - group->committed;
    const uint64_t size = gy_rng_below(rng, room + 1);

    memset(gy_stage_buffer(area, index) + GY_FRAME_HEADER_SIZE + group->committed, group->fill,
           size);
    group->committed += size;
    gy_stage_commit(area, index, group->committed, 1, group->sequence_first);
}

/* Goal:   what is read is what was committed, oldest group first, free groups and empty ones left
 *         out.
 * Method: random opens, commits and frees beside a model, for areas of 1 to 63 buffers. */
static void
stage_gives_back_what_was_committed(void **state)
{
    struct group model[COUNT_MAX];
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 5);
    for (uint32_t round = 0; round < 60; round++) {
        struct gy_stage_area area;

        area_make(&area, 1 + round % COUNT_MAX);
        memset(model, 0, sizeof(model));
        for (uint32_t step = 0; step < 100; step++) {
            const uint32_t index = (uint32_t)gy_rng_below(&rng, area.count);

            if (model[index].order == 0) {
                open_group(&area, &model[index], index, &rng);
            } else if (gy_rng_below(&rng, 3) == 0) {
                gy_stage_free_group(&area, index);
                model[index].order = 0;
            } else {
                add_commit(&area, &model[index], index, &rng);
            }
            check_area(&area, model);
        }
        free(area.base);
    }
}

/* Goal:   a process that dies inside one of the calls leaves the state before it.
 * Method: the bytes that a call changes are put back in the order that stage.h promises, last one
 *         first: the memory as it was before the last store counts as before the call. */
static void
stage_is_whole_at_every_moment(void **state)
{
    struct group model[2] = {{0}};
    struct gy_stage_area area;
    struct gy_rng rng;
    uint8_t *descriptor;
    uint8_t order[8];
    uint8_t committed[8];
    uint8_t now[8];
    (void)state;

    gy_rng_init(&rng, 6);
    area_make(&area, 2);
    descriptor = area.base + 64;
    /* An open whose order is not there yet is no group. */
    memcpy(order, descriptor, 8);
    open_group(&area, &model[0], 0, &rng);
    memcpy(now, descriptor, 8);
    memcpy(descriptor, order, 8);
    check_area(&area, (struct group[2]){{0}, {0}});
    memcpy(descriptor, now, 8);
    /* A commit whose size is not there yet has not happened, though the counts are ahead. */
    for (uint32_t i = 0; i < 20; i++) {
        const struct group before = model[0];

        memcpy(committed, descriptor + 16, 8);
        add_commit(&area, &model[0], 0, &rng);
        memcpy(now, descriptor + 16, 8);
        memcpy(descriptor + 16, committed, 8);
        check_area(&area, (struct group[2]){before, {0}});
        memcpy(descriptor + 16, now, 8);
        check_area(&area, model);
    }
    free(area.base);
}

static gyre_status
read_area(const struct gy_stage_area *area, uint64_t size)
{
    struct gy_staged_group groups[GY_STAGE_COUNT_MAX];
    uint32_t count = 0;

    return gy_stage_read(area->base, size, STORE_ID, groups, &count);
}

/* Goal:   memory that is not ours, or whose sizes make no sense, is refused.
 * Method: one field at a time. */
static void
stage_refuses_what_makes_no_sense(void **state)
{
    static const struct {
        uint32_t offset;
        uint32_t size;
        uint64_t value;
    } wrong[] = {
        {0, 8, 0x3245474154535947ull}, /* magic */
        {8, 8, STORE_ID + 1},
        {16, 4, 0}, /* count */
        {16, 4, 64},
        {16, 4, UINT32_MAX},
        {16, 4, 4}, /* more than there is */
        {20, 4, 0}, /* buffer_size */
        {20, 4, 4095},
        {20, 4, 8193},
        {20, 4, 12288}, /* more than there is */
        {20, 4, 0x80000000u},
        {64 + 16, 8, PAYLOAD_MAX + 1}, /* committed */
        {64 + 16, 8, UINT64_MAX},
        {64 + 8, 8, 0}, /* sequence_first */
        {64 + 8, 8, GY_SEQUENCE_MAX + 1},
    };
    struct gy_stage_area area;
    struct group model[3] = {{0}};
    struct gy_rng rng;
    (void)state;

    gy_rng_init(&rng, 7);
    area_make(&area, 3);
    open_group(&area, &model[0], 0, &rng);
    while (model[0].committed == 0) {
        add_commit(&area, &model[0], 0, &rng);
    }
    assert_int_equal(read_area(&area, area.size), GYRE_OK);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t saved[8];

        memcpy(saved, area.base + wrong[i].offset, 8);
        if (wrong[i].size == 8) {
            gy_put_u64(area.base + wrong[i].offset, wrong[i].value);
        } else {
            gy_put_u32(area.base + wrong[i].offset, (uint32_t)wrong[i].value);
        }
        assert_int_equal(read_area(&area, area.size), GYRE_CORRUPT);
        memcpy(area.base + wrong[i].offset, saved, 8);
    }
    for (uint64_t size = 0; size < area.size; size += 1024) {
        assert_int_equal(read_area(&area, size), GYRE_CORRUPT);
    }
    free(area.base);
}

/* Goal:   whatever is in it, reading stays inside and what it gives lies inside.
 * Method: random bytes in the first page, with a good magic and store id. */
static void
stage_reading_stays_inside(void **state)
{
    struct gy_stage_area area;
    struct gy_rng rng;
    uint32_t accepted = 0;
    (void)state;

    gy_rng_init(&rng, 8);
    area_make(&area, 8);
    for (uint32_t round = 0; round < 20000; round++) {
        struct gy_staged_group groups[GY_STAGE_COUNT_MAX];
        uint32_t count = 0;

        for (uint32_t i = 16; i < GY_PAGE; i += 8) {
            const uint64_t bits = gy_rng_below(&rng, 4) == 0 ? 14 : 64;

            gy_put_u64(area.base + i, gy_rng_next(&rng) >> (64 - bits));
        }
        if (gy_rng_below(&rng, 8) != 0) {
            gy_put_u32(area.base + 16, (uint32_t)gy_rng_below(&rng, 12));
            gy_put_u32(area.base + 20, (uint32_t)gy_rng_below(&rng, 4) * 4096);
        }
        if (gy_stage_read(area.base, area.size, STORE_ID, groups, &count) != GYRE_OK) {
            continue;
        }
        accepted++;
        for (uint32_t i = 0; i < count; i++) {
            const uint8_t *payload = groups[i].payload.data;

            assert_true(payload >= area.base + GY_PAGE);
            assert_true(groups[i].payload.size <= (size_t)(area.base + area.size - payload));
            assert_true(i == 0 || groups[i].order >= groups[i - 1].order);
        }
    }
    assert_true(accepted > 10);
    free(area.base);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stage_gives_back_what_was_committed),
        cmocka_unit_test(stage_is_whole_at_every_moment),
        cmocka_unit_test(stage_refuses_what_makes_no_sense),
        cmocka_unit_test(stage_reading_stays_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
