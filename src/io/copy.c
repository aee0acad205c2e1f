/* copy.c: see copy.h. Its invariant: all up to `at` is in the copy or was to be left out. */
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"

enum { CHUNK = 256 << 10 };

struct wi_copy {
    char *from_name;
    char *to_name; /* once it is made */
    int from;
    int to;
    int64_t length; /* of what is copied from */
    int64_t at;     /* in it */
    int64_t written;
    bool ended;
    char *chunk;
};

static weir_status open_from(wi_copy *copy, weir_error *err)
{
    struct stat st;
    copy->from = open(copy->from_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (copy->from < 0 || fstat(copy->from, &st) != 0)
        return wi_fail_errno(err, errno, "cannot go on with %s", copy->from_name);
    if (!S_ISREG(st.st_mode) || st.st_size < copy->length)
        return wi_fail(err, WEIR_INVALID,
                       "%s is no longer what its journal says, which has %lld bytes of it: it "
                       "cannot be continued; begin anew with --restart",
                       copy->from_name, (long long)copy->length);
    return WEIR_OK;
}

static weir_status open_to(wi_copy *copy, const char *to, weir_error *err)
{
    if (unlink(to) != 0 && errno != ENOENT)
        return wi_fail_errno(err, errno, "cannot write %s", to);
    copy->to = wi_output_create(to, copy->from_name);
    if (copy->to < 0)
        return wi_fail_errno(err, errno, "cannot write %s", to);
    copy->to_name = strdup(to);
    if (copy->to_name)
        return WEIR_OK;
    unlink(to);
    return wi_fail_nomem(err);
}

weir_status wi_copy_begin(const char *from, const char *to, int64_t length, wi_copy **out,
                          weir_error *err)
{
    wi_copy *copy = calloc(1, sizeof *copy);
    if (!copy)
        return wi_fail_nomem(err);
    copy->from = copy->to = -1;
    copy->length = length;
    copy->from_name = strdup(from);
    copy->chunk = malloc(CHUNK);
    weir_status status = WEIR_OK;
    if (!copy->from_name || !copy->chunk)
        status = wi_fail_nomem(err);
    if (status == WEIR_OK)
        status = open_from(copy, err);
    if (status == WEIR_OK)
        status = open_to(copy, to, err);
    if (status != WEIR_OK) {
        wi_copy_free(copy);
        return status;
    }
    *out = copy;
    return WEIR_OK;
}

static weir_status copy_until(wi_copy *copy, int64_t end, weir_error *err)
{
    while (copy->at < end) {
        size_t want = end - copy->at < CHUNK ? (size_t)(end - copy->at) : CHUNK;
        ssize_t n = pread(copy->from, copy->chunk, want, copy->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return wi_fail_errno(err, errno, "cannot read %s", copy->from_name);
        if (n == 0)
            return wi_fail(err, WEIR_IO, "%s has become shorter while it was read",
                           copy->from_name);
        weir_status status =
            wi_output_write_to(copy->to, copy->to_name, copy->chunk, (size_t)n, err);
        if (status != WEIR_OK)
            return status;
        copy->at += n;
        copy->written += n;
    }
    return WEIR_OK;
}

weir_status wi_copy_skip(wi_copy *copy, int64_t offset, int64_t length, weir_error *err)
{
    if (offset < copy->at || length < 0 || length > copy->length - offset)
        return wi_fail(err, WEIR_INVALID,
                       "the journal of %s is damaged (rows where none can be); begin anew with "
                       "--restart",
                       copy->from_name);
    weir_status status = copy_until(copy, offset, err);
    if (status == WEIR_OK)
        copy->at = offset + length;
    return status;
}

weir_status wi_copy_end(wi_copy *copy, int64_t *length, weir_error *err)
{
    weir_status status = copy_until(copy, copy->length, err);
    if (status != WEIR_OK)
        return status;
    while (fsync(copy->to) != 0)
        if (errno != EINTR)
            return wi_fail_errno(err, errno, "cannot bring %s to the disk", copy->to_name);
    copy->ended = true;
    *length = copy->written;
    return WEIR_OK;
}

void wi_copy_free(wi_copy *copy)
{
    if (!copy)
        return;
    if (copy->from >= 0)
        close(copy->from);
    if (copy->to >= 0)
        close(copy->to);
    if (copy->to_name && !copy->ended)
        unlink(copy->to_name);
    free(copy->from_name);
    free(copy->to_name);
    free(copy->chunk);
    free(copy);
}
