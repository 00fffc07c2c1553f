/* engine_rocksdb_api.h - functions of RocksDB's C library that its adapter calls: see peer.h. */
#ifndef GYRE_BENCH_ENGINE_ROCKSDB_API_H
#define GYRE_BENCH_ENGINE_ROCKSDB_API_H

#include <rocksdb/c.h>

#define ROCKSDB_FUNCTIONS(X)                                                            \
    X(rocksdb_open_column_families)                                                     \
    X(rocksdb_column_family_handle_destroy)                                             \
    X(rocksdb_close)                                                                    \
    X(rocksdb_delete)                                                                   \
    X(rocksdb_write)                                                                    \
    X(rocksdb_get_pinned)                                                               \
    X(rocksdb_pinnableslice_value)                                                      \
    X(rocksdb_pinnableslice_destroy)                                                    \
    X(rocksdb_batched_multi_get_cf)                                                     \
    X(rocksdb_free)                                                                     \
    X(rocksdb_property_int)                                                             \
    X(rocksdb_create_iterator)                                                          \
    X(rocksdb_iter_destroy)                                                             \
    X(rocksdb_iter_valid)                                                               \
    X(rocksdb_iter_seek)                                                                \
    X(rocksdb_iter_seek_to_first)                                                       \
    X(rocksdb_iter_seek_to_last)                                                        \
    X(rocksdb_iter_next)                                                                \
    X(rocksdb_iter_prev)                                                                \
    X(rocksdb_iter_key)                                                                 \
    X(rocksdb_iter_value)                                                               \
    X(rocksdb_iter_get_error)                                                           \
    X(rocksdb_writebatch_create)                                                        \
    X(rocksdb_writebatch_destroy)                                                       \
    X(rocksdb_writebatch_clear)                                                         \
    X(rocksdb_writebatch_put)                                                           \
    X(rocksdb_options_create)                                                           \
    X(rocksdb_options_destroy)                                                          \
    X(rocksdb_options_set_create_if_missing)                                            \
    X(rocksdb_options_set_error_if_exists)                                              \
    X(rocksdb_options_set_use_direct_reads)                                             \
    X(rocksdb_options_set_use_direct_io_for_flush_and_compaction)                       \
    X(rocksdb_options_set_write_buffer_size)                                            \
    X(rocksdb_options_set_max_write_buffer_number)                                      \
    X(rocksdb_options_set_target_file_size_base)                                        \
    X(rocksdb_options_set_max_bytes_for_level_base)                                     \
    X(rocksdb_options_set_level_compaction_dynamic_level_bytes)                         \
    X(rocksdb_options_set_max_background_jobs)                                          \
    X(rocksdb_options_set_max_open_files)                                               \
    X(rocksdb_options_set_compression)                                                  \
    X(rocksdb_options_set_compression_per_level)                                        \
    X(rocksdb_options_set_block_based_table_factory)                                    \
    X(rocksdb_options_set_bytes_per_sync)                                               \
    X(rocksdb_get_options_from_string)                                                  \
    X(rocksdb_block_based_options_create)                                               \
    X(rocksdb_block_based_options_set_block_cache)                                      \
    X(rocksdb_block_based_options_set_filter_policy)                                    \
    X(rocksdb_block_based_options_set_cache_index_and_filter_blocks)                    \
    X(rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority) \
    X(rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache)          \
    X(rocksdb_block_based_options_set_format_version)                                   \
    X(rocksdb_filterpolicy_create_bloom_full)                                           \
    X(rocksdb_cache_create_lru)                                                         \
    X(rocksdb_cache_destroy)                                                            \
    X(rocksdb_block_based_options_destroy)                                              \
    X(rocksdb_readoptions_destroy)                                                      \
    X(rocksdb_writeoptions_destroy)                                                     \
    X(rocksdb_readoptions_create)                                                       \
    X(rocksdb_readoptions_set_readahead_size)                                           \
    X(rocksdb_writeoptions_create)                                                      \
    X(rocksdb_writeoptions_set_sync)                                                    \
    X(rocksdb_writeoptions_disable_WAL)

#endif
