/*
 * csv_reader.c: CSV (RFC 4180) and TSV.
 *
 * A quote opens a quoted field only where a field begins; elsewhere it stands for itself. Its
 * invariant: find_end and the cutting into fields agree on that, so a row never ends inside what is
 * taken apart as one field, unless the input ends there.
 */
#include <stdlib.h>
#include <string.h>

#include "reader_state.h"
#include "word.h"

/* ---- where a row ends ---- */

/* How far find_end has come in a row. PLAIN is 0: no quote in what was scanned. */
enum { PLAIN, FIELD_BEGINS, UNQUOTED, QUOTED, QUOTE_IN_QUOTED };

static const char *find_either(const char *at, const char *end, char a, char b)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word = wi_word_load(at);
        uint64_t stop =
            wi_word_equal(word, (unsigned char)a) | wi_word_equal(word, (unsigned char)b);
        if (stop)
            return at + wi_word_first(stop);
    }
    while (at < end && *at != a && *at != b)
        at++;
    return at;
}

/* From a place and state inside a row; true: *at is the LF that ends it. */
static bool walk(wi_reader *reader, const char **at, const char *end)
{
    while (*at < end) {
        char c = **at;
        switch (reader->state) {
        case QUOTED:
            *at = memchr(*at, '"', (size_t)(end - *at));
            if (!*at) {
                *at = end;
                return false;
            }
            ++*at;
            reader->state = QUOTE_IN_QUOTED;
            break;
        case FIELD_BEGINS:
        case QUOTE_IN_QUOTED:
            *at += c == '"';
            reader->state = c == '"' ? QUOTED : UNQUOTED;
            break;
        default:
            *at = find_either(*at, end, ',', '\n');
            if (*at < end && **at == '\n')
                return true;
            if (*at < end) {
                ++*at;
                reader->state = FIELD_BEGINS;
            }
        }
    }
    return false;
}

static bool find_end(wi_reader *reader, const char *row, size_t window, size_t *len)
{
    if (reader->state == PLAIN) {
        const char *from = row + reader->scanned;
        size_t scanned = reader->scanned;
        bool found = wi_reader_find_lf(reader, row, window, len);
        size_t upto = found ? *len : window;
        if (!memchr(from, '"', upto - scanned))
            return found;
        reader->state = FIELD_BEGINS; /* the first quote: begin again, and carefully */
        reader->scanned = 0;
    }
    const char *at = row + reader->scanned;
    bool found = walk(reader, &at, row + window);
    reader->scanned = (size_t)(at - row);
    if (!found)
        return false;
    *len = reader->scanned;
    for (const char *lf = row; (lf = memchr(lf, '\n', (size_t)(at - lf))); lf++)
        reader->breaks++;
    return true;
}

/* ---- fields ---- */

typedef struct cursor {
    wi_reader *reader;
    const char *row;
    const char *at; /* the delimiter before the next field; NULL: none is left */
    const char *end;
    bool first;
    bool tabs;
} cursor;

/*
 * The field that a quote opens: its characters without quotes, in the row or in scratch. What
 * follows a closing quote is a fault, and taken as it stands so that the row can be read.
 */
static wi_name quoted(cursor *c, const char *open)
{
    wi_buf *scratch = &c->reader->scratch;
    const char *from = open + 1;
    bool copied = false;
    wi_buf_clear(scratch);
    for (;;) {
        const char *quote = from < c->end ? memchr(from, '"', (size_t)(c->end - from)) : NULL;
        if (!quote)
            wi_reader_fault(c->reader, c->row, open, "the quote that opens here is never closed");
        const char *stop = quote ? quote : c->end;
        bool doubled = quote && quote + 1 < c->end && quote[1] == '"';
        bool trailing = quote && !doubled && quote + 1 < c->end && quote[1] != ',';
        c->at = quote && !trailing ? quote + 1 : c->end;
        if (!copied && !doubled && !trailing)
            return (wi_name){.bytes = from, .len = (size_t)(stop - from)};
        wi_buf_append(scratch, from, (size_t)(stop - from) + doubled);
        copied = true;
        if (trailing) {
            wi_reader_fault(c->reader, c->row, quote + 1,
                            "expected a comma after the closing quote");
            c->at = find_either(quote + 1, c->end, ',', ',');
            wi_buf_append(scratch, quote + 1, (size_t)(c->at - quote - 1));
        }
        if (!doubled)
            return (wi_name){.bytes = scratch->data, .len = scratch->len};
        from = quote + 2;
    }
}

static wi_name unescape_tabs(wi_buf *scratch, const char *at, const char *end)
{
    static const char meaning[] = "t\tn\nr\r\\\\";
    wi_buf_clear(scratch);
    while (at < end) {
        const char *known = *at == '\\' && end - at > 1 && at[1] ? strchr("tnr\\", at[1]) : NULL;
        wi_buf_putc(scratch, known ? meaning[2 * (known - "tnr\\") + 1] : *at);
        at += known ? 2 : 1;
    }
    return (wi_name){.bytes = scratch->data, .len = scratch->len};
}

/* The next field; valid until the one after it. */
static inline bool next_field(cursor *c, wi_name *field)
{
    if (!c->first && c->at == c->end)
        return false;
    const char *from = c->at + !c->first;
    c->first = false;
    if (!c->tabs && from < c->end && *from == '"') {
        *field = quoted(c, from);
        return true;
    }
    char delimiter = c->tabs ? '\t' : ',';
    c->at = find_either(from, c->end, delimiter, delimiter);
    size_t len = (size_t)(c->at - from);
    if (c->tabs && memchr(from, '\\', len))
        *field = unescape_tabs(&c->reader->scratch, from, c->at);
    else
        *field = (wi_name){.bytes = from, .len = len};
    return true;
}

/* ---- header and rows ---- */

typedef struct span {
    size_t at;
    size_t len;
} span;

/* The names one after the other, with a name of our own for an empty one. */
static void collect(cursor *c, wi_buf *text, wi_buf *spans, size_t *named)
{
    wi_name field;
    for (size_t n = 1; next_field(c, &field); n++) {
        span place = {.at = text->len};
        if (field.len)
            wi_buf_append(text, field.bytes, field.len);
        else
            wi_buf_printf(text, "column_%zu", n);
        place.len = text->len - place.at;
        wi_buf_append(spans, &place, sizeof place);
        *named += field.len > 0;
    }
}

static weir_status make_schema(wi_reader *reader, const char *row, const wi_buf *text,
                               const wi_buf *spans, weir_error *err)
{
    size_t n = spans->len / sizeof(span);
    const span *places = (const span *)spans->data;
    wi_name *names = malloc(n * sizeof *names);
    if (!names)
        return wi_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        names[i] = (wi_name){.bytes = text->data + places[i].at, .len = places[i].len};
    weir_error inner;
    weir_status status = wi_schema_new(names, n, &reader->schema, &inner);
    free(names);
    if (status == WEIR_NOMEM)
        return wi_fail_nomem(err);
    if (status) {
        wi_reader_fault(reader, row, NULL, "the header: %s", inner.text);
        return wi_fail(err, status, "%s", reader->fault);
    }
    return WEIR_OK;
}

static weir_status take_header(cursor *c, weir_error *err)
{
    wi_reader *reader = c->reader;
    wi_buf text = WI_BUF_INIT;
    wi_buf spans = WI_BUF_INIT;
    size_t named = 0;
    weir_status status;
    collect(c, &text, &spans, &named);
    if (!named)
        wi_reader_fault(reader, c->row, NULL, "the header names no column");
    if (text.failed || spans.failed || reader->scratch.failed)
        status = wi_fail_nomem(err);
    else if (reader->faulty)
        status = wi_fail(err, WEIR_INVALID, "%s", reader->fault);
    else
        status = make_schema(reader, c->row, &text, &spans, err);
    wi_buf_fini(&text);
    wi_buf_fini(&spans);
    return status;
}

static weir_status take_fields(cursor *c, weir_error *err)
{
    wi_reader *reader = c->reader;
    size_t columns = wi_schema_columns(reader->schema);
    weir_status status = wi_reader_begin_row(reader, err);
    if (status)
        return status;
    size_t n = 0;
    wi_name field;
    for (; next_field(c, &field); n++) {
        if (reader->scratch.failed)
            return wi_fail_nomem(err);
        if (n < columns)
            wi_batch_put(reader->batch, n, WI_STRING, field.bytes, field.len);
    }
    if (n != columns)
        wi_reader_fault(reader, c->row, NULL, "%zu field%s, but the header has %zu", n,
                        n == 1 ? "" : "s", columns);
    return wi_reader_end_row(reader, err);
}

static weir_status take(wi_reader *reader, const char *row, size_t len, bool tabs, weir_error *err)
{
    if (!len && (!reader->schema || wi_schema_columns(reader->schema) > 1))
        return WEIR_OK;
    if (!wi_reader_clean(reader, &row, &len))
        return wi_fail_nomem(err);
    wi_buf_clear(&reader->scratch); /* with a failure of the row before */
    cursor c = {
        .reader = reader, .row = row, .at = row, .end = row + len, .first = true, .tabs = tabs};
    return reader->schema ? take_fields(&c, err) : take_header(&c, err);
}

static weir_status take_csv(wi_reader *reader, const char *row, size_t len, weir_error *err)
{
    return take(reader, row, len, false, err);
}

static weir_status take_tsv(wi_reader *reader, const char *row, size_t len, weir_error *err)
{
    return take(reader, row, len, true, err);
}

const wi_reader_kind wi_reader_csv = {.find_end = find_end, .take = take_csv};
const wi_reader_kind wi_reader_tsv = {.find_end = wi_reader_find_lf, .take = take_tsv};
