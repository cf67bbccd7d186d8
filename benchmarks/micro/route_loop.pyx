"""The data plane's own calls in a loop: what a lookup costs from compiled code."""

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from tetrapylon._core.path cimport PATH_GROWTH, PATH_NORMAL, normalise
from tetrapylon._core.route cimport FOUND, Router
from tetrapylon._core.trie cimport Match


cdef class Loop:
    """`paths` in one block, each looked up once a call; each must be found."""

    cdef Router router
    cdef char* text
    cdef int* lengths
    cdef readonly int size

    def __cinit__(self, Router router, list paths):
        cdef bytes path
        cdef char* at
        cdef int i = 0
        self.router = router
        self.size = len(paths)
        self.text = <char*> malloc(sum(map(len, paths)) + 64)
        self.lengths = <int*> malloc(self.size * sizeof(int))
        if self.text == NULL or self.lengths == NULL:
            raise MemoryError
        at = self.text
        for path in paths:
            memcpy(at, <const char*> path, len(path))
            self.lengths[i] = len(path)
            at += len(path)
            i += 1

    def __dealloc__(self):
        free(self.text)
        free(self.lengths)

    def __call__(self):
        cdef char[PATH_GROWTH * 1024] normal
        cdef const char* at = self.text
        cdef Py_ssize_t n
        cdef Match match
        cdef int i, found = 0
        for i in range(self.size):
            n = self.lengths[i]
            if normalise(at, n, normal, &n) != PATH_NORMAL:
                raise ValueError("a path of this benchmark is not normal")
            found += self.router.find(b"GET", 3, b"api.example.com", 15, at, n, NULL, NULL, &match) == FOUND
            at += n
        if found != self.size:
            raise ValueError(f"found {found} of {self.size}")
        return found
