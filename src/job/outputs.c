/*
 * outputs.c: see outputs.h; outputs_begin.c takes the journal. Its invariant: what the journal is
 * told to commit is on the disk.
 */
#include "outputs.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "output.h"
#include "outputs_state.h"

/* ---- life ---- */

/* Without a journal, or with one that has nothing, there is nothing to go on with. */
static void remove_all(wi_outputs *outputs)
{
    for (size_t i = 0; i < outputs->len; i++) {
        wi_sink_free(outputs->sinks[i]);
        outputs->sinks[i] = NULL;
    }
    if (outputs->has_journal)
        wi_journal_drop(outputs->journal);
    else
        wi_journal_free(outputs->journal);
    outputs->journal = NULL;
}

/* Leaves the files as the last commit has them. Where that is not known they are left as they are:
 * whoever continues the run knows, and cuts them back. */
static void leave_all(wi_outputs *outputs)
{
    for (size_t i = 0; i < outputs->len; i++)
        if (outputs->sinks[i])
            wi_sink_leave(outputs->sinks[i],
                          outputs->in_doubt ? -1 : wi_journal_length(outputs->journal, i));
}

/* Is there something that another run can go on with? */
static bool can_go_on(const wi_outputs *outputs)
{
    return outputs->has_journal && outputs->journal &&
           (outputs->in_doubt || wi_journal_has_run(outputs->journal));
}

void wi_outputs_free(wi_outputs *outputs)
{
    if (!outputs)
        return;
    if (can_go_on(outputs))
        leave_all(outputs);
    remove_all(outputs);
    for (size_t i = 0; i < WI_OUTPUTS_LEN; i++) {
        free(outputs->paths[i]);
        free(outputs->places[i]);
    }
    free(outputs);
}

char *wi_outputs_name(const wi_outputs *outputs, wi_outputs_which which, const char *suffix)
{
    struct stat st;
    const char *path = outputs->paths[which];
    bool is_link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
    return wi_output_name(is_link ? outputs->places[which] : path, suffix);
}

wi_sink *wi_outputs_sink(const wi_outputs *outputs, wi_outputs_which which)
{
    return outputs->sinks[which];
}

bool wi_outputs_has_journal(const wi_outputs *outputs)
{
    return outputs->has_journal;
}

wi_committed_as wi_outputs_claim(wi_outputs *outputs, const void *asks, size_t len, wi_key *key)
{
    wi_journal_key(outputs->journal, asks, len, key);
    return wi_journal_claim(outputs->journal, key);
}

weir_status wi_outputs_header(const wi_outputs *outputs, wi_outputs_which which, wi_buf *header,
                              weir_error *err)
{
    if (!outputs->has_journal || !outputs->sinks[which])
        return WEIR_OK;
    return wi_sink_read_header(outputs->sinks[which], header, err);
}

/* ---- the writer's thread ---- */

weir_status wi_outputs_positions(wi_outputs *outputs, int64_t positions[WI_OUTPUTS_LEN],
                                 weir_error *err)
{
    weir_status status = WEIR_OK;
    memset(positions, 0, WI_OUTPUTS_LEN * sizeof *positions);
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++)
        status = wi_sink_position(outputs->sinks[i], &positions[i], err);
    return status;
}

weir_status wi_outputs_done(wi_outputs *outputs, const wi_key *key, const wi_extent *extents,
                            weir_error *err)
{
    weir_status status = wi_journal_add(outputs->journal, key, extents != NULL, err);
    for (size_t i = 0; extents && status == WEIR_OK && i < outputs->len; i++)
        if (extents[i].len)
            status = wi_journal_add_range(outputs->journal, i, extents[i].at, extents[i].len, err);
    return status;
}

int64_t wi_outputs_due(const wi_outputs *outputs, int64_t now)
{
    return wi_journal_due(outputs->journal, now);
}

weir_status wi_outputs_flush(wi_outputs *outputs, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++)
        status = wi_sink_flush(outputs->sinks[i], err);
    return status;
}

/* All that is written, to the disk; and how much it is. */
static weir_status sync_all(wi_outputs *outputs, int64_t *lengths, weir_error *err)
{
    const wi_outputs_options *o = &outputs->options;
    weir_status status = o->sync ? o->sync(o->sync_arg, err) : WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++) {
        status = wi_sink_sync(outputs->sinks[i], err);
        lengths[i] = wi_sink_length(outputs->sinks[i]);
    }
    return status;
}

weir_status wi_outputs_commit(wi_outputs *outputs, weir_error *err)
{
    int64_t lengths[WI_OUTPUTS_LEN] = {0};
    weir_status status = wi_outputs_flush(outputs, err);
    if (status != WEIR_OK || wi_outputs_due(outputs, 0) == WI_FOREVER)
        return status;
    status = sync_all(outputs, lengths, err);
    if (status != WEIR_OK)
        return status;
    status = wi_journal_commit(outputs->journal, lengths, err);
    outputs->in_doubt |= status != WEIR_OK;
    return status;
}

/* ---- the end ---- */

static weir_status give_names(wi_outputs *outputs, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++)
        status = wi_sink_commit(outputs->sinks[i], err);
    return status;
}

static weir_status end_journal(wi_outputs *outputs, weir_error *err)
{
    int64_t lengths[WI_OUTPUTS_LEN] = {0};
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++)
        status = wi_sink_end(outputs->sinks[i], err);
    if (status == WEIR_OK)
        status = sync_all(outputs, lengths, err);
    if (status != WEIR_OK)
        return status;
    status = wi_journal_end(outputs->journal, lengths, err);
    outputs->in_doubt |= status != WEIR_OK;
    return status;
}

/* What an earlier run's journal speaks of is replaced. */
static void forget_earlier(wi_outputs *outputs)
{
    if (!outputs->journal)
        return;
    wi_journal_remove(outputs->journal);
    outputs->journal = NULL;
    wi_output_sync_folder(outputs->places[WI_OUTPUTS_ROWS]);
}

weir_status wi_outputs_finish(wi_outputs *outputs, weir_error *err)
{
    if (!outputs->has_journal) {
        forget_earlier(outputs);
        return give_names(outputs, err);
    }
    weir_status status = end_journal(outputs, err);
    if (status == WEIR_OK)
        status = give_names(outputs, err);
    if (status == WEIR_OK)
        status = wi_outputs_sync_folders(outputs, err);
    if (status != WEIR_OK)
        return status;
    status = wi_journal_finish(outputs->journal, err);
    outputs->in_doubt |= status != WEIR_OK;
    return status;
}

static void say_text(void (*say)(void *arg, const char *text), void *arg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say_text(void (*say)(void *arg, const char *text), void *arg, const char *format, ...)
{
    weir_error text; /* made printable */
    char line[WEIR_ERROR_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    wi_fail(&text, WEIR_IO, "%s", line);
    say(arg, text.text);
}

static void keep_sinks(wi_outputs *outputs, void (*say)(void *arg, const char *text), void *arg)
{
    static const char *const names[] = {"the rows", "the failed rows"};
    for (size_t i = 0; i < WI_OUTPUTS_LEN && outputs->sinks[i]; i++) {
        weir_error err;
        char *kept = NULL;
        if (wi_sink_keep(outputs->sinks[i], &kept, &err) != WEIR_OK)
            say_text(say, arg, "%s written so far could not be kept: %s", names[i], err.text);
        else if (kept)
            say_text(say, arg, "%s written so far are in %s", names[i], kept);
        free(kept);
    }
}

/* "1,234" */
static void put_number(char *to, size_t size, int64_t n)
{
    char digits[32];
    size_t at = 0;
    int len = snprintf(digits, sizeof digits, "%" PRId64, n);
    for (int i = 0; i < len && at + 2 < size; i++) {
        if (i && (len - i) % 3 == 0)
            to[at++] = ',';
        to[at++] = digits[i];
    }
    to[at] = '\0';
}

void wi_outputs_keep(wi_outputs *outputs, void (*say)(void *arg, const char *text), void *arg)
{
    if (!outputs->has_journal) {
        keep_sinks(outputs, say, arg);
        return;
    }
    if (can_go_on(outputs)) {
        char number[40];
        int64_t items = wi_journal_items(outputs->journal);
        char *name = wi_outputs_name(outputs, WI_OUTPUTS_ROWS, ".partial");
        put_number(number, sizeof number, items);
        leave_all(outputs);
        if (items && name)
            say_text(say, arg, "%s item%s done and kept in %s: continue with --resume", number,
                     items == 1 ? " is" : "s are", name);
        free(name);
    }
    remove_all(outputs);
}
