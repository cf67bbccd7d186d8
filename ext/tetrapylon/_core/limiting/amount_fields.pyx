from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from tetrapylon._core.buffer cimport head_add
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.limiting.kept cimport Kept

cdef enum:
    NAME = 64
    LINE = NAME + 64

cdef uint64_t SECOND = 1_000_000_000
cdef uint64_t MOST_SECONDS = (1 << 32) - 1


cdef inline uint64_t seconds(uint64_t ns) noexcept:
    """Rounded up: who comes back then is not too early."""
    return min((ns + SECOND - 1) // SECOND, MOST_SECONDS)


cdef inline char* put_number(char* at, uint64_t number) noexcept:
    cdef char[20] digits
    cdef int n = 0
    while True:
        digits[n] = <char>(c"0" + number % 10)
        n += 1
        number //= 10
        if not number:
            break
    while n:
        n -= 1
        at[0] = digits[n]
        at += 1
    return at


cdef class Fields:
    def __cinit__(self, windows not None, str headers not None):
        for name, _, _ in windows:
            if len(name) > NAME:
                raise ValueError(f"a window's name has at most {NAME} characters: {name!r}")
        self.kept = Kept()
        self.names = [f'"{name}";r='.encode("ascii") for name, _, _ in windows]
        self.policy = ", ".join(
            [f'"{name}";q={quota};w={span}' for name, quota, span in windows]).encode("ascii")
        self.told = headers == "always"
        self.told_refused = headers != "never"

    cdef void note(self, Exchange x, bint allowed, unsigned int window, uint64_t remaining, uint64_t reset,
                   uint64_t retry) noexcept:
        cdef uint64_t* note
        if not self.told and allowed:
            return
        note = self.kept.put(<void*>x)
        if note is not NULL:
            note[0] = remaining if allowed else seconds(retry)
            note[1] = seconds(reset) << 16 | <uint64_t>(not allowed) << 8 | window

    cdef void put(self, Exchange x) noexcept:
        cdef uint64_t* note = self.kept.get(<void*>x)
        cdef char[LINE] line
        cdef char* at
        cdef bytes name
        cdef bint refused
        if note is NULL:
            return
        refused = note[1] >> 8 & 1
        if self.told_refused:
            name = <bytes>self.names[note[1] & 0xff]
            memcpy(line, <char*>name, len(name))
            at = put_number(line + len(name), 0 if refused else note[0])
            memcpy(at, b";t=", 3)
            at = put_number(at + 3, note[1] >> 16)
            head_add(&x.response, b"RateLimit-Policy", 16, self.policy, len(self.policy), 0)
            head_add(&x.response, b"RateLimit", 9, line, at - line, 0)
        if refused:
            at = put_number(line, note[0] if note[0] else <uint64_t>1)
            head_add(&x.response, b"Retry-After", 11, line, at - line, 0)

    cdef void forget(self, Exchange x) noexcept:
        self.kept.drop(<void*>x)
