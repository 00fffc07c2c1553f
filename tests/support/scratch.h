/* scratch.h - a directory of its own for a test, on a real file system: below $TMPDIR or /tmp. */
#ifndef GY_TEST_SCRATCH_H
#define GY_TEST_SCRATCH_H

#define SCRATCH_PATH_MAX 256

/* Make an empty directory (0700); asserts that it can. */
void scratch_make(char path[SCRATCH_PATH_MAX]);
/* Remove it with everything in it. */
void scratch_remove(const char *path);

#endif
