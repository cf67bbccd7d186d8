# What a route asks of a request: the grammar of its path, host, methods and headers. A leaf, used when a
# table is built.

cdef class Pattern:
    cdef bytes key           # see trie.pxd, Marker
    cdef tuple params        # names
    cdef tuple kinds         # "int", "uuid", "str", "path"

cdef Pattern parse_path(object path)
cdef str parse_host(object host)
cdef tuple parse_methods(object methods)
cdef dict parse_headers(object headers)
