/* golden.h - bytes of a format, frozen in tests/golden.
 *
 * A file that differs from what is encoded now means that stores of released versions cannot be
 * read any more. With GYRE_GOLDEN_WRITE=1 in the environment the file is written instead of
 * compared: only for a new format version.
 */
#ifndef GYRE_TEST_GOLDEN_H
#define GYRE_TEST_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

/* Fails the test unless `path` holds exactly these bytes. */
void golden_check(const char *path, const uint8_t *bytes, size_t size);

/* The bytes of a file in a block of exactly their size, where a sanitizer sees one byte too far.
 * The caller frees it. Fails the test when the file cannot be read. */
uint8_t *golden_read(const char *path, size_t *ret_size);

/* A copy in a block of exactly that size, for the same reason. */
uint8_t *golden_copy(const uint8_t *bytes, size_t size);

#endif
