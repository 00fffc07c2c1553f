/* progress.c - how far long work is, on stderr: a bar that is redrawn on a terminal, plain lines in
 * a file or pipe; and the two signals that may end long work between two of its steps. */
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "tools/gyre/cli.h"

#define BAR_WIDTH 30u
#define BAR_PERIOD_NS 100000000u   /* ten times a second looks smooth */
#define LINE_PERIOD_NS 1000000000u /* one line a second stays readable in a log */

uint64_t
cli_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void
cli_progress_start(struct cli_progress *progress, const struct cli *cli, const char *verb,
                   const char *unit)
{
    *progress = (struct cli_progress){.cli = cli, .verb = verb, .unit = unit};
    progress->every = unit != NULL ? cli->progress_every : 0;
    progress->is_bar = progress->every == 0 && isatty(STDERR_FILENO) == 1;
    progress->is_off = cli->quiet && progress->every == 0;
    progress->started_ns = cli_now_ns();
    progress->printed_ns = progress->started_ns;
}

static unsigned
percent_of(uint64_t done, uint64_t total)
{
    if (total == 0 || done >= total) {
        return 100;
    }
    return (unsigned)(100.0 * (double)done / (double)total);
}

static void
draw_bar(const struct cli_progress *progress, uint64_t count, uint64_t done, uint64_t total,
         uint64_t now_ns)
{
    char bar[BAR_WIDTH + 1], text[64] = "", left[32] = "";
    const double seconds = (double)(now_ns - progress->started_ns) / 1e9;

    if (progress->unit != NULL) {
        (void)snprintf(text, sizeof(text), " %llu %s", (unsigned long long)count, progress->unit);
    }
    if (total == 0) { /* a pipe: nobody knows how much is to come */
        (void)fprintf(stderr, "\r\033[K%s%s in %.0f s", progress->verb, text, seconds);
        return;
    }
    const unsigned percent = percent_of(done, total);
    for (unsigned i = 0; i < BAR_WIDTH; i++) {
        bar[i] = i < percent * BAR_WIDTH / 100 ? '#' : '.';
    }
    bar[BAR_WIDTH] = '\0';
    if (done > 0 && done < total) {
        (void)snprintf(left, sizeof(left), ", %.0f s left",
                       seconds * (double)(total - done) / (double)done);
    }
    (void)fprintf(stderr, "\r\033[K%s [%s] %3u %%%s%s", progress->verb, bar, percent, text, left);
}

void
cli_progress_update(struct cli_progress *progress, uint64_t count, uint64_t done, uint64_t total)
{
    if (progress->is_off) {
        return;
    }
    const uint64_t now_ns = cli_now_ns();
    if (progress->is_bar) {
        if (now_ns - progress->printed_ns >= BAR_PERIOD_NS) {
            progress->printed_ns = now_ns;
            draw_bar(progress, count, done, total, now_ns);
        }
        return;
    }
    const bool is_due = progress->every != 0
                            ? count / progress->every != progress->count_printed / progress->every
                            : now_ns - progress->printed_ns >= LINE_PERIOD_NS;
    if (!is_due) {
        return;
    }
    progress->printed_ns = now_ns;
    progress->count_printed = count;
    /* stderr is not buffered: the line is out when this returns, and says what is true by now */
    if (progress->unit != NULL) {
        (void)fprintf(stderr, "%s %llu %s\n", progress->verb, (unsigned long long)count,
                      progress->unit);
    } else {
        (void)fprintf(stderr, "%s %u %%\n", progress->verb, percent_of(done, total));
    }
}

void
cli_progress_finish(struct cli_progress *progress)
{
    if (progress->is_bar && !progress->is_off) {
        (void)fputs("\r\033[K", stderr);
    }
}

bool
cli_progress_callback(void *progress, uint64_t done, uint64_t total)
{
    cli_progress_update(progress, 0, done, total);
    return cli_signal_taken() == 0;
}

/* ---- Signals ---- */

static int signal_fd = -1;
static int signal_number;

int
cli_signals_open(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    if (signal_fd < 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0) {
        signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        if (signal_fd < 0) {
            (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
        }
    }
    return signal_fd;
}

int
cli_signal_taken(void)
{
    struct signalfd_siginfo info;

    if (signal_number == 0 && signal_fd >= 0 &&
        read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        signal_number = (int)info.ssi_signo;
    }
    return signal_number;
}
