/*
 * error.c: filling a weir_error. Its invariant: what stands in `text` is printable UTF-8, so bytes
 * from a server or a file can never steer a terminal through an error message.
 */
#include "error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

#undef wi_fail
#undef wi_fail_errno
#undef wi_fail_nomem

static const char *const status_names[] = {
#define STATUS_NAME(name, text) #name,
    WEIR_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
};

static const char *const status_texts[] = {
#define STATUS_TEXT(name, text) text,
    WEIR_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
};

enum { STATUS_COUNT = sizeof(status_names) / sizeof(status_names[0]) };

const char *weir_status_name(weir_status status)
{
    return (unsigned)status < STATUS_COUNT ? status_names[status] : "UNKNOWN";
}

const char *weir_status_text(weir_status status)
{
    return (unsigned)status < STATUS_COUNT ? status_texts[status] : "unknown status";
}

static void fill(weir_error *err, weir_status status, int sys_errno, const char *format, va_list ap)
    __attribute__((format(printf, 4, 0)));

static void fill(weir_error *err, weir_status status, int sys_errno, const char *format, va_list ap)
{
    if (!err)
        return;
    char raw[WEIR_ERROR_TEXT_SIZE];
    int n = vsnprintf(raw, sizeof raw, format, ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof raw ? (size_t)n : sizeof raw - 1;
    if (sys_errno && len < sizeof raw) {
        char reason[128];
        len += (size_t)snprintf(raw + len, sizeof raw - len, ": %s",
                                strerror_r(sys_errno, reason, sizeof reason));
        if (len >= sizeof raw)
            len = sizeof raw - 1;
    }
    err->status = status;
    err->sys_errno = sys_errno;
    wi_text_printable(err->text, sizeof err->text, raw, len);
}

weir_status wi_fail(weir_error *err, weir_status status, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fill(err, status, 0, format, ap);
    va_end(ap);
    return status;
}

static weir_status status_of_errno(int sys_errno)
{
    switch (sys_errno) {
    case ENOMEM:
        return WEIR_NOMEM;
    case ENOENT:
    case ENOTDIR:
        return WEIR_NOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return WEIR_DENIED;
    case EINVAL:
    case EISDIR:
    case ENAMETOOLONG:
        return WEIR_INVALID;
    case ETIMEDOUT:
        return WEIR_TIMEDOUT;
    default:
        return WEIR_IO;
    }
}

weir_status wi_fail_errno(weir_error *err, int sys_errno, const char *format, ...)
{
    weir_status status = status_of_errno(sys_errno);
    va_list ap;
    va_start(ap, format);
    fill(err, status, sys_errno, format, ap);
    va_end(ap);
    return status;
}

void wi_error_tidy(weir_error *err)
{
    if (!err->status)
        return;
    char raw[WEIR_ERROR_TEXT_SIZE];
    size_t len = strnlen(err->text, sizeof raw - 1);
    memcpy(raw, err->text, len);
    if (len)
        wi_text_printable(err->text, sizeof err->text, raw, len);
    else
        snprintf(err->text, sizeof err->text, "%s", weir_status_text(err->status));
}

weir_status wi_fail_nomem(weir_error *err)
{
    if (err) {
        err->status = WEIR_NOMEM;
        err->sys_errno = 0;
        memcpy(err->text, "out of memory", sizeof "out of memory");
    }
    return WEIR_NOMEM;
}
