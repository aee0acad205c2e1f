/* thread.c: see thread.h. */
#include "thread.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int set_stack_size(pthread_attr_t *attr, size_t size)
{
    if (!size)
        return 0;
    size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    return pthread_attr_setstacksize(attr, size > least ? size : least);
}

weir_status wi_thread_start_sized(pthread_t *thread, const char *name, size_t stack_size,
                                  void *(*run)(void *), void *arg, weir_error *err)
{
    pthread_attr_t attr;
    int error = pthread_attr_init(&attr);
    if (error)
        return wi_fail_errno(err, error, "cannot start the thread %s", name);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = set_stack_size(&attr, stack_size);
    if (!error)
        error = pthread_create(thread, &attr, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (error)
        return wi_fail_errno(err, error, "cannot start the thread %s", name);
    pthread_setname_np(*thread, name);
    return WEIR_OK;
}

weir_status wi_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                            weir_error *err)
{
    return wi_thread_start_sized(thread, name, 0, run, arg, err);
}

void wi_thread_name(char name[16], const char *prefix, int number)
{
    char tail[16];
    size_t tail_len = (size_t)snprintf(tail, sizeof tail, "-%d", number);
    size_t len = strnlen(prefix, 15 - tail_len);
    memcpy(name, prefix, len);
    memcpy(name + len, tail, tail_len + 1);
}

int wi_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more of them than the set has room for */
    return online > 0 ? (int)online : 1;
}
