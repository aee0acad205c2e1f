/*
 * worker.h: what the parent and its worker processes say to each other.
 *
 * A worker is the program itself, executed anew with WI_WORKER_VARIABLE in its environment and two
 * stream sockets. Over the first come orders, and go replies, one for each order; over the second
 * come the words that are not to wait for a task to end. Both sides run the same file on the same
 * machine, so structs cross as they are.
 *
 * The first bytes of the second socket are the token that the variable names as well. It lies there
 * before the child is started: so a child knows without waiting whether it is one, and a program
 * that finds the variable by mistake goes on as if it were not there.
 */
#ifndef WI_WORKER_H
#define WI_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "module.h"

#define WI_WORKER_VARIABLE "WEIR_WORKER"

enum {
    WI_WORKER_VERSION = 1,
    WI_WORKER_ORDERS = 3,  /* the descriptors in the child */
    WI_WORKER_CONTROL = 4, /* the token, then uint64_t: the order to cancel. Its end: _exit */
    WI_WORKER_TOKEN = 16,
    WI_WORKER_NAME_MAX = 255,     /* a task's name is cut to it */
    WI_WORKER_EXIT_STRANGE = 120, /* exit code: the parent speaks another version */
    WI_WORKER_EXIT_THREAD = 121,  /* exit code: its second thread could not be started */
};

/* Bytes of an argument or a result, at most. */
#define WI_WORKER_VALUE_MAX ((uint64_t)1 << 30)

typedef enum wi_worker_order_kind {
    WI_WORKER_INITIALIZE = 0x57454901, /* first, once; fn may be none */
    WI_WORKER_RUN,
} wi_worker_order_kind;

/* Then name_len bytes of name, arg_len bytes of argument. */
typedef struct wi_worker_order {
    uint32_t kind;
    uint32_t name_len;
    uint64_t id;
    uint64_t arg_len;
    uint64_t has_arg; /* 0: NULL */
    int64_t timeout;  /* as in weir_task */
    wi_function fn;
    wi_function measure; /* of the result */
    wi_function release;
    uint64_t result_size;
} wi_worker_order;

typedef enum wi_worker_missing {
    WI_WORKER_MISSES_NOTHING,
    WI_WORKER_MISSES_FN,
    WI_WORKER_MISSES_MEASURE,
    WI_WORKER_MISSES_RELEASE
} wi_worker_missing;

/* Then len bytes: the result, or the text of the error. */
typedef struct wi_worker_reply {
    uint32_t kind; /* of the order */
    int32_t status;
    int32_t sys_errno;
    uint32_t missing; /* a function that this process does not have; the parent has words for it */
    uint64_t id;
    uint64_t has_value;
    uint64_t len;
} wi_worker_reply;

/* "WEIR_WORKER=…" for a child with this token. */
enum { WI_WORKER_ENTRY_SIZE = sizeof WI_WORKER_VARIABLE + 16 + 2 * WI_WORKER_TOKEN };
void wi_worker_entry(const unsigned char *token, char *entry);

#endif
