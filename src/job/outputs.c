/* outputs.c: see outputs.h. */
#include "outputs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

struct wi_outputs {
    wi_outputs_options options;
    size_t len; /* of sinks */
    wi_sink *sinks[WI_OUTPUTS_LEN];
    char *paths[WI_OUTPUTS_LEN];
};

void wi_outputs_free(wi_outputs *outputs)
{
    if (!outputs)
        return;
    for (size_t i = 0; i < WI_OUTPUTS_LEN; i++) {
        wi_sink_free(outputs->sinks[i]);
        free(outputs->paths[i]);
    }
    free(outputs);
}

static weir_status open_sinks(wi_outputs *outputs, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++)
        status = wi_sink_new(&outputs->options.sinks[i], &outputs->sinks[i], err);
    return status;
}

static weir_status keep_paths(wi_outputs *outputs, weir_error *err)
{
    for (size_t i = 0; i < outputs->len; i++) {
        wi_sink_options *sink = &outputs->options.sinks[i];
        if (sink->path && !(sink->path = outputs->paths[i] = strdup(sink->path)))
            return wi_fail_nomem(err);
    }
    return WEIR_OK;
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
        status = open_sinks(outputs, err);
    if (status != WEIR_OK) {
        wi_outputs_free(outputs);
        return status;
    }
    *out = outputs;
    return WEIR_OK;
}

weir_status wi_outputs_begin(wi_outputs *outputs, weir_error *err)
{
    (void)outputs, (void)err;
    return WEIR_OK;
}

wi_sink *wi_outputs_sink(const wi_outputs *outputs, wi_outputs_which which)
{
    return outputs->sinks[which];
}

bool wi_outputs_has_journal(const wi_outputs *outputs)
{
    (void)outputs;
    return false;
}

wi_committed_as wi_outputs_claim(wi_outputs *outputs, const void *asks, size_t len, wi_key *key)
{
    (void)outputs, (void)asks, (void)len, (void)key;
    return WI_COMMITTED_NOT;
}

weir_status wi_outputs_positions(wi_outputs *outputs, int64_t positions[WI_OUTPUTS_LEN],
                                 weir_error *err)
{
    (void)outputs, (void)positions, (void)err;
    return WEIR_OK;
}

weir_status wi_outputs_done(wi_outputs *outputs, const wi_key *key, const wi_extent *extents,
                            weir_error *err)
{
    (void)outputs, (void)key, (void)extents, (void)err;
    return WEIR_OK;
}

int64_t wi_outputs_due(const wi_outputs *outputs, int64_t now)
{
    (void)outputs, (void)now;
    return WI_FOREVER;
}

weir_status wi_outputs_flush(wi_outputs *outputs, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++)
        status = wi_sink_flush(outputs->sinks[i], err);
    return status;
}

weir_status wi_outputs_commit(wi_outputs *outputs, weir_error *err)
{
    return wi_outputs_flush(outputs, err);
}

/* ---- the end ---- */

weir_status wi_outputs_finish(wi_outputs *outputs, weir_error *err)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < outputs->len; i++)
        status = wi_sink_commit(outputs->sinks[i], err);
    return status;
}

void wi_outputs_keep(wi_outputs *outputs, void (*say)(void *arg, const char *text), void *arg)
{
    static const char *const names[] = {"the rows", "the failed rows"};
    for (size_t i = 0; i < outputs->len; i++) {
        weir_error err;
        char *kept = NULL;
        char *text = NULL;
        int len = 0;
        if (wi_sink_keep(outputs->sinks[i], &kept, &err) != WEIR_OK)
            len = asprintf(&text, "%s written so far could not be kept: %s", names[i], err.text);
        else if (kept)
            len = asprintf(&text, "%s written so far are in %s", names[i], kept);
        if (text && len > 0)
            say(arg, text);
        if (len >= 0)
            free(text);
        free(kept);
    }
}
