/* job_file.h - job files in fio's grammar, and the same from the command line.
 *
 *     ; a comment, also with #
 *     [global]
 *     records=1m            name=value, or a flag alone
 *     db=${STORE}           environment variables
 *     [fill]                a job, in the order of the file
 *     rw=fillrandom
 *     [read]
 *     stonewall
 *     rw=readrandom
 *
 * Options of the command line hold for all jobs, whatever their files say.
 */
#ifndef GYRE_BENCH_JOB_FILE_H
#define GYRE_BENCH_JOB_FILE_H

#include <stddef.h>

#include "bench/gyre_bench/job.h"

/* Add the jobs of a file. False: printed, with file and line. */
bool job_file_read(struct run_settings *settings, const char *path);

/* Set one option of a job or of the run and remember where it came from. False: printed. `name` is
 * name_size bytes; `text` NULL = none given; both must stay. */
bool job_option(struct run_settings *settings, struct job *job, const char *name, size_t name_size,
                const char *text, const char *file, uint32_t line);

/* A new job with the defaults of the run. NULL: too many (printed). */
struct job *job_add(struct run_settings *settings, const char *name);

/* GO_ON, or the exit code (0 after --help and --version). */
int command_line_read(struct run_settings *settings, int argc, char **argv);

#endif
