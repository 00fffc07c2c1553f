/* db_kit.c - see db_kit.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "tests/support/db_kit.h"

#include <dirent.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void
db_kit_expect(struct db_kit *kit, gyre_status status, gyre_status wanted, const char *expression,
              const char *file, int line)
{
    if (status != wanted) {
        print_error("%s:%d: %s\n  is %s, not %s: %s\n", file, line, expression,
                    gyre_status_name(status), gyre_status_name(wanted),
                    status == GYRE_OK ? "" : gyre_last_error(kit->loop)->text);
        _fail(file, line);
    }
}

static void
log_line(void *arg, enum gyre_log_level level, const char *text)
{
    (void)arg;
    if (getenv("GYRE_TEST_LOG") != NULL) {
        print_message("log %d: %s\n", level, text);
    }
}

static gyre_loop *
loop_open(uint32_t io_kind, uint64_t memory_limit)
{
    gyre_loop *loop = NULL;
    struct gyre_error error;

    if (gyre_loop_open(GYRE_LOOP_OPTIONS(.io_kind = io_kind, .memory_limit = memory_limit,
                                         .cache_size = 4u << 20, .log = log_line),
                       &loop, &error) != GYRE_OK) {
        print_error("loop: %s\n", error.text);
        fail();
    }
    return loop;
}

gyre_loop *
db_kit_loop_open(uint32_t io_kind)
{
    return loop_open(io_kind, 32u << 20);
}

void
db_kit_relimit(struct db_kit *kit, uint32_t io_kind, uint64_t memory_limit)
{
    db_kit_close(kit);
    KIT_OK(kit, gyre_loop_close(kit->loop));
    kit->loop = loop_open(io_kind, memory_limit);
    db_kit_open(kit);
}

struct db_kit *
db_kit_make(uint32_t io_kind)
{
    struct db_kit *kit = calloc(1, sizeof(*kit));

    assert_non_null(kit);
    scratch_make(kit->top);
    (void)snprintf(kit->path, sizeof(kit->path), "%s/store", kit->top);
    (void)snprintf(kit->other, sizeof(kit->other), "%s/other", kit->top);
    kit->options = (struct gyre_options){.struct_size = sizeof(kit->options),
                                         .flags = GYRE_OPEN_CREATE,
                                         .durability = GYRE_BUFFERED,
                                         .memtable_size = 64u << 10,
                                         .table_size = 64u << 10,
                                         .wal_slot_size = 1u << 20,
                                         .wal_buffer_size = 256u << 10};
    kit->random = 0x9e3779b97f4a7c15ull;
    kit->loop = db_kit_loop_open(io_kind);
    db_kit_open(kit);
    return kit;
}

void
db_kit_open(struct db_kit *kit)
{
    KIT_OK(kit, gyre_open(kit->loop, kit->path, &kit->options, &kit->db));
}

void
db_kit_close(struct db_kit *kit)
{
    KIT_OK(kit, gyre_close(kit->db));
    kit->db = NULL;
}

void
db_kit_reopen(struct db_kit *kit)
{
    db_kit_close(kit);
    db_kit_open(kit);
}

void
db_kit_free(struct db_kit *kit)
{
    if (kit->db != NULL) {
        db_kit_close(kit);
    }
    if (kit->loop != NULL) {
        KIT_OK(kit, gyre_loop_close(kit->loop));
    }
    scratch_remove(kit->top);
    free(kit);
}

uint64_t
db_kit_random(struct db_kit *kit, uint64_t bound)
{
    kit->random ^= kit->random << 13;
    kit->random ^= kit->random >> 7;
    kit->random ^= kit->random << 17;
    return kit->random % bound;
}

/* ---- The universe and its model ---- */

struct gyre_slice
db_kit_key(uint32_t index)
{
    static _Thread_local char keys[4][32];
    static _Thread_local uint32_t turn;
    char *key = keys[turn++ % 4];

    (void)snprintf(key, sizeof(keys[0]), "key%06u", index);
    return gyre_str(key);
}

struct gyre_slice
db_kit_value(uint32_t index, uint32_t version)
{
    static _Thread_local char values[4][DB_KIT_VALUE_MAX];
    static _Thread_local uint32_t turn;
    char *value = values[turn++ % 4];
    const uint32_t mix = (index * 2654435761u) ^ (version * 40503u);
    const size_t size = 24 + (mix >> 7) % ((mix & 31u) == 0 ? DB_KIT_VALUE_MAX - 24 : 200);

    memset(value, 'a' + (int)(mix % 26), size);
    (void)snprintf(value, 24, "%08u-%08u.....", index, version);
    return gyre_slice(value, size);
}

void
db_model_init(struct db_model *model, uint32_t count)
{
    assert_true(count <= DB_KIT_KEYS_MAX);
    model->count = count;
    for (uint32_t i = 0; i < count; i++) {
        model->version[i] = DB_KIT_NONE;
    }
}

void
db_kit_put(struct db_kit *kit, struct db_model *model, uint32_t index)
{
    static uint32_t version;

    version++;
    KIT_OK(kit, gyre_put(kit->db, NULL, db_kit_key(index), db_kit_value(index, version)));
    model->version[index] = version;
}

void
db_kit_delete(struct db_kit *kit, struct db_model *model, uint32_t index)
{
    KIT_OK(kit, gyre_delete(kit->db, NULL, db_kit_key(index)));
    model->version[index] = DB_KIT_NONE;
}

void
db_kit_churn(struct db_kit *kit, struct db_model *model, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t index = (uint32_t)db_kit_random(kit, model->count);

        if (db_kit_random(kit, 5) == 0) {
            db_kit_delete(kit, model, index);
        } else {
            db_kit_put(kit, model, index);
        }
    }
}

static void
check_slice(struct gyre_slice found, struct gyre_slice wanted)
{
    assert_int_equal(found.size, wanted.size);
    assert_memory_equal(found.data, wanted.data, wanted.size);
}

void
db_kit_check(struct db_kit *kit, gyre_db *db, const struct db_model *model,
             const gyre_snapshot *snapshot)
{
    const struct gyre_read_options *options = GYRE_READ_OPTIONS(.snapshot = snapshot);
    gyre_iterator *it;
    gyre_status status;

    for (uint32_t i = 0; i < model->count; i++) {
        struct gyre_value value;

        if (model->version[i] == DB_KIT_NONE) {
            KIT_IS(kit, gyre_get(db, options, db_kit_key(i), &value), GYRE_NOT_FOUND);
            continue;
        }
        KIT_OK(kit, gyre_get(db, options, db_kit_key(i), &value));
        check_slice(gyre_slice(value.data, value.size), db_kit_value(i, model->version[i]));
        gyre_value_release(&value);
    }
    KIT_OK(kit, gyre_iterator_open(db, GYRE_ITERATOR_OPTIONS(.snapshot = snapshot), &it));
    status = gyre_iterator_first(it);
    for (uint32_t i = 0; i < model->count; i++) {
        if (model->version[i] != DB_KIT_NONE) {
            KIT_OK(kit, status);
            check_slice(gyre_iterator_key(it), db_kit_key(i));
            check_slice(gyre_iterator_value(it), db_kit_value(i, model->version[i]));
            status = gyre_iterator_next(it);
        }
    }
    KIT_IS(kit, status, GYRE_NOT_FOUND);
    gyre_iterator_close(it);
}

/* ---- Files ---- */

static int
compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

uint32_t
db_kit_files(const char *path, const char *prefix, const char *suffix, char (*names)[64],
             uint32_t max)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    uint32_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        const size_t size = strlen(entry->d_name);

        if (entry->d_name[0] != '.' && size < 64 && size >= strlen(suffix) &&
            strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            strcmp(entry->d_name + size - strlen(suffix), suffix) == 0 && count < max) {
            memcpy(names[count++], entry->d_name, size + 1);
        }
    }
    (void)closedir(dir);
    qsort(names, count, 64, compare_names);
    return count;
}

static FILE *
file_open(const char *path, const char *name, const char *mode)
{
    char whole[512];
    FILE *file;

    (void)snprintf(whole, sizeof(whole), "%s/%s", path, name);
    file = fopen(whole, mode);
    assert_non_null(file);
    return file;
}

long
db_kit_file_size(const char *path, const char *name)
{
    FILE *file = file_open(path, name, "r");
    long size;

    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    (void)fclose(file);
    return size;
}

int
db_kit_byte(const char *path, const char *name, long offset)
{
    FILE *file = file_open(path, name, "r");
    int byte;

    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    byte = fgetc(file);
    (void)fclose(file);
    return byte;
}

void
db_kit_flip(const char *path, const char *name, long offset)
{
    FILE *file = file_open(path, name, "r+");
    int byte;

    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    byte = fgetc(file);
    assert_true(byte >= 0);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 0x10, file), byte ^ 0x10);
    assert_int_equal(fclose(file), 0);
}

void
db_kit_cut(const char *path, const char *name, long size)
{
    char whole[512];

    (void)snprintf(whole, sizeof(whole), "%s/%s", path, name);
    assert_int_equal(truncate(whole, size), 0);
}

void
db_kit_unlink(const char *path, const char *name)
{
    char whole[512];

    (void)snprintf(whole, sizeof(whole), "%s/%s", path, name);
    assert_int_equal(unlink(whole), 0);
}

static void
each_file(const char *path,
          void (*each)(void *arg, const char *name, const uint8_t *bytes, size_t size), void *arg)
{
    static char names[1024][64];
    const uint32_t count = db_kit_files(path, "", "", names, 1024);

    for (uint32_t i = 0; i < count; i++) {
        const size_t size = (size_t)db_kit_file_size(path, names[i]);
        uint8_t *bytes = malloc(size + 1);
        FILE *file = file_open(path, names[i], "r");

        assert_non_null(bytes);
        assert_int_equal(fread(bytes, 1, size, file), size);
        (void)fclose(file);
        each(arg, names[i], bytes, size);
        free(bytes);
    }
}

static void
copy_file(void *arg, const char *name, const uint8_t *bytes, size_t size)
{
    FILE *file = file_open(arg, name, "w");

    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void
db_kit_copy(const char *path, const char *target)
{
    assert_int_equal(mkdir(target, 0700), 0);
    each_file(path, copy_file, (void *)(uintptr_t)target);
}

static void
hash_file(void *arg, const char *name, const uint8_t *bytes, size_t size)
{
    uint64_t *hash = arg;

    for (size_t i = 0; i < strlen(name); i++) {
        *hash = (*hash ^ (uint8_t)name[i]) * 0x100000001b3ull;
    }
    for (size_t i = 0; i < size; i++) {
        *hash = (*hash ^ bytes[i]) * 0x100000001b3ull;
    }
}

uint64_t
db_kit_hash(const char *path)
{
    uint64_t hash = 0xcbf29ce484222325ull;

    each_file(path, hash_file, &hash);
    return hash;
}
