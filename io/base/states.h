/* states.h - states that a campaign of the checker has to reach, by name: GY_SOMETIMES(name) in the
 * engine, sim_reached in the checker. One that is never reached means that something is not tested,
 * so CI fails then. Sorted by the part that reaches them. */
#ifndef GY_STATES_H
#define GY_STATES_H

/* Reached by the engine. */
/* clang-format off */
#define GY_STATES_ENGINE(X) \
    /* log */ \
    X(log_buffers_all_used) \
    X(log_poisoned) \
    X(log_space_waited_for) \
    X(commit_refused_without_slot) \
    X(large_commit_in_parts) \
    X(large_commit_waited_for_log) \
    X(log_write_came_back_short) \
    X(log_synced_by_fdatasync) \
    X(log_synced_by_dsync) \
    X(log_group_of_three) \
    X(log_groups_in_flight) \
    X(log_groups_in_flight_most) \
    X(log_lingered) \
    X(log_slot_found_ready) \
    X(log_slot_not_made) \
    X(log_slot_given_back) \
    X(log_switch_put_off) \
    X(sync_told_of_full_disk) \
    X(log_switched) \
    X(staged_group_to_log) \
    X(log_end_record_written) \
    /* reading logs */ \
    X(parts_joined) \
    X(parts_before_other_commit) \
    X(part_in_log_and_staging) \
    X(durable_damage_told) \
    X(tail_with_whole_frames) \
    X(log_end_record_found) \
    /* manifest */ \
    X(manifest_rotated) \
    X(manifest_rotation_failed) \
    X(manifest_rotation_unknown) \
    X(manifest_half_full) \
    X(manifest_poisoned) \
    X(manifest_adopted) \
    X(manifest_damage_told) \
    /* opening */ \
    X(recovery_flushed) \
    X(replayed_commit_was_in_tables) \
    X(staged_group_was_in_log) \
    X(staging_of_earlier_boot) \
    X(opened_on_full_disk) \
    X(recovery_gave_up_logs) \
    X(half_made_store_made_again) \
    X(recovery_flushed_to_tables) \
    X(orphan_table_removed) \
    X(orphan_manifest_removed) \
    X(orphan_current_removed) \
    X(lock_waited_for) \
    X(checkpoint_linked_table) \
    /* writing and background work */ \
    X(writer_waited_for_memtable) \
    X(flush_found_disk_full) \
    X(flush_under_snapshot) \
    X(flushed) \
    X(background_resumed) \
    X(flush_waited_for_answers) \
    X(logs_relieved) \
    X(table_removed) \
    X(level0_pressed) \
    X(rotated_during_install) \
    X(table_moved_down) \
    X(compacted) \
    X(compaction_cancelled) \
    X(compaction_found_disk_full) \
    X(compaction_found_damage) \
    X(version_dropped) \
    X(version_kept_for_snapshot) \
    X(tombstone_dropped) \
    X(tombstone_kept) \
    X(sequence_zeroed) \
    X(output_cut) \
    X(job_over_its_budget) \
    X(writer_waited_at_pacer) \
    X(op_ended_in_queue) \
    X(op_ended_at_work) \
    X(op_left_to_itself) \
    X(op_waited_for_coroutine) \
    X(close_waited_for_calls) \
    X(job_stood_still) \
    X(job_gave_way_to_pause) \
    /* space */ \
    X(puts_refused_for_space) \
    X(puts_taken_again) \
    X(compaction_waited_for_space) \
    X(compaction_tried_in_little_space) \
    X(compaction_for_space) \
    /* cache and reading */ \
    X(cache_flight_joined) \
    X(block_good_when_read_again) \
    X(block_damage_told) \
    X(block_decompressed) \
    X(block_larger_than_cache) \
    X(cache_evicted) \
    X(filter_said_no) \
    X(filter_erred) \
    X(cursor_read_ahead) \
    X(get_looked_into_frozen) \
    X(value_copied_to_spare_cache) \
    X(view_changed_under_move) \
    X(iterator_went_on_in_new_view) \
    X(iterator_leapt_over_versions) \
    X(walk_went_on_in_new_view_forward) \
    X(walk_went_on_in_new_view_backward) \
    X(merge_of_four) \
    X(transfer_went_on)
/* clang-format on */

#define GY_STATES(X) GY_STATES_ENGINE(X)

#endif
