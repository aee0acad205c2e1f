/*
 * guard.h: a process that ends a program's commands when the program itself is killed.
 *
 * Who gets SIGKILL can do nothing any more, so somebody else has to: a process that sleeps until
 * the program has ended, by whatever cause, and then ends the groups of the commands that were
 * running, TERM first and KILL after grace. Program and guard share a table of them, so a command
 * costs no system call but one that names its pipe.
 *
 * The guard is the program itself, executed anew: a constructor of this file finds out that it is
 * meant to be one, and main is not called. Where that cannot be (libweir was opened later than the
 * program began, the program has more rights than its user, /proc is missing) there is no guard.
 */
#ifndef WI_GUARD_H
#define WI_GUARD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

typedef struct wi_guard wi_guard;

/* For at most so many commands at a time; grace in ns, 0 or less: none. The process is started with
 * the first of them. */
weir_status wi_guard_new(size_t most, int64_t grace, wi_guard **out, weir_error *err);

/* Ends the guard, and at once what is still entered. NULL is fine. */
void wi_guard_free(wi_guard *guard);

/*
 * A command is about to be started, with the pipe `output` for its standard output: by that it is
 * found if the program ends before wi_guard_set has said which process it became. Returns its
 * place, -1 if nobody guards it (the guard may be NULL). All three are for any thread.
 */
int wi_guard_enter(wi_guard *guard, int output);
void wi_guard_set(wi_guard *guard, int at, pid_t leader);

/* It was not started, or is about to be reaped. */
void wi_guard_leave(wi_guard *guard, int at);

#endif
