/*
 * fuzz_glob.c: any bytes are a glob or are refused with a column, and matching agrees with the
 * plainest matcher there is. The first byte holds the flags; a NUL parts the pattern from the text.
 */
#include "fuzz.h"
#include "glob.h"

enum { MOST = 64 };

/* Can what matches the text be a folder of what matches? Asked of every folder of a match. */
static void check_below(const wi_glob *glob, const char *text, size_t len, bool shell)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '/')
            CHECK(wi_glob_match_below(glob, text, i + 1, shell));
}

/* Stars and "**" in all combinations; only for what is short, without sets, braces and escapes. */
static bool plainest(const char *p, const char *p_end, const char *begin, const char *s,
                     const char *end)
{
    if (p == p_end)
        return s == end;
    if (*p != '*') {
        return s < end && (*p == *s || (*p == '?' && *s != '/')) &&
               plainest(p + 1, p_end, begin, s + 1, end);
    }
    const char *after = p;
    while (after < p_end && *after == '*')
        after++;
    bool whole = after - p > 1 && (p == begin || p[-1] == '/') && (after == p_end || *after == '/');
    if (whole && after == p_end)
        return true;
    if (whole) {
        for (const char *at = s;; at++) {
            if ((at == s || at[-1] == '/') && plainest(after + 1, p_end, begin, at, end))
                return true;
            if (at == end)
                return false;
        }
    }
    for (const char *at = s;; at++) {
        if (plainest(after, p_end, begin, at, end))
            return true;
        if (at == end || *at == '/')
            return false;
    }
}

static void check_plain(const wi_glob *glob, const char *pattern, size_t n, const char *text,
                        size_t len)
{
    size_t stars = 0;
    for (size_t i = 0; i < n; i++) {
        if (strchr("[]{}\\", pattern[i]))
            return;
        stars += pattern[i] == '*';
    }
    if (n > MOST || len > MOST || stars > 4)
        return;
    bool want = plainest(pattern, pattern + n, pattern, text, text + len);
    CHECK(wi_glob_match(glob, text, len) == want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *pattern = (const char *)data + 1;
    const char *nul = memchr(pattern, 0, size - 1);
    size_t n = nul ? (size_t)(nul - pattern) : size - 1;
    const char *text = nul ? nul + 1 : pattern;
    size_t len = nul ? size - 2 - n : n;
    unsigned flags = data[0] & (WI_GLOB_NOCASE | WI_GLOB_BRACES);
    wi_glob *glob = NULL;
    weir_error err = {0};
    if (wi_glob_new(pattern, n, flags, &glob, &err) != WEIR_OK) {
        CHECK(err.status == WEIR_INVALID &&
              (n > WI_GLOB_MAX || strstr(err.text, ", column ") || strlen(err.text) > 400));
        return 0;
    }
    bool whole = wi_glob_match(glob, text, len);
    bool shell = wi_glob_match_shell(glob, text, len);
    CHECK(whole || !shell);
    if (whole) {
        check_below(glob, text, len, false);
        int last = wi_glob_last(glob);
        CHECK(last < 0 || (len && ((unsigned char)text[len - 1] | 0x20) == (last | 0x20)));
    }
    if (shell)
        check_below(glob, text, len, true);
    if (!(flags & WI_GLOB_NOCASE) && n)
        check_plain(glob, pattern, n, text, len);
    wi_glob_free(glob);
    return 0;
}
