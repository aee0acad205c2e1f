/* cmd_mock.c: weir mock. Starts the mock, says where it is, and stays until a signal comes. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "mock.h"
#include "signals.h"
#include "units.h"

#define DAY (86400 * UNITS_SEC)

typedef struct mock_args {
    mock_options mock;
    int64_t port;
    int64_t products;
    int64_t seed;
    double errors; /* 0 to 1 */
    int gzip;
    int chunked;
    int access_log;
    int quiet;
} mock_args;

static bool set_error_kinds(void *args, const char *value, char *why, size_t why_size)
{
    if (mock_fault_parse(value, &((mock_args *)args)->mock.error_kinds))
        return true;
    snprintf(why, why_size, "is no list of kinds; write some of 500,reset,truncate,hang");
    return false;
}

/* clang-format off */
#define AT(field) .offset = offsetof(mock_args, field)

static const option mock_command_options[] = {
    OPTION_GROUP("Where it listens"),
    {.name = "port", .letter = 'p', .arg = "N", .kind = OPTION_COUNT, AT(port), .min = 0,
     .max = 65535, .help = "default 8080; 0 takes any free one"},
    {.name = "bind", .arg = "ADDRESS", .kind = OPTION_STRING, AT(mock.address),
     .help = "numeric IPv4 or IPv6 (default 127.0.0.1)",
     .more = "Any other address than a loopback one lets other machines use the mock."},
    {.name = "connections", .arg = "N", .kind = OPTION_COUNT, AT(mock.connections), .min = 1,
     .max = 1000000, .help = "that it can hold at once (default 10000)",
     .more = "Each needs a descriptor. Further ones wait until one of these ends."},

    OPTION_GROUP("How products are served"),
    {.name = "products", .arg = "N", .kind = OPTION_COUNT, AT(products), .min = 1,
     .max = INT64_MAX, .help = "/products/N ends there (default: never)",
     .more = "The pages at /products hold that many, or 1,000."},
    {.name = "latency", .letter = 'l', .arg = "TIME", .kind = OPTION_DURATION, AT(mock.latency),
     .max = DAY, .help = "before an answer begins"},
    {.name = "jitter", .arg = "TIME", .kind = OPTION_DURATION, AT(mock.jitter), .max = DAY,
     .help = "so much more or less, evenly spread"},
    {.name = "slow-body", .arg = "TIME", .kind = OPTION_DURATION, AT(mock.slow_body), .max = DAY,
     .help = "a body comes in ten pieces over this time"},
    {.name = "chunked", .kind = OPTION_FLAG, AT(chunked), .help = "without a Content-Length"},
    {.name = "gzip", .kind = OPTION_FLAG, AT(gzip), .help = "compressed, if the client accepts it"},

    OPTION_GROUP("How products fail"),
    {.name = "errors", .letter = 'e', .arg = "P%", .kind = OPTION_PERCENT, AT(errors),
     .help = "share of the requests that fail"},
    {.name = "error-kinds", .arg = "KINDS", .kind = OPTION_CALL, .call = set_error_kinds,
     .help = "some of 500,reset,truncate,hang (default all)",
     .more = "`500` answers with that status, `reset` resets the connection, `truncate` sends half "
             "the body and closes, `hang` never answers."},
    {.name = "rate-limit", .arg = "N/s", .kind = OPTION_RATE, AT(mock.rate_limit),
     .help = "beyond it: 429 with Retry-After",
     .more = "A bare number is per second. A second's worth of requests may come at once."},
    {.name = "seed", .arg = "N", .kind = OPTION_COUNT, AT(seed), .min = 0,
     .help = "other faults and jitter (default 0)",
     .more = "What a request meets depends on the seed, the product and how often it was asked "
             "for, and on nothing else: the same run meets the same faults."},

    OPTION_GROUP("What it says"),
    {.name = "access-log", .kind = OPTION_FLAG, AT(access_log),
     .help = "a line per request on standard error"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, AT(quiet),
     .help = "no summary at the end"},
    OPTION_END,
};
/* clang-format on */

static const command_example mock_examples[] = {
    {"a slow API", "weir mock --latency 1s"},
    {"one that fails now and then", "weir mock --latency 100ms --jitter 50ms --errors 5%"},
    {"one that wants to be asked slowly", "weir mock --rate-limit 50/s"},
    {"and in another terminal",
     "weir fetch 'http://127.0.0.1:8080/products/{1..200}' -o out.ndjson"},
    {NULL, NULL},
};

static const command_section mock_sections[] = {
    {"Paths",
     "  /products/N                      product N as JSON, made from its number\n"
     "  /products?page=P&per_page=K      a page of them, with a Link to the next\n"
     "  /stats                           what it has seen, as JSON\n"
     "  /                                all paths\n"
     "\n"
     "Products also take POST, PUT, PATCH and DELETE, and say what was sent. Latency, failures and "
     "the rate limit apply to products only. Other paths answer with any status, header, delay, "
     "length or redirect asked for, and echo requests."},
    {"Exit status", "  0    it was stopped by a signal\n"
                    "  2    it could not start"},
    {NULL, NULL},
};

static int complete_options(mock_args *args)
{
    mock_options *o = &args->mock;
    if (o->error_kinds && args->errors <= 0)
        return command_fail(&cmd_mock, "--error-kinds says how; say how often with --errors 5%%");
    o->port = (uint16_t)args->port;
    o->products = (uint64_t)args->products;
    o->seed = (uint64_t)args->seed;
    o->error_percent = args->errors * 100;
    o->gzip = args->gzip;
    o->chunked = args->chunked;
    o->access_log = args->access_log ? stderr : NULL;
    return 0;
}

static int mock_run(int argc, char **argv)
{
    mock_args args = {.port = 8080};
    mock *m = NULL;
    mock_stats stats;
    weir_error err;
    int code;
    if (!options_parse(&cmd_mock, &args, argc, argv, &code) || (code = complete_options(&args)))
        return code;
    signals_take();
    if (mock_start(&args.mock, &m, &err) != WEIR_OK)
        return command_fail(&cmd_mock, "%s", err.text);
    fprintf(stderr,
            "weir mock: listening on %s\n"
            "try: weir fetch '%s/products/{1..200}' (Ctrl-C ends the mock)\n",
            mock_url(m), mock_url(m));
    int number = signals_wait();
    mock_stop(m, &stats);
    if (!args.quiet) {
        fprintf(stderr, "weir mock: stopped by %s\n", signals_name(number));
        mock_stats_print(stderr, &stats);
    }
    return 0;
}

const command cmd_mock = {
    .name = "mock",
    .summary = "a local API to practise against",
    .usage = "[OPTION]...",
    .about = "Serves made-up products over HTTP on this machine, as slowly and as badly as asked. "
             "Holds thousands of delayed requests at once. Every answer can be foretold: a product "
             "is made from its number, and a failure from the seed.",
    .options = mock_command_options,
    .examples = mock_examples,
    .sections = mock_sections,
    .man = true,
    .run = mock_run,
};
