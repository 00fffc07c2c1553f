/* gyre/options.h - options of a store and of single calls. Zero always means the default.
 *
 * Each struct starts with its own size: the library reads what both sides know and rejects non-zero
 * bytes that it does not. The same options can be given as text:
 * "memtable_size=8M,compression=zstd" (gyre_options_parse).
 */
#ifndef GYRE_OPTIONS_H
#define GYRE_OPTIONS_H

#include "gyre/status.h"

GYRE_EXTERN_C_BEGIN

enum gyre_durability {
    GYRE_DURABILITY_DEFAULT = 0, /* of the store's options; there: DURABLE */
    GYRE_DURABLE = 1,  /* answered when it is on the device: survives a power cut */
    /* answered after a memcpy: survives the death of the process; a power cut loses at most
     * wal_linger_ms or wal_buffer_size of commits, whichever comes first */
    GYRE_BUFFERED = 2,
    /* store option only (bulk load): no log at all; what was not flushed is lost with the process;
     * what is there is still a prefix of the order of commits */
    GYRE_NOWAL = 3
};

enum gyre_compression {
    GYRE_COMPRESSION_DEFAULT = 0, /* none in levels 0 and 1, zstd below when it pays */
    GYRE_COMPRESSION_NONE = 1,
    GYRE_COMPRESSION_ZSTD = 2     /* every level */
};

#define GYRE_OPEN_CREATE 1u    /* make the store if the directory is missing or empty */
/* writes nothing, creates nothing; several readers may share a store */
#define GYRE_OPEN_READ_ONLY 2u
#define GYRE_OPEN_EXCLUSIVE 4u /* with CREATE: INVALID if it exists already */

/* See gyre/health.h. Must not call the library. */
struct gyre_event;
typedef void (*gyre_event_fn)(void *arg, const struct gyre_event *event);

struct gyre_options {
    uint32_t struct_size;
    uint32_t flags;               /* GYRE_OPEN_* */
    uint32_t durability;          /* default of writes, enum gyre_durability; NOWAL only here */
    uint32_t compression;         /* enum gyre_compression */
    int32_t compression_level;    /* zstd; 0 = 1; -7..19 */
    uint32_t bloom_bits;          /* per key; 0 = 10; 1..24; GYRE_BLOOM_NONE = no filters */
    uint64_t memtable_size;       /* bytes; 0 = memory_limit / 8, at most 64 MiB; 64 KiB..4 GiB */
    uint32_t memtable_count_max;  /* active and frozen ones; 0 = 3; 2..16 */
    /* bytes of a data block before compression; 0 = 4096; 4096..65536 */
    uint32_t block_size;
    uint64_t table_size;          /* bytes of one SSTable; 0 = memtable_size; 64 KiB..2 GiB */
    uint64_t wal_slot_size;       /* bytes of one log file; 0 = memtable_size / 2; 128 KiB..1 GiB */
    uint64_t wal_total_max;       /* bytes of all logs; 0 = from the memtables; >= 3 slots */
    uint32_t wal_linger_ms;       /* BUFFERED: longest time before the device has it; 0 = 100 */
    uint32_t wal_buffer_size;     /* BUFFERED: bytes of staging; 0 = 4 MiB; 256 KiB..64 MiB */
    uint32_t level0_tables;       /* tables in level 0 that start a compaction; 0 = 4; 2..64 */
    uint32_t level_ratio;         /* size ratio of neighbouring levels; 0 = 10; 2..100 */
    uint32_t open_files_max;      /* tables kept open; 0 = 1000; at least 16 */
    uint32_t iterators_max;       /* 0 = 1024; at most GYRE_ITERATORS_MAX */
    /* 1 = no flush or compaction but by gyre_flush / gyre_compact_range and when memory or log
     * space is exhausted: for tests and bulk loads */
    uint32_t background_off;
    uint32_t paranoid;            /* 1 = read back and check every new table before it is installed,
                                     check a cached block each time it is used (order, count and
                                     hash of what is flushed or compacted are checked in any
                                     case) */
    /* bytes that the store may take on disk: tables (those on their way out, too), all logs at
     * their full number, manifest; 0 = no quota. Puts answer NO_SPACE before it is reached: a part
     * is kept for one compaction and for deletes, which are taken for longer (about half of a store
     * that is small against level0_tables memtables, some 16 tables of a large one). At least four
     * memtables more than the logs may take */
    uint64_t disk_quota;
    /* bytes that puts leave free on the file system, for the same purpose; 0 = what one compaction
     * may need, at most an eighth of what the store takes and is free; GYRE_DISK_RESERVE_NONE */
    uint64_t disk_reserve;
    gyre_event_fn on_event;       /* NULL = nobody */
    void *event_arg;
    /* Append here. Zero must mean "as before". */
};
#define GYRE_BLOOM_NONE UINT32_MAX
#define GYRE_DISK_RESERVE_NONE UINT64_MAX
#define GYRE_OPTIONS(...) \
    (&(struct gyre_options){.struct_size = sizeof(struct gyre_options), __VA_ARGS__})

typedef struct gyre_snapshot gyre_snapshot;

struct gyre_write_options {
    uint32_t struct_size;
    uint32_t durability;          /* DEFAULT, DURABLE or BUFFERED */
    /* on the clock of gyre_now; 0 = none. TIMED_OUT then, and gyre_last_error says maybe_done */
    uint64_t deadline_ns;
    uint32_t flags;               /* GYRE_WRITE_* */
    uint32_t reserved_;           /* must be 0 */
};
/* Do not wait for room: AGAIN, and gyre_last_error says why and for how long (cause, retry_ns).
 * What was taken is waited for as usual. */
#define GYRE_WRITE_NO_WAIT 2u /* not a GYRE_READ_ flag */
#define GYRE_WRITE_OPTIONS(...) \
    (&(struct gyre_write_options){.struct_size = sizeof(struct gyre_write_options), __VA_ARGS__})

struct gyre_read_options {
    uint32_t struct_size;
    uint32_t flags;                 /* GYRE_READ_* */
    const gyre_snapshot *snapshot;  /* NULL = newest */
    uint64_t deadline_ns;           /* on the clock of gyre_now; 0 = none. TIMED_OUT then */
};
#define GYRE_READ_NO_FILL 1u /* what has to be read does not displace what the cache holds */
#define GYRE_READ_OPTIONS(...) \
    (&(struct gyre_read_options){.struct_size = sizeof(struct gyre_read_options), __VA_ARGS__})

/* Bounds are borrowed only during gyre_iterator_open; data == NULL = none. */
struct gyre_iterator_options {
    uint32_t struct_size;
    uint32_t flags;                 /* GYRE_READ_* */
    const gyre_snapshot *snapshot;  /* NULL = the moment of gyre_iterator_open */
    struct gyre_slice lower;        /* first key that may be seen */
    struct gyre_slice upper;        /* first key that may not */
    struct gyre_slice prefix;       /* only keys that start with it; narrows lower and upper */
    uint32_t readahead_size;        /* bytes; 0 = adapts itself */
    uint32_t reserved_;             /* must be 0 */
};
#define GYRE_ITERATOR_OPTIONS(...)                                                        \
    (&(struct gyre_iterator_options){.struct_size = sizeof(struct gyre_iterator_options), \
                                     __VA_ARGS__})

/* Fill `options` from text: "key=value,key=value", names as the fields above (with flags as
 * create, read_only, exclusive = 0 or 1), sizes with K, M, G, durability = durable|buffered|nowal,
 * compression = none|zstd|default, bloom_bits = none|N. Fields that are not named keep their value.
 * INVALID for an unknown name or a value out of range; `ret_error` (may be NULL) says which and
 * where.
 * Source: engine/db/options.c */
GYRE_API GYRE_NODISCARD gyre_status gyre_options_parse(const char *text,
                                                       struct gyre_options *options,
                                                       struct gyre_error *ret_error);

GYRE_EXTERN_C_END

#endif
