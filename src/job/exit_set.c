/* exit_set.c: see exit_set.h. */
#include "exit_set.h"

#include <string.h>

#include "text.h"

enum { CODE_MOST = 255 };

static bool is_word(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

static void change_codes(wi_exit_set *set, int64_t from, int64_t to, bool add)
{
    for (int64_t code = from; code <= to; code++) {
        uint64_t bit = UINT64_C(1) << (code % 64);
        uint64_t *codes = &set->codes[code / 64];
        *codes = add ? *codes | bit : *codes & ~bit;
    }
}

static bool change_word(wi_exit_set *set, const char *word, size_t len, bool add)
{
    int64_t from, to;
    bool any = is_word(word, len, "any");
    bool none = is_word(word, len, "none");
    if (any || none || is_word(word, len, "timeout"))
        set->timeout = add && !none;
    if (any || none || is_word(word, len, "signal"))
        set->signal = add && !none;
    if (any || none || is_word(word, len, "start"))
        set->start = add && !none;
    if (any || none)
        change_codes(set, 1, CODE_MOST, add && !none);
    else if (wi_text_parse_range(word, len, 1, CODE_MOST, &from, &to))
        change_codes(set, from, to, add);
    else
        return is_word(word, len, "timeout") || is_word(word, len, "signal") ||
               is_word(word, len, "start");
    return true;
}

weir_status wi_exit_set_parse(const char *text, wi_exit_set *out, weir_error *err)
{
    wi_exit_set set = {0};
    if (!text || !*text || *text == '-')
        change_word(&set, "any", 3, true);
    while (text && *text) {
        size_t len = strcspn(text, ",");
        bool minus = *text == '-';
        if (!change_word(&set, text + minus, len - minus, !minus))
            return wi_fail(
                err, WEIR_INVALID,
                "--retry-on: \"%.*s\" is neither an exit code (1 to 255), a range of them "
                "(64-78), nor timeout, signal, start, any or none",
                len < 40 ? (int)len : 40, text);
        text += len + (text[len] == ',');
    }
    *out = set;
    return WEIR_OK;
}

bool wi_exit_set_has_code(const wi_exit_set *set, int code)
{
    return code >= 0 && code <= CODE_MOST && (set->codes[code / 64] >> (code % 64) & 1);
}
