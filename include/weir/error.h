/*
 * weir/error.h: how a call says that it failed, and why.
 *
 * A function that can fail returns a weir_status (WEIR_OK is 0) and takes a nullable weir_error *
 * as its last parameter. On failure the error, if given, is filled whole; on success it is left
 * alone. There is no global or thread-local "last error".
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* Every status: its name and its meaning. Append only: the numbers are part of the ABI. */
#define WEIR_STATUS_LIST(X)                       \
    X(OK, "success")                              \
    X(INVALID, "invalid argument or input")       \
    X(NOMEM, "out of memory")                     \
    X(IO, "input/output error")                   \
    X(NOTFOUND, "not found")                      \
    X(DENIED, "permission denied")                \
    X(CANCELLED, "cancelled")                     \
    X(TIMEDOUT, "timed out")                      \
    X(RESOLVE, "host name could not be resolved") \
    X(CONNECT, "connection failed")               \
    X(RESET, "connection lost")                   \
    X(TLS, "TLS failure")                         \
    X(PROTOCOL, "peer broke the protocol")        \
    X(TRUNCATED, "answer ended too early")        \
    X(TOOLARGE, "larger than allowed")            \
    X(HTTP, "HTTP status says failure")           \
    X(REDIRECT, "too many redirects")             \
    X(AGAIN, "not now, try again")                \
    X(CLOSED, "closed")                           \
    X(UNSUPPORTED, "not supported here")          \
    X(INTERNAL, "internal error")                 \
    X(END, "no more")                             \
    X(BROKEN, "worker lost")

typedef enum weir_status {
#define WEIR_STATUS_ENUM(name, text) WEIR_##name,
    WEIR_STATUS_LIST(WEIR_STATUS_ENUM)
#undef WEIR_STATUS_ENUM
} weir_status;

#define WEIR_ERROR_TEXT_SIZE 512

/*
 * One failure. `text` is one line in UTF-8, always terminated, says what was wrong, where and what
 * to do, and never holds a control character, whatever bytes it was made from: it may be printed
 * to a terminal as it is.
 */
typedef struct weir_error {
    weir_status status;
    int sys_errno; /* the errno behind it, or 0 */
    char text[WEIR_ERROR_TEXT_SIZE];
} weir_error;

/* Names a status: its symbol without its prefix ("TIMEDOUT"). Any thread; static storage. */
const char *weir_status_name(weir_status status);

/* Says what a status means in a few words ("timed out"). Any thread; static storage. */
const char *weir_status_text(weir_status status);

#ifdef __cplusplus
}
#endif
#endif
