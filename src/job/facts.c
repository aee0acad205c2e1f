/* facts.c: see facts.h. Its invariant: a fact in the list has a value. */
#include "facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "buf.h"

static void take(wi_facts *facts, const char *name, char *value)
{
    wi_fact *grown = value ? realloc(facts->list, (facts->len + 1) * sizeof *grown) : NULL;
    if (!grown) {
        free(value);
        facts->failed = true;
        return;
    }
    facts->list = grown;
    facts->list[facts->len++] = (wi_fact){name, value};
}

static void take_text(wi_facts *facts, const char *name, wi_buf *text)
{
    size_t len;
    take(facts, name, wi_buf_cstr(text) ? wi_buf_take(text, &len) : NULL);
    wi_buf_fini(text);
}

void wi_facts_add(wi_facts *facts, const char *name, const char *value)
{
    if (value)
        take(facts, name, strdup(value));
}

void wi_facts_add_number(wi_facts *facts, const char *name, int64_t value)
{
    wi_buf text = WI_BUF_INIT;
    if (!value)
        return;
    wi_buf_put_i64(&text, value);
    take_text(facts, name, &text);
}

void wi_facts_add_flag(wi_facts *facts, const char *name, bool value)
{
    wi_facts_add(facts, name, value ? "yes" : NULL);
}

void wi_facts_add_hash(wi_facts *facts, const char *name, const void *bytes, size_t len)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, (uint64_t)XXH3_64bits(bytes, len));
    wi_facts_add(facts, name, text);
}

/* Each with a quote before and after it, so that no two lists look the same. */
void wi_facts_add_list(wi_facts *facts, const char *name, const char *const *values, size_t len)
{
    wi_buf text = WI_BUF_INIT;
    for (size_t i = 0; i < len; i++) {
        wi_buf_puts(&text, i ? " '" : "'");
        for (const char *at = values[i]; *at; at++)
            wi_buf_append(&text, *at == '\'' ? "''" : at, *at == '\'' ? 2 : 1);
        wi_buf_puts(&text, "'");
    }
    if (len)
        take_text(facts, name, &text);
}

void wi_facts_fini(wi_facts *facts)
{
    for (size_t i = 0; i < facts->len; i++)
        free(facts->list[i].value);
    free(facts->list);
    *facts = (wi_facts){0};
}
