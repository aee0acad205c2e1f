/*
 * lanes.h: all lanes of a job, with what feeds them (the source) and what holds them back (the
 * gate).
 */
#ifndef WI_LANES_H
#define WI_LANES_H

#include "works.h"

typedef struct wi_lanes wi_lanes;

/* Opens the input, and has the kind check its first rows. */
weir_status wi_lanes_new(const wi_works_options *options, wi_lanes **out, weir_error *err);

/* The columns that a CSV output has of the input; nullable, borrowed. */
wi_schema *wi_lanes_schema(const wi_lanes *lanes);

/* Makes the lanes; nothing runs yet. deadline_at: on the real clock; 0: none. */
weir_status wi_lanes_make(wi_lanes *lanes, wi_collector *collector, int64_t deadline_at,
                          weir_error *err);

/* From here on they come to their end by themselves: `ended` follows, also if this fails. */
weir_status wi_lanes_start(wi_lanes *lanes, weir_error *err);

/* They are to look again: at *stopping, or for memory. Any thread. */
void wi_lanes_poke(wi_lanes *lanes);

/* The job is to stop, as *stopping says. Any thread; does not block. */
void wi_lanes_stop(wi_lanes *lanes);

/* Why the input ended early, if it did so by itself; after `ended`. */
weir_status wi_lanes_status(wi_lanes *lanes, weir_error *err);

void wi_lanes_numbers(wi_lanes *lanes, wi_source_numbers *numbers);
void wi_lanes_stats(wi_lanes *lanes, int64_t now, weir_job_stats *stats);
const wi_descriptors *wi_lanes_descriptors(const wi_lanes *lanes);

/* Instead of make and start. */
weir_status wi_lanes_plan(wi_lanes *lanes, wi_plan *plan, int64_t max_items, weir_job_plan *made,
                          weir_error *err);

/* After `ended`, or if it was never started. NULL is fine. */
void wi_lanes_free(wi_lanes *lanes);

#endif
