/*
 * mock_fault.c: fates from a hash. Its invariant: no state but the counters of `asked`, so that
 * neither time nor the order of other products' requests can change what one request meets.
 */
#include "mock_fault.h"

#include <stdlib.h>
#include <string.h>

enum { ASKED_LEN = 1 << 22 };

static const char *const names[MOCK_FAULT_COUNT] = {
    [MOCK_FAULT_NONE] = "none",         [MOCK_FAULT_500] = "500",   [MOCK_FAULT_RESET] = "reset",
    [MOCK_FAULT_TRUNCATE] = "truncate", [MOCK_FAULT_HANG] = "hang",
};

const char *mock_fault_name(mock_fault fault)
{
    return names[fault];
}

static mock_fault find(const char *name, size_t len)
{
    for (int fault = MOCK_FAULT_NONE + 1; fault < MOCK_FAULT_COUNT; fault++)
        if (strlen(names[fault]) == len && memcmp(names[fault], name, len) == 0)
            return (mock_fault)fault;
    return MOCK_FAULT_NONE;
}

bool mock_fault_parse(const char *text, unsigned *kinds)
{
    unsigned found = 0;
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        mock_fault fault = find(at, len);
        if (fault == MOCK_FAULT_NONE)
            return false;
        found |= MOCK_FAULT_BIT(fault);
        at += len;
        if (!*at)
            break;
    }
    *kinds = found;
    return true;
}

/* The constants are those of the SplitMix64 generator's output function. */
uint64_t mock_hash(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static double unit(uint64_t hash)
{
    return (double)(hash >> 11) * 0x1p-53;
}

bool mock_faults_init(mock_faults *faults, const mock_options *options)
{
    *faults = (mock_faults){
        .seed = options->seed,
        .share = options->error_percent / 100,
        .latency = options->latency,
        .jitter = options->jitter,
    };
    for (int fault = MOCK_FAULT_NONE + 1; fault < MOCK_FAULT_COUNT; fault++)
        if (!options->error_kinds || options->error_kinds & MOCK_FAULT_BIT(fault))
            faults->kinds[faults->kinds_len++] = (mock_fault)fault;
    if (faults->share <= 0 && faults->jitter == 0)
        return true;
    /* Pages of it that no product touches are never made real. */
    faults->asked = calloc(ASKED_LEN, sizeof *faults->asked);
    return faults->asked != NULL;
}

void mock_faults_fini(mock_faults *faults)
{
    free(faults->asked);
}

mock_fate mock_faults_next(mock_faults *faults, uint64_t product)
{
    mock_fate fate = {.delay = faults->latency};
    if (!faults->asked)
        return fate;
    uint16_t *asked = &faults->asked[product % ASKED_LEN];
    uint64_t hash = mock_hash(mock_hash(mock_hash(faults->seed) + product) + *asked);
    *asked += *asked < UINT16_MAX;
    if (unit(hash) < faults->share)
        fate.fault = faults->kinds[mock_hash(hash + 1) % faults->kinds_len];
    double swing = 2 * unit(mock_hash(hash + 2)) - 1;
    fate.delay += (int64_t)(swing * (double)faults->jitter);
    if (fate.delay < 0)
        fate.delay = 0;
    return fate;
}
