/* template.c: see template.h. What may be asked of a parsed template before it is expanded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "template_internal.h"

enum { NAMES_SHOWN = 8 };

int wi_template_clip(const char *bytes, size_t len, size_t max)
{
    if (len > max) {
        len = max;
        while (len > 0 && ((unsigned char)bytes[len] & 0xC0) == 0x80)
            len--;
    }
    return (int)len;
}

wi_position wi_template_position(const wi_template *t, size_t offset)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset && i < t->text.len; i++) {
        unsigned char c = (unsigned char)t->text.data[i];
        if (c == '\n') {
            line++;
            column = 1;
        } else if ((c & 0xC0) != 0x80) {
            column++;
        }
    }
    wi_position position;
    if (line > 1)
        snprintf(position.text, sizeof position.text, "line %zu, column %zu", line, column);
    else
        snprintf(position.text, sizeof position.text, "column %zu", column);
    return position;
}

void wi_template_free(wi_template *t)
{
    if (!t)
        return;
    free(t->what);
    wi_buf_fini(&t->text);
    wi_buf_fini(&t->bytes);
    free(t->segments);
    free(t->items);
    free(t->choices);
    free(t);
}

uint64_t wi_template_count(const wi_template *t)
{
    return t->count;
}

bool wi_template_has_secrets(const wi_template *t)
{
    return t->secrets;
}

bool wi_template_is_constant(const wi_template *t)
{
    for (size_t i = 0; i < t->segments_len; i++) {
        const wi_segment *s = &t->segments[i];
        if (s->hole == WI_HOLE_COLUMN || s->hole == WI_HOLE_NUMBER || s->hole == WI_HOLE_CHOSEN ||
            s->hole == WI_HOLE_VALUE || s->count > 1)
            return false;
    }
    return true;
}

bool wi_template_has_values(const wi_template *t)
{
    for (size_t i = 0; i < t->segments_len; i++) {
        wi_hole hole = t->segments[i].hole;
        if (hole == WI_HOLE_COLUMN || hole == WI_HOLE_CHOSEN || hole == WI_HOLE_VALUE)
            return true;
    }
    return false;
}

static weir_status unknown_column(const wi_template *t, const wi_segment *s,
                                  const wi_schema *schema, weir_error *err)
{
    const char *name = t->bytes.data + s->span.at;
    int shown = wi_template_clip(name, s->span.len, WI_TEMPLATE_EXCERPT);
    wi_position position = wi_template_position(t, s->source);
    if (!schema)
        return wi_fail(err, WEIR_INVALID,
                       "%s: unknown column \"%.*s\" at %s; there is no input (-i) to take it from",
                       t->what, shown, name, position.text);
    if (!wi_schema_columns(schema))
        return wi_fail(err, WEIR_INVALID,
                       "%s: unknown column \"%.*s\" at %s; the input has no columns", t->what,
                       shown, name, position.text);
    char names[300];
    wi_buf list = {.data = names, .cap = sizeof names, .max = sizeof names};
    size_t columns = wi_schema_columns(schema), i = 0;
    for (; i < columns && i < NAMES_SHOWN && list.len < 200; i++) {
        wi_name column = wi_schema_name(schema, i);
        wi_buf_puts(&list, i ? ", " : "");
        wi_buf_append(&list, column.bytes, (size_t)wi_template_clip(column.bytes, column.len, 40));
    }
    if (i < columns)
        wi_buf_printf(&list, " and %zu more", columns - i);
    return wi_fail(err, WEIR_INVALID, "%s: unknown column \"%.*s\" at %s; the input has: %.*s",
                   t->what, shown, name, position.text, (int)list.len, names);
}

static weir_status unknown_choice(const wi_template *t, const wi_segment *s, const wi_template *url,
                                  weir_error *err)
{
    if (wi_template_is_of_command(t))
        return wi_fail(err, WEIR_INVALID, "%s: {%zu} at %s, but there %s %zu list%s of arguments",
                       t->what, s->chosen + 1, wi_template_position(t, s->source).text,
                       url->choices_len == 1 ? "is" : "are", url->choices_len,
                       url->choices_len == 1 ? "" : "s");
    return wi_fail(err, WEIR_INVALID, "%s: {#%zu} at %s, but the URL has %zu range%s or list%s",
                   t->what, s->chosen + 1, wi_template_position(t, s->source).text,
                   url->choices_len, url->choices_len == 1 ? "" : "s",
                   url->choices_len == 1 ? "" : "s");
}

/* {1} of a command with an input: its first column. */
static weir_status unknown_position(const wi_template *t, const wi_segment *s,
                                    const wi_schema *schema, weir_error *err)
{
    wi_position position = wi_template_position(t, s->source);
    if (!schema)
        return wi_fail(err, WEIR_INVALID,
                       "%s: {%zu} at %s, but there is neither an input (-i) nor arguments (:::)",
                       t->what, s->chosen + 1, position.text);
    size_t columns = wi_schema_columns(schema);
    return wi_fail(err, WEIR_INVALID, "%s: {%zu} at %s, but the input has %zu column%s", t->what,
                   s->chosen + 1, position.text, columns, columns == 1 ? "" : "s");
}

/* {} stands for one thing. */
static weir_status check_value(const wi_template *t, const wi_segment *s, const wi_schema *schema,
                               const wi_template *lists, weir_error *err)
{
    wi_position position = wi_template_position(t, s->source);
    if (lists && lists->choices_len != 1)
        return wi_fail(err, WEIR_INVALID,
                       "%s: {} at %s could be each of %zu lists of arguments; write {1}, {2}",
                       t->what, position.text, lists->choices_len);
    if (!lists && schema && wi_schema_columns(schema) > 1) {
        wi_name name = wi_schema_name(schema, 0);
        return wi_fail(err, WEIR_INVALID,
                       "%s: {} at %s could be each of the input's %zu columns; name one, as {%.*s}",
                       t->what, position.text, wi_schema_columns(schema),
                       wi_template_clip(name.bytes, name.len, 40), name.bytes);
    }
    if (!lists && !schema)
        return wi_fail(err, WEIR_INVALID,
                       "%s: {} at %s, but there is neither an input (-i) nor arguments (:::)",
                       t->what, position.text);
    return WEIR_OK;
}

weir_status wi_template_check(const wi_template *t, const wi_schema *schema, const wi_template *url,
                              weir_error *err)
{
    for (size_t i = 0; i < t->segments_len; i++) {
        const wi_segment *s = &t->segments[i];
        if (s->hole == WI_HOLE_COLUMN &&
            (!schema || wi_schema_find(schema, t->bytes.data + s->span.at, s->span.len) < 0))
            return unknown_column(t, s, schema, err);
        if (s->hole == WI_HOLE_CHOSEN && url && s->chosen >= url->choices_len)
            return unknown_choice(t, s, url, err);
        if (s->hole == WI_HOLE_CHOSEN && !url && wi_template_is_of_command(t) &&
            (!schema || s->chosen >= wi_schema_columns(schema)))
            return unknown_position(t, s, schema, err);
        if (s->hole == WI_HOLE_VALUE) {
            weir_status status = check_value(t, s, schema, url, err);
            if (status)
                return status;
        }
    }
    return WEIR_OK;
}
