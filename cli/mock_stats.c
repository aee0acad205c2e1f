/* mock_stats.c: reading and showing the counters. Its invariant: what is shown is one snapshot. */
#include "mock_stats.h"

#include <inttypes.h>

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void mock_counters_read(const mock_counters *counters, mock_stats *out)
{
#define MOCK_STATS_READ(name) out->name = get(&counters->name);
    MOCK_STATS_LIST(MOCK_STATS_READ)
#undef MOCK_STATS_READ
    for (int i = 0; i < MOCK_FAULT_COUNT; i++)
        out->faults[i] = get(&counters->faults[i]);
    for (int i = 0; i < MOCK_STATUS_COUNT; i++)
        out->status[i] = get(&counters->status[i]);
}

void mock_stats_add_json(mock_text *text, const mock_stats *stats)
{
    mock_text_add_str(text, "{");
#define MOCK_STATS_ADD(name) mock_text_addf(text, "\"" #name "\": %" PRIu64 ", ", stats->name);
    MOCK_STATS_LIST(MOCK_STATS_ADD)
#undef MOCK_STATS_ADD
    mock_text_add_str(text, "\"faults\": {");
    for (int i = MOCK_FAULT_NONE + 1; i < MOCK_FAULT_COUNT; i++)
        mock_text_addf(text, "%s\"%s\": %" PRIu64, i > 1 ? ", " : "",
                       mock_fault_name((mock_fault)i), stats->faults[i]);
    mock_text_add_str(text, "}, \"status\": {");
    bool first = true;
    for (int i = 0; i < MOCK_STATUS_COUNT; i++) {
        if (!stats->status[i])
            continue;
        mock_text_addf(text, "%s\"%d\": %" PRIu64, first ? "" : ", ", i, stats->status[i]);
        first = false;
    }
    mock_text_add_str(text, "}}\n");
}

void mock_stats_print(FILE *file, const mock_stats *stats)
{
    uint64_t faults = 0;
    fprintf(file,
            "requests     %" PRIu64 " (%" PRIu64 " for products), at most %" PRIu64 " at once\n"
            "connections  %" PRIu64 ", at most %" PRIu64 " at once\n",
            stats->requests, stats->product_requests, stats->peak_in_flight, stats->connections,
            stats->peak_connections);
    if (stats->requests)
        fprintf(file, "answers      ");
    for (int i = 0, n = 0; i < MOCK_STATUS_COUNT; i++)
        if (stats->status[i])
            fprintf(file, "%s%" PRIu64 " x %d", n++ ? ", " : "", stats->status[i], i);
    if (stats->requests)
        fprintf(file, "\n");
    for (int i = MOCK_FAULT_NONE + 1; i < MOCK_FAULT_COUNT; i++) {
        if (stats->faults[i])
            fprintf(file, "%s%" PRIu64 " x %s", faults ? ", " : "faults       ", stats->faults[i],
                    mock_fault_name((mock_fault)i));
        faults += stats->faults[i];
    }
    if (faults)
        fprintf(file, "\n");
    if (stats->rejected)
        fprintf(file, "rejected     %" PRIu64 " by the rate limit\n", stats->rejected);
    if (stats->abandoned)
        fprintf(file, "abandoned    %" PRIu64 " by their clients while held\n", stats->abandoned);
}
