/*
 * signals.h: Ctrl-C and its kin, taken when the main thread asks for them.
 *
 * No handler runs: the signals stay blocked and are picked up between two waits. A signal that was
 * ignored when the program started (nohup, a background job) stays ignored.
 */
#ifndef SIGNALS_H
#define SIGNALS_H

/* From now on SIGINT, SIGTERM and SIGHUP are held back. Call it before any thread is started. */
void signals_take(void);

/* A signal that has come since, or 0. Does not block. */
int signals_next(void);

/* Blocks until one comes, and returns it. */
int signals_wait(void);

/* The signals act as they do by default again; those still held back act at once. */
void signals_release(void);

/* "Ctrl-C", "SIGTERM". */
const char *signals_name(int number);

#endif
