/*
 * fuzz_rules.c: any text is a list of rules; its verdict is that of its last line that matches, and
 * a list put together from its lines one by one gives the same. The first byte holds the flags; a
 * NUL parts the text from the path.
 */
#include "fuzz.h"
#include "glob.h"
#include "rules.h"

static wi_rules *list(unsigned flags, const char *text, size_t len)
{
    wi_rules *rules = NULL;
    weir_error first = {0};
    size_t faults = 0;
    CHECK(wi_rules_new(flags, &rules, NULL) == WEIR_OK);
    CHECK(wi_rules_add_text(rules, text, len, &faults, &first, NULL) == WEIR_OK);
    CHECK(!faults || (first.status == WEIR_INVALID && strncmp(first.text, "line ", 5) == 0));
    return rules;
}

/* Asks each line by itself, from the last to the first. */
static wi_verdict line_by_line(unsigned flags, const char *text, size_t len, const char *path,
                               size_t path_len, size_t name_len, bool is_folder)
{
    while (len) {
        size_t begin = len - 1;
        while (begin && text[begin - 1] != '\n')
            begin--;
        size_t from = begin ? begin - 1 : 0; /* its newline too: a BOM is one at the begin only */
        wi_rules *rules = list(flags, text + from, len - from);
        wi_verdict verdict = wi_rules_match(rules, path, path_len, name_len, is_folder);
        wi_rules_free(rules);
        if (verdict != WI_VERDICT_NONE)
            return verdict;
        len = begin;
    }
    return WI_VERDICT_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4096)
        return 0;
    const char *text = (const char *)data + 1;
    const char *nul = memchr(text, 0, size - 1);
    size_t len = nul ? (size_t)(nul - text) : size - 1;
    const char *path = nul ? nul + 1 : "a/b";
    size_t path_len = nul ? size - 2 - len : 3, name_len = 0;
    while (name_len < path_len && path[path_len - name_len - 1] != '/')
        name_len++;
    if (name_len == 0)
        return 0; /* no path of a file */
    unsigned flags = data[0] & (WI_GLOB_NOCASE | WI_GLOB_BRACES);
    bool is_folder = data[0] & 128;
    wi_rules *rules = list(flags, text, len);
    wi_verdict got = wi_rules_match(rules, path, path_len, name_len, is_folder);
    CHECK(wi_rules_keeps(rules) <= wi_rules_len(rules));
    CHECK(got != WI_VERDICT_KEEP || wi_rules_keeps(rules));
    if (!wi_rules_need_path(rules))
        CHECK(got ==
              wi_rules_match(rules, path + path_len - name_len, name_len, name_len, is_folder));
    CHECK(got == line_by_line(flags, text, len, path, path_len, name_len, is_folder));
    wi_rules_free(rules);
    return 0;
}
