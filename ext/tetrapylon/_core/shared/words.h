/* 64-bit words that several processes change at once: each by itself, no lock that a killed process could hold. */
#ifndef TETRAPYLON_WORDS_H
#define TETRAPYLON_WORDS_H

#include <stdint.h>

static inline uint64_t tetrapylon_load(const uint64_t *word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void tetrapylon_store(uint64_t *word, uint64_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline uint64_t tetrapylon_add(uint64_t *word, uint64_t value) {
    return __atomic_add_fetch(word, value, __ATOMIC_RELAXED);
}

static inline uint64_t tetrapylon_exchange(uint64_t *word, uint64_t value) {
    return __atomic_exchange_n(word, value, __ATOMIC_ACQ_REL);
}

static inline int tetrapylon_swap(uint64_t *word, uint64_t expected, uint64_t value) {
    return __atomic_compare_exchange_n(word, &expected, value, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

#endif
