/* names.h - files of a store. Names come from numbers, never from file contents.
 *
 *   LOCK            held exclusively while the store is open for writing (shared by nobody)
 *   CURRENT         one frame: which manifest counts (replaced by rename)
 *   CURRENT.tmp     the next one, before the rename
 *   MANIFEST-%06llu edits since a full snapshot of the state
 *   %06llu.sst      tables
 *   wal-%03u.log    log slots: fixed size, reused; the log number is in the frames
 */
#ifndef GY_NAMES_H
#define GY_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#define GY_NAME_MAX 48u
#define GY_NAME_LOCK "LOCK"
#define GY_NAME_CURRENT "CURRENT"
#define GY_NAME_CURRENT_TMP "CURRENT.tmp"

enum gy_file_kind {
    GY_FILE_FOREIGN, /* not one of ours */
    GY_FILE_LOCK,
    GY_FILE_CURRENT,
    GY_FILE_CURRENT_TMP,
    GY_FILE_MANIFEST,
    GY_FILE_TABLE,
    GY_FILE_LOG_SLOT
};

void gy_name_table(char target[GY_NAME_MAX], uint64_t number);
void gy_name_manifest(char target[GY_NAME_MAX], uint64_t number);
void gy_name_log_slot(char target[GY_NAME_MAX], uint32_t slot);
/* What a name is; *ret_number is its number (0 where it has none). Exact spelling only. */
enum gy_file_kind gy_name_parse(const char *name, uint64_t *ret_number);

#endif
