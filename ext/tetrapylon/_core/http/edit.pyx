from libc.stdint cimport uint8_t, uint32_t

from tetrapylon._core.buffer cimport DROPPED, Head, head_add, head_find, same_name, same_variable
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.fields cimport has_item
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.policy cimport Verdict

cdef Refusal NO_MEMORY = Refusal(
    500, "out_of_memory", "Internal Server Error", "The gateway has run out of memory.",
    error="proxy_internal_error")


cdef inline bint drop(Head* head, bytes name, bint prefix, bint variable) noexcept:
    cdef uint32_t n = <uint32_t>len(name)
    cdef uint32_t i
    cdef bint found = False
    cdef const char* given
    for i in range(head.count):
        if head.headers[i].name_length < n or (head.headers[i].name_length > n and not prefix):
            continue
        given = head.data + head.headers[i].name
        if same_variable(given, name, n) if variable else same_name(given, name, n):
            found = found or not head.headers[i].mark & DROPPED
            head.headers[i].mark |= DROPPED
    return found


cdef bint drop_lines(Head* head, bytes lower) noexcept:
    return drop(head, lower, False, False)


cdef bint drop_variables(Head* head, bytes dashed) noexcept:
    return drop(head, dashed, False, True)


cdef bint drop_prefixed(Head* head, bytes lower) noexcept:
    return drop(head, lower, True, False)


cdef bint drop_prefixed_variables(Head* head, bytes dashed) noexcept:
    return drop(head, dashed, True, True)


cdef int add_line(Head* head, bytes name, const char* value, size_t n, uint8_t mark=0) noexcept:
    return head_add(head, name, len(name), value, n, mark)


cdef int add_vary(Head* response, bytes names) noexcept:
    """Add names to Vary, as a line of its own: lists may be split (RFC 9110 section 5.3)."""
    cdef bytes lower
    if head_find(response, b"vary", 4) is NULL:
        return head_add(response, b"Vary", 4, names, len(names), 0)
    lower = names.lower()
    if b"," not in lower and (has_item(response, b"vary", 4, lower, len(lower))
                              or has_item(response, b"vary", 4, b"*", 1)):
        return 0
    return head_add(response, b"Vary", 4, names, len(names), 0)


cdef void change_status(Exchange x, int status) noexcept:
    """Another status, with its own reason phrase."""
    x.response.status = status
    x.response.reason_length = 0
    x.status = status


cdef Verdict out_of_memory(Exchange x) noexcept:
    return refuse(x, NO_MEMORY)
