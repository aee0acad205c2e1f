/*
 * log_lines.h: the log that weir scan is measured over, line by line, the same every time.
 *
 * One line in LOG_RARE of each kind holds what one of the expressions of measure_scan.py looks for,
 * and no other line does. No two lines of a file are alike (req= counts), so that a line's text
 * says which line it is. ASCII only: what is compared is searching, not ideas of what a letter is.
 */
#ifndef BENCH_LOG_LINES_H
#define BENCH_LOG_LINES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    LOG_LINE_MOST = 256, /* bytes, with its line feed */
    LOG_RARE = 1500,
};

typedef struct log_lines {
    uint64_t state;
    uint64_t line;
} log_lines;

static inline uint64_t log_random(log_lines *log)
{
    log->state ^= log->state << 13;
    log->state ^= log->state >> 7;
    log->state ^= log->state << 17;
    return (log->state * 0x2545f4914f6cdd1dU) >> 16;
}

static inline void log_begin(log_lines *log, uint64_t file)
{
    log->state = (file + 1) * 0x9e3779b97f4a7c15U;
    log->line = 0;
    log_random(log);
}

static inline char *log_text(char *to, const char *text)
{
    size_t len = strlen(text);
    memcpy(to, text, len);
    return to + len;
}

static inline char *log_number(char *to, uint64_t value, int digits)
{
    for (int i = digits; i-- > 0; value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + digits;
}

/* What the five expressions find, one kind each. */
static inline char *log_rare(log_lines *log, char *to, unsigned kind)
{
    static const char *const causes[] = {"deadlock detected", "disk quota exceeded",
                                         "certificate has expired"};
    uint64_t random = log_random(log);
    switch (kind) {
    case 0:
        return log_text(to, " error: connection reset by peer");
    case 1:
        return log_text(log_text(to, " error: "), causes[random % 3]);
    case 2:
        return log_text(to, random & 1 ? " status=503" : " status=504");
    case 3:
        to = log_number(log_text(to, " key="), random % 10000, 4);
        for (int i = 0; i < 4; i++)
            *to++ = (char)('A' + (random >> (20 + 3 * i)) % 6);
        return log_number(to, (random >> 8) % 10000, 4);
    default:
        to = log_text(to, " worker ended: segmentation fault");
        for (int i = 1; i <= 18; i++)
            if (to[-i] != ' ' && (random >> i & 1))
                to[-i] = (char)(to[-i] - 'a' + 'A');
        return to;
    }
}

/* Writes the next line, LOG_LINE_MOST bytes at most, and returns its end. */
static inline char *log_line(log_lines *log, char *to)
{
    static const char *const levels[] = {" INFO  ", " INFO  ", " INFO  ", " DEBUG "};
    static const char *const users[] = {"ada", "grace", "edsger", "barbara", "dennis", "leslie"};
    static const char *const calls[] = {" GET /v1/orders/", " POST /v1/carts/",
                                        " GET /v2/products/", " PUT /v1/users/"};
    uint64_t random = log_random(log), more = log_random(log);
    to = log_text(to, "2026-05-");
    to = log_number(to, 1 + random % 28, 2);
    *to++ = 'T';
    to = log_number(to, (random >> 5) % 24, 2);
    *to++ = ':';
    to = log_number(to, (random >> 10) % 60, 2);
    *to++ = '.';
    to = log_number(to, (random >> 16) % 1000, 3);
    to = log_text(to, levels[(random >> 26) % 4]);
    to = log_text(to, "api-");
    to = log_number(to, (random >> 28) % 40, 2);
    to = log_number(log_text(to, " req="), log->line++, 8);
    to = log_text(log_text(to, " user="), users[(random >> 34) % 6]);
    to = log_number(to, (random >> 37) % 100, 2);
    to = log_text(to, calls[(random >> 44) % 4]);
    to = log_number(to, more % 100000, 5);
    unsigned rare = (unsigned)((more >> 17) % LOG_RARE);
    if (rare < 5)
        to = log_rare(log, to, rare);
    else
        to = log_text(to, (more >> 30) % 16 == 0 ? " status=404" : " status=200");
    to = log_number(log_text(to, " time="), (more >> 34) % 1000, 3);
    to = log_text(to, (more >> 44) % 2 ? "ms cache=hit" : "ms cache=missed");
    *to++ = '\n';
    return to;
}

#endif
