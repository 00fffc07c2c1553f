/* mutants.h - bugs planted on purpose, each a mistake that another engine has shipped: number,
 * name, what is wrong. The checker runs with one of them at a time (`gyre_sim --mutant N`) and has
 * to fail; CI fails when one survives.
 *
 * Where this design rules a mistake out, the nearest one that it allows is planted:
 *    3  a frame also names its file, which would refuse a stale one: that check is off too
 *    8  a failed log takes no more commits: the number is used again by the process that comes next
 *   13  a version refuses tables of one level that share a key: it lets these pass
 *   17  the filter is of a partition, not of a block; empty keys are not allowed
 *   22  a cursor of a compaction, which reads past the cache; a job also compares a hash of all it
 *       read with what was written: that is off too
 *   25  a manifest is preallocated, so that only a file system that lies fills up here
 *   27  the torn frame stays torn: pages without a frame are passed over to reach what lies behind
 */
#ifndef GY_MUTANTS_H
#define GY_MUTANTS_H

/* clang-format off */
#define GY_MUTANTS(X) \
    X(1, no_log_directory_sync, "a new log's directory entry is not synced") \
    X(2, unlink_before_current_sync, \
      "the old manifest is removed before the directory sync of CURRENT") \
    X(3, frame_checksum_without_place, \
      "a frame's checksum says nothing of its file and offset; log files are reused") \
    X(4, damage_ends_older_log, "damage in a log that is not the last is taken for its end") \
    X(5, log_switch_without_sync, "a new log begins while the old one is not durable") \
    X(6, append_to_torn_log, "recovery goes on in the torn log, before what was torn off") \
    X(7, logs_forgotten_before_tables, \
      "recovery gives up logs whose commits no table holds yet") \
    X(8, sequence_used_again, \
      "the number of the last recovered commit, perhaps a failed one, goes to the next") \
    X(9, every_log_replayed, "recovery replays logs that the manifest calls not needed") \
    X(10, inputs_removed_after_failed_manifest, \
      "tables are replaced and removed although the edit failed") \
    X(11, file_number_below_orphans, \
      "the next file number is not raised above what lies in the directory") \
    X(12, tombstone_looks_one_level_down, \
      "a tombstone goes when only the next level has nothing of its key") \
    X(13, output_cut_inside_key, "an output ends between two versions of one key") \
    X(14, child_error_is_end, "a merge takes a child's failure for its end") \
    X(15, answer_before_sync, "a DURABLE commit is answered when it is written") \
    X(16, cache_key_without_file, "a block is known by its offset, whatever its file") \
    X(17, filter_without_last_key, "a filter leaves out the last key of its partition") \
    X(18, yield_between_log_and_memtable, "others run between log and memtable of one commit") \
    X(19, log_buffer_reused_early, "a log buffer is filled again while it is being written") \
    X(20, short_write_is_success, "a short log write is taken for a whole one") \
    X(21, oldest_snapshot_ignored, "flush and compaction do not see the oldest snapshot") \
    X(22, compaction_input_unchecked, "compaction does not check the blocks it reads") \
    X(23, entry_length_wraps, "key and value length of an entry are added in 32 bits") \
    X(24, block_checksum_without_place, \
      "a block's checksum says nothing of its file and offset") \
    X(25, half_record_in_manifest, \
      "a full disk leaves half a record in the manifest, and more follow") \
    X(26, dsync_flushes_device, \
      "a DSYNC write is taken for a sync of all that was written before") \
    X(27, sealed_tail_replayed, \
      "an older log is read on behind the end that its successor names") \
    X(28, unpublished_is_flushed, "a memtable is flushed while commits in it are not published") \
    X(29, sync_result_ignored, "a log sync that failed is taken for one that went well") \
    X(30, sync_counts_writes_in_flight, \
      "a log sync is believed of writes that had not completed") \
    X(31, rename_before_current_sync, "CURRENT.tmp is renamed before it is durable") \
    X(32, table_not_synced, "a table is installed without its last sync") \
    X(33, table_name_not_synced, "a flushed table is installed without a directory sync") \
    X(34, log_min_too_high, "the first commit that is not flushed does not keep its log") \
    X(35, staged_group_left_out, "a staged group right behind the log is taken for one in it") \
    X(36, install_forgets_rotation, \
      "a compaction installs the memtables that it had seen before") \
    X(37, moved_table_removed, "a table that moved down a level is removed") \
    X(38, level0_newest_moved, "the newest table of level 0 moves down, past older ones") \
    X(39, snapshot_released_early, "releasing a snapshot also releases the next one") \
    X(40, newest_frozen_not_read, "a get does not look into the newest frozen memtable") \
    X(41, iterator_skips_level0_table, "an iterator leaves out the newest table of level 0") \
    X(42, iterator_sees_one_more, "an iterator sees one operation behind its moment") \
    X(43, backward_walk_sees_deleted, "a backward walk shows keys that were deleted") \
    X(44, prefix_search_off_by_one, \
      "a search in a block skips entries that share just what matched") \
    X(45, separator_too_small, "an index entry is smaller than the last key of its block") \
    X(46, table_without_smallest_key, "a table is not looked into for its smallest key") \
    X(47, damaged_block_cached, "a block that failed its checksum is kept in the cache") \
    X(48, answer_lost, "an operation that was cancelled is never called back") \
    X(49, answer_doubled, "an operation that was cancelled at work is answered at its end too") \
    X(50, span_freed_in_flight, "who gives up a read frees its buffer before the device is done") \
    X(51, ended_write_goes_on, "a write goes on when it is woken, although it was given up") \
    X(52, given_up_write_not_in_doubt, \
      "a write that is in the log already is said not to be done") \
    X(53, deadline_forgotten, "the deadline of an operation at work is not looked at") \
    X(54, credit_not_given_back, "the pacer keeps the credit of a write that was not taken") \
    X(55, room_not_told_of, "nobody who waits for room is woken when a memtable was flushed") \
    X(56, quota_forgotten, "puts are taken although disk_quota is reached") \
    X(57, reserve_for_puts_too, "puts take what is kept of a quota for compaction and deletes") \
    X(58, scan_leaves_row_out, "a scan goes on behind the row that it had no room for") \
    X(59, scan_repeats_row, "a scan goes on with the row that it gave last") \
    X(60, pause_does_not_hold, "a pause does not keep jobs from beginning") \
    X(61, resume_does_not_wake, "after a pause nobody tells the background to go on") \
    X(62, failed_open_counts, "an iterator that finds no memory is counted as open") \
    X(63, pause_holds_caller, "who waits for a compaction waits for the end of a pause too") \
    X(64, credits_refused, "a write that may not wait is put off although there is credit for it") \
    X(65, end_told_without_beginning, "the end of a stall is told although its beginning was not") \
    X(66, health_forgets_error, "a store whose background work failed once never is well again")
/* clang-format on */

#endif
