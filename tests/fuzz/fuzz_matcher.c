/*
 * fuzz_matcher.c: whatever the patterns and the text, the lines that are found, where in them and
 * with which groups are those of the naive way. The first byte has the options, the second the
 * length of the first pattern, the third that of a second one (0: none); text follows.
 */
#include "fuzz.h"
#include "naive_match.h"
#include "sweep.h"

static void compare(const wi_name *patterns, size_t n, const wi_matcher_options *options,
                    const char *text, size_t len)
{
    wi_matcher *matcher = NULL;
    wi_search *search = NULL;
    weir_error err = {0};
    naive plain;
    size_t line = 0;
    if (wi_matcher_new(patterns, n, options, &matcher, &err) != WEIR_OK) {
        CHECK(err.text[0] && (err.status == WEIR_INVALID || err.status == WEIR_TOOLARGE));
        return;
    }
    CHECK(wi_search_new(matcher, &search, NULL) == WEIR_OK);
    naive_open(&plain, patterns, n, options);
    const char *wrong =
        naive_compare(&plain, matcher, search, options->invert_match, text, len, &line);
    if (wrong)
        fprintf(stderr, "line %zu: %s\n", line, wrong);
    CHECK(!wrong);
    naive_close(&plain);
    wi_search_free(search);
    wi_matcher_free(matcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 4096)
        return 0;
    wi_matcher_options options = {
        .ignore_case = data[0] & 1,
        .fixed_strings = data[0] & 2,
        .word_regexp = data[0] & 4,
        .line_regexp = data[0] & 8,
        .invert_match = data[0] & 16,
        .no_unicode = data[0] & 32,
    };
    wi_sweep_limit(data[0] & 64 ? WI_SWEEP_PLAIN : WI_SWEEP_AVX2);
    const char *at = (const char *)data + 3;
    size_t left = size - 3;
    size_t first = data[1] % 64 < left ? data[1] % 64 : left;
    size_t second = data[2] % 64 < left - first ? data[2] % 64 : left - first;
    wi_name patterns[2] = {{at, first}, {at + first, second}};
    /* of its own size, so that a sanitizer sees a read past it */
    size_t len = left - first - second;
    char *text = malloc(len + (len == 0));
    CHECK(text != NULL);
    memcpy(text, at + first + second, len);
    compare(patterns, second ? 2 : 1, &options, text, len);
    free(text);
    return 0;
}
