/* run.c: the main thread while a job runs. It waits a tenth of a second at a time and looks up
 * in between; everything that can take long happens on the job's threads. */
#include "run.h"

#include <signal.h>
#include <stdio.h>

#include "signals.h"
#include "units.h"

#define LOOK_UP_EVERY (100 * UNITS_MS)

void run_notes(run *r, weir_job *job)
{
    const char *note;
    while (!r->quiet && (note = weir_job_note(job, r->notes))) {
        progress_clear(&r->progress);
        fprintf(stderr, "%snote:%s %s\n", r->style->yellow, r->style->reset, note);
        r->notes++;
    }
}

static void say_finishing(run *r, const weir_job_stats *stats, int number)
{
    units_text count;
    progress_clear(&r->progress);
    if (stats->in_flight || !stats->waiting)
        fprintf(stderr, "%sfinishing %s in flight; %s again to stop now%s\n", r->style->yellow,
                units_count(&count, stats->in_flight), number == SIGINT ? "press Ctrl-C" : "signal",
                r->style->reset);
    else /* it ends at once: what waits is not tried again */
        fprintf(stderr, "%snothing in flight; %s waited to try again%s\n", r->style->yellow,
                units_count(&count, stats->waiting), r->style->reset);
}

static void take_signals(run *r, weir_job *job, const weir_job_stats *stats, int *taken)
{
    for (int number; (number = signals_next());) {
        /* A terminal that goes says so more than once: to its session and its foreground group. */
        if (number == SIGHUP && r->signal == SIGHUP)
            continue;
        if (*taken == 0)
            r->signal = number;
        if (*taken == 0 && !r->stop_at_once) {
            weir_job_stop(job, WEIR_STOP_DRAIN);
            say_finishing(r, stats, number);
        } else if (*taken <= 1) {
            weir_job_stop(job, WEIR_STOP_NOW);
        } else { /* the job does not come to its end, as when its output blocks */
            progress_clear(&r->progress);
            signals_release();
            raise(number);
        }
        ++*taken;
    }
}

weir_status run_job(run *r, weir_job *job, weir_error *err)
{
    int taken = 0;
    bool done = false;
    weir_job_stats stats;
    signals_take();
    weir_status status = weir_job_start(job, err);
    if (status != WEIR_OK) /* what had begun by then comes to its end */
        weir_job_wait(job, -1, NULL);
    while (status == WEIR_OK) {
        status = weir_job_wait(job, LOOK_UP_EVERY, err);
        if (status != WEIR_TIMEDOUT || done)
            break;
        weir_job_stats_get(job, &stats);
        done = stats.phase == WEIR_JOB_DONE; /* it ended just now: the next wait says how */
        take_signals(r, job, &stats, &taken);
        run_notes(r, job);
        progress_update(&r->progress, &stats);
        status = WEIR_OK;
    }
    progress_clear(&r->progress);
    run_notes(r, job);
    while (signals_next()) /* too late to stop anything */
        continue;
    signals_release();
    return status;
}
