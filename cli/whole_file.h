/* whole_file.h: a file that an option names, in memory. */
#ifndef WHOLE_FILE_H
#define WHOLE_FILE_H

#include <stddef.h>

/*
 * Reads a file, "-" for standard input, of at most `most` bytes. The caller frees what is returned,
 * which ends with a NUL that *len does not count. NULL: `why` says what is wrong with the file, to
 * follow its name.
 */
char *whole_file_read(const char *path, size_t most, size_t *len, char *why, size_t why_size);

#endif
