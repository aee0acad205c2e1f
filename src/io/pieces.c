/*
 * pieces.c: see pieces.h. Its invariant: bytes[at..len) were read and not yet given, and of lines
 * hold at most the beginning of one; so what is carried to the front before the next read is never
 * more than a part of a line.
 *
 * The buffer is of a size that stays in the processor's second cache: what the kernel has copied is
 * searched there. Two reads of a small file cost less than a look at its size and one read; only
 * one costs least, so a file system is asked once a folder whether that will do.
 */
#include "pieces.h"

#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "archive.h"
#include "input.h"

enum {
    USUAL = 256 << 10, /* bytes of the buffer, unless a line is longer */
    LEAST = 16,        /* of a line that is allowed; an archive is known by fewer */
    PAGE = 4096,       /* the smallest there is */
};

typedef enum short_read { MAY_BE_ANYTHING, TO_BE_FOUND_OUT, IS_THE_END } short_read;

struct wi_pieces {
    wi_pieces_options options;
    char *bytes;
    size_t cap;
    size_t usual; /* the capacity that is kept from file to file */
    size_t most;  /* and the largest: a line, and its line feed */
    size_t at;
    size_t len;
    int64_t given; /* bytes of the file in pieces given so far, */
    int64_t nul;   /* and the first NUL byte among them, or -1 */

    int fd;
    const char *path;
    short_read short_read; /* what it says, in this folder */
    bool begun;            /* something was read, so it is known whether the file is an archive */
    weir_status over;      /* WEIR_OK: there may be more to read; WEIR_END, or why there is not */
    weir_error why;
    wi_archive archive;

    pthread_mutex_t lock; /* holds the stream in place for those who interrupt it */
    wi_input *stream;
    bool interrupted;
};

/* ---- beginning and end ---- */

weir_status wi_pieces_new(const wi_pieces_options *options, wi_pieces **out, weir_error *err)
{
    wi_pieces *pieces = calloc(1, sizeof *pieces);
    if (!pieces)
        return wi_fail_nomem(err);
    pieces->options = *options;
    size_t max_line = options->max_line < LEAST ? LEAST : options->max_line;
    pieces->most = max_line < SIZE_MAX / 4 ? max_line + 1 : SIZE_MAX / 4;
    pieces->usual = pieces->cap = pieces->most < USUAL ? pieces->most : USUAL;
    pieces->over = WEIR_END;
    pieces->nul = -1;
    pieces->fd = -1;
    pieces->bytes = malloc(pieces->cap);
    if (!pieces->bytes) {
        free(pieces);
        return wi_fail_nomem(err);
    }
    pthread_mutex_init(&pieces->lock, NULL);
    *out = pieces;
    return WEIR_OK;
}

static void set_stream(wi_pieces *pieces, wi_input *stream)
{
    pthread_mutex_lock(&pieces->lock);
    wi_input *old = pieces->stream;
    pieces->stream = stream;
    if (stream && pieces->interrupted)
        wi_input_interrupt(stream);
    pthread_mutex_unlock(&pieces->lock);
    wi_input_close(old);
}

void wi_pieces_free(wi_pieces *pieces)
{
    if (!pieces)
        return;
    set_stream(pieces, NULL);
    wi_archive_end(&pieces->archive);
    pthread_mutex_destroy(&pieces->lock);
    free(pieces->archive.raw);
    free(pieces->bytes);
    free(pieces);
}

size_t wi_pieces_memory(const wi_pieces *pieces)
{
    return pieces->archive.decoder ? wi_decoder_memory(pieces->archive.decoder) : 0;
}

static void shrink(wi_pieces *pieces)
{
    if (pieces->cap <= pieces->usual)
        return;
    char *less = realloc(pieces->bytes, pieces->usual);
    pieces->cap = less ? pieces->usual : pieces->cap;
    pieces->bytes = less ? less : pieces->bytes;
}

/* Forgets the file before. */
static void begin(wi_pieces *pieces, const char *path)
{
    if (pieces->stream)
        set_stream(pieces, NULL);
    if (pieces->archive.decoder)
        wi_archive_end(&pieces->archive);
    shrink(pieces);
    pieces->at = pieces->len = 0;
    pieces->given = 0;
    pieces->nul = -1;
    pieces->path = path;
    pieces->begun = false;
    pieces->over = WEIR_OK;
}

void wi_pieces_enter_folder(wi_pieces *pieces)
{
    pieces->short_read = TO_BE_FOUND_OUT;
}

void wi_pieces_leave_folder(wi_pieces *pieces)
{
    pieces->short_read = MAY_BE_ANYTHING;
}

/* File systems that read by way of the page cache, and make no bytes up as they are asked for. */
static short_read find_out(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return MAY_BE_ANYTHING;
    switch (fs.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
        return IS_THE_END;
    default:
        return MAY_BE_ANYTHING;
    }
}

void wi_pieces_begin(wi_pieces *pieces, int fd, const char *path)
{
    begin(pieces, path);
    if (pieces->short_read == TO_BE_FOUND_OUT)
        pieces->short_read = find_out(fd);
    pieces->fd = fd;
}

weir_status wi_pieces_begin_stream(wi_pieces *pieces, const char *path, weir_error *err)
{
    wi_input *stream = NULL;
    begin(pieces, path);
    pieces->over = WEIR_END;
    weir_status status = wi_input_open(path, &stream, err);
    if (status)
        return status;
    if (pieces->options.no_decompress)
        wi_input_no_decompress(stream);
    set_stream(pieces, stream);
    pieces->path = wi_input_name(stream);
    pieces->over = WEIR_OK;
    return WEIR_OK;
}

void wi_pieces_interrupt(wi_pieces *pieces)
{
    pthread_mutex_lock(&pieces->lock);
    pieces->interrupted = true;
    if (pieces->stream)
        wi_input_interrupt(pieces->stream);
    pthread_mutex_unlock(&pieces->lock);
}

/* ---- reading ---- */

static weir_status read_file(void *arg, char *dst, size_t size, size_t *n, weir_error *err)
{
    wi_pieces *pieces = arg;
    for (;;) {
        ssize_t got = read(pieces->fd, dst, size);
        if (got >= 0) {
            *n = (size_t)got;
            return WEIR_OK;
        }
        if (errno != EINTR)
            return wi_fail_errno(err, errno, "cannot read %s", pieces->path);
    }
}

/* Bytes as they are to be given, wherever they come from. */
static weir_status read_some(wi_pieces *pieces, char *dst, size_t size, size_t *n, weir_error *err)
{
    if (pieces->stream)
        return wi_input_read(pieces->stream, dst, size, n, err);
    if (pieces->archive.decoder)
        return wi_archive_read(&pieces->archive, dst, size, n, err);
    return read_file(pieces, dst, size, n, err);
}

/* A read that fails in its middle is cut short too, but where a page ends. */
static bool was_last(const wi_pieces *pieces, size_t asked, size_t got)
{
    if (got == 0)
        return true;
    return pieces->short_read == IS_THE_END && got < asked && got % PAGE != 0 && !pieces->stream &&
           !pieces->archive.decoder;
}

/*
 * Reads until the buffer is full or nothing more comes, so that a small file is one piece; of a
 * stream, which may take its time, what there is. There is room.
 */
static void read_on(wi_pieces *pieces)
{
    do {
        size_t room = pieces->cap - pieces->len;
        size_t n = 0;
        pieces->over = read_some(pieces, pieces->bytes + pieces->len, room, &n, &pieces->why);
        if (!pieces->over && was_last(pieces, room, n))
            pieces->over = WEIR_END;
        pieces->len += n;
    } while (!pieces->over && pieces->len < pieces->cap && !pieces->stream);
}

/* What was read is the beginning of an archive: it becomes the decoder's. */
static weir_status unpack(wi_pieces *pieces, wi_coding coding, weir_error *err)
{
    wi_archive *archive = &pieces->archive;
    if (archive->size < pieces->cap) {
        char *raw = realloc(archive->raw, pieces->cap);
        if (!raw)
            return wi_fail_nomem(err);
        archive->raw = raw;
        archive->size = pieces->cap;
    }
    archive->read = read_file;
    archive->arg = pieces;
    archive->name = pieces->path;
    memcpy(archive->raw, pieces->bytes, pieces->len);
    archive->at = 0;
    archive->len = pieces->len;
    pieces->len = 0;
    return wi_archive_begin(archive, coding, err);
}

static void read_first(wi_pieces *pieces)
{
    wi_coding coding;
    pieces->begun = true;
    read_on(pieces);
    if (pieces->stream || pieces->options.no_decompress ||
        wi_archive_guess_coding(pieces->bytes, pieces->len, &coding) != WI_ARCHIVE_IS)
        return;
    pieces->over = unpack(pieces, coding, &pieces->why);
    if (!pieces->over)
        read_on(pieces);
}

/* Moves what is left to the front, and makes the buffer larger if a line needs it. */
static weir_status make_room(wi_pieces *pieces, weir_error *err)
{
    pieces->len -= pieces->at;
    if (pieces->at && pieces->len)
        memmove(pieces->bytes, pieces->bytes + pieces->at, pieces->len);
    pieces->at = 0;
    if (pieces->len < pieces->cap)
        return WEIR_OK;
    if (pieces->len >= pieces->most)
        return wi_fail(err, WEIR_TOOLARGE,
                       "%s: the line that begins at byte %lld is longer than %zu bytes; "
                       "--max-row allows longer ones",
                       pieces->path, (long long)pieces->given, pieces->most - 1);
    size_t cap = pieces->len < pieces->most / 2 ? 2 * pieces->len + 1 : pieces->most;
    if (pieces->options.may_grow && !pieces->options.may_grow(pieces->options.arg, cap))
        return wi_fail(err, WEIR_CANCELLED, "%s: no more is to be read", pieces->path);
    char *bytes = realloc(pieces->bytes, cap);
    if (!bytes)
        return wi_fail_nomem(err);
    pieces->bytes = bytes;
    pieces->cap = cap;
    return WEIR_OK;
}

/* ---- pieces ---- */

static weir_status give(wi_pieces *pieces, size_t end, const char **bytes, size_t *len)
{
    if (pieces->nul < 0 && !pieces->options.no_nul) {
        const char *nul = memchr(pieces->bytes, '\0', end);
        if (nul)
            pieces->nul = pieces->given + (nul - pieces->bytes);
    }
    pieces->at = end;
    pieces->given += (int64_t)end;
    *bytes = pieces->bytes;
    *len = end;
    return WEIR_OK;
}

/* Nothing more comes of the file; what is left of it is a part of a line. */
static weir_status end(wi_pieces *pieces, weir_status status)
{
    pieces->at = pieces->len = 0;
    pieces->over = WEIR_END;
    return status;
}

/* Where whole lines end in what is there, of which `seen` bytes hold no line feed and `searched` no
 * NUL; 0: none does, and more is to be read. */
static size_t lines_of(const wi_pieces *pieces, size_t seen, size_t searched)
{
    const char *feed = memrchr(pieces->bytes + seen, '\n', pieces->len - seen);
    if (feed)
        return (size_t)(feed + 1 - pieces->bytes);
    bool no_text = pieces->nul < 0 && !pieces->options.no_nul &&
                   memchr(pieces->bytes + searched, '\0', pieces->len - searched);
    return no_text ? pieces->len : 0;
}

static weir_status next(wi_pieces *pieces, bool lines, const char **bytes, size_t *len,
                        weir_error *err)
{
    while (!pieces->over) {
        bool carries = pieces->at != 0; /* a part of a line whose bytes nobody has looked at */
        weir_status status = make_room(pieces, err);
        if (status)
            return end(pieces, status);
        size_t seen = pieces->len; /* no line ends in it */
        if (pieces->begun)
            read_on(pieces);
        else
            read_first(pieces);
        size_t whole = pieces->len;
        if (lines && pieces->over != WEIR_END)
            whole = lines_of(pieces, seen, carries ? 0 : seen);
        if (whole)
            return give(pieces, whole, bytes, len);
    }
    if (pieces->over != WEIR_END && err)
        *err = pieces->why;
    return end(pieces, pieces->over);
}

weir_status wi_pieces_next(wi_pieces *pieces, const char **bytes, size_t *len, weir_error *err)
{
    return next(pieces, true, bytes, len, err);
}

weir_status wi_pieces_next_bytes(wi_pieces *pieces, const char **bytes, size_t *len,
                                 weir_error *err)
{
    return next(pieces, false, bytes, len, err);
}

void wi_pieces_end(wi_pieces *pieces)
{
    end(pieces, WEIR_END);
    shrink(pieces);
}

int64_t wi_pieces_nul(const wi_pieces *pieces)
{
    return pieces->nul;
}
