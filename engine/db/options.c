/* options.c - options of a store: copying sized structs, deriving what was left at zero, checking
 * ranges, reading them from text.
 *
 * One table names every field: the parser, the range check and gyre_property("gyre.options") go by
 * it.
 */
#include <stdio.h>

#include "engine/db/db.h"
#include "io/base/assert.h"
#include "io/base/bits.h"
#include "io/base/fail.h"

#include "io/base/ban.h"

gyre_status
gy_options_copy(gyre_loop *loop, const char *what, const void *given, void *target,
                size_t target_size)
{
    const uint8_t *bytes = given;
    uint32_t struct_size;

    memcpy(&struct_size, given, sizeof(struct_size));
    if (struct_size < sizeof(struct_size) || struct_size > GY_STRUCT_SIZE_MAX) {
        return gy_loop_fail(loop, GYRE_INVALID, "struct_size of the %s is not set", what);
    }
    for (size_t i = target_size; i < struct_size; i++) {
        if (bytes[i] != 0) {
            return gy_loop_fail(loop, GYRE_INVALID,
                                "a field of the %s that this version does not know is set", what);
        }
    }
    memset(target, 0, target_size);
    memcpy(target, given, struct_size < target_size ? struct_size : target_size);
    return GYRE_OK;
}

/* ---- The table of fields ---- */

enum field_type { FIELD_U32, FIELD_I32, FIELD_U64, FIELD_FLAG, FIELD_NAMES };

struct field_name {
    const char *name;
    int64_t value;
};

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    int64_t low; /* of what is not zero */
    int64_t high;
    uint32_t flag;
    const struct field_name *names; /* ended by NULL */
    const char *from;               /* what it is when it is not given */
};

static const struct field_name durability_names[] = {{"default", 0},
                                                     {"durable", GYRE_DURABLE},
                                                     {"buffered", GYRE_BUFFERED},
                                                     {"nowal", GYRE_NOWAL},
                                                     {NULL, 0}};
static const struct field_name compression_names[] = {
    {"default", 0}, {"none", GYRE_COMPRESSION_NONE}, {"zstd", GYRE_COMPRESSION_ZSTD}, {NULL, 0}};
static const struct field_name bloom_names[] = {{"none", GYRE_BLOOM_NONE}, {NULL, 0}};
static const struct field_name reserve_names[] = {{"none", -1}, {NULL, 0}};

#define AT(field) offsetof(struct gyre_options, field)
#define GIB (1ll << 30)
#define MIB (1ll << 20)
#define KIB (1ll << 10)
#define QUOTA_LOG_SHARE 4u /* of a quota, for logs, where nobody says otherwise */

#ifdef GYRE_CHECKED
#define TREE_SIZE_MIN (4 * KIB) /* the checker's stores are small: few writes fill several levels */
#else
#define TREE_SIZE_MIN (64 * KIB)
#endif

static const struct field fields[] = {
    {"create", FIELD_FLAG, AT(flags), 0, 1, GYRE_OPEN_CREATE, NULL, "no: the store has to exist"},
    {"read_only", FIELD_FLAG, AT(flags), 0, 1, GYRE_OPEN_READ_ONLY, NULL, "no"},
    {"exclusive", FIELD_FLAG, AT(flags), 0, 1, GYRE_OPEN_EXCLUSIVE, NULL, "no"},
    {"durability", FIELD_NAMES, AT(durability), 0, GYRE_NOWAL, 0, durability_names, "durable"},
    {"compression", FIELD_NAMES, AT(compression), 0, GYRE_COMPRESSION_ZSTD, 0, compression_names,
     "none in levels 0 and 1, zstd below"},
    {"compression_level", FIELD_I32, AT(compression_level), -7, 19, 0, NULL, "1"},
    {"bloom_bits", FIELD_U32, AT(bloom_bits), 1, 24, 0, bloom_names, "10"},
    {"memtable_size", FIELD_U64, AT(memtable_size), TREE_SIZE_MIN, 4 * GIB, 0, NULL,
     "memory_limit / 8, at most 64 MiB"},
    {"memtable_count_max", FIELD_U32, AT(memtable_count_max), 2, 16, 0, NULL, "3"},
    {"block_size", FIELD_U32, AT(block_size), 4096, 65536, 0, NULL, "4096"},
    {"table_size", FIELD_U64, AT(table_size), TREE_SIZE_MIN, 2 * GIB, 0, NULL, "memtable_size"},
    {"wal_slot_size", FIELD_U64, AT(wal_slot_size), 128 * KIB, GY_WAL_SLOT_SIZE_MAX, 0, NULL,
     "half of memtable_size, or 3/2 of the largest value"},
    {"wal_total_max", FIELD_U64, AT(wal_total_max), 384 * KIB, 1024 * GIB, 0, NULL,
     "3/2 of all memtables and 4 slots; a quarter of disk_quota"},
    {"wal_linger_ms", FIELD_U32, AT(wal_linger_ms), 1, 60000, 0, NULL, "100"},
    {"wal_buffer_size", FIELD_U32, AT(wal_buffer_size), 256 * KIB, 64 * MIB, 0, NULL,
     "memory_limit / 32, 256 KiB to 4 MiB"},
    {"level0_tables", FIELD_U32, AT(level0_tables), 2, 64, 0, NULL, "4"},
    {"level_ratio", FIELD_U32, AT(level_ratio), 2, 100, 0, NULL, "10"},
    {"open_files_max", FIELD_U32, AT(open_files_max), 16, 1 << 20, 0, NULL, "1000"},
    {"iterators_max", FIELD_U32, AT(iterators_max), 1, GYRE_ITERATORS_MAX, 0, NULL, "1024"},
    {"background_off", FIELD_U32, AT(background_off), 0, 1, 0, NULL, "no"},
    {"paranoid", FIELD_U32, AT(paranoid), 0, 1, 0, NULL, "no"},
    {"disk_quota", FIELD_U64, AT(disk_quota), 1, INT64_MAX, 0, NULL, "none"},
    {"disk_reserve", FIELD_U64, AT(disk_reserve), 1, INT64_MAX, 0, reserve_names,
     "what a compaction may write, at most an eighth of the disk"},
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static int64_t
field_get(const struct gyre_options *options, const struct field *field)
{
    const uint8_t *at = (const uint8_t *)options + field->offset;
    uint32_t word;
    uint64_t wide;

    if (field->type == FIELD_U64) {
        memcpy(&wide, at, sizeof(wide));
        return wide > INT64_MAX ? INT64_MAX : (int64_t)wide;
    }
    memcpy(&word, at, sizeof(word));
    if (field->type == FIELD_FLAG) {
        return (word & field->flag) != 0;
    }
    return field->type == FIELD_I32 ? (int64_t)(int32_t)word : (int64_t)word;
}

static void
field_set(struct gyre_options *options, const struct field *field, int64_t value)
{
    uint8_t *at = (uint8_t *)options + field->offset;
    uint32_t word = (uint32_t)value;
    const uint64_t wide = (uint64_t)value;

    if (field->type == FIELD_U64) {
        memcpy(at, &wide, sizeof(wide));
        return;
    }
    if (field->type == FIELD_FLAG) {
        memcpy(&word, at, sizeof(word));
        word = value != 0 ? word | field->flag : word & ~field->flag;
    }
    memcpy(at, &word, sizeof(word));
}

static bool
field_in_range(const struct field *field, int64_t value)
{
    if (value == 0 || (value >= field->low && value <= field->high)) {
        return true;
    }
    return (field->names == bloom_names && value == (int64_t)GYRE_BLOOM_NONE) ||
           (field->names == reserve_names && value == (int64_t)GYRE_DISK_RESERVE_NONE);
}

/* ---- Text ---- */

static gyre_status
parse_failed(struct gyre_error *ret_error, const char *format, const char *name, size_t name_size,
             size_t position)
{
    if (ret_error != NULL) {
        memset(ret_error, 0, sizeof(*ret_error));
        ret_error->status = GYRE_INVALID;
        ret_error->offset = position;
        (void)snprintf(ret_error->text, sizeof(ret_error->text), format,
                       (int)(name_size > 64 ? 64 : name_size), name);
    }
    return GYRE_INVALID;
}

static const struct field *
find_field(const char *name, size_t size)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (strlen(fields[i].name) == size && memcmp(fields[i].name, name, size) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

/* Digits with an optional sign and K, M or G. */
static bool
parse_number(const char *text, size_t size, int64_t *ret_value)
{
    const bool negative = size > 0 && text[0] == '-';
    int64_t value = 0;
    size_t i = negative ? 1 : 0;
    int64_t unit = 1;

    if (i == size) {
        return false;
    }
    for (; i < size && text[i] >= '0' && text[i] <= '9'; i++) {
        if (value > (INT64_MAX >> 1) / 10) {
            return false;
        }
        value = value * 10 + (text[i] - '0');
    }
    if (i < size && i > (negative ? 1u : 0u)) {
        unit = text[i] == 'K' ? KIB : text[i] == 'M' ? MIB : text[i] == 'G' ? GIB : 0;
        i++;
    }
    if (i != size || unit == 0 || value > INT64_MAX / 2 / unit) {
        return false;
    }
    *ret_value = negative ? -value * unit : value * unit;
    return true;
}

static bool
parse_value(const struct field *field, const char *text, size_t size, int64_t *ret_value)
{
    for (const struct field_name *n = field->names; n != NULL && n->name != NULL; n++) {
        if (strlen(n->name) == size && memcmp(n->name, text, size) == 0) {
            *ret_value = n->value;
            return true;
        }
    }
    return field->type != FIELD_NAMES && parse_number(text, size, ret_value);
}

gyre_status
gyre_options_parse(const char *text, struct gyre_options *options, struct gyre_error *ret_error)
{
    struct gyre_options parsed;
    size_t at = 0;

    if (text == NULL || options == NULL || options->struct_size != sizeof(*options)) {
        return parse_failed(ret_error, "gyre_options_parse: text and options with struct_size %.*s",
                            "are needed", 10, 0);
    }
    parsed = *options;
    while (text[at] != '\0') {
        const char *item = text + at;
        const size_t size = strcspn(item, ",");
        const char *equals = memchr(item, '=', size);
        const size_t name_size = equals != NULL ? (size_t)(equals - item) : size;
        const struct field *field = find_field(item, name_size);
        int64_t value = 0;

        if (field == NULL) {
            return parse_failed(ret_error, "unknown option '%.*s'", item, name_size, at);
        }
        if (equals == NULL || !parse_value(field, equals + 1, size - name_size - 1, &value)) {
            return parse_failed(ret_error, "option '%.*s' needs a value that it knows", item,
                                name_size, at);
        }
        if (!field_in_range(field, value)) {
            return parse_failed(ret_error, "option '%.*s' is out of its range", item, name_size,
                                at);
        }
        field_set(&parsed, field, value);
        at += size + (item[size] == ',' ? 1 : 0);
    }
    *options = parsed;
    return GYRE_OK;
}

/* ---- Deriving ---- */

static uint64_t
or_default(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void
derive(const gyre_loop *loop, const struct gyre_options *o, struct gy_db_options *d)
{
    const uint64_t value_max = gy_min_u64(GYRE_VALUE_SIZE_MAX, loop->memory_limit / 8);

    d->flags = o->flags;
    d->durability = o->durability != 0 ? (enum gyre_durability)o->durability : GYRE_DURABLE;
    d->compression = (enum gyre_compression)o->compression;
    d->compression_level = o->compression_level != 0 ? o->compression_level : 1;
    d->bloom_bits = o->bloom_bits == GYRE_BLOOM_NONE ? 0 : o->bloom_bits != 0 ? o->bloom_bits : 10;
    d->memtable_size =
        or_default(o->memtable_size, gy_min_u64(loop->memory_limit / 8, 64 * GY_MIB));
    d->memtable_count_max = o->memtable_count_max != 0 ? o->memtable_count_max : 3;
    d->block_size = o->block_size != 0 ? o->block_size : GY_PAGE;
    d->table_size = or_default(o->table_size, d->memtable_size);
    d->wal_slot_size = gy_align_up(
        or_default(o->wal_slot_size, gy_max_u64(d->memtable_size / 2, value_max * 3 / 2)),
        64 * GY_KIB);
    d->wal_slot_count_max = (uint32_t)gy_clamp_u64(
        or_default(o->wal_total_max / d->wal_slot_size,
                   d->memtable_count_max * d->memtable_size * 3 / 2 / d->wal_slot_size + 4),
        3, GY_WAL_SLOT_MAX);
    d->wal_linger_ms = o->wal_linger_ms != 0 ? o->wal_linger_ms : 100;
    d->wal_buffer_size = (uint32_t)gy_align_up(
        or_default(o->wal_buffer_size,
                   gy_clamp_u64(loop->memory_limit / 32, 256 * GY_KIB, 4 * GY_MIB)),
        GY_PAGE);
    d->level0_tables = o->level0_tables != 0 ? o->level0_tables : 4;
    d->level_ratio = o->level_ratio != 0 ? o->level_ratio : 10;
    d->open_files_max = o->open_files_max != 0 ? o->open_files_max : 1000;
    d->iterators_max = o->iterators_max != 0 ? o->iterators_max : 1024;
    d->background_off = o->background_off != 0;
    d->paranoid = o->paranoid != 0;
    d->disk_quota = o->disk_quota;
    d->disk_reserve = o->disk_reserve;
    if (d->disk_quota != 0 && o->wal_total_max == 0) { /* logs count whole (Y3): not too much */
        d->wal_slot_count_max = (uint32_t)gy_clamp_u64(
            d->disk_quota / QUOTA_LOG_SHARE / d->wal_slot_size, 3, d->wal_slot_count_max);
    }
}

/* What holds, as options that would say so. */
static struct gyre_options
effective(const struct gy_db_options *d)
{
    return (struct gyre_options){
        .struct_size = sizeof(struct gyre_options),
        .flags = d->flags,
        .durability = d->durability,
        .compression = d->compression,
        .compression_level = d->compression_level,
        .bloom_bits = d->bloom_bits == 0 ? GYRE_BLOOM_NONE : d->bloom_bits,
        .memtable_size = d->memtable_size,
        .memtable_count_max = d->memtable_count_max,
        .block_size = d->block_size,
        .table_size = d->table_size,
        .wal_slot_size = d->wal_slot_size,
        .wal_total_max = d->wal_slot_size * d->wal_slot_count_max,
        .wal_linger_ms = d->wal_linger_ms,
        .wal_buffer_size = d->wal_buffer_size,
        .level0_tables = d->level0_tables,
        .level_ratio = d->level_ratio,
        .open_files_max = d->open_files_max,
        .iterators_max = d->iterators_max,
        .background_off = d->background_off,
        .paranoid = d->paranoid,
        .disk_quota = d->disk_quota,
        .disk_reserve = d->disk_reserve,
    };
}

bool
gy_options_line(const struct gy_db_options *options, size_t index, struct gy_option_line *ret_line)
{
    const struct gyre_options now = effective(options);
    const struct field *field = &fields[index];
    const struct field_name *name;
    int64_t value;

    if (index >= FIELD_COUNT) {
        return false;
    }
    value = field_get(&now, field);
    *ret_line = (struct gy_option_line){.name = field->name,
                                        .is_given = field_get(&options->given, field) != 0,
                                        .from = field->from};
    (void)snprintf(ret_line->value, sizeof(ret_line->value), "%lld", (long long)value);
    for (name = field->names; name != NULL && name->name != NULL; name++) {
        if (name->value == value ||
            (field->type == FIELD_U64 && name->value == -1 && value == INT64_MAX)) { /* all ones */
            (void)snprintf(ret_line->value, sizeof(ret_line->value), "%s", name->name);
        }
    }
    return true;
}

/* A quota that leaves nothing beside the logs would refuse the first write. */
static gyre_status
check_quota(gyre_loop *loop, const struct gy_db_options *d)
{
    const uint64_t least = d->wal_slot_count_max * d->wal_slot_size + GY_SPACE_MANIFEST_MIN +
                           GY_SPACE_MEMTABLES_MIN * d->memtable_size;

    if (d->disk_quota == 0 || d->disk_quota >= least) {
        return GYRE_OK;
    }
    return gy_loop_fail(loop, GYRE_INVALID,
                        "a disk_quota of %llu bytes: logs, manifest and %u memtables alone may "
                        "take %llu; raise it, or lower memtable_size or wal_slot_size",
                        (unsigned long long)d->disk_quota, GY_SPACE_MEMTABLES_MIN,
                        (unsigned long long)least);
}

gyre_status
gy_options_resolve(gyre_loop *loop, const struct gyre_options *options,
                   struct gy_db_options *ret_options)
{
    struct gyre_options o = {.struct_size = sizeof(o)};
    gyre_status status = GYRE_OK;

    if (options != NULL) {
        status = gy_options_copy(loop, "options", options, &o, sizeof(o));
    }
    for (size_t i = 0; status == GYRE_OK && i < FIELD_COUNT; i++) {
        if (!field_in_range(&fields[i], field_get(&o, &fields[i]))) {
            status =
                gy_loop_fail(loop, GYRE_INVALID, "option %s is out of its range", fields[i].name);
        }
    }
    if (status != GYRE_OK) {
        return status;
    }
    if ((o.flags & ~(GYRE_OPEN_CREATE | GYRE_OPEN_READ_ONLY | GYRE_OPEN_EXCLUSIVE)) != 0 ||
        ((o.flags & GYRE_OPEN_READ_ONLY) != 0 && (o.flags & GYRE_OPEN_CREATE) != 0)) {
        return gy_loop_fail(loop, GYRE_INVALID,
                            "unknown open flags, or READ_ONLY together with CREATE");
    }
    derive(loop, &o, ret_options);
    ret_options->given = o;
    if (ret_options->memtable_size * ret_options->memtable_count_max > loop->memory_limit / 4 * 3) {
        return gy_loop_fail(
            loop, GYRE_INVALID, "%u memtables of %llu bytes do not fit into a memory_limit of %llu",
            ret_options->memtable_count_max, (unsigned long long)ret_options->memtable_size,
            (unsigned long long)loop->memory_limit);
    }
    return check_quota(loop, ret_options);
}
