/* Histogram bounds, and the bucket a time falls into without a search.
 *
 * A bucket counts times up to and including its bound (Prometheus `le`); the last one is +Inf. `first[n]` is the
 * lowest bucket that a time of n bits can fall into; no power-of-two octave holds more than two bounds, so two
 * compares settle the rest. tests/core/test_counters.py checks both tables against a plain bisection.
 */
#ifndef TETRAPYLON_COUNTERS_H
#define TETRAPYLON_COUNTERS_H

#include <stdint.h>

#define TETRAPYLON_BOUNDS 14
#define TETRAPYLON_BUCKETS (TETRAPYLON_BOUNDS + 1)

typedef struct {
    uint64_t bound[TETRAPYLON_BUCKETS]; /* nanoseconds */
    uint8_t first[40];
} tetrapylon_scale;

/* Request durations, as OpenTelemetry advises for http.server.request.duration: 5 ms to 10 s. */
static const tetrapylon_scale TETRAPYLON_DURATION = {
    {5000000, 10000000, 25000000, 50000000, 75000000, 100000000, 250000000, 500000000, 750000000, 1000000000,
     2500000000, 5000000000, 7500000000, 10000000000, UINT64_MAX},
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
     0, 0, 0, 0, 1, 2, 3, 4, 6, 7, 8, 10, 10, 11, 13, 14, 14, 14, 14, 14},
};

/* The gateway's own share of a request, and delays of its loop: 10 us to 100 ms. */
static const tetrapylon_scale TETRAPYLON_SHARE = {
    {10000, 25000, 50000, 75000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 25000000, 50000000,
     100000000, UINT64_MAX},
    {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 5, 6,
     7, 8, 8, 9, 10, 11, 12, 13, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 14},
};

static inline unsigned tetrapylon_bucket(const tetrapylon_scale *scale, uint64_t ns)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(ns | 1);
    unsigned bucket = scale->first[bits < 40 ? bits : 39];
    bucket += ns > scale->bound[bucket];
    bucket += ns > scale->bound[bucket];
    return bucket;
}

#endif
