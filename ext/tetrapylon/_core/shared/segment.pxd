"""Memory that all processes of a gateway share, and that the next generation of them goes on with."""


cdef enum:
    PAGE = 4096
    HEAD = 2048         # the first half of the first page: what the segment holds, in words


cdef class Segment:
    # A file in memory, mapped as a whole, once. Behind HEAD begin the words that its kind has once, and with
    # the second page what it has many of. Pages that nobody touches take no memory.
    #
    # Pointers into it are true for as long as the object lives, whether or not its descriptor is open.
    cdef readonly str name
    cdef readonly size_t size
    cdef char* base
    cdef int descriptor                 # -1: closed

    cdef bint open(self, str name, str layout, size_t size, int fd) except -1
    cdef int open_file(self, str path, size_t size) except -1
    cdef int map(self, int fd) except -1


cdef inline size_t pages(size_t size) noexcept nogil:
    """The size of so many bytes in whole pages."""
    return (size + PAGE - 1) // PAGE * PAGE
