/* table_output.h - the stream of bytes of a table that is being written: collects them in buffers
 * of GY_BUFFER_SIZE and keeps writes in flight while the next buffer fills. Private to the table
 * writer.
 *
 * Owns: the file and one or two buffers of the arena. With one (the arena had no second at once)
 * each write is waited for: two jobs that each hold one can never wait for each other.
 *   U1  The first failure is sticky: no further write is started.
 *   U2  Every byte that reaches the file was appended: gaps are zeroed, never what the buffer held
 *       before.
 */
#ifndef GY_TABLE_OUTPUT_H
#define GY_TABLE_OUTPUT_H

#include "io/arena.h"
#include "io/file.h"

struct gy_table_output {
    struct gy_loop *loop;
    struct gy_arena *arena;
    const struct gy_file *dir;
    struct gy_file file;
    enum gy_io_class klass;
    gyre_status status;  /* U1 */
    uint8_t *buffers[2]; /* [1] may be NULL */
    struct gy_req writes[2];
    bool in_flight[2];
    uint32_t current;
    uint32_t fill;      /* bytes in the current buffer */
    uint64_t base;      /* offset in the file of the current buffer */
    uint64_t allocated; /* blocks are reserved up to there */
    uint64_t size_max;  /* the file is no larger; a refused reserve may have kept some of it */
    uint64_t synced;    /* offset at which the last sync was started */
    struct gy_req sync;
    bool sync_in_flight;
};

/* Zeroed `output`; close it also when this fails. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_output_await_open(
    struct gy_table_output *output, struct gy_loop *loop, struct gy_arena *arena,
    const struct gy_file *dir, const char *name, uint64_t size_expected, enum gy_io_class klass);
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_output_await_append(struct gy_table_output *output,
                                                                    const void *bytes, size_t size);
/* Zeros up to the next page. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_output_await_pad(struct gy_table_output *output);
/* Write the rest (whole pages), cut the file to its size, fdatasync. */
GY_SUSPENDS GYRE_NODISCARD gyre_status gy_table_output_await_finish(struct gy_table_output *output);
/* Wait for what is in flight, give everything back; remove the file unless `keep`. */
GY_SUSPENDS void gy_table_output_await_close(struct gy_table_output *output, bool keep);

static inline uint64_t
gy_table_output_position(const struct gy_table_output *output)
{
    return output->base + output->fill;
}

#endif
