/* outputs_state.h: the inside of a job's outputs, for the files that make it. */
#ifndef WI_OUTPUTS_STATE_H
#define WI_OUTPUTS_STATE_H

#include "journal.h"
#include "outputs.h"

struct wi_outputs {
    wi_outputs_options options;
    size_t len; /* of sinks */
    wi_sink *sinks[WI_OUTPUTS_LEN];
    char *paths[WI_OUTPUTS_LEN];
    char *places[WI_OUTPUTS_LEN]; /* the files, without symbolic links; NULL: it is none */
    bool has_journal;             /* or will have, once it has begun */
    wi_journal *journal;          /* if it has none: that of an earlier, finished run */
    bool in_doubt;                /* a commit failed, and may have been one nevertheless */
};

/* "PLACE.partial", as the user would write it: free(). NULL: no memory. */
char *wi_outputs_name(const wi_outputs *outputs, wi_outputs_which which, const char *suffix);

/* Makes the names in the outputs' folders last. */
weir_status wi_outputs_sync_folders(const wi_outputs *outputs, weir_error *err);

#endif
