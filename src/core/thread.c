/* thread.c: see thread.h. */
#include "thread.h"

#include <signal.h>

weir_status wi_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                            weir_error *err)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return wi_fail_errno(err, error, "cannot start the thread %s", name);
    pthread_setname_np(*thread, name);
    return WEIR_OK;
}
