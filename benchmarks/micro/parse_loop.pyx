"""The data plane's own call in a loop: what reading a message costs, by the backend that is in use."""

from libc.string cimport memset

from tetrapylon._core.buffer cimport Head, head_free
from tetrapylon._core.http.message cimport END, HEAD, MALFORMED, MORE, Event, Limits, Parser
from tetrapylon._core.http.parse cimport request_parser, response_parser


def read(bint request, bytes message, int n):
    """One connection that brings `message` that many times, each in one piece."""
    cdef Parser parser = request_parser(Limits()) if request else response_parser(Limits())
    cdef Head head
    cdef Event event
    cdef const char* at
    cdef size_t left
    cdef int i, whole = 0
    memset(&head, 0, sizeof(head))
    parser.head = &head
    try:
        for i in range(n):
            at = message
            left = len(message)
            while True:
                event = parser.next(at, left)
                if event == MORE or event >= MALFORMED:
                    break
                whole += event == END or (event == HEAD and parser.ended)
                at += parser.consumed
                left -= parser.consumed
    finally:
        parser.head = NULL
        head_free(&head)
    if whole != n:
        raise ValueError(f"read {whole} of {n} messages")
