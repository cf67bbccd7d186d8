"""Ten parser bugs, each a change of one place in the sources, that a run of the fuzzer has to find.

They are put into a copy of the tree and built there: `python -m tests.fuzz.planted`. Nothing of them is in
the gateway. Each is one that some proxy or parser really had.
"""

from typing import NamedTuple

CORE = "ext/tetrapylon/_core/"


class Plant(NamedTuple):
    """`was` stands in the file exactly once."""

    name: str
    file: str
    was: str
    becomes: str


PLANTS = (
    Plant(
        "Connection can take away the length",
        CORE + "http/message.pyx",
        "not in (CONTENT_LENGTH, HOST):",
        "not in (HOST,):",
    ),
    Plant(
        "chunked coding is believed in HTTP/1.0",
        CORE + "http/message.pyx",
        "if (head.minor == 0 or head.chunked or",
        "if (head.chunked or",
    ),
    Plant(
        "two Hosts are as good as one",
        CORE + "http/request_line.pyx",
        "            if host is not NULL:\n                return BAD_HOST\n",
        "",
    ),
    Plant(
        "fields that Connection names are passed on",
        CORE + "http/message.pyx",
        "line.mark |= HOP",
        "pass",
    ),
    Plant(
        "a head in two reads loses its offset",
        CORE + "http/parse_llhttp.pyx",
        "return self.base_offset + <uint32_t>(at - self.base)",
        "return self.base_offset + <uint32_t>(at - self.base) - (self.base_offset > 300)",
    ),
    Plant(
        "a name in two reads is counted once",
        CORE + "http/parse_llhttp.pyx",
        "line.name_length += <uint16_t>n\n        self.span_end = at + n\n        return 0\n\n"
        "    cdef int on_value(",
        "line.name_length = <uint16_t>n\n        self.span_end = at + n\n        return 0\n\n"
        "    cdef int on_value(",
    ),
    Plant(
        "a chunk of sixteen bytes has a wrong size",
        CORE + "http/wire.pyx",
        "while shift and not (<uint64_t>n >> shift):",
        "while shift and not (<uint64_t>(n - 1) >> shift):",
    ),
    Plant(
        "trailers of the message before are sent again",
        CORE + "http/message.pyx",
        "        self.ended = False\n        self.has_trailers = False\n",
        "        self.ended = False\n",
    ),
    Plant(
        "a body that was cut short passes for whole",
        CORE + "http/message.pyx",
        "if self.in_body and self.to_eof:",
        "if self.in_body:",
    ),
    Plant(
        "an answer to HEAD is taken to have a body",
        CORE + "upstreams/pool.pyx",
        'self.parser.no_body = is_method(x, b"HEAD", 4)',
        "self.parser.no_body = False",
    ),
)
