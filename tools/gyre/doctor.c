/* doctor.c - doctor: what this machine allows a store to do, what happens where it does not, and
 * what helps. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/gyre/doctor.h"

const struct cli_command cli_doctor_command = {
    .name = "doctor",
    .usage = "[DIR]",
    .summary = "say what this machine allows: io_uring, direct I/O, locked memory, syncs",
    .details =
        "DIR (default: here) is where a store would be; a temporary file is made in it. Each\n"
        "line is a check and its verdict: ok, info, degraded (it works, but worse: the next line\n"
        "says how and what helps) or bad. Exits with 4 if one is bad, else with 0.\n",
    .words_min = 0,
    .words_max = 1,
    .flags = CLI_HAS_JSON | CLI_NO_STORE};

#define SHM_BYTES_WANTED (64u << 20) /* staging of a store is 4 MiB by default, at most 64 */
#define FILES_WANTED 2048u           /* tables kept open (1000), logs, and the host's own */

/* ---- Telling ---- */

static void
add_text(struct cli_bytes *bytes, const char *text)
{
    cli_bytes_add(bytes, text, strlen(text));
}

void
doctor_fact(struct doctor *doctor, const char *name, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "\":%llu", (unsigned long long)value);
    add_text(&doctor->facts, doctor->facts.size > 0 ? ",\"" : "\"");
    add_text(&doctor->facts, name);
    add_text(&doctor->facts, text);
}

void
doctor_fact_text(struct doctor *doctor, const char *name, const char *text)
{
    char *json = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&json, &size);

    if (out == NULL) {
        return; /* a fact less; the verdict is told all the same */
    }
    cli_put_json_text(out, text);
    if (fclose(out) == 0) {
        add_text(&doctor->facts, doctor->facts.size > 0 ? ",\"" : "\"");
        add_text(&doctor->facts, name);
        add_text(&doctor->facts, "\":");
        cli_bytes_add(&doctor->facts, json, size);
    }
    free(json);
}

void
doctor_tell(struct doctor *doctor, const char *check, enum doctor_verdict verdict,
            const char *advice, const char *found, ...)
{
    static const char *const names[] = {"ok", "info", "degraded", "bad"};
    char text[512];
    va_list list;

    va_start(list, found);
    (void)vsnprintf(text, sizeof(text), found, list);
    va_end(list);
    doctor->counts[verdict]++;
    if (doctor->cli->json) {
        (void)printf("{\"check\":\"%s\",\"verdict\":\"%s\",\"found\":", check, names[verdict]);
        cli_put_json_text(stdout, text);
        if (advice != NULL) {
            (void)fputs(",\"advice\":", stdout);
            cli_put_json_text(stdout, advice);
        }
        (void)fputs(",\"facts\":{", stdout);
        cli_put_raw(stdout, cli_bytes_slice(&doctor->facts));
        (void)fputs("}}\n", stdout);
    } else {
        (void)printf("%-14s %-9s %s\n", check, names[verdict], text);
        if (advice != NULL) {
            (void)printf("%-14s %-9s %s\n", "", "", advice);
        }
    }
    doctor->facts.size = 0;
}

bool
doctor_read_line(const char *path, char *buffer, size_t capacity)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return false;
    }
    const bool is_read = fgets(buffer, (int)capacity, file) != NULL;
    (void)fclose(file);
    if (is_read) {
        buffer[strcspn(buffer, "\n")] = '\0';
    }
    return is_read;
}

/* ---- Checks of the machine ---- */

static void
check_system(struct doctor *doctor)
{
    struct utsname name;

    if (uname(&name) != 0) {
        return;
    }
    doctor_fact_text(doctor, "kernel", name.release);
    doctor_fact_text(doctor, "machine", name.machine);
    doctor_fact(doctor, "processors", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    doctor_tell(doctor, "system", DOCTOR_INFO, NULL, "%s %s on %s, %ld processors, gyre %s",
                name.sysname, name.release, name.machine, sysconf(_SC_NPROCESSORS_ONLN),
                gyre_version());
}

static void
check_open_files(struct doctor *doctor)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    const bool is_enough = limit.rlim_cur >= FILES_WANTED;
    doctor_fact(doctor, "soft", limit.rlim_cur);
    doctor_fact(doctor, "hard", limit.rlim_max);
    doctor_tell(doctor, "open files", is_enough ? DOCTOR_OK : DOCTOR_DEGRADED,
                is_enough ? NULL
                          : "a large store needs about 1100 (options: open_files_max=...); raise "
                            "the limit with ulimit -n or LimitNOFILE=",
                "limit %llu, may be raised to %llu", (unsigned long long)limit.rlim_cur,
                (unsigned long long)limit.rlim_max);
}

/* Can a file be made there, as staging of BUFFERED writes needs it? */
static int
try_shm(void)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/dev/shm/gyre-doctor-%ld", (long)getpid());
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    (void)close(fd);
    (void)unlink(path);
    return 0;
}

static void
check_shm(struct doctor *doctor)
{
    static const char advice[] =
        "BUFFERED writes are answered after an unsynced write of the log instead of a memcpy; "
        "give the container a larger /dev/shm (docker run --shm-size=256m)";
    struct statvfs info;
    char total[32], available[32];
    const int failed = try_shm();

    if (failed != 0 || statvfs("/dev/shm", &info) != 0) {
        doctor_tell(doctor, "/dev/shm", DOCTOR_DEGRADED, advice, "cannot be used: %s",
                    strerror(failed != 0 ? failed : errno));
        return;
    }
    const uint64_t size = (uint64_t)info.f_blocks * info.f_frsize;
    const uint64_t left = (uint64_t)info.f_bavail * info.f_frsize;
    doctor_fact(doctor, "size", size);
    doctor_fact(doctor, "available", left);
    doctor_tell(doctor, "/dev/shm", left >= SHM_BYTES_WANTED ? DOCTOR_OK : DOCTOR_DEGRADED,
                left >= SHM_BYTES_WANTED ? NULL : advice, "%s, %s available",
                cli_size_text(size, total, sizeof(total)),
                cli_size_text(left, available, sizeof(available)));
}

int
cli_doctor_run(struct cli *cli, int count, char **words)
{
    struct doctor doctor = {.cli = cli};
    int code = cli_parse(cli, &cli_doctor_command, count, words, NULL);

    if (code != CLI_GO_ON) {
        return code;
    }
    doctor.folder = cli->words[0] != NULL ? cli->words[0] : ".";
    check_system(&doctor);
    doctor_check_ring(&doctor);
    doctor_check_memlock(&doctor);
    doctor_check_loop(&doctor);
    check_open_files(&doctor);
    check_shm(&doctor);
    doctor_check_folder(&doctor);
    doctor_check_device(&doctor);
    doctor_check_direct(&doctor);
    doctor_check_sync(&doctor);
    cli_bytes_free(&doctor.facts);
    if (!cli->json) {
        (void)printf("%u ok, %u degraded, %u bad\n", doctor.counts[DOCTOR_OK],
                     doctor.counts[DOCTOR_DEGRADED], doctor.counts[DOCTOR_BAD]);
    }
    return cli_finish_output(cli, doctor.counts[DOCTOR_BAD] > 0 ? CLI_FAILED : CLI_OK);
}
