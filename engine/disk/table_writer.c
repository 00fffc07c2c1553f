/* table_writer.c - entries in order become a table: blocks, partitions, top index, footer; see
 * table_writer.h for T1 to T5. The bytes go out through table_output.c. */
#include "engine/disk/table_writer.h"

#include <string.h>

#include "engine/codec/footer.h"
#include "engine/codec/partition.h"
#include "engine/disk/names.h"
#include "engine/disk/table_hashes.h"
#include "engine/disk/table_output.h"
#include "engine/disk/table_packing.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/checked.h"
#include "io/base/fail.h"
#include "io/base/ban.h"

#define PARTITION_PAGES 2u /* target of a partition: filter and index in one read of 8 KiB */
#define BUILDER_SIZE_FIRST (32u * GY_KIB)
#define KEY_SIZE_FIRST 256u

/* Memory that grows by doubling. */
struct area {
    uint8_t *data;
    uint32_t size;
};

struct gy_table_writer {
    struct gy_table_writer_options options;
    struct gy_table_output output;
    gyre_status status; /* sticky: a writer that failed takes nothing more */
    bool finished;

    struct gy_block_builder data; /* its last key is the table's last key so far */
    struct gy_block_builder index;
    struct gy_block_builder top;
    struct area scratch; /* compressed block, partition, footer */
    struct area separator;
    struct area check_key;
    uint32_t separator_size;
    uint64_t separator_tag;
    uint64_t last_tag;
    uint8_t *smallest;
    uint32_t smallest_size;

    struct gy_table_packing packing;
    struct gy_table_hashes hashes; /* of the partition's keys */
    uint32_t partition_size;       /* filter and index so far */

    uint64_t block_hash; /* sum over the entries added to the current block */
    struct gy_footer footer;
};

static gyre_status
fail(struct gy_table_writer *writer, gyre_status st, const char *text)
{
    return gy_fail_at(&writer->options.loop->sched, st, writer->output.file.name, GY_NO_OFFSET, 0,
                      "%s", text);
}

/* ---- Memory ---- */

static struct gy_heap *
heap_of(struct gy_table_writer *writer)
{
    return &writer->options.loop->heap;
}

static gyre_status
grow(struct gy_table_writer *writer, struct area *area, uint64_t size)
{
    const uint64_t doubled = gy_max_u64(size, 2 * (uint64_t)area->size);
    uint8_t *data;

    if (size <= area->size) {
        return GYRE_OK;
    }
    gy_assert(doubled <= UINT32_MAX);
    data = gy_heap_realloc(heap_of(writer), area->data, (size_t)doubled, GY_MEM_BUFFERS);
    if (data == NULL) {
        return fail(writer, GYRE_NO_MEMORY, "no memory to write the table");
    }
    area->data = data;
    area->size = (uint32_t)doubled;
    return GYRE_OK;
}

/* Room for one more entry, and for the trailer behind the body. */
static gyre_status
grow_builder(struct gy_table_writer *writer, struct gy_block_builder *builder,
             const struct gy_entry *entry)
{
    struct area data = {.data = builder->data,
                        .size =
                            builder->data != NULL ? builder->capacity + GY_BLOCK_TRAILER_SIZE : 0};
    struct area key = {.data = builder->key_buffer, .size = builder->key_capacity};
    const uint64_t size = gy_block_builder_size_with(builder, entry) + GY_BLOCK_TRAILER_SIZE;
    gyre_status st = grow(writer, &data, gy_max_u64(size, BUILDER_SIZE_FIRST));

    if (st != GYRE_OK) {
        return st;
    }
    builder->data = data.data;
    builder->capacity = data.size - GY_BLOCK_TRAILER_SIZE;
    st = grow(writer, &key, gy_max_u64(entry->key.size, KEY_SIZE_FIRST));
    if (st != GYRE_OK) {
        return st;
    }
    builder->key_buffer = key.data;
    builder->key_capacity = key.size;
    return GYRE_OK;
}

static void
builder_fini(struct gy_heap *heap, struct gy_block_builder *builder)
{
    gy_heap_free(heap, builder->data);
    gy_heap_free(heap, builder->key_buffer);
}

/* ---- Open and close ---- */

gyre_status
gy_table_writer_await_open(const struct gy_table_writer_options *options,
                           struct gy_table_writer **ret_writer)
{
    struct gy_heap *heap = &options->loop->heap;
    struct gy_table_writer *writer = gy_heap_zalloc(heap, sizeof(*writer), GY_MEM_BUFFERS);
    char name[GY_NAME_MAX];
    gyre_status st;

    if (writer == NULL) {
        return gy_fail(&options->loop->sched, GYRE_NO_MEMORY, "no memory to write a table");
    }
    writer->options = *options;
    gy_table_packing_init(&writer->packing, options->block_size, options->compress);
    gy_block_builder_init(&writer->data, GY_BLOCK_RESTART_INTERVAL, NULL, 0, NULL, 0);
    gy_block_builder_init(&writer->index, GY_BLOCK_RESTART_INTERVAL_INDEX, NULL, 0, NULL, 0);
    gy_block_builder_init(&writer->top, GY_BLOCK_RESTART_INTERVAL_INDEX, NULL, 0, NULL, 0);
    writer->footer.sequence_min = GY_SEQUENCE_MAX;
    gy_name_table(name, options->number);
    st = gy_table_output_await_open(&writer->output, options->loop, options->arena, options->dir,
                                    name, options->size_expected, options->klass);
    if (st != GYRE_OK) {
        gy_table_writer_await_close(writer);
        return st;
    }
    *ret_writer = writer;
    return GYRE_OK;
}

void
gy_table_writer_await_close(struct gy_table_writer *writer)
{
    struct gy_heap *heap;

    if (writer == NULL) {
        return;
    }
    heap = heap_of(writer);
    gy_table_output_await_close(&writer->output, writer->finished);
    builder_fini(heap, &writer->data);
    builder_fini(heap, &writer->index);
    builder_fini(heap, &writer->top);
    gy_heap_free(heap, writer->scratch.data);
    gy_heap_free(heap, writer->separator.data);
    gy_heap_free(heap, writer->check_key.data);
    gy_heap_free(heap, writer->smallest);
    gy_table_hashes_fini(&writer->hashes, heap);
    gy_heap_free(heap, writer);
}

uint64_t
gy_table_writer_size(const struct gy_table_writer *writer)
{
    return gy_table_output_position(&writer->output) + writer->data.used + writer->partition_size;
}

uint64_t
gy_table_writer_count(const struct gy_table_writer *writer)
{
    return writer->footer.entry_count;
}

/* ---- Writing one block ---- */

/* Seal `size` bytes of body at `body` (with room for the trailer) and append them. */
GY_SUSPENDS static gyre_status
await_block(struct gy_table_writer *writer, uint8_t *body, uint32_t size,
            enum gy_block_compression compression, enum gy_block_kind kind, uint32_t raw_size,
            struct gy_block_handle *ret_handle)
{
    gyre_status st = GYRE_OK;

    if (compression == GY_BLOCK_RAW) {
        st = gy_table_output_await_pad(&writer->output);
        if (st != GYRE_OK) {
            return st;
        }
    }
    ret_handle->offset = gy_table_output_position(&writer->output);
    ret_handle->size = size + GY_BLOCK_TRAILER_SIZE;
    gy_block_seal(body, size, compression, kind, raw_size, writer->options.file_id,
                  ret_handle->offset);
    return gy_table_output_await_append(&writer->output, body, ret_handle->size);
}

/* Read the block back before it leaves: count and sum of hashes must be those of what was added
 * (T2). */
static gyre_status
check_data(struct gy_table_writer *writer, uint32_t size)
{
    struct gy_block_iter iter;
    struct gy_block block;
    uint64_t sum = 0;
    uint32_t count = 0;
    gyre_status st;

    st = grow(writer, &writer->check_key, writer->footer.key_size_max);
    if (st != GYRE_OK) {
        return st;
    }
    if (gy_block_open(writer->data.data, size, &block) == GYRE_OK) {
        gy_block_iter_init(&iter, &block, writer->check_key.data, writer->check_key.size);
        for (gy_block_iter_first(&iter); iter.valid; gy_block_iter_next(&iter)) {
            sum += gy_entry_hash(&iter.entry);
            count++;
        }
    }
    if (count != writer->data.entry_count || sum != writer->block_hash) {
        return fail(
            writer, GYRE_CORRUPT,
            "a block does not read back as it was built: is the memory of this machine sound?");
    }
    writer->footer.content_hash += sum;
    writer->block_hash = 0;
    return GYRE_OK;
}

/* A compressed block in scratch, 0 when it would save less than 1/8. */
static uint32_t
compress_data(struct gy_table_writer *writer, uint32_t size)
{
    const uint32_t most = size - size / GY_PACKING_WASTE_SHARE;

    if (!writer->options.compress || size > GY_BLOCK_SIZE_MAX ||
        grow(writer, &writer->scratch, (uint64_t)most + GY_BLOCK_TRAILER_SIZE) != GYRE_OK) {
        return 0;
    }
    return gy_compress(writer->options.compressor, writer->options.compression_level,
                       writer->scratch.data, most, writer->data.data, size);
}

/* The separator between the table's last entry so far and `next` (NULL: there is none); see
 * partition.h. */
static gyre_status
set_separator(struct gy_table_writer *writer, const struct gy_entry *next)
{
    const struct gyre_slice last = gyre_slice(writer->data.key_buffer, writer->data.last_key_size);
    gyre_status st = grow(writer, &writer->separator, gy_max_u64(last.size, KEY_SIZE_FIRST));

    if (st != GYRE_OK) {
        return st;
    }
    writer->separator_tag = 0;
    if (next != NULL && gy_key_compare(last, next->key) < 0) {
        writer->separator_size =
            (uint32_t)gy_key_separator(last, next->key, writer->separator.data);
        writer->separator_size -= GY_MUTANT(separator_too_small) && writer->separator_size > 1;
        return GYRE_OK;
    }
    memcpy(writer->separator.data, last.data, last.size);
    writer->separator_size = (uint32_t)last.size;
    if (next != NULL) {
        writer->separator_tag = writer->last_tag; /* more versions of this key follow */
    }
    return GYRE_OK;
}

static gyre_status
add_handle(struct gy_table_writer *writer, struct gy_block_builder *builder,
           const struct gy_block_handle *handle)
{
    uint8_t bytes[GY_BLOCK_HANDLE_SIZE_MAX];
    const struct gy_entry entry = {
        .key = gyre_slice(writer->separator.data, writer->separator_size),
        .tag = writer->separator_tag,
        .value = gyre_slice(bytes, gy_block_handle_encode(bytes, handle))};
    const gyre_status st = grow_builder(writer, builder, &entry);

    if (st == GYRE_OK) {
        gy_block_builder_add(builder, &entry);
    }
    return st;
}

/* ---- Partitions ---- */

/* Filter and index in scratch; its size, 0: failed, the error is set. */
static uint32_t
build_partition(struct gy_table_writer *writer)
{
    const uint32_t bits = writer->options.bloom_bits;
    const uint32_t filter_size = gy_filter_size(writer->hashes.count, bits);
    const uint32_t index_size = gy_block_builder_finish(&writer->index);
    const uint32_t size = filter_size + index_size + GY_PARTITION_TAIL_SIZE;
    uint8_t *target;

    if (grow(writer, &writer->scratch, (uint64_t)size + GY_BLOCK_TRAILER_SIZE) != GYRE_OK) {
        return 0;
    }
    target = writer->scratch.data;
    if (!gy_table_hashes_build(&writer->hashes, bits, target, filter_size)) {
        (void)fail(writer, GYRE_CORRUPT,
                   "a filter does not hold its keys: is the memory of this machine sound?");
        return 0;
    }
    memcpy(target + filter_size, writer->index.data, index_size);
    gy_partition_tail(target + filter_size + index_size, filter_size, gy_filter_probes(bits));
    writer->footer.filter_bytes += filter_size;
    return size;
}

GY_SUSPENDS static gyre_status
await_cut_partition(struct gy_table_writer *writer)
{
    const uint32_t size = build_partition(writer);
    struct gy_block_handle handle;
    gyre_status st;

    if (size == 0) {
        return gy_sched_error(&writer->options.loop->sched)->status;
    }
    st = await_block(writer, writer->scratch.data, size, GY_BLOCK_RAW, GY_BLOCK_PARTITION, size,
                     &handle);
    if (st == GYRE_OK) {
        st = gy_table_output_await_pad(&writer->output);
    }
    if (st == GYRE_OK) {
        st = add_handle(writer, &writer->top, &handle);
    }
    writer->footer.partition_count++;
    writer->hashes.count = 0;
    writer->partition_size = 0;
    gy_block_builder_reset(&writer->index);
    return st;
}

/* Cut when the next data block would probably lead past the target: it will need about as much as
 * this one. */
static bool
is_partition_full(struct gy_table_writer *writer)
{
    const uint32_t size = gy_filter_size(writer->hashes.count, writer->options.bloom_bits) +
                          gy_block_builder_size(&writer->index) + GY_PARTITION_TAIL_SIZE +
                          GY_BLOCK_TRAILER_SIZE;
    const uint32_t growth = size - (uint32_t)gy_min_u64(writer->partition_size, size);

    writer->partition_size = size;
    return size + growth > PARTITION_PAGES * GY_PAGE;
}

/* ---- Data blocks ---- */

/* Finish the data block, which `next` (NULL: nothing) follows. */
GY_SUSPENDS static gyre_status
await_cut_data(struct gy_table_writer *writer, const struct gy_entry *next)
{
    const uint32_t size = gy_block_builder_finish(&writer->data);
    struct gy_block_handle handle;
    uint32_t compressed;
    gyre_status st = check_data(writer, size);

    if (st != GYRE_OK) {
        return st;
    }
    compressed = compress_data(writer, size);
    if (compressed != 0) {
        writer->footer.compression = GY_BLOCK_ZSTD;
        st = await_block(writer, writer->scratch.data, compressed, GY_BLOCK_ZSTD, GY_BLOCK_DATA,
                         size, &handle);
    } else {
        st = await_block(writer, writer->data.data, size, GY_BLOCK_RAW, GY_BLOCK_DATA, size,
                         &handle);
        if (st == GYRE_OK) { /* whoever reads it reads whole pages */
            st = gy_table_output_await_pad(&writer->output);
        }
    }
    if (st == GYRE_OK) {
        st = set_separator(writer, next);
    }
    if (st == GYRE_OK) {
        st = add_handle(writer, &writer->index, &handle);
    }
    if (st != GYRE_OK) {
        return st;
    }
    writer->footer.data_block_count++;
    gy_block_builder_reset(&writer->data);
    if (is_partition_full(writer) || next == NULL) {
        st = await_cut_partition(writer);
    }
    gy_await_turn(&writer->options.loop->sched); /* T5 */
    return st;
}

/* ---- Adding ---- */

static gyre_status
check_entry(struct gy_table_writer *writer, const struct gy_entry *entry)
{
    const struct gyre_slice last = gyre_slice(writer->data.key_buffer, writer->data.last_key_size);

    if (entry->key.size == 0 || entry->key.size > GY_KEY_SIZE_MAX ||
        entry->value.size > GY_VALUE_SIZE_MAX || gy_tag_kind(entry->tag) > GY_KIND_PUT) {
        return fail(writer, GYRE_CORRUPT, "an entry that was to be written is out of its limits");
    }
    if (writer->footer.entry_count != 0 &&
        gy_entry_compare(last, writer->last_tag, entry->key, entry->tag) >= 0) {
        return fail(writer, GYRE_CORRUPT,
                    "entries that were to be written are out of order"); /* T1 */
    }
    return GYRE_OK;
}

static gyre_status
set_smallest(struct gy_table_writer *writer, struct gyre_slice key)
{
    if (writer->smallest != NULL) {
        return GYRE_OK;
    }
    writer->smallest = gy_heap_alloc(heap_of(writer), key.size, GY_MEM_BUFFERS);
    if (writer->smallest == NULL) {
        return fail(writer, GYRE_NO_MEMORY, "no memory to write the table");
    }
    memcpy(writer->smallest, key.data, key.size);
    writer->smallest_size = (uint32_t)key.size;
    return GYRE_OK;
}

/* A key of several versions counts once in each partition. */
static gyre_status
add_hash(struct gy_table_writer *writer, struct gyre_slice key)
{
    const struct gyre_slice last = gyre_slice(writer->data.key_buffer, writer->data.last_key_size);

    if (writer->options.bloom_bits == 0 ||
        (writer->hashes.count != 0 && gy_key_compare(last, key) == 0) ||
        gy_table_hashes_add(&writer->hashes, heap_of(writer), key)) {
        return GYRE_OK;
    }
    return fail(writer, GYRE_NO_MEMORY, "no memory to write the table");
}

static void
account(struct gy_footer *footer, const struct gy_entry *entry)
{
    const uint64_t sequence = gy_tag_sequence(entry->tag);

    footer->entry_count++;
    footer->delete_count += gy_tag_kind(entry->tag) == GY_KIND_DELETE;
    footer->sequence_min = gy_min_u64(footer->sequence_min, sequence);
    footer->sequence_max = gy_max_u64(footer->sequence_max, sequence);
    footer->key_bytes += entry->key.size;
    footer->value_bytes += entry->value.size;
    footer->key_size_max = (uint32_t)gy_max_u64(footer->key_size_max, entry->key.size);
}

static uint64_t
size_with(const struct gy_block_builder *data, const struct gy_entry *entry)
{
    return gy_block_builder_size_with(data, entry) + GY_BLOCK_TRAILER_SIZE;
}

GY_SUSPENDS static gyre_status
await_add(struct gy_table_writer *writer, const struct gy_entry *entry)
{
    const struct gy_block_builder *data = &writer->data;
    gyre_status st = check_entry(writer, entry);

    if (st == GYRE_OK) {
        st = set_smallest(writer, entry->key);
    }
    if (st == GYRE_OK && data->entry_count != 0 &&
        !gy_table_packing_takes(&writer->packing,
                                gy_block_builder_size(data) + GY_BLOCK_TRAILER_SIZE,
                                size_with(data, entry))) {
        st = await_cut_data(writer, entry);
    }
    if (st == GYRE_OK && data->entry_count == 0) {
        gy_table_packing_begin(&writer->packing, size_with(data, entry));
    }
    if (st == GYRE_OK) {
        st = add_hash(writer, entry->key);
    }
    if (st == GYRE_OK) {
        st = grow_builder(writer, &writer->data, entry);
    }
    if (st != GYRE_OK) {
        return st;
    }
    gy_block_builder_add(&writer->data, entry);
    writer->block_hash += gy_entry_hash(entry);
    writer->last_tag = entry->tag;
    account(&writer->footer, entry);
    return GYRE_OK;
}

gyre_status
gy_table_writer_await_add(struct gy_table_writer *writer, const struct gy_entry *entry)
{
    gy_assert(!writer->finished);
    if (writer->status == GYRE_OK) {
        writer->status = await_add(writer, entry);
    }
    return writer->status;
}

/* ---- Finish ---- */

GY_SUSPENDS static gyre_status
await_tail(struct gy_table_writer *writer)
{
    struct gy_footer *footer = &writer->footer;
    const uint32_t top_size = gy_block_builder_finish(&writer->top);
    gyre_status st = await_block(writer, writer->top.data, top_size, GY_BLOCK_RAW,
                                 GY_BLOCK_TOP_INDEX, top_size, &footer->top);

    if (st == GYRE_OK) {
        st = gy_table_output_await_pad(&writer->output);
    }
    if (st == GYRE_OK) {
        st = grow(writer, &writer->scratch, GY_FOOTER_SIZE);
    }
    if (st != GYRE_OK) {
        return st;
    }
    footer->store_id = writer->options.store_id;
    footer->file_id = writer->options.file_id;
    footer->keyspace = writer->options.keyspace;
    footer->level = writer->options.level;
    footer->bloom_bits = writer->options.bloom_bits;
    footer->block_size = writer->options.block_size;
    footer->file_size = gy_table_output_position(&writer->output) + GY_FOOTER_SIZE;
    gy_footer_encode(writer->scratch.data, footer);
    return gy_table_output_await_append(&writer->output, writer->scratch.data, GY_FOOTER_SIZE);
}

gyre_status
gy_table_writer_await_finish(struct gy_table_writer *writer, struct gy_table_meta *ret_meta)
{
    const struct gy_footer *footer = &writer->footer;
    gyre_status st = writer->status;

    gy_assert(!writer->finished);
    if (st == GYRE_OK && footer->entry_count == 0) {
        st = fail(writer, GYRE_INVALID, "a table without entries is not written");
    }
    if (st == GYRE_OK) {
        st = await_cut_data(writer, NULL);
    }
    if (st == GYRE_OK) {
        st = await_tail(writer);
    }
    if (st == GYRE_OK) {
        st = gy_table_output_await_finish(&writer->output);
    }
    writer->status = st;
    if (st != GYRE_OK) {
        return st;
    }
    writer->finished = true;
    *ret_meta = (struct gy_table_meta){
        .keyspace = footer->keyspace,
        .level = footer->level,
        .number = writer->options.number,
        .file_id = footer->file_id,
        .size = footer->file_size,
        .entry_count = footer->entry_count,
        .delete_count = footer->delete_count,
        .sequence_min = footer->sequence_min,
        .sequence_max = footer->sequence_max,
        .smallest = gyre_slice(writer->smallest, writer->smallest_size),
        .largest = gyre_slice(writer->data.key_buffer, writer->data.last_key_size)};
    return GYRE_OK;
}
