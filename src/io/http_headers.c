/*
 * http_headers.c: the headers of requests, as libcurl takes them. Its invariant: a line that
 * libcurl acts upon itself, such as credentials, which it keeps from other hosts, is an entry of
 * its own.
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "http_curl.h"
#include "text.h"

static bool append(const wi_curl *curl, wi_http_headers *headers, const char *line)
{
    struct curl_slist *longer = line ? curl->slist_append(headers->list, line) : NULL;
    if (longer)
        headers->list = longer;
    return longer != NULL;
}

/*
 * libcurl goes through the list a dozen times per request, so the two lines that all requests have
 * are one entry of it, which is sent as it stands.
 */
wi_http_headers *wi_http_headers_new(const char *user_agent, bool accept_encoding)
{
    const wi_curl *curl;
    wi_http_headers *headers = calloc(1, sizeof *headers);
    if (!headers || wi_curl_load(&curl, NULL) != WEIR_OK) {
        free(headers);
        return NULL;
    }
    wi_buf line = WI_BUF_INIT;
    if (accept_encoding)
        wi_buf_puts(&line, "Accept-Encoding: " WI_CODINGS_ACCEPTED);
    if (accept_encoding && user_agent)
        wi_buf_puts(&line, "\r\n");
    if (user_agent) {
        wi_buf_puts(&line, "User-Agent: ");
        wi_buf_puts(&line, user_agent);
    }
    if (line.len && !append(curl, headers, wi_buf_cstr(&line))) {
        free(headers);
        headers = NULL;
    }
    wi_buf_fini(&line);
    return headers;
}

wi_http_headers *wi_http_headers_add(wi_http_headers *headers, const char *line)
{
    const wi_curl *curl;
    char *copy = strdup(line);
    bool ok = copy && wi_curl_load(&curl, NULL) == WEIR_OK;
    if (ok) {
        /* libcurl takes "Name:" as "leave this header out", and "Name;" as an empty one. */
        char *colon = strchr(copy, ':');
        if (colon && colon[1 + strspn(colon + 1, " \t")] == '\0')
            memcpy(colon, ";", 2);
        ok = append(curl, headers, copy);
    }
    free(copy);
    if (!ok) {
        wi_http_headers_free(headers);
        return NULL;
    }
    return headers;
}

/* Is it one of these, in any case? The list ends with NULL. */
static bool is_named(const char *line, const char *const *names)
{
    size_t len = strcspn(line, ":;");
    for (; *names; names++)
        if (wi_text_equal_nocase(line, len, *names))
            return true;
    return false;
}

bool wi_http_headers_filter(const wi_curl *curl, const struct curl_slist *list, bool foreign,
                            bool bodiless, struct curl_slist **out)
{
    /* Which other ones hold a secret, nobody can tell by their names. */
    static const char *const harmless[] = {"accept",          "accept-charset", "accept-encoding",
                                           "accept-language", "cache-control",  "pragma",
                                           "range",           "user-agent",     NULL};
    static const char *const of_body[] = {
        "content-type",     "content-length",    "content-encoding",
        "content-language", "content-location",  "expect",
        "digest",           "transfer-encoding", NULL};
    struct curl_slist *left = NULL;
    for (; list; list = list->next) {
        if ((foreign && !is_named(list->data, harmless)) ||
            (bodiless && is_named(list->data, of_body)))
            continue;
        struct curl_slist *longer = curl->slist_append(left, list->data);
        if (!longer) {
            curl->slist_free_all(left);
            return false;
        }
        left = longer;
    }
    *out = left;
    return true;
}

void wi_http_headers_free(wi_http_headers *headers)
{
    const wi_curl *curl;
    if (!headers || wi_curl_load(&curl, NULL) != WEIR_OK)
        return;
    curl->slist_free_all(headers->list);
    free(headers);
}

bool wi_http_is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f ||
            strchr("()<>@,;:\\\"/[]?={}", text[i]))
            return false;
    return len > 0;
}

bool wi_http_is_repeatable(const char *method)
{
    static const char *const repeatable[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof repeatable / sizeof repeatable[0]; i++)
        if (strcmp(method, repeatable[i]) == 0)
            return true;
    return false;
}
