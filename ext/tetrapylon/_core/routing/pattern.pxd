# What a route asks of a request: the grammar of its path, host, methods and headers. A leaf, used when a
# table is built.

# The key (pack.pxd, Marker), the names and the kinds of the parameters.
cdef tuple parse_path(object path)
cdef str parse_host(object host)
cdef tuple parse_methods(object methods)
cdef dict parse_headers(object headers)
