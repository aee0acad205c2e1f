/*
 * scan_new.c: from options to a job. Its invariant: whatever is wrong with the options is found
 * before anything is read or written, and said with the name the option has on the command line.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "job.h"
#include "option_size.h"
#include "scan.h"

enum { MOST_HANDS = 4096, MOST_KEPT = 8 };

/* ---- what contradicts ---- */

typedef struct conflict {
    bool both;
    const char *text;
} conflict;

static weir_status check_conflicts(const conflict *list, size_t n, weir_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].both)
            return wi_fail(err, WEIR_INVALID, "%s", list[i].text);
    return WEIR_OK;
}

static weir_status check_job(const weir_scan_options *o, weir_error *err)
{
    const weir_job_options *j = &o->job;
    bool lines = !j->input_format || strcmp(j->input_format, "lines") == 0;
    const conflict list[] = {
        {j->rate != 0, "--rate is not for files"},
        {j->timeout > 0, "--timeout is not for files: use --deadline"},
        {j->retries > 0 || j->retry_on, "--retry is not for files"},
        {j->lanes != 0, "--lanes is not for files: their threads are counted by --jobs"},
        {j->input && o->paths_len, "paths and a list of paths (--input) were both given"},
        {o->nul && !j->input, "--null is about a list of paths: give one with --input"},
        {o->nul && !lines, "--null is about a list of plain paths, not of rows"},
    };
    return check_conflicts(list, sizeof list / sizeof list[0], err);
}

static weir_status check_reading(const weir_scan_options *o, weir_error *err)
{
    bool lines = o->read == WEIR_SCAN_LINES;
    bool records = o->read == WEIR_SCAN_RECORDS;
    bool facts = o->read == WEIR_SCAN_FACTS;
    bool styles = o->ignore_case || o->smart_case || o->fixed_strings || o->word_regexp ||
                  o->line_regexp || o->invert_match || o->no_unicode;
    const conflict list[] = {
        {(int)o->read < 0 || o->read > WEIR_SCAN_FACTS, "unknown value of read"},
        {(int)o->give < 0 || o->give > WEIR_SCAN_FILES_WITHOUT_MATCH, "unknown value of give"},
        {facts && !o->stat && !o->hash, "no facts were asked for: --stat or --hash"},
        {!facts && (o->stat || o->hash), "--stat and --hash read neither lines nor records"},
        {!records && o->records, "a format of records was given, but none are read"},
        {records && o->patterns_len,
         "--match looks at lines, and --records reads none: use --where with like"},
        {facts && o->patterns_len, "--match looks at lines, and --stat and --hash read none"},
        {styles && !o->patterns_len, "how to match was said, but not what: --match is missing"},
        {o->ignore_case && o->smart_case, "--ignore-case and --smart-case were both given"},
        {o->give != WEIR_SCAN_ROWS && !lines && !records,
         "what is counted or listed is files with lines or records, not --whole, --stat or --hash"},
        {o->text && !lines, "--text is about lines; the others read binary files as they are"},
        {o->no_decompress && facts,
         "--stat and --hash never decompress: --no-decompress changes nothing"},
    };
    return check_conflicts(list, sizeof list / sizeof list[0], err);
}

static weir_status check_numbers(const weir_scan_options *o, weir_error *err)
{
    const wi_range ranges[] = {
        {"--jobs", o->job.in_flight, 1, MOST_HANDS},
        {"--max-depth", o->max_depth, 1, UINT32_MAX},
        {"--limit", o->limit, 1, INT64_MAX},
    };
    return wi_check_ranges(ranges, sizeof ranges / sizeof ranges[0], err);
}

/* ---- which files ---- */

/* A copy of the strings in one block, which the job keeps. */
static weir_status keep(wi_scan *scan, const char *const *strings, size_t n,
                        const char *const **copy, weir_error *err)
{
    size_t size = n * sizeof *strings;
    for (size_t i = 0; i < n; i++)
        size += strlen(strings[i]) + 1;
    char **block = malloc(size ? size : 1);
    if (!block)
        return wi_fail_nomem(err);
    char *at = (char *)(block + n);
    for (size_t i = 0; i < n; i++) {
        block[i] = at;
        at = stpcpy(at, strings[i]) + 1;
    }
    scan->kept[scan->kept_len++] = block;
    *copy = (const char *const *)block;
    return WEIR_OK;
}

static weir_status set_ignore(wi_scan *scan, const weir_scan_options *o, weir_error *err)
{
    wi_ignore_options *ignore = &scan->walk_options.ignore;
    *ignore = (wi_ignore_options){
        .no_dot = o->no_ignore || o->no_ignore_dot,
        .no_exclude = o->no_ignore || o->no_ignore_exclude,
        .no_global = o->no_ignore || o->no_ignore_global,
        .no_parent = o->no_ignore || o->no_ignore_parent,
        .no_vcs = o->no_ignore || o->no_ignore_vcs,
        .no_require_git = o->no_require_git,
        .nocase = o->ignore_file_nocase,
        .n_files = o->ignore_files_len,
    };
    return keep(scan, o->ignore_files, o->ignore_files_len, &ignore->files, err);
}

static weir_status set_walk(wi_scan *scan, const weir_scan_options *o, weir_error *err)
{
    wi_walk_options *walk = &scan->walk_options;
    *walk = (wi_walk_options){
        .n_roots = o->paths_len,
        .n_globs = o->globs_len,
        .n_iglobs = o->iglobs_len,
        .glob_nocase = o->glob_nocase,
        .hidden = o->hidden,
        .follow = o->follow,
        .one_file_system = o->one_file_system,
        .sorted = o->sorted,
        .max_depth = (uint32_t)o->max_depth,
    };
    scan->kept = calloc(MOST_KEPT, sizeof *scan->kept);
    if (!scan->kept)
        return wi_fail_nomem(err);
    weir_status status = keep(scan, o->paths, o->paths_len, &walk->roots, err);
    if (status == WEIR_OK)
        status = keep(scan, o->globs, o->globs_len, &walk->globs, err);
    if (status == WEIR_OK)
        status = keep(scan, o->iglobs, o->iglobs_len, &walk->iglobs, err);
    return status == WEIR_OK ? set_ignore(scan, o, err) : status;
}

static weir_status set_list(wi_scan *scan, const weir_scan_options *o, weir_error *err)
{
    wi_scan_list_options list = {.input = o->job.input, .nul = o->nul, .max_row = scan->max_row};
    if (!o->job.input)
        return WEIR_OK;
    weir_status status = wi_job_input_format(&o->job, &list.format, err);
    if (status == WEIR_OK && o->nul)
        list.format = WI_FORMAT_LINES;
    return status == WEIR_OK ? wi_scan_list_open(&list, &scan->list, err) : status;
}

/* ---- what is read, what is kept ---- */

static weir_status set_reading(wi_scan *scan, const weir_scan_options *o, weir_error *err)
{
    scan->read = o->read;
    scan->give = o->give;
    scan->text = o->text;
    scan->no_decompress = o->no_decompress;
    scan->stats = o->stat;
    scan->hashes = o->hash != NULL;
    scan->limit = o->limit;
    if (o->hash && strcmp(o->hash, "sha256") == 0)
        scan->digest = WI_DIGEST_SHA256;
    else if (o->hash && strcmp(o->hash, "xxh3") != 0)
        return wi_fail(err, WEIR_INVALID, "--hash: there is no \"%.50s\": use xxh3 or sha256",
                       o->hash);
    if (!o->records)
        return WEIR_OK;
    weir_job_options named = {.input_format = o->records};
    weir_status status = wi_job_input_format(&named, &scan->records, NULL);
    if (status != WEIR_OK || scan->records == WI_FORMAT_LINES)
        return wi_fail(err, WEIR_INVALID,
                       "--records: there is no format \"%.50s\": use csv, tsv or ndjson",
                       o->records);
    return WEIR_OK;
}

static weir_status set_matcher(wi_scan *scan, const weir_scan_options *o, weir_error *err)
{
    const wi_matcher_options options = {
        .ignore_case = o->ignore_case,
        .smart_case = o->smart_case,
        .fixed_strings = o->fixed_strings,
        .word_regexp = o->word_regexp,
        .line_regexp = o->line_regexp,
        .invert_match = o->invert_match,
        .no_unicode = o->no_unicode,
    };
    if (!o->patterns_len)
        return WEIR_OK;
    wi_name *patterns = calloc(o->patterns_len, sizeof *patterns);
    if (!patterns)
        return wi_fail_nomem(err);
    for (size_t i = 0; i < o->patterns_len; i++)
        patterns[i] = (wi_name){o->patterns[i], strlen(o->patterns[i])};
    weir_status status = wi_matcher_new(patterns, o->patterns_len, &options, &scan->matcher, err);
    free(patterns);
    return status;
}

static bool is_line(const char *name, size_t len)
{
    return len == 4 && memcmp(name, "line", 4) == 0;
}

/* Does anybody want to know on which line things are? */
static bool numbers_lines(const wi_scan *scan, const weir_scan_options *o)
{
    bool wanted = o->select_len == 0;
    for (size_t i = 0; i < o->select_len; i++)
        wanted |= is_line(o->select[i], strlen(o->select[i]));
    for (size_t i = 0; scan->where && i < wi_expr_columns(scan->where); i++) {
        wi_name name = wi_expr_column(scan->where, i);
        wanted |= is_line(name.bytes, name.len);
    }
    return wanted;
}

static wi_scan_form form_of(const weir_scan_options *o)
{
    if (o->give == WEIR_SCAN_COUNT)
        return WI_SCAN_FORM_COUNT;
    if (o->give != WEIR_SCAN_ROWS)
        return WI_SCAN_FORM_PATH;
    switch (o->read) {
    case WEIR_SCAN_LINES:
        return WI_SCAN_FORM_LINE;
    case WEIR_SCAN_RECORDS:
        return WI_SCAN_FORM_RECORD;
    case WEIR_SCAN_WHOLE:
        return WI_SCAN_FORM_WHOLE;
    case WEIR_SCAN_FACTS:
        break;
    }
    return o->stat ? WI_SCAN_FORM_STAT : WI_SCAN_FORM_HASH;
}

static bool goes_to_terminal(const weir_job_options *o)
{
    bool standard = !o->output || strcmp(o->output, "-") == 0;
    return !o->write && standard && isatty(STDOUT_FILENO);
}

static weir_status set_shape(wi_scan *scan, const weir_scan_options *o, weir_error *err)
{
    wi_scan_shape_options shape = {
        .form = form_of(o),
        .with_hash = o->hash != NULL,
        .errors_apart = o->job.errors != NULL,
        .terminal = goes_to_terminal(&o->job),
        .where = scan->where,
        .select_len = o->select_len,
        .limited = o->limit > 0,
    };
    shape.sifted = o->read == WEIR_SCAN_RECORDS ? WI_SCAN_FORM_RECORD : WI_SCAN_FORM_LINE;
    if (o->read == WEIR_SCAN_LINES)
        shape.matcher = scan->matcher;
    weir_status status = wi_job_output_format(&o->job, &shape.format, err);
    if (status != WEIR_OK)
        return status;
    shape.errors_format = wi_job_errors_format(&o->job, shape.format);
    wi_name *select = calloc(o->select_len + 1, sizeof *select);
    if (!select)
        return wi_fail_nomem(err);
    for (size_t i = 0; i < o->select_len; i++)
        select[i] = (wi_name){o->select[i], strlen(o->select[i])};
    shape.select = select;
    status = wi_scan_shape_new(&shape, &scan->shape, err);
    free(select);
    return status;
}

static weir_status set_keeping(wi_scan *scan, const weir_scan_options *o, weir_error *err)
{
    weir_error inner;
    weir_status status = set_matcher(scan, o, err);
    if (status != WEIR_OK)
        return status;
    if (o->where)
        status = wi_expr_new(o->where, strlen(o->where), &scan->where, &inner);
    if (status != WEIR_OK)
        return wi_fail(err, status, "--where: %s", inner.text);
    scan->judges_lines = o->read == WEIR_SCAN_LINES && (o->give == WEIR_SCAN_ROWS || scan->where);
    scan->numbers_lines = numbers_lines(scan, o);
    return set_shape(scan, o, err);
}

/* ---- what all rows depend on ---- */

/*
 * What a run that continues must have in common with the first: all that says what is read of a
 * file and what becomes of it. Not so
 *
 *   paths, input, nul; globs and ignore lists; hidden, follow, one_file_system, max_depth: they say
 *   which files there are, and those of another choice have rows like these;
 *   sorted, unordered: the order of rows, which is another in a run that continues;
 *   limit: there is no journal with it;
 *   of `job` all others but the formats, which all kinds have in common.
 */
static weir_status add_facts(const weir_scan_options *o, int64_t max_row, wi_facts *facts,
                             weir_error *err)
{
    const char *records = o->records ? o->records : "auto";
    wi_facts_add(facts, "records", o->read == WEIR_SCAN_RECORDS ? records : NULL);
    wi_facts_add_flag(facts, "whole", o->read == WEIR_SCAN_WHOLE);
    wi_facts_add_flag(facts, "count", o->give == WEIR_SCAN_COUNT);
    wi_facts_add_flag(facts, "files-with-matches", o->give == WEIR_SCAN_FILES_WITH_MATCHES);
    wi_facts_add_flag(facts, "files-without-match", o->give == WEIR_SCAN_FILES_WITHOUT_MATCH);
    wi_facts_add_flag(facts, "stat", o->stat);
    wi_facts_add(facts, "hash", o->hash);
    wi_facts_add_flag(facts, "text", o->text);
    wi_facts_add_flag(facts, "no-decompress", o->no_decompress);
    wi_facts_add_number(facts, "max-row", o->read == WEIR_SCAN_FACTS ? 0 : max_row);
    wi_facts_add_list(facts, "match", o->patterns, o->patterns_len);
    wi_facts_add_flag(facts, "ignore-case", o->ignore_case);
    wi_facts_add_flag(facts, "smart-case", o->smart_case);
    wi_facts_add_flag(facts, "fixed-strings", o->fixed_strings);
    wi_facts_add_flag(facts, "word-regexp", o->word_regexp);
    wi_facts_add_flag(facts, "line-regexp", o->line_regexp);
    wi_facts_add_flag(facts, "invert-match", o->invert_match);
    wi_facts_add_flag(facts, "no-unicode", o->no_unicode);
    wi_facts_add(facts, "where", o->where);
    wi_facts_add_list(facts, "select", o->select, o->select_len);
    return facts->failed ? wi_fail_nomem(err) : WEIR_OK;
}

/* ---- the job ---- */

static weir_status describe_job(wi_scan *scan, const weir_scan_options *o, weir_error *err)
{
    weir_status status = check_job(o, err);
    if (status == WEIR_OK)
        status = check_reading(o, err);
    if (status == WEIR_OK)
        status = check_numbers(o, err);
    if (status == WEIR_OK)
        status = set_reading(scan, o, err);
    if (status == WEIR_OK)
        status = set_keeping(scan, o, err);
    if (status == WEIR_OK)
        status = set_walk(scan, o, err);
    if (status == WEIR_OK)
        status = set_list(scan, o, err);
    return status == WEIR_OK ? wi_scan_make_walk(scan, err) : status;
}

/* What has no journal, and why not: what stands behind the limit is not known to be there; and what
 * came from standard input does not come again, so what there is of it is to be kept. */
static const char *no_journal(const weir_scan_options *o)
{
    for (size_t i = 0; i < o->paths_len; i++)
        if (strcmp(o->paths[i], "-") == 0)
            return "the path - (standard input)";
    return o->limit ? "--limit" : NULL;
}

weir_status weir_scan_new(const weir_scan_options *options, weir_job **out, weir_error *err)
{
    weir_scan_options taken;
    const weir_scan_options *o = &taken;
    weir_status status = wi_options_take(&taken, sizeof taken, options, "weir_scan_options", err);
    if (status != WEIR_OK)
        return status;
    wi_scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return wi_fail_nomem(err);
    pthread_mutex_init(&scan->lock, NULL);
    wi_list_init(&scan->hands);
    wi_job_options job = {
        .common = o->job, .choices = 1, .limit = o->limit, .no_journal = no_journal(o)};
    status = wi_job_options_fill(&job.common, -1, -1, err);
    scan->max_row = (size_t)job.common.max_row;
    if (status == WEIR_OK)
        status = describe_job(scan, o, err);
    if (status == WEIR_OK)
        status = add_facts(o, job.common.max_row, &job.facts, err);
    if (status != WEIR_OK) {
        wi_facts_fini(&job.facts);
        wi_scan_free(scan);
        return status;
    }
    job.common.input = NULL; /* a list of paths, which the walk asks for */
    return wi_job_new(&job, &wi_scan_kind, scan, out, err);
}
