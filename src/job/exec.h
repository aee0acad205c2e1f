/*
 * exec.h: the kind "exec" from inside: what its job, its items and its lanes keep.
 *
 *   exec_new.c  options -> wi_exec           (weir_exec_new)
 *   exec.c      item -> command -> its end
 *   exec_row.c  its end -> row, or lines
 */
#ifndef WI_EXEC_H
#define WI_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "child.h"
#include "exit_set.h"
#include "item.h"
#include "kind.h"
#include "template.h"

enum { WI_EXEC_COLUMNS = 10 };

/* The whole job; only read while it runs. */
typedef struct wi_exec {
    wi_template **words;
    size_t words_len;
    bool shell; /* words has one, the line */
    wi_template *lists;
    wi_template *input_text;
    wi_template *cwd;
    wi_template *tag; /* NULL: lines are passed through without */
    wi_template **env;
    size_t env_len;
    char **environ; /* with env: the program's own, which a command's ends with */
    size_t environ_len;
    size_t max_output;
    bool passthrough;
    int64_t grace;
    int64_t timeout; /* 0: none */
    int nice;        /* what it shall be; 0: as the program's */
    double load_max;
    int64_t memory_free;
    wi_exit_set retry_on;
    wi_guard *guard; /* has a lock of its own */
} wi_exec;

typedef struct wi_exec_lane wi_exec_lane;

typedef struct wi_exec_item {
    wi_item item;
    const wi_exec *exec;
    wi_exec_lane *lane; /* gone when the item is put into a row */
    wi_buf text;        /* the words, the environment's additions and cwd, each with its 0 */
    const char **argv;  /* into text; argv_len + 1 of them, then those of the environment */
    const char **env;   /* NULL: the program's own */
    const char *cwd;    /* nullable */
    wi_buf input;
    wi_timer limit;    /* the timeout */
    wi_defer end;      /* an end that came from inside cancel or resume */
    int64_t begun;     /* later by the time that it stood still for want of memory */
    int64_t paused_at; /* since when it does; 0: it does not */
    bool timed_out;
    bool inside; /* cancel or resume, from where an attempt may not end */
    bool running;
    bool ended;     /* child.how is an attempt's */
    size_t charged; /* bytes of its output, to the budget */
    wi_child child; /* out and errors hold what it printed */
    wi_cell_kind out_kind;
    wi_cell_kind errors_kind;
} wi_exec_item;

extern const wi_kind wi_exec_kind;

/* Makes a command from the item's row. For exec.c and plans. */
weir_status wi_exec_prepare(const void *job, void *state, wi_item *item, wi_buf *origin,
                            weir_error *err);

wi_scope wi_exec_scope(const wi_exec *exec, const wi_item *item);

/* The command as one would type it, quoted where a shell needs it. */
void wi_exec_describe(const wi_item *item, wi_buf *out);

void wi_exec_free(void *job);

/* ---- exec_row.c ---- */

/* Says what the outputs are, once. */
void wi_exec_classify(wi_exec_item *x);

size_t wi_exec_columns(const void *job, const char *const **names);
size_t wi_exec_optional_columns(const void *job, const char *const **names);
void wi_exec_emit(const void *job, wi_item *item, wi_batch *batch, size_t first);

/* For passthrough: what it printed, to the program's own standard output and error. */
weir_status wi_exec_pass(const void *job, wi_item *item, weir_error *err);

#endif
