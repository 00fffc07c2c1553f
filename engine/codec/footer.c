/* footer.c - last page of an SSTable; see footer.h for the bytes. */
#include "engine/codec/footer.h"

#include "engine/codec/checksum.h"
#include "engine/codec/coding.h"
#include "io/base/assert.h"
#include "io/base/ban.h"

#define COMPARATOR_OFFSET 168u
#define COMPARATOR_SIZE 32u
#define USED_SIZE 204u
#define VERSION_OFFSET 12u

_Static_assert(sizeof(GY_COMPARATOR_NAME) <= COMPARATOR_SIZE, "the name fits its field");

/* The one list of fixed-size fields, so that both directions cannot disagree: X(width, offset,
 * member). */
#define FIELDS(X)                 \
    X(u64, 16, incompatible)      \
    X(u64, 24, compatible)        \
    X(u64, 32, store_id)          \
    X(u64, 40, file_id)           \
    X(u32, 48, keyspace)          \
    X(u32, 52, level)             \
    X(u64, 56, file_size)         \
    X(u64, 64, top.offset)        \
    X(u32, 72, top.size)          \
    X(u32, 76, compression)       \
    X(u64, 80, entry_count)       \
    X(u64, 88, delete_count)      \
    X(u64, 96, sequence_min)      \
    X(u64, 104, sequence_max)     \
    X(u64, 112, key_bytes)        \
    X(u64, 120, value_bytes)      \
    X(u64, 128, data_block_count) \
    X(u64, 136, partition_count)  \
    X(u64, 144, content_hash)     \
    X(u64, 152, filter_bytes)     \
    X(u32, 160, bloom_bits)       \
    X(u32, 164, block_size)       \
    X(u32, 200, key_size_max)

void
gy_footer_encode(uint8_t target[GY_FOOTER_SIZE], const struct gy_footer *footer)
{
    memset(target, 0, GY_FOOTER_SIZE);
    gy_put_u32(target + 8, GY_FOOTER_MAGIC);
    gy_put_u32(target + VERSION_OFFSET, GY_FORMAT_TABLE);
#define X(width, offset, member) gy_put_##width(target + (offset), footer->member);
    FIELDS(X)
#undef X
    memcpy(target + COMPARATOR_OFFSET, GY_COMPARATOR_NAME, sizeof(GY_COMPARATOR_NAME));
    gy_put_u64(target, gy_checksum(target + 8, GY_FOOTER_SIZE - 8, 0));
}

static bool
is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool
is_sound(const struct gy_footer *footer, uint64_t file_size)
{
    if (footer->file_size != file_size || file_size % GY_PAGE != 0 ||
        file_size < 2 * GY_FOOTER_SIZE) {
        return false;
    }
    if (footer->top.size <= GY_BLOCK_TRAILER_SIZE ||
        footer->top.offset > file_size - GY_FOOTER_SIZE ||
        footer->top.size > file_size - GY_FOOTER_SIZE - footer->top.offset) {
        return false;
    }
    return footer->compression <= GY_BLOCK_ZSTD && footer->entry_count != 0 &&
           footer->delete_count <= footer->entry_count && footer->partition_count != 0 &&
           footer->data_block_count != 0 && footer->data_block_count <= footer->entry_count &&
           footer->partition_count <= footer->data_block_count &&
           footer->sequence_min <= footer->sequence_max &&
           footer->sequence_max <= GY_SEQUENCE_MAX && footer->key_size_max >= 1 &&
           footer->key_size_max <= GY_KEY_SIZE_MAX;
}

gyre_status
gy_footer_decode(const uint8_t source[GY_FOOTER_SIZE], uint64_t file_size,
                 struct gy_footer *ret_footer)
{
    char name[COMPARATOR_SIZE] = GY_COMPARATOR_NAME;
    struct gy_footer footer;

    if (gy_get_u32(source + 8) != GY_FOOTER_MAGIC ||
        !gy_checksum_fits(gy_get_u64(source), gy_checksum(source + 8, GY_FOOTER_SIZE - 8, 0))) {
        return GYRE_CORRUPT;
    }
#define X(width, offset, member) footer.member = gy_get_##width(source + (offset));
    FIELDS(X)
#undef X
    if (gy_get_u32(source + VERSION_OFFSET) != GY_FORMAT_TABLE ||
        (footer.incompatible & ~(uint64_t)GY_FEATURES_INCOMPATIBLE_KNOWN) != 0 ||
        memcmp(source + COMPARATOR_OFFSET, name, sizeof(name)) != 0) {
        return GYRE_UNSUPPORTED;
    }
    if (!is_sound(&footer, file_size)) {
        return GYRE_CORRUPT;
    }
    /* A writer that knows a compatible feature may keep something in the rest of the page. */
    if (footer.compatible == 0 && !is_zero(source + USED_SIZE, GY_FOOTER_SIZE - USED_SIZE)) {
        return GYRE_CORRUPT;
    }
    *ret_footer = footer;
    return GYRE_OK;
}

uint64_t
gy_entry_hash(const struct gy_entry *entry)
{
    const uint64_t key_hash = gy_checksum(entry->key.data, entry->key.size, entry->tag);

    /* Seeded with the key's hash, so that two entries that swap values do not cancel out. */
    return gy_checksum(entry->value.data, entry->value.size, key_hash);
}
