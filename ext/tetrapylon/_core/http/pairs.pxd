# Names with values: those of a query and those of a Cookie field.

from tetrapylon._core.buffer cimport Head


cdef list query_pairs(const char* text, size_t n)
cdef bint next_crumb(const char* text, size_t n, size_t* at, size_t* name, size_t* name_n, size_t* value,
                     size_t* value_n) noexcept
cdef bint cookie_value(const Head* head, bytes name, const char** value, size_t* n) noexcept
