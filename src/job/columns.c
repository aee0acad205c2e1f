/* columns.c: see columns.h. Its invariant: what the kind's columns are called never depends on the
 * input. */
#include "columns.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"

typedef struct joining {
    const char *const *first;
    size_t first_len;
    const wi_schema *input;
    const char *const *last;
    size_t last_len;
} joining;

static bool is_among(const char *const *names, size_t n, wi_name name)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(names[i]) == name.len && memcmp(names[i], name.bytes, name.len) == 0)
            return true;
    return false;
}

static bool clashes(const joining *j, wi_name name)
{
    return is_among(j->first, j->first_len, name) || is_among(j->last, j->last_len, name);
}

static char *renamed(const joining *j, wi_name name)
{
    wi_buf text = WI_BUF_INIT;
    do {
        wi_buf longer = WI_BUF_INIT;
        wi_buf_puts(&longer, "input_");
        wi_buf_append(&longer, text.len ? text.data : name.bytes, text.len ? text.len : name.len);
        wi_buf_fini(&text);
        text = longer;
        if (!wi_buf_cstr(&text))
            break;
    } while (wi_schema_find(j->input, text.data, text.len) >= 0 ||
             clashes(j, (wi_name){text.data, text.len}));
    if (text.failed)
        wi_buf_fini(&text);
    return text.data;
}

static wi_name *put_all(wi_name *to, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *to++ = (wi_name){names[i], strlen(names[i])};
    return to;
}

weir_status wi_columns_join(const char *const *first, size_t first_len, const wi_schema *input,
                            const char *const *last, size_t last_len, wi_schema **out,
                            weir_error *err)
{
    joining j = {first, first_len, input, last, last_len};
    size_t n = input ? wi_schema_columns(input) : 0;
    size_t all = first_len + n + last_len;
    wi_name *names = calloc(all + 1, sizeof *names);
    char **owned = calloc(n + 1, sizeof *owned);
    bool ok = names && owned;
    wi_name *at = ok ? put_all(names, first, first_len) : NULL;
    for (size_t i = 0; ok && i < n; i++, at++) {
        *at = wi_schema_name(input, i);
        if (clashes(&j, *at)) {
            owned[i] = renamed(&j, *at);
            ok = owned[i] != NULL;
            *at = (wi_name){owned[i], ok ? strlen(owned[i]) : 0};
        }
    }
    if (ok)
        put_all(at, last, last_len);
    weir_status status = ok ? wi_schema_new(names, all, out, err) : wi_fail_nomem(err);
    for (size_t i = 0; owned && i < n; i++)
        free(owned[i]);
    free(owned);
    free(names);
    return status;
}
