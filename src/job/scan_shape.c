/*
 * scan_shape.c: the columns of a scan's rows. Its invariant: once there is a header it stays, so
 * whoever has seen it may keep it.
 */
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "reader.h"
#include "scan_rows_state.h"
#include "text.h"

/* ---- what each form has ---- */

static const char *const line_first[] = {"path", "line", "text", "text_encoding", NULL};
static const char *const record_first[] = {"path", "line", NULL};
static const char *const whole_first[] = {"path", "size", "content", "content_encoding", NULL};
static const char *const stat_first[] = {"path",  "type",  "size",  "mtime", "mode",
                                         "owner", "group", "links", "inode", NULL};
static const char *const stat_hash_first[] = {"path",  "type",  "size",  "hash",  "mtime", "mode",
                                              "owner", "group", "links", "inode", NULL};
static const char *const hash_first[] = {"path", "size", "hash", NULL};
static const char *const count_first[] = {"path", "count", NULL};
static const char *const path_first[] = {"path", NULL};

static const char *const last[] = {"path_encoding", "error"};
enum { LAST = sizeof last / sizeof *last };

static const char *const optional[] = {"path_encoding", "error", "text_encoding"};
static const char *const whole_optional[] = {"path_encoding", "error", "content_encoding"};

static const char *const *first_of(const wi_scan_shape_options *options, wi_scan_form form)
{
    switch (form) {
    case WI_SCAN_FORM_LINE:
        return line_first;
    case WI_SCAN_FORM_RECORD:
        return record_first;
    case WI_SCAN_FORM_WHOLE:
        return whole_first;
    case WI_SCAN_FORM_STAT:
        return options->with_hash ? stat_hash_first : stat_first;
    case WI_SCAN_FORM_HASH:
        return hash_first;
    case WI_SCAN_FORM_COUNT:
        return count_first;
    case WI_SCAN_FORM_PATH:
        return path_first;
    }
    return path_first;
}

size_t wi_scan_form_optional(wi_scan_form form, const char *const **names)
{
    *names = form == WI_SCAN_FORM_WHOLE ? whole_optional : optional;
    return form == WI_SCAN_FORM_WHOLE || form == WI_SCAN_FORM_LINE ? 3 : 2;
}

static size_t count_of(const char *const *names)
{
    size_t n = 0;
    while (names[n])
        n++;
    return n;
}

/* ---- all columns of a form ---- */

static weir_status check_groups(const wi_schema *without, const wi_matcher *matcher,
                                weir_error *err)
{
    for (size_t i = 0; i < wi_matcher_columns(matcher); i++) {
        wi_name name = wi_matcher_column(matcher, i);
        if (wi_schema_find(without, name.bytes, name.len) >= 0)
            return wi_fail(err, WEIR_INVALID,
                           "the group \"%.*s\" is called like a column that all lines have: give "
                           "it another name, as in (?<my_%.*s>...)",
                           (int)name.len, name.bytes, (int)name.len, name.bytes);
    }
    return WEIR_OK;
}

static weir_status with_groups(wi_schema *without, const wi_matcher *matcher, wi_schema **out,
                               weir_error *err)
{
    size_t n = wi_matcher_columns(matcher);
    weir_status status = check_groups(without, matcher, err);
    if (status)
        return status;
    wi_schema *groups = NULL;
    wi_name *names = calloc(n + 1, sizeof *names);
    for (size_t i = 0; names && i < n; i++)
        names[i] = wi_matcher_column(matcher, i);
    status = names ? wi_schema_new(names, n, &groups, err) : wi_fail_nomem(err);
    if (!status)
        status = wi_columns_join(line_first, count_of(line_first), groups, last, LAST, out, err);
    wi_schema_unref(groups);
    free(names);
    return status;
}

static weir_status columns_of(const wi_scan_shape_options *options, wi_scan_form form,
                              wi_schema **out, weir_error *err)
{
    const char *const *first = first_of(options, form);
    wi_schema *schema = NULL;
    weir_status status = wi_columns_join(first, count_of(first), NULL, last, LAST, &schema, err);
    if (status)
        return status;
    if (form == WI_SCAN_FORM_LINE && options->matcher && wi_matcher_columns(options->matcher)) {
        status = with_groups(schema, options->matcher, out, err);
        wi_schema_unref(schema);
        return status;
    }
    *out = schema;
    return WEIR_OK;
}

/* ---- --where and --select ---- */

static weir_status check_where(const wi_scan_shape *shape, weir_error *err)
{
    weir_error inner;
    if (!shape->options.where || !shape->judged)
        return WEIR_OK;
    weir_status status = wi_expr_check(shape->options.where, shape->judged, &inner);
    return status ? wi_fail(err, WEIR_INVALID, "--where: %s", inner.text) : WEIR_OK;
}

static weir_status check_select(const wi_scan_shape *shape, const wi_name *names, size_t n,
                                weir_error *err)
{
    for (size_t i = 0; shape->columns && i < n; i++) {
        if (wi_schema_find(shape->columns, names[i].bytes, names[i].len) >= 0)
            continue;
        char there[WI_SCHEMA_SHOWN];
        wi_schema_show(shape->columns, there);
        return wi_fail(err, WEIR_INVALID, "--select: there is no column \"%.*s\"; there are: %s",
                       names[i].len < 60 ? (int)names[i].len : 60, names[i].bytes, there);
    }
    return WEIR_OK;
}

typedef struct selection {
    wi_name *names;
    size_t len;
} selection;

static void add(selection *s, const char *name)
{
    for (size_t i = 0; i < s->len; i++)
        if (s->names[i].len == strlen(name) && memcmp(s->names[i].bytes, name, strlen(name)) == 0)
            return;
    s->names[s->len++] = (wi_name){name, strlen(name)};
}

/* What has to be said besides: in CSV, which file failed and why, unless that is said elsewhere; in
 * NDJSON, where it costs nothing if it is not so, that something is base64. */
static void add_unasked(selection *s, const wi_scan_shape_options *options)
{
    static const char *const encoded[][2] = {
        {"path", "path_encoding"}, {"text", "text_encoding"}, {"content", "content_encoding"}};
    if (options->format == WI_FORMAT_CSV) {
        if (!options->errors_apart) {
            add(s, "path");
            add(s, "error");
        }
        return;
    }
    const char *const *names;
    size_t n = wi_scan_form_optional(options->form, &names);
    size_t asked = s->len;
    for (size_t i = 0; i < sizeof encoded / sizeof *encoded; i++)
        for (size_t k = 0; k < asked; k++)
            for (size_t o = 0; o < n; o++)
                if (s->names[k].len == strlen(encoded[i][0]) &&
                    memcmp(s->names[k].bytes, encoded[i][0], s->names[k].len) == 0 &&
                    strcmp(names[o], encoded[i][1]) == 0)
                    add(s, encoded[i][1]);
}

static weir_status take_select(wi_scan_shape *shape, const wi_name *names, size_t n,
                               weir_error *err)
{
    enum { MOST_UNASKED = 3 };
    weir_error inner;
    weir_status status = check_select(shape, names, n, err);
    if (status)
        return status;
    selection s = {.names = calloc(n + MOST_UNASKED, sizeof *s.names), .len = n};
    if (!s.names)
        return wi_fail_nomem(err);
    memcpy(s.names, names, n * sizeof *names);
    add_unasked(&s, &shape->options);
    status = wi_schema_new(s.names, s.len, &shape->header, &inner);
    free(s.names);
    if (status == WEIR_NOMEM)
        return wi_fail_nomem(err);
    return status ? wi_fail(err, status, "--select: %s", inner.text) : WEIR_OK;
}

/* ---- making ---- */

static weir_status make_columns(wi_scan_shape *shape, weir_error *err)
{
    const wi_scan_shape_options *o = &shape->options;
    wi_scan_form judged = shape->counts ? o->sifted : o->form;
    weir_status status = WEIR_OK;
    if (!shape->of_records)
        status = columns_of(o, judged, &shape->judged, err);
    if (!status && o->form != WI_SCAN_FORM_RECORD)
        status = columns_of(o, o->form, &shape->columns, err);
    const char *const *first = shape->of_records ? record_first : path_first;
    if (!status)
        status = wi_columns_join(first, count_of(first), NULL, last, LAST, &shape->failure, err);
    return status;
}

weir_status wi_scan_shape_new(const wi_scan_shape_options *options, wi_scan_shape **out,
                              weir_error *err)
{
    wi_scan_shape *shape = calloc(1, sizeof *shape);
    if (!shape)
        return wi_fail_nomem(err);
    pthread_mutex_init(&shape->lock, NULL);
    wi_scan_shape_options *o = &shape->options;
    *o = *options;
    o->select = NULL;
    o->select_len = 0;
    shape->counts = o->form == WI_SCAN_FORM_COUNT || o->form == WI_SCAN_FORM_PATH;
    shape->of_records = (shape->counts ? o->sifted : o->form) == WI_SCAN_FORM_RECORD;
    shape->open = o->form == WI_SCAN_FORM_RECORD && !options->select_len;
    weir_status status = make_columns(shape, err);
    if (!status)
        status = check_where(shape, err);
    if (!status && options->select_len)
        status = take_select(shape, options->select, options->select_len, err);
    else if (!status && !shape->open)
        shape->header = wi_schema_ref(shape->columns);
    if (status) {
        wi_scan_shape_free(shape);
        return status;
    }
    shape->plain = o->form == WI_SCAN_FORM_LINE && o->format == WI_FORMAT_NDJSON && !o->where &&
                   !options->select_len && !(o->matcher && wi_matcher_columns(o->matcher));
    *out = shape;
    return WEIR_OK;
}

void wi_scan_shape_free(wi_scan_shape *shape)
{
    if (!shape)
        return;
    wi_scan_waiting_fini(&shape->waiting);
    wi_schema_unref(shape->judged);
    wi_schema_unref(shape->columns);
    wi_schema_unref(shape->failure);
    wi_schema_unref(shape->header);
    free(shape->header_path);
    pthread_mutex_destroy(&shape->lock);
    free(shape);
}

/* ---- the header ---- */

bool wi_scan_shape_waits(const wi_scan_shape *shape)
{
    return shape->open && shape->options.format == WI_FORMAT_CSV;
}

wi_schema *wi_scan_shape_header(wi_scan_shape *shape)
{
    pthread_mutex_lock(&shape->lock);
    wi_schema *header = shape->header;
    pthread_mutex_unlock(&shape->lock);
    return header;
}

wi_schema *wi_scan_shape_failure_header(const wi_scan_shape *shape)
{
    return shape->failure;
}

static char *shown_path(const char *path, size_t len)
{
    char text[256];
    wi_text_printable(text, sizeof text, path, len);
    return strdup(text);
}

weir_status wi_scan_shape_fix_header(wi_scan_shape *shape, wi_schema *schema, const char *path,
                                     size_t len, wi_scan_waiting *taken, weir_error *err)
{
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&shape->lock);
    if (!shape->header && path && !(shape->header_path = shown_path(path, len)))
        status = wi_fail_nomem(err);
    if (!status && !shape->header)
        shape->header = wi_schema_ref(schema);
    if (!status && taken) {
        *taken = shape->waiting;
        shape->waiting = (wi_scan_waiting){0};
    }
    pthread_mutex_unlock(&shape->lock);
    return status;
}

/* The columns are those of the CSV that is there already: its reader finds them as they were. */
weir_status wi_scan_shape_continue(wi_scan_shape *shape, const char *line, size_t len,
                                   weir_error *err)
{
    static const char from[] = "an earlier run";
    wi_reader *reader = NULL;
    wi_batch *none = NULL;
    if (!wi_scan_shape_waits(shape))
        return WEIR_OK;
    weir_status status = wi_reader_new(WI_FORMAT_CSV, from, len, &reader, err);
    if (!status)
        status = wi_reader_feed(reader, line, len, err);
    if (!status)
        status = wi_reader_feed(reader, NULL, 0, err);
    if (!status)
        status = wi_reader_next(reader, 1, &none, err);
    if (!status && wi_reader_schema(reader))
        status = wi_scan_shape_fix_header(shape, wi_reader_schema(reader), from, sizeof from - 1,
                                          NULL, err);
    wi_batch_unref(none);
    wi_reader_free(reader);
    return status;
}

/* ---- what waits for the header ---- */

void wi_scan_waiting_fini(wi_scan_waiting *waiting)
{
    wi_batch_unref(waiting->rows);
    wi_buf_fini(&waiting->failed);
    wi_buf_fini(&waiting->done);
    *waiting = (wi_scan_waiting){0};
}

weir_status wi_scan_copy_rows(wi_batch **to, const wi_batch *from, weir_error *err)
{
    wi_schema *schema = wi_batch_schema(from);
    weir_status status = *to ? WEIR_OK : wi_batch_new(schema, to, err);
    for (size_t row = 0; !status && row < wi_batch_rows(from); row++) {
        for (size_t i = 0; i < wi_schema_columns(schema); i++) {
            wi_cell cell = wi_batch_cell(from, row, i);
            wi_batch_put_cell(*to, i, &cell);
        }
        status = wi_batch_end_row(*to, err);
    }
    return status;
}

static weir_status put_aside(wi_scan_shape *shape, const wi_batch *rows,
                             const wi_portion_done *done, const char *failed, weir_error *err)
{
    wi_scan_waiting *waiting = &shape->waiting;
    size_t before = waiting->rows ? wi_batch_rows(waiting->rows) : 0;
    weir_status status = wi_scan_copy_rows(&waiting->rows, rows, err);
    if (!status && done) {
        wi_portion_done placed = *done;
        placed.from = (wi_portion_place){before, waiting->failed.len};
        wi_buf_append(&waiting->failed, failed, done->to.failed_rows);
        placed.to = (wi_portion_place){wi_batch_rows(waiting->rows), waiting->failed.len};
        wi_buf_append(&waiting->done, &placed, sizeof placed);
        if (waiting->failed.failed || waiting->done.failed)
            status = wi_fail_nomem(err);
    }
    if (!status && wi_batch_rows(waiting->rows) >= WI_SCAN_MOST_WAITING)
        shape->header = wi_schema_ref(shape->failure);
    return status;
}

bool wi_scan_shape_defer(wi_scan_shape *shape, const wi_batch *rows, const wi_portion_done *done,
                         const char *failed, weir_status *status, weir_error *err)
{
    *status = WEIR_OK;
    pthread_mutex_lock(&shape->lock);
    bool waits = !shape->header;
    if (waits)
        *status = put_aside(shape, rows, done, failed, err);
    pthread_mutex_unlock(&shape->lock);
    return waits;
}

/* Failed rows that are to stay behind are moved on. */
static void insert(wi_buf *out, const wi_buf *bytes, size_t stay)
{
    if (!bytes->len || !wi_buf_reserve(out, bytes->len))
        return;
    char *at = out->data + out->len - stay;
    memmove(at + bytes->len, at, stay);
    memcpy(at, bytes->data, bytes->len);
    out->len += bytes->len;
}

/* ends: of the rows; the first of them begins at first. */
static size_t place_of(size_t row, const wi_buf *ends, size_t first)
{
    size_t end;
    if (!row || !ends->data)
        return first;
    memcpy(&end, ends->data + (row - 1) * sizeof end, sizeof end);
    return end;
}

static void tell_done(const wi_scan_waiting *waiting, const wi_buf *ends, wi_portion_place first,
                      wi_portion *portion)
{
    for (size_t at = 0; at < waiting->done.len; at += sizeof(wi_portion_done)) {
        wi_portion_done done;
        memcpy(&done, waiting->done.data + at, sizeof done);
        wi_portion_place *places[] = {&done.from, &done.to};
        for (int i = 0; i < 2; i++) {
            places[i]->rows = portion->before.rows + place_of(places[i]->rows, ends, first.rows);
            places[i]->failed_rows += portion->before.failed_rows + first.failed_rows;
        }
        wi_buf_append(&portion->done, &done, sizeof done);
    }
}

weir_status wi_scan_waiting_write(const wi_scan_waiting *waiting, wi_row_writer *writer,
                                  bool limited, wi_portion *portion, size_t stay, weir_error *err)
{
    wi_buf places = WI_BUF_INIT;
    wi_buf *ends = portion->journaled ? &places : limited ? &portion->row_ends : NULL;
    const wi_portion_place first = {portion->rows.len, portion->failed_rows.len - stay};
    weir_status status =
        wi_row_writer_append_ends(writer, waiting->rows, &portion->rows, ends, err);
    if (!status) {
        insert(&portion->failed_rows, &waiting->failed, stay);
        if (portion->journaled)
            tell_done(waiting, &places, first, portion);
    }
    wi_buf_fini(&places);
    return status;
}

weir_status wi_scan_shape_rest(wi_scan_shape *shape, wi_portion *portion, weir_error *err)
{
    const wi_scan_shape_options *o = &shape->options;
    wi_scan_waiting taken = {0};
    wi_row_writer *writer = NULL;
    if (!wi_scan_shape_waits(shape))
        return WEIR_OK;
    weir_status status = wi_scan_shape_fix_header(shape, shape->failure, NULL, 0, &taken, err);
    if (!status && taken.rows)
        status = wi_row_writer_new(WI_FORMAT_CSV, &writer, err);
    if (!status && taken.rows) {
        if (o->terminal)
            wi_row_writer_for_terminal(writer);
        wi_row_writer_fix(writer, wi_scan_shape_header(shape));
        status = wi_scan_waiting_write(&taken, writer, o->limited, portion, 0, err);
    }
    wi_row_writer_free(writer);
    wi_scan_waiting_fini(&taken);
    return status;
}
