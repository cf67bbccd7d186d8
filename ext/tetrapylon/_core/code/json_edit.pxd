# JSON text changed without being decoded: members picked, dropped and renamed, values found by their path.
#
# All of it works on text that `checked` has let by: one complete, well-formed JSON value in UTF-8.

from tetrapylon._core.buffer cimport Buffer


cdef struct Slice:
    const char* data
    size_t n


cdef class Edit:
    # What becomes of one member, and of those within it.
    cdef bytes name                     # UTF-8, escapes resolved
    cdef bytes renamed                  # its new name as JSON, with quotes; None: it keeps its own
    cdef bint dropped
    cdef bint only                      # of its members, those that are named alone stay
    cdef bint renames                   # one of them is renamed
    cdef list members                   # Edit; None: all of it stays as it is

    cdef Edit member(self, Slice name)
    cdef Edit renamed_to(self, Slice name)
    cdef int copy(self, const char** at, Buffer out) except -1
    cdef int copy_object(self, const char** at, Buffer out) except -1


cdef bytes checked(bytes text)                          # stripped; raises ValueError
cdef bytes edited(Edit edit, bytes text)
cdef bint find(bytes text, tuple path, Slice* found) except -1
cdef bytes with_default(bytes text, tuple path, bytes value)       # put in where it is missing
