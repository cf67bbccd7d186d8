/* Counts of durations in logarithmic buckets, 128 to each power of two: a percentile is at most 0.8 % above
 * the true one, whatever its size (the layout of HdrHistogram, http://hdrhistogram.org). */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { SUB_BITS = 7, SUB = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS + 1) * SUB };

struct histogram {
    uint64_t count, max;
    double sum;
    uint64_t buckets[BUCKETS];
};

static inline unsigned bucket_of(uint64_t value)
{
    if (value < SUB)
        return (unsigned)value;
    unsigned shift = 63 - __builtin_clzll(value) - SUB_BITS;
    return (shift + 1) * SUB + (unsigned)((value >> shift) - SUB);
}

/* The largest value that falls into the bucket. */
static inline uint64_t bucket_top(unsigned bucket)
{
    if (bucket < SUB)
        return bucket;
    unsigned shift = bucket / SUB - 1;
    return ((uint64_t)(bucket % SUB + SUB + 1) << shift) - 1;
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    h->buckets[bucket_of(value)]++;
    h->count++;
    h->sum += (double)value;
    if (value > h->max)
        h->max = value;
}

/* The smallest recorded bound that at least `share` (0..1) of the values do not exceed; 0 when empty. */
static inline uint64_t histogram_percentile(const struct histogram *h, double share)
{
    if (h->count == 0)
        return 0;
    uint64_t rank = (uint64_t)(share * (double)h->count), seen = 0;
    if ((double)rank < share * (double)h->count || rank == 0)
        rank++;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            uint64_t top = bucket_top(i);
            return top < h->max ? top : h->max;
        }
    }
    return h->max;
}

#endif
