/*
 * units.h: numbers as people write and read them: 250ms, 64M, 100/s, 5%, 1,234,567.
 *
 * Parsing takes a whole string or refuses it: there are no leftovers, signs, spaces or locales, and
 * nothing wraps around. On refusal the target is untouched. Formatting writes into the caller's
 * buffer and returns it, so that it can stand among printf's arguments.
 */
#ifndef UNITS_H
#define UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNITS_US INT64_C(1000)
#define UNITS_MS INT64_C(1000000)
#define UNITS_SEC INT64_C(1000000000)

/* "7", up to INT64_MAX. */
bool units_parse_count(const char *text, int64_t *count);

/* Nanoseconds from "250ms", "1.5s", "1h30m"; ns us ms s m h d; a bare number is seconds. */
bool units_parse_duration(const char *text, int64_t *ns);

/* Bytes from "4096", "64M", "1.5G"; K M G T are powers of 1,024 ("MiB" too), "MB" is 10^6. */
bool units_parse_size(const char *text, int64_t *bytes);

/* Events per second from "100/s", "30/m", "5/h"; a bare number is per second. */
bool units_parse_rate(const char *text, double *per_second);

/* A fraction from 0 to 1 from "5%", "0.1%"; the sign may be left out of "0" only. */
bool units_parse_percent(const char *text, double *fraction);

/* Room for anything the functions below write. */
#define UNITS_SIZE 40
typedef struct units_text {
    char text[UNITS_SIZE];
} units_text;

/* "1,234,567". */
const char *units_count(units_text *to, int64_t count);

/* A measured time to three digits: "98 ms", "1.02 s", "200.4 s", "2 m 05 s", "2.8 h". */
const char *units_time(units_text *to, int64_t ns);

/* A time that was set, as an option would take it: "30s", "1h30m", "250ms". */
const char *units_duration(units_text *to, int64_t ns);

/* "512 B", "4.2 MB": powers of 1,000, as networks are counted. */
const char *units_bytes(units_text *to, int64_t bytes);

/* A size that was set, as an option would take it: "64M", "1000". */
const char *units_size(units_text *to, int64_t bytes);

/* "812/s", "1,204/s", "0.5/s", "3/m". */
const char *units_rate(units_text *to, double per_second);

/* "5%", "0.1%". */
const char *units_percent(units_text *to, double fraction);

#endif
