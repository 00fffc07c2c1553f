/* scratch.c - see scratch.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "tests/support/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

void
scratch_make(char path[SCRATCH_PATH_MAX])
{
    const char *top = getenv("TMPDIR");

    (void)snprintf(path, SCRATCH_PATH_MAX, "%s/gyre-test-XXXXXX",
                   top != NULL && top[0] == '/' ? top : "/tmp");
    if (mkdtemp(path) == NULL) {
        perror(path);
        abort();
    }
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

void
scratch_remove(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
