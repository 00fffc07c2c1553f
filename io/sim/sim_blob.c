/* sim_blob.c - see sim_blob.h. */
#include <string.h>

#include "io/base/assert.h"
#include "io/sim/sim_state.h"

static const uint8_t zeros[GY_PAGE];

static uint32_t
page_count(size_t size)
{
    return (uint32_t)((size + GY_PAGE - 1) / GY_PAGE);
}

/* Bytes of the blob that lie in its page `index`. */
static size_t
length_in(const struct gy_sim_blob *blob, uint32_t index)
{
    return gy_min_u64(GY_PAGE, blob->size - (size_t)index * GY_PAGE);
}

static const uint8_t *
bytes_in(const struct gy_sim_blob *blob, uint32_t index)
{
    return blob->pages[index] != NULL ? blob->pages[index]->bytes : zeros;
}

struct gy_sim_blob *
gy_sim_blob_make(struct gy_heap *heap, const void *bytes, size_t size)
{
    const uint32_t count = page_count(size);
    struct gy_sim_blob *blob = gy_sim_zalloc(heap, sizeof(*blob) + count * sizeof(blob->pages[0]));
    const uint8_t *at = bytes;

    blob->refs = 1;
    blob->size = size;
    for (uint32_t i = 0; i < count; i++) {
        const size_t length = length_in(blob, i);

        if (memcmp(at, zeros, length) != 0) {
            blob->pages[i] = gy_sim_page_make_of(heap, at, length);
        }
        at += length;
    }
    return blob;
}

struct gy_sim_blob *
gy_sim_blob_get(struct gy_sim_blob *blob)
{
    if (blob != NULL) {
        blob->refs++;
    }
    return blob;
}

void
gy_sim_blob_put(struct gy_heap *heap, struct gy_sim_blob *blob)
{
    if (blob == NULL) {
        return;
    }
    gy_assert(blob->refs > 0);
    blob->refs--;
    if (blob->refs > 0) {
        return;
    }
    for (uint32_t i = 0; i < page_count(blob->size); i++) {
        gy_sim_page_put(heap, blob->pages[i]);
    }
    gy_heap_free(heap, blob);
}

bool
gy_sim_blob_holds(const struct gy_sim_blob *blob, const void *bytes)
{
    const uint8_t *at = bytes;

    for (uint32_t i = 0; i < page_count(blob->size); i++) {
        if (memcmp(at, bytes_in(blob, i), length_in(blob, i)) != 0) {
            return false;
        }
        at += length_in(blob, i);
    }
    return true;
}

void
gy_sim_blob_read(const struct gy_sim_blob *blob, size_t offset, size_t size, void *target)
{
    uint8_t *to = target;

    gy_assert(size <= blob->size && offset <= blob->size - size);
    while (size > 0) {
        const size_t from = offset % GY_PAGE;
        const size_t length = gy_min_u64(size, GY_PAGE - from);

        memcpy(to, bytes_in(blob, (uint32_t)(offset / GY_PAGE)) + from, length);
        to += length;
        offset += length;
        size -= length;
    }
}

struct gy_sim_page *
gy_sim_blob_page(const struct gy_sim_blob *blob, size_t offset)
{
    gy_assert(offset % GY_PAGE == 0 && offset < blob->size);
    gy_assert(length_in(blob, (uint32_t)(offset / GY_PAGE)) == GY_PAGE);
    return gy_sim_page_get(blob->pages[offset / GY_PAGE]);
}

static struct gy_sim_blob *
copy_of(struct gy_heap *heap, const struct gy_sim_blob *blob)
{
    const uint32_t count = page_count(blob->size);
    struct gy_sim_blob *copy = gy_sim_zalloc(heap, sizeof(*copy) + count * sizeof(copy->pages[0]));

    copy->refs = 1;
    copy->size = blob->size;
    for (uint32_t i = 0; i < count; i++) {
        copy->pages[i] = gy_sim_page_get(blob->pages[i]);
    }
    return copy;
}

struct gy_sim_blob *
gy_sim_blob_flipped(struct gy_heap *heap, const struct gy_sim_blob *blob, uint64_t bit)
{
    struct gy_sim_blob *copy = copy_of(heap, blob);
    struct gy_sim_page **page = &copy->pages[bit / 8 / GY_PAGE];
    struct gy_sim_page *before = *page;

    gy_assert(bit / 8 < blob->size);
    *page = gy_sim_page_make(heap, before);
    (*page)->bytes[bit / 8 % GY_PAGE] ^= (uint8_t)(1u << (bit % 8));
    gy_sim_page_put(heap, before);
    return copy;
}

struct gy_sim_blob *
gy_sim_blob_zeroed(struct gy_heap *heap, const struct gy_sim_blob *blob, uint32_t page)
{
    struct gy_sim_blob *copy = copy_of(heap, blob);

    gy_assert(page < page_count(blob->size));
    gy_sim_page_put(heap, copy->pages[page]);
    copy->pages[page] = NULL;
    return copy;
}

uint64_t
gy_sim_blob_hash(const struct gy_sim_blob *blob, uint64_t seed)
{
    uint64_t hash = gy_mix64(seed ^ blob->size);

    for (uint32_t i = 0; i < page_count(blob->size); i++) {
        hash = blob->pages[i] == NULL
                   ? gy_mix64(hash + 1)
                   : gy_sim_hash(hash, blob->pages[i]->bytes, length_in(blob, i));
    }
    return hash;
}
