/* main.c - gyre-bench: measure a Gyre store, one workload a run. Public headers only.
 *
 * Order of a run: open; read the note of earlier fills (keys.h); warm up; measure; after writes,
 * add to the note and wait until compaction has caught up; print; close.
 *
 * Exit codes: 0 done, 1 an operation failed or a value was wrong, 2 bad input, 128 + n ended by
 * signal n (what was measured until then is printed).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/gyre_bench/report.h"

enum { EXIT_FAILED = 1, EXIT_SIGNAL = 128 };

struct bench {
    struct settings settings;
    gyre_loop *loop;
    gyre_db *db;
    struct note note;
    struct run run;
    struct report report;
    bool must_not_close; /* a coroutine still waits inside the store */
};

static volatile sig_atomic_t signal_taken;

static void
take_signal(int number)
{
    signal_taken = number; /* the next one of the kind ends the process: SA_RESETHAND */
}

static void
watch_signals(void)
{
    struct sigaction action = {.sa_handler = take_signal, .sa_flags = (int)SA_RESETHAND};

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static int
failed(const char *what, gyre_status status, const struct gyre_error *error)
{
    const bool has_text = error != NULL && error->status == status && error->text[0] != '\0';

    (void)fprintf(stderr, "gyre-bench: %s: %s: %s\n", what, gyre_status_name(status),
                  has_text ? error->text : gyre_status_text(status));
    return status == GYRE_INVALID || status == GYRE_NOT_FOUND || status == GYRE_UNSUPPORTED
               ? (int)EXIT_USAGE
               : (int)EXIT_FAILED;
}

/* ---- Opening ---- */

static void
print_log(void *arg, enum gyre_log_level level, const char *text)
{
    (void)arg;
    if (level != GYRE_LOG_INFO) {
        (void)fprintf(stderr, "gyre-bench: %s\n", text);
    }
}

static int
open_loop(struct bench *bench)
{
    const struct settings *s = &bench->settings;
    const uint64_t floor = s->cache_size + (192u << 20);
    struct gyre_loop_options options = {.struct_size = sizeof(options),
                                        .io_kind = s->io_kind,
                                        .cache_size = s->cache_size,
                                        .memory_limit = s->memory,
                                        .in_flight_max = (uint32_t)s->in_flight,
                                        .log = print_log};
    struct gyre_error error = {.status = GYRE_OK};
    gyre_status status;

    if (options.memory_limit == 0) {
        options.memory_limit = floor > 256u << 20 ? floor : 256u << 20;
        options.memory_limit += s->depth > 64 ? s->depth << 16 : 0; /* stacks of 64 KiB */
    }
    if (s->depth > 4000) {
        options.coroutines_max = (uint32_t)s->depth + 96;
    }
    status = gyre_loop_open(&options, &bench->loop, &error);
    return status == GYRE_OK ? GO_ON : failed("cannot open a loop", status, &error);
}

static int
open_store(struct bench *bench)
{
    const struct settings *s = &bench->settings;
    struct gyre_options options = {
        .struct_size = sizeof(options), .durability = s->durability, .compression = s->compression};
    struct gyre_error error = {.status = GYRE_OK};
    gyre_status status;

    if (!s->use_existing) {
        options.flags = GYRE_OPEN_CREATE | GYRE_OPEN_EXCLUSIVE;
    }
    if (s->options != NULL) {
        status = gyre_options_parse(s->options, &options, &error);
        if (status != GYRE_OK) {
            return failed("--options", status, &error);
        }
    }
    if (s->fresh) {
        status = gyre_destroy(bench->loop, s->db);
        if (status != GYRE_OK && status != GYRE_NOT_FOUND) {
            return failed("--fresh", status, gyre_last_error(bench->loop));
        }
    }
    status = gyre_open(bench->loop, s->db, &options, &bench->db);
    if (status == GYRE_OK) {
        return GO_ON;
    }
    if (status == GYRE_INVALID && !s->use_existing && access(s->db, F_OK) == 0) {
        (void)fprintf(stderr,
                      "gyre-bench: if %s is a store: --use-existing writes into it, "
                      "--fresh removes it first\n",
                      s->db);
    }
    return failed(s->db, status, gyre_last_error(bench->loop));
}

/* The note of earlier fills says what --num and sizes are, when they are not given. */
static int
read_note(struct bench *bench)
{
    const gyre_status status = note_read(bench->db, &bench->note);
    struct fill last = {.num = 0};

    if (status != GYRE_OK && status != GYRE_NOT_FOUND) {
        return failed("reading the note of earlier fills", status, gyre_last_error(bench->loop));
    }
    if (status == GYRE_OK) {
        last = bench->note.fills[bench->note.fill_count - 1];
    }
    return settings_resolve(&bench->settings, last.num, last.key_size, last.value_size);
}

/* A store that is to be made is not made for settings that are wrong. */
static int
open_all(struct bench *bench)
{
    int code = GO_ON;

    if (!bench->settings.use_existing) {
        code = settings_resolve(&bench->settings, 0, 0, 0);
    }
    if (code == GO_ON) {
        code = open_loop(bench);
    }
    if (code == GO_ON) {
        code = open_store(bench);
    }
    if (code == GO_ON && bench->settings.use_existing) {
        code = read_note(bench);
    }
    return code;
}

static int
choose_keys(struct bench *bench)
{
    const struct settings *s = &bench->settings;

    bench->run.fill = (struct fill){.order = s->workload == WORKLOAD_FILLSEQ ? ORDER_SEQUENTIAL
                                             : s->unique                     ? ORDER_UNIQUE
                                                                             : ORDER_RANDOM,
                                    .seed = s->seed,
                                    .num = s->num,
                                    .key_size = s->key_size,
                                    .value_size = s->value_size};
    if (s->workload <= WORKLOAD_FILLSYNC) {
        return GO_ON; /* fills do not ask what is there */
    }
    if (!presence_init(&bench->run.presence, &bench->note, s->num)) {
        return failed("marking the keys that are there", GYRE_NO_MEMORY, NULL);
    }
    if (bench->run.presence.count == 0) {
        return usage_error("no fill wrote any of the keys 0..%llu into %s",
                           (unsigned long long)s->num - 1, s->db);
    }
    return GO_ON;
}

/* ---- Measuring ---- */

static void
measure(struct bench *bench)
{
    const struct settings *s = &bench->settings;
    struct run *run = &bench->run;
    struct report *report = &bench->report;

    if (s->warmup > 0) {
        run_phase(run, s->warmup, 0);
    }
    gyre_stats_reset_maxima(bench->db);
    moment_take(&report->start, bench->db);
    run_phase(run, s->ops, s->duration_ns);
    moment_take(&report->answered, bench->db);
    report->end = report->answered;
    if (s->is_write && s->settle && run->status == GYRE_OK && signal_taken == 0) {
        report->is_settled = run_settle(run);
        bench->must_not_close = !report->is_settled && signal_taken != 0;
        moment_take(&report->end, bench->db);
    }
    report->is_interrupted = signal_taken != 0;
    report->peak_rss = rss_peak_bytes();
}

/* How much the user's live data is. */
static double
live_user_bytes(const struct bench *bench)
{
    const struct settings *s = &bench->settings;
    const double size = (double)(s->key_size + s->value_size);

    if (bench->note.fill_count == 0) {
        return 0;
    }
    return size * (bench->run.presence.is_known ? (double)bench->run.presence.count
                                                : note_key_count(&bench->note, s->num));
}

static int
write_note(struct bench *bench)
{
    gyre_status status;

    if (bench->settings.workload > WORKLOAD_FILLSYNC || bench->must_not_close) {
        return GO_ON;
    }
    bench->run.fill.ops = bench->run.op_next;
    status = note_add(bench->db, &bench->note, &bench->run.fill);
    return status == GYRE_OK
               ? GO_ON
               : failed("writing the note of this fill", status, gyre_last_error(bench->loop));
}

static int
run_workload(struct bench *bench)
{
    struct run *run = &bench->run;
    struct report *report = &bench->report;
    int code = GO_ON;

    run->settings = report->settings = &bench->settings;
    report->run = run;
    run->loop = bench->loop;
    run->db = bench->db;
    run->interrupted = &signal_taken;
    if (!values_init(&run->values, bench->settings.value_size, bench->settings.compress_ratio,
                     bench->settings.seed)) {
        return failed("making values", GYRE_NO_MEMORY, NULL);
    }
    if (!run_init(run)) {
        return EXIT_FAILED;
    }
    measure(bench);
    if (run->status == GYRE_OK) {
        code = write_note(bench);
    }
    report->live_user_bytes = live_user_bytes(bench);
    report_print(report);
    if (run->errors > 0) {
        (void)fprintf(stderr, "gyre-bench: %s\n", run->error_text);
        code = EXIT_FAILED;
    } else if (run->mismatches > 0) {
        (void)fputs("gyre-bench: values were read that do not belong to their key\n", stderr);
        code = EXIT_FAILED;
    }
    return code;
}

/* ---- Closing ---- */

static int
close_all(struct bench *bench, int code)
{
    gyre_status status;

    run_free(&bench->run);
    values_free(&bench->run.values);
    presence_free(&bench->run.presence);
    if (bench->must_not_close) {
        return code; /* the store recovers at its next open, as after a kill */
    }
    status = gyre_close(bench->db);
    if (status != GYRE_OK) {
        code = failed("closing the store", status, gyre_last_error(bench->loop));
    }
    status = gyre_loop_close(bench->loop);
    if (status != GYRE_OK) {
        code = failed("closing the loop", status, NULL);
    }
    return code;
}

int
main(int argc, char **argv)
{
    static struct bench bench; /* large: the histogram, the note */
    int code = settings_parse(&bench.settings, argc, argv);

    if (code != GO_ON) {
        return code;
    }
    watch_signals();
    code = open_all(&bench);
    if (code == GO_ON) {
        code = choose_keys(&bench);
    }
    if (code == GO_ON) {
        code = run_workload(&bench);
    }
    code = close_all(&bench, code);
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        (void)fputs("gyre-bench: cannot write the results\n", stderr);
        code = EXIT_FAILED;
    }
    if (signal_taken != 0) {
        return EXIT_SIGNAL + (int)signal_taken;
    }
    return code == GO_ON ? 0 : code;
}
