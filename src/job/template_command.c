/*
 * template_command.c: what only commands need of a template: lists of arguments, the parts of a
 * path, and quotes for a shell.
 */
#include "template_internal.h"

#include <stdlib.h>
#include <string.h>

#define MAX_COUNT (1ULL << 62)

/* ---- lists ---- */

static bool make_room(wi_template *t, const wi_words *lists, size_t n)
{
    size_t items = 1; /* more than there are: nothing is allocated with no size */
    for (size_t i = 0; i < n; i++)
        items += lists[i].len;
    t->what = strdup("arguments");
    t->segments = calloc(n + 1, sizeof *t->segments);
    t->choices = calloc(n + 1, sizeof *t->choices);
    t->items = calloc(items, sizeof *t->items);
    return t->what && t->segments && t->choices && t->items;
}

static void add_list(wi_template *t, const wi_words *list)
{
    wi_segment segment = {
        .hole = WI_HOLE_LIST, .count = list->len, .span = {t->items_len, list->len}};
    for (size_t i = 0; i < list->len; i++) {
        wi_span item = {t->bytes.len, strlen(list->words[i])};
        wi_buf_append(&t->bytes, list->words[i], item.len);
        t->items[t->items_len++] = item;
    }
    t->choices[t->choices_len++] = t->segments_len;
    t->segments[t->segments_len++] = segment;
}

weir_status wi_template_of_lists(const wi_words *lists, size_t n, wi_template **out,
                                 weir_error *err)
{
    wi_template *t = calloc(1, sizeof *t);
    weir_status status = t && make_room(t, lists, n) ? WEIR_OK : wi_fail_nomem(err);
    if (status == WEIR_OK)
        t->count = 1;
    for (size_t i = 0; status == WEIR_OK && i < n; i++) {
        if (lists[i].len && t->count > MAX_COUNT / lists[i].len)
            status = wi_fail(err, WEIR_INVALID, "the arguments make more than 2^62 combinations");
        else
            t->count *= lists[i].len;
        if (status == WEIR_OK)
            add_list(t, &lists[i]);
    }
    if (status == WEIR_OK && t->bytes.failed)
        status = wi_fail_nomem(err);
    if (status != WEIR_OK) {
        wi_template_free(t);
        return status;
    }
    wi_template_set_strides(t);
    *out = t;
    return WEIR_OK;
}

/* ---- parts of a path ---- */

/* The part of the value that is meant, as an offset and a length. */
static wi_span find_part(const char *value, size_t len, wi_part part)
{
    size_t name = len;
    while (name > 0 && value[name - 1] != '/')
        name--;
    size_t stem = len;
    for (size_t i = len; i > name && stem == len; i--)
        if (value[i - 1] == '.')
            stem = i - 1;
    switch (part) {
    case WI_PART_STEM:
        return (wi_span){0, stem};
    case WI_PART_NAME:
        return (wi_span){name, len - name};
    case WI_PART_FOLDER:
        return (wi_span){0, name > 1 ? name - 1 : name};
    case WI_PART_NAME_STEM:
        return (wi_span){name, stem - name};
    case WI_PART_ALL:
        break;
    }
    return (wi_span){0, len};
}

void wi_template_cut(wi_buf *out, size_t from, wi_part part)
{
    if (out->failed || part == WI_PART_ALL)
        return;
    wi_span span = {0};
    if (out->len > from) { /* else there may be no data at all */
        span = find_part(out->data + from, out->len - from, part);
        memmove(out->data + from, out->data + from + span.at, span.len);
        out->len = from + span.len;
    }
    if (part == WI_PART_FOLDER && span.len == 0)
        wi_buf_putc(out, '.');
}

/* ---- quotes ---- */

void wi_template_quote(wi_buf *out, size_t from)
{
    static const char quote[] = "'\\''";
    size_t len = out->len - from;
    size_t quotes = 0;
    for (size_t i = 0; i < len && !out->failed; i++)
        quotes += out->data[from + i] == '\'';
    if (!wi_buf_reserve(out, 2 + 3 * quotes))
        return;
    char *end = out->data + out->len + 2 + 3 * quotes;
    out->len = (size_t)(end - out->data);
    *--end = '\'';
    while (len-- > 0) { /* from the end, where there is room */
        char c = out->data[from + len];
        if (c == '\'')
            memcpy(end -= 4, quote, 4);
        else
            *--end = c;
    }
    out->data[from] = '\'';
}
