"""The data plane's own calls in a loop: what a lookup costs from compiled code."""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from tetrapylon._core.routing.path cimport PATH_GROWTH, PATH_NORMAL, normalise
from tetrapylon._core.routing.route cimport FOUND, Router
from tetrapylon._core.routing.trie cimport Match


cdef class Loop:
    """Each call normalises and looks up the next `step` of `paths`, all of which must be found."""

    cdef Router router
    cdef char* text
    cdef int* starts
    cdef int size, step, next

    def __cinit__(self, Router router, list paths, int step):
        cdef bytes path
        cdef int i = 0
        self.router = router
        self.size = len(paths)
        self.step = step
        self.text = <char*> calloc(sum(map(len, paths)) + 1, 1)
        self.starts = <int*> calloc(self.size + 1, sizeof(int))
        if self.text == NULL or self.starts == NULL:
            raise MemoryError
        for path in paths:
            memcpy(self.text + self.starts[i], <const char*> path, len(path))
            self.starts[i + 1] = self.starts[i] + len(path)
            i += 1

    def __dealloc__(self):
        free(self.text)
        free(self.starts)

    def __call__(self):
        cdef char[PATH_GROWTH * 1024] normal
        cdef const char* path
        cdef Py_ssize_t n, normal_n
        cdef Match match
        cdef int i, found = 0
        for i in range(self.next, self.next + self.step):
            path = self.text + self.starts[i]
            n = self.starts[i + 1] - self.starts[i]
            if normalise(path, n, normal, &normal_n) != PATH_NORMAL:
                raise ValueError(f"{path[:n]} is not normal")
            found += self.router.find(b"GET", 3, b"api.example.com", 15, path, n, NULL, NULL, &match) == FOUND
        if found != self.step:
            raise ValueError(f"found {found} of {self.step}")
        self.next += self.step
        if self.next + self.step > self.size:
            self.next = 0
