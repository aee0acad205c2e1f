/*
 * Runs a command and says what it cost: wall time, processor time and peak memory, as one line of
 * JSON in the file REPORT.
 *
 * It exists because Linux hands a process's peak memory on through exec: a client started straight
 * from Python would never seem smaller than Python. This program is smaller than any client.
 * Invariant: between the two clock readings nothing runs but the command.
 */
#include <errno.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double seconds(struct timespec t)
{
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Stays on one core, as the whole comparison is per core. */
static int pin(const char *core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)strtoul(core, NULL, 10), &set);
    return sched_setaffinity(0, sizeof set, &set);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: measure CORE|- REPORT COMMAND [ARGUMENT]...\n");
        return 2;
    }
    if (strcmp(argv[1], "-") != 0 && pin(argv[1]) != 0) {
        fprintf(stderr, "measure: cannot run on core %s: %s\n", argv[1], strerror(errno));
        return 2;
    }

    struct timespec begin, end;
    pid_t child;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int failed = posix_spawnp(&child, argv[3], NULL, NULL, argv + 3, environ);
    if (failed != 0) {
        fprintf(stderr, "measure: cannot run %s: %s\n", argv[3], strerror(failed));
        return 2;
    }
    int status;
    struct rusage used;
    while (wait4(child, &status, 0, &used) < 0)
        if (errno != EINTR)
            return 2;
    clock_gettime(CLOCK_MONOTONIC, &end);

    FILE *report = fopen(argv[2], "we");
    if (report == NULL) {
        fprintf(stderr, "measure: cannot write %s: %s\n", argv[2], strerror(errno));
        return 2;
    }
    fprintf(report,
            "{\"wall\": %.6f, \"user\": %.6f, \"system\": %.6f, \"peak_rss_kb\": %ld, "
            "\"exit\": %d}\n",
            seconds(end) - seconds(begin), seconds_of(used.ru_utime), seconds_of(used.ru_stime),
            used.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return fclose(report) == 0 ? 0 : 2;
}
