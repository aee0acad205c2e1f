/*
 * thread.h: the one way Weir starts a thread: named, with every signal blocked, so that signals
 * stay with the program's own threads.
 */
#ifndef WI_THREAD_H
#define WI_THREAD_H

#include <pthread.h>
#include <stddef.h>

#include "error.h"

/* name: at most 15 bytes. */
weir_status wi_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                            weir_error *err);

/* The same with a stack of at least so many bytes; 0: the system's default. */
weir_status wi_thread_start_sized(pthread_t *thread, const char *name, size_t stack_size,
                                  void *(*run)(void *), void *arg, weir_error *err);

/* "prefix-7": of a long prefix as much as leaves room for the number. */
void wi_thread_name(char name[16], const char *prefix, int number);

/* Those this process may run on; at least 1. */
int wi_processors(void);

#endif
