/*
 * fuzz_url.c: any text is a URL that is asked, or refused with a message. Of one that libcurl would
 * ask, the origin that the gate keeps count of is the host that libcurl goes to, the name that is
 * looked up is that host's, and what is shown of it has no password.
 */
#include "fuzz.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <strings.h>

#include "fetch.h"
#include "http_names.h"
#include "text.h"

typedef struct parts {
    bool known; /* libcurl takes it */
    char *scheme, *host, *port, *user, *password;
} parts;

static __typeof__(curl_url) *make_url;
static __typeof__(curl_url_set) *set_url;
static __typeof__(curl_url_get) *get_url;
static __typeof__(curl_url_cleanup) *free_url;
static __typeof__(curl_free) *free_part;

static void load(void)
{
    void *curl = dlopen("libcurl.so.4", RTLD_NOW);
    CHECK(curl);
    *(void **)&make_url = dlsym(curl, "curl_url");
    *(void **)&set_url = dlsym(curl, "curl_url_set");
    *(void **)&get_url = dlsym(curl, "curl_url_get");
    *(void **)&free_url = dlsym(curl, "curl_url_cleanup");
    *(void **)&free_part = dlsym(curl, "curl_free");
    CHECK(make_url && set_url && get_url && free_url && free_part);
}

static char *part(CURLU *url, CURLUPart which)
{
    char *text = NULL;
    return get_url(url, which, &text, CURLU_DEFAULT_PORT) == CURLUE_OK ? text : NULL;
}

static parts take_apart(const char *text)
{
    parts p = {0};
    CURLU *url = make_url();
    CHECK(url);
    if (set_url(url, CURLUPART_URL, text, 0) == CURLUE_OK)
        p = (parts){true,
                    part(url, CURLUPART_SCHEME),
                    part(url, CURLUPART_HOST),
                    part(url, CURLUPART_PORT),
                    part(url, CURLUPART_USER),
                    part(url, CURLUPART_PASSWORD)};
    free_url(url);
    return p;
}

static void drop(parts *p)
{
    char *all[] = {p->scheme, p->host, p->port, p->user, p->password};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free_part(all[i]);
}

static void check_url(const wi_fetch_item *f, const wi_buf *origin)
{
    char text[8192], name[8192]; /* of 2048 bytes, none of them UTF-8, at most 6144 */
    CHECK(origin->len < sizeof text);
    memcpy(text, origin->data, origin->len);
    text[origin->len] = '\0';
    parts url = take_apart(f->url), host = take_apart(text), shown = take_apart(wi_fetch_shown(f));
    CHECK(!shown.known || (!shown.user && !shown.password));
    if (url.known) {
        CHECK(host.known && !host.user && !host.password);
        CHECK(strcasecmp(url.host, host.host) == 0 && strcmp(url.port, host.port) == 0);
        CHECK(strcmp(url.scheme, host.scheme) == 0);
        CHECK(wi_http_names_host_port(f->url, name, sizeof name));
        char *colon = strrchr(name, ':');
        *colon = '\0';
        /* libcurl decodes names, and writes addresses in one way: what it knows then stays known */
        bool rewritten = strchr(name, '%') || strspn(url.host, "0123456789.") == strlen(url.host) ||
                         url.host[0] == '[';
        if (!rewritten)
            CHECK(strcasecmp(name, url.host) == 0 && atoi(colon + 1) == atoi(url.port));
    }
    drop(&url);
    drop(&host);
    drop(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static wi_template *given;
    static wi_schema *schema;
    static const wi_name column = {"u", 1};
    if (!given) {
        load();
        CHECK(wi_template_parse("{u:raw}", 7, WI_TEMPLATE_URL, "URL", &given, NULL) == WEIR_OK);
        CHECK(wi_schema_new(&column, 1, &schema, NULL) == WEIR_OK);
    }
    if (size > 2048)
        return 0;
    wi_buf clean = WI_BUF_INIT, origin = WI_BUF_INIT;
    wi_batch *batch = NULL;
    weir_error err = {0};
    wi_fetch fetch = {
        .urls = &given, .urls_len = 1, .method = (char[]){"GET"}, .headers_constant = true};
    wi_fetch_item f = {.item = {.row = 0}};
    wi_utf8_append_lossy(&clean, (const char *)data, size);
    CHECK(wi_batch_new(schema, &batch, NULL) == WEIR_OK);
    wi_batch_put(batch, 0, WI_STRING, clean.data ? clean.data : "", clean.len);
    CHECK(wi_batch_end_row(batch, NULL) == WEIR_OK);
    f.item.batch = batch;
    weir_status status = wi_fetch_kind.prepare(&fetch, NULL, &f.item, &origin, &err);
    CHECK(status == err.status && (!status || err.text[0]) && (!status == !!f.url));
    if (!status)
        check_url(&f, &origin);
    wi_fetch_kind.release(&f.item);
    wi_batch_unref(batch);
    wi_buf_fini(&clean);
    wi_buf_fini(&origin);
    return 0;
}
