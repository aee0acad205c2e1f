/* cmd_demo.c: weir demo. The experiment that Weir is for, measured here and now: many answers that
 * each take a while, waited for one by one, sixteen at once, and all at once. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/fetch.h"

#include "commands.h"
#include "mock.h"
#include "run.h"
#include "summary.h"
#include "units.h"

#define NAME_COLUMNS 14
#define FIGURE_COLUMNS 21 /* "  20.4 s  204× limit" */
#define STANDS_COLUMNS 23
#define BAR_MOST 40
#define LONG_ROUND (10 * UNITS_SEC) /* one that lasts longer is announced */

typedef struct demo_args {
    int64_t latency;
    int64_t products;
    const char *output;
    int color;
} demo_args;

/* clang-format off */
#define AT(field) .offset = offsetof(demo_args, field)
static const option demo_options[] = {
    OPTION_GROUP("Options"),
    {.name = "latency", .arg = "TIME", .kind = OPTION_DURATION, AT(latency), .min = UNITS_MS,
     .max = 60 * UNITS_SEC, .help = "that each answer takes (default 100ms)"},
    {.name = "products", .arg = "N", .kind = OPTION_COUNT, AT(products), .min = 1, .max = 10000,
     .help = "how many to fetch (default 200)"},
    {.name = "output", .letter = 'o', .arg = "FILE", .kind = OPTION_STRING, AT(output),
     .help = "for the rows (default products.ndjson)"},
    {.name = "color", .arg = "WHEN", .kind = OPTION_CHOICE, AT(color), .choices = term_color_choices,
     .help = "use color: auto, always or never"},
    OPTION_END,
};
/* clang-format on */

typedef struct demo_round {
    const char *name;
    const char *stands_for;
    int64_t in_flight; /* 0: all */
} demo_round;

static const demo_round rounds[] = {
    {"one by one", "a loop in a script", 1},
    {"16 in flight", "a pool of 16 threads", 16},
    {"all in flight", "weir fetch", 0},
};

enum { ROUNDS = sizeof rounds / sizeof rounds[0] };

typedef struct demo {
    const demo_args *args;
    const mock *server;
    const term_style *style;
    int width;
    int64_t longest; /* time of a round so far: a whole bar */
} demo;

static int discard(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    (void)len;
    return 0;
}

static weir_status new_job(const demo *d, const demo_round *round, weir_job **job, weir_error *err)
{
    char url[160];
    const char *urls[] = {url};
    bool last = round == &rounds[ROUNDS - 1];
    snprintf(url, sizeof url, "%s/products/{1..%" PRId64 "}", mock_url(d->server),
             d->args->products);
    weir_fetch_options options = {
        .size = sizeof options,
        .urls = urls,
        .urls_len = 1,
        .job = {.in_flight = round->in_flight ? round->in_flight : d->args->products,
                .timeout = d->args->latency + 30 * UNITS_SEC,
                .retries = -1,
                .output = last ? d->args->output : NULL,
                .journal = WEIR_JOURNAL_NONE, /* it takes seconds, and has no --resume */
                .write = last ? NULL : discard},
    };
    return weir_fetch_new(&options, job, err);
}

static void print_bar(const demo *d, int64_t elapsed, int columns, const char *style)
{
    double cells = (double)elapsed / (double)d->longest * columns;
    int full = cells > columns ? columns : (int)cells, rest = columns - full;
    fputs(style, stdout);
    for (int i = 0; i < full; i++)
        fputs("━", stdout);
    if (full == 0 && rest > 0) { /* however short, it can be seen */
        fputs("╸", stdout);
        rest--;
    }
    printf("%s%*s", *style ? d->style->reset : "", rest, "");
}

/* One round on one line: its bar, its time, and that time against the limit. */
static void print_round(demo *d, const demo_round *round, const weir_job_stats *stats)
{
    units_text time, times;
    char figure[64];
    bool best = round == &rounds[ROUNDS - 1];
    int64_t done = stats->ok + stats->failed, elapsed = stats->elapsed;
    bool skipped = stats->end == WEIR_JOB_END_STOPPED;
    if (skipped) /* what it would have taken */
        elapsed = d->args->products * d->args->latency / round->in_flight;
    if (elapsed > d->longest)
        d->longest = elapsed;
    int room = d->width - NAME_COLUMNS - FIGURE_COLUMNS;
    bool wide = room - STANDS_COLUMNS >= 12;
    int bar = wide ? room - STANDS_COLUMNS : room;
    bar = bar > BAR_MOST ? BAR_MOST : bar < 1 ? 1 : bar;
    double ratio = (double)elapsed / (double)d->args->latency;
    if (ratio < 9.95)
        snprintf(times.text, sizeof times.text, "%.1f", ratio);
    else
        units_count(&times, (int64_t)(ratio + 0.5));
    snprintf(figure, sizeof figure, "%s%8s %5s× limit", skipped ? "~" : " ",
             units_time(&time, elapsed), times.text);
    printf("%-*s", NAME_COLUMNS, round->name);
    print_bar(d, elapsed, bar, best ? d->style->green : d->style->yellow);
    printf("%s%s%s", best ? d->style->bold : "", figure, best ? d->style->reset : "");
    if (wide)
        printf("   %s%s%s", d->style->dim, round->stands_for, d->style->reset);
    if (skipped)
        printf("\n%*s%sstopped after %s of them%s", NAME_COLUMNS, "", d->style->dim,
               units_count(&time, done), d->style->reset);
    putchar('\n');
    fflush(stdout);
}

static void announce(const demo *d, const demo_round *round)
{
    units_text time;
    int64_t in_flight = round->in_flight ? round->in_flight : d->args->products;
    int64_t expected = d->args->products * d->args->latency / in_flight;
    if (round == &rounds[0] && expected >= LONG_ROUND && isatty(STDERR_FILENO))
        fprintf(stderr, "%s%s: about %s; Ctrl-C skips it%s\n", d->style->dim, round->name,
                units_time(&time, expected), d->style->reset);
}

/* Runs a round and prints it. 0 to go on, or the exit code. */
static int play(demo *d, const demo_round *round)
{
    weir_error err;
    weir_job *job;
    const term_style *style = term_style_for(d->args->color, STDERR_FILENO);
    run r = {.style = style, .stop_at_once = true};
    if (new_job(d, round, &job, &err) != WEIR_OK)
        return command_fail(&cmd_demo, "%s", err.text);
    announce(d, round);
    progress_init(&r.progress, term_can_redraw(STDERR_FILENO) ? PROGRESS_LIVE : PROGRESS_NONE, 0,
                  style);
    weir_status status = run_job(&r, job, &err);
    summary s = {.nouns = &fetch_nouns, .signal = r.signal, .output = d->args->output};
    summary_collect(&s, job);
    int code = summary_exit_code(status, &s.stats, r.signal);
    /* the first round is the long one: Ctrl-C skips it, and ends the demo in any other */
    if (code == 128 + SIGINT && round == &rounds[0])
        code = 0;
    if (status != WEIR_OK)
        command_fail(&cmd_demo, "%s", err.text);
    else if (code)
        summary_print(stderr, &s, style, 0);
    else
        print_round(d, round, &s.stats);
    weir_job_free(job);
    return code;
}

static void print_opening(const demo *d)
{
    units_text count, time;
    printf("%s%s %s%s from a local API that answers each after %s\n\n", d->style->bold,
           units_count(&count, d->args->products), d->args->products == 1 ? "product" : "products",
           d->style->reset, units_duration(&time, d->args->latency));
    fflush(stdout);
}

static void print_closing(const demo *d)
{
    units_text time;
    char shown[512];
    printf("\nThe limit is %s: one answer's time, if all are waited for together.\n",
           units_duration(&time, d->args->latency));
    if (strcmp(d->args->output, "-") != 0)
        printf("The rows are in %s%s%s.\n", d->style->bold,
               term_escape(shown, sizeof shown, d->args->output), d->style->reset);
}

static int demo_run(int argc, char **argv)
{
    demo_args args = {.latency = 100 * UNITS_MS, .products = 200, .output = "products.ndjson"};
    weir_error err;
    mock *server;
    int code = 0;
    if (!options_parse(&cmd_demo, &args, argc, argv, &code))
        return code;
    mock_options options = {.latency = args.latency, .connections = args.products + 64};
    if (mock_start(&options, &server, &err) != WEIR_OK)
        return command_fail(&cmd_demo, "%s", err.text);
    demo d = {.args = &args,
              .server = server,
              .longest = 1,
              .style = term_style_for(args.color, STDOUT_FILENO),
              .width = term_width(STDOUT_FILENO) - 1};
    print_opening(&d);
    for (size_t i = 0; i < ROUNDS && code == 0; i++)
        code = play(&d, &rounds[i]);
    mock_stop(server, NULL);
    if (code)
        return code;
    print_closing(&d);
    return output_finish(&cmd_demo);
}

static const command_example demo_examples[] = {
    {"the experiment in its original size, about four minutes", "weir demo --latency 1s"},
    {"a thousand products", "weir demo --products 1000 --latency 20ms"},
    {NULL, NULL},
};

const command cmd_demo = {
    .name = "demo",
    .summary = "fetch 200 products in three ways, and compare",
    .usage = "[OPTION]...",
    .about = "Starts a local API that takes a while for each answer, and fetches its products one "
             "by one, with 16 in flight and with all in flight. A bar shows how long each way "
             "took; the limit is the time of a single answer.\n"
             "\n"
             "Everything is measured at that moment on this machine, and nothing leaves it. Ctrl-C "
             "skips the first way, which is the slow one. The rows are left in products.ndjson.",
    .options = demo_options,
    .examples = demo_examples,
    .man = true,
    .run = demo_run,
};
