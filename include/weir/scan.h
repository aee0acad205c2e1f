/*
 * weir/scan.h: the job kind that sifts through files.
 *
 * An item is one file, named, listed, or found below a folder. It makes any number of rows: a row
 * for each line that is kept (path, line, text, and a column for each named group of the patterns),
 * for each record of a CSV, TSV or NDJSON file (path, line and the record's own columns), or one
 * row for the whole file (path, size, content), for its facts or for what was counted in it. Where
 * text or content is neither text nor JSON, text_encoding or content_encoding says "base64". A file
 * that cannot be read, or not to its end, has a row with path and error, after those of its rows
 * that came before. docs/rows.md has the details.
 *
 * gzip, zstd, xz and bzip2 are recognised by content. Which files are looked at, and how paths are
 * written, is what ripgrep does with options of the same names.
 *
 * The work blocks, so it is done by threads. How many is found while running: about as many as
 * there are processors while files are in memory, many while storage is slow.
 */
#ifndef WEIR_SCAN_H
#define WEIR_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"
#include "weir/job.h"
#include "weir/options.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is read of a file. */
typedef enum weir_scan_read {
    WEIR_SCAN_LINES,
    WEIR_SCAN_RECORDS, /* rows of CSV and TSV, objects of NDJSON, as columns */
    WEIR_SCAN_WHOLE,   /* all of it, as one value */
    WEIR_SCAN_FACTS    /* nothing but what stat() or hash tells */
} weir_scan_read;

/* What comes out of what is kept. */
typedef enum weir_scan_give {
    WEIR_SCAN_ROWS,
    WEIR_SCAN_COUNT,              /* a row for each file that has any: path, count */
    WEIR_SCAN_FILES_WITH_MATCHES, /* path */
    WEIR_SCAN_FILES_WITHOUT_MATCH
} weir_scan_give;

/*
 * Zero means the default. Strings are copied by weir_scan_new.
 *
 * In `job`: input is a list of paths (plain lines, or the column path of CSV, TSV or NDJSON), whose
 * folders are walked, too; max_row is the longest line, record or whole file that is accepted;
 * in_flight is the number of threads, 0: found while running; lanes, rate, timeout and retries are
 * not for this kind and must be 0. Rows come in the order of the walk unless job.unordered.
 */
typedef struct weir_scan_options {
    size_t size; /* sizeof(weir_scan_options) */
    weir_job_options job;

    /* which files */
    const char *const *paths; /* files, folders, globs, "-"; with none and no input: "." */
    size_t paths_len;
    int nul; /* the paths of the input end with NUL bytes, as find -print0 writes them */
    const char *const *globs; /* --glob: files must match one, the last counts, "!" takes out */
    size_t globs_len;
    const char *const *iglobs; /* --iglob: in either case */
    size_t iglobs_len;
    int glob_nocase;
    int hidden;
    int follow;
    int one_file_system;
    int64_t max_depth; /* 1: the files of the roots themselves; 0: no limit */
    int sorted;        /* each folder by name */
    int no_ignore;     /* no list of ignored files counts, */
    int no_ignore_dot; /* or not those of this kind: .ignore, .rgignore */
    int no_ignore_exclude;
    int no_ignore_global;
    int no_ignore_parent;
    int no_ignore_vcs;
    int no_require_git;
    const char *const *ignore_files;
    size_t ignore_files_len;
    int ignore_file_nocase;

    /* what is read */
    weir_scan_read read;
    const char *records; /* RECORDS: "csv", "tsv", "ndjson"; NULL: by suffix */
    int stat;            /* FACTS: path, size, mtime, mode, type, owner, group, inode, links */
    const char *hash;  /* FACTS: "xxh3" (of 128 bits) or "sha256", of the bytes in the file as they
                          lie there */
    int text;          /* binary files, too */
    int no_decompress; /* archives are what they are */

    /* what is kept */
    const char *const *patterns; /* lines that match one of them; none: all */
    size_t patterns_len;
    int ignore_case;
    int smart_case;
    int fixed_strings;
    int word_regexp;
    int line_regexp;
    int invert_match;
    int no_unicode;
    const char *where;         /* a condition over the columns; docs/where.md */
    const char *const *select; /* these columns, in this order; none: all */
    size_t select_len;
    int64_t limit; /* so many rows, then the work ends; 0: all */
    weir_scan_give give;
} weir_scan_options;

#define WEIR_SCAN_OPTIONS_INIT WEIR_OPTIONS_INIT(weir_scan_options)

/*
 * Makes a job. Checks every option, opens the outputs; starts nothing. WEIR_INVALID says which
 * option, pattern or condition is wrong, and where.
 */
weir_status weir_scan_new(const weir_scan_options *options, weir_job **out, weir_error *err);

#ifdef __cplusplus
}
#endif
#endif
