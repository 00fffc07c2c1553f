/* campaign.c - see campaign.h. Workers share some counters with their parent and nothing else. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "tools/gyre_sim/campaign.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/base/bits.h"

#define JOBS_MAX 64u
#define POLL_MS 20

struct shared {
    _Atomic uint64_t next; /* index of the next seed to give out */
    _Atomic uint64_t done;
    _Atomic uint64_t hash;
    _Atomic uint64_t states[FAIL_STATE_COUNT];
    _Atomic bool stop;
    struct {
        _Atomic uint64_t seed; /* at hand */
        _Atomic uint64_t since_ms;
        _Atomic bool is_busy;
    } workers[JOBS_MAX];
};

static uint64_t
now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
hand_in_states(struct shared *shared)
{
    for (uint32_t i = 0; i < FAIL_STATE_COUNT; i++) {
        const uint64_t count = fail_state_count(i);

        if (count > 0) {
            atomic_fetch_add(&shared->states[i], count);
        }
    }
}

static void
silence(void)
{
    const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (null >= 0) {
        (void)dup2(null, STDERR_FILENO);
        (void)dup2(null, STDOUT_FILENO);
    }
}

_Noreturn static void
worker_main(const struct campaign *campaign, struct shared *shared, uint32_t number)
{
    if (campaign->is_quiet) {
        silence();
    }
    while (!atomic_load(&shared->stop)) {
        const uint64_t index = atomic_fetch_add(&shared->next, 1);
        uint64_t seed;
        uint64_t hash;

        if (index >= campaign->count) {
            break;
        }
        seed = campaign->seeds != NULL ? campaign->seeds[index] : campaign->first + index;
        atomic_store(&shared->workers[number].seed, seed);
        atomic_store(&shared->workers[number].since_ms, now_ms());
        atomic_store(&shared->workers[number].is_busy, true);
        hash = run_seed(seed, campaign->effort);
        atomic_store(&shared->workers[number].is_busy, false);
        atomic_fetch_add(&shared->hash, gy_mix64(hash ^ gy_mix64(seed)));
        atomic_fetch_add(&shared->done, 1);
    }
    hand_in_states(shared);
    _exit(0);
}

static pid_t
worker_start(const struct campaign *campaign, struct shared *shared, uint32_t number)
{
    pid_t pid;

    (void)fflush(NULL);
    atomic_store(&shared->workers[number].is_busy, false);
    pid = fork();
    if (pid == 0) {
        worker_main(campaign, shared, number);
    }
    return pid;
}

static void
note_failure(const struct campaign *campaign, struct campaign_result *result, uint64_t seed,
             int status)
{
    if (result->failure_count < CAMPAIGN_FAILURES_KEPT) {
        result->failed_seeds[result->failure_count] = seed;
    }
    result->failure_count++;
    if (campaign->is_quiet) {
        return;
    }
    if (WIFSIGNALED(status)) {
        (void)fprintf(stderr, "FAILED: seed %llu: ended by signal %d (%s)\n",
                      (unsigned long long)seed, WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        (void)fprintf(stderr, "FAILED: seed %llu\n", (unsigned long long)seed);
    }
}

static void
print_progress(const struct campaign *campaign, const struct shared *shared, uint64_t start_ms,
               const struct campaign_result *result)
{
    static uint64_t last_ms;
    const uint64_t now = now_ms();
    const uint64_t done = atomic_load(&shared->done);

    if (!campaign->has_progress || now - last_ms < 1000) {
        return;
    }
    last_ms = now;
    (void)fprintf(stderr, "\r%llu of %llu seeds, %.0f a minute, %u failures ",
                  (unsigned long long)done, (unsigned long long)campaign->count,
                  (double)done * 60000 / (double)(now - start_ms + 1), result->failure_count);
}

/* Until all have ended; those that fail or hang are replaced. */
static void
supervise(const struct campaign *campaign, struct shared *shared, pid_t *pids,
          struct campaign_result *result)
{
    const uint64_t start_ms = now_ms();
    uint32_t live = campaign->jobs;

    while (live > 0) {
        for (uint32_t i = 0; i < campaign->jobs; i++) {
            int status = 0;

            if (pids[i] <= 0 || waitpid(pids[i], &status, WNOHANG) != pids[i]) {
                continue;
            }
            pids[i] = 0;
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                live--;
                continue;
            }
            note_failure(campaign, result, atomic_load(&shared->workers[i].seed), status);
            if (result->failure_count >= campaign->failures_max) {
                atomic_store(&shared->stop, true);
            }
            pids[i] = worker_start(campaign, shared, i);
            live -= pids[i] < 0 ? 1 : 0;
        }
        for (uint32_t i = 0; i < campaign->jobs; i++) {
            if (pids[i] > 0 && atomic_load(&shared->workers[i].is_busy) &&
                now_ms() - atomic_load(&shared->workers[i].since_ms) >
                    (uint64_t)campaign->hang_seconds * 1000) {
                (void)kill(pids[i], SIGKILL); /* counted as it is waited for */
            }
        }
        if (campaign->seconds_max != 0 && now_ms() - start_ms > campaign->seconds_max * 1000) {
            atomic_store(&shared->stop, true);
        }
        print_progress(campaign, shared, start_ms, result);
        (void)poll(NULL, 0, POLL_MS);
    }
    result->seconds = (double)(now_ms() - start_ms) / 1000;
}

bool
campaign_run(const struct campaign *campaign, struct campaign_result *ret_result)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[JOBS_MAX];

    memset(ret_result, 0, sizeof(*ret_result));
    if (shared == MAP_FAILED || campaign->jobs == 0 || campaign->jobs > JOBS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < campaign->jobs; i++) {
        pids[i] = worker_start(campaign, shared, i);
        if (pids[i] < 0) {
            return false;
        }
    }
    supervise(campaign, shared, pids, ret_result);
    if (campaign->has_progress) {
        (void)fprintf(stderr, "\r%*s\r", 70, "");
    }
    ret_result->seed_count = atomic_load(&shared->done);
    ret_result->hash = atomic_load(&shared->hash);
    for (uint32_t i = 0; i < FAIL_STATE_COUNT; i++) {
        ret_result->states[i] = atomic_load(&shared->states[i]);
    }
    (void)munmap(shared, sizeof(*shared));
    return true;
}

/* ---- One seed by itself ---- */

/* What the child says, until it ends or `deadline_ms` has passed. False: it has not ended. */
static bool
listen_to(int from, uint64_t deadline_ms, char *text, size_t text_size)
{
    size_t used = 0;

    for (;;) {
        char piece[512];
        struct pollfd wait = {.fd = from, .events = POLLIN};
        const uint64_t now = now_ms();
        ssize_t size;

        if (now >= deadline_ms) {
            return false;
        }
        if (poll(&wait, 1, (int)gy_min_u64(deadline_ms - now, 1000)) <= 0) {
            continue;
        }
        size = read(from, piece, sizeof(piece));
        if (size <= 0) {
            return true;
        }
        if (text != NULL) {
            const size_t length = gy_min_u64((uint64_t)size, text_size - 1 - used);

            memcpy(text + used, piece, length);
            used += length;
            text[used] = '\0';
        }
    }
}

bool
campaign_try(uint64_t seed, const struct effort *effort, uint32_t seconds, char *text,
             size_t text_size)
{
    int pipes[2];
    int status = 0;
    pid_t pid;

    if (text != NULL) {
        text[0] = '\0';
    }
    demand(pipe2(pipes, O_CLOEXEC) == 0);
    (void)fflush(NULL);
    pid = fork();
    demand(pid >= 0);
    if (pid == 0) {
        (void)dup2(pipes[1], STDERR_FILENO);
        if (effort->tell_depth == 0) {
            (void)dup2(pipes[1], STDOUT_FILENO);
        }
        (void)run_seed(seed, effort);
        (void)fflush(NULL);
        _exit(0);
    }
    (void)close(pipes[1]);
    if (!listen_to(pipes[0], now_ms() + (uint64_t)seconds * 1000, text, text_size)) {
        (void)kill(pid, SIGKILL);
        if (text != NULL) {
            (void)snprintf(text, text_size, "it hangs: no end after %u s\n", seconds);
        }
    }
    (void)close(pipes[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (text != NULL && WIFSIGNALED(status) && text[0] == '\0') {
        (void)snprintf(text, text_size, "ended by signal %d (%s)\n", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
