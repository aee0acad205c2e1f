/*
 * outputs_begin.c: how a job's outputs begin, see outputs.h: which of them have a journal, and how
 * the files are brought into the state that the journal speaks of. Its invariant: whatever is
 * renamed or cut off here, the journal says before that it may be.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"
#include "output.h"
#include "outputs_state.h"

static const char partial[] = ".partial";
static const char copied[] = ".partial.new";
static const char journal_suffix[] = ".weir";
static const char longest[] = ".weir-journal"; /* of all the names that are used */

/* ---- which journal? ---- */

static const char *option_of(weir_journal journal)
{
    return journal == WEIR_JOURNAL_RESUME         ? "--resume"
           : journal == WEIR_JOURNAL_RESTART      ? "--restart"
           : journal == WEIR_JOURNAL_RETRY_FAILED ? "--retry-failed"
                                                  : NULL;
}

/* WEIR_OK: there is none, and none is asked for. */
static weir_status do_without(const wi_outputs *outputs, weir_error *err)
{
    const wi_outputs_options *o = &outputs->options;
    const char *option = option_of(o->journal);
    if (!option)
        return WEIR_OK;
    if (o->no_journal)
        return wi_fail(err, WEIR_INVALID, "%s and %s exclude each other: there is no journal then",
                       option, o->no_journal);
    if (!outputs->places[WI_OUTPUTS_ROWS])
        return wi_fail(err, WEIR_INVALID,
                       "%s needs a file for the rows (-o): what went elsewhere cannot be continued",
                       option);
    return wi_fail(err, WEIR_INVALID,
                   "%s needs a file for the failed rows too (--errors): what went to %s cannot be "
                   "continued",
                   option, outputs->paths[WI_OUTPUTS_ERRORS]);
}

static weir_status check_names(const wi_outputs *outputs, weir_error *err)
{
    for (size_t i = 0; i < outputs->len; i++) {
        const char *place = outputs->places[i];
        const char *other = outputs->places[!i];
        if (strlen(strrchr(place, '/') + 1) + strlen(longest) > NAME_MAX)
            return wi_fail(err, WEIR_INVALID,
                           "the name of %s is too long for that of its journal (%s): give it a "
                           "shorter one, or use --no-journal",
                           outputs->paths[i], journal_suffix);
        size_t len = strlen(place);
        if (other && strncmp(place, other, len) == 0 &&
            (strncmp(other + len, partial, strlen(partial)) == 0 ||
             strncmp(other + len, journal_suffix, strlen(journal_suffix)) == 0))
            return wi_fail(err, WEIR_INVALID,
                           "%s is the name of a file that %s needs while the run goes on: give "
                           "another",
                           outputs->paths[!i], outputs->paths[i]);
    }
    return WEIR_OK;
}

static weir_status keep_paths(wi_outputs *outputs, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++) {
        wi_sink_options *sink = &outputs->options.sinks[i];
        if (!sink->path)
            continue;
        sink->path = outputs->paths[i] = strdup(sink->path);
        status =
            sink->path ? wi_output_look(sink->path, &outputs->places[i], err) : wi_fail_nomem(err);
    }
    return status;
}

static weir_status choose(wi_outputs *outputs, weir_error *err)
{
    const wi_outputs_options *o = &outputs->options;
    outputs->has_journal = o->journal != WEIR_JOURNAL_NONE && !o->no_journal;
    for (size_t i = 0; i < outputs->len; i++)
        outputs->has_journal &= outputs->places[i] != NULL;
    return outputs->has_journal ? check_names(outputs, err) : do_without(outputs, err);
}

static weir_status open_sinks(wi_outputs *outputs, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++)
        status = wi_sink_new(&outputs->options.sinks[i], &outputs->sinks[i], err);
    return status;
}

weir_status wi_outputs_open(const wi_outputs_options *options, wi_outputs **out, weir_error *err)
{
    wi_outputs *outputs = calloc(1, sizeof *outputs);
    if (!outputs)
        return wi_fail_nomem(err);
    outputs->options = *options;
    outputs->len = options->has_errors ? WI_OUTPUTS_LEN : WI_OUTPUTS_ERRORS;
    weir_status status = keep_paths(outputs, err);
    if (status == WEIR_OK)
        status = choose(outputs, err);
    if (status == WEIR_OK && !outputs->has_journal)
        status = open_sinks(outputs, err);
    if (status != WEIR_OK) {
        wi_outputs_free(outputs);
        return status;
    }
    *out = outputs;
    return WEIR_OK;
}

/* ---- names ---- */

weir_status wi_outputs_sync_folders(const wi_outputs *outputs, weir_error *err)
{
    for (size_t i = 0; i < outputs->len; i++) {
        int sys_errno = wi_output_sync_folder(outputs->places[i]);
        if (sys_errno)
            return wi_fail_errno(err, sys_errno, "cannot bring the name of %s to the disk",
                                 outputs->paths[i]);
    }
    return WEIR_OK;
}

/* Those that have not been renamed yet. */
static weir_status rename_all(const wi_outputs *outputs, const char *from, const char *to,
                              weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++) {
        char *old = wi_output_name(outputs->places[i], from);
        char *new = wi_output_name(outputs->places[i], to);
        if (!old || !new)
            status = wi_fail_nomem(err);
        else if (rename(old, new) != 0 && errno != ENOENT)
            status = wi_fail_errno(err, errno, "cannot rename %s to %s", old, new);
        free(old);
        free(new);
    }
    return status == WEIR_OK ? wi_outputs_sync_folders(outputs, err) : status;
}

/* ---- going on ---- */

static weir_status skip(void *arg, int64_t offset, int64_t length, weir_error *err)
{
    return wi_copy_skip(arg, offset, length, err);
}

static weir_status copy_one(const wi_outputs *outputs, size_t i, const char *from, int64_t *length,
                            weir_error *err)
{
    char *old = wi_output_name(outputs->places[i], from);
    char *new = wi_output_name(outputs->places[i], copied);
    wi_copy *copy = NULL;
    weir_status status = WEIR_OK;
    if (!old || !new)
        status = wi_fail_nomem(err);
    if (status == WEIR_OK)
        status = wi_copy_begin(old, new, wi_journal_length(outputs->journal, i), &copy, err);
    if (status == WEIR_OK && outputs->options.journal == WEIR_JOURNAL_RETRY_FAILED)
        status = wi_journal_failed_rows(outputs->journal, i, skip, copy, err);
    if (status == WEIR_OK)
        status = wi_copy_end(copy, length, err);
    wi_copy_free(copy);
    free(old);
    free(new);
    return status;
}

static void remove_copies(const wi_outputs *outputs)
{
    for (size_t i = 0; i < outputs->len; i++) {
        char *name = wi_output_name(outputs->places[i], copied);
        if (name)
            unlink(name);
        free(name);
    }
}

/* Goes on with copies. What is copied stays until the journal knows of them. */
static weir_status rewrite(wi_outputs *outputs, const char *from, weir_error *err)
{
    int64_t lengths[WI_OUTPUTS_LEN] = {0};
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++)
        status = copy_one(outputs, i, from, &lengths[i], err);
    if (status == WEIR_OK)
        status = wi_outputs_sync_folders(outputs, err);
    if (status != WEIR_OK) {
        remove_copies(outputs);
        return status;
    }
    status = wi_journal_rewrite(outputs->journal, lengths, err);
    outputs->in_doubt |= status != WEIR_OK;
    return status == WEIR_OK ? rename_all(outputs, copied, partial, err) : status;
}

/* Gives the names that a crash kept from being given. That the journal says so before anything else
 * is done matters: the next copy, half made, must not be taken for the last. */
static weir_status make_up_for(wi_outputs *outputs, weir_error *err)
{
    weir_status status = WEIR_OK;
    wi_journal_state state = wi_journal_state_of(outputs->journal);
    if (state == WI_JOURNAL_REWRITTEN) {
        status = rename_all(outputs, copied, partial, err);
        if (status == WEIR_OK)
            status = wi_journal_renamed(outputs->journal, err);
    } else if (state == WI_JOURNAL_ENDING) {
        status = rename_all(outputs, partial, "", err);
        if (status == WEIR_OK)
            status = wi_journal_finish(outputs->journal, err);
    }
    return status;
}

/* Brings the files into the state in which rows can be added. */
static weir_status go_on(wi_outputs *outputs, weir_error *err)
{
    wi_journal *journal = outputs->journal;
    weir_status status = make_up_for(outputs, err);
    if (status != WEIR_OK)
        return status;
    if (wi_journal_state_of(journal) == WI_JOURNAL_FINISHED)
        return rewrite(outputs, "", err);
    bool retries = outputs->options.journal == WEIR_JOURNAL_RETRY_FAILED;
    if (retries && wi_journal_failed(journal))
        return rewrite(outputs, partial, err);
    return WEIR_OK;
}

static weir_status continue_sinks(wi_outputs *outputs, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++)
        status = wi_sink_continue(&outputs->options.sinks[i], outputs->places[i],
                                  wi_journal_length(outputs->journal, i), &outputs->sinks[i], err);
    return status;
}

/* ---- the journal ---- */

static weir_status open_journal(wi_outputs *outputs, const char *path, weir_error *err)
{
    static const char *const names[] = {"rows", "errors"};
    static const wi_journal_mode modes[] = {
        [WEIR_JOURNAL_NEW] = WI_JOURNAL_NEW,         [WEIR_JOURNAL_RESUME] = WI_JOURNAL_RESUME,
        [WEIR_JOURNAL_RESTART] = WI_JOURNAL_RESTART, [WEIR_JOURNAL_RETRY_FAILED] = WI_JOURNAL_RETRY,
        [WEIR_JOURNAL_NONE] = WI_JOURNAL_NEW,
    };
    char *name = wi_outputs_name(outputs, WI_OUTPUTS_ROWS, journal_suffix);
    wi_journal_options o = {
        .path = path,
        .name = name,
        .like = outputs->places[WI_OUTPUTS_ROWS],
        .mode = modes[outputs->options.journal],
        .facts = outputs->options.facts,
        .outputs = names,
        .outputs_len = outputs->len,
        .commit_every = outputs->options.commit_every,
    };
    weir_status status = name ? wi_journal_open(&o, &outputs->journal, err) : wi_fail_nomem(err);
    free(name);
    return status;
}

/* An output without a journal where there is one beside it: that of a finished run is held until
 * the output is replaced, and that of an unfinished run is refused. */
static weir_status begin_without(wi_outputs *outputs, weir_error *err)
{
    struct stat st;
    const char *place = outputs->places[WI_OUTPUTS_ROWS];
    if (!place)
        return WEIR_OK;
    char *path = wi_output_name(place, journal_suffix);
    weir_status status = path ? WEIR_OK : wi_fail_nomem(err);
    if (path && lstat(path, &st) == 0)
        status = open_journal(outputs, path, err);
    if (status == WEIR_UNSUPPORTED)
        status = wi_fail(err, status,
                         "%s is there, and cannot be looked into without SQLite: install it "
                         "(libsqlite3-0), or move that file away",
                         path);
    free(path);
    return status;
}

static weir_status check_kept_in(const wi_outputs *outputs, size_t i, bool *is_there,
                                 weir_error *err)
{
    struct stat st;
    char *name = wi_output_name(outputs->places[i], partial);
    weir_status status = name ? WEIR_OK : wi_fail_nomem(err);
    *is_there = name && lstat(name, &st) == 0;
    if (*is_there && S_ISREG(st.st_mode) && st.st_size)
        status = wi_fail(err, WEIR_INVALID,
                         "%s has rows of another run, or of one without a journal: move it away, "
                         "or begin anew with --restart",
                         name);
    free(name);
    return status;
}

/* Rows that a run without a journal has kept are not written over unasked, nor failed ones of a run
 * whose rows go elsewhere. What a run that came upon a finished one has left is ours: it made the
 * file of the rows first. */
static weir_status check_kept(const wi_outputs *outputs, weir_error *err)
{
    weir_status status = WEIR_OK;
    bool is_made = wi_journal_is_made(outputs->journal);
    bool is_there = false;
    if (outputs->options.journal == WEIR_JOURNAL_RESTART)
        return WEIR_OK;
    if (is_made)
        status = check_kept_in(outputs, WI_OUTPUTS_ROWS, &is_there, err);
    else if (!wi_journal_is_over(outputs->journal))
        return WEIR_OK;
    else
        check_kept_in(outputs, WI_OUTPUTS_ROWS, &is_there, NULL);
    if (status == WEIR_OK && outputs->len > WI_OUTPUTS_ERRORS && (is_made || !is_there))
        status = check_kept_in(outputs, WI_OUTPUTS_ERRORS, &is_there, err);
    return status;
}

weir_status wi_outputs_begin(wi_outputs *outputs, weir_error *err)
{
    if (!outputs->has_journal)
        return begin_without(outputs, err);
    char *path = wi_output_name(outputs->places[WI_OUTPUTS_ROWS], journal_suffix);
    weir_status status = path ? open_journal(outputs, path, err) : wi_fail_nomem(err);
    free(path);
    if (status == WEIR_OK)
        status = check_kept(outputs, err);
    if (status == WEIR_OK)
        status = go_on(outputs, err);
    if (status == WEIR_OK)
        remove_copies(outputs); /* that a crash left half made */
    if (status == WEIR_OK)
        status = continue_sinks(outputs, err);
    return status == WEIR_OK ? wi_outputs_sync_folders(outputs, err) : status;
}
