/* cmd_scan.c: weir scan. Turns options into a job; what they mean together, the library checks, but
 * for what cannot be said to it at all: two ways to read, two things to give. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/scan.h"

#include "commands.h"
#include "job_args.h"
#include "term.h"
#include "units.h"
#include "whole_file.h"

#define MAX_PATTERNS_FILE ((size_t)64 << 20)

typedef struct scan_args {
    job_args job; /* the first, for the common options */
    weir_scan_options scan;
    string_list paths;
    string_list globs;
    string_list iglobs;
    string_list ignore_files;
    string_list patterns;
    string_list select;
    string_list owned; /* what patterns and names of columns point into */
    const char *patterns_from_stdin;
    int unrestricted;
    int sort;    /* a choice */
    int records; /* a choice; -1: not given */
    int whole;
    int hash; /* a choice; -1: not given */
    int count;
    int with_matches;
    int without_match;
} scan_args;

static const char *const sort_choices[] = {"none", "path", NULL};
static const char *const records_choices[] = {"auto", "csv", "tsv", "ndjson", NULL};
static const char *const hash_choices[] = {"xxh3", "sha256", NULL};

/* Takes text that came from malloc. */
static bool own(scan_args *args, char *text, char *why, size_t why_size)
{
    if (text && string_list_add(&args->owned, text))
        return true;
    free(text);
    snprintf(why, why_size, "does not fit into memory");
    return false;
}

/* -e adds to what -f added, so both are calls. */
static bool set_match(void *to, const char *value, char *why, size_t why_size)
{
    if (string_list_add(&((scan_args *)to)->patterns, value))
        return true;
    snprintf(why, why_size, "does not fit into memory");
    return false;
}

/* A pattern on each line, as grep and ripgrep have it: an empty one matches everything. */
static bool set_match_file(void *to, const char *value, char *why, size_t why_size)
{
    scan_args *args = to;
    size_t len;
    char *text = whole_file_read(value, MAX_PATTERNS_FILE, &len, why, why_size);
    if (!text || !own(args, text, why, why_size))
        return false;
    if (!len || memchr(text, '\0', len)) {
        snprintf(why, why_size, len ? "holds a NUL, which no pattern does" : "holds no pattern");
        return false;
    }
    if (strcmp(value, "-") == 0)
        args->patterns_from_stdin = value;
    for (char *line = text; *line;) {
        char *end = line + strcspn(line, "\n");
        char *next = *end ? end + 1 : end;
        if (end > line && *end && end[-1] == '\r')
            end--;
        *end = '\0';
        if (!set_match(args, line, why, why_size))
            return false;
        line = next;
    }
    return true;
}

/* The end of a name that begins at `s`; what stands in backticks may hold a comma. */
static char *name_end(char *s)
{
    if (*s == '`' && strchr(s + 1, '`'))
        s = strchr(s + 1, '`') + 1;
    return s + strcspn(s, ",");
}

/* "a, b,`c,d`": names as conditions have them. */
static bool set_select(void *to, const char *value, char *why, size_t why_size)
{
    scan_args *args = to;
    char *s = strdup(value), *end;
    if (!own(args, s, why, why_size))
        return false;
    for (bool more = true; more; s = end + 1) {
        s += strspn(s, " ");
        end = name_end(s);
        more = *end;
        char *last = end;
        while (last > s && last[-1] == ' ')
            last--;
        if (last - s > 2 && *s == '`' && last[-1] == '`') {
            s++;
            last--;
        }
        if (last == s) {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): s is owned */
            snprintf(why, why_size, "lacks a name; write columns with commas in between: a,b");
            return false;
        }
        *last = '\0';
        if (!string_list_add(&args->select, s)) {
            snprintf(why, why_size, "does not fit into memory");
            return false;
        }
    }
    return true;
}

/* clang-format off */
#define AT(field) .offset = offsetof(scan_args, field)

static const option scan_options[] = {
    OPTION_GROUP("Which files"),
    {.name = "input", .letter = 'i', .arg = "FILE", .kind = OPTION_STRING, AT_JOB(options.input),
     .help = "a list of paths to scan; - is standard input",
     .more = "Instead of PATHs: one on each line, or the column path of CSV, TSV or NDJSON. Folders "
             "among them are gone through, too. The list is read as it is needed, so it may be "
             "endless, and it may be compressed."},
    JOB_OPTION_INPUT_FORMAT,
    {.name = "null", .letter = '0', .kind = OPTION_FLAG, AT(scan.nul),
     .help = "the list's paths end with NUL (find -print0)"},
    {.name = "glob", .letter = 'g', .arg = "GLOB", .kind = OPTION_LIST, AT(globs),
     .help = "only these, as '*.log'; '!*.tmp' takes out",
     .more = "Files must match one of them, if there is one without a `!`; of several the last that "
             "matches counts. As in .gitignore, `*` stops at a slash, `**` does not, `{a,b}` is "
             "either, and a glob with a slash is seen from the current folder."},
    {.name = "iglob", .arg = "GLOB", .kind = OPTION_LIST, AT(iglobs),
     .rare = true, .help = "the same in either case of letters"},
    {.name = "glob-case-insensitive", .kind = OPTION_FLAG, AT(scan.glob_nocase), .negatable = true,
     .rare = true, .help = "--glob in either case, too"},
    {.name = "hidden", .letter = '.', .kind = OPTION_FLAG, AT(scan.hidden), .negatable = true,
     .help = "hidden files and folders, too"},
    {.name = "follow", .letter = 'L', .kind = OPTION_FLAG, AT(scan.follow), .negatable = true,
     .help = "follow symbolic links",
     .more = "A path that is given is followed in any case. A link that leads to a folder above it "
             "is an error of its own."},
    {.name = "one-file-system", .kind = OPTION_FLAG, AT(scan.one_file_system), .negatable = true,
     .help = "stay on the file system of each path"},
    {.name = "max-depth", .arg = "N", .kind = OPTION_COUNT, AT(scan.max_depth), .min = 1,
     .max = 1000000, .help = "so many levels down; 1: no folder in a folder"},
    {.name = "sort", .arg = "ORDER", .kind = OPTION_CHOICE, AT(sort), .choices = sort_choices,
     .help = "by path, or none (the default)",
     .more = "With `path` each folder comes by name. With `none` folders come in the order in which "
             "they lie on the disk, which is faster."},

    OPTION_GROUP("Ignored files"),
    {.name = "unrestricted", .letter = 'u', .kind = OPTION_TIMES, AT(unrestricted),
     .help = "--no-ignore; -uu --hidden; -uuu --text, too"},
    {.name = "no-ignore", .kind = OPTION_FLAG, AT(scan.no_ignore),
     .help = "disregard .gitignore and all lists like it"},
    {.name = "no-ignore-dot", .kind = OPTION_FLAG, AT(scan.no_ignore_dot),
     .rare = true, .help = "disregard .ignore and .rgignore"},
    {.name = "no-ignore-exclude", .kind = OPTION_FLAG, AT(scan.no_ignore_exclude),
     .rare = true, .help = "disregard .git/info/exclude"},
    {.name = "no-ignore-global", .kind = OPTION_FLAG, AT(scan.no_ignore_global),
     .rare = true, .help = "disregard the user's own list of git"},
    {.name = "no-ignore-parent", .kind = OPTION_FLAG, AT(scan.no_ignore_parent),
     .rare = true, .help = "disregard lists above the given paths"},
    {.name = "no-ignore-vcs", .kind = OPTION_FLAG, AT(scan.no_ignore_vcs),
     .rare = true, .help = "disregard all lists of git"},
    {.name = "no-require-git", .kind = OPTION_FLAG, AT(scan.no_require_git),
     .rare = true, .help = "heed .gitignore outside of repositories, too"},
    {.name = "ignore-file", .arg = "FILE", .kind = OPTION_LIST, AT(ignore_files),
     .help = "one more list, as .gitignore"},
    {.name = "ignore-file-case-insensitive", .kind = OPTION_FLAG, AT(scan.ignore_file_nocase),
     .negatable = true, .rare = true, .help = "lists match in either case"},

    OPTION_GROUP("What is read (default: lines)"),
    {.name = "records", .arg = "FORMAT", .kind = OPTION_CHOICE, AT(records),
     .choices = records_choices, .help = "rows of tables: csv, tsv, ndjson or auto",
     .more = "Their columns become columns. With `auto` the suffix says what a file is."},
    {.name = "whole", .kind = OPTION_FLAG, AT(whole), .help = "each file as one value"},
    {.name = "stat", .kind = OPTION_FLAG, AT(scan.stat),
     .help = "only facts: size, times, mode, owner"},
    {.name = "hash", .arg = "NAME", .kind = OPTION_CHOICE, AT(hash), .choices = hash_choices,
     .help = "only the hash of each file: xxh3 or sha256",
     .more = "Of the bytes as they lie in the file. With `--stat` both."},
    {.name = "text", .letter = 'a', .kind = OPTION_FLAG, AT(scan.text), .negatable = true,
     .help = "binary files, too",
     .more = "Otherwise a file with a NUL in it is passed over, and counted."},
    {.name = "no-decompress", .kind = OPTION_FLAG, AT(scan.no_decompress),
     .help = "take gzip, zstd, xz, bzip2 as they are"},
    {.name = "max-row", .arg = "SIZE", .kind = OPTION_SIZE, JOB_MAX_ROW,
     .rare = true, .help = "longest line, record, file (default 16M)",
     .more = "A file that is longer, or has a longer line, fails; of records only the longer one."},

    OPTION_GROUP("What is kept (default: all)"),
    {.name = "match", .letter = 'e', .alias = "regexp", .arg = "REGEX", .kind = OPTION_CALL,
     .call = set_match, .help = "lines that match; of several any",
     .more = "A regular expression of PCRE2. Its named groups, `(?<name>...)`, become columns. May be "
             "given several times."},
    {.name = "match-file", .letter = 'f', .alias = "file", .arg = "FILE", .kind = OPTION_CALL,
     .call = set_match_file, .help = "the same, one on each line of a file",
     .more = "`-` is standard input. May be given several times."},
    {.name = "ignore-case", .kind = OPTION_FLAG, AT(scan.ignore_case), .negatable = true,
     .help = "match letters in either case",
     .more = "There is no -i for it, which is the input here as in every job."},
    {.name = "smart-case", .letter = 'S', .kind = OPTION_FLAG, AT(scan.smart_case),
     .negatable = true, .help = "the same if no pattern has a capital"},
    {.name = "fixed-strings", .letter = 'F', .kind = OPTION_FLAG, AT(scan.fixed_strings),
     .negatable = true, .help = "patterns are texts"},
    {.name = "word-regexp", .letter = 'w', .kind = OPTION_FLAG, AT(scan.word_regexp),
     .help = "match whole words only"},
    {.name = "line-regexp", .letter = 'x', .kind = OPTION_FLAG, AT(scan.line_regexp),
     .help = "match whole lines only"},
    {.name = "invert-match", .letter = 'v', .kind = OPTION_FLAG, AT(scan.invert_match),
     .negatable = true, .help = "lines that don't match"},
    {.name = "no-unicode", .kind = OPTION_FLAG, AT(scan.no_unicode),
     .rare = true, .help = "match bytes; classes and case of ASCII only"},
    {.name = "where", .arg = "CONDITION", .kind = OPTION_STRING, AT(scan.where),
     .help = "rows of which it is true, as 'status >= 500'",
     .more = "Compares columns: `=`, `!=`, `<`, `like`, `in`, `between`, `is null`, `and`, `or`, "
             "`not`. Texts stand in either kind of quotes."},
    {.name = "limit", .arg = "N", .kind = OPTION_COUNT, AT(scan.limit), .min = 1, .max = INT64_MAX,
     .help = "end with so many rows"},

    OPTION_GROUP("Output"),
    {.name = "select", .arg = "A,B,C", .kind = OPTION_CALL, .call = set_select,
     .help = "only these columns, in this order",
     .more = "A name with a comma stands in backticks."},
    {.name = "count", .letter = 'c', .kind = OPTION_FLAG, AT(count),
     .help = "how many each file has, if any; not the rows"},
    {.name = "files-with-matches", .letter = 'l', .kind = OPTION_FLAG, AT(with_matches),
     .help = "only the paths of files that have any"},
    {.name = "files-without-match", .kind = OPTION_FLAG, AT(without_match),
     .help = "only the paths of files that have none"},
    JOB_OPTIONS_OUTPUT,

    OPTION_GROUP("How many, how long"),
    {.name = "jobs", .letter = 'j', .alias = "threads", .arg = "N|auto", .kind = OPTION_COUNT,
     AT_JOB(options.in_flight), .min = 1, .max = 1000, .word = "auto", .word_value = 0,
     .help = "threads (default auto: found)",
     .more = "With `auto` there are about as many as processors while files are in memory, and many "
             "where storage makes them wait."},
    JOB_OPTIONS_BOUNDS,
    JOB_OPTIONS_HALT,
    JOB_OPTIONS_RUN,
    OPTION_END,
};
/* clang-format on */

static const command_example scan_examples[] = {
    {"the lines that match, of all files below a folder, archives included",
     "weir scan logs -e 'ERROR (?<code>[0-9]+)' -o errors.ndjson"},
    {"the rows of all tables below here of which a condition is true",
     "weir scan -g '*.csv' --records auto --where 'status >= 500'"},
    {"how many lines each file has that hold either word",
     "weir scan -c -w -e error -e fatal '/var/log/**/*.log'"},
    {"the files below here that are larger than a megabyte",
     "weir scan --stat --where 'size > 1000000' --select size,path"},
    {"a checksum of each file of a list",
     "find . -type f -print0 | weir scan -i - -0 --hash sha256 -o sums.csv"},
    {"the first ten lines anywhere that hold a text",
     "weir scan -F -e 'TODO(' --limit 10 --sort path src"},
    {NULL, NULL},
};

static const command_section scan_sections[] = {
    {"Paths",
     "A PATH is a file, a folder, of which all is scanned that lies below, a glob such as "
     "`'logs/**/*.{log,gz}'`, or `-` for standard input. Without any, and without `-i`, it is the "
     "current folder, also where standard input is a pipe.\n"
     "\n"
     "Below folders hidden files are passed over, and so is what .gitignore, .ignore and their "
     "like "
     "say; `-uu` takes them all. Symbolic links are passed over without `-L`, but for those that "
     "are given. Pipes, sockets and devices are scanned only if they are given themselves. All of "
     "this, and how paths are written, is as ripgrep has it under the same options."},
    {"What is read",
     "Files that are compressed with gzip, zstd, xz or bzip2 are recognised by what they hold and "
     "read as what they unpack to, unless `--no-decompress` is given. A file that holds a NUL is "
     "taken for binary, and not searched for lines without `-a`; how many there were is said at "
     "the end. Where the NUL stands so far behind that there are rows already, a row says so.\n"
     "\n"
     "`-e` is about lines; with `--whole` it keeps the files of which a line matches. For the "
     "records of tables use `--where`, as in `--where \"name like '%x%'\"`."},
    {"Rows",
     "Of lines: path, line (its number, from 1) and text, and a column for each named group. Of "
     "records: path, line and the record's own columns. Of whole files: path, size and content. "
     "With `--stat`: path, type, size, mtime, mode, owner, group, links, inode; with `--hash`, "
     "too: hash; with `--hash` alone: path, size, hash. With `-c`: path and count. path_encoding, "
     "text_encoding and content_encoding say `base64` for what is not UTF-8. NDJSON leaves these "
     "and error out where they are null.\n"
     "\n"
     "A file that cannot be read, or not to its end, has a row with its path and the reason in "
     "error, behind the rows that it had given before."},
    JOB_SECTION_CTRL_C,
    JOB_SECTION_RESUME,
    JOB_SECTION_EXIT,
    {"Environment", "NO_COLOR, if not empty, stands for `--color never`."},
    {NULL, NULL},
};

/* What of the file is read, and what is given of that: one each. 0, or the exit code. */
static int choose(scan_args *args)
{
    weir_scan_options *o = &args->scan;
    o->hash = args->hash >= 0 ? hash_choices[args->hash] : NULL;
    bool facts = o->stat || o->hash;
    if ((args->records >= 0) + args->whole + facts > 1)
        return command_fail(&cmd_scan, "--records, --whole and --stat or --hash are different ways "
                                       "to read a file; give one of them");
    if (args->count + args->with_matches + args->without_match > 1)
        return command_fail(&cmd_scan, "--count, --files-with-matches and --files-without-match "
                                       "exclude each other; give one of them");
    o->read = args->records >= 0 ? WEIR_SCAN_RECORDS
              : args->whole      ? WEIR_SCAN_WHOLE
              : facts            ? WEIR_SCAN_FACTS
                                 : WEIR_SCAN_LINES;
    o->records = args->records > 0 ? records_choices[args->records] : NULL;
    o->give = args->count           ? WEIR_SCAN_COUNT
              : args->with_matches  ? WEIR_SCAN_FILES_WITH_MATCHES
              : args->without_match ? WEIR_SCAN_FILES_WITHOUT_MATCH
                                    : WEIR_SCAN_ROWS;
    return 0;
}

/* Standard input can be read once. 0, or the exit code. */
static int check_stdin(const scan_args *args)
{
    const char *input = args->job.options.input;
    int readers = (args->patterns_from_stdin != NULL) + (input && strcmp(input, "-") == 0);
    bool path = false;
    for (size_t i = 0; i < args->paths.len; i++)
        path = path || strcmp(args->paths.items[i], "-") == 0;
    if (readers + path > 1)
        return command_fail(&cmd_scan, "only one of -i -, -f - and the path - can read standard "
                                       "input");
    return 0;
}

/* Puts the rest of the arguments where the library expects them. 0, or the exit code. */
static int complete_options(scan_args *args)
{
    weir_scan_options *o = &args->scan;
    int code = job_args_complete(&cmd_scan, &args->job);
    if (code != 0)
        return code;
    o->job = args->job.options;
    o->job.retries = 0;
    o->paths = args->paths.items;
    o->paths_len = args->paths.len;
    o->globs = args->globs.items;
    o->globs_len = args->globs.len;
    o->iglobs = args->iglobs.items;
    o->iglobs_len = args->iglobs.len;
    o->ignore_files = args->ignore_files.items;
    o->ignore_files_len = args->ignore_files.len;
    o->patterns = args->patterns.items;
    o->patterns_len = args->patterns.len;
    o->select = args->select.items;
    o->select_len = args->select.len;
    o->sorted = args->sort;
    code = choose(args);
    o->no_ignore = o->no_ignore || args->unrestricted > 0;
    o->hidden = o->hidden || args->unrestricted > 1;
    /* what else is read of files, is read of binary ones anyway */
    o->text = o->text || (args->unrestricted > 2 && o->read == WEIR_SCAN_LINES);
    return code ? code : check_stdin(args);
}

/* Whoever is used to grep names a pattern first. */
static void hint_at_match(const scan_args *args)
{
    char shown[256];
    const char *first = args->paths.len ? args->paths.items[0] : "-";
    if (args->job.quiet || args->patterns.len || strcmp(first, "-") == 0 ||
        strpbrk(first, "*?[{") || access(first, F_OK) == 0)
        return;
    fprintf(stderr, "note: there is no %s; if it is what lines should match, write -e before it\n",
            term_escape(shown, sizeof shown, first));
}

static void release(scan_args *args)
{
    for (size_t i = 0; i < args->owned.len; i++)
        free((char *)args->owned.items[i]);
    free(args->owned.items);
    free(args->patterns.items);
    free(args->select.items);
}

static const job_nouns scan_nouns = {.one = "file",
                                     .many = "files",
                                     .started = "read",
                                     .received = "read",
                                     .hand = "thread",
                                     .hands = "threads"};

static int scan_run(int argc, char **argv)
{
    scan_args args = {.scan = WEIR_SCAN_OPTIONS_INIT, .records = -1, .hash = -1};
    weir_error err;
    weir_job *job = NULL;
    int code;
    if (options_parse(&cmd_scan, &args, argc, argv, &code) &&
        (code = complete_options(&args)) == 0) {
        if (weir_scan_new(&args.scan, &job, &err) != WEIR_OK) {
            code = command_fail(&cmd_scan, "%s", err.text);
        } else {
            hint_at_match(&args);
            code = job_args_run(&cmd_scan, &args.job, &(job_telling){.nouns = &scan_nouns}, job);
        }
    }
    options_free(&cmd_scan, &args);
    release(&args);
    return code;
}

const command cmd_scan = {
    .name = "scan",
    .summary = "sift through many files at once, and get rows of what they hold",
    .usage = "[OPTION]... [PATH]...",
    .about =
        "Goes through files, many at a time, and writes a row for each line that matches, each "
        "record of a table of which a condition is true, or each file: what is in it, its facts or "
        "its hash. Rows come in the order of the files. Without a PATH the current folder is "
        "scanned.\n"
        "\n"
        "Rows go to standard output, everything else to standard error. At the end a summary "
        "accounts for every file.\n"
        "\n"
        "Times are written as `250ms`, `5s`, `2m`, `1h` (a bare number is seconds), sizes as "
        "`4K`, `64M`, `1G`.",
    .options = scan_options,
    .examples = scan_examples,
    .sections = scan_sections,
    .operands_offset = offsetof(scan_args, paths),
    .takes_operands = true,
    .man = true,
    .run = scan_run,
};
