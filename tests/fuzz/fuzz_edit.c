/* fuzz_edit.c - gy_edit_decode on any bytes: the payload of a manifest frame whose checksum fits.
 *
 * Each edit that decodes must encode to the very bytes it came from. The whole is also read as
 * CURRENT.
 */
#include <stdint.h>
#include <stdlib.h>

#include "engine/codec/edit.h"
#include "engine/codec/key.h"
#include "io/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_again(const uint8_t *start, const uint8_t *end, const struct gy_edit *edit)
{
    struct gy_writer writer = {0};

    gy_edit_encode(&writer, edit);
    gy_assert(writer.used <= (size_t)(end - start)); /* skipped edits lie in front of it */
    writer = (struct gy_writer){.data = malloc(writer.used), .capacity = writer.used};
    if (writer.data == NULL) {
        return;
    }
    gy_edit_encode(&writer, edit);
    gy_assert(!writer.failed && writer.used == writer.capacity);
    gy_assert(memcmp(end - writer.used, writer.data, writer.used) == 0);
    free(writer.data);
}

static void
check_sound(const struct gy_edit *edit, const uint8_t *data, size_t size)
{
    if (edit->kind == GY_EDIT_ADD_TABLE) {
        const struct gy_table_meta *table = &edit->u.table;

        gy_assert(table->level < GY_LEVEL_COUNT && table->sequence_max <= GY_SEQUENCE_MAX);
        gy_assert(gy_key_compare(table->smallest, table->largest) <= 0);
        gy_assert((const uint8_t *)table->smallest.data > data);
        gy_assert((const uint8_t *)table->largest.data + table->largest.size <= data + size);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gy_reader reader = gy_reader_of(data, size);
    struct gy_current current;
    struct gy_edit edit;
    gyre_status status;

    for (const uint8_t *start = data; (status = gy_edit_decode(&reader, &edit)) == GYRE_OK;
         start = reader.at) {
        gy_assert(reader.at > start && reader.at <= data + size);
        check_sound(&edit, data, size);
        check_again(start, reader.at, &edit);
    }
    gy_assert(status == GYRE_NOT_FOUND || status == GYRE_CORRUPT || status == GYRE_UNSUPPORTED);
    gy_assert(status != GYRE_NOT_FOUND || reader.at == reader.end);
    if (gy_current_decode(gyre_slice(data, size), &current) == GYRE_OK) {
        uint8_t again[GY_CURRENT_SIZE];

        gy_current_encode(again, &current);
        gy_assert(size == sizeof(again) && memcmp(again, data, size) == 0);
    }
    return 0;
}
