/* check.h - the assertion of the programs that run under an emulator, where no test library is. */
#ifndef GY_TESTS_AARCH64_CHECK_H
#define GY_TESTS_AARCH64_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                       \
        }                                                                                  \
    } while (0)

#endif
