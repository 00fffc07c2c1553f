/* names.c - names of a store's files; see names.h. */
#include "engine/disk/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/codec/limits.h"
#include "io/base/assert.h"
#include "io/base/ban.h"

void
gy_name_table(char target[GY_NAME_MAX], uint64_t number)
{
    gy_assert(number <= GY_FILE_NUMBER_MAX);
    (void)snprintf(target, GY_NAME_MAX, "%06" PRIu64 ".sst", number);
}

void
gy_name_manifest(char target[GY_NAME_MAX], uint64_t number)
{
    gy_assert(number <= GY_FILE_NUMBER_MAX);
    (void)snprintf(target, GY_NAME_MAX, "MANIFEST-%06" PRIu64, number);
}

void
gy_name_log_slot(char target[GY_NAME_MAX], uint32_t slot)
{
    gy_assert(slot < GY_WAL_SLOT_MAX);
    (void)snprintf(target, GY_NAME_MAX, "wal-%03" PRIu32 ".log", slot);
}

/* Digits at the start of `text`; the position after them, or NULL when there are none or too many.
 * */
static const char *
parse_number(const char *text, uint64_t *ret_number)
{
    const char *at = text;
    uint64_t number = 0;

    while (*at >= '0' && *at <= '9') {
        number = number * 10 + (uint64_t)(*at - '0');
        if (number > GY_FILE_NUMBER_MAX) {
            return NULL;
        }
        at++;
    }
    *ret_number = number;
    return at != text ? at : NULL;
}

enum gy_file_kind
gy_name_parse(const char *name, uint64_t *ret_number)
{
    char exact[GY_NAME_MAX];
    uint64_t number;
    const char *at;

    *ret_number = 0;
    if (strcmp(name, GY_NAME_LOCK) == 0) {
        return GY_FILE_LOCK;
    }
    if (strcmp(name, GY_NAME_CURRENT) == 0) {
        return GY_FILE_CURRENT;
    }
    if (strcmp(name, GY_NAME_CURRENT_TMP) == 0) {
        return GY_FILE_CURRENT_TMP;
    }
    at = strncmp(name, "MANIFEST-", 9) == 0 ? name + 9
         : strncmp(name, "wal-", 4) == 0    ? name + 4
                                            : name;
    if (parse_number(at, &number) == NULL) {
        return GY_FILE_FOREIGN;
    }
    /* Exact spelling only: what we would call it ourselves, else "7.sst" and "000007.sst" were one
     * file. */
    gy_name_table(exact, number);
    if (strcmp(name, exact) == 0) {
        *ret_number = number;
        return GY_FILE_TABLE;
    }
    gy_name_manifest(exact, number);
    if (strcmp(name, exact) == 0) {
        *ret_number = number;
        return GY_FILE_MANIFEST;
    }
    if (number < GY_WAL_SLOT_MAX) {
        gy_name_log_slot(exact, (uint32_t)number);
        if (strcmp(name, exact) == 0) {
            *ret_number = number;
            return GY_FILE_LOG_SLOT;
        }
    }
    return GY_FILE_FOREIGN;
}
