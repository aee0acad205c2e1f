/*
 * fetch_new.c: from options to a job. Its invariant: whatever is wrong with the options is found
 * before anything is sent or written, and said with the name the option has on the command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch.h"
#include "job.h"
#include "option_size.h"
#include "reader.h"
#include "text.h"
#include "weir/fetch.h"
#include "weir/version.h"

#define AGENT_TEXT(major, minor, patch) "weir/" #major "." #minor "." #patch
#define AGENT(major, minor, patch) AGENT_TEXT(major, minor, patch)
#define DEFAULT_AGENT AGENT(WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH)
#define DEFAULT_TIMEOUT (30 * WI_SECOND)
#define DEFAULT_CONNECT_TIMEOUT (10 * WI_SECOND)
#define DEFAULT_RETRY_AFTER_MAX (300 * WI_SECOND)

enum {
    DEFAULT_RETRIES = 3,
    DEFAULT_REDIRECTS = 10,
    DEFAULT_MAX_BODY = 64 << 20,
    MOST_AGENT = 200,
};

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value ? value : otherwise;
}

/* ---- the request ---- */

static weir_status add_template(const char *text, size_t len, wi_template_mode mode,
                                const char *what, wi_template ***list, size_t *n, weir_error *err)
{
    wi_template **grown = realloc(*list, (*n + 1) * sizeof(wi_template *));
    if (!grown)
        return wi_fail_nomem(err);
    *list = grown;
    weir_status status = wi_template_parse(text, len, mode, what, &grown[*n], err);
    *n += status == WEIR_OK;
    return status;
}

/* What is no URL may hold a password all the same. */
static weir_status refuse_url(const char *text, weir_error *err)
{
    const char *host = strstr(text, "://");
    host = host ? host + 3 : text;
    const char *at = memrchr(host, '@', strcspn(host, "/?#"));
    return wi_fail(err, WEIR_INVALID, "URL: \"%.*s%.200s\" does not begin with http:// or https://",
                   (int)(host - text), text, at ? at + 1 : host);
}

static weir_status add_url(wi_fetch *fetch, const char *text, weir_error *err)
{
    bool has_scheme = strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
    if (!has_scheme && text[0] != '{')
        return refuse_url(text, err);
    weir_status status = add_template(text, strlen(text), WI_TEMPLATE_URL, "URL", &fetch->urls,
                                      &fetch->urls_len, err);
    if (status != WEIR_OK)
        return status;
    uint64_t count = wi_template_count(fetch->urls[fetch->urls_len - 1]);
    if (count > ((uint64_t)1 << 62) - fetch->choices)
        return wi_fail(err, WEIR_INVALID, "URL: the ranges make too many combinations");
    fetch->choices += count;
    return WEIR_OK;
}

static weir_status add_urls(wi_fetch *fetch, const weir_fetch_options *o, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < o->urls_len; i++)
        status = add_url(fetch, o->urls[i], err);
    if (status == WEIR_OK && !o->urls_len) {
        if (!o->job.input)
            return wi_fail(err, WEIR_INVALID, "no URL was given");
        bool lines = o->job.input_format ? strcmp(o->job.input_format, "lines") == 0
                                         : wi_format_of_path(o->job.input) == WI_FORMAT_LINES;
        status = add_url(fetch, lines ? "{line:raw}" : "{url:raw}", err);
        fetch->url_column = !lines;
    }
    return status;
}

static weir_status set_method(wi_fetch *fetch, const weir_fetch_options *o, weir_error *err)
{
    const char *method = o->method ? o->method : o->body ? "POST" : "GET";
    if (!wi_http_is_token(method, strlen(method)))
        return wi_fail(err, WEIR_INVALID, "\"%s\" cannot be a request method", method);
    fetch->method = strdup(method);
    if (!fetch->method)
        return wi_fail_nomem(err);
    fetch->once = !o->retry_unsafe && !wi_http_is_repeatable(method);
    return WEIR_OK;
}

/* The value of the header of that name among the options, or NULL. */
static const char *find_header(const weir_fetch_options *o, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < o->headers_len; i++)
        if (strncasecmp(o->headers[i], name, len) == 0 && o->headers[i][len] == ':')
            return o->headers[i] + len + 1;
    return NULL;
}

static weir_status add_header(wi_fetch *fetch, const char *line, weir_error *err)
{
    const char *colon = strchr(line, ':');
    if (!colon || !wi_http_is_token(line, (size_t)(colon - line)))
        return wi_fail(err, WEIR_INVALID,
                       "header %zu is not of the form \"Name: value\" (--header)",
                       fetch->headers_len + 1);
    return add_template(line, strlen(line), WI_TEMPLATE_HEADER, "header", &fetch->headers,
                        &fetch->headers_len, err);
}

static weir_status add_headers(wi_fetch *fetch, const weir_fetch_options *o, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < o->headers_len; i++)
        status = add_header(fetch, o->headers[i], err);
    const char *agent = o->user_agent ? o->user_agent : DEFAULT_AGENT;
    if (strlen(agent) > MOST_AGENT || strpbrk(agent, "\r\n"))
        return wi_fail(err, WEIR_INVALID,
                       "--user-agent: at most %d characters, without line breaks", MOST_AGENT);
    if (!find_header(o, "User-Agent") && !(fetch->user_agent = strdup(agent)))
        return wi_fail_nomem(err);
    fetch->accept_encoding = !find_header(o, "Accept-Encoding");
    fetch->headers_constant = true;
    for (size_t i = 0; i < fetch->headers_len; i++)
        if (!wi_template_is_constant(fetch->headers[i]))
            fetch->headers_constant = false;
    return status;
}

static wi_template_mode body_mode(const weir_fetch_options *o, const char **type)
{
    const char *given = find_header(o, "Content-Type");
    if (given) {
        if (strcasestr(given, "json"))
            return WI_TEMPLATE_JSON;
        return strcasestr(given, "x-www-form-urlencoded") ? WI_TEMPLATE_FORM : WI_TEMPLATE_RAW;
    }
    size_t i = 0;
    while (i < o->body_len && strchr(" \t\r\n", o->body[i]))
        i++;
    bool json = i < o->body_len && (o->body[i] == '[' || o->body[i] == '"');
    if (i < o->body_len && o->body[i] == '{') {
        /* "{" begins an object if a name or its end follows; else it opens a hole. */
        size_t k = i + 1;
        while (k < o->body_len && strchr(" \t\r\n", o->body[k]))
            k++;
        json = k < o->body_len && (o->body[k] == '"' || o->body[k] == '}');
    }
    *type =
        json ? "Content-Type: application/json" : "Content-Type: application/x-www-form-urlencoded";
    return json ? WI_TEMPLATE_JSON : WI_TEMPLATE_FORM;
}

static weir_status set_body(wi_fetch *fetch, const weir_fetch_options *o, weir_error *err)
{
    if (!o->body)
        return WEIR_OK;
    const char *type = NULL;
    wi_template_mode mode = body_mode(o, &type);
    fetch->has_body = true;
    weir_status status = type ? add_header(fetch, type, err) : WEIR_OK;
    if (status == WEIR_OK && !o->body_raw)
        status = wi_template_parse(o->body, o->body_len, mode, "body", &fetch->body, err);
    if (status != WEIR_OK)
        return status;
    if (o->body_raw) {
        wi_buf_append(&fetch->body_constant, o->body, o->body_len);
    } else if (wi_template_is_constant(fetch->body)) {
        wi_scope nothing = {0};
        status = wi_template_expand(fetch->body, &nothing, &fetch->body_constant, NULL, err);
        wi_template_free(fetch->body);
        fetch->body = NULL;
    }
    return status == WEIR_OK && fetch->body_constant.failed ? wi_fail_nomem(err) : status;
}

/* ---- saving bodies ---- */

static weir_status make_folders(char *path, weir_error *err)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int made = mkdir(path, 0777);
        int error = errno;
        *slash = '/';
        if (made != 0 && error != EEXIST)
            return wi_fail_errno(err, error, "cannot make the folder %s for --save", path);
    }
    return WEIR_OK;
}

/* The folders that the template names before its first hole are the user's own choice, and made
 * and opened once; what data adds stays below them. */
static weir_status open_save_root(wi_fetch *fetch, const char *text, weir_error *err)
{
    size_t hole = strcspn(text, "{\\");
    size_t end = hole;
    while (end > 0 && text[end - 1] != '/')
        end--;
    fetch->save_prefix = strndup(text, end);
    if (!fetch->save_prefix)
        return wi_fail_nomem(err);
    weir_status status = end ? make_folders(fetch->save_prefix, err) : WEIR_OK;
    if (status != WEIR_OK)
        return status;
    fetch->save_root = open(end ? fetch->save_prefix : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fetch->save_root < 0)
        return wi_fail_errno(err, errno, "cannot open the folder %s for --save",
                             end ? fetch->save_prefix : ".");
    return wi_template_parse(text + end, strlen(text + end), WI_TEMPLATE_PATH, "--save",
                             &fetch->save, err);
}

static weir_status set_save(wi_fetch *fetch, const weir_fetch_options *o, weir_error *err)
{
    if (!o->save)
        return WEIR_OK;
    weir_status status = open_save_root(fetch, o->save, err);
    if (status == WEIR_OK && wi_template_is_constant(fetch->save) &&
        (o->job.input || fetch->choices > 1))
        status = wi_fail(err, WEIR_INVALID,
                         "--save: \"%s\" is the same file for every request; put a column, {#} or "
                         "{#1} into it",
                         o->save);
    return status;
}

/* ---- where rows go ---- */

/* A name that promises something other than what would be written in it. */
static bool is_foreign(const char *path)
{
    static const char *const foreign[] = {
        ".gz",   ".zst",  ".bz2",  ".xz",      ".lz4",     ".br",    ".zip",     ".7z",
        ".tar",  ".tgz",  ".tsv",  ".parquet", ".pq",      ".arrow", ".feather", ".orc",
        ".avro", ".xls",  ".xlsx", ".ods",     ".sqlite",  ".db",    ".duckdb",  ".xml",
        ".html", ".yaml", ".yml",  ".toml",    ".msgpack", ".cbor",  ".sql"};
    const char *slash = strrchr(path, '/');
    const char *suffix = strrchr(slash ? slash : path, '.');
    for (size_t i = 0; suffix && i < sizeof foreign / sizeof foreign[0]; i++)
        if (strcasecmp(suffix, foreign[i]) == 0)
            return true;
    return false;
}

/* Without --format the name of the output decides, and that of the failed rows must agree. */
static weir_status check_names(const weir_fetch_options *o, weir_error *err)
{
    const char *paths[] = {o->job.output, o->job.errors}, *options[] = {"-o", "--errors"};
    for (size_t i = 0; !o->job.format && i < 2; i++)
        if (paths[i] && is_foreign(paths[i]))
            return wi_fail(
                err, WEIR_INVALID,
                "%s: %.200s: rows are written as .csv or .ndjson (.jsonl, .json), not as "
                "what this name says; to write there all the same, say --format csv or "
                "--format ndjson",
                options[i], paths[i]);
    if (o->job.format || !o->job.errors)
        return WEIR_OK;
    wi_format errors = wi_format_of_path(o->job.errors);
    bool csv = o->job.output && wi_format_of_path(o->job.output) == WI_FORMAT_CSV;
    if (csv ? errors == WI_FORMAT_NDJSON : errors == WI_FORMAT_CSV)
        return wi_fail(err, WEIR_INVALID,
                       "--errors: %.200s: failed rows are written as the others are, as %s; choose "
                       "with --format, or another name",
                       o->job.errors, csv ? "CSV" : "NDJSON");
    return WEIR_OK;
}

/* ---- certificates ---- */

typedef struct pem_content {
    bool certificate;
    bool key;
} pem_content;

/* What a file holds by its "-----BEGIN" lines. What can be read only once is not looked at. */
static weir_status look_into_pem(const char *option, const char *path, pem_content *content,
                                 weir_error *err)
{
    char line[128];
    struct stat st;
    FILE *in = NULL;
    if (stat(path, &st) != 0 || (S_ISREG(st.st_mode) && !(in = fopen(path, "rbe"))))
        return wi_fail_errno(err, errno, "%s: cannot read %s", option, path);
    *content = (pem_content){!in, !in};
    if (S_ISDIR(st.st_mode))
        return wi_fail(err, WEIR_INVALID, "%s: %.200s is a directory", option, path);
    while (in && fgets(line, sizeof line, in)) {
        if (strncmp(line, "-----BEGIN ", 11) != 0)
            continue;
        content->certificate |= strstr(line, "CERTIFICATE-----") != NULL;
        content->key |= strstr(line, "PRIVATE KEY-----") != NULL;
    }
    if (in)
        fclose(in);
    return WEIR_OK;
}

static weir_status check_certificates(const weir_fetch_options *o, weir_error *err)
{
    const struct {
        const char *option, *path;
        bool is_key;
    } files[] = {
        {"--cacert", o->cacert, false}, {"--cert", o->cert, false}, {"--key", o->key, true}};
    pem_content content = {0};
    if (o->key && !o->cert)
        return wi_fail(err, WEIR_INVALID, "--key: the certificate is missing (--cert)");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (!files[i].path)
            continue;
        weir_status status = look_into_pem(files[i].option, files[i].path, &content, err);
        if (status != WEIR_OK)
            return status;
        if (!(files[i].is_key ? content.key : content.certificate))
            return wi_fail(err, WEIR_INVALID, "%s: %.200s holds no %s in PEM form", files[i].option,
                           files[i].path, files[i].is_key ? "private key" : "certificate");
        if (files[i].path == o->cert && !o->key && !content.key)
            return wi_fail(err, WEIR_INVALID,
                           "--cert: %.200s holds no private key; say with --key where it is",
                           o->cert);
    }
    return WEIR_OK;
}

/* ---- the rest ---- */

static weir_status copy_string(const char **to, const char *from, weir_error *err)
{
    if (from && !(*to = strdup(from)))
        return wi_fail_nomem(err);
    return WEIR_OK;
}

/* libcurl sends these as they are. */
static weir_status check_line(const char *option, const char *value, weir_error *err)
{
    for (const char *at = value; at && *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return wi_fail(err, WEIR_INVALID,
                           "%s: byte %zu is a control character, which cannot stand in a header",
                           option, (size_t)(at - value) + 1);
    return WEIR_OK;
}

static weir_status set_http(wi_fetch *fetch, const weir_fetch_options *o, weir_error *err)
{
    wi_http_options *http = &fetch->http;
    weir_status status = check_line("--cookie", o->cookie, err);
    if (status == WEIR_OK)
        status = check_line("--bearer-env", o->bearer, err);
    const struct {
        const char **to;
        const char *from;
    } strings[] = {{&http->user, o->user},   {&http->bearer, o->bearer}, {&http->cookie, o->cookie},
                   {&http->proxy, o->proxy}, {&http->cacert, o->cacert}, {&http->cert, o->cert},
                   {&http->key, o->key}};
    for (size_t i = 0; status == WEIR_OK && i < sizeof strings / sizeof strings[0]; i++)
        status = copy_string(strings[i].to, strings[i].from, err);
    http->connect_timeout = or_default(o->connect_timeout, DEFAULT_CONNECT_TIMEOUT);
    http->max_redirects = or_default(o->max_redirects, DEFAULT_REDIRECTS);
    http->netrc = o->netrc;
    http->insecure = o->insecure;
    http->http1_only = o->http1_only;
    http->follow = o->follow;
    return status;
}

/* Who cannot see addresses cannot keep away from them: that is refused instead of half kept. */
static weir_status check_proxy(const weir_fetch_options *o, const wi_reach *reach, weir_error *err)
{
    if (!wi_reach_denies_addresses(reach) || !wi_http_uses_proxy(o->proxy))
        return WEIR_OK;
    return wi_fail(err, WEIR_INVALID,
                   "%s: the addresses that a proxy connects to are not seen, so they cannot be "
                   "denied; go without it (%s)",
                   o->no_private ? "--no-private" : "--deny",
                   o->proxy ? "--proxy" : "--proxy '' passes over http_proxy and its like");
}

static weir_status set_reach(wi_fetch *fetch, const weir_fetch_options *o, weir_error *err)
{
    weir_error why;
    const char *option = "--allow";
    if (!o->allow_len && !o->deny_len && !o->no_private)
        return WEIR_OK;
    weir_status status = wi_reach_new(&fetch->reach, &why);
    for (size_t i = 0; status == WEIR_OK && i < o->allow_len; i++)
        status = wi_reach_allow(fetch->reach, o->allow[i], &why);
    if (status == WEIR_OK)
        option = "--deny";
    for (size_t i = 0; status == WEIR_OK && i < o->deny_len; i++)
        status = wi_reach_deny(fetch->reach, o->deny[i], &why);
    if (status != WEIR_OK)
        return status == WEIR_NOMEM ? wi_fail_nomem(err)
                                    : wi_fail(err, status, "%s: %s", option, why.text);
    if (o->no_private)
        wi_reach_deny_private(fetch->reach);
    fetch->http.reach = fetch->reach;
    return check_proxy(o, fetch->reach, err);
}

static void set_columns(wi_fetch *fetch)
{
    static const char *const always[] = {"url", "status", "attempts", "elapsed_ms", "error"};
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        fetch->columns[fetch->columns_len++] = always[i];
    if (fetch->with_headers)
        fetch->columns[fetch->columns_len++] = "headers";
    if (fetch->save)
        fetch->columns[fetch->columns_len++] = "saved";
    if (fetch->with_body) {
        fetch->columns[fetch->columns_len++] = "body";
        fetch->columns[fetch->columns_len++] = "body_encoding";
    }
}

static weir_status check_numbers(const weir_fetch_options *o, weir_error *err)
{
    const wi_range ranges[] = {
        {"--per-host", o->per_host, 1, 1000000},
        {"--max-body", o->max_body, 1, (int64_t)4 << 30},
        {"--max-redirects", o->max_redirects, 1, 1000},
    };
    return wi_check_ranges(ranges, sizeof ranges / sizeof ranges[0], err);
}

void wi_fetch_free(void *job)
{
    wi_fetch *fetch = job;
    const char *strings[] = {fetch->http.user,  fetch->http.bearer, fetch->http.cookie,
                             fetch->http.proxy, fetch->http.cacert, fetch->http.cert,
                             fetch->http.key};
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
        free((char *)strings[i]);
    for (size_t i = 0; i < fetch->urls_len; i++)
        wi_template_free(fetch->urls[i]);
    for (size_t i = 0; i < fetch->headers_len; i++)
        wi_template_free(fetch->headers[i]);
    wi_template_free(fetch->body);
    wi_template_free(fetch->save);
    wi_reach_free(fetch->reach);
    wi_buf_fini(&fetch->body_constant);
    if (fetch->save_root >= 0)
        close(fetch->save_root);
    free(fetch->urls);
    free(fetch->headers);
    free(fetch->method);
    free(fetch->user_agent);
    free(fetch->save_prefix);
    free(fetch);
}

static weir_status describe_job(wi_fetch *fetch, const weir_fetch_options *o, weir_error *err)
{
    fetch->with_headers = o->with_headers;
    fetch->with_body = !o->no_body;
    fetch->max_body = (size_t)or_default(o->max_body, DEFAULT_MAX_BODY);
    weir_status status = check_names(o, err);
    if (status == WEIR_OK)
        status = check_certificates(o, err);
    if (status == WEIR_OK)
        status = wi_retry_set_parse(o->job.retry_on, &fetch->retry_on, err);
    if (status == WEIR_OK)
        status = add_urls(fetch, o, err);
    if (status == WEIR_OK)
        status = set_method(fetch, o, err);
    if (status == WEIR_OK)
        status = set_body(fetch, o, err);
    if (status == WEIR_OK)
        status = add_headers(fetch, o, err);
    if (status == WEIR_OK)
        status = set_http(fetch, o, err);
    if (status == WEIR_OK)
        status = set_reach(fetch, o, err);
    if (status == WEIR_OK)
        status = set_save(fetch, o, err);
    set_columns(fetch);
    return status;
}

/* ---- what a run that continues must have in common with the first ---- */

/* A password that stands in a URL may have changed, and has no place in a file. */
static void add_url_fact(wi_buf *list, const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    const char *at = memrchr(host, '@', strcspn(host, "/?#"));
    wi_buf_puts(list, list->len ? " " : "");
    wi_buf_append(list, url, (size_t)(host - url));
    wi_buf_puts(list, at ? at + 1 : host);
}

/* Of the headers, those that say which form the answer is to have: others may be secrets. */
static bool shapes_answer(const char *header)
{
    static const char *const prefixes[] = {"Accept", "Content-", "If-", "Prefer", "Range"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncasecmp(header, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static weir_status add_facts(const wi_fetch *fetch, const weir_fetch_options *o, wi_facts *facts,
                             weir_error *err)
{
    wi_buf urls = WI_BUF_INIT, headers = WI_BUF_INIT;
    for (size_t i = 0; i < o->urls_len; i++)
        add_url_fact(&urls, o->urls[i]);
    for (size_t i = 0; i < o->headers_len; i++)
        if (shapes_answer(o->headers[i]))
            wi_buf_printf(&headers, "%s%s", headers.len ? "; " : "", o->headers[i]);
    if (o->urls_len)
        wi_facts_add(facts, "url", wi_buf_cstr(&urls));
    if (headers.len)
        wi_facts_add(facts, "header", wi_buf_cstr(&headers));
    wi_facts_add(facts, "request", fetch->method);
    if (o->body)
        wi_facts_add_hash(facts, "data (its hash)", o->body, o->body_len);
    wi_facts_add(facts, "save", o->save);
    wi_facts_add_flag(facts, "data-raw", o->body_raw);
    wi_facts_add_flag(facts, "headers", o->with_headers);
    wi_facts_add_flag(facts, "no-body", o->no_body);
    wi_facts_add_flag(facts, "location", o->follow);
    facts->failed |= urls.failed || headers.failed;
    wi_buf_fini(&urls);
    wi_buf_fini(&headers);
    return facts->failed ? wi_fail_nomem(err) : WEIR_OK;
}

weir_status weir_fetch_new(const weir_fetch_options *options, weir_job **out, weir_error *err)
{
    weir_fetch_options taken;
    const weir_fetch_options *o = &taken;
    weir_status status = wi_options_take(&taken, sizeof taken, options, "weir_fetch_options", err);
    if (status != WEIR_OK)
        return status;
    wi_fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        return wi_fail_nomem(err);
    fetch->save_root = -1;
    wi_job_options job = {
        .common = o->job,
        .per_host = o->per_host,
        .retry_after_max = or_default(o->retry_after_max, DEFAULT_RETRY_AFTER_MAX),
    };
    status = check_numbers(o, err);
    if (status == WEIR_OK)
        status = wi_job_options_fill(&job.common, DEFAULT_TIMEOUT, DEFAULT_RETRIES, err);
    if (status == WEIR_OK)
        status = describe_job(fetch, o, err);
    if (status == WEIR_OK)
        status = add_facts(fetch, o, &job.facts, err);
    if (status != WEIR_OK) {
        wi_facts_fini(&job.facts);
        wi_fetch_free(fetch);
        return status;
    }
    fetch->timeout = job.common.timeout;
    job.choices = fetch->choices;
    return wi_job_new(&job, &wi_fetch_kind, fetch, out, err);
}
