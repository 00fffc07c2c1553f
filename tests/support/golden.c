/* golden.c - see golden.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/golden.h"

uint8_t *
golden_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size);

    assert_true(copy != NULL || size == 0);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

uint8_t *
golden_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes;
    long size;

    if (file == NULL) {
        fail_msg("cannot open %s", path);
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    assert_true(size > 0);
    rewind(file);
    bytes = malloc((size_t)size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), (size_t)size);
    assert_int_equal(fclose(file), 0);
    *ret_size = (size_t)size;
    return bytes;
}

static void
golden_write(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL) {
        fail_msg("cannot write %s", path);
    }
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void
golden_check(const char *path, const uint8_t *bytes, size_t size)
{
    uint8_t *frozen;
    size_t frozen_size;

    if (getenv("GYRE_GOLDEN_WRITE") != NULL) {
        golden_write(path, bytes, size);
        return;
    }
    frozen = golden_read(path, &frozen_size);
    assert_int_equal(frozen_size, size);
    assert_memory_equal(frozen, bytes, size);
    free(frozen);
}
