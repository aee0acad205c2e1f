/*
 * mock_fault.h: what a product request meets: how long it waits and whether and how it fails.
 *
 * The fate of the k-th request for a product is a function of (seed, product, k), so a run repeats
 * itself whatever the order in which its requests arrive. The k is counted in a table of constant
 * size: exactly for the first 4,194,304 products; beyond that, products share counters. Only the
 * mock's thread may use it.
 */
#ifndef CLI_MOCK_FAULT_H
#define CLI_MOCK_FAULT_H

#include "mock.h"

typedef struct mock_faults {
    uint64_t seed;
    double share; /* of the requests that fail, 0 to 1 */
    int64_t latency;
    int64_t jitter;
    mock_fault kinds[MOCK_FAULT_COUNT];
    unsigned kinds_len;
    uint16_t *asked; /* NULL if nothing depends on it */
} mock_faults;

typedef struct mock_fate {
    mock_fault fault;
    int64_t delay;
} mock_fate;

/* A well-mixed function of its argument; also what products are made from. */
uint64_t mock_hash(uint64_t x);

/* false: no memory. */
bool mock_faults_init(mock_faults *faults, const mock_options *options);
void mock_faults_fini(mock_faults *faults);

/* Counts one request for the product and says what it meets. */
mock_fate mock_faults_next(mock_faults *faults, uint64_t product);

#endif
