/* cmd_fetch.c: weir fetch. Turns options into a job, stays with it, says what it came to. The
 * library checks what only it can know; here stands what belongs to a command line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/fetch.h"

#include "commands.h"
#include "job_args.h"
#include "units.h"
#include "whole_file.h"

#define MAX_DATA ((size_t)64 << 20) /* of a body read from a file */
#define DEFAULT_BREAKER (30 * UNITS_SEC)

typedef struct fetch_args {
    job_args job; /* the first, for the common options */
    weir_fetch_options fetch;
    string_list urls;
    string_list headers;
    string_list allow;
    string_list deny;
    char *data; /* the body, if it was read from a file; owned */
    bool data_from_stdin;
    const char *bearer_env;
} fetch_args;

static bool set_body(fetch_args *args, const char *value, bool raw, char *why, size_t why_size)
{
    char *data = NULL;
    size_t len = strlen(value);
    if (value[0] == '@' && !(data = whole_file_read(value + 1, MAX_DATA, &len, why, why_size)))
        return false;
    free(args->data);
    args->data = data;
    args->data_from_stdin = data && strcmp(value, "@-") == 0;
    args->fetch.body = data ? data : value;
    args->fetch.body_len = len;
    args->fetch.body_raw = raw;
    return true;
}

static bool set_data(void *args, const char *value, char *why, size_t why_size)
{
    return set_body(args, value, false, why, why_size);
}

static bool set_data_raw(void *args, const char *value, char *why, size_t why_size)
{
    return set_body(args, value, true, why, why_size);
}

static bool set_user(void *args, const char *value, char *why, size_t why_size)
{
    if (!strchr(value, ':')) {
        snprintf(why, why_size, "has no password; write NAME:PASSWORD");
        return false;
    }
    ((fetch_args *)args)->fetch.user = value;
    return true;
}

/* clang-format off */
#define AT(field) .offset = offsetof(fetch_args, field)

static const option fetch_options[] = {
    OPTION_GROUP("Requests"),
    {.name = "request", .letter = 'X', .alias = "method", .arg = "METHOD", .kind = OPTION_STRING,
     AT(fetch.method), .help = "method (default GET, or POST with a body)"},
    {.name = "header", .letter = 'H', .arg = "'NAME: VALUE'", .kind = OPTION_LIST, AT(headers),
     .secret = true, .help = "add a header; {COLUMN} is filled in",
     .more = "A header given here takes the place of one that Weir would send itself."},
    {.name = "data", .letter = 'd', .arg = "TEXT|@FILE", .kind = OPTION_CALL, .call = set_data,
     .help = "send a body; {COLUMN} is filled in",
     .more = "In a JSON body a value is escaped, or becomes a whole JSON value where it does not "
             "stand inside a string. `@FILE` reads the body from a file, `@-` from standard input. "
             "Without a Content-Type of your own, JSON is sent as application/json and anything "
             "else as a form."},
    {.name = "data-raw", .arg = "TEXT|@FILE", .kind = OPTION_CALL, .call = set_data_raw,
     .rare = true,
     .help = "send a body as it is, nothing filled in"},

    OPTION_GROUP("Input, one request for each row"),
    JOB_OPTIONS_INPUT,

    OPTION_GROUP("Output, one row for each request"),
    JOB_OPTIONS_OUTPUT,
    {.name = "save", .arg = "FILE", .kind = OPTION_STRING, AT(fetch.save),
     .help = "each good body to a file, as 'dir/{id}.json'",
     .more = "Columns are filled in as one harmless part of a name: no data leads out of the "
             "folder."},
    {.name = "headers", .kind = OPTION_FLAG, AT(fetch.with_headers), .negatable = true,
     .help = "add the response headers to the rows"},
    {.name = "no-body", .kind = OPTION_FLAG, AT(fetch.no_body),
     .help = "leave the body out of the rows"},

    OPTION_GROUP("How many, how fast, how long"),
    {.name = "jobs", .letter = 'j', .arg = "N|auto", .kind = OPTION_COUNT, AT_JOB(options.in_flight),
     .min = 1, .max = 1000000, .word = "auto", .word_value = 0,
     .help = "requests in flight (default auto: found)",
     .more = "With `auto` the number grows while that brings more answers, and is halved when a "
             "server says that it is too much. When memory is tight, the request that all rows wait "
             "for may be one more than that."},
    {.name = "per-host", .arg = "N", .kind = OPTION_COUNT, AT(fetch.per_host), .min = 1,
     .max = 1000000, .help = "at most so many in flight to one server"},
    {.name = "rate", .arg = "N/s|m|h", .kind = OPTION_RATE, AT_JOB(options.rate),
     .help = "start at most so many: 100/s, 30/m, per server",
     .more = "A bare number is per second."},
    {.name = "timeout", .arg = "TIME", .kind = OPTION_DURATION, AT_JOB(options.timeout), .min = UNITS_MS,
     .max = JOB_DAY, .word = "none", .word_value = -1,
     .help = "limit for each attempt, or none (default 30s)"},
    {.name = "connect-timeout", .arg = "TIME", .kind = OPTION_DURATION, AT(fetch.connect_timeout),
     .min = UNITS_MS, .max = JOB_DAY, .help = "limit for making a connection (default 10s)"},
    {.name = "max-body", .arg = "SIZE", .kind = OPTION_SIZE, AT(fetch.max_body), .min = 1,
     .max = INT64_C(1) << 40, .help = "longest body accepted (default 64M)"},
    JOB_OPTIONS_PACE,

    OPTION_GROUP("Retries"),
    {.name = "retry", .arg = "N", .kind = OPTION_COUNT, AT_JOB(retries), .min = 0, .max = 100,
     .help = "attempts beyond the first (default 3)"},
    {.name = "retry-on", .arg = "LIST", .kind = OPTION_STRING, AT_JOB(options.retry_on),
     .help = "what is worth a retry, as 429,5xx,timeout",
     .more = "Statuses (`500`, `502-504`, `5xx`) and the words timeout, connect, reset, resolve, "
             "tls, truncated and protocol; `none`, `all` or `default`; a minus takes something "
             "away: `default,-429`. The default is 408, 425, 429, 500, 502, 503, 504, timeout, "
             "connect, reset, resolve and truncated."},
    {.name = "retry-unsafe", .kind = OPTION_FLAG, AT(fetch.retry_unsafe), .negatable = true,
     .help = "also repeat POST and PATCH",
     .more = "They may have had their effect although no answer came."},
    JOB_OPTIONS_RETRY,
    {.name = "retry-after-max", .arg = "TIME", .kind = OPTION_DURATION, AT(fetch.retry_after_max),
     .min = UNITS_MS, .max = JOB_DAY, .rare = true,
     .help = "longest Retry-After that is obeyed (default 5m)",
     .more = "A server's Retry-After holds back all requests to it; so does its RateLimit or "
             "X-RateLimit-Remaining, when nothing is left, until it is renewed."},
    {.name = "breaker", .arg = "TIME", .kind = OPTION_DURATION, AT_JOB(breaker), .min = 0,
     .max = JOB_DAY, .word = "off", .word_value = 0, .rare = true,
     .help = "how long a dead server is waited for (default 30s)",
     .more = "A server is dead when twenty requests in a row got no answer at all, or when five "
             "could not even connect to one that had answered before. Then one request now and "
             "then sees whether it is back, and the others wait without using up their attempts. "
             "After this time (a third of it, if it never answered) they fail at once, until one "
             "of those few is answered. Other servers are not held up. `off` and 0: each request "
             "fails by itself."},

    OPTION_GROUP("HTTP"),
    {.name = "user", .letter = 'u', .arg = "NAME:PASSWORD", .kind = OPTION_CALL, .call = set_user,
     .secret = true, .help = "basic authentication"},
    {.name = "bearer-env", .arg = "NAME", .kind = OPTION_STRING, AT(bearer_env),
     .help = "bearer token, from an environment variable"},
    {.name = "netrc", .kind = OPTION_FLAG, AT(fetch.netrc), .negatable = true,
     .rare = true, .help = "names and passwords from ~/.netrc"},
    {.name = "cookie", .letter = 'b', .arg = "'A=B; C=D'", .kind = OPTION_STRING, AT(fetch.cookie),
     .secret = true, .help = "send cookies"},
    {.name = "user-agent", .letter = 'A', .arg = "TEXT", .kind = OPTION_STRING,
     AT(fetch.user_agent), .help = "name to go by (default weir/VERSION)"},
    {.name = "location", .letter = 'L', .kind = OPTION_FLAG, AT(fetch.follow), .negatable = true,
     .help = "follow redirects",
     .more = "To another origin (scheme, host or port) no name, password, token, cookie or "
             "certificate goes along, no body, and of the headers only harmless ones such as "
             "Accept; what is no GET, HEAD or OPTIONS is not followed there."},
    {.name = "max-redirects", .arg = "N", .kind = OPTION_COUNT, AT(fetch.max_redirects), .min = 1,
     .max = 100, .rare = true, .help = "most followed for one request (default 10)"},
    {.name = "proxy", .letter = 'x', .arg = "URL", .kind = OPTION_STRING, AT(fetch.proxy),
     .secret = true, .help = "through http://, https:// or socks5://HOST:PORT",
     .more = "Without it the environment decides: http_proxy, https_proxy, all_proxy, no_proxy. "
             "`--proxy ''` is none."},
    {.name = "cacert", .arg = "FILE", .kind = OPTION_STRING, AT(fetch.cacert),
     .help = "trust these authorities (PEM)"},
    {.name = "cert", .arg = "FILE", .kind = OPTION_STRING, AT(fetch.cert),
     .help = "client certificate (PEM)"},
    {.name = "key", .arg = "FILE", .kind = OPTION_STRING, AT(fetch.key),
     .help = "its private key (PEM)"},
    {.name = "insecure", .letter = 'k', .kind = OPTION_FLAG, AT(fetch.insecure), .negatable = true,
     .help = "don't verify certificates"},
    {.name = "http1.1", .kind = OPTION_FLAG, AT(fetch.http1_only), .negatable = true,
     .rare = true, .help = "never HTTP/2"},

    OPTION_GROUP("What may be reached, for URLs of strangers"),
    {.name = "allow", .arg = "LIST", .kind = OPTION_LIST, AT(allow),
     .help = "only these hosts, as api.example.com,.b.example",
     .more = "Parted by commas: hosts, domains with all below them (`.example.com` or "
             "`*.example.com`), addresses, and blocks of addresses (`192.0.2.0/24`, "
             "`2001:db8::/32`). With `:PORT` an entry is for that port only, as in "
             "`[2001:db8::7]:443`. Redirects are held to it as well, and addresses are those that "
             "are connected to. What is not allowed fails, with its reason, and is not tried "
             "again."},
    {.name = "deny", .arg = "LIST", .kind = OPTION_LIST, AT(deny),
     .help = "none of these hosts, as 10.0.0.0/8,.internal",
     .more = "The same list the other way round, which wins over --allow. A block of addresses "
             "denies what leads to them in other ways, too (NAT64, 6to4)."},
    {.name = "no-private", .kind = OPTION_FLAG, AT(fetch.no_private),
     .help = "no address that is not of the public Internet",
     .more = "Neither this machine nor its networks nor a cloud's metadata, whatever names and "
             "spellings lead there: loopback, link-local, private, shared, multicast, unspecified, "
             "documentation, benchmark and reserved addresses. Refused with a proxy, which connects "
             "to what nobody here sees."},

    JOB_OPTIONS_RUN,
    OPTION_END,
};
/* clang-format on */

static const command_example fetch_examples[] = {
    {"200 products, in order",
     "weir fetch 'https://api.example.com/products/{1..200}' -o out.ndjson"},
    {"a request for each row of a file, at most a hundred a second",
     "weir fetch -i ids.csv 'https://api.example.com/items/{id}' --rate 100/s"},
    {"see first what would be sent",
     "weir fetch -i ids.csv 'https://api.example.com/items/{id}' --dry-run"},
    {"a file for each body, the failures apart",
     "weir fetch 'https://example.com/{1..9}' --save 'dir/{#1}' --errors bad.ndjson"},
    {"post each line of a pipe",
     "tail -f ids | weir fetch -i - https://example.com/ -d '{\"id\": \"{line}\"}'"},
    {"URLs that strangers have sent, and nothing of the own network",
     "weir fetch -i urls.txt --location --no-private --deny .example.com"},
    {"with a token that no list of processes shows",
     "TOKEN=... weir fetch --bearer-env TOKEN 'https://api.example.com/{a,b}'"},
    {NULL, NULL},
};

static const command_section fetch_sections[] = {
    {"Templates",
     "A URL is a template. Quote it, so that the shell leaves the braces alone. In braces stand:\n"
     "\n"
     "  {1..200}       a range; {001..100..5} with leading zeros and a step; {a..f}\n"
     "  {a,b,c}        a list; ranges and lists multiply\n"
     "  {id}           a column of the input, percent-encoded\n"
     "  {id:raw}       the same as it is\n"
     "  {env:NAME}     an environment variable; never shown in rows or messages\n"
     "  {#}            the number of the request, from 1\n"
     "  \\{ \\} \\\\       the characters themselves\n"
     "\n"
     "Headers, bodies and paths have columns too, but no ranges: {#1} is what the URL's first "
     "range or list stood at. In a body, braces that hold nothing of this kind are text.\n"
     "\n"
     "Without a URL, the input's column url, or its lines, are the URLs."},
    {"Rows",
     "A row holds the columns of the input as they came, then url, status, attempts, elapsed_ms, "
     "error and body. A JSON body is embedded as JSON, text is a string, and anything else is "
     "base64, which body_encoding says. An input column of one of these names is prefixed with "
     "input_. A request that fails has a row too, with its reason in error."},
    JOB_SECTION_CTRL_C,
    JOB_SECTION_RESUME,
    JOB_SECTION_EXIT,
    {"Environment",
     "NO_COLOR, if not empty, stands for `--color never`. http_proxy, https_proxy, all_proxy and "
     "no_proxy choose a proxy."},
    {NULL, NULL},
};

/* A URL that holds a password must not stand in a list of processes. */
static bool has_password(const char *url)
{
    const char *host = strstr(url, "://");
    return host && memchr(host + 3, '@', strcspn(host + 3, "/?#"));
}

/* Puts the rest of the arguments where the library expects them. 0, or the exit code. */
static int complete_options(fetch_args *args)
{
    weir_fetch_options *f = &args->fetch;
    f->urls = args->urls.items;
    f->urls_len = args->urls.len;
    f->headers = args->headers.items;
    f->headers_len = args->headers.len;
    f->allow = args->allow.items;
    f->allow_len = args->allow.len;
    f->deny = args->deny.items;
    f->deny_len = args->deny.len;
    int code = job_args_complete(&cmd_fetch, &args->job);
    if (code != 0)
        return code;
    f->job = args->job.options;
    if (!f->urls_len && !f->job.input)
        return command_fail(&cmd_fetch, "nothing to fetch: give a URL, or rows with -i FILE. "
                                        "See weir fetch --help.");
    if (args->data_from_stdin && f->job.input && strcmp(f->job.input, "-") == 0)
        return command_fail(&cmd_fetch, "-i - and -d @- cannot both read standard input");
    if (args->bearer_env && !(f->bearer = getenv(args->bearer_env))) {
        char shown[96];
        return command_fail(&cmd_fetch, "--bearer-env: there is no environment variable \"%s\"",
                            term_escape(shown, sizeof shown, args->bearer_env));
    }
    return 0;
}

const job_nouns fetch_nouns = {"request", "requests", "sent", "received", "server", "servers"};

static int fetch_run(int argc, char **argv)
{
    fetch_args args = {.fetch = WEIR_FETCH_OPTIONS_INIT,
                       .job = {.retries = 3, .breaker = DEFAULT_BREAKER}};
    weir_error err;
    weir_job *job = NULL;
    int code;
    if (options_parse(&cmd_fetch, &args, argc, argv, &code) &&
        (code = complete_options(&args)) == 0) {
        if (weir_fetch_new(&args.fetch, &job, &err) != WEIR_OK)
            code = command_fail(&cmd_fetch, "%s", err.text);
        else
            code =
                job_args_run(&cmd_fetch, &args.job,
                             &(job_telling){.nouns = &fetch_nouns, .save = args.fetch.save}, job);
    }
    free(args.data);
    options_free(&cmd_fetch, &args);
    return code;
}

const command cmd_fetch = {
    .name = "fetch",
    .summary = "ask for many URLs at once, and get a row for each",
    .usage = "[OPTION]... URL...",
    .about =
        "Makes requests from URL templates, keeps many of them in flight, and writes a row for "
        "each answer, in the order of the input. Failures are retried where that is safe and "
        "worth it; what fails in the end is a row with its reason, and does not end the run.\n"
        "\n"
        "Rows go to standard output, everything else to standard error. At the end a summary "
        "accounts for every request.\n"
        "\n"
        "Times are written as `250ms`, `5s`, `2m`, `1h` (a bare number is seconds), sizes as "
        "`4K`, `64M`, `1G`.",
    .options = fetch_options,
    .examples = fetch_examples,
    .sections = fetch_sections,
    .operands_offset = offsetof(fetch_args, urls),
    .takes_operands = true,
    .operand_is_secret = has_password,
    .man = true,
    .run = fetch_run,
};
