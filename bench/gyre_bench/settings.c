/* settings.c - the command line of gyre-bench. Each option is a row of one table, from which it
 * is parsed, checked against its range, and printed by --help. */
#include "bench/gyre_bench/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const workload_names[WORKLOAD_COUNT] = {
    "fillrandom", "fillseq",     "fillsync", "overwrite",  "readrandom",
    "multiget",   "readmissing", "readseq",  "seekrandom",
};

enum option_kind {
    OPTION_FLAG,
    OPTION_NO_FLAG,
    OPTION_COUNT,
    OPTION_SECONDS,
    OPTION_RATIO,
    OPTION_NAME,
    OPTION_TEXT
};

struct name_value {
    const char *name;
    uint32_t value;
};

struct option_row {
    const char *name;
    const char *argument;
    const char *help;
    enum option_kind kind;
    size_t offset;
    uint64_t low, high;             /* of a count */
    const struct name_value *names; /* of a name */
};

static const struct name_value io_names[] = {
    {"auto", GYRE_IO_AUTO}, {"uring", GYRE_IO_URING}, {"blocking", GYRE_IO_BLOCKING}, {NULL, 0}};
static const struct name_value durability_names[] = {
    {"durable", GYRE_DURABLE}, {"buffered", GYRE_BUFFERED}, {"nowal", GYRE_NOWAL}, {NULL, 0}};
static const struct name_value compression_names[] = {{"default", GYRE_COMPRESSION_DEFAULT},
                                                      {"none", GYRE_COMPRESSION_NONE},
                                                      {"zstd", GYRE_COMPRESSION_ZSTD},
                                                      {NULL, 0}};
static const struct name_value key_names[] = {{"present", 0}, {"all", 1}, {NULL, 0}};

/* Names are stored as uint32_t, but all_keys is a bool: it has a place of its own while parsing. */
struct parsed {
    struct settings settings;
    uint32_t key_choice;
};

#define AT(field) offsetof(struct parsed, settings.field)

static const struct option_row rows[] = {
    {"db", "DIR", "directory of the store (needed)", OPTION_TEXT, AT(db), 0, 0, NULL},
    {"num", "N", "keys, numbered 0..N-1 (1000000)", OPTION_COUNT, AT(num), 1, 1ull << 40, NULL},
    {"ops", "N", "operations (--num, or no bound with --duration)", OPTION_COUNT, AT(ops), 1,
     1ull << 50, NULL},
    {"reads", "N", "the same", OPTION_COUNT, AT(ops), 1, 1ull << 50, NULL},
    {"duration", "SECONDS", "measure for so long", OPTION_SECONDS, AT(duration_ns), 0, 0, NULL},
    {"warmup", "N", "operations before the measurement (0)", OPTION_COUNT, AT(warmup), 0,
     1ull << 50, NULL},
    {"depth", "N", "coroutines in flight; 0 = calls from main() (1)", OPTION_COUNT, AT(depth), 0,
     DEPTH_MAX, NULL},
    {"key-size", "BYTES", "(16)", OPTION_COUNT, AT(key_size), KEY_SIZE_MIN, GYRE_KEY_SIZE_MAX,
     NULL},
    {"value-size", "BYTES", "(1024)", OPTION_COUNT, AT(value_size), 0, GYRE_VALUE_SIZE_MAX, NULL},
    {"batch", "N", "writes per call (1), keys per multi_get (32)", OPTION_COUNT, AT(batch), 1,
     GYRE_MULTI_GET_MAX, NULL},
    {"nexts", "N", "steps after each seek of seekrandom (50)", OPTION_COUNT, AT(nexts), 0, 1u << 30,
     NULL},
    {"seed", "N", "of keys and their order (1)", OPTION_COUNT, AT(seed), 0, 1ull << 60, NULL},
    {"unique", NULL, "fillrandom, fillsync: each key once, in random order", OPTION_FLAG,
     AT(unique), 0, 0, NULL},
    {"keys", "present|all", "which keys are read (present: those that fills wrote)", OPTION_NAME,
     offsetof(struct parsed, key_choice), 0, 0, key_names},
    {"no-verify", NULL, "do not look at the values that are read", OPTION_NO_FLAG, AT(verify), 0, 0,
     NULL},
    {"compress-ratio", "R", "how far values can be compressed, 0..1 (0.5)", OPTION_RATIO,
     AT(compress_ratio), 0, 0, NULL},
    {"durability", "durable|buffered|nowal", "of writes (buffered; fillsync: durable)", OPTION_NAME,
     AT(durability), 0, 0, durability_names},
    {"compression", "default|none|zstd", "of tables (default)", OPTION_NAME, AT(compression), 0, 0,
     compression_names},
    {"cache-size", "BYTES", "block cache (half of --memory)", OPTION_COUNT, AT(cache_size),
     1u << 20, 1ull << 40, NULL},
    {"memory", "BYTES", "memory_limit of the loop (256M, or --cache-size + 192M)", OPTION_COUNT,
     AT(memory), 16u << 20, 1ull << 40, NULL},
    {"in-flight", "N", "requests at the device at once (128)", OPTION_COUNT, AT(in_flight), 4, 4096,
     NULL},
    {"io", "auto|uring|blocking", "interface to the kernel (auto)", OPTION_NAME, AT(io_kind), 0, 0,
     io_names},
    {"options", "K=V,...", "more options of the store, as for gyre_options_parse", OPTION_TEXT,
     AT(options), 0, 0, NULL},
    {"use-existing", NULL, "work on the store that is there (always for reads, overwrite)",
     OPTION_FLAG, AT(use_existing), 0, 0, NULL},
    {"fresh", NULL, "fills: remove the store that is there first", OPTION_FLAG, AT(fresh), 0, 0,
     NULL},
    {"settle", NULL, "after writes wait until compaction has caught up (on)", OPTION_FLAG,
     AT(settle), 0, 0, NULL},
    {"no-settle", NULL, "do not", OPTION_NO_FLAG, AT(settle), 0, 0, NULL},
    {"json", NULL, "one JSON object instead of text", OPTION_FLAG, AT(json), 0, 0, NULL},
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

const char *
workload_name(enum workload_kind workload)
{
    return workload_names[workload];
}

int
usage_error(const char *format, ...)
{
    va_list arguments;

    (void)fputs("gyre-bench: ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    return EXIT_USAGE;
}

static void
print_help(void)
{
    (void)puts("usage: gyre-bench WORKLOAD --db DIR [options]\n\n"
               "Measure a Gyre store from one thread.\n\nWorkloads:\n"
               "  fillrandom   put --num times a random key of 0..num-1 (a key may come twice)\n"
               "  fillseq      put all keys in order\n"
               "  fillsync     fillrandom with durable writes\n"
               "  overwrite    put random keys that are there\n"
               "  readrandom   get random keys that are there\n"
               "  multiget     get --batch random keys with each call\n"
               "  readmissing  get random keys that lie between those that are there\n"
               "  readseq      scan the store from end to end (each coroutine its part)\n"
               "  seekrandom   seek to a random key, then --nexts steps\n\nOptions (default):");
    for (size_t i = 0; i < ROW_COUNT; i++) {
        char head[64];

        (void)snprintf(head, sizeof(head), "--%s%s%s", rows[i].name,
                       rows[i].argument != NULL ? " " : "",
                       rows[i].argument != NULL ? rows[i].argument : "");
        (void)printf("  %-35s %s\n", head, rows[i].help);
    }
    (void)puts(
        "  --help, --version\n\nNumbers may end in K, M or G (times 1024). See gyre-bench(1).");
}

/* "64M" */
static bool
parse_count(const char *text, uint64_t *ret_count)
{
    static const char units[] = "KMG";
    const char *unit;
    uint64_t count;
    char *end;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    count = strtoull(text, &end, 10);
    if (errno != 0) {
        return false;
    }
    if (*end != '\0') {
        unit = strchr(units, *end);
        if (unit == NULL || end[1] != '\0') {
            return false;
        }
        const uint64_t shift = 10u * (uint64_t)(unit - units + 1);
        if (count > UINT64_MAX >> shift) {
            return false;
        }
        count <<= shift;
    }
    *ret_count = count;
    return true;
}

static bool
parse_number(const char *text, double low, double high, double *ret_number)
{
    char *end;
    const double number = strtod(text, &end);

    /* Written so that a NaN is refused. */
    if (end == text || *end != '\0' || !(number >= low && number <= high)) {
        return false;
    }
    *ret_number = number;
    return true;
}

static int
set_name(const struct option_row *row, const char *text, void *target)
{
    for (const struct name_value *n = row->names; n->name != NULL; n++) {
        if (strcmp(n->name, text) == 0) {
            memcpy(target, &n->value, sizeof(n->value));
            return GO_ON;
        }
    }
    return usage_error("--%s is one of %s, not '%s'", row->name, row->argument, text);
}

static int
set_value(const struct option_row *row, const char *text, void *target)
{
    double number = 0;
    uint64_t count = 0;

    switch (row->kind) {
    case OPTION_COUNT:
        if (!parse_count(text, &count) || count < row->low || count > row->high) {
            return usage_error("--%s takes a number from %llu to %llu, not '%s'", row->name,
                               (unsigned long long)row->low, (unsigned long long)row->high, text);
        }
        memcpy(target, &count, sizeof(count));
        return GO_ON;
    case OPTION_SECONDS:
        if (!parse_number(text, 0.001, 1e7, &number)) {
            return usage_error("--%s takes seconds from 0.001 to 10000000, not '%s'", row->name,
                               text);
        }
        count = (uint64_t)(number * 1e9);
        memcpy(target, &count, sizeof(count));
        return GO_ON;
    case OPTION_RATIO:
        if (!parse_number(text, 0.0, 1.0, &number)) {
            return usage_error("--%s takes a number from 0 to 1, not '%s'", row->name, text);
        }
        memcpy(target, &number, sizeof(number));
        return GO_ON;
    case OPTION_NAME:
        return set_name(row, text, target);
    case OPTION_TEXT:
        memcpy(target, &text, sizeof(text));
        return GO_ON;
    case OPTION_FLAG:
    case OPTION_NO_FLAG:
        break;
    }
    return GO_ON;
}

/* One option with its argument, which may follow as `--name value` or `--name=value`. */
static int
parse_option(struct parsed *parsed, int argc, char **argv, int *index)
{
    const char *word = argv[*index] + 2;
    const size_t size = strcspn(word, "=");

    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct option_row *row = &rows[i];
        uint8_t *target = (uint8_t *)parsed + row->offset;

        if (strlen(row->name) != size || strncmp(row->name, word, size) != 0) {
            continue;
        }
        if (row->argument == NULL) {
            const bool flag = row->kind == OPTION_FLAG;

            if (word[size] == '=') {
                return usage_error("--%s takes no argument", row->name);
            }
            memcpy(target, &flag, sizeof(flag));
            return GO_ON;
        }
        if (word[size] == '=') {
            return set_value(row, word + size + 1, target);
        }
        if (*index + 1 >= argc) {
            return usage_error("--%s needs an argument: %s", row->name, row->argument);
        }
        return set_value(row, argv[++*index], target);
    }
    return usage_error("unknown option '--%.*s'; gyre-bench --help lists all", (int)size, word);
}

static int
parse_workload(struct settings *settings, const char *word)
{
    for (int i = 0; i < WORKLOAD_COUNT; i++) {
        if (strcmp(word, workload_names[i]) == 0) {
            settings->workload = (enum workload_kind)i;
            return GO_ON;
        }
    }
    return usage_error("unknown workload '%s'; gyre-bench --help lists all", word);
}

/* What can be said without a look at the store. */
static int
check(struct settings *s)
{
    const bool is_fill = s->workload <= WORKLOAD_FILLSYNC;

    s->is_write = s->workload <= WORKLOAD_OVERWRITE;
    if (s->db == NULL) {
        return usage_error("--db DIR is needed: where the store is, or shall be");
    }
    if (s->fresh && (!is_fill || s->use_existing)) {
        return usage_error("--fresh goes with fills only, and not with --use-existing");
    }
    if (s->unique && s->workload != WORKLOAD_FILLRANDOM && s->workload != WORKLOAD_FILLSYNC) {
        return usage_error("--unique goes with fillrandom and fillsync only");
    }
    if (s->all_keys &&
        (is_fill || s->workload == WORKLOAD_READSEQ || s->workload == WORKLOAD_READMISSING)) {
        return usage_error("--keys does not go with %s", workload_name(s->workload));
    }
    s->use_existing = s->use_existing || !is_fill;
    if (s->durability == 0) {
        s->durability = s->workload == WORKLOAD_FILLSYNC ? GYRE_DURABLE : GYRE_BUFFERED;
    }
    return GO_ON;
}

static void
set_default(uint64_t *value, uint64_t known, uint64_t otherwise)
{
    if (*value == UNSET) {
        *value = known != 0 ? known : otherwise;
    }
}

int
settings_resolve(struct settings *settings, uint64_t num, uint64_t key_size, uint64_t value_size)
{
    struct settings *s = settings;

    set_default(&s->num, num, 1000000);
    set_default(&s->key_size, key_size, 16);
    set_default(&s->value_size, value_size, 1024);
    set_default(&s->batch, 0, s->workload == WORKLOAD_MULTIGET ? 32 : 1);
    set_default(&s->ops, 0, s->duration_ns != 0 ? NO_LIMIT : s->num);
    if (key_size != 0 && s->key_size != key_size) {
        return usage_error("the store was filled with --key-size %llu",
                           (unsigned long long)key_size);
    }
    /* Key numbers are doubled, so that absent keys fit between them (keys.h). */
    if (s->key_size < 8 && s->num > 1ull << (8 * s->key_size - 1)) {
        return usage_error("keys of %llu bytes cannot number %llu", (unsigned long long)s->key_size,
                           (unsigned long long)s->num);
    }
    if (s->workload == WORKLOAD_FILLSEQ || s->unique) {
        /* These end when there is no key left. */
        s->ops = s->ops > s->num ? s->num : s->ops;
        s->warmup = s->warmup > s->num - s->ops ? s->num - s->ops : s->warmup;
    }
    return GO_ON;
}

int
settings_parse(struct settings *settings, int argc, char **argv)
{
    struct parsed parsed = {.settings = {.num = UNSET,
                                         .ops = UNSET,
                                         .batch = UNSET,
                                         .key_size = UNSET,
                                         .value_size = UNSET,
                                         .seed = 1,
                                         .depth = 1,
                                         .nexts = 50,
                                         .compress_ratio = 0.5,
                                         .settle = true,
                                         .verify = true}};
    bool has_workload = false;
    int code = GO_ON;

    for (int i = 1; i < argc && code == GO_ON; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            (void)printf("gyre-bench %s\n", gyre_version());
            return 0;
        }
        if (strncmp(argv[i], "--", 2) == 0) {
            code = parse_option(&parsed, argc, argv, &i);
        } else if (has_workload) {
            code = usage_error("one workload at a time: what is '%s'?", argv[i]);
        } else {
            code = parse_workload(&parsed.settings, argv[i]);
            has_workload = true;
        }
    }
    if (code == GO_ON && !has_workload) {
        code = usage_error("which workload? gyre-bench --help lists all");
    }
    if (code == GO_ON) {
        parsed.settings.all_keys = parsed.key_choice != 0;
        code = check(&parsed.settings);
    }
    *settings = parsed.settings;
    return code;
}
