/* progress.c: the progress line. A line is a handful of parts, each with a rank; while they don't
 * fit, the part with the highest rank number goes. */
#include "progress.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "units.h"

#define PLAIN_EVERY (5 * UNITS_SEC)
#define SAMPLE_EVERY (200 * UNITS_MS) /* 32 of them: the rate of the last 6.4 s */
#define ECHO_COLUMNS 3 /* left free: the terminal writes ^C there, and nothing may wrap */
#define BAR_LEAST 8
#define BAR_MOST 24

enum { PARTS = 12 };

typedef struct part {
    char text[96];
    size_t columns;
    int rank; /* 1 is the last to go */
    const char *style;
} part;

typedef struct line {
    part parts[PARTS];
    size_t len;
} line;

__attribute__((format(printf, 4, 5))) static void add(line *l, int rank, const char *style,
                                                      const char *format, ...)
{
    if (l->len == PARTS)
        return;
    part *p = &l->parts[l->len++];
    va_list ap;
    va_start(ap, format);
    vsnprintf(p->text, sizeof p->text, format, ap);
    va_end(ap);
    p->columns = term_columns(p->text);
    p->rank = rank;
    p->style = style;
}

static int64_t before_of(const weir_job_stats *s)
{
    return s->ok_before + s->failed_before;
}

/* By this run. */
static int64_t done_now(const weir_job_stats *s)
{
    return s->ok + s->failed + s->cancelled;
}

/* And by the one that it continues. */
static int64_t done_of(const weir_job_stats *s)
{
    return done_now(s) + before_of(s);
}

/* Items in all, as well as it is known; -1 if it is not. */
static int64_t total_of(const weir_job_stats *s)
{
    return s->total >= 0 ? s->total : s->estimate;
}

/* The share that is done, 0 to 1; negative if the total is not known. */
static double share_of(const weir_job_stats *s)
{
    int64_t total = total_of(s), done = done_of(s);
    if (total <= 0)
        return -1;
    return done < total ? (double)done / (double)total : 1;
}

/* "0:07", "12:30", "1:02:05". */
static const char *clock_text(units_text *to, int64_t ns)
{
    long long sec = (ns + UNITS_SEC / 2) / UNITS_SEC;
    if (sec < 3600)
        snprintf(to->text, sizeof to->text, "%lld:%02lld", sec / 60, sec % 60);
    else
        snprintf(to->text, sizeof to->text, "%lld:%02lld:%02lld", sec / 3600, sec / 60 % 60,
                 sec % 60);
    return to->text;
}

/* The idle share in whole percent, rounded down: nothing is 100 % but all of it. */
static int idle_percent(const progress_view *view)
{
    return (int)(view->idle * 100);
}

static void add_counts(line *l, const weir_job_stats *s, const term_style *style)
{
    units_text done, total;
    int64_t all = total_of(s);
    if (share_of(s) >= 0)
        add(l, 7, style->bold, "%3d%%", (int)(share_of(s) * 100));
    units_count(&done, done_of(s));
    if (all >= 0)
        add(l, 1, style->bold, "%s/%s%s", done.text, s->total >= 0 ? "" : "~",
            units_count(&total, all));
    else
        add(l, 1, style->bold, "%s done", done.text);
    if (s->failed)
        add(l, 2, style->red, "%s failed", units_count(&done, s->failed));
    if (before_of(s))
        add(l, 11, style->dim, "%s before", units_count(&done, before_of(s)));
}

static void add_flight(line *l, const weir_job_stats *s, const term_style *style)
{
    units_text number;
    units_count(&number, s->in_flight);
    if (s->phase == WEIR_JOB_DRAINING)
        add(l, 3, style->yellow, "finishing %s in flight", number.text);
    else
        add(l, 4, "", "%s in flight", number.text);
    if (s->held_until > 0)
        add(l, 3, style->yellow, "held back %s", clock_text(&number, s->held_until));
    else if (s->waiting)
        add(l, 10, "", "%s to retry", units_count(&number, s->waiting));
}

static void collect(line *l, const progress_view *view, const term_style *style)
{
    const weir_job_stats *s = &view->stats;
    units_text a, b;
    add_counts(l, s, style);
    add_flight(l, s, style);
    if (view->rate > 0)
        add(l, 5, "", "%s", units_rate(&a, view->rate));
    if (s->p99 > 0)
        add(l, 9, style->dim, "p50 %s p99 %s", units_time(&a, s->p50), units_time(&b, s->p99));
    if (view->left >= 0 && s->phase != WEIR_JOB_DRAINING)
        add(l, 6, "", "ETA %s", clock_text(&a, view->left));
    if (view->idle >= 0)
        add(l, 8, style->dim, "%d%% waiting", idle_percent(view));
}

static size_t columns_of(const line *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->len; i++)
        n += l->parts[i].columns + (i ? 2 : 0);
    return n;
}

/* Takes parts away, the least important first, until the rest fits or nothing is left. */
static void fit(line *l, size_t width)
{
    while (l->len && columns_of(l) > width) {
        size_t last = 0;
        for (size_t i = 1; i < l->len; i++)
            if (l->parts[i].rank > l->parts[last].rank)
                last = i;
        memmove(&l->parts[last], &l->parts[last + 1], (l->len - last - 1) * sizeof l->parts[0]);
        l->len--;
    }
}

static size_t append(char *dst, size_t at, const char *text)
{
    size_t len = strlen(text);
    if (at + len >= PROGRESS_SIZE)
        return at;
    memcpy(dst + at, text, len + 1);
    return at + len;
}

static size_t append_bar(char *dst, size_t at, double share, size_t columns,
                         const term_style *style)
{
    size_t full = (size_t)(share * (double)columns);
    at = append(dst, at, style->green);
    for (size_t i = 0; i < full; i++)
        at = append(dst, at, "━");
    at = append(dst, at, style->reset);
    at = append(dst, at, style->dim);
    for (size_t i = full; i < columns; i++)
        at = append(dst, at, "─");
    at = append(dst, at, style->reset);
    return at;
}

size_t progress_render(char dst[PROGRESS_SIZE], const progress_view *view, int width,
                       const term_style *style)
{
    line l = {.len = 0};
    size_t room = width > 0 ? (size_t)width : 0, at = 0;
    double share = share_of(&view->stats);
    dst[0] = '\0';
    collect(&l, view, style);
    fit(&l, room);
    size_t columns = columns_of(&l);
    if (share >= 0 && l.len && columns + 1 + BAR_LEAST <= room) {
        size_t bar = room - columns - 1 < BAR_MOST ? room - columns - 1 : BAR_MOST;
        at = append_bar(dst, at, share, bar, style);
        at = append(dst, at, " ");
        columns += bar + 1;
    }
    for (size_t i = 0; i < l.len; i++) {
        const part *p = &l.parts[i];
        at = append(dst, at, i ? "  " : "");
        at = append(dst, at, p->style);
        at = append(dst, at, p->text);
        at = append(dst, at, *p->style ? style->reset : "");
    }
    return columns;
}

void progress_render_plain(char dst[PROGRESS_SIZE], const progress_view *view)
{
    line l = {.len = 0};
    size_t at = 0;
    dst[0] = '\0';
    collect(&l, view, term_style_get(false));
    for (size_t i = 0; i < l.len; i++) {
        at = append(dst, at, i ? ", " : "");
        at = append(dst, at, l.parts[i].text + strspn(l.parts[i].text, " "));
    }
}

void progress_look(progress_history *history, progress_view *view)
{
    const weir_job_stats *s = &view->stats;
    int64_t done = done_now(s), total = total_of(s), left = total - done_of(s);
    size_t last = (history->next + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES;
    if (history->len == 0 || s->elapsed - history->samples[last].elapsed >= SAMPLE_EVERY) {
        history->samples[history->next].elapsed = s->elapsed;
        history->samples[history->next].done = done;
        history->next = (history->next + 1) % PROGRESS_SAMPLES;
        history->len += history->len < PROGRESS_SAMPLES;
    }
    size_t oldest = history->len < PROGRESS_SAMPLES ? 0 : history->next;
    int64_t since = history->samples[oldest].elapsed, before = history->samples[oldest].done;
    if (done == before) { /* nothing lately, as when each answer takes long: the whole run, then */
        since = 0;
        before = 0;
    }
    view->rate =
        s->elapsed > since ? (double)(done - before) * 1e9 / (double)(s->elapsed - since) : 0;
    view->left = -1;
    if (total >= 0 && left >= 0 && view->rate > 0 && (double)left / view->rate < 1e8)
        view->left = (int64_t)((double)left / view->rate * 1e9);
}

static int64_t cpu_time(void)
{
    struct rusage use;
    if (getrusage(RUSAGE_SELF, &use) != 0)
        return 0;
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * UNITS_SEC +
           (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * UNITS_US;
}

void progress_init(progress *p, progress_kind kind, int64_t lanes, const term_style *style)
{
    cpu_set_t set;
    int processors = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    *p = (progress){.kind = kind, .style = style, .cpu_at_start = cpu_time()};
    p->processors = lanes > 0 && lanes < processors ? (int)lanes : processors;
}

static void print_line(const char *text, size_t len)
{
    while (len) { /* unbuffered, so that the line appears whole */
        ssize_t n = write(STDERR_FILENO, text, len);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static void draw(progress *p, const progress_view *view)
{
    char text[PROGRESS_SIZE], out[PROGRESS_SIZE + 16];
    progress_render(text, view, term_width(STDERR_FILENO) - ECHO_COLUMNS, p->style);
    int len = snprintf(out, sizeof out, "\r%s\x1b[K", text);
    print_line(out, (size_t)len);
    p->drawn = true;
}

void progress_update(progress *p, const weir_job_stats *stats)
{
    progress_view view = {.stats = *stats, .idle = -1};
    if (p->kind == PROGRESS_NONE)
        return;
    progress_look(&p->history, &view);
    if (stats->elapsed > 0) {
        double used = (double)(cpu_time() - p->cpu_at_start) / (double)stats->elapsed;
        double idle = 1 - used / p->processors;
        view.idle = idle < 0 ? 0 : idle;
    }
    if (p->kind == PROGRESS_LIVE) {
        draw(p, &view);
    } else if (stats->elapsed - p->printed >= PLAIN_EVERY) {
        char text[PROGRESS_SIZE];
        progress_render_plain(text, &view);
        fprintf(stderr, "%s\n", text);
        p->printed = stats->elapsed;
    }
}

void progress_clear(progress *p)
{
    if (p->drawn)
        print_line("\r\x1b[K", 4);
    p->drawn = false;
}
