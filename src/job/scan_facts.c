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

/* RFC 3339; years that have not four digits are written with those that they have. */
static size_t show_time(char *text, size_t size, struct timespec time)
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
    return (size_t)snprintf(text, size, "%04lld-%02d-%02dT%02d:%02d:%02d.%09ldZ", (long long)year,
                            month, day, (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60),
                            time.tv_nsec);
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
    char text[64];
    wi_batch *batch = rows->batch;
    size_t column = 1;
    wi_scan_rows_put_path(rows, batch);
    wi_content_put_text(batch, column++, type_of(st->st_mode));
    wi_batch_put_int(batch, column++, st->st_size);
    if (rows->shape->options.with_hash)
        wi_content_put_text(batch, column++, hash);
    wi_batch_put(batch, column++, WI_STRING, text, show_time(text, sizeof text, st->st_mtim));
    snprintf(text, sizeof text, "%04o", (unsigned)st->st_mode & 07777);
    wi_content_put_text(batch, column++, text);
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
