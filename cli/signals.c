/* signals.c: signals as something to be asked for. `taken` holds just those that are blocked. */
#include "signals.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

static sigset_t taken;

void signals_take(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(&taken);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction was;
        /* a blocked signal is queued even if it is ignored, so those must stay out */
        if (sigaction(numbers[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
            sigaddset(&taken, numbers[i]);
    }
    pthread_sigmask(SIG_BLOCK, &taken, NULL);
}

int signals_next(void)
{
    static const struct timespec at_once = {0, 0};
    int number = sigtimedwait(&taken, NULL, &at_once);
    return number > 0 ? number : 0;
}

int signals_wait(void)
{
    int number;
    do
        number = sigwaitinfo(&taken, NULL);
    while (number < 0);
    return number;
}

void signals_release(void)
{
    pthread_sigmask(SIG_UNBLOCK, &taken, NULL);
}

const char *signals_name(int number)
{
    return number == SIGINT ? "Ctrl-C" : number == SIGTERM ? "SIGTERM" : "SIGHUP";
}
