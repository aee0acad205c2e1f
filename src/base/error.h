/* error.h: filling a weir_error. Every text passes the terminal escape of text.h on its way in. */
#ifndef WI_ERROR_H
#define WI_ERROR_H

#include <stdarg.h>

#include "weir/error.h"

/* Fills err (nullable) and returns status, so that a failing path is one `return`. */
weir_status wi_fail(weir_error *err, weir_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, with ": <strerror>" appended and the status chosen from the errno value. */
weir_status wi_fail_errno(weir_error *err, int sys_errno, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * A function of the program's has had this error to fill, in whatever way: if it says that it
 * failed, its text is ended, made printable, and that of the status if there is none.
 */
void wi_error_tidy(weir_error *err);

/* Out of memory, said without allocating. */
weir_status wi_fail_nomem(weir_error *err);

/* What the static analyzer cannot see: these never return WEIR_OK. */
#ifdef __clang_analyzer__
static inline weir_status wi_known(weir_status returned, weir_status known)
{
    (void)returned;
    return known;
}
#define wi_fail(err, status, ...) wi_known(wi_fail(err, status, __VA_ARGS__), (status))
#define wi_fail_errno(...) wi_known(wi_fail_errno(__VA_ARGS__), WEIR_IO)
#define wi_fail_nomem(err) wi_known(wi_fail_nomem(err), WEIR_NOMEM)
#endif

#endif
