from libc.stdint cimport uint64_t, uintptr_t
from libc.stdlib cimport calloc, free

cdef enum:
    SMALLEST = 64


cdef inline size_t home(const void* owner, size_t mask) noexcept:
    """Objects lie on 16-byte borders; multiplying by the golden ratio spreads the rest."""
    return <size_t>((<uint64_t><uintptr_t>owner >> 4) * 0x9E3779B97F4A7C15ULL >> 32) & mask


cdef class Kept:
    def __cinit__(self):
        self.notes = <Note*>calloc(SMALLEST, sizeof(Note))
        if self.notes is NULL:
            raise MemoryError
        self.mask = SMALLEST - 1

    def __dealloc__(self):
        free(self.notes)

    cdef uint64_t* put(self, const void* owner) noexcept:
        cdef size_t i
        if <size_t>self.count * 2 > self.mask and not self.grow():
            return NULL
        i = home(owner, self.mask)
        while self.notes[i].owner is not NULL and self.notes[i].owner is not owner:
            i = (i + 1) & self.mask
        if self.notes[i].owner is NULL:
            self.notes[i].owner = owner
            self.count += 1
        return self.notes[i].value

    cdef uint64_t* get(self, const void* owner) noexcept:
        cdef size_t i = home(owner, self.mask)
        while self.notes[i].owner is not NULL:
            if self.notes[i].owner is owner:
                return self.notes[i].value
            i = (i + 1) & self.mask
        return NULL

    cdef void drop(self, const void* owner) noexcept:
        """Those behind it that could stand nearer to their home move up, so that no gap hides them."""
        cdef size_t i = home(owner, self.mask)
        cdef size_t next
        while self.notes[i].owner is not owner:
            if self.notes[i].owner is NULL:
                return
            i = (i + 1) & self.mask
        self.count -= 1
        next = i
        while True:
            next = (next + 1) & self.mask
            if self.notes[next].owner is NULL:
                break
            if ((next - home(self.notes[next].owner, self.mask)) & self.mask) >= ((next - i) & self.mask):
                self.notes[i] = self.notes[next]
                i = next
        self.notes[i].owner = NULL

    cdef bint grow(self) noexcept:
        cdef Note* old = self.notes
        cdef size_t size = self.mask + 1
        cdef size_t i
        cdef size_t at
        cdef Note* notes = <Note*>calloc(size * 2, sizeof(Note))
        if notes is NULL:
            return False
        self.notes = notes
        self.mask = size * 2 - 1
        for i in range(size):
            if old[i].owner is not NULL:
                at = home(old[i].owner, self.mask)
                while notes[at].owner is not NULL:
                    at = (at + 1) & self.mask
                notes[at] = old[i]
        free(old)
        return True

    def __setitem__(self, uintptr_t owner, uint64_t value):
        cdef uint64_t* place = self.put(<const void*>owner)
        if place is NULL:
            raise MemoryError
        place[0] = value

    def __getitem__(self, uintptr_t owner):
        cdef uint64_t* place = self.get(<const void*>owner)
        if place is NULL:
            raise KeyError(owner)
        return place[0]

    def __delitem__(self, uintptr_t owner):
        self.drop(<const void*>owner)

    def __len__(self):
        return self.count
