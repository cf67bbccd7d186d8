/* How many requests of a key are in flight, in memory that all workers of a machine share.
 *
 * Each worker has a region that it alone writes to. An entry is a tag (half of the key's hash; the other half chose
 * the bucket) and a count; where the count is 0 the place is free. A sum reads the same bucket of every region.
 */
#ifndef TETRAPYLON_FLIGHTS_H
#define TETRAPYLON_FLIGHTS_H

#include <stdint.h>

#define TETRAPYLON_SEATS 8 /* entries in a bucket: two cache lines */

typedef struct {
    uint64_t tag;
    uint64_t count;
} tetrapylon_flight;

/* Counts one more; NULL: the bucket is full of other keys. The barrier lets of two workers that come at once at
 * least one see the other. */
static inline tetrapylon_flight *tetrapylon_board(tetrapylon_flight *bucket, uint64_t tag)
{
    tetrapylon_flight *room = 0;
    int i;
    for (i = 0; i < TETRAPYLON_SEATS; i++) {
        if (bucket[i].tag == tag) {
            room = &bucket[i];
            break;
        }
        if (!bucket[i].count && !room)
            room = &bucket[i];
    }
    if (!room)
        return 0;
    if (room->tag != tag)
        __atomic_store_n(&room->tag, tag, __ATOMIC_RELEASE);
    __atomic_fetch_add(&room->count, 1, __ATOMIC_SEQ_CST);
    return room;
}

static inline void tetrapylon_land(tetrapylon_flight *flight)
{
    __atomic_store_n(&flight->count, flight->count - 1, __ATOMIC_RELEASE);
}

static inline void tetrapylon_raise(uint64_t *number, uint64_t least)
{
    uint64_t seen = __atomic_load_n(number, __ATOMIC_RELAXED);
    while (seen < least &&
           !__atomic_compare_exchange_n(number, &seen, least, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        ;
}

/* The key's count in a region, perhaps another's. The tag is read again: the place may have changed hands. */
static inline uint64_t tetrapylon_aloft(const tetrapylon_flight *bucket, uint64_t tag)
{
    int i;
    for (i = 0; i < TETRAPYLON_SEATS; i++) {
        uint64_t count;
        if (__atomic_load_n(&bucket[i].tag, __ATOMIC_ACQUIRE) != tag)
            continue;
        count = __atomic_load_n(&bucket[i].count, __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&bucket[i].tag, __ATOMIC_ACQUIRE) == tag)
            return count;
    }
    return 0;
}

#endif
