/* whole_file.c: see whole_file.h. */
#include "whole_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

/* Up to the end; of more than `most` bytes one more than that. */
static char *read_stream(FILE *in, size_t most, size_t *len)
{
    char *bytes = NULL;
    size_t cap = 0, n;
    *len = 0;
    do {
        if (cap - *len < 2) {
            cap = cap ? cap * 2 : 65536;
            char *more = realloc(bytes, cap);
            if (!more) {
                free(bytes);
                errno = ENOMEM;
                return NULL;
            }
            bytes = more;
        }
        n = fread(bytes + *len, 1, cap - *len - 1, in);
        *len += n;
    } while (n > 0 && *len <= most);
    bytes[*len] = '\0';
    if (!ferror(in))
        return bytes;
    int error = errno;
    free(bytes);
    errno = error;
    return NULL;
}

char *whole_file_read(const char *path, size_t most, size_t *len, char *why, size_t why_size)
{
    units_text size;
    size_t n = 0;
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *in = is_stdin ? stdin : fopen(path, "rbe");
    char *bytes = in ? read_stream(in, most, &n) : NULL;
    if (!bytes)
        snprintf(why, why_size, "cannot be read: %s", strerror(errno));
    if (bytes && n > most) {
        snprintf(why, why_size, "is too large; it can have %s", units_size(&size, (int64_t)most));
        free(bytes);
        bytes = NULL;
    }
    if (in && !is_stdin)
        fclose(in);
    if (bytes)
        *len = n;
    return bytes;
}
