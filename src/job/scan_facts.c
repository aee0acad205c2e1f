/* scan_facts.c: rows of what stat() and a digest tell. Its invariant: times are UTC with nine
 * decimals, so texts compare as the times do. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "content.h"
#include "scan_rows_state.h"

enum { DAY = 24 * 60 * 60 };

/* Days since 1970 as a date, by counting years from a March: leap days are at their ends. gmtime_r
 * would take libc's one lock for time zones. */
static void date_of(int64_t days, int64_t *year, int *month, int *day)
{
    enum { ERA = 146097 /* days in 400 years */, SHIFT = 719468 /* from 0000-03-01 to 1970 */ };
    days += SHIFT;
    int64_t era = (days >= 0 ? days : days - (ERA - 1)) / ERA;
    int of_era = (int)(days - era * ERA);
    int years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * years + years / 4 - years / 100);
    int from_march = (5 * of_year + 2) / 153;
    *day = of_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = era * 400 + years + (*month <= 2);
}

static char *put_digits(char *to, int64_t value, int width)
{
    for (int i = width; i > 0; value /= 10)
        to[--i] = (char)('0' + value % 10);
    return to + width;
}

static char *put_three(char *to, char between, int64_t a, int64_t b, int64_t c)
{
    to = put_digits(to, a, 2);
    *to++ = between;
    to = put_digits(to, b, 2);
    *to++ = between;
    return put_digits(to, c, 2);
}

enum { TIME_SIZE = 64 };

/* RFC 3339; years that have not four digits are written with those that they have. */
static size_t show_time(char text[TIME_SIZE], struct timespec time)
{
    int64_t days = time.tv_sec / DAY;
    int64_t rest = time.tv_sec % DAY;
    if (rest < 0) {
        rest += DAY;
        days--;
    }
    int64_t year;
    int month;
    int day;
    date_of(days, &year, &month, &day);
    char *to = text;
    bool four = year >= 0 && year <= 9999;
    if (four)
        to = put_digits(to, year / 100, 2);
    else
        to += snprintf(to, TIME_SIZE / 2, "%s%02lld", year < 0 ? "-" : "",
                       (long long)(year < 0 ? -(year / 100) : year / 100));
    to = put_three(to, '-', year < 0 ? -(year % 100) : year % 100, month, day);
    *to++ = 'T';
    to = put_three(to, ':', rest / 3600, rest / 60 % 60, rest % 60);
    *to++ = '.';
    to = put_digits(to, time.tv_nsec, 9);
    *to++ = 'Z';
    return (size_t)(to - text);
}

/* As chmod takes it. */
static size_t show_mode(char text[TIME_SIZE], mode_t mode)
{
    enum { DIGITS = 4 };
    for (int i = 0; i < DIGITS; i++)
        text[i] = (char)('0' + (mode >> 3 * (DIGITS - 1 - i) & 7));
    return DIGITS;
}

static const char *type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "symlink";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    case S_IFCHR:
        return "character device";
    case S_IFBLK:
        return "block device";
    default:
        return "unknown";
    }
}

weir_status wi_scan_rows_stat(wi_scan_rows *rows, const struct stat *st, const char *hash,
                              bool *kept, weir_error *err)
{
    char text[TIME_SIZE];
    wi_batch *batch = rows->batch;
    size_t column = 1;
    wi_scan_rows_put_path(rows, batch);
    wi_content_put_text(batch, column++, type_of(st->st_mode));
    wi_batch_put_int(batch, column++, st->st_size);
    if (rows->shape->options.with_hash)
        wi_content_put_text(batch, column++, hash);
    wi_batch_put(batch, column++, WI_STRING, text, show_time(text, st->st_mtim));
    wi_batch_put(batch, column++, WI_STRING, text, show_mode(text, st->st_mode));
    wi_content_put_text(batch, column++, wi_owners_user(&rows->owners, st->st_uid));
    wi_content_put_text(batch, column++, wi_owners_group(&rows->owners, st->st_gid));
    wi_batch_put_int(batch, column++, (int64_t)st->st_nlink);
    wi_batch_put_int(batch, column++, (int64_t)st->st_ino);
    return wi_scan_rows_finish(rows, rows->path_len, kept, err);
}

weir_status wi_scan_rows_hash(wi_scan_rows *rows, int64_t size, const char *hash, bool *kept,
                              weir_error *err)
{
    wi_scan_rows_put_path(rows, rows->batch);
    wi_batch_put_int(rows->batch, 1, size);
    wi_content_put_text(rows->batch, 2, hash);
    return wi_scan_rows_finish(rows, rows->path_len, kept, err);
}
