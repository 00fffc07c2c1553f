/* wal_confirm.c - make the end of a log that recovery has accepted durable.
 *
 * A sync is not enough: when the one of the dead process failed, the kernel may have marked what it
 * covered as clean, and a later sync says OK without having written it. So what no frame calls
 * durable is written once more, with the bytes that are there, and then synced. Writing blocks that
 * may have been acknowledged is harmless here: old and new bytes are the same, however it tears.
 */
#include "engine/disk/wal_reader.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

#define CHUNK (256u * 1024u)

static GY_SUSPENDS gyre_status
await_rewrite(struct gy_loop *loop, const struct gy_file *file, uint64_t from, uint64_t end,
              uint8_t *buffer)
{
    gyre_status status = GYRE_OK;

    while (status == GYRE_OK && from < end) {
        const uint32_t size = (uint32_t)gy_min_u64(end - from, CHUNK);

        status = gy_file_await_read(loop, file, GY_IO_META, buffer, size, from);
        if (status == GYRE_OK) {
            status = gy_file_await_write(loop, file, GY_IO_META, buffer, size, from, 0);
        }
        from += size;
    }
    return status;
}

GY_SUSPENDS gyre_status
gy_wal_await_confirm(struct gy_loop *loop, const struct gy_file *file, uint64_t durable,
                     uint64_t end)
{
    uint8_t *buffer;
    gyre_status status;

    if (durable >= end) {
        return GYRE_OK;
    }
    buffer = gy_heap_map(&loop->heap, CHUNK, GY_MEM_BUFFERS);
    if (buffer == NULL) {
        return gy_fail(&loop->sched, GYRE_NO_MEMORY, "no memory to read a log; raise memory_limit");
    }
    status = await_rewrite(loop, file, durable, end, buffer);
    gy_heap_unmap(&loop->heap, buffer, CHUNK, GY_MEM_BUFFERS);
    return status == GYRE_OK ? gy_file_await_sync(loop, file, GY_IO_META) : status;
}
