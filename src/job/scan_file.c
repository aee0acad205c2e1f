/*
 * scan_file.c: what is read of one file, and which of it is kept. Its invariant: a file is never
 * reported in part without saying so: whatever ends its reading early is returned as its failure,
 * unless nobody wants more of it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scan.h"
#include "sweep.h"

enum {
    RECORDS = 1024,
    MUCH = 1 << 20, /* bytes; nor is a larger buffer kept for the next file */
};

/* ---- from one piece to the next ---- */

/* Rows are handed on in between; WEIR_CANCELLED: no more are wanted. */
static bool has_rows_to_pass_on(const wi_scan_hand *h)
{
    return h->portion->rows.len + h->portion->failed_rows.len >= h->passed_on + WI_PORTION_BYTES;
}

static weir_status pass_on(wi_scan_hand *h, weir_error *err)
{
    if (has_rows_to_pass_on(h)) {
        weir_status status = wi_scan_rows_settle(h->rows, err);
        if (status != WEIR_OK)
            return status;
        if (!wi_hand_flush(h->hand))
            return WEIR_CANCELLED;
        h->passed_on = h->portion->rows.len + h->portion->failed_rows.len;
    }
    return wi_hand_is_stopping(h->hand) ? WEIR_CANCELLED : WEIR_OK;
}

/* Is nothing more wanted of a file of which so much was kept? */
static bool is_settled(const wi_scan_hand *h, int64_t kept)
{
    bool one_is_enough = h->scan->give == WEIR_SCAN_FILES_WITH_MATCHES ||
                         h->scan->give == WEIR_SCAN_FILES_WITHOUT_MATCH;
    return (one_is_enough && kept) || (h->scan->limit && h->kept >= h->scan->limit);
}

/* What a file takes to be read, where it is much, and what of it is kept meanwhile count for the
 * budget. WEIR_CANCELLED also if that is no news, but no more is wanted: a record may have no end.
 */
static weir_status mind_memory(wi_scan_hand *h, wi_scan_held what, size_t bytes)
{
    size_t archive = wi_pieces_memory(h->pieces);
    bool goes_on = wi_scan_hold(h, WI_SCAN_HELD_ARCHIVE, archive < MUCH ? 0 : archive) &&
                   wi_scan_hold(h, what, bytes < MUCH ? 0 : bytes);
    return goes_on && !wi_hand_is_stopping(h->hand) ? WEIR_OK : WEIR_CANCELLED;
}

/* Is there a NUL byte where there should be text? Then nothing more of the file is looked at. What
 * came of it so far stands, so that must be said. */
static weir_status look_for_nul(wi_scan_hand *h, int64_t kept, bool *binary, weir_error *err)
{
    int64_t at = wi_pieces_nul(h->pieces);
    *binary = at >= 0;
    if (at < 0)
        return WEIR_OK;
    if (kept)
        return wi_fail(err, WEIR_INVALID,
                       "binary from byte %lld on: nothing behind that was searched (--text does)",
                       (long long)at);
    h->was_binary = true;
    return WEIR_OK;
}

/* ---- lines ---- */

typedef struct lines {
    const char *bytes; /* a piece */
    size_t len;
    size_t counted; /* where the line begins whose number is h->lines + 1 */
    int64_t kept;   /* of the file */
} lines;

static weir_status put_line(wi_scan_hand *h, lines *l, wi_span line, bool *kept, weir_error *err)
{
    const char *text = l->bytes + line.begin;
    size_t len = line.end - line.begin;
    weir_status status = WEIR_OK;
    wi_span match;
    if (h->scan->numbers_lines) {
        h->lines += (int64_t)wi_count_newlines(l->bytes + l->counted, line.begin - l->counted);
        l->counted = line.begin;
    }
    if (h->groups)
        status = wi_search_spans(h->search, text, len, 0, &match, h->groups, err);
    if (status != WEIR_OK && status != WEIR_END)
        return status;
    return wi_scan_rows_line(h->rows, h->lines + 1, text, len, status == WEIR_OK ? h->groups : NULL,
                             kept, err);
}

static weir_status keep_line(wi_scan_hand *h, lines *l, wi_span line, weir_error *err)
{
    bool kept = true;
    weir_status status = WEIR_OK;
    if (h->scan->judges_lines)
        status = put_line(h, l, line, &kept, err);
    l->kept += kept;
    h->kept += kept && h->scan->give == WEIR_SCAN_ROWS;
    return status;
}

static weir_status next_line(wi_scan_hand *h, const lines *l, size_t from, wi_span *line,
                             weir_error *err)
{
    if (h->search)
        return wi_search_next(h->search, line, err);
    if (from >= l->len)
        return WEIR_END;
    const char *end = memchr(l->bytes + from, '\n', l->len - from);
    *line = (wi_span){from, end ? (size_t)(end - l->bytes) : l->len};
    return WEIR_OK;
}

static weir_status look_at_lines(wi_scan_hand *h, lines *l, weir_error *err)
{
    wi_span line = {0, 0};
    weir_status status = WEIR_OK;
    size_t from = 0;
    l->counted = 0;
    if (h->search)
        wi_search_begin(h->search, l->bytes, l->len);
    while (!is_settled(h, l->kept) && (status = next_line(h, l, from, &line, err)) == WEIR_OK) {
        from = line.end + 1;
        status = keep_line(h, l, line, err);
        if (status == WEIR_OK && has_rows_to_pass_on(h))
            status = pass_on(h, err);
        if (status != WEIR_OK)
            return status;
    }
    if (h->scan->numbers_lines)
        h->lines += (int64_t)wi_count_newlines(l->bytes + l->counted, l->len - l->counted);
    return status == WEIR_END ? WEIR_OK : status;
}

static weir_status give_count(wi_scan_hand *h, int64_t kept, weir_error *err)
{
    int64_t limit = h->kept;
    weir_status status = WEIR_OK;
    switch (h->scan->give) {
    case WEIR_SCAN_ROWS:
        return WEIR_OK;
    case WEIR_SCAN_COUNT:
        if (kept && ++limit)
            status = wi_scan_rows_count(h->rows, kept, err);
        break;
    case WEIR_SCAN_FILES_WITH_MATCHES:
        if (kept && ++limit)
            status = wi_scan_rows_path(h->rows, err);
        break;
    case WEIR_SCAN_FILES_WITHOUT_MATCH:
        if (!kept && ++limit)
            status = wi_scan_rows_path(h->rows, err);
        break;
    }
    h->kept = limit;
    return status;
}

/* A byte order mark is no part of the first line. */
static void pass_over_mark(lines *l)
{
    if (l->len >= 3 && memcmp(l->bytes, "\xEF\xBB\xBF", 3) == 0) {
        l->bytes += 3;
        l->len -= 3;
    }
}

static weir_status read_lines(wi_scan_hand *h, weir_error *err)
{
    lines l = {0};
    bool binary = false;
    weir_status status;
    h->lines = 0;
    while ((status = wi_pieces_next(h->pieces, &l.bytes, &l.len, err)) == WEIR_OK) {
        bool first = h->bytes == 0;
        h->bytes += (int64_t)l.len;
        status = mind_memory(h, WI_SCAN_HELD_WHOLE, 0);
        if (status == WEIR_OK)
            status = look_for_nul(h, h->scan->give == WEIR_SCAN_ROWS ? l.kept : 0, &binary, err);
        if (status != WEIR_OK || binary)
            break;
        if (first)
            pass_over_mark(&l);
        status = look_at_lines(h, &l, err);
        if (status == WEIR_OK)
            status = pass_on(h, err);
        if (status != WEIR_OK || is_settled(h, l.kept))
            break;
    }
    if ((status != WEIR_OK && status != WEIR_END) || binary)
        return status;
    return give_count(h, l.kept, err);
}

/* ---- records ---- */

static weir_status take_records(wi_scan_hand *h, wi_reader *reader, int64_t *kept, weir_error *err)
{
    for (;;) {
        wi_batch *batch = NULL;
        int64_t rows = 0, faults = 0;
        weir_status status = wi_reader_next(reader, RECORDS, &batch, err);
        if (status != WEIR_OK || !batch)
            return status;
        status = wi_scan_rows_records(h->rows, batch, &rows, &faults, err);
        wi_batch_unref(batch);
        *kept += rows;
        h->faults += faults;
        if (h->scan->give == WEIR_SCAN_ROWS)
            h->kept += rows;
        if (status == WEIR_OK)
            status = pass_on(h, err);
        if (status != WEIR_OK || is_settled(h, *kept))
            return status;
    }
}

static weir_status feed_records(wi_scan_hand *h, wi_reader *reader, weir_error *err)
{
    const char *bytes;
    size_t len;
    int64_t kept = 0;
    weir_status status;
    while ((status = wi_pieces_next_bytes(h->pieces, &bytes, &len, err)) == WEIR_OK) {
        h->bytes += (int64_t)len;
        status = mind_memory(h, WI_SCAN_HELD_RECORD, wi_reader_bytes(reader));
        if (status == WEIR_OK)
            status = wi_reader_feed(reader, bytes, len, err);
        if (status == WEIR_OK)
            status = take_records(h, reader, &kept, err);
        if (status == WEIR_OK && is_settled(h, kept))
            return give_count(h, kept, err);
        if (status != WEIR_OK)
            return status;
    }
    if (status != WEIR_END)
        return status;
    status = wi_reader_feed(reader, NULL, 0, err);
    if (status == WEIR_OK)
        status = take_records(h, reader, &kept, err);
    wi_schema *schema = wi_reader_schema(reader);
    if (status == WEIR_OK && schema && h->scan->give == WEIR_SCAN_ROWS)
        status = wi_scan_rows_columns(h->rows, schema, err);
    return status == WEIR_OK ? give_count(h, kept, err) : status;
}

static weir_status read_records(wi_scan_hand *h, wi_format format, weir_error *err)
{
    wi_reader *reader = NULL;
    weir_status status = wi_reader_new(format, h->path.data, h->scan->max_row, &reader, err);
    if (status == WEIR_OK)
        status = feed_records(h, reader, err);
    wi_reader_free(reader);
    return status;
}

/* ---- the whole of it ---- */

/* With patterns, files of which a line matches are kept. */
static weir_status is_wanted(wi_scan_hand *h, bool *wanted, weir_error *err)
{
    wi_span line;
    *wanted = true;
    if (!h->search)
        return WEIR_OK;
    wi_search_begin(h->search, h->whole.data ? h->whole.data : "", h->whole.len);
    weir_status status = wi_search_next(h->search, &line, err);
    *wanted = status == WEIR_OK;
    return status == WEIR_END ? WEIR_OK : status;
}

/* All of it, in h->whole. */
static weir_status gather(wi_scan_hand *h, weir_error *err)
{
    const char *bytes;
    size_t len;
    weir_status status;
    wi_buf_clear(&h->whole);
    while ((status = wi_pieces_next_bytes(h->pieces, &bytes, &len, err)) == WEIR_OK) {
        h->bytes += (int64_t)len;
        if ((size_t)h->bytes > h->scan->max_row)
            return wi_fail(err, WEIR_TOOLARGE, "larger than %zu bytes (--max-row)",
                           h->scan->max_row);
        wi_buf_append(&h->whole, bytes, len);
        if (h->whole.failed)
            return wi_fail_nomem(err);
        status = mind_memory(h, WI_SCAN_HELD_WHOLE, h->whole.cap);
        if (status != WEIR_OK)
            return status;
    }
    return status == WEIR_END ? WEIR_OK : status;
}

static weir_status read_whole(wi_scan_hand *h, weir_error *err)
{
    bool kept = false, wanted = false;
    weir_status status = gather(h, err);
    if (status == WEIR_OK)
        status = is_wanted(h, &wanted, err);
    if (status == WEIR_OK && wanted)
        status = wi_scan_rows_whole(h->rows, h->whole.data ? h->whole.data : "", h->whole.len,
                                    &kept, err);
    h->kept += kept;
    if (h->whole.cap >= MUCH)
        wi_buf_fini(&h->whole);
    return status == WEIR_OK ? pass_on(h, err) : status;
}

/* ---- facts ---- */

static weir_status read_digest(wi_scan_hand *h, char text[WI_DIGEST_TEXT], weir_error *err)
{
    const char *bytes;
    size_t len;
    weir_status status;
    wi_digest_begin(h->digest);
    while ((status = wi_pieces_next_bytes(h->pieces, &bytes, &len, err)) == WEIR_OK) {
        h->bytes += (int64_t)len;
        wi_digest_add(h->digest, bytes, len);
        if (wi_hand_is_stopping(h->hand))
            return WEIR_CANCELLED;
    }
    wi_digest_end(h->digest, text);
    return status == WEIR_END ? WEIR_OK : status;
}

static weir_status put_facts(wi_scan_hand *h, const struct stat *st, const char *hash,
                             weir_error *err)
{
    bool kept = false;
    weir_status status = st ? wi_scan_rows_stat(h->rows, st, hash, &kept, err)
                            : wi_scan_rows_hash(h->rows, h->bytes, hash, &kept, err);
    h->kept += kept;
    return status == WEIR_OK ? pass_on(h, err) : status;
}

/* ---- opening ---- */

static weir_status read_content(wi_scan_hand *h, wi_format format, const struct stat *st,
                                weir_error *err)
{
    char hash[WI_DIGEST_TEXT];
    weir_status status = WEIR_OK;
    switch (h->scan->read) {
    case WEIR_SCAN_LINES:
        return read_lines(h, err);
    case WEIR_SCAN_RECORDS:
        return read_records(h, format, err);
    case WEIR_SCAN_WHOLE:
        return read_whole(h, err);
    case WEIR_SCAN_FACTS:
        status = read_digest(h, hash, err);
        break;
    }
    return status == WEIR_OK ? put_facts(h, st, hash, err) : status;
}

static weir_status open_and_read(wi_scan_hand *h, const wi_walk_batch *batch,
                                 const wi_walk_item *item, wi_format format, const struct stat *st,
                                 weir_error *err)
{
    h->is_stream = item->type != DT_REG;
    if (h->is_stream) {
        weir_status status = wi_pieces_begin_stream(h->pieces, h->path.data, err);
        return status == WEIR_OK ? read_content(h, format, st, err) : status;
    }
    /* It may have become a FIFO since: without O_NONBLOCK that would wait for its writer. */
    int fd = wi_walk_open(batch, item, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return wi_fail_errno(err, errno, "cannot be opened");
    wi_pieces_begin(h->pieces, fd, h->path.data);
    weir_status status = read_content(h, format, st, err);
    close(fd);
    return status;
}

/* A file that is called "-" and was found is another matter than standard input. */
static int look_at(const wi_scan_hand *h, const wi_walk_batch *batch, const wi_walk_item *item,
                   struct stat *st)
{
    bool is_stdin = item->type != DT_REG && strcmp(h->path.data, "-") == 0;
    return is_stdin ? fstat(STDIN_FILENO, st) : wi_walk_stat(batch, item, 0, st);
}

weir_status wi_scan_file(wi_scan_hand *h, const wi_walk_batch *batch, const wi_walk_item *item,
                         weir_error *err)
{
    wi_scan *scan = h->scan;
    struct stat st;
    wi_format format = scan->records;
    h->was_binary = false;
    h->faults = 0;
    if (scan->stats && look_at(h, batch, item, &st) != 0)
        return wi_fail_errno(err, errno, "cannot be looked at");
    if (scan->stats && !scan->hashes)
        return put_facts(h, &st, NULL, err);
    if (scan->read == WEIR_SCAN_RECORDS && format == WI_FORMAT_AUTO) {
        format = wi_format_of_path(h->path.data);
        if (format == WI_FORMAT_LINES) {
            atomic_fetch_add_explicit(&scan->unknown, 1, memory_order_relaxed);
            return WEIR_OK;
        }
    }
    weir_status status = open_and_read(h, batch, item, format, scan->stats ? &st : NULL, err);
    if (h->portion->held) {
        wi_pieces_end(h->pieces);
        memset(h->held, 0, sizeof h->held);
        wi_hand_hold(h->hand, 0);
    }
    if (h->was_binary)
        atomic_fetch_add_explicit(&scan->binary, 1, memory_order_relaxed);
    return status;
}
