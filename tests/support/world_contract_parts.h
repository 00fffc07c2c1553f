/* world_contract_parts.h - what the two files of the contract suite share. */
#ifndef GY_TEST_WORLD_CONTRACT_PARTS_H
#define GY_TEST_WORLD_CONTRACT_PARTS_H

#include "tests/support/world_contract.h"

#define WORLD_WRITE_NEW (GY_OPEN_WRITE | GY_OPEN_CREATE | GY_OPEN_EXCLUSIVE)

struct world_bench {
    const struct world_contract *contract;
    struct gy_world *world;
    uint32_t top;           /* slot of contract->directory */
    uint32_t dir;           /* slot of this test's directory */
    char dir_name[32];
    uint32_t test_number;
};

/* Make a file of `size` bytes (whole pages) with the pattern of `seed`; returns the open slot. */
int32_t world_contract_make_file(struct world_bench *b, const char *name, uint32_t size,
                                 uint64_t seed);
void world_contract_assert_pattern(struct world_bench *b, int32_t slot, uint32_t size,
                                   uint64_t seed);

/* world_contract_names.c */
void world_open_reports_missing_and_existing_names(void **state);
void world_open_refuses_wrong_kinds_and_names(void **state);
void world_rename_replaces(void **state);
void world_unlink_leaves_open_files_readable(void **state);
void world_link_shares_the_file(void **state);
void world_unlink_removes_empty_directories(void **state);
void world_list_names_everything_once(void **state);
void world_lock_excludes_second_opening(void **state);
void world_lock_can_be_shared(void **state);
void world_lock_is_free_when_the_close_is_answered(void **state);
void world_slots_are_reused(void **state);
void world_free_space_is_plausible(void **state);

#endif
