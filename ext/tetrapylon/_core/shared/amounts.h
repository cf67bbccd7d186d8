/* A table of counts that all processes of a machine share, without locks.
 *
 * An entry is a pair of words, changed by one 16-byte compare-and-swap and nothing else: `tag`, half of a keyed
 * 128-bit hash of its key, whose other half chose the bucket, and `word`, the count. An entry is alive while its
 * word lies above a floor that only rises (for a rate: the time); a dead one means the same as none at all, and
 * its place is anyone's.
 *
 * A new entry goes in as PENDING, then its bucket is read once more: of two processes that bring the same key in
 * at once, at least one sees the other. What is pending has not been counted yet, so anyone may take it out, and
 * its owner, should it still live, finds that and begins again. So a key has one entry at most, and a process
 * that is killed between any two instructions leaves nothing that others would wait for.
 */
#ifndef TETRAPYLON_AMOUNTS_H
#define TETRAPYLON_AMOUNTS_H

#include <stdint.h>
#include <string.h>
#include <time.h>

#define TETRAPYLON_WAYS 8 /* two cache lines */
#define TETRAPYLON_PENDING (1ULL << 63)
#define TETRAPYLON_PATIENCE 64 /* looks at another's pending entry before it is taken for orphaned */

typedef struct {
    uint64_t tag;
    uint64_t word;
} __attribute__((aligned(16))) tetrapylon_entry;

typedef struct {
    uint64_t bucket;
    uint64_t tag;
} tetrapylon_hash;

typedef struct {
    uint64_t interval;  /* ns between two requests at the rate */
    uint64_t tolerance; /* ns that a request may come too early: (burst - 1) * interval */
} tetrapylon_window;

typedef struct {
    uint64_t at;      /* ns: when it was decided */
    uint64_t word;    /* what the key's entry holds now */
    int allowed;
    int evicted;      /* a living entry had to go */
} tetrapylon_decision;

static inline uint64_t tetrapylon_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A full barrier, whether it succeeds or not. */
static inline int tetrapylon_swap_entry(tetrapylon_entry *entry, tetrapylon_entry seen, tetrapylon_entry next)
{
#if defined(__x86_64__)
    unsigned char done;
    __asm__ __volatile__("lock cmpxchg16b %1"
                         : "=@ccz"(done), "+m"(*entry), "+a"(seen.tag), "+d"(seen.word)
                         : "b"(next.tag), "c"(next.word)
                         : "memory");
    return done;
#elif defined(__aarch64__)
    __extension__ typedef unsigned __int128 pair __attribute__((may_alias));
    pair old, new;
    memcpy(&old, &seen, sizeof old);
    memcpy(&new, &next, sizeof new);
    return __sync_bool_compare_and_swap((pair *)entry, old, new);
#else
#error "limits need a 16-byte compare-and-swap that holds between processes: x86-64 or AArch64"
#endif
}

/* The two words may be of different moments: what is concluded from them counts once a swap has confirmed both. */
static inline tetrapylon_entry tetrapylon_look(const tetrapylon_entry *entry)
{
    tetrapylon_entry seen;
    seen.tag = __atomic_load_n(&entry->tag, __ATOMIC_ACQUIRE);
    seen.word = __atomic_load_n(&entry->word, __ATOMIC_ACQUIRE);
    return seen;
}

static inline void tetrapylon_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* The way at which the key's entry is, or -1. Another's pending one is waited for, then taken out. */
static inline int tetrapylon_find(tetrapylon_entry *bucket, uint64_t tag, tetrapylon_entry *seen)
{
    const tetrapylon_entry none = {0, 0};
    int way, looks;
    for (way = 0; way < TETRAPYLON_WAYS; way++) {
        if (__atomic_load_n(&bucket[way].tag, __ATOMIC_RELAXED) != tag)
            continue;
        *seen = tetrapylon_look(&bucket[way]);
        for (looks = 0; seen->tag == tag && seen->word & TETRAPYLON_PENDING; looks++) {
            if (looks >= TETRAPYLON_PATIENCE)
                tetrapylon_swap_entry(&bucket[way], *seen, none);
            tetrapylon_pause();
            *seen = tetrapylon_look(&bucket[way]);
        }
        if (seen->tag == tag)
            return way;
    }
    return -1;
}

/* The way that a new entry may take: a dead one, else the one that dies soonest. */
static inline int tetrapylon_room(const tetrapylon_entry *bucket, uint64_t floor, tetrapylon_entry *seen)
{
    int way, soonest = 0;
    uint64_t least = UINT64_MAX;
    for (way = 0; way < TETRAPYLON_WAYS; way++) {
        tetrapylon_entry entry = tetrapylon_look(&bucket[way]);
        uint64_t word = entry.word & ~TETRAPYLON_PENDING;
        if (word < least) {
            least = word;
            soonest = way;
            *seen = entry;
        }
        if (word <= floor)
            break;
    }
    return soonest;
}

/* Puts `word` in under a tag that `find` has not found. 0: somebody else was at work here, begin again. */
static inline int tetrapylon_insert(tetrapylon_entry *bucket, uint64_t tag, uint64_t word, uint64_t floor,
                                    int *evicted)
{
    const tetrapylon_entry none = {0, 0};
    const tetrapylon_entry pending = {tag, word | TETRAPYLON_PENDING}, settled = {tag, word};
    tetrapylon_entry seen;
    int way, mine = tetrapylon_room(bucket, floor, &seen);
    if (seen.tag == tag || !tetrapylon_swap_entry(&bucket[mine], seen, pending))
        return 0;
    for (way = 0; way < TETRAPYLON_WAYS; way++) {
        tetrapylon_entry other;
        if (way == mine)
            continue;
        other = tetrapylon_look(&bucket[way]);
        if (other.tag != tag)
            continue;
        /* Of two pending ones the lower way stays; one that was counted stays before any pending one. */
        if (!(other.word & TETRAPYLON_PENDING) || way < mine || !tetrapylon_swap_entry(&bucket[way], other, none)) {
            tetrapylon_swap_entry(&bucket[mine], pending, none);
            return 0;
        }
    }
    if (!tetrapylon_swap_entry(&bucket[mine], pending, settled))
        return 0;
    *evicted = (seen.word & ~TETRAPYLON_PENDING) > floor;
    return 1;
}

/* The generic cell rate algorithm, as virtual scheduling (ITU-T I.371): the word is the theoretical arrival time
 * of the next request. `charge` 0 only asks. A fresh key conforms; nothing is kept of it unless it is charged.
 *
 * The clock is read between the look at the entry and the swap that confirms it. So decisions on one key that
 * change it are in the order of their times, and each is what a single counter would have said.
 */
static inline void tetrapylon_conform(tetrapylon_entry *bucket, uint64_t tag, const tetrapylon_window *window,
                                      int charge, uint64_t fixed_time, tetrapylon_decision *decision)
{
    tetrapylon_entry seen, next;
    int way, evicted = 0;
    for (;;) {
        way = tetrapylon_find(bucket, tag, &seen);
        decision->at = fixed_time ? fixed_time : tetrapylon_clock();
        if (way >= 0) {
            uint64_t due = seen.word > decision->at ? seen.word : decision->at;
            decision->allowed = due - decision->at <= window->tolerance;
            next = seen;
            if (decision->allowed && charge)
                next.word = due + window->interval;
            if (tetrapylon_swap_entry(&bucket[way], seen, next)) {
                decision->word = next.word;
                return;
            }
        } else {
            decision->allowed = 1;
            decision->word = decision->at + (charge ? window->interval : 0);
            if (!charge || tetrapylon_insert(bucket, tag, decision->word, decision->at, &evicted)) {
                decision->evicted |= evicted;
                return;
            }
        }
    }
}

/* Takes one request back: a later window has refused it after all. */
static inline void tetrapylon_give_back(tetrapylon_entry *bucket, uint64_t tag, const tetrapylon_window *window)
{
    tetrapylon_entry seen, next;
    int way;
    while ((way = tetrapylon_find(bucket, tag, &seen)) >= 0) {
        next = seen;
        next.word -= window->interval < seen.word ? window->interval : seen.word;
        if (tetrapylon_swap_entry(&bucket[way], seen, next))
            return;
    }
}

/* A plain count up to `limit` within a period: the word is the number of the day on which the period is over (UTC,
 * since 1970) above TETRAPYLON_COUNT_BITS bits of the count. `add` 0 only asks.
 */
#define TETRAPYLON_COUNT_BITS 47
#define TETRAPYLON_COUNT_MASK ((1ULL << TETRAPYLON_COUNT_BITS) - 1)

static inline void tetrapylon_count(tetrapylon_entry *bucket, uint64_t tag, uint64_t today, uint64_t over,
                                    uint64_t limit, uint64_t add, tetrapylon_decision *decision)
{
    uint64_t floor = (today + 1) << TETRAPYLON_COUNT_BITS, used;
    tetrapylon_entry seen, next;
    int way, evicted = 0;
    for (;;) {
        way = tetrapylon_find(bucket, tag, &seen);
        used = way >= 0 && seen.word >> TETRAPYLON_COUNT_BITS == over ? seen.word & TETRAPYLON_COUNT_MASK : 0;
        decision->allowed = used < limit;
        if (decision->allowed)
            used += add;
        decision->word = used;
        next.tag = tag;
        next.word = over << TETRAPYLON_COUNT_BITS | used;
        if (way >= 0) {
            if (tetrapylon_swap_entry(&bucket[way], seen, decision->allowed ? next : seen))
                return;
        } else if (!used || tetrapylon_insert(bucket, tag, next.word, floor - 1, &evicted)) {
            decision->evicted |= evicted;
            return;
        }
    }
}

/* What a store remembers of a period: the count is at least `used`. */
static inline void tetrapylon_remember(tetrapylon_entry *bucket, uint64_t tag, uint64_t today, uint64_t over,
                                       uint64_t used)
{
    uint64_t floor = (today + 1) << TETRAPYLON_COUNT_BITS, word = over << TETRAPYLON_COUNT_BITS | used;
    tetrapylon_entry seen, next = {tag, word};
    int way, evicted;
    for (;;) {
        way = tetrapylon_find(bucket, tag, &seen);
        if (way >= 0 ? seen.word >= word || tetrapylon_swap_entry(&bucket[way], seen, next)
                     : tetrapylon_insert(bucket, tag, word, floor - 1, &evicted))
            return;
    }
}

/* SipHash-1-3 with 128 bits of result (Aumasson and Bernstein, 2012). */
#define TETRAPYLON_ROTATE(x, n) (((x) << (n)) | ((x) >> (64 - (n))))
#define TETRAPYLON_ROUND(a, b, c, d) \
    do { \
        a += b; c += d; \
        b = TETRAPYLON_ROTATE(b, 13) ^ a; d = TETRAPYLON_ROTATE(d, 16) ^ c; \
        a = TETRAPYLON_ROTATE(a, 32); \
        c += b; a += d; \
        b = TETRAPYLON_ROTATE(b, 17) ^ c; d = TETRAPYLON_ROTATE(d, 21) ^ a; \
        c = TETRAPYLON_ROTATE(c, 32); \
    } while (0)

static inline tetrapylon_hash tetrapylon_siphash(const uint64_t key[2], const char *data, size_t n)
{
    uint64_t v0 = key[0] ^ 0x736f6d6570736575ULL, v1 = key[1] ^ 0x646f72616e646f6dULL ^ 0xee;
    uint64_t v2 = key[0] ^ 0x6c7967656e657261ULL, v3 = key[1] ^ 0x7465646279746573ULL;
    uint64_t last = (uint64_t)n << 56, word;
    tetrapylon_hash hash;
    size_t i;
    for (; n >= 8; data += 8, n -= 8) {
        memcpy(&word, data, 8);
        v3 ^= word;
        TETRAPYLON_ROUND(v0, v1, v2, v3);
        v0 ^= word;
    }
    for (i = 0; i < n; i++)
        last |= (uint64_t)(unsigned char)data[i] << (8 * i);
    v3 ^= last;
    TETRAPYLON_ROUND(v0, v1, v2, v3);
    v0 ^= last;
    v2 ^= 0xee;
    for (i = 0; i < 3; i++)
        TETRAPYLON_ROUND(v0, v1, v2, v3);
    hash.bucket = v0 ^ v1 ^ v2 ^ v3;
    v1 ^= 0xdd;
    for (i = 0; i < 3; i++)
        TETRAPYLON_ROUND(v0, v1, v2, v3);
    hash.tag = v0 ^ v1 ^ v2 ^ v3;
    hash.tag += !hash.tag; /* 0 is an entry never used */
    return hash;
}

/* What was decided, for who asks whether it was right: a file in memory that all processes write to. */
typedef struct {
    uint64_t at;
    uint64_t key; /* the hash's tag */
    uint64_t allowed;
} tetrapylon_record;

typedef struct {
    uint64_t count; /* of those that were begun; those beyond `room` are not kept */
    uint64_t room;
    uint64_t unused;
    tetrapylon_record records[];
} tetrapylon_journal;

static inline void tetrapylon_write_down(tetrapylon_journal *journal, uint64_t at, uint64_t key, int allowed)
{
    uint64_t place = __atomic_fetch_add(&journal->count, 1, __ATOMIC_RELAXED);
    if (place < journal->room) {
        tetrapylon_record record = {at, key, (uint64_t)allowed};
        journal->records[place] = record;
    }
}

#endif
