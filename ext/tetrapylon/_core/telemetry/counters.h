/* The bucket of a histogram that a time falls into, without a search, and the number of a request's method.
 *
 * A bucket counts times up to and including its bound (Prometheus `le`); the last one is +Inf, and so are those
 * that a shorter list of bounds leaves over. `first[n]` is the lowest bucket that a time whose highest bit is n
 * can fall into: most often the right one, or the one before it.
 */
#ifndef TETRAPYLON_COUNTERS_H
#define TETRAPYLON_COUNTERS_H

#include <stdint.h>
#include <string.h>

#define TETRAPYLON_BOUNDS 14
#define TETRAPYLON_BUCKETS (TETRAPYLON_BOUNDS + 1)

typedef struct {
    uint64_t bound[TETRAPYLON_BUCKETS]; /* nanoseconds, rising */
    uint8_t first[64];
} tetrapylon_scale;

static inline void tetrapylon_set_scale(tetrapylon_scale *scale, const uint64_t *bounds, unsigned n)
{
    unsigned bit, bucket = 0;
    for (unsigned i = 0; i < TETRAPYLON_BUCKETS; i++)
        scale->bound[i] = i < n ? bounds[i] : UINT64_MAX;
    for (bit = 0; bit < 64; bit++) {
        while (scale->bound[bucket] < (uint64_t)1 << bit)
            bucket++;
        scale->first[bit] = (uint8_t)bucket;
    }
}

static inline unsigned tetrapylon_bucket(const tetrapylon_scale *scale, uint64_t ns)
{
    unsigned bucket = scale->first[63 - (unsigned)__builtin_clzll(ns | 1)];
    while (ns > scale->bound[bucket])
        bucket++;
    return bucket;
}

/* OpenTelemetry's known values of http.request.method (RFC 9110 and RFC 5789), case-sensitive; 0 is _OTHER. */
#define TETRAPYLON_METHODS 10

static inline unsigned tetrapylon_method(const char *method, size_t n)
{
    switch (n) {
    case 3:
        return !memcmp(method, "GET", 3) ? 1 : !memcmp(method, "PUT", 3) ? 4 : 0;
    case 4:
        return !memcmp(method, "POST", 4) ? 3 : !memcmp(method, "HEAD", 4) ? 2 : 0;
    case 5:
        return !memcmp(method, "PATCH", 5) ? 6 : !memcmp(method, "TRACE", 5) ? 8 : 0;
    case 6:
        return !memcmp(method, "DELETE", 6) ? 5 : 0;
    case 7:
        return !memcmp(method, "OPTIONS", 7) ? 7 : !memcmp(method, "CONNECT", 7) ? 9 : 0;
    default:
        return 0;
    }
}

#endif
