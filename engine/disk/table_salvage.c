/* table_salvage.c - find data blocks without an index: what can still be read behind a damaged
 * partition or footer.
 *
 * Raw blocks start on pages, compressed ones follow each other; a block carries its length at its
 * end only. So from each place where a block may begin, look for a trailer that fits: few positions
 * pass the look at its fields, and the checksum, which knows file and offset, decides.
 *   G1  A block that is found was written at this place of this file: nothing is guessed.
 *   G2  Not found are blocks longer than GY_CHECK_WINDOW, and compressed ones behind a damaged
 *       block up to the next page on which one happens to begin.
 *   G3  A file that was made to have trailers everywhere costs no more than CANDIDATES_MAX
 *       checksums for each of its pages. (Values that hold tables have many trailers too.)
 */
#include "engine/codec/coding.h"
#include "engine/disk/table_check.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/ban.h"

#define CANDIDATES_MAX 1024u

/* Can the 8 bytes before a checksum belong to a data block with `stored` bytes before them? */
static inline bool
fields_fit(const uint8_t *trailer, uint64_t stored)
{
    const uint64_t fields = gy_get_u64(trailer); /* all at once: this runs for every byte */
    const uint64_t raw_size = fields >> 32;

    return fields == stored << 32 ||
           ((uint32_t)fields == GY_BLOCK_ZSTD && raw_size <= GY_BLOCK_SIZE_MAX && raw_size != 0);
}
_Static_assert(GY_BLOCK_RAW == 0 && GY_BLOCK_DATA == 0, "a raw data block's first four are zero");

/* Length with trailer of the data block that begins at `bytes`, 0 when none does. */
static uint32_t
find_end(const struct gy_check_run *run, const uint8_t *bytes, uint64_t size, uint64_t offset,
         struct gy_block_trailer *ret_trailer)
{
    uint32_t candidates = 0;

    for (uint64_t stored = 1; stored + GY_BLOCK_TRAILER_SIZE <= size && candidates < CANDIDATES_MAX;
         stored++) {
        const uint32_t length = (uint32_t)stored + GY_BLOCK_TRAILER_SIZE;

        if (!fields_fit(bytes + stored, stored)) {
            continue;
        }
        if (gy_block_check(bytes, length, run->table->meta.file_id, offset, ret_trailer) ==
            GYRE_OK) {
            return length;
        }
        candidates++;
    }
    return 0;
}

void
gy_check_await_scan(struct gy_check_run *run, uint64_t start, uint64_t end)
{
    uint64_t at = start;

    end = gy_min_u64(end, run->file_size);
    while (at < end && run->stopped == GYRE_OK) {
        const uint64_t size = gy_min_u64(end - at, GY_CHECK_WINDOW - GY_PAGE);
        const uint8_t *bytes = gy_check_await_bytes(run, &run->data, at, size, true);
        struct gy_block_trailer trailer;
        uint32_t length = 0;

        if (bytes != NULL) {
            length = find_end(run, bytes, size, at, &trailer);
        } else {
            /* One page cannot be read: go on behind it, page by page. */
            bytes = gy_check_await_bytes(run, &run->data, at, gy_min_u64(size, GY_PAGE), false);
            length =
                bytes != NULL ? find_end(run, bytes, gy_min_u64(size, GY_PAGE), at, &trailer) : 0;
        }
        if (length == 0) {
            at = gy_align_down(at, GY_PAGE) + GY_PAGE;
            gy_await_turn(&run->table->set->loop->sched);
            continue;
        }
        run->check->block_count++;
        gy_check_await_entries(run, bytes, (struct gy_block_handle){.offset = at, .size = length},
                               &trailer, NULL);
        at = trailer.compression == GY_BLOCK_RAW ? gy_align_up(at + length, GY_PAGE) : at + length;
    }
}
