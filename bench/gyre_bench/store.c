/* store.c - is the store there, is it the right one, and what does it hold? */
#include "bench/gyre_bench/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/gyre_bench/options.h"

#define RECORDS_DEFAULT 1000000u
#define KEY_SIZE_DEFAULT 16u
#define COMPRESS_DEFAULT 50u
#define VALUE_SIZE_DEFAULT "1024"
#define MEMORY_DEFAULT (256ull << 20)

/* ---- Removing ---- */

/* Regular files in a directory and one level below (LevelDB's "lost"), then the directory. */
static bool
remove_directory(const char *path, bool is_inner)
{
    DIR *directory = opendir(path);
    bool is_good = directory != NULL;

    if (!is_good) {
        return errno == ENOENT;
    }
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        char inner[4096];
        struct stat info;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
        if (lstat(inner, &info) == 0 && S_ISDIR(info.st_mode) && !is_inner) {
            is_good = remove_directory(inner, true) && is_good;
        } else {
            is_good = unlink(inner) == 0 && is_good;
        }
    }
    (void)closedir(directory);
    return rmdir(path) == 0 && is_good;
}

static int
make_room(struct group *group)
{
    const char *db = group->jobs[0].db;
    const bool is_there = access(db, F_OK) == 0;

    if (!is_there) {
        note_remove(db); /* of a store that somebody removed */
        return GO_ON;
    }
    if (!group->jobs[0].fresh) {
        return usage_error("%s is there already: existing=1 writes into it, fresh=1 removes it "
                           "first",
                           db);
    }
    if (!group->has_note) {
        return usage_error("fresh=1: no note says that gyre-bench made %s; remove it yourself", db);
    }
    if (!remove_directory(db, false)) {
        return usage_error("fresh=1: cannot remove %s: %s", db, strerror(errno));
    }
    note_remove(db);
    group->has_note = false;
    return GO_ON;
}

/* ---- Is it the right one? ---- */

/* "gyre-completion" works on what "gyre" wrote. */
static bool
same_family(const char *a, const char *b)
{
    const size_t a_size = strcspn(a, "-");

    return a_size == strcspn(b, "-") && strncmp(a, b, a_size) == 0;
}

static bool
same_sizes(const struct sizes *a, const struct sizes *b)
{
    return a->piece_count == b->piece_count &&
           memcmp(a->pieces, b->pieces, a->piece_count * sizeof(a->pieces[0])) == 0;
}

static int
check_note(const struct group *group)
{
    const struct note *note = &group->note;
    const char *db = group->jobs[0].db;

    if (!same_family(note->engine, group->type->name)) {
        return usage_error("%s is a store of %s, not of %s", db, note->engine, group->type->name);
    }
    for (uint32_t i = 0; i < group->job_count; i++) {
        const struct job *job = &group->jobs[i];

        if (job->key_size != UNSET && job->key_size != note->key_size) {
            return usage_error("%s was filled with key_size=%llu, not %llu", db,
                               (unsigned long long)note->key_size,
                               (unsigned long long)job->key_size);
        }
        if (job->value_size.piece_count != 0 && !same_sizes(&job->value_size, &note->sizes)) {
            return usage_error("%s was filled with value_size=%s, not %s", db, note->sizes.text,
                               job->value_size.text);
        }
        if (job->compress_percentage != UNSET &&
            job->compress_percentage != note->compress_percentage) {
            return usage_error("%s was filled with compress_percentage=%llu, not %llu", db,
                               (unsigned long long)note->compress_percentage,
                               (unsigned long long)job->compress_percentage);
        }
        if (job_has(job, "insertorder") && job->is_hashed != note->is_hashed) {
            return usage_error("%s was filled with insertorder=%s", db,
                               note->is_hashed ? "hashed" : "ordered");
        }
    }
    if ((group->type->abilities & CAN_COMPRESS) != 0 &&
        strcmp(note->compression,
               option_value_name(compression_names, group->jobs[0].compression)) != 0) {
        (void)fprintf(
            stderr, "gyre-bench: note: %s was made with compression=%s, this run writes with %s\n",
            db, note->compression,
            option_value_name(compression_names, group->jobs[0].compression));
    }
    return GO_ON;
}

/* ---- What was not given ---- */

static void
describe_state(struct group *group)
{
    const bool is_kept = (group->type->abilities & CAN_STORE) != 0;
    const char *state = "state not known: no note of a fill";

    if (!is_kept) {
        state = "none";
    } else if (group->must_create) {
        state = "new";
    } else if (group->has_note) {
        state = group->note.is_settled ? "settled" : "with compaction left to do";
    }
    (void)snprintf(group->store_state, sizeof(group->store_state), "%s", state);
}

static void
resolve_job(struct group *group, struct job *job)
{
    const struct note *note = group->has_note ? &group->note : NULL;
    const uint64_t there = note != NULL ? note_records(note) : 0;

    if (job->records == UNSET) {
        job->records = there > 0 ? there : RECORDS_DEFAULT;
    }
    if (job->key_size == UNSET) {
        job->key_size = note != NULL ? note->key_size : KEY_SIZE_DEFAULT;
    }
    if (job->value_size.piece_count == 0) {
        if (note != NULL) {
            job->value_size = note->sizes;
        } else {
            (void)sizes_parse(VALUE_SIZE_DEFAULT, &job->value_size);
        }
    }
    if (job->compress_percentage == UNSET) {
        job->compress_percentage = note != NULL ? note->compress_percentage : COMPRESS_DEFAULT;
    }
    if (note != NULL) {
        job->is_hashed = note->is_hashed;
    }
    if (job->ops == 0) {
        job->ops = job->time_based ? NO_LIMIT : job->records;
    }
}

static void
resolve_engine(struct group *group)
{
    const struct job *job = &group->jobs[0];
    struct engine_settings *s = &group->engine_settings;
    const uint64_t floor = job->cache_size + (192ull << 20);

    *s = (struct engine_settings){.job = job, .path = job->db, .must_create = group->must_create};
    s->memory = job->memory;
    if (s->memory == 0) {
        s->memory = job->cache_size != 0 && floor > MEMORY_DEFAULT ? floor : MEMORY_DEFAULT;
    }
    s->cache_size = job->cache_size;
    if (s->cache_size == 0) {
        s->cache_size = s->memory / (s->memory < 64u << 20 ? 4 : 2);
    }
    s->memtable_size = s->memory / 8 < 64u << 20 ? s->memory / 8 : 64u << 20;
    s->durability = job->durability;
    s->records = job->records;
    s->record_size = (uint64_t)(sizes_mean(&job->value_size) + (double)job->key_size);
    for (uint32_t i = 0; i < group->job_count; i++) {
        const struct job *j = &group->jobs[i];

        if (j->durability == DURABILITY_DEFAULT && j->workload->is_durable) {
            s->durability = DURABILITY_DURABLE;
        }
        s->slot_count += j->iodepth * j->numjobs + (j->workload->side != NULL ? j->numjobs : 0);
    }
    if (s->durability == DURABILITY_DEFAULT) {
        s->durability = DURABILITY_BUFFERED;
    }
    s->iterator_count = s->slot_count;
}

/* ---- Is there room? ---- */

/* Keys and values, a half on top for what compaction holds twice, the log. */
static int
check_space(const struct group *group)
{
    const struct engine_settings *s = &group->engine_settings;
    double need = 4.0 * (double)s->memtable_size;
    const double free = (double)free_bytes(s->path);

    for (uint32_t i = 0; i < group->job_count; i++) {
        const struct job *job = &group->jobs[i];
        const uint64_t keys = job->ops < job->records ? job->ops : job->records;

        if (workload_does(job->workload, ACTION_FILL)) {
            need +=
                1.5 * (double)keys * ((double)job->key_size + sizes_mean(&job->value_size) + 24.0);
        }
    }
    if (!group->must_create || (group->type->abilities & CAN_STORE) == 0 || need <= free) {
        return GO_ON;
    }
    return usage_error("%s has %.0f MiB free, the run may need %.0f MiB: fewer records, or another "
                       "file system",
                       s->path, free / (1 << 20), need / (1 << 20));
}

static int
check_keys(const struct group *group)
{
    for (uint32_t i = 0; i < group->job_count; i++) {
        const struct job *job = &group->jobs[i];

        if (job->key_size < 8 && job->records > 1ull << (8 * job->key_size - 1)) {
            return usage_error("key_size=%llu is too small for %llu keys",
                               (unsigned long long)job->key_size, (unsigned long long)job->records);
        }
        if (job->is_hashed && job->key_size < HASHED_KEY_SIZE_MIN) {
            return usage_error("insertorder=hashed needs key_size=%u or more", HASHED_KEY_SIZE_MIN);
        }
        if (job->records != group->jobs[0].records || job->key_size != group->jobs[0].key_size ||
            !same_sizes(&job->value_size, &group->jobs[0].value_size) ||
            job->compress_percentage != group->jobs[0].compress_percentage) {
            return usage_error("jobs '%s' and '%s' run on one store: records, key_size, value_size "
                               "and compress_percentage must be the same",
                               group->jobs[0].name, job->name);
        }
    }
    return GO_ON;
}

int
store_prepare(struct group *group)
{
    const char *db = group->jobs[0].db;
    const bool is_kept = (group->type->abilities & CAN_STORE) != 0;
    int code = GO_ON;

    for (uint32_t i = 0; i < group->job_count; i++) {
        const struct workload *workload = group->jobs[i].workload;

        group->must_create |= workload->makes_store && !group->jobs[i].existing;
        group->writes |= workload_writes(workload);
    }
    /* Whatever is to be read of the bare device is as good as what a fill would leave. */
    if (group->type == &engine_raw && access(db, F_OK) != 0) {
        group->must_create = true;
    }
    if (is_kept) {
        group->has_note = note_read(db, &group->note);
        if (group->must_create) {
            code = make_room(group);
        } else if (access(db, F_OK) != 0) {
            return usage_error("no store at %s: a fill makes one", db);
        }
        if (code == GO_ON && group->has_note) {
            code = check_note(group);
        }
    }
    if (code != GO_ON) {
        return code;
    }
    describe_state(group);
    for (uint32_t i = 0; i < group->job_count; i++) {
        resolve_job(group, &group->jobs[i]);
    }
    resolve_engine(group);
    code = check_keys(group);
    return code == GO_ON ? check_space(group) : code;
}
