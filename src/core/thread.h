/*
 * thread.h: the one way Weir starts a thread: named, with every signal blocked, so that signals
 * stay with the program's own threads.
 */
#ifndef WI_THREAD_H
#define WI_THREAD_H

#include <pthread.h>

#include "error.h"

/* name: at most 15 bytes. */
weir_status wi_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                            weir_error *err);

#endif
