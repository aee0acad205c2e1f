/*
 * exit_set.h: which ends of a command are worth another attempt.
 */
#ifndef WI_EXIT_SET_H
#define WI_EXIT_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

typedef struct wi_exit_set {
    uint64_t codes[4]; /* 0 to 255 */
    bool timeout;
    bool signal; /* it was killed by one */
    bool start;  /* it could not be started */
} wi_exit_set;

/* Reads "75,64-78,timeout,signal,start", "any" or "none"; a word beginning with '-' takes away
 * ("any,-2"). NULL or "" is any. Code 0, success, is never in it. */
weir_status wi_exit_set_parse(const char *text, wi_exit_set *out, weir_error *err);

bool wi_exit_set_has_code(const wi_exit_set *set, int code);

#endif
