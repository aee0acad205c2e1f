/*
 * weir/wait.h: the calls that do nothing but wait.
 *
 * Each suspends the fiber it is called in, and else blocks the thread. Each returns at once with
 * WEIR_CANCELLED when the calling task is, or has been, cancelled, and with WEIR_TIMEDOUT when its
 * deadline has passed: what was begun is ended first (a socket closed, a child killed and reaped),
 * and out-parameters are untouched. They may be called from any thread, whether it runs a task or
 * not. Time spans are nanoseconds.
 */
#ifndef WEIR_WAIT_H
#define WEIR_WAIT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "weir/error.h"
#include "weir/executor.h"
#include "weir/options.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_MICROSECONDS(n) ((int64_t)(n)*1000)
#define WEIR_MILLISECONDS(n) ((int64_t)(n)*1000000)
#define WEIR_SECONDS(n) ((int64_t)(n)*1000000000)

/* ---- time ---- */

/* Waits for a time: at least ns nanoseconds. 0 or less only looks whether the task is to end. */
weir_status weir_sleep(int64_t ns, weir_error *err);

/* Lets other fibers of this thread run, or other threads. */
weir_status weir_yield(weir_error *err);

/*
 * Sets a deadline: from now on the waits of the calling task fail once timeout_ns have passed;
 * negative: no deadline of its own. A deadline that the task was given (weir_task.timeout) stays
 * the last word. Returns the nanoseconds that were left of the deadline before, or -1 if there was
 * none, so that a part of a task may have its own: before = weir_deadline_set(…); …;
 * weir_deadline_set(before).
 */
int64_t weir_deadline_set(int64_t timeout_ns);

/* Tells how many nanoseconds are left until the calling task's deadline: 0 if it has passed, -1 if
 * there is none. */
int64_t weir_deadline_left(void);

/* Asks whether the calling task is to end: WEIR_OK, or what its next wait would return. For tasks
 * that compute for long between waits. */
weir_status weir_task_check(weir_error *err);

/* ---- descriptors ---- */

/*
 * Waits until reading from a descriptor (or accepting, or its end), or writing, would not block;
 * errors and hang-ups count as ready, as with poll(2). Any number of tasks may wait for the same
 * fd, to read and to write, and all that wait for the same are woken; so use descriptors that don't
 * block. Regular files always are ready. WEIR_INVALID: no open descriptor. Nobody may close fd
 * while it is waited for: such a wait ends with its task only.
 */
weir_status weir_wait_readable(int fd, weir_error *err);
weir_status weir_wait_writable(int fd, weir_error *err);

/* ---- blocking work ---- */

/*
 * Runs fn on a thread where it may compute or block for long, and waits for its result (nullable).
 * All fibers of the process share these threads, 4 per processor. Outside fibers it is called
 * directly. It counts as part of the calling task when it submits to, or waits for, others of its
 * executor. fn has its caller's deadline; what it does to it is undone when it returns. When the
 * caller is cancelled or past its deadline, fn is cancelled if it has not begun; else it is asked
 * to end, and this returns when it has. A result that comes in spite of that is handed over,
 * WEIR_OK, so that it is not lost.
 */
weir_status weir_offload(weir_task_fn fn, void *arg, void **result, weir_error *err);

/* ---- HTTP ---- */

/* "Name: value", each; ends with NULL. */
typedef const char *const *weir_http_headers;

typedef struct weir_http_options {
    size_t size;        /* sizeof(weir_http_options) */
    const char *method; /* default GET, or POST if there is a body */
    weir_http_headers headers;
    const void *body; /* unless a header says otherwise, its Content-Type is application/json if it
                         begins with { or [, and else application/x-www-form-urlencoded */
    size_t body_len;
    int64_t timeout;         /* ns; default 30 s; negative: none */
    int64_t connect_timeout; /* ns; default 10 s; negative: none */
    size_t max_body;         /* bytes of the answer's body after decoding; default 64 MiB */
    int follow;              /* redirects to follow at most; 0: none. To another origin (scheme,
                                host, port) none of this goes along but a GET, HEAD or OPTIONS; what
                                is no such request ends with WEIR_DENIED there */
    int insecure;            /* do not verify the server's certificate */
    const char *cacert;      /* file of certificates to trust */
    const char *proxy;
    const char *user;   /* "name:password" */
    const char *bearer; /* token */
} weir_http_options;

#define WEIR_HTTP_OPTIONS_INIT WEIR_OPTIONS_INIT(weir_http_options)

typedef struct weir_http_response weir_http_response;

/*
 * Sends an HTTP request and waits for the whole answer. WEIR_OK: an answer came, whatever its
 * status says; it is the caller's to free. Connections are kept and used again by later requests,
 * of other tasks too: each loop of fibers has its own, and all threads share theirs. At most 16
 * different settings of connect_timeout, follow, insecure, cacert and proxy keep connections at a
 * time. WEIR_RESOLVE, WEIR_CONNECT, WEIR_RESET, WEIR_TLS, WEIR_PROTOCOL, WEIR_TRUNCATED,
 * WEIR_TOOLARGE, WEIR_TIMEDOUT, WEIR_REDIRECT, WEIR_DENIED, WEIR_INVALID. options may be NULL.
 */
weir_status weir_http_request(const char *url, const weir_http_options *options,
                              weir_http_response **out, weir_error *err);

/* The same for a GET with defaults, where an answer that is not 2xx is WEIR_HTTP, with its status
 * in the text. */
weir_status weir_http_get(const char *url, weir_http_response **out, weir_error *err);

/* Gives the HTTP status of an answer: 200, 404. */
int weir_http_response_status(const weir_http_response *response);

/* Gives the body of an answer, decoded, with a 0 behind its end; it is the answer's. len may be
 * NULL. */
const char *weir_http_response_body(const weir_http_response *response, size_t *len);

/* Gives the value of a header of an answer, the first if there are several, whatever its case;
 * NULL: there is none. */
const char *weir_http_response_header(const weir_http_response *response, const char *name);

/* Frees an answer. NULL is fine. */
void weir_http_response_free(weir_http_response *response);

/* ---- files ---- */

/*
 * Reads a whole file. *bytes is the caller's, from malloc, with a 0 behind its end; len may be
 * NULL. max: bytes at most (0: 1 GiB), WEIR_TOOLARGE beyond. A file that grows is read to the end
 * it has when that is reached; a FIFO from its next writer's beginning to the last one's end.
 * WEIR_NOTFOUND, WEIR_DENIED, WEIR_IO; WEIR_INVALID: a directory.
 */
weir_status weir_file_read(const char *path, size_t max, char **bytes, size_t *len,
                           weir_error *err);

/* ---- commands ---- */

typedef struct weir_child_options {
    size_t size; /* sizeof(weir_child_options) */
    const char *const
        *argv;              /* ends with NULL; argv[0] is looked up in PATH; no shell is involved */
    const char *const *env; /* "NAME=value" added to the environment, ends with NULL; nullable */
    const char *cwd;        /* nullable */
    const void *input;      /* its standard input; NULL: empty */
    size_t input_len;
    size_t max_output; /* bytes of each of stdout and stderr; default 64 MiB; beyond: WEIR_TOOLARGE,
                          and the command is ended */
    int64_t grace; /* ns between TERM and KILL when it has to end; default 2 s; negative: KILL */
} weir_child_options;

#define WEIR_CHILD_OPTIONS_INIT WEIR_OPTIONS_INIT(weir_child_options)

typedef struct weir_child_result {
    int exit_code; /* -1: ended by a signal */
    int signal;    /* 0: none */
    char *out;     /* each from malloc, with a 0 behind its end */
    size_t out_len;
    char *errors;
    size_t errors_len;
} weir_child_result;

/*
 * Runs a command and waits for its end. WEIR_OK: it ran, whatever its exit code. It has a process
 * group of its own, which is ended whole when the caller is cancelled or past its deadline: TERM,
 * and KILL after grace, or as soon as the command itself has ended.
 *
 * If the command ends and leaves processes behind in its group that hold its output open, they have
 * grace to close it, and are killed then; what they wrote until then counts. Those that don't hold
 * it open are left alone.
 *
 * WEIR_NOTFOUND, WEIR_DENIED: it could not be started. WEIR_TOOLARGE. WEIR_IO: for want of
 * processes or descriptors, or because the program itself takes the ends of its children away (it
 * ignores SIGCHLD or waits for all of them).
 */
weir_status weir_child_run(const weir_child_options *options, weir_child_result *result,
                           weir_error *err);

/* Frees what is inside a child's result and empties it. */
void weir_child_result_clear(weir_child_result *result);

#ifdef __cplusplus
}
#endif
#endif
