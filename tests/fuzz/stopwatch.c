/*
 * stopwatch.c: ends a fuzzer after FUZZ_SECONDS of the processor's time, which mean the same on a
 * busy machine and on a quiet one; without that variable it goes on. Linked to each fuzzer.
 */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    const char *seconds = getenv("FUZZ_SECONDS");
    /* libFuzzer takes this signal for the wish to end well. */
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    timer_t timer;
    struct itimerspec when = {.it_value.tv_sec = seconds ? strtol(seconds, NULL, 10) : 0};
    if (when.it_value.tv_sec <= 0)
        return 0;
    if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) != 0 ||
        timer_settime(timer, 0, &when, NULL) != 0)
        abort();
    return 0;
}
