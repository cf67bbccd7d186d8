# What JSON has to keep to beyond its grammar: no name twice in an object, not too deep, UTF-8
# (RFC 8259, RFC 7493).

cdef class BadJson(Exception):
    # Refused: `path` names the value, as `items[3].price`.
    cdef readonly str path
    cdef readonly str what


cdef int hold_to_rules(const char* data, size_t n) except -1      # raises BadJson; malformed JSON passes
