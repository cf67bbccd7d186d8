# Lines of a head taken out, put in and replaced: what policies do to messages.

from libc.stdint cimport uint8_t

from tetrapylon._core.buffer cimport Head
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.policy cimport Verdict


cdef bint drop_lines(Head* head, bytes lower) noexcept          # were there any?
cdef bint drop_variables(Head* head, bytes dashed) noexcept     # `_` spelled for `-`, too
cdef bint drop_prefixed(Head* head, bytes lower) noexcept
cdef bint drop_prefixed_variables(Head* head, bytes dashed) noexcept
cdef int add_line(Head* head, bytes name, const char* value, size_t n, uint8_t mark=*) noexcept
cdef int add_vary(Head* response, bytes names) noexcept         # what it does not name yet
cdef void change_status(Exchange x, int status) noexcept
cdef Verdict out_of_memory(Exchange x) noexcept                 # for a policy to return
