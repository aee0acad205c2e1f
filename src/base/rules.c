/*
 * rules.c: the patterns stand in an array and are asked from its end. Most can be passed over by
 * the byte that what they match must end with: these bytes stand in an array of their own.
 */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include "glob.h"

typedef struct rule {
    wi_glob *glob;
    bool keep;
    bool only_folders;
    bool whole_path;
} rule;

struct wi_rules {
    rule *list;
    unsigned char *last; /* beside list: 0 for any byte, which no name ends with */
    size_t n;
    size_t cap;
    size_t keeps;
    unsigned glob_flags;
    bool need_path;
};

weir_status wi_rules_new(unsigned glob_flags, wi_rules **out, weir_error *err)
{
    wi_rules *rules = calloc(1, sizeof *rules);
    if (!rules)
        return wi_fail_nomem(err);
    rules->glob_flags = glob_flags;
    *out = rules;
    return WEIR_OK;
}

void wi_rules_free(wi_rules *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->n; i++)
        wi_glob_free(rules->list[i].glob);
    free(rules->list);
    free(rules->last);
    free(rules);
}

void wi_rules_set_flags(wi_rules *rules, unsigned glob_flags)
{
    rules->glob_flags = glob_flags;
}

static bool reserve(wi_rules *rules)
{
    if (rules->n < rules->cap)
        return true;
    size_t cap = rules->cap ? rules->cap * 2 : 8;
    rule *list = realloc(rules->list, cap * sizeof *list);
    if (!list)
        return false;
    rules->list = list;
    unsigned char *last = realloc(rules->last, cap);
    if (!last)
        return false;
    rules->last = last;
    rules->cap = cap;
    return true;
}

weir_status wi_rules_add(wi_rules *rules, const char *pattern, size_t len, weir_error *err)
{
    rule new = {0};
    if (len && *pattern == '!') {
        new.keep = true;
        pattern++;
        len--;
    }
    if (len && pattern[len - 1] == '/') {
        new.only_folders = true;
        len--;
    }
    if (memchr(pattern, '/', len)) {
        new.whole_path = true;
        len -= *pattern == '/';
        pattern += *pattern == '/';
    }
    if (!reserve(rules))
        return wi_fail_nomem(err);
    weir_status status = wi_glob_new(pattern, len, rules->glob_flags, &new.glob, err);
    if (status != WEIR_OK)
        return status;
    int last = wi_glob_last(new.glob);
    rules->last[rules->n] = last < 0 ? 0 : (unsigned char)last;
    rules->list[rules->n++] = new;
    rules->keeps += new.keep;
    rules->need_path |= new.whole_path;
    return WEIR_OK;
}

/* A line without what stands at its end and is not part of the pattern. */
static size_t trimmed(const char *line, size_t len)
{
    const char *nul = memchr(line, '\0', len);
    if (nul)
        len = (size_t)(nul - line);
    if (len && line[len - 1] == '\r')
        len--;
    size_t end = 0; /* after the last byte that is no space, or an escaped one */
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '\\' && i + 1 < len)
            i++;
        else if (line[i] == ' ')
            continue;
        end = i + 1;
    }
    return end;
}

weir_status wi_rules_add_text(wi_rules *rules, const char *text, size_t len, size_t *faults,
                              weir_error *first, weir_error *err)
{
    static const char bom[] = "\xEF\xBB\xBF";
    size_t number = 1, found = 0;
    const char *end = text + len;
    if (len >= 3 && memcmp(text, bom, 3) == 0)
        text += 3;
    for (const char *next; text < end; text = next, number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        next = newline ? newline + 1 : end;
        size_t line_len = trimmed(text, (size_t)((newline ? newline : end) - text));
        if (line_len == 0 || *text == '#')
            continue;
        weir_error fault;
        weir_status status = wi_rules_add(rules, text, line_len, &fault);
        if (status == WEIR_NOMEM)
            return wi_fail_nomem(err);
        if (status != WEIR_OK && found++ == 0)
            wi_fail(first, status, "line %zu: %s", number, fault.text);
    }
    *faults = found;
    return WEIR_OK;
}

wi_verdict wi_rules_match(const wi_rules *rules, const char *path, size_t len, size_t name_len,
                          bool is_folder)
{
    if (len == 0)
        return WI_VERDICT_NONE;
    unsigned char last = (unsigned char)path[len - 1];
    unsigned char lower = last >= 'A' && last <= 'Z' ? last | 0x20 : last;
    for (size_t i = rules->n; i-- > 0;) {
        if (rules->last[i] && rules->last[i] != last && rules->last[i] != lower)
            continue;
        const rule *candidate = &rules->list[i];
        if (candidate->only_folders && !is_folder)
            continue;
        size_t n = candidate->whole_path ? len : name_len;
        if (wi_glob_match(candidate->glob, path + len - n, n))
            return candidate->keep ? WI_VERDICT_KEEP : WI_VERDICT_IGNORE;
    }
    return WI_VERDICT_NONE;
}

size_t wi_rules_len(const wi_rules *rules)
{
    return rules->n;
}

size_t wi_rules_keeps(const wi_rules *rules)
{
    return rules->keeps;
}

bool wi_rules_need_path(const wi_rules *rules)
{
    return rules->need_path;
}
