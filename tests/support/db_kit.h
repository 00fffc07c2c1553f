/* db_kit.h - a store in a scratch directory with small sizes, and a model of a few hundred keys to
 * compare it with. */
#ifndef GY_TEST_DB_KIT_H
#define GY_TEST_DB_KIT_H

#include "gyre/gyre.h"
#include "tests/support/scratch.h"

#define DB_KIT_KEYS_MAX 4096u
#define DB_KIT_VALUE_MAX 2048u
#define DB_KIT_NONE UINT32_MAX /* model: the key is not there */

struct db_kit {
    char top[SCRATCH_PATH_MAX];
    char path[SCRATCH_PATH_MAX + 32];  /* of the store */
    char other[SCRATCH_PATH_MAX + 32]; /* for a second one */
    gyre_loop *loop;
    gyre_db *db;
    struct gyre_options options;
    uint64_t random;
};

/* The model: which version of each key is the newest. */
struct db_model {
    uint32_t count;
    uint32_t version[DB_KIT_KEYS_MAX];
};

/* Says the text of the failure, then fails the test. */
#define KIT_OK(kit, expression) \
    db_kit_expect(kit, expression, GYRE_OK, #expression, __FILE__, __LINE__)
#define KIT_IS(kit, expression, status) \
    db_kit_expect(kit, expression, status, #expression, __FILE__, __LINE__)
void db_kit_expect(struct db_kit *kit, gyre_status status, gyre_status wanted,
                   const char *expression, const char *file, int line);

/* A loop and an open store (memtable 64 KiB, log slots 1 MiB, BUFFERED). */
struct db_kit *db_kit_make(uint32_t io_kind);
void db_kit_free(struct db_kit *kit); /* everything is released; removes the directory */
void db_kit_open(struct db_kit *kit);
void db_kit_close(struct db_kit *kit);
void db_kit_reopen(struct db_kit *kit);
gyre_loop *db_kit_loop_open(uint32_t io_kind);
void db_kit_relimit(struct db_kit *kit, uint32_t io_kind, uint64_t memory_limit); /* another loop */
uint64_t db_kit_random(struct db_kit *kit, uint64_t bound);

/* Key and value of the universe: the value says which key and version it is, its size varies.
 * Static buffers, four deep. */
struct gyre_slice db_kit_key(uint32_t index);
struct gyre_slice db_kit_value(uint32_t index, uint32_t version);

void db_model_init(struct db_model *model, uint32_t count);
void db_kit_put(struct db_kit *kit, struct db_model *model, uint32_t index);
void db_kit_delete(struct db_kit *kit, struct db_model *model, uint32_t index);
/* `count` random puts and deletes (one in five). */
void db_kit_churn(struct db_kit *kit, struct db_model *model, uint32_t count);
/* Every key by get; the whole order by an iterator forward. */
void db_kit_check(struct db_kit *kit, gyre_db *db, const struct db_model *model,
                  const gyre_snapshot *snapshot);

/* ---- Files of a closed store ---- */

/* Names that begin and end so, sorted, at most `max`; returns how many. */
uint32_t db_kit_files(const char *path, const char *prefix, const char *suffix, char (*names)[64],
                      uint32_t max);
long db_kit_file_size(const char *path, const char *name);
int db_kit_byte(const char *path, const char *name, long offset); /* -1: behind the end */
void db_kit_flip(const char *path, const char *name, long offset);
void db_kit_cut(const char *path, const char *name, long size);
void db_kit_unlink(const char *path, const char *name);
/* the whole directory, which must not exist */
void db_kit_copy(const char *path, const char *target);
uint64_t db_kit_hash(const char *path); /* of names and bytes */

#endif
